/**
 * The objects that hold tunnels, as the worker sees them: their names, and what may be asked of them beside requests.
 *
 * Tunnel NAME has sessions `NAME#0` to `NAME#S-1`; socket i of a connector belongs to session i mod S, and one that
 * resumes a lane to that lane's. Session 0 is the
 * one that remembers: who owns the name, what was revoked, which nonces were used, how many sessions there are. A
 * request may go to any session; the answer says how many there are when the asker is mistaken.
 *
 * What a request to an object is for stands in the first segment of its path, which only dials write, so nothing that a
 * client sends can pass for a command: `/s:SERVICE/path` HTTP or a WebSocket, `/t:SERVICE` TCP (request and response body
 * are the two directions), `/a:SERVICE` TCP in WebSocket messages, `/l:` a connector's socket. Before the colon stands
 * how many sessions the dial knows of, when it is not one, and `w` when it asks the last of them, which may wait for a
 * connector to come back.
 */
import type { AccessRule } from './access.ts';
import { type Exposure, LABEL, type Network } from './capability.ts';
import type { Shown, ShownSocket } from './shown.ts';

export const MAX_SESSIONS = 64; // of one tunnel
export const SESSIONS_HEADER = 'x-sallyport-sessions';
/** On an answer that is no origin's: why the tunnel has none. Nothing else may set it: see session-http.ts. */
export const FAILURE_HEADER = 'x-sallyport-tunnel-failure';
/** Of a connector's socket on its way to an object: a LaneRequest as JSON. */
export const LANE_HEADER = 'x-sallyport-lane';

/** Of the socket of an `access` on its way to an object: a Guest as JSON. */
export const GUEST_HEADER = 'x-sallyport-guest';

/** What a worker has proven of a connector before it asks an object anything. */
export interface Claim {
  readonly tunnel: string;
  /** Thumbprint of the operator's key. */
  readonly project: string;
  /** When the capability was issued, ms since the epoch. */
  readonly generation: number;
  readonly nonce: string;
  /** Of the handshake, ms since the epoch. */
  readonly time: number;
  /** `access`: to reach what the tunnel has, which takes no name. */
  readonly purpose: 'serve' | 'access';
  /** How the capability exposes the tunnel; null: no word. */
  readonly exposure: Exposure | null;
  /** Thumbprint of the project that offers the service to this one, by the word of its registry; '' for none. */
  readonly host: string;
}

/** Session 0's word on a claim. `status` and `code`: of the refused upgrade, and the close code that says the same. */
export type Admission =
  /** `fresh`: the registry of the project may not know of the tunnel. */
  | { readonly admitted: true; readonly sessions: number; readonly fresh: boolean }
  | {
      readonly admitted: false;
      readonly status: number;
      readonly code: number;
      readonly reason: string;
      /** Thumbprint of the project that owns the tunnel, where it is another one and access was asked for; else ''. */
      readonly owner: string;
    };

export interface LaneRequest {
  readonly tunnel: string;
  readonly project: string;
  /** Thumbprint of the connector's key: a lane is resumed by no other. */
  readonly connector: string;
  readonly generation: number;
  readonly expires: number; // of the capability, ms since the epoch
  /** Address of the connector as the platform vouches for it. */
  readonly peer: string;
  /** RESUME_HEADER as it came, '' for none. */
  readonly resume: string;
  /** Where the public reaches the tunnel, '' where it does not. */
  readonly url: string;
  /** As session 0 said when it admitted the connector. */
  readonly sessions: number;
  /** Which of them this is. */
  readonly session: number;
  /** The socket belongs to another session by now: it resumes its lane here, or is refused. */
  readonly returns: boolean;
}

/** Who reaches a service by `access`, over a lane of its own that has one stream; both end when its right does. */
export interface Guest extends LaneRequest {
  readonly service: string;
  /** Tunnels that the capability covers: what the policy lets reach others. */
  readonly names: readonly string[];
}

export interface LaneStatus {
  readonly lane: string;
  readonly connector: string;
  readonly peer: string;
  readonly since: number; // ms since the epoch
  readonly attached: boolean;
  readonly draining: boolean;
  readonly streams: number;
  readonly roundTrip: number; // ms, 0 when not measured
}

export interface SessionStatus {
  readonly project: string; // '' before a connector came
  readonly sessions: number;
  /** Capabilities issued up to here are refused, 0: none was revoked. */
  readonly revoked: number;
  readonly lanes: readonly LaneStatus[];
  readonly streams: number;
}

/** Requests that are over, as an operator sees them. */
export interface NotedRequests {
  /** ShownWhole where heads and bodies were asked for. */
  readonly requests: readonly Shown[];
  /** What to ask for next. */
  readonly next: number;
  /** How many are not among them, for want of room. */
  readonly missed: number;
  /** Sockets that were open when somebody began to look; told once. */
  readonly open: readonly ShownSocket[];
}

/** What the worker and the control API may call. */
export interface TunnelSessionMethods {
  /** Session 0 only: takes the name for the project, uses up the nonce. */
  admit(claim: Claim): Promise<Admission>;
  /** Refuses capabilities issued up to `until` (ms since the epoch) and closes their sockets with 4403. How many. */
  revoke(until: number): Promise<number>;
  /** Closes what other projects than these, and guests that these networks do not let, have open, with 4403. How many sockets. */
  trust(projects: readonly string[], networks: readonly Network[] | null): Promise<number>;
  /** Session 0 only: takes the name for the project, ahead of any connector. False: another project has it. */
  reserve(project: string): Promise<boolean>;
  /** Session 0 only: the registry of the project has the tunnel; until then each admission is fresh. */
  listed(): Promise<void>;
  /** Session 0 only: who may use the tunnel by its host, beside what the policy says; null: no word. */
  expose(rule: AccessRule | null): Promise<void>;
  /** Session 0 only: as `expose` was told, and null where the tunnel is nobody's. */
  exposed(): Promise<AccessRule | null>;
  /** Ends what the project has open to the service by `access`. How many. */
  cut(project: string, service: string): Promise<number>;
  /**
   * GOAWAY on every lane: connectors open others, streams that are open go on. `ends`: this process does, so none may be
   * opened here. How many lanes.
   */
  drain(reason: string, ends?: boolean): Promise<number>;
  /** Session 0 only: how many sessions the tunnel has, 1 to MAX_SESSIONS. Another number drains it. */
  spread(sessions: number): Promise<void>;
  /** Of a session that the tunnel does without from now on: closes its sockets, whose connectors dial again. */
  retire(): Promise<void>;
  status(): Promise<SessionStatus>;
  /**
   * Requests that are over since `after` (-1: from now on), with heads and the beginning of bodies when `inspect`. They are
   * noted for a while after each question. Null: the session has connectors of another project.
   */
  requests(project: string, after: number, inspect: boolean): Promise<NotedRequests | null>;
  /** Closes every socket and gives the name back; capabilities issued up to `until` (ms since the epoch) are refused. */
  forget(until: number): Promise<void>;
}

export interface TunnelSessionStub extends TunnelSessionMethods {
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

export interface TunnelSessionNamespace {
  getByName(name: string): TunnelSessionStub;
  /** Whether there ever was such a session; absent where asking for one leaves nothing behind. */
  exists?(name: string): Promise<boolean>;
}

/**
 * Names of the sessions that hold sockets of connectors and woke in this isolate. On-prem it is the one of the worker as
 * well, so that a process that is about to end can tell them all.
 */
export const openSessions = new Set<string>();

export function sessionName(tunnel: string, session: number): string {
  return `${tunnel}#${session}`;
}

/** The id of a lane says in which session it is: a socket finds it there when the tunnel has another number of them. */
export function laneName(session: number, random: string): string {
  return `${session}_${random}`;
}

/** The session of a lane; null: the id is none of ours. */
export function sessionOfLane(lane: string): number | null {
  const session = Number(/^(\d{1,2})_/.exec(lane)?.[1] ?? MAX_SESSIONS);
  return session < MAX_SESSIONS ? session : null;
}

export interface TunnelPlace {
  readonly tunnel: string;
  /** '' for the connector's default one. */
  readonly service: string;
}

/**
 * `Endpoint.dial` of a tunnel: `tunnel:NAME`, `tunnel:NAME/SERVICE`, or `tunnel:*.DOMAIN` for the one that the authority
 * of the request names. Null for any other connection, or where the authority names none.
 */
export function readTunnelDial(dial: string, authority: string): TunnelPlace | null {
  if (!dial.startsWith('tunnel:')) return null;
  if (dial.startsWith('tunnel:*.')) return tunnelOfHost(authority, dial.slice('tunnel:*.'.length));
  const [tunnel = '', service = '', ...more] = dial.slice('tunnel:'.length).split('/');
  if (more.length > 0 || !LABEL.test(tunnel) || (service !== '' && !LABEL.test(service)))
    throw new Error(`${dial} names no tunnel`);
  return { tunnel, service };
}

/** The tunnel, and its service, that `NAME.domain` or `SERVICE.NAME.domain` is the host of, with or without port; else null. */
export function tunnelOfHost(authority: string, domain: string): TunnelPlace | null {
  const host = authority
    .toLowerCase()
    .replace(/:[0-9]*$/, '')
    .replace(/\.$/, '');
  if (!host.endsWith(`.${domain}`)) return null;
  const [tunnel = '', service, ...more] = host
    .slice(0, -domain.length - 1)
    .split('.')
    .toReversed();
  if (more.length > 0 || !LABEL.test(tunnel) || (service !== undefined && !LABEL.test(service))) return null;
  return { tunnel, service: service ?? '' };
}
