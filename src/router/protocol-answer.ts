/**
 * Phase `protocol-answer`: answers in a protocol of agents. Lists of an MCP server are cut to what the policy and its rules let through;
 * streams are marked to be passed on as they come.
 */
import { MAX_MCP_LIST_BYTES } from '../agents/mcp/limits.ts';
import { cutEvent, cutText, type Listing } from '../agents/mcp/listing.ts';
import { readBytes } from '../bytes.ts';
import { responseInit } from '../platform/runtime.ts';
import { rewriteAnswer } from './a2a-card.ts';
import type { A2aExchange } from './a2a.ts';
import { inflate } from './body.ts';
import { EventSplitter } from './event-stream.ts';
import { type Exchange, ownHeaders, type Phase } from './exchange.ts';
import { keptAlive } from './keep-alive.ts';
import { cutsLists, listingOf } from './mcp-listing.ts';
import { refuse } from './problem.ts';

export const protocolAnswer: Phase = {
  name: 'protocol-answer',
  run(exchange) {
    const { plan, mcp, response: answer } = exchange;
    // What the gateway answered itself needs no cutting.
    const { status, error } = exchange.upstream;
    if (exchange.a2a !== null && answer !== null && status !== 0 && error === '')
      return answerOfAgent(exchange, exchange.a2a);
    if (mcp === null || plan === null || answer === null || status === 0 || error !== '') return;
    const policy = plan.mcps[exchange.action?.mcp ?? -1];
    if (policy === undefined) return;
    const type = typeOf(answer);
    if (mcp.stateless && answer.headers.has('mcp-session-id')) ownHeaders(exchange).delete('mcp-session-id');
    if (type === 'text/event-stream') ownHeaders(exchange).set('x-accel-buffering', 'no');
    if (answer.body === null) return;
    const listing = cutsLists(exchange) ? listingOf(exchange, plan, policy) : null;
    if (type === 'text/event-stream') {
      if (listing !== null) cutStream(exchange, listing);
      return keepAlive(exchange);
    }
    if (listing !== null && /^application\/(?:[^;]+\+)?json$/.test(type)) return cutWhole(exchange, listing);
  },
};

/** Its card is rewritten; its streams are marked to be passed on as they come. */
function answerOfAgent(exchange: Exchange, a2a: A2aExchange): void | Promise<void> {
  const answer = exchange.response as Response;
  if (a2a.card !== null) return rewriteAnswer(exchange, a2a);
  if (typeOf(answer) === 'text/event-stream') ownHeaders(exchange).set('x-accel-buffering', 'no');
}

function typeOf({ headers }: Response): string {
  return (headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

async function cutWhole(exchange: Exchange, listing: Listing): Promise<void> {
  const answer = exchange.response as Response;
  const encoding = (answer.headers.get('content-encoding') ?? '').trim().toLowerCase();
  const bytes = await readBytes(answer.body, MAX_MCP_LIST_BYTES).catch(() => null);
  const plain =
    bytes === null || encoding === '' || encoding === 'identity'
      ? bytes
      : await inflate(bytes, encoding, MAX_MCP_LIST_BYTES, true);
  const text =
    plain === null || typeof plain === 'string' || ('truncated' in plain && plain.truncated)
      ? null
      : new TextDecoder().decode('bytes' in plain ? plain.bytes : plain);
  const cut = text === null ? null : cutText(text, listing);
  if (cut === null) return broken(exchange);
  const { status, statusText } = answer;
  const headers = new Headers(answer.headers);
  headers.delete('content-encoding');
  headers.delete('content-length');
  headers.delete('etag');
  exchange.response = new Response(cut, { status, statusText, headers });
  exchange.owned = true;
}

function cutStream(exchange: Exchange, listing: Listing): void {
  const answer = exchange.response as Response;
  const encoding = (answer.headers.get('content-encoding') ?? '').trim().toLowerCase();
  if (encoding !== '' && encoding !== 'identity') return broken(exchange);
  const events = new EventSplitter(MAX_MCP_LIST_BYTES);
  const cutter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      for (const { bytes, whole } of events.push(chunk)) {
        // Its data can't be looked at, so nothing says that it is no list.
        if (!whole) return controller.error(new Error('an event of an MCP server is too long'));
        controller.enqueue(cutEvent(bytes, listing));
      }
    },
    flush(controller) {
      // SPEC: HTML, 9.2.6: an event that no blank line ends is none. It is looked at all the same.
      const rest = events.end();
      if (rest !== null) controller.enqueue(cutEvent(rest.bytes, listing));
    },
  });
  const { status, statusText } = answer;
  const headers = new Headers(answer.headers);
  headers.delete('content-length');
  const body = (answer.body as ReadableStream<Uint8Array>).pipeThrough(cutter);
  exchange.response = new Response(body, responseInit({ status, statusText, headers, encodeBody: 'manual' }));
  exchange.owned = true;
}

/** Comments where a stream is silent; not into one that is encoded. */
function keepAlive(exchange: Exchange): void {
  const answer = exchange.response as Response;
  if (answer.body === null || !/^(?:identity)?$/i.test(answer.headers.get('content-encoding') ?? '')) return;
  const { status, statusText } = answer;
  const headers = new Headers(answer.headers);
  headers.delete('content-length');
  exchange.response = new Response(
    keptAlive(answer.body as ReadableStream<Uint8Array>),
    responseInit({ status, statusText, headers, encodeBody: 'manual' }),
  );
  exchange.owned = true;
}

function broken(exchange: Exchange): void {
  exchange.response?.body?.cancel().catch(() => {});
  const reason = 'the answer of the server can not be read';
  const verdict = { action: 'respond', phase: 'protocol-answer', rule: 'mcp.list', status: 502, reason, mode: 'enforce' } as const; // prettier-ignore
  refuse(exchange, verdict, 'http_protocol_error');
}
