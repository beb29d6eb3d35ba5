/**
 * One server behind a joined endpoint: requests to it, in the words of the era that it is of. Servers of the versions with
 * sessions are asked in a session, those of 2026-07-28 each time by itself.
 */
import type { McpJoinPlan, McpServerPlan } from '../../plan.ts';
import { readBytes } from '../../bytes.ts';
import { readJsonText } from '../json-text.ts';
import { EventReader } from './event-reader.ts';
import { writeHeaderValue } from './header-value.ts';
import { ERA_MS, MAX_JOINED_MESSAGE } from './join-limits.ts';
import { type Message, readMessage } from './join-rewrite.ts';
import { mapMember, member, stringOf } from './json-parts.ts';

/** The version without sessions that is spoken to servers and taken from clients. */
export const STATELESS = '2026-07-28';
/** Those with sessions, newest first. */
export const WITH_SESSIONS = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;

export const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
export const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';
export const CLIENT_KEY = 'io.modelcontextprotocol/clientInfo';

/** How requests get to servers; what the surroundings give. */
export interface ServerDial {
  /**
   * One request to an endpoint of the server: to `endpoint` where that is not ''. `again`: it may be sent to another, or a
   * second time, when a connection fails. Rejects when no answer begins.
   */
  (
    server: McpServerPlan,
    init: RequestInit,
    endpoint: string,
    again: boolean,
  ): Promise<{ response: Response; endpoint: string }>;
}

export interface JoinContext {
  readonly join: McpJoinPlan;
  readonly dial: ServerDial;
  /** What goes to every server of the request's headers; none of these are MCP's own. */
  readonly headers: Headers;
  /** The client's. */
  readonly signal: AbortSignal;
  /** For the log: a server that was left out, and why. */
  note(server: McpServerPlan, reason: string): void;
  /** What goes on after the answer. */
  later(work: Promise<unknown>): void;
}

export type Era = 'sessions' | 'stateless';

/** A server as one session of ours, or one request, knows it. */
export interface ServerSession {
  readonly era: Era;
  readonly id: string; // '' for none
  readonly version: string;
  readonly endpoint: string;
}

/** A server that is left out, in words for the log and for `_meta`. */
export class ServerFailure extends Error {}

/** A request that a session server answered with 404: it does not know the session any more. */
export class SessionLost extends Error {}

export interface Post {
  readonly body: string;
  readonly method: string; // of the message; '' for a response
  /** What stands in Mcp-Name. */
  readonly name: string;
}

/** Sends a message, and resolves with the head of the answer. */
export async function post(
  { dial, headers: base, signal: client }: JoinContext,
  server: McpServerPlan,
  session: ServerSession,
  { body, method, name }: Post,
  { signal = client, again = false }: { signal?: AbortSignal; again?: boolean } = {},
): Promise<{ response: Response; endpoint: string }> {
  const headers = new Headers(base);
  headers.set('content-type', 'application/json');
  headers.set('accept', 'application/json, text/event-stream');
  setSession(headers, session);
  if (session.era === 'stateless') {
    headers.set('mcp-method', method);
    if (name !== '') headers.set('mcp-name', writeHeaderValue(name));
  }
  return await dial(server, { method: 'POST', headers, body, signal }, session.endpoint, again);
}

export function setSession(headers: Headers, { era, id, version }: ServerSession): void {
  // SPEC: versions before 2025-06-18 have no such header.
  if (version !== '' && version !== '2025-03-26') headers.set('mcp-protocol-version', version);
  if (era === 'sessions' && id !== '') headers.set('mcp-session-id', id);
}

/** The one response to a request, whether it comes as JSON or at the end of a stream; what else the stream has is dropped. */
export async function readResponse(response: Response): Promise<Message> {
  const type = mediaType(response);
  const body = response.body as ReadableStream<Uint8Array> | null;
  if (body !== null && type === 'text/event-stream') return await lastMessage(body);
  const bytes = await readBytes(body, MAX_JOINED_MESSAGE);
  if (bytes === null) throw new ServerFailure('its answer is too long');
  const message = type === 'application/json' ? accept(new TextDecoder().decode(bytes)) : null;
  if (message === null) throw new ServerFailure(`it answered ${response.status} with what is no JSON-RPC`);
  return message;
}

async function lastMessage(body: ReadableStream<Uint8Array>): Promise<Message> {
  const reader = body.getReader();
  const events = new EventReader(MAX_JOINED_MESSAGE);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new ServerFailure('its stream ended without a response');
      for (const { data } of events.push(value)) {
        const message = data === null || data === '' ? null : accept(data);
        if (message !== null && message.method === '' && message.id !== undefined) return message;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** A message of a server; null for what is none, or means something else to each parser. */
export function accept(text: string): Message | null {
  const read = readJsonText(text);
  return typeof read === 'string' ? null : readMessage(text);
}

export function mediaType(response: Response): string {
  return (response.headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

/** Runs `work` for at most the server's time; what it dials by then is ended. */
export async function inTime<T>(
  { signal }: JoinContext,
  server: McpServerPlan,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const gone = (): void => late.abort();
  signal.addEventListener('abort', gone, { once: true });
  let timer: ReturnType<typeof setTimeout> | null = null;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ServerFailure(`it did not answer within ${server.timeout} ms`));
      late.abort();
    }, server.timeout);
  });
  try {
    return await Promise.race([work(late.signal), over]);
  } finally {
    if (timer !== null) clearTimeout(timer);
    signal.removeEventListener('abort', gone);
  }
}

/** What a client says of itself, as JSON text. */
export interface ClientWords {
  readonly capabilities: string;
  readonly info: string;
}

/** Params of a request to a server of 2026-07-28, with the metadata that every one of them has. */
export function withMetadata(params: string | undefined, client: ClientWords): string {
  return mapMember(params ?? '{}', '_meta', (meta = '{}') => {
    const versioned = mapMember(meta, VERSION_KEY, () => JSON.stringify(STATELESS));
    const informed = mapMember(versioned, CLIENT_KEY, () => client.info);
    return mapMember(informed, CAPABILITIES_KEY, () => client.capabilities);
  });
}

/** `initialize` at a server, as a client of that version; or what a server of 2026-07-28 says of itself. */
export async function openServer(
  context: JoinContext,
  server: McpServerPlan,
  version: string,
  client: ClientWords,
): Promise<{ session: ServerSession; result: string }> {
  return await inTime(context, server, async (signal) => {
    if (knownEra(server) !== 'stateless') {
      const params = `{"protocolVersion":${JSON.stringify(version)},"capabilities":${client.capabilities},"clientInfo":${client.info}}`;
      const body = `{"jsonrpc":"2.0","id":"initialize","method":"initialize","params":${params}}`;
      const none: ServerSession = { era: 'sessions', id: '', version: '', endpoint: '' };
      const { response, endpoint } = await post(
        context,
        server,
        none,
        { body, method: 'initialize', name: '' },
        { signal, again: true },
      );
      let session: ServerSession = { ...none, id: response.headers.get('mcp-session-id') ?? '', endpoint };
      let begun = false;
      try {
        const answer = await readResponse(response);
        const result = member(answer.text, 'result');
        if (result !== undefined) {
          const agreed = stringOf(member(result, 'protocolVersion')) ?? '';
          session = { ...session, version: agreed };
          if (!(WITH_SESSIONS as readonly string[]).includes(agreed))
            throw new ServerFailure(`it speaks version ${agreed.slice(0, 40)}`);
          rememberEra(server, 'sessions');
          begun = true;
          return { session, result };
        }
        if (!isModern(answer.text)) throw new ServerFailure(`it refused to initialize: ${errorOf(answer.text)}`);
      } finally {
        // What the server made nobody will use.
        if (!begun) context.later(closeServer(context, server, session));
      }
    }
    return await discover(context, server, client, signal);
  });
}

/** SPEC: MCP 2026-07-28, discovery. */
export async function discover(
  context: JoinContext,
  server: McpServerPlan,
  client: ClientWords,
  signal: AbortSignal,
): Promise<{ session: ServerSession; result: string }> {
  const session = statelessSession();
  const body = `{"jsonrpc":"2.0","id":"discover","method":"server/discover","params":${withMetadata(undefined, client)}}`;
  const { response } = await post(
    context,
    server,
    session,
    { body, method: 'server/discover', name: '' },
    { signal, again: true },
  );
  const answer = await readResponse(response);
  const result = member(answer.text, 'result');
  if (result === undefined) throw new ServerFailure(`it refused to be discovered: ${errorOf(answer.text)}`);
  rememberEra(server, 'stateless');
  return { session, result };
}

export function statelessSession(): ServerSession {
  return { era: 'stateless', id: '', version: STATELESS, endpoint: '' };
}

/** Tells a server that a session is over; nobody waits for long, and nobody minds if it fails. */
export async function closeServer(context: JoinContext, server: McpServerPlan, session: ServerSession): Promise<void> {
  if (session.era !== 'sessions' || session.id === '') return;
  const headers = new Headers(context.headers);
  try {
    setSession(headers, session);
    await inTime(context, server, async (signal) => {
      const { response } = await context.dial(server, { method: 'DELETE', headers, signal }, session.endpoint, false);
      await response.body?.cancel();
    });
  } catch {
    // It has its own time for sessions that nobody uses.
  }
}

/** Codes that only servers of 2026-07-28 answer an opening with. */
const MODERN_CODES = new Set(['-32020', '-32021', '-32022', '-32601', '-32602']);

/** Whether an error is one that a server of 2026-07-28 gives. */
export function isModern(text: string): boolean {
  const error = member(text, 'error');
  return error !== undefined && MODERN_CODES.has(member(error, 'code') ?? '');
}

export function errorOf(text: string): string {
  const error = member(text, 'error') ?? '{}';
  return `${member(error, 'code') ?? ''} ${(stringOf(member(error, 'message')) ?? '').slice(0, 200)}`.trim();
}

const eras = new WeakMap<McpServerPlan, { readonly era: Era; readonly until: number }>();

export function knownEra(server: McpServerPlan): Era | null {
  const known = eras.get(server);
  return known !== undefined && known.until > Date.now() ? known.era : null;
}

export function rememberEra(server: McpServerPlan, era: Era): void {
  eras.set(server, { era, until: Date.now() + ERA_MS });
}
