/** Whatever a file holds: an answer, with places that exist in it, in time linear in its length. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { writeRule, type RuleEntry } from './index.ts';
import { see } from '../../../test/support/seclang.ts';

const PIECES = [
  ...['SecRule ', 'SecAction ', 'SecMarker ', 'SecDefaultAction ', 'Include ', 'SecRuleRemoveById ', 'SecRuleEngine '],
  ...['SecRuleUpdateTargetById ', 'SecRuleUpdateActionById ', 'SecRuleRemoveByTag ', 'ARGS', 'TX:a', 'IP:x', 'XML:/*'],
  ...[
    '"',
    "'",
    '\\',
    '\\\n',
    '\n',
    '\r\n',
    ' ',
    ',',
    '|',
    ':',
    '!',
    '&',
    '@',
    '%{',
    '}',
    '/',
    '(',
    '[',
    '*',
    '#',
    ';',
    '=',
  ],
  ...[
    '@rx ',
    '@pm ',
    '@eq 1',
    '@ipMatch ',
    '@pmFromFile ',
    'main.conf',
    '%{tx.a}',
    'id:1',
    'id:2',
    'phase:2',
    'deny',
    'chain',
  ],
  ...[
    't:none',
    'setvar:',
    'tx.a=+1',
    'ctl:',
    'ruleRemoveById=1',
    'ruleRemoveTargetById=1;ARGS:a',
    'msg:',
    'skipAfter:',
    'é',
    '\u0000',
  ],
];
const RULES = `SecDefaultAction "phase:2,log,deny"
SecRule ARGS|!ARGS:q|&TX:a "@rx a\\"b|c" "id:1,phase:2,block,capture,t:none,t:lowercase,\\
  msg:'it\\\\'s',logdata:'%{TX.0}',tag:a/b,setvar:'tx.a=+%{tx.b}',severity:'CRITICAL',chain"
  SecRule TX:1 "!@within %{tx.c}" "ctl:'ruleRemoveTargetById=5-9;ARGS:\\\\'/x y/\\\\'',t:none"
SecRule REMOTE_ADDR "@ipMatch 10.0.0.0/8" "id:2,pass,nolog,skipAfter:END"
SecMarker END
`;

function checkPlaces(text: string): void {
  const lines = text.split('\n');
  const { problems } = see({ 'main.conf': text });
  for (const problem of problems) {
    const [, line, column] = / (\d+):(\d+) /.exec(problem)!.map(Number);
    assert.ok(line! >= 1 && line! <= lines.length, problem);
    assert.ok(
      column! >= 1 && column! <= lines[line! - 1]!.length + 1,
      `${problem} in ${JSON.stringify(lines[line! - 1])}`,
    );
  }
}

describe('any text', () => {
  test('made of pieces of the language', () => {
    const text = fc.array(fc.constantFrom(...PIECES), { maxLength: 60 }).map((pieces) => pieces.join(''));
    fc.assert(fc.property(text, checkPlaces), { numRuns: 1500 });
  });

  test('made of rules with something cut out and put in', () => {
    const edit = fc.tuple(fc.nat(RULES.length), fc.nat(12), fc.constantFrom(...PIECES, ''));
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 5 }), (edits) => {
        let text = RULES;
        for (const [at, length, put] of edits) text = text.slice(0, at) + put + text.slice(at + length);
        checkPlaces(text);
      }),
      { numRuns: 1500 },
    );
  });

  test('of any characters at all', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), checkPlaces), { numRuns: 500 });
  });
});

describe('long lines end in time', () => {
  const MEGABYTE = 1 << 20;
  const long: Record<string, string> = {
    'a word': `SecRule ARGS "${'a'.repeat(MEGABYTE)}" "id:1,deny"`,
    escapes: `SecRule ARGS "@streq ${'\\\\'.repeat(MEGABYTE / 2)}" "id:1,deny"`,
    quotes: `SecRule ARGS "@streq ${'\\"'.repeat(MEGABYTE / 2)}" "id:1,deny"`,
    continuations: `SecRule ARGS \\\n${'\\\n'.repeat(MEGABYTE / 2)}a "id:1,deny"`,
    targets: `SecRule ${'ARGS|'.repeat(MEGABYTE / 5)}ARGS a "id:1,deny"`,
    macros: `SecRule ARGS "@streq ${'%{tx.a}'.repeat(MEGABYTE / 7)}" "id:1,deny"`,
    'open macros': `SecRule ARGS "@streq ${'%{'.repeat(MEGABYTE / 2)}" "id:1,deny"`,
    phrases: `SecRule ARGS "@pm ${'|41| '.repeat(MEGABYTE / 5)}" "id:1,deny"`,
    'open bytes': `SecRule ARGS "@pm ${'|4'.repeat(MEGABYTE / 2)}" "id:1,deny"`,
    addresses: `SecRule ARGS "@ipMatch ${'::1,'.repeat(MEGABYTE / 4)}" "id:1,deny"`,
    words: `SecRule ${'a '.repeat(MEGABYTE / 2)}`,
    actions: `SecAction "id:1,${'t:trim,'.repeat(MEGABYTE / 7)}pass"`,
    setvars: `SecAction "id:1,${'setvar:tx.a=1,'.repeat(MEGABYTE / 14)}pass"`,
    'unknown actions': `SecAction "${'b,'.repeat(MEGABYTE / 2)}"`,
    commas: `SecAction "${','.repeat(MEGABYTE)}"`,
    'single quotes': `SecAction "id:1,msg:'${"\\'".repeat(MEGABYTE / 2)}'"`,
    colons: `SecRule ${'ARGS:'.repeat(MEGABYTE / 5)} a "id:1,deny"`,
    ids: `SecRuleRemoveById ${'1,'.repeat(MEGABYTE / 2)}`,
    'a selection': `SecRuleRemoveByTag ${'(a+)+'.repeat(MEGABYTE / 5)}`,
    brackets: `SecRule ARGS "${'('.repeat(MEGABYTE)}" "id:1,deny"`,
    'a path': `Include ${'a/../'.repeat(MEGABYTE / 5)}*`,
    stars: `Include ${'*a'.repeat(MEGABYTE / 2)}`,
    comments: '#\\\n'.repeat(MEGABYTE / 3),
    'line ends': '\r\n'.repeat(MEGABYTE / 2),
    'white space': ' '.repeat(MEGABYTE),
  };
  for (const [name, text] of Object.entries(long)) test(name, () => void see(text));
});

test('a rule that is written reads as the same rule', () => {
  const { rules, problems } = see(RULES);
  assert.deepEqual(problems, []);
  const again = see(`${rules.map(writeRule).join('\n')}\nSecMarker END`);
  assert.deepEqual(again.problems, []);
  const plain = (rule: RuleEntry) =>
    JSON.parse(
      JSON.stringify(rule, (key, value: unknown) =>
        key === 'place' || key === 'blocks' || key === 'blockMeans' ? undefined : value,
      ),
    );
  // Defaults are no part of a rule: `block` stands for what the defaults of its new place say.
  assert.deepEqual(
    again.rules.map(plain),
    rules.map((rule) => ({ ...plain(rule), disruptive: rule.blocks ? 'pass' : rule.disruptive })),
  );
});
