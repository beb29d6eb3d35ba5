/** `sallyport tunnel list`: the tunnels of the project, and what it offers to others. */
import { defineCommand } from 'citty';
import pc from 'picocolors';
import { thumbprint } from '../../control/signature.ts';
import type { Offer, TunnelRecord } from '../../tunnel/register.ts';
import { printable } from '../accesslog.ts';
import { readOperatorKey } from '../operator.ts';
import { askControl, jsonOf, placeArguments, requireOk } from '../running.ts';

export default defineCommand({
  meta: { name: 'list', description: 'tunnels of the project, and what it offers to others' },
  args: { ...placeArguments, json: { type: 'boolean', description: 'print JSON' } },
  async run({ args }) {
    const ask = async (path: string) => jsonOf(requireOk(await askControl(args, 'GET', path)));
    const { project, tunnels } = (await ask('/v1/tunnels')) as { project: string; tunnels: TunnelRecord[] };
    const { offers } = (await ask('/v1/offers')) as { offers: (Offer & { holds: boolean })[] };
    if (args.json) return void process.stdout.write(`${JSON.stringify({ project, tunnels, offers })}\n`);
    const lines = tunnels.map(({ name, created, origin, access, sessions, revoked }) =>
      [
        printable(name).padEnd(24),
        (access?.access ?? 'by policy').padEnd(11),
        `${sessions === 1 ? '' : `${sessions} sessions  `}${origin} ${new Date(created).toISOString()}`,
        revoked === 0 ? '' : pc.yellow(`revoked until ${new Date(revoked).toISOString()}`),
      ].join('  '),
    );
    for (const { tunnel, service, guest, holds, offered } of offers) {
      const state = holds ? pc.green('reached') : offered.yes ? 'not accepted' : pc.yellow('withdrawn');
      lines.push(`${service === '' ? tunnel : `${service}.${tunnel}`}  offered to ${printable(guest)}  ${state}`);
    }
    if (tunnels.length === 0) lines.push('no tunnels; sallyport tunnel listen 3000 opens one');
    const x = await ownKey(project);
    const key = x === '' ? '' : `, for policies and offers of others: ${x}`;
    process.stdout.write(
      `${lines.map((line) => line.trimEnd()).join('\n')}\n${pc.dim(`project ${printable(project)}${key}`)}\n`,
    );
  },
});

/** The public key of a project that is this user's, '' of another one. */
async function ownKey(project: string): Promise<string> {
  try {
    const { x } = readOperatorKey();
    return (await thumbprint(x)) === project ? x : '';
  } catch {
    return ''; // this user has no key
  }
}
