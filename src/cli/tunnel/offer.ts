/**
 * `sallyport tunnel offer | accept | withdraw`: a service of one project for another. Each side's word is signed here and
 * handed to the edge, which heeds the last one of each; it needs no right to the deployment, only the project's key.
 */
import { defineCommand } from 'citty';
import pc from 'picocolors';
import { isPublicKey, thumbprint } from '../../control/signature.ts';
import { LABEL } from '../../tunnel/capability.ts';
import { CONSENT_PATH, signConsent } from '../../tunnel/consent.ts';
import { SUBPROTOCOL } from '../../tunnel/frame.ts';
import type { Offer } from '../../tunnel/register.ts';
import { printable } from '../accesslog.ts';
import { counted } from './counted.ts';
import { Failure, sentence } from '../failure.ts';
import { urlRequest } from '../http.ts';
import { edgeOf } from './edge-url.ts';
import { operatorOf } from './project.ts';

const PATIENCE = 30_000; // ms

const common = {
  service: { type: 'positional', description: 'SERVICE.TUNNEL, such as db.office, or TUNNEL', required: true },
  edge: {
    type: 'string',
    description: 'URL of the edge; default: SALLYPORT_EDGE, or the deployment of this directory',
    valueHint: 'URL',
  },
  json: { type: 'boolean', description: 'print JSON' },
} as const;
const to = { type: 'string', description: 'public key of the project that may reach it', valueHint: 'x' } as const;
const from = { type: 'string', description: 'public key of the project that owns it', valueHint: 'x' } as const;

export const offer = defineCommand({
  meta: { name: 'offer', description: 'let another project reach a service, once it accepts' },
  args: { ...common, to },
  run: ({ args }) => speak(args, { to: args.to }, true),
});

export const accept = defineCommand({
  meta: { name: 'accept', description: 'take what another project offers' },
  args: { ...common, from },
  run: ({ args }) => speak(args, { from: args.from }, true),
});

export const withdraw = defineCommand({
  meta: { name: 'withdraw', description: 'end an offer, of either side; what is open is closed at once' },
  args: { ...common, to, from },
  run: ({ args }) => speak(args, { to: args.to, from: args.from }, false),
});

interface Arguments {
  readonly service: string;
  readonly edge?: string | undefined;
  readonly json?: boolean | undefined;
}

async function speak(
  args: Arguments,
  other: { readonly to?: string | undefined; readonly from?: string | undefined },
  yes: boolean,
): Promise<void> {
  const [first = '', second, ...more] = args.service.split('.');
  const [service, tunnel] = second === undefined ? ['', first] : [first, second];
  if (more.length > 0 || !LABEL.test(tunnel) || (service !== '' && !LABEL.test(service)))
    throw new Failure(`a service is SERVICE.TUNNEL, such as db.office, or TUNNEL, not "${args.service}"`);
  if ((other.to === undefined) === (other.from === undefined))
    throw new Failure('one side is yours: name the other with --to, or with --from when it owns the tunnel');
  const x = other.to ?? other.from ?? '';
  if (!isPublicKey(x))
    throw new Failure('a project is named by its public key, 43 characters; sallyport init --operator-key prints it');
  const { key, project } = await operatorOf();
  const peer = await thumbprint(x);
  if (peer === project) throw new Failure('that is the key of this project; its own tunnels need no offer');
  const side = other.from === undefined ? 'owner' : 'guest';
  const [owner, guest] = side === 'owner' ? [project, peer] : [peer, project];
  const consent = await signConsent(key, { owner, guest, tunnel, service, side, yes, time: Date.now() });
  const result = await handIn(edgeOf(args.edge).url, consent);
  if (args.json) return void process.stdout.write(`${JSON.stringify({ ok: true, ...result })}\n`);
  const state = result.holds
    ? pc.green(`${args.service} can be reached`)
    : yes
      ? `${args.service} can be reached once the other side says yes`
      : `${args.service} cannot be reached any more, ${counted(result.closed, 'connection')} closed`;
  process.stdout.write(`${state}\n`);
}

async function handIn(edge: URL, consent: string): Promise<Offer & { holds: boolean; closed: number }> {
  const url = new URL(CONSENT_PATH, edge);
  if (url.protocol === 'ws:' || url.protocol === 'wss:') url.protocol = url.protocol === 'ws:' ? 'http:' : 'https:';
  const headers = { 'sec-websocket-protocol': SUBPROTOCOL, 'content-type': 'text/plain' };
  const { status, body } = await urlRequest(url, 'POST', headers, PATIENCE, consent).catch((error: unknown) => {
    throw new Failure(`${url.origin} does not answer (${sentence(error)})`);
  });
  let value: { detail?: unknown };
  try {
    value = Object(JSON.parse(body)) as typeof value;
  } catch {
    throw new Failure(`${url.origin} is no edge of Sallyport (status ${status})`);
  }
  if (status === 200) return value as Offer & { holds: boolean; closed: number };
  throw new Failure(`${url.origin} refuses: ${printable(String(value.detail ?? status))}`);
}
