/** Dials into tunnels: one request to a session object, with the semantics of a dial to any other origin. */
import type { AccessRule } from '../tunnel/access.ts';
import {
  FAILURE_HEADER,
  MAX_SESSIONS,
  readTunnelDial,
  sessionName,
  SESSIONS_HEADER,
  type TunnelPlace,
  type TunnelSessionNamespace,
} from '../tunnel/objects.ts';
import { authorityOf } from './authority.ts';
import { Unavailable } from './platform.ts';
import { responseInit } from './runtime.ts';

/**
 * Goes through a tunnel; null: `dial` names no tunnel. Rejects when the tunnel has no answer of an origin; `impatient`: at
 * once when no connector is there, also when one may be back soon.
 */
export type TunnelDial = (
  dial: string,
  url: string,
  init: RequestInit,
  impatient?: boolean,
) => Promise<Response> | null;

/** Tunnels of which an isolate remembers that they have several sessions. */
const MAX_SPREAD = 1024;
const ABSENT = 2000; // ms for which a session that has no connector is not asked first

/** What is known of a tunnel with several sessions. */
interface Spread {
  /** As the session that answered last said. */
  sessions: number;
  /** By session: until when it is taken to have no connector, ms since the epoch. */
  readonly absent: number[];
}

export function tunnelDial(namespace: TunnelSessionNamespace | undefined): TunnelDial {
  const spreads = new Map<string, Spread>();
  const isKnown = knownTunnels(namespace);
  return (dial, url, init, impatient = false) => {
    if (!dial.startsWith('tunnel:')) return null;
    const place = readTunnelDial(dial, authorityOf(url));
    if (place === null) return Promise.reject(new Error('the host of the request names no tunnel'));
    if (namespace === undefined) return Promise.reject(new Error('this deployment holds no tunnels'));
    if (!dial.startsWith('tunnel:*.') || isKnown === null) return send(namespace, place, spreads, url, init, impatient);
    return isKnown(place.tunnel).then((there) => {
      if (!there) throw new Error('there is no tunnel of that name');
      return send(namespace, place, spreads, url, init, impatient);
    });
  };
}

const lookups = new WeakMap<TunnelSessionNamespace, (tunnel: string) => Promise<boolean>>();

/**
 * Whether there is a tunnel of a name that a stranger wrote; null where that needs no question. One that is there stays,
 * one that is not may be there the next moment.
 */
function knownTunnels(namespace: TunnelSessionNamespace | undefined): ((tunnel: string) => Promise<boolean>) | null {
  if (namespace?.exists === undefined) return null;
  let lookup = lookups.get(namespace);
  if (lookup === undefined) {
    const there = new Set<string>();
    lookup = async (tunnel) => {
      if (there.has(tunnel)) return true;
      if ((await namespace.exists?.(sessionName(tunnel, 0))) !== true) return false;
      if (there.size >= MAX_EXPOSED) there.clear();
      there.add(tunnel);
      return true;
    };
    lookups.set(namespace, lookup);
  }
  return lookup;
}

/** Milliseconds for which the word of a registry is believed before it is asked again. */
export const EXPOSED_MS = 2000;
const MAX_EXPOSED = 4096; // tunnels

export function tunnelExposure(
  namespace: TunnelSessionNamespace | undefined,
): ((tunnel: string) => Promise<AccessRule | null>) | null {
  if (namespace === undefined) return null;
  const known = new Map<string, { readonly rule: AccessRule | null; readonly until: number }>();
  const isKnown = knownTunnels(namespace);
  return async (tunnel) => {
    const found = known.get(tunnel);
    const now = Date.now();
    if (found === undefined && isKnown !== null && !(await isKnown(tunnel))) return null;
    if (found !== undefined && found.until > now) return found.rule;
    const rule = await namespace.getByName(sessionName(tunnel, 0)).exposed();
    if (known.size >= MAX_EXPOSED) known.clear();
    known.set(tunnel, { rule, until: now + EXPOSED_MS });
    return rule;
  };
}

async function send(
  namespace: TunnelSessionNamespace,
  { tunnel, service }: TunnelPlace,
  spreads: Map<string, Spread>,
  url: string,
  init: RequestInit,
  impatient: boolean,
): Promise<Response> {
  const spread = spreads.get(tunnel);
  const replayable = init.body === undefined || init.body === null;
  // Sessions in turn; one that has no connector says so at once. The last is asked again, and may wait for one.
  const turns = spread === undefined || spread.sessions === 1 || !replayable ? [] : turnsOf(spread);
  const last = spread === undefined ? 0 : (turnsOf(spread)[0] ?? 0);
  for (let turn = 0; ; turn++) {
    const waits = turn >= turns.length;
    const index = turns[turn] ?? last;
    const session = namespace.getByName(sessionName(tunnel, index));
    const sessions = spread?.sessions ?? 1;
    // One that is told of sessions and not to wait does not.
    const known = sessions === 1 && !impatient ? '' : `${sessions}${waits && !impatient ? 'w' : ''}`;
    const answer = await session.fetch(placed(url, `/s${known}:${service}`), init);
    const said = answer.headers.get(SESSIONS_HEADER);
    if (said !== null) learn(spreads, tunnel, Number(said));
    const reason = answer.status >= 400 ? answer.headers.get(FAILURE_HEADER) : null;
    if (reason === null) return said === null ? answer : withoutNote(answer);
    if (waits || answer.status !== 503) throw failureOf(answer.status, reason);
    spread!.absent[index] = Date.now() + ABSENT;
  }
}

function failureOf(status: number, reason: string): Error {
  if (status === 503) return new Unavailable(reason);
  // The request can not be sent, so no origin is to blame: as the runtime says it of a fetch.
  return status === 431 ? new TypeError(reason) : new Error(reason);
}

/** The sessions from any of them on, those that had no connector last. */
function turnsOf({ sessions, absent }: Spread): number[] {
  const now = Date.now();
  const first = Math.floor(Math.random() * sessions);
  const turns = Array.from({ length: sessions }, (_, turn) => (first + turn) % sessions);
  const isAbsent = (index: number): boolean => (absent[index] ?? 0) > now;
  return [...turns.filter((index) => !isAbsent(index)), ...turns.filter(isAbsent)];
}

function learn(spreads: Map<string, Spread>, tunnel: string, said: number): void {
  const sessions = Math.min(MAX_SESSIONS, Math.max(1, said));
  const known = spreads.get(tunnel);
  if (known !== undefined) return void (known.sessions = sessions);
  if (spreads.size >= MAX_SPREAD) spreads.clear();
  spreads.set(tunnel, { sessions, absent: [] });
}

/** The answer without what is between the session and this dial. */
function withoutNote({ body, status, statusText, headers }: Response): Response {
  const own = new Response(
    body,
    responseInit({ status, statusText, headers: new Headers(headers), encodeBody: 'manual' }),
  );
  own.headers.delete(SESSIONS_HEADER);
  return own;
}

/** The URL with `place` before its path. */
function placed(url: string, place: string): string {
  const at = url.indexOf('/', url.indexOf('://') + 3);
  return at < 0 ? url + place : url.slice(0, at) + place + url.slice(at);
}
