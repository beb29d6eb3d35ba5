/**
 * After a trap the engine's instance is replaced over the same memory, where everything stands as the one before left it:
 * no part of it may take memory for empty that it has not emptied itself.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { requestHead, testEngine } from '../../test/support/engine.ts';
import { ATTACKS } from '../../test/core-rules/attacks.ts';
import { ORDINARY_BODIES } from '../../test/core-rules/bodies.ts';
import { ORDINARY } from '../../test/core-rules/traffic.ts';
import { ROOT } from '../../test/gateway.ts';
import { openRules } from '../../test/support/waf.ts';
import { ARENA_AT, DETECT_AT, DETECT_BYTES, IMAGES_AT, RESULT_AT } from '../../assembly/abi.ts';
import { compiledRules } from '../cli/rule-images.ts';
import { compile } from '../compiler/index.ts';
import { readFileSync } from 'node:fs';

const Memory = WebAssembly.Memory;
/** Static data, tables of the detectors, scratch and what the scan keeps; the rest is the host's to write. */
const REGIONS = [
  [0, RESULT_AT],
  [DETECT_AT, DETECT_AT + DETECT_BYTES],
  [ARENA_AT, IMAGES_AT],
] as const;

/** What is made with memories that hold `byte` in the regions of the engine. */
async function over<T>(byte: number, make: () => Promise<T>): Promise<T> {
  class Used extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      const bytes = new Uint8Array(this.buffer);
      for (const [from, to] of REGIONS) bytes.fill(byte, from, to);
    }
  }
  WebAssembly.Memory = Used as typeof Memory;
  try {
    return await make();
  } finally {
    WebAssembly.Memory = Memory;
  }
}

const BYTES = [0, 0xff, 0xa5, 1];

test('the WAF judges as over new memory', async () => {
  const rules = `Include ${join(ROOT, 'rules/main.conf')}\n`;
  const open = async () => (await openRules(rules, { paranoia: { blocking: 2, detection: 2 }, response: true })).waf;
  const transactions = [
    ...ATTACKS.map(({ transaction }) => transaction),
    ...[...ORDINARY, ...ORDINARY_BODIES].map(([, one]) => one),
  ];
  const verdicts: unknown[] = [];
  for (const byte of BYTES) {
    const waf = await over(byte, open);
    // What stands behind a text may cost a step or two: vectors read it, and do not take it for a match.
    verdicts.push(transactions.map((one) => ({ ...waf.inspect(one), steps: 0 })));
    assert.equal(waf.traps, 0);
  }
  for (const [index, byte] of BYTES.entries()) assert.deepEqual(verdicts[index], verdicts[0], String(byte));
});

test('so does everything else', async () => {
  const text = readFileSync(join(ROOT, 'examples/reference/sallyport.yaml'), 'utf8');
  const agents = readFileSync(join(ROOT, 'dist/agents.img'));
  const { manifest, images, diagnostics } = await compile({
    ...{ files: [{ path: 'p.yaml', text }], target: 'workerd', agents },
    rulesets: (name) => compiledRules(ROOT, name),
  });
  assert.ok(manifest !== null, JSON.stringify(diagnostics));
  const loaded = (hash: string) => ({ hash, bytes: images.get(hash)! });
  const run = async () => {
    const engine = await testEngine();
    const generation = engine.load({
      id: 'one',
      hosts: loaded(manifest.hosts),
      agents: manifest.agents === null ? null : loaded(manifest.agents),
      apps: manifest.apps.map(({ image, rulesets }) => ({ ...loaded(image), rulesets: rulesets.map(loaded) })),
    });
    const heads = ['/', '/api/v1/x?a=1&b[]=2', '/.env', '/shop/../x', "/?q=1'+or+'1'='1"].flatMap((path) =>
      ['ref.localhost', 'a.ref.localhost', '127.0.0.1', '[::1]'].map((host) =>
        requestHead(`http://${host}${path}`, {
          method: 'POST',
          headers: [
            ['user-agent', 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'],
            ['content-type', 'application/json'],
            ['cookie', 'a=1; b="2"'],
            ['x-forwarded-for', '192.0.2.1, 10.0.0.1'],
          ],
        }),
      ),
    );
    const body = new TextEncoder().encode('{"a":"<script>alert(1)</script>","b":[1,2]}');
    const response = { text: '200\0content-type\0text/html\0', fields: 3 };
    const results = heads.map((head) => {
      const first = engine.head(generation, head, 1, 1, true);
      const second = engine.body(generation, 0, head, body, body.length, false, 1, 1, first.state);
      const third = engine.response(generation, 0, head, response, 1, 1, second.state, body);
      return [first, second, third].map((one) => ({ ...one, steps: 0 }));
    });
    assert.equal(engine.traps, 0);
    return results;
  };
  const results: unknown[] = [];
  for (const byte of BYTES) results.push(await over(byte, run));
  for (const [index, byte] of BYTES.entries()) assert.deepEqual(results[index], results[0], String(byte));
});
