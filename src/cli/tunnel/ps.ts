/** `sallyport tunnel ps`: the connectors of this user that run on this machine. */
import { defineCommand } from 'citty';
import pc from 'picocolors';
import { printable } from '../accesslog.ts';
import { counted } from './counted.ts';
import { localConnectors } from './local.ts';

export default defineCommand({
  meta: { name: 'ps', description: 'connectors of yours that run on this machine' },
  args: { json: { type: 'boolean', description: 'print JSON' } },
  async run({ args }) {
    const all = (await localConnectors()).map(({ status }) => status);
    if (args.json) return void process.stdout.write(`${JSON.stringify(all)}\n`);
    if (all.length === 0)
      return void process.stdout.write('no connector is running; sallyport tunnel listen 3000 starts one\n');
    for (const { name, url, edge, pid, sockets, streams, roundTrip, services, inspection } of all) {
      const to = Object.entries(services).map(([service, target]) =>
        service === '' ? target : `${service}=${target}`,
      );
      const state = sockets > 0 ? pc.green(counted(sockets, 'socket')) : pc.red('not connected');
      const parts = [name, printable(url) || 'private', `-> ${to.join(', ')}`, state, `${streams} open`];
      if (roundTrip > 0) parts.push(`${Math.round(roundTrip)} ms to the edge`);
      if (inspection !== 'heads') parts.push(`inspects ${inspection}`);
      process.stdout.write(`${[...parts, `pid ${pid}`, printable(edge)].join('  ')}\n`);
    }
  },
});
