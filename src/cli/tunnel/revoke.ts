/** `sallyport tunnel revoke`: capabilities issued up to now are worth nothing; what is connected by them is closed at once. */
import { defineCommand } from 'citty';
import { printable } from '../accesslog.ts';
import { counted } from './counted.ts';
import { askControl, jsonOf, placeArguments, requireOk } from '../running.ts';

export default defineCommand({
  meta: { name: 'revoke', description: 'refuse what was issued for a tunnel up to now, and close its sockets' },
  args: {
    name: { type: 'positional', description: 'of the tunnel', required: true },
    ...placeArguments,
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args }) {
    const path = `/v1/tunnels/${encodeURIComponent(args.name)}/revoke`;
    // This clock issued them: what it calls the past is meant, even where it is ahead of the edge's.
    const answer = requireOk(await askControl(args, 'POST', path, { until: Date.now() }));
    const { name, revoked, closed } = jsonOf(answer) as { name: string; revoked: number; closed: number };
    if (args.json) return void process.stdout.write(`${JSON.stringify({ ok: true, name, revoked, closed })}\n`);
    process.stdout.write(
      `revoked ${printable(name)} until ${new Date(revoked).toISOString()}, ${counted(closed, 'socket')} closed\n` +
        `next: sallyport tunnel create ${printable(name)} --renew\n`,
    );
  },
});
