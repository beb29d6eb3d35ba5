import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publicNetwork, readAgentOptions } from './agent-options.ts';

test('options are read, off among them', () => {
  assert.deepEqual(readAgentOptions([]), {});
  assert.equal(readAgentOptions(['off']), null);
  const given = ['wire=compat', 'nonce=required', 'max-lifetime=300', 'skew=5', 'https', 'insecure', 'any-port'];
  assert.deepEqual(readAgentOptions([...given, 'trusted-host=127.0.0.1:8443', 'trusted-host=localhost:1']), {
    ...{ wire: 'compat', nonce: 'required', maxLifetime: 300, skew: 5, https: true, insecure: true, anyPort: true },
    trustedHosts: ['127.0.0.1:8443', 'localhost:1'],
  });
  assert.deepEqual(readAgentOptions(['dns=https://dns.example/dns-query']), { dns: 'https://dns.example/dns-query' });
  const trusted = ['dns=http://127.0.0.1:8053/', 'trusted-host=127.0.0.1:8053'];
  assert.equal(readAgentOptions(trusted)?.dns, 'http://127.0.0.1:8053/');
});

test('what is not an option is named, with what there is', () => {
  for (const [entry, said] of [
    ['wires', /takes off, alone, or wire, nonce/],
    ['off=1', /not "off"/],
    ['wire', /wire= takes strict or compat, not ""/],
    ['wire=loose', /not "loose"/],
    ['https=1', /https takes no value/],
    ['skew=-1', /skew= takes a whole number from 0 to 3600/],
    ['max-lifetime=0', /max-lifetime= takes a whole number from 1/],
    ['dns=', /dns= takes the https URL of a resolver/],
    ['dns=1.1.1.1', /dns= takes the https URL/],
    ['dns=http://dns.example/', /dns= takes the https URL/],
    ['dns=https://user:word@dns.example/', /dns= takes the https URL/],
    ['trusted-host=', /takes host:port/],
    ['trusted-host=http://a', /takes host:port/],
    ['trusted-host=a/b', /takes host:port/],
  ] as const)
    assert.throws(() => readAgentOptions([entry]), said, entry);
  assert.throws(() => readAgentOptions(['off', 'https']), /off, alone/);
});

test('the network for keys is the public one, and the addresses that are trusted', () => {
  assert.deepEqual(publicNetwork({}), ['public']);
  const trustedHosts = ['127.0.0.1:1', '127.0.0.1:2', '[::1]:1', 'localhost:3', 'agent.example:443'];
  assert.deepEqual(publicNetwork({ trustedHosts }), ['public', '127.0.0.1/32', '::1/128']);
});
