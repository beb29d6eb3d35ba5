/** What is wrong, where, and what to write instead: each error of the language with its line and column. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { see } from '../../../test/support/seclang.ts';
import { MAX_CHAIN_LINKS, MAX_INCLUDE_DEPTH, MAX_RULE_DIAGNOSTICS, MAX_RULE_UPDATES, MAX_RULES } from './limits.ts';

type Case = readonly [text: string, problems: readonly string[], says?: RegExp];

function check(cases: readonly Case[]): void {
  for (const [text, problems, says] of cases) {
    const seen = see(text);
    assert.deepEqual(seen.problems, problems, `${text}\n${seen.messages.join('\n')}`);
    if (says !== undefined) assert.match(seen.messages.join('\n'), says, text);
  }
}

describe('words', () => {
  test('quotes that are not closed', () =>
    check([
      ['SecRule ARGS "a', ['error 1:14 unterminated-quote']],
      ["SecRule ARGS 'a b", ['error 1:14 unterminated-quote']],
      [
        'SecRule ARGS "a" \\\n "id:1,\\ \n deny"',
        ['error 2:2 unterminated-quote', 'error 3:2 unknown-directive'],
        /white space/,
      ],
      ['SecRule ARGS "a"b" "id:1,deny"', ['error 1:17 text-after-quote'], /\\"/],
    ]));

  test('words that are missing or too many', () =>
    check([
      ['SecRule', ['error 1:8 missing-argument']],
      ['SecRule ARGS', ['error 1:13 missing-argument']],
      ['SecRule ARGS x', ['error 1:15 missing-id']],
      ['SecAction', ['error 1:10 missing-argument']],
      ['SecMarker', ['error 1:10 missing-argument']],
      ['SecDefaultAction', ['error 1:17 missing-argument']],
      ['Include', ['error 1:8 missing-argument']],
      ['SecRuleEngine', ['error 1:1 missing-argument']],
      ['SecRuleEngine On Off', ['error 1:18 unexpected-argument']],
      ['SecRule ARGS x id:1,msg:a b', ['error 1:27 unexpected-argument'], /"/],
      ['SecRuleRemoveById', ['error 1:18 missing-argument']],
      ['SecRuleUpdateTargetById 1', ['error 1:26 missing-argument']],
      ['SecRuleUpdateActionById 1', ['error 1:26 missing-argument']],
    ]));

  test('directives nobody knows', () =>
    check([
      ['SecRul ARGS x', ['error 1:1 unknown-directive'], /did you mean SecRule\?/],
      ['\n  SecRequestBodyLimitt 1', ['error 2:3 unknown-directive'], /SecRequestBodyLimit\?/],
      ['<IfModule x>', ['error 1:1 unknown-directive'], /sections of Apache/],
      ['SecRuleScript a.lua "id:1"', ['error 1:1 unsupported-directive'], /Lua/],
      ['SecGeoLookupDb x', ['error 1:1 unsupported-directive']],
      ['SecRemoteRules k https://x/', ['error 1:1 unsupported-directive']],
      ['SecContentInjection Off', []],
      ['SecContentInjection On', ['error 1:1 unsupported-directive']],
      ['SecRuleEngine Maybe', ['error 1:15 bad-setting'], /On or Off or DetectionOnly/],
      ['SecRequestBodyLimit 1k', ['error 1:21 bad-setting']],
      ['SecArgumentSeparator ;', ['error 1:22 unsupported-setting']],
      ['SecCookieFormat 1', ['error 1:17 unsupported-setting']],
    ]));
});

describe('conditions', () => {
  const rule = (targets: string, operator = 'x') => `SecRule ${targets} "${operator}" "id:1,deny"`;

  test('variables', () =>
    check([
      [rule('ARG'), ['error 1:9 unknown-variable'], /did you mean ARGS\?/],
      [rule('ARGS|!REQUEST_HEADER:x|&ARGZ'), ['error 1:15 unknown-variable', 'error 1:33 unknown-variable']],
      [rule('HTTP_USER_AGENT'), ['error 1:9 unknown-variable'], /REQUEST_HEADERS:user-agent/],
      [rule('TX'), ['error 1:9 missing-entry'], /TX:name/],
      [rule('RULE'), ['error 1:9 missing-entry']],
      [rule('REQUEST_METHOD:x'), ['error 1:24 no-entries']],
      [rule('&REQUEST_METHOD'), ['error 1:9 not-countable']],
      [rule('XML://a'), ['error 1:13 unsupported-xpath']],
      [rule('ARGS:/a(/'), ['error 1:16 bad-regex']],
      [rule('ARGS:/a|b/'), ['error 1:17 unknown-variable'], /ARGS:'/],
      [rule("ARGS:'a"), ['error 1:14 unterminated-quote']],
      [rule('""'), ['error 1:10 missing-target']],
      [rule('\\\n   "ARGS|\\\n     ARGZ"'), ['error 3:6 unknown-variable']],
    ]));

  test('variables that never have a value weigh more outside the Core Rule Set', () =>
    check([
      [rule('IP:count'), ['error 1:9 empty-variable'], /persists/],
      [rule('GEO:country_code'), ['error 1:9 empty-variable']],
      [rule('!IP:count|ARGS'), ['warning 1:10 empty-variable']],
      [rule('PATH_INFO'), ['warning 1:9 empty-variable']],
      ['SecRule IP:count x "id:912000,pass"', ['warning 1:9 empty-variable']],
      ['SecRule ARGS x "id:912000,pass,chain"\nSecRule IP:count x', ['warning 2:9 empty-variable']],
      ['SecAction "id:1,msg:\'%{ip.x}\'"', ['warning 1:24 empty-variable']],
      [rule('REMOTE_PORT'), ['error 1:9 empty-variable'], /connection/],
      [
        'SecAction "id:1,logdata:\'%{REMOTE_USER} %{FULL_REQUEST}\'"',
        ['warning 1:28 empty-variable', 'warning 1:43 empty-variable'],
      ],
      ['SecRule REMOTE_ADDR "@streq %{SERVER_ADDR}" "id:1,deny"', ['warning 1:31 empty-variable']],
    ]));

  test('what the body of a request holds is gone when its answer comes', () =>
    check([
      [
        'SecRule ARGS_GET|ARGS_POST|!FILES x "id:1,phase:4,deny"',
        ['error 1:18 late-variable'],
        /in phase 4 it is gone.*phase 2/s,
      ],
      ['SecRule &FILES "@gt 0" "id:1,phase:3,deny"', ['error 1:9 late-variable']],
      ['SecRule REQUEST_BODY x "id:950000,phase:4,deny"', ['warning 1:9 late-variable']],
      ['SecRule ARGS x "id:1,phase:3,deny"', ['warning 1:9 late-variable'], /what came with the body is gone/],
      ['SecRule RESPONSE_BODY x "id:1,phase:4,deny,chain"\nSecRule XML:/* y', ['error 2:9 late-variable']],
      [
        'SecRule REQBODY_ERROR "@eq 1" "id:1,phase:5,pass"',
        ['warning 1:9 late-variable'],
        /where answers are inspected/,
      ],
      ['SecRule TX:a|REQUEST_HEADERS|ARGS_GET|REQBODY_PROCESSOR x "id:1,phase:4,deny"', []],
      ['SecRule ARGS|FILES x "id:1,phase:2,deny"', []],
      [
        'SecRule TX:a x "id:1,phase:4,deny,msg:\'%{ARGS.q}\',setvar:tx.b=%{REQUEST_BODY}"',
        ['warning 1:35 late-variable', 'warning 1:51 late-variable'],
      ],
    ]));

  test('operators', () =>
    check([
      [rule('ARGS', '@rxx a'), ['error 1:16 unknown-operator'], /did you mean @rx\?/],
      [rule('ARGS', '!@contain a'), ['error 1:17 unknown-operator'], /@contains\?/],
      [rule('ARGS', '@ a'), ['error 1:16 unknown-operator']],
      [rule('ARGS', '@rbl x'), ['error 1:16 unsupported-operator']],
      [rule('ARGS', '@inspectFile x'), ['error 1:16 unsupported-operator']],
      ['SecRule ARGS "@rbl x" "id:910150,pass"', ['warning 1:16 unsupported-operator'], /never matches/],
      [rule('ARGS', '@pm'), ['error 1:15 missing-argument']],
      [rule('ARGS', '@pm %{tx.a}'), ['error 1:19 macro-in-pattern']],
      [rule('ARGS', '@rx ^a%{tx.a}$'), ['error 1:21 macro-in-pattern']],
      [rule('ARGS', '@pm |ff|'), ['error 1:19 bad-phrase']],
      [rule('ARGS', '@ipMatch 10.0.0.0/8,10.0.0.300'), ['error 1:35 bad-address']],
      [rule('ARGS', '@eq ten'), ['warning 1:19 not-a-number']],
      [rule('ARGS', '@lt'), ['warning 1:15 not-a-number']],
      [rule('ARGS', '@validateByteRange 1-255,256'), ['error 1:40 bad-byte-range']],
      [rule('ARGS', '@validateByteRange 9-1'), ['error 1:34 bad-byte-range']],
      [rule('ARGS', '@validateByteRange'), ['error 1:15 missing-argument']],
      [rule('ARGS', '@pmFromFile none.data'), ['error 1:27 no-file']],
      [rule('ARGS', '@pmFromFile https://x/y'), ['error 1:27 remote-file']],
      [rule('ARGS', '@streq %{nope.x}'), ['error 1:24 unknown-variable']],
      [rule('ARGS', '@streq %{tx}'), ['error 1:24 missing-entry']],
      [rule('ARGS', '@streq %{request_method.x}'), ['error 1:38 no-entries']],
      [rule('ARGS', '@streq %{tx.a'), ['warning 1:22 unterminated-macro']],
    ]));

  test('regular expressions, at the character that is wrong', () =>
    check([
      [rule('ARGS', '@rx ab(c'), ['error 1:21 bad-regex']],
      [rule('ARGS', '@rx é(?!a)'), ['error 1:20 bad-regex'], /lookahead/],
      [rule('ARGS', '@rx \\"a\\\n b(?<=c)'), ['error 2:3 bad-regex']],
      ['SecRule ARGS "a++" "id:1,deny"', ['error 1:17 bad-regex']],
    ]));

  test('a rule with an unsupported expression can be left out, its whole chain with it', () => {
    const text =
      'SecRule ARGS a "id:1,deny,chain"\nSecRule ARGS "a(?!b)"\nSecRule ARGS "%{tx.a}" "id:2,deny"\nSecAction "id:3"';
    const { rules, problems, messages } = see(text, { onUnsupportedPattern: 'leave-out' });
    assert.deepEqual(problems, ['warning 2:16 rule-left-out', 'warning 3:15 rule-left-out']);
    assert.match(messages[0]!, /rule 1 is left out/);
    assert.deepEqual(
      rules.map(({ id }) => id),
      [3],
    );
  });

  test('lines of data files', () => {
    const { problems } = see({
      'main.conf': 'SecRule ARGS "@pmf a" "id:1,deny"\nSecRule REMOTE_ADDR "@ipMatchF b" "id:2,deny"',
      a: 'fine\n  |c3|\n',
      b: '#\n10.0.0.0/33\n',
    });
    assert.deepEqual(problems, ['error a:2:3 bad-phrase', 'error b:2:1 bad-address']);
  });
});

test('what does not fit among the problems is as bad as the worst of it', () => {
  const warnings = 'SecRule ARGS x "id:1,phase:4,deny,msg:\'%{ARGS.a}\'"\n'.replace('id:1', 'id:ID');
  const text = (count: number): string =>
    Array.from({ length: count }, (_, id) => warnings.replace('ID', String(id + 1))).join('');
  const last = (...parts: string[]): [string, string] => {
    const { problems, messages } = see(parts.join(''));
    const at = messages.findIndex((message) => / more problems are not shown/.test(message));
    return [problems[at] ?? '', messages[at] ?? ''];
  };
  const many = MAX_RULE_DIAGNOSTICS / 2 + 3; // two each
  assert.match(last(text(many))[0], /^warning .* too-many-problems$/);
  assert.match(last(text(many))[1], /^6 more/);
  assert.match(last(text(many), 'SecRule ARGZ x "id:90000,deny"')[0], /^error .* too-many-problems$/);
  assert.deepEqual(last(text(MAX_RULE_DIAGNOSTICS / 2)), ['', '']);
});

describe('actions', () => {
  const action = (text: string) => `SecAction "id:1,${text}"`;

  test('form', () =>
    check([
      [action('denny'), ['error 1:17 unknown-action'], /did you mean deny\?/],
      [action("msg:'a"), ['error 1:21 unterminated-quote']],
      [action("msg:'it's',deny"), ['error 1:25 missing-comma'], /\\'/],
      [action('msg:a b,deny'), ['error 1:23 missing-comma'], /'/],
      [action('deny,,pass'), ['error 1:22 missing-action']],
      [action('msg'), ['error 1:17 missing-argument']],
      [action('deny:1'), ['error 1:22 unexpected-argument']],
      ['SecAction "phase:1,pass"', ['error 1:1 missing-id']],
      ['SecAction "id:x"', ['error 1:15 bad-number']],
      ['SecAction "id:0"', ['error 1:15 bad-number']],
      ['SecAction "id:2147483648"', ['error 1:15 bad-number']],
      ['SecAction \\\n  "id:1,\\\n  t:lowercas"', ['error 3:5 unknown-transformation'], /did you mean/],
    ]));

  test('values', () =>
    check([
      [action('phase:6'), ['error 1:23 bad-number']],
      [action('severity:high'), ['error 1:26 bad-severity']],
      [action('severity:CRITCAL'), ['error 1:26 bad-severity'], /CRITICAL\?/],
      [action('status:99'), ['error 1:24 bad-number']],
      [action('maturity:10'), ['error 1:26 bad-number']],
      [action('allow:all'), ['error 1:23 bad-scope']],
      [action('t:parityEven7bit'), ['error 1:19 unknown-transformation'], /unsupported/],
      [action('setvar:a'), ['error 1:24 bad-setvar']],
      [action('setvar:foo.a=1'), ['error 1:24 bad-setvar']],
      [action('setvar:tx.=1'), ['error 1:24 bad-setvar']],
      [action('setvar:!tx.a=1'), ['error 1:29 bad-setvar']],
      [action('setvar:tx.a=+b'), ['error 1:29 bad-setvar']],
      [action("setvar:'tx.a=%{nope}'"), ['error 1:32 unknown-variable']],
      [action('ctl:ruleEngin=On'), ['error 1:21 unknown-control'], /ruleEngine\?/],
      [action('ctl:ruleEngine'), ['error 1:21 missing-argument']],
      [action('ctl:ruleEngine=Maybe'), ['error 1:32 bad-control']],
      [action('ctl:ruleRemoveById=a'), ['error 1:36 bad-id']],
      [action('ctl:ruleRemoveById=9-1'), ['error 1:36 bad-id']],
      [action('ctl:ruleRemoveByTag=a('), ['error 1:38 bad-regex']],
      [action('ctl:ruleRemoveTargetById=1'), ['error 1:42 missing-target']],
      [action('ctl:ruleRemoveTargetById=1;ARGZ'), ['error 1:44 unknown-variable']],
      [action('ctl:ruleRemoveTargetById=1;!ARGS'), ['error 1:44 bad-control']],
      [action('ctl:ruleRemoveById=%{tx.a}'), ['error 1:36 unsupported-control']],
      [action('ctl:requestBodyLimit=1'), ['error 1:38 unsupported-control']],
    ]));

  test('what cannot be done here', () =>
    check([
      [action('exec:/bin/x'), ['error 1:17 unsupported-action']],
      [action('proxy:http://x/'), ['error 1:17 unsupported-action'], /route/],
      [action("append:'x'"), ['error 1:17 unsupported-action']],
      ['SecAction "id:950000,pass,exec:/bin/x"', ['warning 1:27 unsupported-action']],
      [
        action('initcol:ip=%{REMOTE_ADDR},setvar:ip.a=+1,expirevar:ip.a=60'),
        [...['warning 1:17 no-effect', 'warning 1:50 no-effect', 'warning 1:58 no-effect']],
      ],
      [action('sanitiseArg:password'), ['warning 1:17 no-effect']],
    ]));

  test('in chains and defaults', () =>
    check([
      [
        'SecRule ARGS a "id:1,deny,chain"\nSecRule ARGS b "id:2,deny,msg:x,tag:y"',
        [
          ...['error 2:17 action-in-chain', 'error 2:22 action-in-chain', 'error 2:27 action-in-chain'],
          'warning 2:33 action-in-chain',
        ],
      ],
      ['SecRule ARGS a "id:1,deny,chain"\nSecMarker X', ['error 1:27 open-chain'], /line 2/],
      ['SecRule ARGS a "id:1,deny,chain"', ['error 1:27 open-chain']],
      ['SecDefaultAction "phase:1,log"', ['error 1:19 missing-action']],
      ['SecDefaultAction "pass,log"', ['error 1:19 missing-action']],
      ['SecDefaultAction "phase:1,pass,id:1,chain"', ['error 1:32 action-in-default', 'error 1:37 action-in-default']],
      ['SecDefaultAction "phase:1,block"', ['error 1:27 action-in-default']],
      ['SecAction "id:1,phase:5,deny"', ['error 1:25 late-action']],
      [
        'SecDefaultAction "phase:4,deny"\nSecAction "id:1,phase:5,block"',
        ['error 2:25 late-action'],
        /block stands for deny/,
      ],
    ]));
});

test('block that stops nothing is told, unless it scores', () =>
  check([
    ['SecAction "id:1,block"', ['warning 1:17 idle-block'], /phase:2,deny/],
    ['SecDefaultAction "phase:2,deny"\nSecAction "id:1,block"', []],
    ['SecAction "id:1,block,setvar:tx.a=+1"', []],
    ['SecAction "id:1,block"\nSecRuleUpdateActionById 1 deny', []],
  ]));

describe('rules together', () => {
  test('ids, markers', () =>
    check([
      ['SecAction "id:1"\nSecAction "pass,id:1"', ['error 2:17 duplicate-id'], /main\.conf:1/],
      ['SecAction "id:1,skipAfter:END-X"\nSecMarker END-Y', ['error 1:17 unknown-marker'], /did you mean END-Y\?/],
      ['SecMarker END\nSecAction "id:1,skipAfter:END"', ['error 2:17 unknown-marker'], /above/],
      ['SecAction "id:1,phase:1,skipAfter:2"\nSecAction "id:2,phase:2"', ['error 1:25 unknown-marker']],
    ]));

  test('a faulty rule does not break the chain that it begins', () =>
    check([
      ['SecRule ARGS "a "b" "id:1,chain"\nSecRule ARGS b', ['error 1:18 text-after-quote']],
      [
        'SecRule ARGZ "@x a" "id:1,deny,chain"\nSecRule ARGS b',
        ['error 1:9 unknown-variable', 'error 1:16 unknown-operator'],
      ],
    ]));

  test('includes', () => {
    const cases: readonly [Record<string, string>, readonly string[], RegExp?][] = [
      [{ 'main.conf': 'Include none.conf' }, ['error 1:9 no-file']],
      [{ 'main.conf': 'Include none/*.conf' }, ['error 1:9 no-file']],
      [{ 'main.conf': 'IncludeOptional none.conf' }, []],
      [{ 'main.conf': 'Include main.conf' }, ['error 1:9 include-cycle']],
      [
        { 'main.conf': 'Include a/b', 'a/b': 'Include ../main.conf' },
        ['error a/b:1:9 include-cycle'],
        /main\.conf > a\/b > main\.conf/,
      ],
    ];
    for (const [files, problems, says] of cases) {
      const seen = see(files);
      assert.deepEqual(seen.problems, problems);
      if (says !== undefined) assert.match(seen.messages.join('\n'), says);
    }
    assert.deepEqual(see({}).problems, ['error 1:1 no-file']);
    assert.deepEqual(see({ 'main.conf': new Uint8Array([0xff]) }).problems, ['error 1:1 not-utf8']);
  });

  test('what reading a file throws is told', () => {
    const readFile = (): never => {
      throw new Error('permission denied');
    };
    const { problems, messages } = see('', { readFile } as never);
    assert.deepEqual(problems, ['error 1:1 unreadable-file']);
    assert.match(messages[0]!, /permission denied/);
  });
});

describe('limits, at their edges', () => {
  test('depth of includes', () => {
    const nested = (depth: number) =>
      see(
        Object.fromEntries(
          Array.from({ length: depth }, (_, i) => [
            i === 0 ? 'main.conf' : `${i}.conf`,
            i + 1 < depth ? `Include ${i + 1}.conf` : '',
          ]),
        ),
      ).problems;
    assert.deepEqual(nested(MAX_INCLUDE_DEPTH), []);
    assert.deepEqual(nested(MAX_INCLUDE_DEPTH + 1), [`error ${MAX_INCLUDE_DEPTH - 1}.conf:1:9 limit`]);
  });

  test('links of a chain', () => {
    const chain = (links: number) =>
      see(`SecRule ARGS a "id:1,deny${',chain"\nSecRule ARGS a "t:none'.repeat(links - 1)}"`).problems;
    assert.deepEqual(chain(MAX_CHAIN_LINKS), []);
    assert.deepEqual(chain(MAX_CHAIN_LINKS + 1), [`error ${MAX_CHAIN_LINKS}:24 limit`]);
  });

  test('rules', () => {
    const rules = (count: number) =>
      see(Array.from({ length: count }, (_, i) => `SecAction id:${i + 1}`).join('\n')).problems;
    assert.deepEqual(rules(MAX_RULES), []);
    assert.deepEqual(rules(MAX_RULES + 2), [`error ${MAX_RULES + 1}:1 limit`]);
  });

  test('updates', () => {
    const updates = (count: number) =>
      see(`SecAction id:1\n${'SecRuleUpdateTargetById 1 ARGS\n'.repeat(count)}`).problems;
    assert.deepEqual(updates(MAX_RULE_UPDATES), []);
    assert.deepEqual(updates(MAX_RULE_UPDATES + 2), [`error ${MAX_RULE_UPDATES + 2}:1 limit`]);
  });

  test('problems', () => {
    const { problems, messages } = see('X\n'.repeat(MAX_RULE_DIAGNOSTICS + 3));
    assert.equal(problems.length, MAX_RULE_DIAGNOSTICS + 1);
    assert.match(messages.at(-1)!, /3 more problems/);
  });
});
