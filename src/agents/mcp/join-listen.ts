/** `subscriptions/listen` of a joined endpoint: one stream of what servers of version 2026-07-28 tell. */
import type { McpServerPlan } from '../../plan.ts';
import { writeEvent } from './event-reader.ts';
import { nobody } from './join-answer.ts';
import { success } from './join-list.ts';
import { splitUri } from './join-names.ts';
import { fromServer, type Message } from './join-rewrite.ts';
import { inTime, type JoinContext, knownEra, mediaType, post, ServerFailure, statelessSession } from './join-server.ts';
import { messageEvent, weave } from './join-stream.ts';
import { mapMember, member } from './json-parts.ts';

const SUBSCRIPTION_KEY = 'io.modelcontextprotocol/subscriptionId';
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';

interface Opened {
  readonly server: McpServerPlan;
  readonly body: ReadableStream<Uint8Array>;
}

/** Servers with sessions tell such things in sessions only, and have nothing to say here. */
export async function listen(context: JoinContext, message: Message): Promise<Response> {
  const { join } = context;
  const filter = member(message.params ?? '{}', 'notifications') ?? '{}';
  const uris = resourcesOf(filter);
  let failed = 0;
  const opened = await Promise.all(
    join.servers.map(async (server): Promise<Opened | null> => {
      if (knownEra(server) === 'sessions') return null;
      const own = uris.flatMap((uri) => {
        const found = splitUri(join, uri);
        return found?.server === server ? [found.name] : [];
      });
      const asked = uris.length === 0 ? filter : mapMember(filter, 'resourceSubscriptions', () => JSON.stringify(own));
      const body = mapMember(
        message.text,
        'params',
        (params) => params && mapMember(params, 'notifications', () => asked),
      );
      try {
        const { response } = await inTime(context, server, (signal) =>
          post(context, server, statelessSession(), { body, method: message.method, name: '' }, { signal }),
        );
        if (response.ok && response.body !== null && mediaType(response) === 'text/event-stream')
          return { server, body: response.body as ReadableStream<Uint8Array> };
        await response.body?.cancel();
        // Those of the versions with sessions do not know what was meant.
        if (response.status !== 400 && response.status !== 404)
          context.note(server, `it answered ${response.status} to who listens`);
      } catch (error) {
        failed++;
        context.note(server, error instanceof ServerFailure ? error.message : 'it could not be reached');
      }
      return null;
    }),
  );
  const streams = opened.filter((one) => one !== null);
  // Servers that will never tell are no fault; one that did not answer might have.
  if (streams.length === 0 && failed > 0) return nobody(message);
  const shown = JSON.parse(honoured(filter, uris, streams)) as object;
  const first = {
    jsonrpc: '2.0',
    method: ACKNOWLEDGED,
    params: { _meta: { [SUBSCRIPTION_KEY]: JSON.parse(message.id ?? 'null') as unknown }, notifications: shown },
  };
  const over = success(message, `{"resultType":"complete","_meta":{"${SUBSCRIPTION_KEY}":${message.id}}}`);
  // Each server acknowledges, and ends, its own part; the client hears both once.
  const sources = streams.map(({ server, body }) => ({
    server,
    body,
    rewrite: (one: Message) => (one.method === ACKNOWLEDGED || one.method === '' ? null : fromServer(server, one)),
  }));
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' };
  return new Response(behind(JSON.stringify(first), weave('answer', sources, { done: () => over })), { headers });
}

/** A stream with one message in front. */
function behind(first: string, rest: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = rest.getReader();
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(writeEvent(messageEvent(first))),
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

function resourcesOf(filter: string): string[] {
  const own: unknown = JSON.parse(member(filter, 'resourceSubscriptions') ?? '[]');
  return Array.isArray(own) ? own.filter((one): one is string => typeof one === 'string') : [];
}

/** The filter as far as there is a server for it. */
function honoured(filter: string, uris: readonly string[], streams: readonly Opened[]): string {
  if (streams.length === 0) return '{}';
  if (uris.length === 0) return filter;
  const known = uris.filter((uri) => streams.some(({ server }) => uri.startsWith(`${server.name}+`)));
  return mapMember(filter, 'resourceSubscriptions', () => JSON.stringify(known));
}
