/** `sallyport tunnel status`: one tunnel as its edge sees it, with the sockets of its connectors. */
import { defineCommand } from 'citty';
import pc from 'picocolors';
import type { SessionStatus } from '../../tunnel/objects.ts';
import type { TunnelRecord } from '../../tunnel/register.ts';
import { printable } from '../accesslog.ts';
import { askControl, jsonOf, placeArguments, requireOk } from '../running.ts';

export default defineCommand({
  meta: { name: 'status', description: 'one tunnel as its edge sees it, with the sockets of its connectors' },
  args: {
    name: { type: 'positional', description: 'of the tunnel', required: true },
    ...placeArguments,
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args }) {
    const answer = requireOk(await askControl(args, 'GET', `/v1/tunnels/${encodeURIComponent(args.name)}`));
    const tunnel = jsonOf(answer) as TunnelRecord & { readonly status: readonly SessionStatus[] };
    if (args.json) return void process.stdout.write(`${JSON.stringify(tunnel)}\n`);
    const lanes = tunnel.status.flatMap((session, index) => session.lanes.map((lane) => ({ ...lane, index })));
    const connectors = new Set(lanes.map(({ connector }) => connector)).size;
    const up = lanes.filter(({ attached }) => attached).length;
    const lines = [
      `${printable(tunnel.name)}  ${up === 0 ? pc.yellow('not connected') : pc.green(`${count(connectors, 'connector')}, ${count(up, 'socket')}`)}  ${tunnel.access?.access ?? 'access by policy'}`,
      ...lanes.map(
        ({ index, lane, peer, since, attached, draining, streams, roundTrip }) =>
          `socket ${printable(lane)}  session ${index}  ${printable(peer) || 'unknown peer'}  since ${new Date(since).toISOString()}  ${count(streams, 'stream')}` +
          `${roundTrip > 0 ? `  ${Math.round(roundTrip)} ms` : ''}${attached ? '' : '  lost, may come back'}${draining ? '  draining' : ''}`,
      ),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  },
});

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
