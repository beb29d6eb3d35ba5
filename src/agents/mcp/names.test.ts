import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMcpMessage } from './message.ts';
import { deniedName, type NameLists } from './names.ts';

const all = { allow: null, deny: [] };
const lists = (more: Partial<NameLists> = {}): NameLists => ({
  ...{ methods: all, tools: all, resources: all, prompts: all },
  ...more,
});
const denied = (method: string, params: object, policy: NameLists): string | null => {
  const message = readMcpMessage({ jsonrpc: '2.0', id: 1, method, params });
  assert.ok(!('code' in message));
  return deniedName(policy, message);
};

test('a URI does not leave the place that a pattern names', () => {
  const policy = lists({ resources: { allow: ['file:///public/*', 'git+file:///public/*'], deny: [] } });
  for (const path of ['a', 'a.b', '..a', 'a..', '...', 'a/.b', 'a%2e%2eb/c', 'a?b=..'])
    assert.equal(denied('resources/read', { uri: `file:///public/${path}` }, policy), null, path);
  for (const path of [
    '../a',
    '..',
    'a/../../b',
    '%2e%2E/a',
    '.%2e/a',
    'a/./b',
    '..%2Fa',
    'a%2f..%5cb',
    'a\\..\\b',
    '..?a',
    '..#a',
  ]) {
    // prettier-ignore
    assert.equal(denied('resources/read', { uri: `file:///public/${path}` }, policy), 'resources', path);
    assert.equal(denied('resources/subscribe', { uri: `git+file:///public/${path}` }, policy), 'resources', path);
  }
  const denying = lists({ resources: { allow: null, deny: ['file:///secret/*'] } });
  assert.equal(denied('resources/read', { uri: 'file:///./secret/a' }, denying), 'resources');
  const notifications = { resourceSubscriptions: ['file:///public/a', 'file:///public/../a'] };
  assert.equal(denied('subscriptions/listen', { notifications }, policy), 'resources');
  assert.equal(denied('completion/complete', { ref: { type: 'ref/resource', uri: 'file:///public/../{x}' } }, policy), 'resources'); // prettier-ignore
  assert.equal(denied('resources/read', { uri: 'file:///a/../b' }, lists()), null);
});
