import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type CardRewriting, rewriteCard } from './card.ts';
import { errorBody, VERSION_NOT_SUPPORTED } from './error.ts';
import { A2A_METHODS, callOf, canonicalMethod } from './method.ts';
import { type A2aCall, readRest, readRpc, versionOf } from './request.ts';
import { MAX_LOOKED_AT, TaskIds } from './task-ids.ts';

const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

describe('methods', () => {
  const call = (method: string, path: string): string => {
    const found = callOf(method, path);
    return typeof found === 'object' && found !== null ? `${found.method} ${found.task}`.trim() : String(found);
  };

  test('the REST binding, as frameworks match paths', () => {
    for (const [method, path, expected] of [
      ['GET', '/.well-known/agent-card.json', 'card'],
      ['GET', '/agents/x/.well-known/agent.json', 'card'],
      ['POST', '/.well-known/agent-card.json', 'null'],
      ['POST', '/message:send', 'SendMessage'],
      ['POST', '/a/v1/message:stream', 'SendStreamingMessage'],
      ['POST', '/tenant/message%3Asend', 'SendMessage'],
      ['POST', '/MESSAGE:SEND/', 'SendMessage'],
      ['GET', '/message:send', 'null'],
      ['GET', '/tasks', 'ListTasks'],
      ['GET', '/tasks/t-1', 'GetTask t-1'],
      ['POST', '/tasks/t-1:cancel', 'CancelTask t-1'],
      ['POST', '/tasks/a:b:cancel', 'CancelTask a:b'],
      ['POST', '/tasks/t-1:subscribe', 'SubscribeToTask t-1'],
      ['DELETE', '/tasks/t-1', 'null'],
      ['POST', '/tasks/t-1/pushNotificationConfigs', 'CreateTaskPushNotificationConfig t-1'],
      ['GET', '/tasks/t-1/pushNotificationConfigs', 'ListTaskPushNotificationConfigs t-1'],
      ['GET', '/tasks/t-1/pushNotificationConfigs/c', 'GetTaskPushNotificationConfig t-1'],
      ['DELETE', '/tasks/t-1/pushNotificationConfigs/c', 'DeleteTaskPushNotificationConfig t-1'],
      ['GET', '/extendedAgentCard', 'GetExtendedAgentCard'],
      ['GET', '/v1/card', 'GetExtendedAgentCard'],
      ['POST', '/', 'rpc'],
      ['POST', '/a2a', 'rpc'],
      ['GET', '/', 'none'],
      ['PUT', '/', 'null'],
      ['POST', '/%zz', 'null'],
    ] as const)
      assert.equal(call(method, path), expected, `${method} ${path}`);
  });

  test('a path is what any framework would take it for', () => {
    for (const [method, path, expected] of [
      // Java leaves out what follows a semicolon.
      ['GET', '/tasks;x', 'ListTasks'],
      ['GET', '/a2a/tasks;x=1/', 'ListTasks'],
      ['GET', '/.well-known/agent-card.json;x', 'card'],
      ['POST', '/message:send;x', 'SendMessage'],
      ['GET', '/tasks;x/a', 'GetTask a'],
      ['POST', '/tasks/a;:cancel', 'CancelTask a;'],
      // Some match before they decode.
      ['GET', '/tasks/a%2Fb', 'GetTask a/b'],
      ['POST', '/tasks/a%2Fb:cancel', 'CancelTask a/b'],
      ['GET', '/tasks/100%25', 'GetTask 100%'],
      ['POST', '/tasks%5Cpushnotificationconfigs', 'null'],
      ['GET', '/tasks%5Ca', 'GetTask a'],
      ['GET', '/tasks%3Fa', 'ListTasks'],
      // Two calls in one path.
      ['GET', '/tasks/a%2FpushNotificationConfigs', 'null'],
      ['GET', '/tasks/a%3Asubscribe', 'null'],
      ['GET', '/tasks/a;:subscribe', 'null'],
      ['GET', '/tasks/a/pushNotificationConfigs/extendedAgentCard', 'null'],
      ['GET', '/tasks/tasks', 'null'],
      // What is like a call, and none that we know.
      ['GET', '/tasks/a/b', 'null'],
      ['POST', '/tasks/a/b', 'null'],
      ['GET', '/tasks//a', 'null'],
      ['GET', '/%2574asks', 'null'],
      ['GET', '/tasks.json', 'null'],
      ['GET', '/ta%C5%BFks', 'null'],
      ['GET', '/extendedAgentCard/x', 'null'],
      ['POST', '/message:send/x', 'null'],
      ['POST', '/message:other', 'null'],
      ['GET', '/v1/card.json', 'null'],
      ['GET', '/x/pushNotificationConfigs', 'null'],
      // And what is not.
      ['GET', '/my-tasks/1', 'none'],
      ['GET', '/tasks-agent/docs', 'none'],
      ['POST', '/tasks-agent/rpc', 'rpc'],
      ['GET', '/.well-known/jwks.json', 'none'],
      ['GET', '/business-card', 'none'],
    ] as const)
      assert.equal(call(method, path), expected, `${method} ${path}`);
  });

  test('names of version 0.3 are those of 1.0', () => {
    assert.equal(canonicalMethod('message/send'), 'SendMessage');
    assert.equal(canonicalMethod('tasks/resubscribe'), 'SubscribeToTask');
    assert.equal(canonicalMethod('mine/own'), 'mine/own');
    assert.equal(canonicalMethod('constructor'), 'constructor');
    for (const name of A2A_METHODS) assert.equal(canonicalMethod(name), name);
  });
});

test('versions come by header or query, and must agree', () => {
  assert.equal(versionOf(null, ''), '0.3');
  assert.equal(versionOf('', '?a=b'), '0.3');
  assert.equal(versionOf('1.0', ''), '1.0');
  assert.equal(versionOf('1.0.1', ''), '1.0');
  assert.equal(versionOf(null, '?A2A-Version=1.0'), '1.0');
  assert.equal(versionOf(null, '?x=1&a2a-version=1.0'), '1.0');
  assert.equal(versionOf('1.0', '?A2A-Version=1.0.2'), '1.0');
  assert.equal(versionOf('1.0', '?A2A-Version=0.3'), null);
  assert.equal(versionOf('1.0, 1.0', ''), null);
  assert.equal(versionOf('one', ''), null);
});

describe('requests', () => {
  const rpc = (value: unknown): A2aCall | string => readRpc(encode(value));
  const message = (more: object = {}, params: object = {}): object => ({
    jsonrpc: '2.0',
    id: 7,
    method: 'SendMessage',
    params: { message: { parts: [], ...more }, ...params },
  });

  test('what they ask for, of whose task', () => {
    assert.deepEqual(rpc(message({ taskId: 't', contextId: 'c', metadata: { skillId: 's' } })), {
      method: 'SendMessage',
      task: 't',
      context: 'c',
      skill: 's',
      id: 7,
    });
    assert.deepEqual(rpc({ jsonrpc: '2.0', id: 'x', method: 'tasks/get', params: { id: 't' } }), {
      method: 'GetTask',
      task: 't',
      context: '',
      skill: '',
      id: 'x',
    });
    assert.deepEqual(
      rpc({ jsonrpc: '2.0', method: 'GetTaskPushNotificationConfig', params: { taskId: 't', id: 'c' } }),
      { method: 'GetTaskPushNotificationConfig', task: 't', context: '', skill: '', id: null },
    );
    const get = { method: 'GetTask', task: 't' } as const;
    assert.deepEqual(readRest(get, encode(''), '?contextId=c'), {
      method: 'GetTask',
      task: 't',
      context: 'c',
      skill: '',
      id: undefined,
    });
    const send = { method: 'SendMessage', task: '' } as const;
    assert.deepEqual(readRest(send, encode({ message: { taskId: 't' }, metadata: { skill: 's' } }), ''), {
      method: 'SendMessage',
      task: 't',
      context: '',
      skill: 's',
      id: undefined,
    });
  });

  test('what could be read as something else is refused', () => {
    assert.equal(rpc('{"jsonrpc":"2.0","id":1,"method":"GetTask","method":"CancelTask"}'), 'duplicate-key');
    assert.equal(rpc('{"jsonrpc":"2.0","id":1,"method":"GetTask","Method":"CancelTask"}'), 'ambiguous');
    assert.equal(rpc([message()]), 'not-an-object');
    assert.equal(rpc({ id: 1, method: 'GetTask' }), 'not-rpc');
    assert.equal(rpc({ jsonrpc: '2.0', id: {}, method: 'GetTask' }), 'not-rpc');
    assert.equal(rpc({ jsonrpc: '2.0', id: 1, method: 5 }), 'not-rpc');
    assert.equal(rpc('nonsense'), 'malformed');
    assert.equal(rpc(message({ metadata: { skillId: 'a' } }, { metadata: { skillId: 'b' } })), 'ambiguous');
    assert.equal(rpc(message({ metadata: { skillId: 'a', skill_id: ['a'] } })), 'ambiguous');
    // Readers of JSON that do not look at case: encoding/json of Go, which folds U+017F too.
    const denied = { metadata: { skillId: 'b' } };
    assert.equal(rpc({ ...message(), 'param\u017f': denied }), 'ambiguous');
    assert.equal(rpc(message({}, { Metadata: denied.metadata })), 'ambiguous');
    assert.equal(rpc(message({ METADATA: denied.metadata })), 'ambiguous');
    assert.equal(rpc(message({}, { Message: denied })), 'ambiguous');
    assert.equal(rpc(message({ metadata: { SkillId: 'b' } })), 'ambiguous');
    assert.equal(rpc(message({ metadata: { skillId: ['b'] } })), 'ambiguous');
    const send = { method: 'SendMessage', task: '' } as const;
    assert.equal(readRest(send, encode({ message: {}, Metadata: denied.metadata }), ''), 'ambiguous');
    assert.equal(readRest(send, encode({ ...message(), message: {} }), ''), 'ambiguous');
    assert.equal(readRest(send, encode({ JSONRPC: '2.0', message: {} }), ''), 'ambiguous');
    assert.equal(typeof rpc(message({ metadata: { other: ['b'], skillId: null } })), 'object');
  });
});

describe('cards', () => {
  const rewriting: CardRewriting = {
    url: (url) => (url.startsWith('http') ? url.replace(/^https?:\/\/[^/]+/, 'https://gateway.example') : null),
    versions: ['1.0', '0.3'],
    skills: { allow: null, deny: ['admin-*'] },
  };
  const card = {
    name: 'planner',
    supportedInterfaces: [
      { url: 'http://10.0.0.1:41/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
      { url: 'http://10.0.0.1:41/rpc', protocolBinding: 'JSONRPC', protocolVersion: '0.2' },
      { url: 'http://10.0.0.1:42', protocolBinding: 'GRPC', protocolVersion: '1.0' },
      { url: 'ftp://10.0.0.1', protocolBinding: 'HTTP+JSON', protocolVersion: '1.0' },
    ],
    skills: [{ id: 'route' }, { id: 'admin-all' }, { name: 'none' }],
    signatures: [{ protected: 'x', signature: 'y' }],
    big: 1,
  };
  const rewrite = (value: unknown, rpc = false, how = rewriting): Record<string, unknown> | string => {
    const text = rewriteCard(encode(value), how, rpc);
    return text === 'malformed' || text === 'no-interface' ? text : (JSON.parse(text) as Record<string, unknown>);
  };

  test('interfaces, skills and signatures of version 1.0', () => {
    assert.deepEqual(rewrite(card), {
      name: 'planner',
      supportedInterfaces: [{ url: 'https://gateway.example/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
      skills: [{ id: 'route' }],
      big: 1,
    });
    assert.deepEqual(
      (rewrite({ jsonrpc: '2.0', id: 1, result: card }, true) as { result: unknown }).result,
      rewrite(card),
    );
  });

  test('a card of which nothing changes is the very text, with its signatures', () => {
    const text = `{ "supportedInterfaces": [{"url":"https://gateway.example/a","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],\n"n":1.0,"signatures":[{}] }`;
    assert.equal(rewriteCard(encode(text), rewriting, false), text);
    const error = '{"jsonrpc":"2.0", "id":1,"error":{"code":-32007}}';
    assert.equal(rewriteCard(encode(error), rewriting, true), error);
  });

  test('version 0.3: the preferred interface, or the first that passes', () => {
    assert.deepEqual(
      rewrite({
        url: 'http://a/x',
        protocolVersion: '0.3.0',
        additionalInterfaces: [
          { url: 'http://a/y', transport: 'HTTP+JSON' },
          { url: 'a:1', transport: 'GRPC' },
        ],
      }),
      {
        url: 'https://gateway.example/x',
        protocolVersion: '0.3.0',
        additionalInterfaces: [{ url: 'https://gateway.example/y', transport: 'HTTP+JSON' }],
      },
    );
    assert.deepEqual(
      rewrite({
        url: 'a:1',
        preferredTransport: 'GRPC',
        additionalInterfaces: [{ url: 'http://a/y', transport: 'HTTP+JSON' }],
      }),
      {
        url: 'https://gateway.example/y',
        preferredTransport: 'HTTP+JSON',
        additionalInterfaces: [{ url: 'https://gateway.example/y', transport: 'HTTP+JSON' }],
      },
    );
    assert.equal(rewrite({ url: 'a:1', preferredTransport: 'GRPC' }), 'no-interface');
    assert.equal(
      rewrite({ url: 'http://a/x', protocolVersion: '0.3.0' }, false, { ...rewriting, versions: ['1.0'] }),
      'no-interface',
    );
  });

  test('what is no card', () => {
    assert.equal(rewrite({}), 'no-interface');
    assert.equal(rewrite('[]'), 'malformed');
    assert.equal(rewrite('{"url":"a","url":"b"}'), 'malformed');
    assert.equal(rewrite({ supportedInterfaces: [null, 5, 'x', []] }), 'no-interface');
  });

  test('property: no host of an agent gets out, whatever its card holds', () => {
    const url = fc.constantFrom(
      'http://inner.test/a',
      'https://inner.test',
      'inner.test:5',
      '//inner.test',
      'http://[bad',
    );
    const one = fc.record({ url: fc.oneof(url, fc.jsonValue()), protocolBinding: fc.constantFrom('JSONRPC', 'GRPC', 'jsonrpc', 5, null), transport: fc.constantFrom('JSONRPC', 'GRPC') }, { requiredKeys: [] }); // prettier-ignore
    const any = fc.record({ url: fc.oneof(url, fc.jsonValue()), preferredTransport: fc.constantFrom('JSONRPC', 'GRPC', 5), supportedInterfaces: fc.oneof(fc.array(one), fc.jsonValue()), additionalInterfaces: fc.array(one), skills: fc.jsonValue() }, { requiredKeys: [] }); // prettier-ignore
    fc.assert(
      fc.property(any, (value) => {
        const out = rewrite(value, false, {
          ...rewriting,
          url: (text) => (URL.canParse(text) && text.startsWith('http') ? 'https://gateway.example/' : null),
        });
        for (const field of ['url', 'supportedInterfaces', 'additionalInterfaces'] as const)
          if (typeof out === 'object') assert.doesNotMatch(JSON.stringify(out[field] ?? ''), /inner\.test/);
      }),
      { numRuns: 300 },
    );
  });
});

test('errors have the form of the binding', () => {
  const rpc = JSON.parse(errorBody(VERSION_NOT_SUPPORTED, 'no', 5, 'r')) as {
    id: number;
    error: { code: number; data: { reason: string }[] };
  };
  assert.deepEqual([rpc.id, rpc.error.code, rpc.error.data[0]?.reason], [5, -32009, 'VERSION_NOT_SUPPORTED']);
  const rest = JSON.parse(errorBody(VERSION_NOT_SUPPORTED, 'no', undefined, 'r')) as {
    error: { code: number; status: string };
  };
  assert.deepEqual([rest.error.code, rest.error.status], [400, 'FAILED_PRECONDITION']);
});

describe('ids in answers', () => {
  const ids = (events: boolean, chunks: readonly Uint8Array[]): string[] => {
    let found: string[] = [];
    const one = new TaskIds(events, (all) => (found = [...all].sort()));
    for (const chunk of chunks) one.push(chunk);
    one.end();
    return found;
  };

  test('of both versions and bindings, wherever the answer is cut', () => {
    const task = { id: 't', contextId: 'c', status: {} };
    const documents: unknown[] = [
      { jsonrpc: '2.0', id: 1, result: { task } },
      { jsonrpc: '2.0', id: 1, result: { kind: 'task', ...task } },
      { task },
      { statusUpdate: { taskId: 't', contextId: 'c', status: {} } },
      { jsonrpc: '2.0', id: 1, result: { kind: 'status-update', taskId: 't', contextId: 'c' } },
    ];
    for (const document of documents) {
      const text = encode(document);
      for (let at = 0; at <= text.length; at++)
        assert.deepEqual(ids(false, [text.subarray(0, at), text.subarray(at)]), ['c', 't']);
      const stream = encode(`: hi\n\ndata: ${JSON.stringify(document)}\n\ndata: {"task":{"id":"other"}}\n\n`);
      for (let at = 0; at <= stream.length; at++)
        assert.deepEqual(ids(true, [stream.subarray(0, at), stream.subarray(at)]), ['c', 't']);
    }
    assert.deepEqual(ids(false, [encode({ id: 'rpc', result: { message: { contextId: 'c' } } })]), ['c']);
    assert.deepEqual(ids(false, [encode('nonsense')]), []);
  });

  test('what is held is bounded, at its edge', () => {
    const long = (length: number): Uint8Array => {
      const text = JSON.stringify({ taskId: 't', x: '' });
      return encode(text.replace('""', `"${'y'.repeat(length - text.length)}"`));
    };
    assert.deepEqual(ids(false, [long(MAX_LOOKED_AT)]), ['t']);
    assert.deepEqual(ids(false, [long(MAX_LOOKED_AT + 1)]), []);
  });
});
