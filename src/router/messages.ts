/**
 * WebSocket messages and server-sent events that the WAF looks at (`waf.messages`). Each text message of a client is judged
 * as a request of its own, as JSON where it is JSON and else as a parameter `message`; each text of an origin as the body
 * of an answer. Binary messages pass. Where messages are not looked at, none of them passes JavaScript.
 */
import { backlogs, FREE_BACKLOG, TOO_FAR_BEHIND } from '../backlog.ts';
import { OUTCOME_OK } from '../../assembly/abi.ts';
import { MAX_MESSAGE_BYTES } from '../../assembly/waf/abi.ts';
import { logMessage } from '../observe/message-log.ts';
import type { WafPlan } from '../plan.ts';
import { responseInit, socketPair, webSocketOf, type Socket } from '../platform/runtime.ts';
import type { Head } from '../waf/engine.ts';
import type { Exchange } from './exchange.ts';
import { EventSplitter } from './event-stream.ts';
import { judgePart, type PartVerdict } from './waf.ts';

type Side = 'client' | 'origin';

// SPEC: RFC 6455 section 7.4.1
const POLICY_VIOLATION = 1008;
const TOO_BIG = 1009;
const RESTART = 1012;

/** The answer with its messages looked at, or as it is when it has none. */
export function withMessages(exchange: Exchange, answer: Response): Response {
  const plan = exchange.waf?.plan;
  if (plan === undefined || plan.messages === 'off') return answer;
  const socket = webSocketOf(answer);
  if (socket !== null) return withSocket(exchange, plan, answer, socket as Socket);
  const type = (answer.headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  return type === 'text/event-stream' && answer.body !== null ? withEvents(exchange, plan, answer) : answer;
}

/** Keeps the generation of an exchange until its messages end. */
function keep(exchange: Exchange): () => void {
  exchange.lease.users++;
  let kept = true;
  return () => {
    if (!kept) return;
    kept = false;
    exchange.lease.users--;
  };
}

function withSocket(exchange: Exchange, plan: WafPlan, answer: Response, origin: Socket): Response {
  const pair = socketPair();
  if (pair === null) return answer;
  const [client, ours] = pair;
  const release = keep(exchange);
  const close = (code: number, reason: string): void => {
    release();
    for (const end of [ours, origin]) {
      try {
        // 1005 and 1006 say that there was no code; nobody may send them.
        if (code === 1005 || code === 1006) end.close();
        else end.close(code, reason);
      } catch {
        // closed already
      }
    }
  };
  const forward = (from: Side, data: string | ArrayBuffer, to: Socket): void => {
    const refusal = typeof data === 'string' ? judge(exchange, plan, from, data) : 0;
    if (refusal > 0) return close(refusal, 'refused by the web application firewall');
    const size = typeof data === 'string' ? data.length : data.byteLength;
    if (!backlogs.fits(to, (to.bufferedAmount ?? 0) + size))
      return close(TOO_FAR_BEHIND, `the ${from} sends more than the other side takes`);
    try {
      to.send(data);
    } catch {
      return close(1011, '');
    }
    watchBacklog(to);
  };
  ours.addEventListener('message', ({ data }) => forward('client', data, origin));
  origin.addEventListener('message', ({ data }) => forward('origin', data, ours));
  for (const end of [ours, origin]) {
    end.addEventListener('close', ({ code, reason }) => close(code, reason));
    end.addEventListener('error', () => close(1011, ''));
  }
  for (const end of [origin, ours]) {
    end.binaryType = 'arraybuffer';
    end.accept();
  }
  const { status, statusText, headers } = answer;
  return new Response(null, responseInit({ status, statusText, headers, encodeBody: 'manual', webSocket: client }));
}

const LOOK = 1000; // ms between looks at a socket that is behind
const watched = new WeakSet<Socket>();

/** Tells what waits in a socket, until it is little. */
function watchBacklog(socket: Socket): void {
  const bytes = socket.bufferedAmount ?? 0;
  backlogs.note(socket, bytes);
  if (bytes <= FREE_BACKLOG || watched.has(socket)) return;
  watched.add(socket);
  setTimeout(() => {
    watched.delete(socket);
    watchBacklog(socket);
  }, LOOK);
}

function withEvents(exchange: Exchange, plan: WafPlan, answer: Response): Response {
  const release = keep(exchange);
  const splitter = new EventSplitter(MAX_MESSAGE_BYTES);
  const stream = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      for (const { bytes, data, whole } of splitter.push(chunk)) {
        const refusal = whole ? judge(exchange, plan, 'origin', data) : tooBig(exchange, plan, 'origin');
        if (refusal > 0) {
          release();
          // What came before has been judged and sent; nothing more does.
          return controller.terminate();
        }
        controller.enqueue(bytes);
      }
    },
    flush(controller) {
      const rest = splitter.end();
      // SPEC: HTML, 9.2.6: an event that is not ended is not dispatched; its bytes are judged all the same.
      if (rest !== null && judge(exchange, plan, 'origin', rest.data) === 0) controller.enqueue(rest.bytes);
      release();
    },
  });
  const body = answer.body as ReadableStream<Uint8Array>;
  body.pipeTo(stream.writable).catch(release);
  const { status, statusText, headers } = answer;
  return new Response(
    stream.readable as ReadableStream<Uint8Array<ArrayBuffer>>,
    responseInit({ status, statusText, headers, encodeBody: 'manual' }),
  );
}

/** Close code of a refusal, 0 when the message may pass. */
function judge(exchange: Exchange, plan: WafPlan, from: Side, text: string): number {
  // Its images may be gone ten minutes after a swap; a client that comes back gets the new ones.
  if (exchange.lease.released) return RESTART;
  if (text.length > MAX_MESSAGE_BYTES) return tooBig(exchange, plan, from);
  const { verdict, failed } = from === 'client' ? judgeRequest(exchange, text) : judgeAnswer(exchange, text);
  if (failed) return unjudged(exchange, plan, from);
  if (verdict === null) return 0;
  const refused = verdict.blocked && plan.messages === 'enforce';
  logMessage(exchange, from, verdict, plan.messages, refused ? POLICY_VIOLATION : 0);
  return refused ? POLICY_VIOLATION : 0;
}

function tooBig(exchange: Exchange, plan: WafPlan, from: Side): number {
  const closed = plan.onError === 'closed' && plan.messages === 'enforce';
  logMessage(exchange, from, { blocked: true, rule: 0, events: [] }, plan.messages, closed ? TOO_BIG : 0);
  return closed ? TOO_BIG : 0;
}

function unjudged(exchange: Exchange, plan: WafPlan, from: Side): number {
  const closed = plan.onError === 'closed' && plan.messages === 'enforce';
  logMessage(exchange, from, { blocked: true, rule: 0, events: [] }, plan.messages, closed ? POLICY_VIOLATION : 0);
  return closed ? POLICY_VIOLATION : 0;
}

interface Judged {
  readonly verdict: PartVerdict | null;
  readonly failed: boolean; // no verdict
}

const encoder = new TextEncoder();

/** As a request with the head of the upgrade, whose body is the message. */
function judgeRequest(exchange: Exchange, text: string): Judged {
  const { engine, generation, seed, now, result } = exchange;
  const json = isJson(text);
  const body = encoder.encode(json ? text : `message=${encodeURIComponent(text.toWellFormed())}`);
  const head = withType(exchange.head, json ? 'application/json' : 'application/x-www-form-urlencoded');
  const first = engine.head(generation, head, seed, now, true);
  if (first.outcome !== OUTCOME_OK || result === null) return { verdict: null, failed: true };
  // A handshake that is refused now was let in before: only what the message adds is of interest, and it comes in phase 2.
  const { app } = result;
  const size = body.byteLength;
  const found = engine.body(generation, app, head, body, size, false, seed, now, first.state);
  if (found.waf === null || found.waf.action === 'limit') return { verdict: null, failed: true };
  return { verdict: judgePart(exchange, found.waf), failed: false };
}

/** As the body of an answer to the request that opened the stream. */
function judgeAnswer(exchange: Exchange, text: string): Judged {
  const { engine, generation, head, seed, now, result, state } = exchange;
  if (result === null) return { verdict: null, failed: true };
  const response: Head = { text: '200\0content-type\0text/html\0', fields: 3 };
  const body = encoder.encode(text);
  const { app } = result;
  const found = engine.response(generation, app, head, response, seed, now, state, body, false);
  if (found.waf === null || found.waf.action === 'limit') return { verdict: null, failed: true };
  return { verdict: judgePart(exchange, found.waf), failed: false };
}

/** Not by its first byte: `[12:30] hello` is text, and would be malformed as JSON. */
function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The head with this Content-Type and without what it says of another body. */
function withType(head: Head, type: string): Head {
  const fields = head.text.split('\0');
  let text = fields.slice(0, 3).join('\0') + '\0';
  let count = 3;
  for (let i = 3; i + 1 < fields.length; i += 2) {
    const name = fields[i]!;
    if (name === 'content-type' || name === 'content-length' || name === 'content-encoding') continue;
    text += name + '\0' + fields[i + 1]! + '\0';
    count += 2;
  }
  return { text: text + 'content-type\0' + type + '\0', fields: count + 2 };
}
