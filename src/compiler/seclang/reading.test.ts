/** What each construct of the language becomes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as abi from '../../../assembly/waf/abi.ts';
import { see, theRule } from '../../../test/support/seclang.ts';
import { nameOf, operatorName, transformationName, writeMacro, writeTarget } from './index.ts';

const rule = (condition: string, actions = 'id:1,deny') => theRule(`SecRule ${condition} "${actions}"`);
const targets = (text: string) => rule(`${text} x`).links[0]!.targets;
const operator = (text: string) => rule(`ARGS "${text}"`).links[0]!.operator;
const actions = (text: string) => theRule(`SecAction "id:1,${text}"`);

describe('words', () => {
  test('a rule of one line', () => {
    const found = theRule('SecRule ARGS "@rx attack" "id:1,phase:2,deny"');
    assert.equal(found.id, 1);
    assert.deepEqual(found.place, { file: 'main.conf', line: 1, column: 1 });
    assert.deepEqual(found.links[0]!.operator.argument, ['attack']);
    assert.deepEqual(found.links[0]!.operator.place, { file: 'main.conf', line: 1, column: 19 });
  });

  test('directive names in any case, and white space before them', () => {
    assert.equal(theRule(' \t sEcRuLe aRgS "x" "ID:7,Phase:1,dEnY"').id, 7);
  });

  test('lines that are continued, inside words too, with LF and CRLF', () => {
    for (const end of ['\n', '\r\n']) {
      const text = ['SecRule ARGS \\', '  "@rx a\\', 'b" \\', '  "id:1,\\', '   deny"', 'SecMarker X'].join(end);
      const { rules, problems, ruleSet } = see(text);
      assert.deepEqual(problems, []);
      assert.deepEqual(rules[0]!.links[0]!.operator.argument, ['ab']);
      assert.equal(ruleSet.entries[1]!.place.line, 6);
    }
  });

  test('quotes and backslashes are escaped by a backslash, other backslashes stand', () => {
    assert.deepEqual(operator(String.raw`a\"b\dc`).argument, [String.raw`a"b\dc`]);
    const { rules, problems } = see(String.raw`SecRule ARGS "a\\.b" "id:1,deny"`);
    assert.deepEqual(rules[0]!.links[0]!.operator.argument, [String.raw`a\.b`]);
    assert.deepEqual(problems, ['warning 1:15 double-backslash'], 'engines differ there');
  });

  test('words in single quotes, and words without any', () => {
    const { rules } = see(`SecRule ARGS '@rx a"b' id:1,deny`);
    assert.deepEqual(rules[0]!.links[0]!.operator.argument, ['a"b']);
  });

  test('comments and blank lines', () => {
    const { problems, rules } = see('\n  # one\n\t\n#SecRule\nSecAction "id:1,pass"\n#');
    assert.deepEqual(problems, []);
    assert.equal(rules.length, 1);
  });

  test('a comment that ends in a backslash goes on, which is told where it hides a directive', () => {
    const { problems, rules } = see('# a \\\nSecAction "id:1,pass"\n# b \\\n# c\nSecAction "id:2,pass"');
    assert.deepEqual(problems, ['warning 2:1 continued-comment']);
    assert.deepEqual(
      rules.map(({ id }) => id),
      [2],
    );
  });

  test('a byte order mark is no text', () => {
    assert.equal(theRule('\ufeffSecAction "id:1,pass"').id, 1);
  });
});

describe('targets', () => {
  test('several, counts, exclusions, selectors', () => {
    const text = "ARGS|!ARGS:q|&REQUEST_HEADERS:Host|REQUEST_COOKIES:/^a/|args_get:'a:b|c'";
    assert.deepEqual(targets(`"${text}"`).map(writeTarget), [
      ...['ARGS', '!ARGS:q', '&REQUEST_HEADERS:host', 'REQUEST_COOKIES:/^a/', "ARGS_GET:'a:b|c'"],
    ]);
  });

  test('a pattern ends at white space unless it is quoted', () => {
    assert.deepEqual(targets(`"ARGS:'/^a|b c/'"`)[0]!.selector, { regex: '^a|b c' });
    assert.deepEqual(targets('ARGS:/^a$/')[0]!.selector, { regex: '^a$' });
    assert.deepEqual(targets('ARGS:/a')[0]!.selector, { exact: '/a' }, 'one slash is a name');
    assert.deepEqual(targets('ARGS://')[0]!.selector, { exact: '//' }, 'as in ModSecurity, an empty pattern is none');
  });

  test('exact names are lower case, patterns stay', () => {
    assert.deepEqual(targets('ARGS:FooBar')[0]!.selector, { exact: 'foobar' });
    assert.deepEqual(targets('ARGS:/FooBar/')[0]!.selector, { regex: 'FooBar' });
  });

  test('commas separate too, and a name may hold dots and colons', () => {
    assert.deepEqual(targets('ARGS:a.b,ARGS:c:d').map(writeTarget), ['ARGS:a.b', 'ARGS:c:d']);
  });

  test('XML has its two paths', () => {
    assert.deepEqual(
      targets('XML:/*|XML://@*').map(({ selector }) => selector),
      [{ exact: '/*' }, { exact: '//@*' }],
    );
  });

  test('aliases mean the same variable', () => {
    assert.equal(targets('USERAGENT_IP')[0]!.variable, abi.VARIABLE_REMOTE_ADDR);
    assert.equal(targets('REQBODY_PROCESSOR_ERROR_MSG')[0]!.variable, abi.VARIABLE_REQBODY_ERROR_MSG);
  });

  test('every variable of the engine has its name in the language', () => {
    for (const [name, id] of Object.entries(abi)) {
      if (!name.startsWith('VARIABLE_') || name === 'VARIABLE_COUNT' || name === 'VARIABLE_EMPTY') continue;
      assert.equal(nameOf(id), name.slice('VARIABLE_'.length));
      const entry = /^VARIABLE_(TX|RULE)$/.test(name) ? ':x' : name === 'VARIABLE_XML' ? ':/*' : '';
      // Those that never have a value are errors where a rule looks at them, and may be left out by anybody.
      const [target] = see(`SecRule !${nameOf(id)}${entry} x "id:1,phase:2,deny"`).rules[0]!.links[0]!.targets;
      assert.equal(target!.variable, id);
    }
  });
});

describe('operators', () => {
  test('a regular expression where none is named', () => {
    assert.equal(operator('^a').operator, abi.OPERATOR_RX);
    assert.equal(operator('a@b').operator, abi.OPERATOR_RX);
    assert.equal(operator('').operator, abi.OPERATOR_RX);
    assert.deepEqual(operator('').argument, []);
  });

  test('negation', () => {
    for (const text of ['!@rx a', '! @rx a', '!a']) {
      assert.deepEqual([operator(text).negated, operator(text).argument], [true, ['a']], text);
    }
    assert.equal(operator('!@streq %{TX.1}').negated, true);
  });

  test('white space before the argument is none of it, and behind it is', () => {
    assert.deepEqual(operator('@streq   a b ').argument, ['a b ']);
  });

  test('what is beyond ASCII in a pattern stands as bytes', () => {
    assert.deepEqual(operator('[é]|€').argument, ['[\\xc3\\xa9]|\\xe2\\x82\\xac']);
    assert.deepEqual(operator(String.raw`\é`).argument, ['\\xc3\\xa9']);
    assert.equal(operator('é').text, 'é');
  });

  test('braces that are no macro', () => {
    assert.deepEqual(operator('%{2,3}').argument, ['%{2,3}']);
  });

  test('phrases', () => {
    assert.deepEqual(operator('@pm  a  Bc\td ').phrases, ['a', 'Bc', 'd']);
    assert.deepEqual(operator('@pm a|41 42|b c').phrases, ['aABb', 'c']);
    assert.deepEqual(operator(String.raw`@pm a\:b x`).phrases, ['a:b', 'x']);
    assert.deepEqual(operator(String.raw`@pm a\nb`).phrases, [String.raw`a\nb`], 'any other escape is text');
    assert.deepEqual(operator('@pm a||b').phrases, ['a||b']);
    assert.deepEqual(operator('@pm a a').phrases, ['a']);
  });

  test('addresses', () => {
    assert.deepEqual(operator('@ipMatch 192.0.2.0/24, 2001:db8::1').phrases, ['192.0.2.0/24', '2001:db8::1']);
  });

  test('files of phrases and addresses, relative to the file of the rule', () => {
    const { rules, problems, files } = see({
      'main.conf': 'Include sub/a.conf',
      'sub/a.conf':
        'SecRule ARGS "@pmFromFile words.data more.data" "id:1,deny"\nSecRule REMOTE_ADDR "@ipMatchFromFile ../ips" "id:2,deny"',
      'sub/words.data': '# comment\n\n  one two \r\nFFI\\\\CData\n#',
      'sub/more.data': 'three',
      ips: '10.0.0.0/8\n#x\n::1',
    });
    assert.deepEqual(problems, []);
    assert.deepEqual(rules[0]!.links[0]!.operator.phrases, ['one two', 'FFI\\CData', 'three']);
    assert.deepEqual(rules[1]!.links[0]!.operator.phrases, ['10.0.0.0/8', '::1']);
    assert.deepEqual(files, ['main.conf', 'sub/a.conf', 'sub/words.data', 'sub/more.data', 'ips']);
  });

  test('macros in arguments', () => {
    assert.deepEqual(operator('@within %{tx.Allowed_Methods}').argument, [
      { variable: abi.VARIABLE_TX, name: 'allowed_methods' },
    ]);
    assert.deepEqual(operator('@endsWith .%{request_headers.Host}!').argument, [
      ...['.', { variable: abi.VARIABLE_REQUEST_HEADERS, name: 'host' }, '!'],
    ]);
  });

  test('every operator of the engine has its name in the language', () => {
    for (const [name, id] of Object.entries(abi)) {
      if (!name.startsWith('OPERATOR_') || name === 'OPERATOR_LAST_MATCHER') continue;
      assert.equal(operatorName(id).toLowerCase(), name.slice('OPERATOR_'.length).replaceAll('_', '').toLowerCase());
    }
  });
});

describe('actions', () => {
  test('defaults without any', () => {
    const found = theRule('SecAction "id:1"');
    assert.deepEqual(
      [found.phase, found.disruptive, found.log, found.auditlog, found.severity, found.msg, found.status],
      [2, 'pass', true, true, -1, null, 0],
    );
  });

  test('metadata', () => {
    const found = actions(
      "phase:1,msg:'it\\'s %{MATCHED_VAR}',tag:a,tag:'b/c',ver:'x/1',rev:2,maturity:3,accuracy:4,severity:'Error'",
    );
    assert.equal(writeMacro(found.msg!), "it's %{MATCHED_VAR}");
    assert.deepEqual(found.tags, ['a', 'b/c']);
    assert.deepEqual([found.ver, found.rev, found.maturity, found.accuracy, found.severity], ['x/1', '2', 3, 4, 3]);
    assert.equal(actions('severity:5').severity, 5);
  });

  test('phases by name', () => {
    assert.deepEqual(
      ['request', 'response', 'logging', '3'].map((phase) => actions(`phase:${phase}`).phase),
      [2, 4, 5, 3],
    );
  });

  test('disruptive actions, the last one wins', () => {
    assert.equal(actions('deny,pass').disruptive, 'pass');
    const redirect = actions('redirect:https://example.com/a?b=1,status:302');
    assert.deepEqual(
      [redirect.disruptive, redirect.redirect, redirect.status],
      ['redirect', 'https://example.com/a?b=1', 302],
    );
    assert.deepEqual(
      ['allow', 'allow:phase', 'allow:request'].map((text) => actions(text).allow),
      ['', 'phase', 'request'],
    );
    assert.equal(actions('drop').disruptive, 'drop');
  });

  test('logging', () => {
    const log = (text: string) => [actions(text).log, actions(text).auditlog];
    assert.deepEqual(log('nolog'), [false, false]);
    assert.deepEqual(log('nolog,auditlog'), [false, true]);
    assert.deepEqual(log('noauditlog'), [true, false]);
  });

  test('transformations, none starts anew', () => {
    const names = (text: string) => actions(text).links[0]!.transformations.map(transformationName);
    assert.deepEqual(names('t:none,t:urlDecodeUni,t:lowercase'), ['urlDecodeUni', 'lowercase']);
    assert.deepEqual(names('t:lowercase,t:none,t:length'), ['length']);
    assert.deepEqual(names('t:lowercase,t:trim,t:-lowercase'), ['trim']);
    assert.deepEqual(names('t:normalisePath,t:CMDLINE,t:Utf8toUnicode'), ['normalizePath', 'cmdLine', 'utf8toUnicode']);
  });

  test('every transformation of the engine has its name in the language', () => {
    for (let id = 1; id < abi.TRANSFORM_COUNT; id++) {
      assert.deepEqual(actions(`t:${transformationName(id)}`).links[0]!.transformations, [id]);
    }
  });

  test('setvar', () => {
    const set = (text: string) => actions(`setvar:${text}`).links[0]!.setvars[0]!;
    const tx = (name: string, operation: string, value: unknown[]) => ({
      collection: 'tx',
      name: [name],
      operation,
      value,
    });
    assert.deepEqual(set('tx.a=b'), tx('a', 'set', ['b']));
    assert.deepEqual(set('TX.Some_Name'), tx('some_name', 'set', ['1']));
    assert.deepEqual(set('!tx.a'), tx('a', 'unset', []));
    assert.deepEqual(set('tx.a=+5'), tx('a', 'add', ['5']));
    assert.deepEqual(set('tx.a=-2'), tx('a', 'subtract', ['2']));
    assert.deepEqual(set("'tx.a=x y=z, |w|'"), tx('a', 'set', ['x y=z, |w|']));
    assert.deepEqual(set("'tx.a='"), tx('a', 'set', []));
    assert.deepEqual(set("'tx.a=+%{tx.critical}'"), tx('a', 'add', [{ variable: abi.VARIABLE_TX, name: 'critical' }]));
    assert.deepEqual(set("'tx.%{rule.id}-a=%{MATCHED_VAR_NAME}'"), {
      ...{ collection: 'tx', operation: 'set' },
      name: [{ variable: abi.VARIABLE_RULE, name: 'id' }, '-a'],
      value: [{ variable: abi.VARIABLE_MATCHED_VAR_NAME, name: '' }],
    });
    assert.equal(actions("setvar:tx.a=1,setvar:'tx.a=2'").links[0]!.setvars.length, 2);
  });

  test('ctl', () => {
    const ctl = (text: string) => actions(`ctl:${text}`).links[0]!.ctls;
    assert.deepEqual(ctl('ruleEngine=DetectionOnly'), [{ ctl: 'ruleEngine', value: 'detectionOnly' }]);
    assert.deepEqual(ctl('requestBodyProcessor=json'), [{ ctl: 'requestBodyProcessor', value: 'JSON' }]);
    assert.deepEqual(ctl('forceRequestBodyVariable=on'), [{ ctl: 'forceRequestBodyVariable', value: true }]);
    assert.deepEqual(ctl('responseBodyAccess=Off'), [{ ctl: 'responseBodyAccess', value: false }]);
    assert.deepEqual(ctl('auditLogParts=+E'), [{ ctl: 'auditLogParts', value: '+E' }]);
    const byId = (ranges: number[][]) => ({ by: 'id', ranges });
    assert.deepEqual(ctl('ruleRemoveById=10-20'), [{ ctl: 'ruleRemove', rules: byId([[10, 20]]) }]);
    assert.deepEqual(ctl("'ruleRemoveById=1,5-6'"), [
      {
        ctl: 'ruleRemove',
        rules: byId([
          [1, 1],
          [5, 6],
        ]),
      },
    ]);
    assert.deepEqual(ctl('ruleRemoveByTag=^attack-'), [
      { ctl: 'ruleRemove', rules: { by: 'tag', pattern: '^attack-' } },
    ]);
    assert.deepEqual(ctl("'ruleRemoveByMsg=SQL Inj'"), [
      { ctl: 'ruleRemove', rules: { by: 'message', pattern: 'SQL Inj' } },
    ]);
    const q = { variable: abi.VARIABLE_ARGS, count: false, exclude: true, selector: { exact: 'q' } };
    assert.deepEqual(ctl('ruleRemoveTargetByTag=attack;ARGS:q'), [
      { ctl: 'ruleRemoveTarget', rules: { by: 'tag', pattern: 'attack' }, target: q },
    ]);
    const several = ctl("'ruleRemoveTargetById=1-9;ARGS:q,REQUEST_COOKIES:/^x/'");
    assert.deepEqual(
      several.map((one) => 'target' in one && writeTarget(one.target)),
      ['!ARGS:q', '!REQUEST_COOKIES:/^x/'],
    );
  });

  test('separators of ModSecurity: commas, bars, white space behind a value', () => {
    const found = theRule('SecAction "  id:1 , phase:1,\\\n   msg:\'a\',t:none|t:lowercase , deny "');
    assert.deepEqual([found.id, found.phase, found.disruptive], [1, 1, 'deny']);
  });
});

describe('chains', () => {
  test('links carry their own conditions, the head the rest', () => {
    const found = theRule(
      'SecRule ARGS a "id:1,deny,t:trim,chain,setvar:tx.a=1"\nSecRule ARGS:b c "t:lowercase,capture,chain"\n SecAction "setvar:tx.b=1"',
    );
    assert.deepEqual(
      found.links.map(({ targets: all, transformations, capture, setvars, place }) => [
        all.map(writeTarget).join(),
        transformations.map(transformationName).join(),
        capture,
        setvars.length,
        place.line,
      ]),
      [
        ['ARGS', 'trim', false, 1, 1],
        ['ARGS:b', 'lowercase', true, 0, 2],
        ['', '', false, 1, 3],
      ],
    );
  });
});

describe('defaults', () => {
  test('block stands for the default of the phase, of the last one where it has none', () => {
    const { rules, problems } = see(`SecAction "id:1,phase:1,block"
SecDefaultAction "phase:2,log,noauditlog,deny,status:406"
SecAction "id:2,phase:1,block"
SecAction "id:3,phase:2,block,auditlog"
SecDefaultAction "phase:1,nolog,pass"
SecAction "id:4,phase:1,block"
SecAction "id:5,phase:2"
SecAction "id:6,phase:2,pass"`);
    assert.deepEqual(problems, ['warning 1:25 idle-block', 'warning 6:25 idle-block']);
    assert.deepEqual(
      rules.map(({ id, disruptive, blocks, status, log, auditlog }) => [id, disruptive, blocks, status, log, auditlog]),
      [
        [1, 'pass', true, 0, true, true],
        [2, 'deny', true, 406, true, false],
        [3, 'deny', true, 406, true, true],
        [4, 'pass', true, 0, false, false],
        [5, 'deny', false, 406, true, false],
        [6, 'pass', false, 406, true, false],
      ],
    );
  });

  test('transformations of the default come first, and none takes them away', () => {
    const { rules } = see(`SecDefaultAction "phase:2,pass,t:lowercase"
SecAction "id:1,t:trim,chain"
SecAction "t:length"
SecAction "id:2,t:none,t:trim"`);
    assert.deepEqual(
      rules.map(({ links }) => links.map(({ transformations }) => transformations.map(transformationName).join())),
      [['lowercase,trim', 'lowercase,length'], ['trim']],
    );
  });
});

describe('order and settings', () => {
  test('markers stand where they were written; a rule may be skipped to by its id', () => {
    const { ruleSet, problems } = see(`SecAction "id:1,skipAfter:END,skip:2"
SecAction "id:2,skipAfter:3"
SecAction "id:3,pass"
SecMarker "END"
SecMarker OTHER`);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      ruleSet.entries.map((entry) => (entry.kind === 'rule' ? entry.id : entry.name)),
      [1, 2, 3, '3', 'END', 'OTHER'],
    );
  });

  test('settings: the last one wins, lists add up', () => {
    const { ruleSet, problems } = see(`SecRuleEngine On
SecRuleEngine DetectionOnly
SecRequestBodyLimit 1000
SecResponseBodyMimeType text/plain text/HTML
SecResponseBodyMimeType application/json
SecComponentSignature "mine/1.0"`);
    // Each is said once: what a policy says about them counts.
    assert.deepEqual(problems, ['warning 1:1 no-effect', 'warning 3:1 no-effect', 'warning 4:1 no-effect']);
    assert.deepEqual(ruleSet.components, ['mine/1.0']);
    assert.deepEqual(ruleSet.settings, {
      secruleengine: 'DetectionOnly',
      secrequestbodylimit: '1000',
      secresponsebodymimetype: 'text/plain text/html application/json',
    });
    assert.deepEqual(see('SecResponseBodyMimeType a/b\nSecResponseBodyMimeTypesClear').ruleSet.settings, {});
  });

  test('the recommended configuration of ModSecurity is accepted: what has no effect is told once', () => {
    const { problems } = see(`SecAuditEngine RelevantOnly
SecAuditEngine On
SecDebugLogLevel 3
SecPcreMatchLimit 1000
SecRxPreFilter Off
SecTmpDir /tmp/
SecUnicodeMapFile unicode.mapping 20127
SecArgumentSeparator &
SecCookieFormat 0
SecStatusEngine Off
SecCollectionTimeout 600`);
    assert.deepEqual(
      problems,
      [1, 3, 4, 5, 6, 7, 10, 11].map((line) => `warning ${line}:1 no-effect`),
    );
  });
});

describe('includes', () => {
  test('patterns, in the order of their names, relative to the file', () => {
    const { rules, problems } = see({
      'main.conf': 'Include rules/*.conf\nIncludeOptional none/*.conf\nInclude rules/[xy].inc',
      'rules/b.conf': 'SecAction "id:2,pass"',
      'rules/a.conf': 'SecAction "id:1,pass"\nInclude deep/z.conf',
      'rules/deep/z.conf': 'SecAction "id:9,pass"',
      'rules/.c.conf': 'SecAction "id:8,pass"',
      'rules/y.inc': 'SecAction "id:3,pass"',
    });
    assert.deepEqual(problems, []);
    assert.deepEqual(
      rules.map(({ id, place }) => [id, place.file]),
      [
        [1, 'rules/a.conf'],
        [9, 'rules/deep/z.conf'],
        [2, 'rules/b.conf'],
        [3, 'rules/y.inc'],
      ],
    );
  });

  test('a chain may go on in an included file, and a file may come twice', () => {
    const { rules, problems } = see({
      'main.conf': 'SecRule ARGS a "id:1,deny,chain"\nInclude b',
      b: 'SecRule ARGS b',
    });
    assert.deepEqual(problems, []);
    assert.equal(rules[0]!.links.length, 2);
    assert.deepEqual(see({ 'main.conf': 'Include b\nInclude b', b: 'SecMarker X' }).problems, []);
  });
});
