/** `sallyport tunnel delete`: closes its sockets, revokes what was issued for it, and gives the name back. */
import { defineCommand } from 'citty';
import { printable } from '../accesslog.ts';
import { counted } from './counted.ts';
import { askControl, jsonOf, placeArguments, requireOk } from '../running.ts';

export default defineCommand({
  meta: { name: 'delete', description: 'close a tunnel, revoke what was issued for it, give the name back' },
  args: {
    name: { type: 'positional', description: 'of the tunnel', required: true },
    ...placeArguments,
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args }) {
    const path = `/v1/tunnels/${encodeURIComponent(args.name)}`;
    const { name, closed } = jsonOf(requireOk(await askControl(args, 'DELETE', path))) as {
      name: string;
      closed: number;
    };
    if (args.json) return void process.stdout.write(`${JSON.stringify({ ok: true, name, closed })}\n`);
    process.stdout.write(`deleted ${printable(name)}, ${counted(closed, 'socket')} closed\n`);
  },
});
