/**
 * Phase `meter`: the tokens of a model's answer, counted while it passes: nothing waits for it. What the gateway asked for
 * and the client did not is taken out here. When the answer is over, or its client or its origin went away, the budgets get
 * what is theirs, and log, metrics and report learn it.
 */
import { UsageMeter, type Ending } from '../agents/llm/usage-meter.ts';
import { UsageStripper } from '../agents/llm/usage-stripper.ts';
import { NO_USAGE, type Usage } from '../agents/llm/usage.ts';
import { reportLate } from '../observe/agent-report.ts';
import { logUsage } from '../observe/usage-log.ts';
import { lengthStream, responseInit } from '../platform/runtime.ts';
import { declaredLength } from './body.ts';
import { settleBudgets, UNKNOWN_OUTPUT } from './token-budget.ts';
import { type Exchange, ownHeaders, type Phase } from './exchange.ts';
import type { LlmExchange } from './llm-exchange.ts';
import { UsageCounter } from './usage-counter.ts';

export const meter: Phase = {
  name: 'meter',
  run(exchange) {
    const { llm, response, upstream } = exchange;
    // PERF: all that requests to anything else cost.
    if (llm === null || llm.request === null || response === null) return;
    const answered = upstream.status >= 200 && upstream.status < 300 && upstream.error === '';
    // SPEC: an error of a provider costs nothing, nor does an answer of ours.
    if (!answered || response.body === null) return concluded(exchange, llm, null);
    exchange.response = metered(exchange, llm, llm.request, response);
    exchange.owned = true;
  },
};

/** The client went away before it had an answer: what had been asked for was read by the model, as far as anybody knows. */
export function leaveMeter(exchange: Exchange): void {
  const { llm, upstream } = exchange;
  if (llm === null || llm.request === null || llm.usage !== null) return;
  const asked = upstream.backend !== '' && llm.request.operation.kind !== 'counted';
  concluded(exchange, llm, asked ? { ...NO_USAGE, input: llm.request.input, estimated: true } : null);
}

function metered(
  exchange: Exchange,
  llm: LlmExchange,
  request: NonNullable<LlmExchange['request']>,
  answer: Response,
): Response {
  const { status, statusText, headers } = answer;
  const type = (headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  const encoding = (headers.get('content-encoding') ?? '').trim().toLowerCase();
  const events = type === 'text/event-stream';
  const plain = encoding === '' || encoding === 'identity';
  const stripper = llm.strips && events && plain ? new UsageStripper() : null;
  const counter = new UsageCounter(new UsageMeter(events, request.input), encoding);
  const length = stripper === null ? declaredLength(headers.get('content-length') ?? '') : -1;
  if (stripper !== null && headers.has('content-length')) {
    exchange.response = answer;
    ownHeaders(exchange).delete('content-length');
  }
  const source = (exchange.response ?? answer).body as ReadableStream<Uint8Array>;
  const { readable, writable } = lengthStream(length);
  const { signal } = exchange.request;
  const reader = source.getReader();
  // A pending read does not end by itself when the client is gone.
  const gone = (): void => void reader.cancel().catch(ignore);
  signal.addEventListener('abort', gone);
  const done = pump(reader, writable.getWriter(), stripper, counter, signal).then(async (ending) => {
    signal.removeEventListener('abort', gone);
    const counted = await counter.usage(ending);
    concluded(exchange, llm, usageFor(request, counted, ending));
  });
  exchange.context.waitUntil(done.catch((error: unknown) => broken(exchange, error)));
  const init = responseInit({
    status,
    statusText,
    headers: (exchange.response ?? answer).headers,
    encodeBody: 'manual',
  });
  return new Response(readable as ReadableStream<Uint8Array<ArrayBuffer>>, init);
}

async function pump(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  stripper: UsageStripper | null,
  counter: UsageCounter,
  signal: AbortSignal,
): Promise<Ending> {
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (signal.aborted) throw new Error('the client went away');
      if (done) break;
      counter.push(value);
      for (const bytes of stripper === null ? [value] : stripper.push(value)) await writer.write(bytes);
    }
    for (const bytes of stripper?.end() ?? []) await writer.write(bytes);
    // What was left unwritten is nobody's loss: all of the answer was there.
    await writer.close().catch(ignore);
    return 'complete';
  } catch (error) {
    // A failure of either side ends both.
    reader.cancel(error).catch(ignore);
    writer.abort(error).catch(ignore);
    return 'cut';
  }
}

function usageFor(request: NonNullable<LlmExchange['request']>, counted: Usage, ending: Ending): Usage | null {
  if (request.operation.kind === 'counted') return null;
  // What works in the background tells its tokens later, to who asks for them.
  if (request.background && counted.output === 0 && ending === 'complete') {
    const output = request.most < 0 ? UNKNOWN_OUTPUT : request.most;
    return { ...counted, output, estimated: true };
  }
  return counted;
}

/** Once for each exchange. `usage` null: nothing was used, or nobody is charged for it. */
function concluded(exchange: Exchange, llm: LlmExchange, usage: Usage | null): void {
  if (llm.usage !== null) return;
  llm.usage = usage ?? NO_USAGE;
  const settled = settleBudgets(exchange, llm.reservations.splice(0), usage);
  if (settled !== null) exchange.context.waitUntil(settled);
  if (usage === null) return;
  logUsage(exchange, usage);
  const { input, output, estimated } = usage;
  reportLate(exchange, ({ tokens }) => void tokens.push({ input, output, estimated }));
}

function broken({ id }: Exchange, error: unknown): void {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  console.error(JSON.stringify({ level: 'error', id, message: message.slice(0, 2000) }));
}

const ignore = (): void => {};
