/** `sallyport rules`, as a person runs it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readBundle } from '../../src/waf/bundle.ts';
import { run } from '../gateway.ts';

let folder = '';
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(['rules', ...args, '--json'], folder);
  assert.ok(code !== 0 || /^(compiling [^\n]*\n)?$/.test(stderr), stderr);
  return { code, ...(JSON.parse(stdout) as Record<string, unknown>) } as { code: number; [field: string]: unknown };
};

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-rulesets-'));
  mkdirSync(join(folder, 'mine/data'), { recursive: true });
  writeFileSync(
    join(folder, 'mine/rules.conf'),
    `SecRule ARGS "@pmFromFile data/words.data" "id:1001,phase:2,deny,status:418,msg:'a word',tag:'mine',tag:'paranoia-level/2',severity:'ERROR',t:lowercase"
SecRule REQUEST_HEADERS:X-A "@rx ^a+$" "id:1002,phase:1,pass,nolog"
`,
  );
  writeFileSync(join(folder, 'mine/data/words.data'), '# words\nfoo\nbar\n');
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('a rule set is added, listed, shown and tested', async () => {
  const added = await json('add', 'mine@1', '--from', 'mine');
  const [one] = added['rulesets'] as Record<string, unknown>[];
  assert.deepEqual([one!['name'], one!['count'], one!['fresh']], ['mine@1', 2, true]);
  const lock = JSON.parse(readFileSync(join(folder, 'sallyport.lock'), 'utf8')) as {
    rulesets: Record<string, unknown>;
  };
  assert.deepEqual(Object.keys(lock.rulesets), ['mine@1']);

  const { rulesets } = await json('list');
  assert.deepEqual(
    (rulesets as Record<string, unknown>[]).map(({ name, here }) => [name, here]),
    [
      ['core', true],
      ['mine@1', true],
    ],
  );

  const { rules } = await json('show', '1001', '--ruleset', 'mine@1');
  const [rule] = rules as Record<string, unknown>[];
  assert.deepEqual(
    [rule!['id'], rule!['phase'], rule!['paranoia'], rule!['severity'], rule!['message'], rule!['line']],
    [1001, 2, 2, 'ERROR', 'a word', 1],
  );
  assert.match(String(rule!['text']), /^SecRule ARGS "@pmFromFile/);
  const { rules: guards } = await json('show', 'malformed-body');
  assert.deepEqual(
    (guards as Record<string, unknown>[]).map(({ id }) => id),
    [9000002, 9000003, 9000004],
  );
  const tagged = await json('show', 'mine', '--ruleset', 'mine@1');
  assert.equal((tagged['rules'] as unknown[]).length, 1);

  const tested = await json('test', 'mine@1');
  const [result] = tested['rulesets'] as Record<string, unknown>[];
  assert.deepEqual(
    [tested.code, result!['ok'], result!['rules'], result!['paranoia'], result!['matchers']],
    [0, true, 2, [1, 1, 0, 0], 2],
  );
  const human = await run(['rules', 'test', 'mine@1'], folder);
  assert.match(human.stdout, /good mine@1 {2}2 rules, 2 patterns and lists/);
});

test('a rule set with mistakes is reported with file, line and column', async () => {
  mkdirSync(join(folder, 'bad'));
  writeFileSync(
    join(folder, 'bad/a.conf'),
    'SecRule ARGS "@rx ok" "id:1,phase:2,deny"\nSecRule ARGS "@rx a(?=b)" "id:2,phase:2,deny"\nSecRule ARG "@rx x" "id:3,phase:2,deny"\n',
  );
  await json('add', 'bad', '--from', 'bad');
  const tested = await json('test', 'bad');
  assert.equal(tested.code, 1);
  const [result] = tested['rulesets'] as {
    ok: boolean;
    diagnostics: { line: number; file: string; message: string }[];
  }[];
  assert.equal(result!.ok, false);
  const lines = result!.diagnostics.map(({ file, line }) => `${file}:${line}`);
  assert.ok(lines.includes('a.conf:3'), lines.join());
  const human = await run(['rules', 'test', 'bad'], folder);
  assert.deepEqual([human.code, human.stdout], [1, 'bad  bad\n']);
  assert.match(human.stderr, /a\.conf:3:9/);
  assert.match(human.stderr, /SecRule ARG "@rx x"/, 'the line itself');
});

test('rules whose patterns need backtracking can be left out, which is said at every build', async () => {
  mkdirSync(join(folder, 'old'));
  const text = (third: string): string =>
    `SecRule ARGS "@rx ok" "id:1,phase:2,deny"\nSecRule ARGS "@rx a(?=b)" "id:2,phase:2,deny"\nSecRule ARGS "@rx ${third}" "id:3,phase:2,deny"\n`;
  writeFileSync(join(folder, 'old/a.conf'), text('x%{tx.a}'));
  await json('add', 'old', '--from', 'old');
  writeFileSync(
    join(folder, 'old.yaml'),
    'app: a\nwaf: { ruleset: old }\nbackends: { b: { url: http://127.0.0.1:1 } }\nroutes: [{ backend: b }]\n',
  );
  const check = async (): Promise<{ code: string; line: number; message: string; cause?: string }[]> =>
    (
      JSON.parse((await run(['check', 'old.yaml', '--json'], folder)).stdout) as {
        diagnostics: Awaited<ReturnType<typeof check>>;
      }
    ).diagnostics;
  const [refused] = await check();
  assert.equal(refused!.code, 'unknown-ruleset');
  assert.match(refused!.cause ?? '', /sallyport rules add old --leave-out-unsupported does without/);

  const expected = [
    ['a.conf:2:20', 'rule 2 is left out: lookahead is not supported'],
    ['a.conf:3:20', 'rule 3 is left out: @rx cannot hold a macro'],
  ];
  const added = await run(['rules', 'add', 'old', '--leave-out-unsupported'], folder);
  assert.equal(added.code, 0, added.stderr);
  for (const [place, why] of expected) assert.ok(added.stdout.includes(`  ${place}  ${why}\n`), added.stdout);
  // Compiled once, and from the cache afterwards.
  for (let times = 0; times < 2; times++)
    assert.deepEqual(
      (await check()).map(({ code, line, message, cause }) => [code, line, message, cause]),
      expected.map(([place, why]) => ['rule-left-out', 2, `old: ${why}`, place]),
    );
  assert.match((await run(['rules', 'list'], folder)).stdout, /old.*leaves out unsupported rules\n/);
  const [tested] = (await json('test', 'old'))['rulesets'] as { ok: boolean; rules: number }[];
  assert.deepEqual([tested!.ok, tested!.rules], [true, 1]);
  assert.equal((await json('add', 'old'))['code'], 0);
  assert.match(readFileSync(join(folder, 'sallyport.lock'), 'utf8'), /"unsupported": "leave-out"/, 'it stays');
  await json('add', 'old', '--no-leave-out-unsupported');
  assert.doesNotMatch(readFileSync(join(folder, 'sallyport.lock'), 'utf8'), /unsupported/);
  assert.equal((await json('test', 'old'))['code'], 1);
  assert.match(String((await json('add', '--leave-out-unsupported'))['error']), /name it/);
});

test('what cannot be is said in one sentence', async () => {
  const error = async (...args: string[]) => String((await json(...args))['error']);
  assert.match(await error('frob'), /rules takes add, list, show, test, bundle/);
  assert.match(await error('show'), /which rule/);
  assert.match(await error('show', '9', '--ruleset', 'mine@1'), /no rule 9 in mine@1/);
  assert.match(await error('test', 'gone@1'), /there is no rule set gone@1/);
  assert.match(await error('add', 'core'), /part of Sallyport/);
  assert.match(await error('add', '../x'), /a rule set is named/);
  assert.match(await error('add', '--from', 'mine'), /name it/);
});

test('the WAF of a policy becomes one file for workers of one’s own', async () => {
  writeFileSync(
    join(folder, 'guard.yaml'),
    'app: guard\nwaf: { ruleset: mine@1, paranoia: { blocking: 2 } }\nroutes: [{ name: all }]\n',
  );
  const { file, bytes } = await json('bundle', 'guard.yaml', '--out', 'guard.bin');
  const content = readFileSync(join(folder, String(file)));
  assert.equal(content.length, bytes);
  const { manifest, images } = readBundle(content);
  assert.deepEqual([manifest.apps[0]?.name, manifest.apps[0]?.rulesets.length], ['guard', 1]);
  assert.ok(images.has(manifest.apps[0]!.rulesets[0]!));
  for (const length of [0, 7, 20, content.length - 8])
    assert.throws(() => readBundle(content.subarray(0, length)), /no bundle/, String(length));
  assert.throws(() => readBundle(Buffer.from('something else')), /no bundle/);
});

test('a policy that names what is not there is told so, with what is', async () => {
  const policy = (waf: string): string =>
    `app: a\nwaf: ${waf}\nbackends: { b: { url: http://127.0.0.1:1 } }\nroutes: [{ backend: b }]\n`;
  const problems = async (waf: string): Promise<string[]> => {
    writeFileSync(join(folder, 'p.yaml'), policy(waf));
    const { stdout } = await run(['check', 'p.yaml', '--json'], folder);
    const { diagnostics } = JSON.parse(stdout) as {
      diagnostics: { code: string; line: number; column: number; fix?: string }[];
    };
    return diagnostics.map(({ code, line, column, fix }) => `${code} ${line}:${column} ${fix ?? ''}`);
  };
  assert.deepEqual(await problems('{ ruleset: mine@1 }'), []);
  assert.deepEqual(await problems('{ ruleset: mine@2 }'), ['unknown-ruleset 2:17 did you mean `mine@1`?']);
  assert.match(
    (await problems('{ ruleset: crs@4.28.0 }'))[0] ?? '',
    /^unknown-ruleset 2:17 known here: core, bad, mine@1, old, none$/,
  );
  assert.deepEqual(await problems('{ ruleset: mine@1, exclude: [{ rule: 1101 }] }'), [
    'unknown-rule 2:43 did you mean `1001`?',
  ]);
  assert.match((await problems('{ ruleset: mine@1, exclude: [{ tag: min }] }'))[0] ?? '', /^unknown-rule 2:42 /);
  assert.match(
    (await problems('{ ruleset: mine@1, exclude: [{ rule: 1001, when: "http.request.body.size gt 5" }] }'))[0] ?? '',
    /^too-late 2:\d+ /,
  );
  assert.match(
    (await problems(`{ ruleset: none, secLang: 'SecRule ARG "@rx x" "id:1,phase:2,deny"' }`))[0] ?? '',
    / 2:\d+ /,
  );
  assert.match(
    (await problems(`{ ruleset: none, secLang: 'SecRule ARGS "@rx a(?=b)" "id:1,phase:2,deny"' }`))[0] ?? '',
    / 2:52 /,
  );
});
