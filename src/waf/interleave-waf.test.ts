/** What a WAF transaction carries from call to call is its own: exchanges interleave, verdicts stay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestHead, testEngine } from '../../test/support/engine.ts';
import { pick, random } from '../../test/support/policies.ts';
import { compile } from '../compiler/index.ts';
import type { Generation, Head, HeadResult, StageResult } from './engine.ts';

const POLICY = `
app: shop
waf:
  ruleset: none
  mode: enforce
  response: { inspect: true }
  secLang: |
    SecRule ARGS "@rx (a+)" "id:1,phase:1,pass,log,capture,setvar:tx.score=+5,setvar:'tx.seen_%{TX.1}=1',logdata:'%{TX.1}'"
    SecRule ARGS:off "@streq 1" "id:2,phase:1,pass,nolog,ctl:ruleRemoveById=4,ctl:ruleRemoveTargetById=3;ARGS:b"
    SecRule ARGS "@contains b" "id:3,phase:2,pass,log,setvar:tx.score=+3"
    SecRule TX:score "@ge 13" "id:4,phase:2,deny,status:418,log,logdata:'%{tx.score}'"
    SecRule TX:/^seen_/ "@eq 1" "id:5,phase:3,pass,log"
    SecRule RESPONSE_BODY "@contains secret" "id:6,phase:4,deny,log,chain"
      SecRule TX:score "@ge 5" "t:none"
    SecRule TX:score "@gt 0" "id:7,phase:5,pass,log,logdata:'%{tx.score}'"
routes:
  - name: all
    backend: origin
backends:
  origin: { url: http://127.0.0.1:9 }
`;
const EXCHANGES = 400;
const VALUES = ['a', 'aa', 'b', 'ab', '1', 'x', ''];
const NAMES = ['a', 'b', 'off', 'q'];

interface Inputs {
  readonly head: Head;
  readonly body: Uint8Array | null;
  readonly answer: Uint8Array;
  readonly seed: number;
}

test('WAF transactions that interleave get what they get one after the other', async () => {
  const compiled = await compile({ files: [{ path: 'p.yaml', text: POLICY }], target: 'workerd', agents: null });
  assert.ok(compiled.manifest !== null, JSON.stringify(compiled.diagnostics));
  const { manifest, images } = compiled;
  const loaded = (hash: string) => ({ hash, bytes: images.get(hash)! });
  const engine = await testEngine();
  const generation: Generation = engine.load({
    id: 'one',
    hosts: loaded(manifest.hosts),
    agents: null,
    apps: manifest.apps.map(({ image }) => loaded(image)),
  });
  const next = random(7);
  const pairs = (): string =>
    Array.from({ length: next() % 4 }, () => `${pick(next, NAMES)}=${pick(next, VALUES)}`).join('&');
  const encoder = new TextEncoder();
  const inputs: Inputs[] = Array.from({ length: EXCHANGES }, () => {
    const posted = next() % 2 === 0;
    const headers = posted ? [['content-type', 'application/x-www-form-urlencoded'] as const] : [];
    return {
      head: requestHead(`http://shop.example/?${pairs()}`, { method: posted ? 'POST' : 'GET', headers }),
      body: posted ? encoder.encode(pairs()) : null,
      answer: encoder.encode(next() % 2 === 0 ? 'a secret' : 'fine'),
      seed: next() | 0,
    };
  });

  type Results = (HeadResult | StageResult)[];
  /** One call; false when the exchange is over. */
  const step = ({ head, body, answer, seed }: Inputs, results: Results): boolean => {
    const last = results.at(-1);
    const state = last?.state ?? null;
    if (last === undefined) results.push(engine.head(generation, head, seed, 1, body !== null));
    else if (results.length === 1 && body !== null) {
      results.push(engine.body(generation, 0, head, body, body.length, false, seed, 1, state));
    } else {
      const response = { text: `200\0content-type\0text/html\0`, fields: 3 };
      results.push(engine.response(generation, 0, head, response, seed, 1, state, answer));
      return false;
    }
    return results.at(-1)!.waf?.action === 'pass';
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
    if (step(inputs[index]!, mixed[index]!)) continue;
    open[at] = open.at(-1)!;
    open.pop();
  }
  for (const [index, results] of serial.entries()) assert.deepEqual(mixed[index], results, inputs[index]!.head.text);
  // Every rule has to have had its say for this to mean anything.
  const told = new Set(serial.flatMap((results) => results.flatMap(({ waf }) => waf!.events.map(({ rule }) => rule))));
  assert.deepEqual([...told].sort(), [1, 3, 4, 5, 6, 7]);
  const actions = new Set(serial.map((results) => `${results.length} ${results.at(-1)!.waf!.action}`));
  assert.deepEqual(
    [...actions].sort(),
    ['1 deny', '2 deny', '2 pass', '3 deny', '3 pass'].filter((one) => actions.has(one)),
  );
  assert.ok(actions.size >= 4, [...actions].join());
  assert.equal(engine.traps, 0);
});
