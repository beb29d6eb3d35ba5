import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testEngine } from '../../test/support/engine.ts';
import {
  compiledImages,
  random,
  randomBody,
  randomHead,
  randomResponse,
  REFERENCE,
} from '../../test/support/policies.ts';
import type { Generation, Head, HeadResult, StageResult } from './engine.ts';

const EXCHANGES = 1000;

interface Inputs {
  readonly head: Head;
  readonly body: Uint8Array;
  readonly response: Head;
  readonly seed: number;
  readonly generation: Generation;
}

test('exchanges that interleave phase by phase get what they get one after the other', async () => {
  const engine = await testEngine();
  const images = await compiledImages([REFERENCE]);
  const generations = ['one', 'two'].map((id) => engine.load({ id, ...images }));
  const next = random(20261121);
  const inputs: Inputs[] = Array.from({ length: EXCHANGES }, (_, index) => ({
    head: randomHead(next),
    body: randomBody(next),
    response: randomResponse(next),
    seed: next() | 0,
    generation: generations[index % 2]!,
  }));

  type Results = (HeadResult | StageResult)[];
  /** One phase; false when the exchange is over. */
  const step = ({ generation, head, body, response, seed }: Inputs, results: Results): boolean => {
    const state = results.at(-1)?.state ?? null;
    if (results.length === 0) {
      const result = engine.head(generation, head, seed, 1_800_000_000);
      results.push(result);
      return result.app >= 0;
    }
    const { app, client } = results[0] as HeadResult;
    if (results.length === 1) {
      results.push(engine.body(generation, app, head, client, body, body.length, false, seed, 1_800_000_000, state));
      return true;
    }
    results.push(engine.response(generation, app, head, client, response, seed, 1_800_000_000, state));
    return false;
  };

  const serial = inputs.map((input) => {
    const results: Results = [];
    while (step(input, results));
    return results;
  });
  const mixed = inputs.map((): Results => []);
  const open = inputs.map((_, index) => index);
  while (open.length > 0) {
    const at = next() % open.length;
    const index = open[at]!;
    if (!step(inputs[index]!, mixed[index]!)) {
      open[at] = open.at(-1)!;
      open.pop();
    }
  }
  for (const [index, results] of serial.entries())
    assert.deepEqual(mixed[index], results, JSON.stringify(inputs[index]!.head));
  // The requests have to differ for this to mean anything.
  const outcomes = new Set(
    serial.map(
      ([first]) => `${first!.outcome}/${first!.rule}/${(first as HeadResult).route}/${(first as HeadResult).agent}`,
    ),
  );
  assert.ok(outcomes.size >= 8, [...outcomes].join(' '));
  assert.equal(engine.traps, 0);
});
