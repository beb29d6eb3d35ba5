import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compile } from '../index.ts';
import { RULE_BODY_DOUBTFUL, RULE_BODY_MALFORMED, RULE_BODY_UNMATCHED_BOUNDARY } from '../../../assembly/waf/abi.ts';
import { ORDINARY_BODIES } from '../../../test/core-rules/bodies.ts';
import { withBody } from '../../../test/core-rules/attacks.ts';
import { openRules } from '../../../test/support/waf.ts';

const RULES = 'SecRule ARGS|XML:/* "@contains attack" "id:1,phase:2,deny,status:403"';
const { waf: rejecting } = await openRules(RULES, {}, 'reject');
const { waf: logging } = await openRules(RULES, {}, 'log');
const { waf: passing } = await openRules(RULES, {}, 'pass');
const { waf: detecting } = await openRules(RULES, { mode: 'detect' }, 'reject');

const part = (disposition: string, content: string): string =>
  `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${content}\r\n`;
const END = '--b--\r\n';
const FORM = 'multipart/form-data; boundary=b';

const BODIES: readonly (readonly [name: string, rule: number, type: string, body: string, target: string])[] = [
  ['JSON that ends too early', RULE_BODY_MALFORMED, 'application/json', '{"a":', 'REQBODY_ERROR'],
  ['JSON with more behind it', RULE_BODY_MALFORMED, 'application/vnd.api+json', '{} {}', 'REQBODY_ERROR'],
  [
    'an entity that splits a word',
    RULE_BODY_MALFORMED,
    'text/xml',
    '<!DOCTYPE a [<!ENTITY e "tta">]><a>a&e;ck</a>',
    'REQBODY_ERROR',
  ],
  ['an element that is not closed', RULE_BODY_MALFORMED, 'application/soap+xml', '<a><b></a>', 'REQBODY_ERROR'],
  ['no final boundary', RULE_BODY_MALFORMED, FORM, part('name="q"', 'x'), 'REQBODY_ERROR'],
  [
    'both a boundary and a quoted one',
    RULE_BODY_MALFORMED,
    'multipart/form-data; boundary="b"',
    part('name="q"', 'x').replace('--b', '--"b"') + part('name="q"', 'x') + END,
    'REQBODY_ERROR',
  ],
  [
    'two file names',
    RULE_BODY_MALFORMED,
    FORM,
    part('name="q"; filename="a"; filename="b"', 'x') + END,
    'REQBODY_ERROR',
  ],
  ['data before', RULE_BODY_DOUBTFUL, FORM, `x\r\n${part('name="q"', 'x')}${END}`, 'MULTIPART_DATA_BEFORE'],
  [
    'bare line feeds',
    RULE_BODY_DOUBTFUL,
    FORM,
    (part('name="q"', 'x') + END).replaceAll('\r\n', '\n'),
    'MULTIPART_LF_LINE',
  ],
  ['single quotes', RULE_BODY_DOUBTFUL, FORM, part("name='q'", 'x') + END, 'MULTIPART_INVALID_QUOTING'],
  [
    'a boundary in a line',
    RULE_BODY_UNMATCHED_BOUNDARY,
    FORM,
    part('name="q"; filename="a"', 'x--b\rContent-Disposition: form-data; name="q"\r\rattack') + END,
    'MULTIPART_UNMATCHED_BOUNDARY',
  ],
];

describe('a body that cannot be read for sure', () => {
  for (const [name, rule, type, body, target] of BODIES)
    test(name, () => {
      const transaction = withBody(type, body);
      const { action, status, rule: decided, phase, events } = rejecting.inspect(transaction);
      assert.deepEqual([action, status, decided, phase], ['deny', 400, rule, 2]);
      assert.deepEqual([events[0]!.rule, events[0]!.target, events[0]!.severity], [rule, target, 2]);
      assert.deepEqual(events[0]!.tags, ['malformed-body']);
      for (const [waf, expected] of [
        [logging, 'pass'],
        [detecting, 'deny'],
      ] as const) {
        const seen = waf.inspect(transaction);
        assert.equal(seen.action, 'pass');
        assert.deepEqual([seen.events[0]!.rule, seen.events[0]!.action], [rule, expected]);
      }
      assert.ok(!passing.inspect(transaction).events.some((event) => event.rule === rule));
    });

  test('the message says what is wrong', () => {
    const { events } = rejecting.inspect(withBody('application/json', '[1,]'));
    assert.match(events[0]!.message, /^Body is malformed: JSON parsing error: /);
  });

  test('the rules of the set run where it is only recorded', () => {
    const { action, status, rule } = logging.inspect(withBody('application/json', '{"q":"attack"'));
    assert.deepEqual([action, status, rule], ['deny', 403, 1]);
  });
});

describe('ordinary bodies pass', () => {
  for (const [name, transaction] of ORDINARY_BODIES)
    test(name, () => {
      const { action, events } = rejecting.inspect(transaction);
      assert.deepEqual([action, events.map(({ rule, target, message }) => [rule, target, message])], ['pass', []]);
    });
});

describe('in a policy', () => {
  const compiled = async (waf: string) => {
    const text = `app: a\nbackends: { web: { url: http://127.0.0.1:1 } }\nwaf: ${waf}\nroutes: [{ backend: web }]\n`;
    const { diagnostics } = await compile({ files: [{ path: 'a.yaml', text }], target: 'workerd', agents: null });
    return diagnostics.map(({ code, message }) => `${code}: ${message}`);
  };

  test('its rules can be named by exclusions, and by SecLang', async () => {
    for (const id of [RULE_BODY_MALFORMED, RULE_BODY_DOUBTFUL, RULE_BODY_UNMATCHED_BOUNDARY])
      assert.deepEqual(await compiled(`{ ruleset: none, exclude: [{ rule: ${id} }] }`), []);
    assert.deepEqual(await compiled('{ ruleset: none, exclude: [{ tag: malformed-body, when: "true" }] }'), []);
    assert.deepEqual(await compiled(`{ ruleset: none, secLang: "SecRuleRemoveById ${RULE_BODY_MALFORMED}" }`), []);
    assert.match(
      (await compiled(`{ ruleset: none, body: { malformed: pass }, exclude: [{ rule: ${RULE_BODY_MALFORMED} }] }`))[0]!,
      /^unknown-rule/,
    );
    assert.match((await compiled('{ body: { malformed: deny } }'))[0]!, /^unknown-value/);
  });
});
