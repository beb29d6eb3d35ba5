/**
 * The upgrades of tunnels, asked before the pipeline: `/.well-known/sallyport/tunnel` for connectors, `.../access` for
 * those who reach a private service. What a dial may do is proven here, with keys alone; only then is an object asked,
 * which refuses what takes memory to refuse: a nonce that was used, a capability that was revoked, a name that is taken.
 */
import { publicKey, thumbprint } from '../control/signature.ts';
import type { Env } from '../platform/bindings.ts';
import {
  ACCESS_PATH,
  DENIALS,
  type Operators,
  type Rights,
  TUNNEL_PATH,
  verifyHandshake,
} from '../tunnel/capability.ts';
import { CLOSE, SUBPROTOCOL } from '../tunnel/frame.ts';
import { FAILURE_HEADER, LANE_HEADER, type LaneRequest, sessionName } from '../tunnel/objects.ts';
import { readResume, RESUME_HEADER } from '../tunnel/welcome.ts';

const PROTOCOL = 'sec-websocket-protocol';

/** True for a request that is none for an app. PERF: one look at a header that few requests have. */
export function isTunnelUpgrade(request: Request): boolean {
  return request.headers.get(PROTOCOL) === SUBPROTOCOL && isTunnelPath(new URL(request.url).pathname);
}

const isTunnelPath = (path: string): boolean => path === TUNNEL_PATH || path === ACCESS_PATH;

/** `peer`: address of who dials, as the platform vouches for it. Never rejects. */
export async function tunnelUpgrade(request: Request, env: Env, peer: string, now = Date.now()): Promise<Response> {
  try {
    return await admit(request, env, peer, now);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(JSON.stringify({ level: 'error', message: `a tunnel's upgrade failed: ${message.slice(0, 500)}` }));
    return refusal(503, CLOSE.draining, 'the tunnel can not be opened now');
  }
}

async function admit(request: Request, env: Env, peer: string, now: number): Promise<Response> {
  const namespace = env.TUNNEL_SESSION;
  if (namespace === undefined) return refusal(501, CLOSE.unauthorised, 'this deployment holds no tunnels');
  if (request.method !== 'GET' || request.headers.get('upgrade') !== 'websocket')
    return refusal(426, CLOSE.malformed, 'a tunnel is opened by a WebSocket upgrade');
  const { host, pathname, protocol } = new URL(request.url);
  const rights = await verifyHandshake(request.headers, host, pathname, await operatorsOf(env), now);
  if (typeof rights === 'string')
    return refusal(rights === 'foreign' || rights === 'unnamed' ? 403 : 401, CLOSE.unauthorised, DENIALS[rights]);
  const { capability, handshake } = rights;
  const { project, generation } = capability;
  const { name: tunnel, nonce, time } = handshake;
  const claim = { tunnel, project, generation, nonce, time };
  const admission = await namespace.getByName(sessionName(tunnel, 0)).admit(claim);
  if (!admission.admitted) return refusal(admission.status, admission.code, admission.reason);
  const { sessions } = admission;
  if (pathname === ACCESS_PATH) {
    const session = namespace.getByName(sessionName(tunnel, Math.floor(Math.random() * sessions)));
    const answer = await session.fetch(`http://session/a:${handshake.service}`, { headers: { upgrade: 'websocket' } });
    const reason = answer.headers.get(FAILURE_HEADER);
    return reason === null ? answer : refusal(answer.status, CLOSE.draining, reason);
  }
  const resume = resumeOf(request.headers.get(RESUME_HEADER), rights);
  if (resume === null) return refusal(401, CLOSE.unauthorised, 'the handshake is for the resume of another lane');
  const url = publicUrl(protocol, host, rights);
  const { connector, expires } = capability;
  const lane: LaneRequest = { tunnel, project, connector, generation, expires, peer, resume, url, sessions };
  const session = namespace.getByName(sessionName(tunnel, handshake.socket % sessions));
  // A request of its own: nothing of the connector's goes further but what was read of it.
  return await session.fetch('http://session/l:', {
    headers: { upgrade: 'websocket', [LANE_HEADER]: JSON.stringify(lane) },
  });
}

/** The header as it came; null when the handshake was signed for another. */
function resumeOf(header: string | null, { handshake }: Rights): string | null {
  if (header === null) return handshake.resume === '' ? '' : null;
  return readResume(header)?.token === handshake.resume ? header : null;
}

/** Where the public reaches the tunnel. */
function publicUrl(_protocol: string, _host: string, _rights: Rights): string {
  return '';
}

const operators = new Map<string, Promise<Operators>>();

/** The edge's own project. */
function operatorsOf({ OPERATOR_KEY: x = '' }: Env): Promise<Operators> {
  let known = operators.get(x);
  if (known === undefined) {
    known = ownProject(x);
    operators.set(x, known);
  }
  return known;
}

async function ownProject(x: string): Promise<Operators> {
  if (x === '') return () => null;
  await publicKey(x); // a key that is none fails here, once, and not at a connector
  const project = await thumbprint(x);
  return (asked) => (asked === project ? x : null);
}

function refusal(status: number, code: number, detail: string): Response {
  return Response.json({ status, code, detail }, { status });
}
