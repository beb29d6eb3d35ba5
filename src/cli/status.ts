/** `sallyport status`: what a running deployment serves, and how its processes are. */
import { defineCommand } from 'citty';
import type { GatewayStatus } from './gateway.ts';
import { askControl } from './running.ts';

export default defineCommand({
  meta: { name: 'status', description: 'what a running deployment serves, and how its processes are' },
  args: {
    control: {
      type: 'string',
      description: 'control socket; default: of the deployment started in this directory',
      valueHint: 'path',
    },
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args }) {
    const status = (await askControl(args.control, 'GET', '/v1/status')).body as GatewayStatus;
    if (args.json) return void process.stdout.write(`${JSON.stringify(status)}\n`);
    const lines = [
      `${status.url}  generation ${status.generation}  pid ${status.pid}`,
      `apps ${status.apps.map(({ name }) => name).join(', ')}`,
    ];
    for (const { worker, pid, state, restarts, uptime, memory, cpu } of status.workers) {
      lines.push(
        `worker ${worker}  pid ${pid}  ${state}  up ${uptime} s  ${Math.round(memory / 1048576)} MiB  ${cpu} % CPU  ${restarts} restarts`,
      );
    }
    process.stdout.write(`${lines.join('\n')}\n`);
  },
});
