import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_HELD_EVENT, UsageStripper } from './usage-stripper.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function strip(chunks: readonly Uint8Array[]): string {
  const stripper = new UsageStripper();
  const out = chunks.flatMap((chunk) => {
    const mine = chunk.slice();
    const passed = stripper.push(mine).map((one) => one.slice());
    mine.fill(0); // the runtime may use it again
    return passed;
  });
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat([...out, ...stripper.end()]));
}

const whole = (text: string): string => strip([encode(text)]);
const usage = '{"prompt_tokens":1,"completion_tokens":2}';
const word = (more: string): string => `data: {"choices":[{"delta":{"content":"é"}}]${more}}\n\n`;

const CASES: Readonly<Record<string, readonly [text: string, kept: string]>> = {
  'the chunk with nothing else goes': [
    `${word('')}data: {"id":"x","choices":[],"usage":${usage}}\n\ndata: [DONE]\n\n`,
    `${word('')}data: [DONE]\n\n`,
  ],
  'null goes from all chunks': [`${word(',"usage":null')}data: [DONE]\n\n`, `${word('')}data: [DONE]\n\n`],
  'from a chunk with choices only the member goes': [
    `data: {"usage":${usage}, "choices":[{"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`,
    `data: {"choices":[{"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`,
  ],
  'a chunk of Azure without choices and usage stays': [
    `data: {"choices":[],"prompt_filter_results":[],"usage":null}\n\n`,
    `data: {"choices":[],"prompt_filter_results":[]}\n\n`,
  ],
  'what the model wrote about it stays': [
    `data: {"choices":[{"delta":{"content":"\\"usage\\""}}]}\n\n`,
    `data: {"choices":[{"delta":{"content":"\\"usage\\""}}]}\n\n`,
  ],
  'a choice with one inside stays': [
    `data: {"choices":[{"usage":{"a":1}}]}\n\n`,
    `data: {"choices":[{"usage":{"a":1}}]}\n\n`,
  ],
  'what is no JSON, or has it twice, stays': [
    `data: "usage" {\n\ndata: {"usage":1,"usage":2,"choices":[]}\n\n`,
    `data: "usage" {\n\ndata: {"usage":1,"usage":2,"choices":[]}\n\n`,
  ],
  'comments, names and lines of an event stay in their place': [
    `: hi\nevent: x\ndata: {"choices":[1],\ndata: "usage":${usage}}\nid: 1\n\n`,
    `: hi\nevent: x\ndata: {"choices":[1]}\nid: 1\n\n`,
  ],
  'an event that is not ended': [`${word('')}data: {"choices":[],"usage":${usage}}`, word('')],
  'a byte order mark stays': [`\ufeff${word(',"usage":null')}`, `\ufeff${word('')}`],
  'CR LF': [
    `${word('')}data: {"choices":[],"usage":${usage}}\n\n: x\n\ndata: [DONE]\n\n`.replaceAll('\n', '\r\n'),
    `${word('')}: x\n\ndata: [DONE]\n\n`.replaceAll('\n', '\r\n'),
  ],
  CR: [
    `${word('')}data: {"choices":[],"usage":${usage}}\n\ndata: [DONE]\n\n`.replaceAll('\n', '\r'),
    `${word('')}data: [DONE]\n\n`.replaceAll('\n', '\r'),
  ],
};

for (const [name, [text, kept]] of Object.entries(CASES))
  test(`${name}, wherever it is cut`, () => {
    assert.equal(whole(text), kept);
    const bytes = encode(text);
    for (let at = 0; at <= bytes.length; at++)
      assert.equal(strip([bytes.subarray(0, at), bytes.subarray(at)]), kept, `at ${at}`);
    assert.equal(strip([...bytes].map((byte) => new Uint8Array([byte]))), kept);
  });

test('an event goes on as soon as it is whole', () => {
  const stripper = new UsageStripper();
  const first = encode(word(''));
  assert.equal(Buffer.concat(stripper.push(first)).toString(), word(''));
  assert.deepEqual(stripper.push(first.subarray(0, -1)), []);
  assert.equal(Buffer.concat(stripper.push(first.subarray(-1))).toString(), word(''));
});

test('what is held is bounded, at its edge', () => {
  const long = (bytes: number): string => {
    const rest = `data: {"choices":[],"usage":${usage},"x":""}\n\n`;
    return rest.replace('""', `"${'y'.repeat(bytes - rest.length)}"`);
  };
  assert.equal(whole(long(MAX_HELD_EVENT)), '');
  const over = long(MAX_HELD_EVENT + 1);
  assert.equal(whole(over), over);
  const chunks = [encode(over).subarray(0, 70_000), encode('z'.repeat(300_000)), encode(`\n\n${CASES['CR']![0]}`)];
  assert.equal(strip(chunks).endsWith(CASES['CR']![1]), true);
});

test('property: a stream without usage passes byte for byte', () => {
  const line = fc.oneof(fc.constantFrom('', ':', 'data: x', 'data: {"choices":[]}', 'data:é', 'event: y'), fc.string());
  fc.assert(
    fc.property(fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n'))), fc.array(fc.nat(200)), (lines, cuts) => {
      const bytes = encode(lines.flat().join('')).filter((byte) => byte !== 0x75); // no u, no usage
      const places = [0, ...cuts.filter((at) => at < bytes.length).sort((a, b) => a - b), bytes.length];
      const chunks = places.slice(1).map((to, index) => bytes.subarray(places[index], to));
      assert.equal(strip(chunks), new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    }),
    { numRuns: 300 },
  );
});
