/** `sallyport tunnel status`: one tunnel as its edge sees it, with the sockets of its connectors. */
import { defineCommand } from 'citty';
import pc from 'picocolors';
import type { SessionStatus } from '../../tunnel/objects.ts';
import type { TunnelRecord } from '../../tunnel/register.ts';
import { printable } from '../accesslog.ts';
import { counted } from './counted.ts';
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
    const attached = lanes.filter((lane) => lane.attached);
    const connectors = new Set(attached.map(({ connector }) => connector)).size;
    const up = attached.length;
    const lines = [
      `${printable(tunnel.name)}  ${up === 0 ? pc.yellow('not connected') : pc.green(`${counted(connectors, 'connector')}, ${counted(up, 'socket')}`)}  ${tunnel.access?.access ?? 'access by policy'}`,
      ...lanes.map(
        ({ index, lane, peer, since, attached, draining, streams, roundTrip }) =>
          `socket ${printable(lane)}  session ${index}  ${printable(peer) || 'unknown peer'}  since ${new Date(since).toISOString()}  ${counted(streams, 'stream')}` +
          `${roundTrip > 0 ? `  ${Math.round(roundTrip)} ms` : ''}${attached ? '' : '  lost, may come back'}${draining ? '  draining' : ''}`,
      ),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  },
});
