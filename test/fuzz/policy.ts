/**
 * Policies, mutated: the compiler never throws or dawdles, what it reports has a place in the text, and what it accepts
 * is an image that the engine opens.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ruleSetFinder } from '../../src/cli/deployment.ts';
import { compile, formatDiagnostics, type Compiled, type Target } from '../../src/compiler/index.ts';
import { createEngine, type Engine } from '../../src/waf/engine.ts';
import { mutateText, random, type Random, type Spoiling } from './random.ts';

const ROOT = join(import.meta.dirname, '../..');
const SLOWEST_COMPILE = 5000; // ms; the seeds take 20 to 100

const rulesets = ruleSetFinder(ROOT);
const SEEDS = ['examples/reference/sallyport.yaml', 'examples/shop/sallyport.yaml'].map((path) =>
  readFileSync(join(ROOT, path), 'utf8'),
);

/** What has broken such readers before, and words that change what a document means. */
const PIECES: readonly string[] = [
  ...[
    'null',
    '~',
    '[]',
    '{}',
    '""',
    '0',
    '-1',
    '1e309',
    '.nan',
    '0x7fffffffffffffff',
    'true',
    '!!binary aGk=',
    '!x y',
    '2026-11-21',
  ],
  ...[
    '&a ',
    '*a',
    '<<: *a\n',
    '? ',
    '- ',
    ': ',
    '|\n',
    '>-\n',
    '---\n',
    '...\n',
    '%YAML 1.1\n---\n',
    '# ',
    '\t',
    '\r',
    '\u0000',
    '\ufeff',
    '\u2028',
    '\ud800',
    '😀',
  ],
  ...[
    '__proto__: { a: 1 }\n',
    'constructor: 1\n',
    'toString',
    '{ secret: X }',
    'http://',
    'https://user:pass@host/',
    '*',
    '*.*',
    'xn--',
    'bücher',
    '[::1]',
    '::/0',
    '0.0.0.0/0',
  ],
  ...[
    '0s',
    '99999h99999h',
    '1e3s',
    '100%',
    '999MB',
    'Exact',
    'RegularExpression',
    'ConsistentHash',
    'replacePrefixMatch',
    'allowMissing: true',
    'mode: off',
    'off',
  ],
  ...[
    '(a+)+$',
    '[',
    '(?=a)',
    '\\',
    '(((((((((',
    '.{1,9999}',
    'and',
    'not',
    'in $office',
    '"',
    "'",
    'any(',
    'regex_replace(',
    'http.request.body.raw',
    'http.response.code',
    'ip.src',
  ],
];

const SPOILING: Spoiling = {
  pieces: PIECES,
  words: /[A-Za-z0-9_$./-]+/g,
  more: [
    (text, r) => {
      const lines = text.split('\n');
      const line = r.below(lines.length);
      lines[line] = ' '.repeat(r.below(8)) + (lines[line] ?? '').trimStart();
      return lines.join('\n');
    },
    (text, r) => text.replace(/[a-z]+: /g, (key) => (r.below(60) === 0 ? `${r.pick(PIECES)}: ` : key)),
    (text, r) => text.replace(/: [^\n,{}[\]]+/g, (value) => (r.below(60) === 0 ? `: ${r.pick(PIECES)}` : value)),
  ],
};
const mutate = (text: string, r: Random): string => mutateText(text, r, SPOILING);

function judge(texts: readonly string[], compiled: Compiled, engine: Engine): void {
  const { ok, diagnostics, images, manifest, plans } = compiled;
  assert.equal(ok, !diagnostics.some(({ severity }) => severity === 'error'));
  for (const one of diagnostics) {
    const lines = (texts[Number(one.file)] ?? '').split('\n');
    assert.ok(
      Number.isInteger(one.line) && one.line >= 1 && one.line <= lines.length,
      `line of ${JSON.stringify(one)}`,
    );
    assert.ok(
      one.column >= 1 && one.column <= (lines[one.line - 1] ?? '').length + 1,
      `column of ${JSON.stringify(one)}`,
    );
    assert.ok(one.length >= 1, `length of ${JSON.stringify(one)}`);
    assert.match(one.code, /^[a-z][a-z0-9-]+$/);
    assert.notEqual(one.message, '');
  }
  // Control characters of the policy must not reach the terminal.
  const shown = formatDiagnostics(diagnostics, { readText: (file) => texts[Number(file)] });
  assert.doesNotMatch(shown, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  if (!ok || manifest === null) {
    assert.deepEqual([manifest, images.size, plans.length], [null, 0, 0]);
    return;
  }
  const loaded = (hash: string) => ({ hash, bytes: images.get(hash) as Uint8Array });
  const generation = engine.load({
    id: manifest.generation,
    hosts: loaded(manifest.hosts),
    agents: manifest.agents === null ? null : loaded(manifest.agents),
    apps: manifest.apps.map((app) => ({ ...loaded(app.image), rulesets: app.rulesets.map(loaded) })),
  });
  engine.release(generation);
}

export async function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const engine = createEngine(new WebAssembly.Module(readFileSync(join(ROOT, 'dist/engine.wasm'))));
  const end = performance.now() + seconds * 1000;
  let cases = 0;
  let accepted = 0;
  for (; performance.now() < end; cases++) {
    const texts = [r.pick(SEEDS)];
    if (cases > 0 && r.below(10) === 0) texts.push(r.pick(SEEDS));
    // The first case of a run is a policy as it is.
    const most = cases === 0 ? 0 : 4;
    for (let i = 0; i < texts.length; i++) {
      for (let changes = Math.min(most, 1 + r.below(4)); changes > 0; changes--) texts[i] = mutate(texts[i]!, r);
    }
    const target: Target = r.below(4) === 0 && cases > 0 ? 'cloudflare' : 'workerd';
    const files = texts.map((text, index) => ({ path: String(index), text }));
    const started = performance.now();
    try {
      const compiled = await compile({ files, target, agents: null, rulesets });
      if (compiled.ok) accepted++;
      judge(texts, compiled, engine);
    } catch (error) {
      const policies = texts.map((text) => JSON.stringify(text)).join('\n');
      throw new Error(
        `case ${cases}, target ${target}: ${error instanceof Error ? error.stack : String(error)}\n${policies}`,
        { cause: error },
      );
    }
    const took = performance.now() - started;
    assert.ok(took < SLOWEST_COMPILE, `${took.toFixed(0)} ms for ${JSON.stringify(texts)}`);
  }
  assert.ok(accepted > 0, 'a policy was accepted');
  return cases;
}
