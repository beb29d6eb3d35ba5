import assert from 'node:assert/strict';
import { test } from 'node:test';
import { random as hostile } from '../../test/fuzz/random.ts';
import { ROOT } from '../../test/gateway.ts';
import { testEngine } from '../../test/support/engine.ts';
import {
  compiledImages,
  random,
  randomBody,
  randomHead,
  randomResponse,
  REFERENCE,
} from '../../test/support/policies.ts';
import { randomBody as hostileBody } from '../../test/support/transactions.ts';
import { compiledRules } from '../cli/rule-images.ts';
import { compile } from '../compiler/index.ts';
import type { Engine, Generation, Head, HeadResult, Loaded, StageResult } from './engine.ts';

const EXCHANGES = 1000;

interface Inputs {
  readonly head: Head;
  readonly body: Uint8Array;
  readonly response: Head;
  readonly seed: number;
  readonly generation: Generation;
}

type Images = Omit<Parameters<Engine['load']>[0], 'id'>;

test('exchanges that interleave phase by phase get what they get one after the other', async () => {
  const next = random(20261121);
  await compare(await compiledImages([REFERENCE]), () => randomBody(next), ({ outcome, rule, route, agent }) => [outcome, rule, route, agent].join('/')); // prettier-ignore
});

test('and so do those that the WAF judges, whose scores go from phase to phase', async () => {
  const next = hostile(20261121);
  const body = () =>
    Buffer.from(
      hostileBody(next)
        .replaceAll(/[^\0-\xff]/g, '?')
        .slice(0, 20_000),
      'latin1',
    );
  await compare(await guarded(), body, (...results) =>
    results
      .map(({ waf }) => (waf === null ? '' : [waf.action, ...waf.events.map(({ rule }) => rule)].join()))
      .join('/'),
  );
});

async function guarded(): Promise<Images> {
  const { manifest, images, diagnostics } = await compile({
    files: [
      {
        path: 'a.yaml',
        text: 'app: waf\nwaf: { paranoia: { blocking: 1, detection: 2 }, response: { inspect: true } }\nroutes: [{ name: all }]\n',
      },
    ],
    target: 'workerd',
    agents: null,
    rulesets: (name) => compiledRules(ROOT, name),
  });
  assert.ok(manifest !== null, JSON.stringify(diagnostics));
  const loaded = (hash: string): Loaded => ({ hash, bytes: images.get(hash)! });
  const apps = manifest.apps.map(({ image, rulesets }) => ({ ...loaded(image), rulesets: rulesets.map(loaded) }));
  return { hosts: loaded(manifest.hosts), agents: null, apps };
}

/** With a type of body, where there is none yet. */
function typed({ text, fields }: Head): Head {
  return { text: `${text}content-type\0application/x-www-form-urlencoded\0`, fields: fields + 2 };
}

async function compare(
  images: Images,
  body: () => Uint8Array,
  kind: (head: HeadResult, ...stages: StageResult[]) => string,
): Promise<void> {
  const engine = await testEngine();
  const generations = ['one', 'two'].map((id) => engine.load({ id, ...images }));
  const next = random(20261122);
  const inputs: Inputs[] = Array.from({ length: EXCHANGES }, (_, index) => ({
    head: typed(randomHead(next)),
    body: body(),
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
    const { app } = results[0] as HeadResult;
    if (results.length === 1) {
      results.push(engine.body(generation, app, head, body, body.length, false, seed, 1_800_000_000, state));
      return true;
    }
    results.push(engine.response(generation, app, head, response, seed, 1_800_000_000, state));
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
  // Steps may differ by a few: the bytes behind a text may look like the start of a literal of the WAF.
  const plain = (results: Results): unknown =>
    results.map((one) => ({ ...one, steps: 0, waf: one.waf && { ...one.waf, steps: 0 } }));
  for (const [index, results] of serial.entries())
    assert.deepEqual(plain(mixed[index]!), plain(results), JSON.stringify(inputs[index]!.head));
  // The requests have to differ for this to mean anything.
  const kinds = new Set(serial.map((results) => kind(results[0] as HeadResult, ...results.slice(1))));
  assert.ok(kinds.size >= 8, [...kinds].join(' '));
  assert.equal(engine.traps, 0);
}
