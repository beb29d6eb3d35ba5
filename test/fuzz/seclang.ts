/**
 * Rule sets, mutated: the reader never throws or dawdles, what it reports has a place in a file that was read, and a
 * rule that it accepts is the same when it is written and read again.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readRuleSet, writeRule, type RuleEntry } from '../../src/compiler/seclang/index.ts';
import { mutateText, random, type Random } from './random.ts';

const FOLDER = join(import.meta.dirname, '../../rules');
const SLOWEST = 2000; // ms; a file takes 1 to 20
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.conf'));
const SEEDS: readonly string[] = [
  ...FILES.filter((name) => name !== 'main.conf').map((name) => readFileSync(join(FOLDER, name), 'utf8')),
  `SecRule ARGS|!ARGS:q|&TX:a "!@rx a\\"b|%{2}" "id:1,phase:2,block,t:none,t:lowercase,msg:'it\\\\'s',chain,\\
    ctl:ruleRemoveTargetById=1-9;ARGS:/x/,setvar:'tx.%{rule.id}=+%{tx.b}',severity:'CRITICAL',skipAfter:END"
  SecRule TX:1 "@within %{tx.c} %{request_headers.host}" "capture,ctl:ruleRemoveByTag=^a,multiMatch"
SecRule REMOTE_ADDR "@ipMatchFromFile words.data" "id:2,pass,nolog,redirect:https://x/%{REQUEST_URI}"
SecRule FILES "@pmFromFile words.data words.data" "id:3,deny,status:406"
SecMarker END
Include other.conf
SecRuleUpdateTargetById 1-3 "!REQUEST_COOKIES:/^a/,!ARGS:b" "ARGS"
SecRuleUpdateActionById 1:1 "t:none,t:trim"
SecRuleRemoveByMsg "^it"
SecRuleRemoveById 5 7-9
`,
];
const WORDS = '10.0.0.0/8\n# no\n\n::1\n';

const PIECES: readonly string[] = [
  ...[
    '"',
    "'",
    '\\',
    '\\\\',
    '\\\n',
    '\\ \n',
    '\\\r\n',
    '\n',
    ' ',
    '\t',
    ',',
    '|',
    ':',
    '!',
    '&',
    '@',
    '%{',
    '}',
    '/',
    '#',
    ';',
    '=',
  ],
  ...[
    '(',
    ')',
    '[',
    ']',
    '*',
    '+',
    '?',
    '{1,9999}',
    '(?=',
    '(?<!',
    '\\1',
    '\\x',
    '\\p{L}',
    '++',
    '(a+)+$',
    '\u0000',
    '\ufeff',
    '\ud800',
    'é',
  ],
  ...[
    'SecRule ',
    'SecAction ',
    'SecMarker ',
    'SecDefaultAction ',
    'Include ',
    'Include *',
    'SecRuleRemoveById ',
    'SecRuleEngine On',
  ],
  ...[
    'SecRuleScript x',
    'SecAuditLog x',
    '<IfModule x>',
    'ARGS',
    'IP:x',
    'GEO',
    'XML:/*',
    'TX:/a/',
    '@pm ',
    '@rbl ',
    '@eq x',
    '@ipMatch ',
  ],
  ...[
    'id:1',
    'id:99999999999',
    'phase:9',
    'chain',
    'deny',
    'exec:x',
    'initcol:ip=x',
    't:none',
    't:nothing',
    'setvar:ip.a=1',
    'setvar:!tx.a',
  ],
  ...[
    'ctl:ruleRemoveById=1-',
    'skipAfter:NOWHERE',
    'allow:phase',
    'severity:9',
    '__proto__',
    'constructor',
    'hasOwnProperty',
  ],
];

const mutate = (text: string, r: Random): string =>
  mutateText(text, r, { pieces: PIECES, words: /[A-Za-z0-9_.:@-]+/g });

function read(files: ReadonlyMap<string, string>): ReturnType<typeof readRuleSet> {
  const began = performance.now();
  const reading = readRuleSet({
    name: 'fuzz',
    entry: ['main.conf'],
    readFile: (path) => files.get(path) ?? null,
    listFolder: () => [...files.keys()],
    onUnsupportedPattern: files.size % 2 === 0 ? 'error' : 'leave-out',
  });
  const took = performance.now() - began;
  assert.ok(took < SLOWEST, `${took.toFixed(0)} ms`);
  return reading;
}

const plain = (rule: RuleEntry): unknown =>
  JSON.parse(
    JSON.stringify(rule, (key, value: unknown) =>
      /^(place|blocks|blockMeans|disruptive)$/.test(key) ? undefined : value,
    ),
  );

function check(files: ReadonlyMap<string, string>): void {
  const { ruleSet, diagnostics } = read(files);
  for (const { file, line, column, length, message } of diagnostics) {
    const lines = files.get(file)?.split('\n');
    if (lines === undefined) {
      assert.equal(`${line}:${column}`, '1:1', `a problem in ${file}, which is not there`);
      continue;
    }
    assert.ok(line >= 1 && line <= lines.length && length >= 1, `line ${line}: ${message}`);
    assert.ok(column >= 1 && column <= lines[line - 1]!.length + 1, `column ${line}:${column}: ${message}`);
  }
  if (diagnostics.some(({ severity }) => severity === 'error')) return;
  const rules = ruleSet.entries.filter((entry): entry is RuleEntry => entry.kind === 'rule');
  // Markers last: all are skipped to from above.
  const markers = ruleSet.entries.flatMap((entry) => (entry.kind === 'marker' ? [`SecMarker "${entry.name}"`] : []));
  const text = [...rules.map(writeRule), ...markers].join('\n');
  const again = read(new Map([...files, ['main.conf', `${text}\n`]]));
  assert.deepEqual(
    again.ruleSet.entries.filter((entry): entry is RuleEntry => entry.kind === 'rule').map(plain),
    rules.map(plain),
    text,
  );
}

export async function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) {
    let text = r.pick(SEEDS);
    for (let edits = r.below(6); edits > 0; edits--) text = mutate(text, r);
    const files = new Map([
      ['main.conf', text],
      ['other.conf', r.below(3) === 0 ? mutate(r.pick(SEEDS), r) : ''],
      ['words.data', r.below(3) === 0 ? mutate(WORDS, r) : WORDS],
    ]);
    if (r.below(2) === 0) files.set('more.conf', 'SecAction "id:4,pass"');
    try {
      check(files);
    } catch (error) {
      console.error(`files: ${JSON.stringify([...files])}`);
      throw error;
    }
    if (cases % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return cases;
}
