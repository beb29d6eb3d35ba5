/** `sallyport status`: what a running deployment serves, and how its processes are. */
import { defineCommand } from 'citty';
import type { Manifest } from '../plan.ts';
import { printable } from './accesslog.ts';
import { Failure } from './failure.ts';
import type { GatewayStatus } from './gateway.ts';
import { askControl, jsonOf, placeArguments, requireOk } from './running.ts';

/** What the isolate on Cloudflare that answered says of itself; src/control/openapi.ts describes it. */
interface IsolateStatus {
  readonly platform: string;
  readonly manifest: Manifest | null;
  readonly loadedAt: string | null;
  readonly exchanges: number;
  readonly heldBytes: number;
}

export default defineCommand({
  meta: { name: 'status', description: 'what a running deployment serves, and how its processes are' },
  args: { ...placeArguments, json: { type: 'boolean', description: 'print JSON' } },
  async run({ args }) {
    const answer = requireOk(await askControl(args, 'GET', '/v1/status'));
    const status = jsonOf(answer) as GatewayStatus | IsolateStatus;
    // By mistake, --url may name any server.
    if (!('workers' in Object(status)) && !('manifest' in Object(status)))
      throw new Failure(`${answer.from} does not speak the control API`);
    if (args.json) return void process.stdout.write(`${JSON.stringify(status)}\n`);
    const lines = 'workers' in status ? describeGateway(status) : describeIsolate(status, answer.from);
    process.stdout.write(`${lines.join('\n')}\n`);
  },
});

function describeGateway(status: GatewayStatus): string[] {
  return [
    `${status.url}  generation ${status.generation}  pid ${status.pid}`,
    `apps ${status.apps.map(({ name }) => name).join(', ')}`,
    ...status.workers.map(
      ({ worker, pid, state, restarts, uptime, memory, cpu }) =>
        `worker ${worker}  pid ${pid}  ${state}  up ${uptime} s  ${Math.round(memory / 1048576)} MiB  ${cpu} % CPU  ${restarts} restarts`,
    ),
  ];
}

function describeIsolate(
  { platform, manifest, loadedAt, exchanges, heldBytes }: IsolateStatus,
  from: string,
): string[] {
  if (manifest === null) return [`${from}  ${printable(platform)}  no policy is served`];
  return [
    `${from}  ${printable(platform)}  generation ${printable(manifest.generation)}`,
    `apps ${manifest.apps.map(({ name }) => printable(name)).join(', ')}`,
    `isolate  loaded ${printable(loadedAt ?? 'never')}  ${exchanges} exchanges  ${heldBytes} bytes held`,
  ];
}
