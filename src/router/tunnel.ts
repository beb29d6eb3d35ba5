/**
 * The upgrades of tunnels, asked before the pipeline: `/.well-known/sallyport/tunnel` for connectors, `.../access` for
 * those who reach a private service. What a dial may do is proven here, with keys alone; only then is an object asked,
 * which refuses what takes memory to refuse: a nonce that was used, a capability that was revoked, a name that is taken.
 */
import { readBody } from '../control/call.ts';
import { speak } from '../control/tunnels.ts';
import type { Plan } from '../plan.ts';
import type { Env } from '../platform/bindings.ts';
import { registryOf } from '../platform/registry.ts';
import { ACCESS_PATH, DENIALS, type Rights, TUNNEL_PATH, verifyHandshake } from '../tunnel/capability.ts';
import { CONSENT_PATH, MAX_CONSENT_LENGTH } from '../tunnel/consent.ts';
import { CLOSE, SUBPROTOCOL } from '../tunnel/frame.ts';
import {
  type Admission,
  type Claim,
  FAILURE_HEADER,
  type Guest,
  GUEST_HEADER,
  LANE_HEADER,
  type LaneRequest,
  openSessions,
  sessionName,
  sessionOfLane,
  type TunnelSessionNamespace,
} from '../tunnel/objects.ts';
import { isRefused } from '../tunnel/register.ts';
import { readResume, RESUME_HEADER } from '../tunnel/welcome.ts';
import { type TunnelPolicy, tunnelPolicy } from './tunnel-policy.ts';

const PROTOCOL = 'sec-websocket-protocol';

/** True for a request that is none for an app: a dial, or a word about an offer, which names the same subprotocol. PERF: one look at a header that few requests have. */
export function isTunnelUpgrade(request: Request): boolean {
  return request.headers.get(PROTOCOL) === SUBPROTOCOL && PATHS.has(new URL(request.url).pathname);
}

const PATHS: ReadonlySet<string> = new Set([TUNNEL_PATH, ACCESS_PATH, CONSENT_PATH]);

/** `peer`: address of who dials, as the platform vouches for it. Never rejects. */
export async function tunnelUpgrade(
  request: Request,
  env: Env,
  peer: string,
  apps: readonly Pick<Plan, 'tunnels'>[],
  now = Date.now(),
): Promise<Response> {
  try {
    const { pathname } = new URL(request.url);
    if (pathname === CONSENT_PATH) return await consent(request, env, apps, now);
    const note: Note = { dial: pathname === ACCESS_PATH ? 'access' : 'serve', tunnel: '', service: '', project: '' };
    const answer = await admit(request, env, peer, await tunnelPolicy(apps, env.OPERATOR_KEY ?? ''), now, note);
    const reason = answer.status === 101 ? undefined : await detailOf(answer.clone());
    const { status } = answer;
    console.log(JSON.stringify({ time: new Date(now).toISOString(), ...note, peer, status, reason }));
    return answer;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(JSON.stringify({ level: 'error', message: `a tunnel's upgrade failed: ${message.slice(0, 500)}` }));
    return refusal(503, CLOSE.draining, 'the tunnel can not be opened now');
  }
}

async function detailOf(refused: Response): Promise<unknown> {
  try {
    return ((await refused.json()) as { detail?: unknown }).detail;
  } catch {
    return ''; // not ours: the status has to do
  }
}

/** A project's word about an offer. Needs no other proof than its signature. */
async function consent(
  request: Request,
  env: Env,
  apps: readonly Pick<Plan, 'tunnels'>[],
  now: number,
): Promise<Response> {
  const bytes = request.method === 'POST' ? await readBody(request, MAX_CONSENT_LENGTH) : null;
  if (bytes === null) return refusal(400, CLOSE.malformed, `POST a word of at most ${MAX_CONSENT_LENGTH} characters`);
  return await speak(new TextDecoder().decode(bytes), env, apps, now);
}

/** What the log says of a dial; a name only once the right to it is proven. */
interface Note {
  readonly dial: 'serve' | 'access';
  tunnel: string;
  service: string;
  project: string;
}

async function admit(
  request: Request,
  env: Env,
  peer: string,
  policy: TunnelPolicy,
  now: number,
  note: Note,
): Promise<Response> {
  const namespace = env.TUNNEL_SESSION;
  if (namespace === undefined) return refusal(501, CLOSE.unauthorised, 'this deployment holds no tunnels');
  if (request.method !== 'GET' || request.headers.get('upgrade')?.toLowerCase() !== 'websocket')
    return refusal(426, CLOSE.malformed, 'a tunnel is opened by a WebSocket upgrade');
  const { host, hostname, pathname, protocol } = new URL(request.url);
  if (!policy.answersTo(hostname))
    return refusal(
      403,
      CLOSE.unauthorised,
      'this edge is not dialled by that host: tunnels.edges of a policy names those',
    );
  const rights = await verifyHandshake(request.headers, host, pathname, policy.operators, now);
  if (typeof rights === 'string')
    return refusal(rights === 'foreign' || rights === 'unnamed' ? 403 : 401, CLOSE.unauthorised, DENIALS[rights]);
  const { capability, handshake } = rights;
  const { project, generation, expires } = capability;
  const { name: tunnel, service, nonce, time } = handshake;
  const purpose = note.dial;
  Object.assign(note, { tunnel, service, project });
  if (purpose === 'access' && !policy.permits(capability, tunnel, service))
    return refusal(403, CLOSE.unauthorised, 'the policy does not let this connector reach that service');
  if (purpose === 'access' && (await namespace.exists?.(sessionName(tunnel, 0))) === false)
    return refusal(404, CLOSE.unauthorised, 'there is no such tunnel');
  const claim: Claim = { tunnel, project, generation, nonce, time, purpose, exposure: capability.exposure, host: '' };
  const admission = await admitted(namespace, env, claim, service);
  if (!admission.admitted) return refusal(admission.status, admission.code, admission.reason);
  const { sessions } = admission;
  const resume = resumeOf(request.headers.get(RESUME_HEADER), rights);
  if (resume === null) return refusal(401, CLOSE.unauthorised, 'the handshake is for the resume of another lane');
  const { connector, names } = capability;
  const dialled = { tunnel, project, connector, generation, expires, peer, resume, sessions };
  if (purpose === 'access') return await visit(namespace, { ...dialled, url: '', service, names });
  if (admission.fresh) {
    // A tunnel that its project's registry does not have could be neither listed nor revoked.
    const record = await registryOf(env, project)?.claim(tunnel, now);
    if (record !== undefined && isRefused(record)) return refusal(429, CLOSE.limit, record.reason);
    await namespace.getByName(sessionName(tunnel, 0)).listed();
  }
  const url = publicUrl(protocol, host, rights, policy);
  const lane = { ...dialled, url };
  const session = handshake.socket % sessions;
  const last = sessionOfLane(readResume(resume)?.lane ?? '');
  if (last !== null && last !== session) {
    const answer = await enter(namespace, { ...lane, session: last, returns: true });
    if (answer.status === 101) return answer;
  }
  return await enter(namespace, { ...lane, session, returns: false });
}

/** A connector's socket, at its session. A request of its own: nothing of the connector's goes further but what was read of it. */
function enter(namespace: TunnelSessionNamespace, lane: LaneRequest): Promise<Response> {
  return namespace.getByName(sessionName(lane.tunnel, lane.session)).fetch('http://session/l:', {
    headers: { upgrade: 'websocket', [LANE_HEADER]: JSON.stringify(lane) },
  });
}

/**
 * A guest's socket: sessions in turn, from any on; the first is asked again at last, and may wait for a connector. One that
 * resumes has to go where it was.
 */
async function visit(namespace: TunnelSessionNamespace, guest: Omit<Guest, 'session' | 'returns'>): Promise<Response> {
  const { tunnel, sessions, service, resume } = guest;
  const held = resume === '' ? -1 : (sessionOfLane(readResume(resume)?.lane ?? '') ?? sessions);
  if (held >= sessions) return refusal(410, CLOSE.gone, 'the edge has not kept the connection');
  const first = held >= 0 ? held : Math.floor(Math.random() * sessions);
  for (let turn = 0; ; turn++) {
    const waits = held >= 0 || sessions === 1 || turn === sessions;
    const index = (first + turn) % sessions;
    const session = namespace.getByName(sessionName(tunnel, index));
    const known = sessions === 1 ? '' : `${sessions}${waits ? 'w' : ''}`;
    const headers = {
      upgrade: 'websocket',
      [GUEST_HEADER]: JSON.stringify({ ...guest, session: index, returns: resume !== '' }),
    };
    const answer = await session.fetch(`http://session/a${known}:${service}`, { headers });
    const reason = answer.headers.get(FAILURE_HEADER);
    if (reason === null) return answer;
    if (waits || answer.status !== 503) return refusal(answer.status, CODES[answer.status] ?? CLOSE.draining, reason);
  }
}

/** Close codes that say the same as an answer of a session. */
const CODES: Readonly<Record<number, number>> = { 403: CLOSE.revoked, 410: CLOSE.gone };

/** Tells every connector of this process to go elsewhere; what is open goes on. How many sockets were told. */
export async function drainTunnels({ TUNNEL_SESSION: namespace }: Env, reason: string): Promise<number> {
  if (namespace === undefined) return 0;
  const told = await Promise.allSettled([...openSessions].map((name) => namespace.getByName(name).drain(reason, true)));
  return told.reduce((sum, one) => sum + (one.status === 'fulfilled' ? one.value : 0), 0);
}

/** A policy was replaced: ends what connectors and guests of projects have open that it does not trust. How many. */
export async function distrustTunnels(env: Env, apps: readonly Pick<Plan, 'tunnels'>[]): Promise<number> {
  const namespace = env.TUNNEL_SESSION;
  if (namespace === undefined || openSessions.size === 0) return 0;
  const { projects, networks } = await tunnelPolicy(apps, env.OPERATOR_KEY ?? '');
  const ended = await Promise.allSettled(
    [...openSessions].map((name) => namespace.getByName(name).trust(projects, networks)),
  );
  return ended.reduce((sum, one) => sum + (one.status === 'fulfilled' ? one.value : 0), 0);
}

/** The header as it came; null when the handshake was signed for another. */
function resumeOf(header: string | null, { handshake }: Rights): string | null {
  if (header === null) return handshake.resume === '' ? '' : null;
  return readResume(header)?.token === handshake.resume ? header : null;
}

/** Session 0's word; where the tunnel is another project's, that project's offers decide. */
async function admitted(
  namespace: TunnelSessionNamespace,
  env: Env,
  claim: Claim,
  service: string,
): Promise<Admission> {
  const { tunnel, project } = claim;
  const session = namespace.getByName(sessionName(tunnel, 0));
  const admission = await session.admit(claim);
  if (admission.admitted || admission.owner === '') return admission;
  const { owner } = admission;
  const offered = await registryOf(env, owner)?.allows(project, tunnel, service);
  return offered?.allowed === true ? await session.admit({ ...claim, host: owner }) : admission;
}

/** Where the public reaches the tunnel, '' where it does not. */
function publicUrl(protocol: string, host: string, { capability, handshake }: Rights, policy: TunnelPolicy): string {
  const { name } = handshake;
  if (policy.domain === '' || policy.exposure(name) === 'private' || capability.exposure === 'private') return '';
  const port = /:[0-9]+$/.exec(host)?.[0] ?? '';
  return `${protocol}//${name}.${policy.domain}${port}`;
}

function refusal(status: number, code: number, detail: string): Response {
  // The runtime says no Date; a connector whose clock is wrong signs by ours.
  return Response.json({ status, code, detail }, { status, headers: { date: new Date().toUTCString() } });
}
