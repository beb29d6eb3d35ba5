/**
 * Language models: streams and bodies that were changed. However a stream is cut, its tokens are the same, and what passes the
 * stripper too; a body is refused or changed where it had to be, and nowhere else.
 */
import assert from 'node:assert/strict';
import { operationOf, type Operation } from '../../src/agents/llm/operation.ts';
import { changedBody, readLlmRequest } from '../../src/agents/llm/request.ts';
import { UsageMeter } from '../../src/agents/llm/usage-meter.ts';
import { UsageStripper } from '../../src/agents/llm/usage-stripper.ts';
import { random, type Random } from './random.ts';

const PIECES = ['"usage":', '{', '}', '[', ']', ',', '\n', '\r', '\r\n', '\n\n', 'data:', 'data: ', ':', '"', '\\', '\\"', '\\u0061', '-1', '1e9', '99999999999999999999', 'null', '[DONE]', '\ufeff', 'é', '🦀', ' ', '"choices":[]', '"completion_tokens":7', '"prompt_tokens":3', '"content":"x"', '"__proto__":']; // prettier-ignore
const STREAMS = [
  'data: {"choices":[{"delta":{"content":"Hé"}}],"usage":null}\n\ndata: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7}}\n\ndata: [DONE]\n\n',
  'event: message_start\r\ndata: {"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}}\r\n\r\ndata: {"type":"message_delta","delta":{"stop_reason":"end"},"usage":{"output_tokens":15}}\r\n\r\n',
  'data: {"candidates":[{"content":{"parts":[{"text":"🦀"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":8,"thoughtsTokenCount":3}}\r\r',
  '[{"usageMetadata":{"promptTokenCount":8}},{"choices":[{"usage":{"completion_tokens":1}}]}]',
];
const BODIES = [
  '{"model":"a","stream":true,"messages":[{"role":"user","content":"hi"}]}',
  '{"model":"a","stream":true,"stream_options":{"include_usage":false},"n":2,"max_tokens":5}',
  '{ "model" : "a" , "stream" : true , "seed" : 12345678901234567890 }',
];
const CHAT = operationOf('openai', 'POST', '/v1/chat/completions') as Operation;

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) (cases % 2 === 0 ? judgeStream : judgeBody)(r);
  return Promise.resolve(cases);
}

function mutate(r: Random, text: string): string {
  for (let i = r.below(4); i > 0; i--) {
    const at = r.below(text.length + 1);
    text =
      text.slice(0, at) + r.pick(PIECES).repeat(r.below(60) === 0 ? r.below(3000) : 1) + text.slice(at + r.below(8));
  }
  return text;
}

function cut(r: Random, bytes: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + r.below(r.pick([1, 4, 40, 400]));
    chunks.push(bytes.slice(at, end));
    at = end;
  }
  return chunks;
}

function judgeStream(r: Random): void {
  const bytes = new TextEncoder().encode(mutate(r, r.pick(STREAMS)));
  const events = r.below(4) > 0;
  const measure = (chunks: readonly Uint8Array[]): unknown => {
    const meter = new UsageMeter(events, 5);
    for (const chunk of chunks) meter.push(chunk);
    return [meter.usage('cut'), meter.usage('complete')];
  };
  const whole = measure([bytes]);
  const chunks = cut(r, bytes);
  assert.deepEqual(measure(chunks), whole);
  for (const usage of whole as { input: number; output: number }[])
    assert.ok(
      Number.isSafeInteger(usage.input) && usage.input >= 0 && Number.isSafeInteger(usage.output) && usage.output >= 0,
    );
  const strip = (parts: readonly Uint8Array[]): string => {
    const stripper = new UsageStripper();
    const out = parts.flatMap((part) => stripper.push(part));
    return Buffer.concat([...out, ...stripper.end()]).toString('hex');
  };
  const stripped = strip([bytes]);
  // Longer events pass as they come, and how much of them was held depends on the cuts.
  if (bytes.length <= 65_536) assert.equal(strip(chunks), stripped);
  if (!Buffer.from(bytes).includes('"usage"')) assert.equal(stripped, Buffer.from(bytes).toString('hex'));
}

function judgeBody(r: Random): void {
  const text = mutate(r, r.pick(BODIES)).toWellFormed();
  const request = readLlmRequest('openai', CHAT, new TextEncoder().encode(text));
  if (typeof request === 'string') return assert.match(request, /^[a-z-]+$/);
  const before = JSON.parse(text) as Record<string, unknown>;
  assert.equal(before['model'], request.model);
  const changed = changedBody(request, { model: 'b', askUsage: true });
  const after = (changed === null ? before : JSON.parse(new TextDecoder().decode(changed))) as Record<string, unknown>;
  assert.equal(after['model'], 'b');
  const options = after['stream_options'] as Record<string, unknown> | undefined;
  if (request.stream) assert.equal(options?.['include_usage'], true);
  for (const key of Object.keys(before))
    if (key !== 'model' && key !== 'stream_options') assert.deepEqual(after[key], before[key], key);
}
