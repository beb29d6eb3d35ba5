import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIELD_MCP_TOOL, MAX_PROTOCOL_VALUE } from '../../assembly/abi.ts';
import { requestHead, testEngine } from '../../test/support/engine.ts';
import { loadOne } from '../../test/support/image.ts';
import { rulePolicy } from '../../test/support/rules.ts';
import { fits, type ProtocolFields } from './protocol-fields.ts';

const engine = await testEngine();
const EMPTY = new Uint8Array(0);

/** Indices of rules that match, of the body call and then of the response call. */
function judged(rules: readonly string[], protocol?: ProtocolFields): [number[], number[]] {
  const policy = rulePolicy(rules.map((when) => ({ when })));
  assert.deepEqual(policy.reports, []);
  const generation = loadOne(engine, policy.image);
  const plain = requestHead('http://h/');
  const head = protocol === undefined ? plain : { ...plain, protocol };
  const body = engine.body(generation, 0, head, EMPTY, 0, false, 1, 1);
  const response = engine.response(generation, 0, head, { text: '200\0', fields: 1 }, 1, 1);
  engine.release(generation);
  return [body.effects.map(({ index }) => index), response.effects.map(({ index }) => index)];
}

const RULES = [
  'mcp.method eq "tools/call" and mcp.tool wildcard "refund_*" and mcp.version eq "2026-07-28"',
  'mcp.resource eq "file:///é" or mcp.prompt eq "greet" or mcp.server eq "shop"',
  'a2a.method eq "SendMessage" and a2a.version eq "1.0" and a2a.skill eq "pay"',
  'llm.provider eq "openai" and llm.model eq "gpt-5" and llm.stream eq "true"',
  'mcp.tool eq ""',
  'mcp.tool ne "x"',
  'mcp.tool wildcard "refund_*" and http.response.code eq 200',
];

test('rules see what the protocol phase has read, in the body call and with the response', () => {
  const tool = { method: 'tools/call', tool: 'refund_all', version: '2026-07-28' };
  assert.deepEqual(judged(RULES, { mcp: tool }), [[0, 5], [6]]);
  for (const mcp of [{ resource: 'file:///é' }, { prompt: 'greet' }, { server: 'shop' }])
    assert.deepEqual(judged(RULES, { mcp }), [[1, 5], []]);
  assert.deepEqual(judged(RULES, { mcp: { tool: '' } }), [[4, 5], []]);
  assert.deepEqual(judged(RULES, { a2a: { method: 'SendMessage', version: '1.0', skill: 'pay' } }), [[2, 5], []]);
  assert.deepEqual(judged(RULES, { llm: { provider: 'openai', model: 'gpt-5', stream: 'true' } }), [[3, 5], []]);
});

test('what is not there is missing, and nothing of the call before is left', () => {
  assert.deepEqual(judged(RULES), [[5], []]);
  assert.deepEqual(judged(RULES, {}), [[5], []]);
});

test('evidence names the field', () => {
  const policy = rulePolicy([{ when: 'mcp.tool contains "und"' }]);
  const head = { ...requestHead('http://h/'), protocol: { mcp: { tool: 'refund' } } };
  const { effects } = engine.body(loadOne(engine, policy.image), 0, head, EMPTY, 0, false, 1, 1);
  assert.deepEqual([effects[0]!.b, effects[0]!.value], [FIELD_MCP_TOOL, 'refund']);
});

test('stages tell rules that look at bytes of the body from those that do not', () => {
  const stages = (when: string) => rulePolicy([{ when }]).stages;
  assert.deepEqual(stages('mcp.tool eq "x"'), { body: false, protocol: true, response: false });
  assert.deepEqual(stages('mcp.tool eq "x" and http.request.body.size gt 1'), {
    body: true,
    protocol: true,
    response: false,
  });
});

test('the longest values fit; a longer one is told, and is an error rather than cut', () => {
  const longest = 'é'.repeat(MAX_PROTOCOL_VALUE / 2);
  const mcp = { method: longest, tool: longest, version: longest };
  assert.ok(fits({ mcp }));
  assert.deepEqual(judged([`len(mcp.version) eq ${MAX_PROTOCOL_VALUE}`], { mcp }), [[0], []]);
  assert.ok(!fits({ mcp: { tool: `${longest}x` } }));
  assert.ok(!fits({ llm: { model: 'x'.repeat(MAX_PROTOCOL_VALUE + 1) } }));
  const many = { ...mcp, resource: longest, prompt: longest };
  assert.throws(() => judged(['mcp.tool eq "x"'], { mcp: many }), RangeError);
});
