/** Rules that are removed and changed by directives behind them, and which rules a selection means. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { see } from '../../../test/support/seclang.ts';
import { compileSelection, transformationName, writeTarget, type RuleEntry, type Selection } from './index.ts';

const RULES = `SecRule ARGS|!ARGS:z a "id:10,deny,tag:attack-sqli,tag:OWASP_CRS,msg:'SQL Injection'"
SecRule ARGS b "id:20,deny,tag:attack-xss,msg:'XSS %{TX.0}',chain"
SecRule REQUEST_HEADERS c "t:none"
SecAction "id:30,pass,setvar:tx.a=1"
`;
const after = (directives: string) => see(RULES + directives);
const ids = (directives: string) => after(directives).rules.map(({ id }) => id);
const targets = (directives: string) =>
  after(directives).rules.map(({ links }) => links.map((link) => link.targets.map(writeTarget).join('|')));

describe('selections, as ModSecurity v2 means them', () => {
  const { rules } = see(RULES);
  const chosen = (selection: Selection) => rules.filter(compileSelection(selection)).map(({ id }) => id);

  test('ids and ranges with both ends', () => {
    assert.deepEqual(
      chosen({
        by: 'id',
        ranges: [
          [10, 19],
          [30, 30],
        ],
      }),
      [10, 30],
    );
    assert.deepEqual(chosen({ by: 'id', ranges: [[11, 19]] }), []);
  });

  test('tags: an expression that is found anywhere in one of them, with case', () => {
    assert.deepEqual(chosen({ by: 'tag', pattern: 'attack' }), [10, 20]);
    assert.deepEqual(chosen({ by: 'tag', pattern: '^attack-x' }), [20]);
    assert.deepEqual(chosen({ by: 'tag', pattern: 'owasp' }), []);
    assert.deepEqual(chosen({ by: 'tag', pattern: '(?i)owasp' }), [10]);
    assert.deepEqual(chosen({ by: 'tag', pattern: '^OWASP_CRS$' }), [10]);
    assert.deepEqual(chosen({ by: 'tag', pattern: String.raw`\bsqli\b` }), [10]);
    assert.deepEqual(chosen({ by: 'tag', pattern: '' }), [10, 20], 'a rule without tags has none that matches');
  });

  test('messages, as written, macros and all', () => {
    assert.deepEqual(chosen({ by: 'message', pattern: 'Injection$' }), [10]);
    assert.deepEqual(chosen({ by: 'message', pattern: 'TX' }), [20]);
    assert.deepEqual(chosen({ by: 'message', pattern: 'injection' }), []);
  });

  test('an expression that would make a backtracking matcher hang', () => {
    const rule = { id: 1, msg: null, tags: ['a'.repeat(20000)] } satisfies Pick<RuleEntry, 'id' | 'tags' | 'msg'>;
    assert.equal(compileSelection({ by: 'tag', pattern: '^(a+)+$' })(rule), true);
    assert.equal(compileSelection({ by: 'tag', pattern: '^(a+)+b' })(rule), false);
  });
});

describe('removal', () => {
  test('by id, range, tag and message; chains go as a whole', () => {
    assert.deepEqual(ids('SecRuleRemoveById 20'), [10, 30]);
    assert.deepEqual(ids('SecRuleRemoveById 10 "25-40"'), [20]);
    assert.deepEqual(ids('SecRuleRemoveById "10,20"'), [30]);
    assert.deepEqual(ids('SecRuleRemoveByTag attack'), [30]);
    assert.deepEqual(ids('SecRuleRemoveByMsg "SQL Inj"'), [20, 30]);
  });

  test('rules below stay, which is told; so is a directive that means nothing', () => {
    const { rules, problems } = after('SecRuleRemoveById 40\nSecRuleRemoveByTag none\nSecAction "id:40"');
    assert.deepEqual(problems, ['warning 5:19 early-exclusion', 'warning 6:20 unknown-rule']);
    assert.equal(rules.length, 4);
  });

  test('a removed id is not free again', () => {
    assert.deepEqual(after('SecRuleRemoveById 10\nSecAction "id:10"').problems, ['error 6:12 duplicate-id']);
  });
});

describe('targets', () => {
  test('are added to every rule of a chain, once, and never to an action', () => {
    assert.deepEqual(targets('SecRuleUpdateTargetById 10-40 "!ARGS:q,!ARGS:z|REQUEST_COOKIES"'), [
      ['ARGS|!ARGS:z|!ARGS:q|REQUEST_COOKIES'],
      ['ARGS|!ARGS:q|!ARGS:z|REQUEST_COOKIES', 'REQUEST_HEADERS|!ARGS:q|!ARGS:z|REQUEST_COOKIES'],
      [''],
    ]);
    assert.deepEqual(targets('SecRuleUpdateTargetByTag sqli !ARGS:/^x/')[0], ['ARGS|!ARGS:z|!ARGS:/^x/']);
    assert.deepEqual(targets('SecRuleUpdateTargetByMsg XSS &ARGS')[1], ['ARGS|&ARGS', 'REQUEST_HEADERS|&ARGS']);
  });

  test('are replaced where there is something to replace', () => {
    assert.deepEqual(targets('SecRuleUpdateTargetById 10 REQUEST_BODY ARGS')[0], ['!ARGS:z|REQUEST_BODY']);
    const { problems } = after('SecRuleUpdateTargetById 10 REQUEST_BODY FILES');
    assert.deepEqual(problems, ['error 5:41 nothing-to-replace']);
  });

  test('unknown ones are errors', () => {
    assert.deepEqual(after('SecRuleUpdateTargetById 10 !ARGZ').problems, ['error 5:29 unknown-variable']);
    assert.deepEqual(after('SecRuleUpdateTargetByTag a( !ARGS').problems, ['error 5:27 bad-regex']);
  });
});

describe('actions', () => {
  test('what can be there once is replaced, the rest is added, the chain stays whole', () => {
    const { rules, problems } = after(
      `SecDefaultAction "phase:2,deny"\nSecRuleUpdateActionById 20 "pass,msg:'other',t:trim,tag:more,nolog,severity:ERROR"`,
    );
    assert.deepEqual(problems, []);
    const rule = rules[1]!;
    assert.deepEqual([rule.disruptive, rule.msg, rule.log, rule.severity], ['pass', ['other'], false, 3]);
    assert.deepEqual(rule.tags, ['attack-xss', 'more']);
    assert.deepEqual(
      rule.links.map((link) => link.transformations.map(transformationName)),
      [['trim'], []],
    );
  });

  test('block stands for what it stood for where the rule was read', () => {
    assert.equal(
      after('SecDefaultAction "phase:2,deny"\nSecRuleUpdateActionById 10 block').rules[0]!.disruptive,
      'pass',
    );
  });

  test('of a rule within a chain', () => {
    const { rules } = after('SecRuleUpdateActionById 20:1 "t:length"');
    assert.deepEqual(
      rules[1]!.links.map((link) => link.transformations.map(transformationName)),
      [[], ['length']],
    );
  });

  test('id and phase stay', () => {
    assert.deepEqual(after('SecRuleUpdateActionById 10 "id:11,phase:1"').problems, [
      'error 5:29 fixed-action',
      'error 5:35 fixed-action',
    ]);
    assert.deepEqual(after('SecRuleUpdateActionById 10:1 pass').problems, ['error 5:27 unknown-rule']);
    assert.deepEqual(after('SecRuleUpdateActionById 11 pass').problems, ['warning 5:25 unknown-rule']);
  });
});

describe('a base', () => {
  const base = see(`${RULES}SecMarker END\nSecRuleEngine On`).ruleSet;

  test('is changed and added to, and stays as it was', () => {
    const before = JSON.stringify(base);
    const text = 'SecRuleRemoveById 10\nSecRuleUpdateTargetById 20 !ARGS:q\nSecAction "id:50"\nSecRuleEngine Off';
    for (const position of ['before', 'after'] as const) {
      const { ruleSet, rules, problems } = see(text, { base, position });
      assert.deepEqual(problems, ['warning 4:1 no-effect']);
      assert.deepEqual(
        rules.map(({ id }) => id),
        position === 'before' ? [50, 20, 30] : [20, 30, 50],
      );
      assert.deepEqual(rules.find(({ id }) => id === 20)!.links[0]!.targets.map(writeTarget), ['ARGS', '!ARGS:q']);
      assert.deepEqual(ruleSet.settings, { secruleengine: 'Off' });
    }
    assert.equal(JSON.stringify(base), before);
  });

  test('its markers can be skipped to from before it, its ids are taken', () => {
    const text = 'SecAction "id:50,skipAfter:END"';
    assert.deepEqual(see(text, { base, position: 'before' }).problems, []);
    assert.deepEqual(see(text, { base }).problems, ['error 1:18 unknown-marker']);
    assert.deepEqual(see('SecAction "id:10"', { base }).problems, ['error 1:12 duplicate-id']);
  });
});
