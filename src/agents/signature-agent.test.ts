import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_AGENT_URL, MAX_SIGNATURE_FIELD } from './limits.ts';
import { agentUrl, isPublicName, readSignatureAgent } from './signature-agent.ts';

const placed = (value: string) => {
  const url = agentUrl(value, 'keys');
  return typeof url === 'string' ? url : url.fetched;
};
const named = (value: string) => {
  const url = agentUrl(value, 'keys');
  return typeof url === 'string' ? url : url.identifier;
};

test('an origin means its well-known place; any other value is fetched as it is', () => {
  const place = 'https://agent.example/.well-known/http-message-signatures-directory';
  assert.equal(placed('https://agent.example'), place);
  assert.equal(placed('https://agent.example/'), place);
  assert.equal(placed('https://agent.example:443'), place);
  assert.equal(placed('https://agent.example/keys.json?v=1'), 'https://agent.example/keys.json?v=1');
  assert.equal(placed('https://agent.example/?v=1'), 'https://agent.example/?v=1');
  const card = agentUrl('https://agent.example', 'card');
  assert.equal(typeof card === 'object' && card.fetched, 'https://agent.example/');
});

test('one set of keys has one name', () => {
  for (const spelling of [
    'https://AGENT.example/keys/a~b',
    'https://agent.example:443/keys/a%7Eb',
    'https://agent.example/x/../keys/a%7eb?any=query',
    'HTTPS://agent.example/keys/./a~b',
  ])
    assert.equal(named(spelling), 'https://agent.example/keys/a~b', spelling);
  assert.equal(named('https://agent.example/a%2fb'), 'https://agent.example/a%2Fb');
});

test('hosts that a test trusts may be anywhere', () => {
  const options = { trustedHosts: ['127.0.0.1:8443'] };
  assert.equal(typeof agentUrl('http://127.0.0.1:8443/keys', 'keys', options), 'object');
  assert.equal(agentUrl('http://127.0.0.1:8444/keys', 'keys', options), 'agent-url-not-https');
  assert.equal(typeof agentUrl('https://agent.example:8443/keys', 'keys', { anyPort: true }), 'object');
});

test('public names', () => {
  for (const name of ['agent.example', 'a.b.c.co', 'xn--bcher-kva.example', 'agent.example.', 'a_b.example'])
    assert.equal(isPublicName(name), true, name);
  for (const name of [
    'agent',
    '',
    '.',
    'a..b',
    'localhost',
    'x.localhost.',
    '1.2.3.4',
    '[::1]',
    'a.1',
    'a.local',
    '-',
    'a b.example',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(126)}example`,
  ])
    // prettier-ignore
    assert.equal(isPublicName(name), false, name);
});

test('limits hold at their edge', () => {
  const url = (length: number) => `https://agent.example/${'k'.repeat(length - 'https://agent.example/'.length)}`;
  assert.equal(placed(url(MAX_AGENT_URL)), url(MAX_AGENT_URL));
  assert.equal(placed(url(MAX_AGENT_URL + 1)), 'agent-url-malformed');
  const field = (length: number) => `a="${'k'.repeat(length - 4)}"`;
  assert.notEqual(readSignatureAgent(field(MAX_SIGNATURE_FIELD)), null);
  assert.equal(readSignatureAgent(field(MAX_SIGNATURE_FIELD + 1)), null);
});
