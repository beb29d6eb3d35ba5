import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readJsonText } from './json.ts';
import { MAX_MCP_BATCH, MAX_MCP_DEPTH, MAX_MCP_METHOD } from './limits.ts';
import { INVALID_PARAMS, INVALID_REQUEST, type McpBody, PARSE_ERROR, readMcpBody, VERSION_KEY } from './message.ts';

const encoder = new TextEncoder();
const read = (text: string) => readMcpBody(encoder.encode(text));
const one = (value: object) => {
  const body = read(JSON.stringify({ jsonrpc: '2.0', id: 1, ...value }));
  if ('code' in body) throw new Error(body.message);
  return body.messages[0]!;
};
const code = (text: string): number | null => {
  const body = read(text);
  return 'code' in body ? body.code : null;
};
const rpc = (members: string) => `{"jsonrpc":"2.0","id":1,${members}}`;

describe('messages', () => {
  test('are requests, notifications or responses', () => {
    assert.equal(one({ method: 'ping' }).kind, 'request');
    assert.equal(one({ id: undefined, method: 'notifications/initialized' }).kind, 'notification');
    assert.equal(one({ result: {} }).kind, 'response');
    assert.equal(one({ result: null }).kind, 'response');
    assert.equal(one({ id: undefined, error: { code: 1, message: '' } }).kind, 'response');
    assert.equal(one({ id: null, error: { code: 1, message: '' } }).kind, 'response');
    assert.equal(one({ id: 'a', method: 'ping' }).id, 'a');
  });

  test('say what they name', () => {
    const about = (method: string, params: object) => {
      const { tool, prompt, resources, name } = one({ method, params });
      return { tool, prompt, resources, name };
    };
    const nothing = { tool: null, prompt: null, resources: [], name: null };
    assert.deepEqual(about('tools/call', { name: 'x' }), { ...nothing, tool: 'x', name: 'x' });
    assert.deepEqual(about('prompts/get', { name: 'x' }), { ...nothing, prompt: 'x', name: 'x' });
    assert.deepEqual(about('resources/read', { uri: 'f:/é' }), { ...nothing, resources: ['f:/é'], name: 'f:/é' });
    assert.deepEqual(about('resources/subscribe', { uri: 'f:' }), { ...nothing, resources: ['f:'] });
    assert.deepEqual(about('tasks/get', { taskId: 't' }), { ...nothing, name: 't' });
    const ref = { type: 'ref/prompt', name: 'x' };
    assert.deepEqual(about('completion/complete', { ref }), { ...nothing, prompt: 'x' });
    assert.deepEqual(about('completion/complete', { ref: { uri: 'f:' } }), { ...nothing, resources: ['f:'] });
    const notifications = { resourceSubscriptions: ['a:', 'b:'] };
    assert.deepEqual(about('subscriptions/listen', { notifications }), { ...nothing, resources: ['a:', 'b:'] });
    assert.deepEqual(about('tools/list', { name: 'x' }), nothing);
  });

  test('say their version where they have one', () => {
    assert.equal(one({ method: 'ping', params: { _meta: { [VERSION_KEY]: '2026-07-28' } } }).version, '2026-07-28');
    assert.equal(one({ method: 'initialize', params: { protocolVersion: '2025-11-25' } }).version, null);
  });

  test('that readers could take for something else are refused', () => {
    const refused: readonly (readonly [string, number])[] = [
      ['', PARSE_ERROR],
      ['{', PARSE_ERROR],
      ['\ufeff{}', PARSE_ERROR],
      ['{"a":NaN}', PARSE_ERROR],
      ['1', INVALID_REQUEST],
      ['null', INVALID_REQUEST],
      ['[]', INVALID_REQUEST],
      ['{}', INVALID_REQUEST],
      ['{"jsonrpc":"1.0","id":1,"method":"a"}', INVALID_REQUEST],
      [rpc('"method":"a","method":"b"'), INVALID_REQUEST],
      [rpc('"method":"a","met\\u0068od":"b"'), INVALID_REQUEST],
      [rpc('"method":"a","params":{"x":{"y":1,"y":2}}'), INVALID_REQUEST],
      [rpc('"method":"tools/call","params":{"name":"a","arguments":[{"k":1,"k":1}]}'), INVALID_REQUEST],
      [rpc('"method":"a","Method":"b"'), INVALID_REQUEST],
      [rpc('"result":{},"Method":"b"'), INVALID_REQUEST],
      [rpc('"method":"a","param\u017f":{}'), INVALID_REQUEST],
      [rpc('"method":"tools/call","params":{"name":"a","Name":"b"}'), INVALID_REQUEST],
      [rpc(`"method":"a","params":{"_meta":{"${VERSION_KEY.toUpperCase()}":"x"}}`), INVALID_REQUEST],
      [rpc('"method":"a","params":{"__proto__":{}}'), INVALID_REQUEST],
      [rpc('"method":"a","params":{"x":{"__pr\\u006fto__":1}}'), INVALID_REQUEST],
      [rpc('"method":"a","result":1'), INVALID_REQUEST],
      [rpc('"method":1'), INVALID_REQUEST],
      [rpc('"method":""'), INVALID_REQUEST],
      [rpc('"method":"tools/call "'), INVALID_REQUEST],
      [rpc('"method":"tools/call\\u0000"'), INVALID_REQUEST],
      [rpc('"method":"a","params":[]'), INVALID_REQUEST],
      [rpc('"method":"a","params":null'), INVALID_REQUEST],
      ['{"jsonrpc":"2.0","id":null,"method":"a"}', INVALID_REQUEST],
      ['{"jsonrpc":"2.0","id":1.5,"method":"a"}', INVALID_REQUEST],
      ['{"jsonrpc":"2.0","id":9007199254740993,"method":"a"}', INVALID_REQUEST],
      ['{"jsonrpc":"2.0","id":{},"method":"a"}', INVALID_REQUEST],
      ['{"jsonrpc":"2.0","result":{}}', INVALID_REQUEST],
      [rpc('"method":"tools/call"'), INVALID_PARAMS],
      [rpc('"method":"tools/call","params":{}'), INVALID_PARAMS],
      [rpc('"method":"tools/call","params":{"name":["a"]}'), INVALID_PARAMS],
      [rpc('"method":"tools/call","params":{"name":"a\\u0000b"}'), INVALID_PARAMS],
      [rpc('"method":"tools/call","params":{"name":"\\ud800"}'), INVALID_PARAMS],
      [rpc('"method":"resources/read","params":{"uri":1}'), INVALID_PARAMS],
      [rpc('"method":"completion/complete","params":{"ref":"x"}'), INVALID_PARAMS],
      [rpc('"method":"completion/complete","params":{"ref":{"NAME":"x"}}'), INVALID_PARAMS],
      [rpc('"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":[1]}}'), INVALID_PARAMS],
      [rpc('"method":"a","params":{"_meta":[]}'), INVALID_PARAMS],
      [rpc(`"method":"a","params":{"_meta":{"${VERSION_KEY}":1}}`), INVALID_PARAMS],
    ];
    for (const [text, expected] of refused) assert.equal(code(text), expected, text);
    assert.equal((readMcpBody(Uint8Array.of(0x22, 0xff, 0x22)) as { code: number }).code, PARSE_ERROR);
  });

  test('tell the id of the message that is at fault', () => {
    assert.deepEqual(read(rpc('"method":1')), { code: INVALID_REQUEST, message: 'Invalid request: method must be a name', id: 1 }); // prettier-ignore
    assert.ok(!('id' in read('{"jsonrpc":"2.0","id":[],"method":"a"}')));
  });

  test('are bounded', () => {
    const batch = (length: number) =>
      JSON.stringify(Array.from({ length }, (_, id) => ({ jsonrpc: '2.0', id, method: 'ping' })));
    assert.equal((read(batch(MAX_MCP_BATCH)) as McpBody).messages.length, MAX_MCP_BATCH);
    assert.equal(code(batch(MAX_MCP_BATCH + 1)), INVALID_REQUEST);
    const nested = (depth: number) =>
      rpc(`"method":"a","params":{"x":${'['.repeat(depth - 2)}${']'.repeat(depth - 2)}}`);
    assert.equal(code(nested(MAX_MCP_DEPTH)), null);
    assert.equal(code(nested(MAX_MCP_DEPTH + 1)), INVALID_REQUEST);
    assert.equal(code('['.repeat(1_000_000)), PARSE_ERROR);
    assert.equal(code('['.repeat(500_000) + ']'.repeat(500_000)), INVALID_REQUEST);
    assert.equal(code(rpc(`"method":"${'a'.repeat(MAX_MCP_METHOD)}"`)), null);
    assert.equal(code(rpc(`"method":"${'a'.repeat(MAX_MCP_METHOD + 1)}"`)), INVALID_REQUEST);
  });
});

describe('JSON', () => {
  test('without names that stand twice is what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat(3), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        if (text.includes('__proto__')) return;
        assert.deepEqual(readJsonText(text, 64), { value: JSON.parse(text) });
      }),
    );
  });

  test('with a name that stands twice, however it is written, is refused', () => {
    const escaped = (name: string) =>
      `"${[...name].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`;
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '"', '\\', '{', ',', ':', 'é'), maxLength: 4 });
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { minLength: 1, maxLength: 20 }),
        fc.nat(),
        fc.boolean(),
        (names, pick, plain) => {
          const again = names[pick % names.length]!;
          const members = [...names.map((n) => `${JSON.stringify(n)}:{"x":[1,{"y":"${'}'}"}]}`)];
          assert.deepEqual(typeof readJsonText(`{${members.join(',')}}`, 64), 'object');
          members.push(`${plain ? JSON.stringify(again) : escaped(again)} : 0`);
          assert.equal(readJsonText(`[{${members.join(' ,')}}]`, 64), 'duplicate');
        },
      ),
    );
  });

  test('of any text is read or refused', () => {
    const piece = fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', '"a"', '1', 'null', ' ', '"a":', '{"a":1}');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('');
        const result = readJsonText(text, 64);
        if (typeof result !== 'string') assert.deepEqual(result.value, JSON.parse(text));
      }),
    );
  });
});
