import assert from 'node:assert/strict';
import { test } from 'node:test';
import { thumbprint } from '../control/signature.ts';
import type { TunnelsPlan } from '../plan.ts';
import { generateConnectorKey, type Capability } from '../tunnel/capability.ts';
import { tunnelPolicy } from './tunnel-policy.ts';

const [own, partner] = await Promise.all([generateConnectorKey(), generateConnectorKey()]);
const open = { access: 'public', addresses: [], basic: [], keys: [] } as const;
const plan: TunnelsPlan = { domain: 't.example', access: open, names: {}, edges: null, projects: [], networks: null };
const app = (tunnels: TunnelsPlan | null) => ({ tunnels });
const holder = (...names: string[]): Capability => ({
  ...{ project: 'p', names, reach: ['*'], connector: 'c', generation: 1, expires: 2, exposure: null },
});

test('without `tunnels` anywhere only the own project is let in, and nothing has a host', async () => {
  const policy = await tunnelPolicy([app(null)], own.x);
  assert.equal(policy.domain, '');
  assert.equal(policy.exposure('laptop'), 'private');
  assert.equal(policy.operators(await thumbprint(own.x)), own.x);
  assert.equal(policy.operators(await thumbprint(partner.x)), null);
  assert.equal(policy.permits(holder(), 'office', 'db'), true);
});

test('projects of every app are let in, by the thumbprint of their keys', async () => {
  const apps = [app(plan), app({ ...plan, domain: 'u.example', projects: [{ name: 'partner', key: partner.x }] })];
  const policy = await tunnelPolicy(apps, own.x);
  assert.equal(policy.domain, 't.example');
  assert.equal(policy.operators(await thumbprint(partner.x)), partner.x);
  assert.equal(policy.operators(await thumbprint(own.x)), own.x);
  assert.equal(policy.operators('partner'), null);
});

test('without an operator of its own a deployment lets nobody in but the projects', async () => {
  const policy = await tunnelPolicy([app({ ...plan, projects: [{ name: 'partner', key: partner.x }] })], '');
  assert.equal(policy.operators(await thumbprint(own.x)), null);
  assert.equal(policy.operators(await thumbprint(partner.x)), partner.x);
});

test('a tunnel is exposed as is said of it, else as is said of all', async () => {
  const names = { hidden: { ...open, access: 'private' } as const };
  const policy = await tunnelPolicy([app({ ...plan, names })], own.x);
  assert.equal(policy.exposure('hidden'), 'private');
  assert.equal(policy.exposure('laptop'), 'public');
  assert.equal(policy.exposure('constructor'), 'public');
});

test('networks say who may reach whom, and nobody else may', async () => {
  const networks = [
    { from: ['laptop'], to: ['db.office', 'web.*'] },
    { from: ['*'], to: ['wiki'] },
  ];
  const { permits } = await tunnelPolicy([app({ ...plan, networks })], own.x);
  const cases: readonly (readonly [Capability, string, string, boolean])[] = [
    [holder('laptop'), 'office', 'db', true],
    [holder('laptop'), 'office', '', false],
    [holder('laptop'), 'home', 'web', true],
    [holder('desk'), 'office', 'db', false],
    [holder('desk', 'laptop'), 'office', 'db', true],
    [holder(), 'office', 'db', false],
    [holder(), 'wiki', 'http', true],
  ];
  for (const [capability, tunnel, service, expected] of cases)
    assert.equal(permits(capability, tunnel, service), expected, `${capability.names.join()} ${service}.${tunnel}`);
  const none = await tunnelPolicy([app({ ...plan, networks: [] })], own.x);
  assert.equal(none.permits(holder('laptop'), 'office', 'db'), false);
});

test('an edge answers to the hosts that are listed, in any spelling, and to any where none are', async () => {
  const any = await tunnelPolicy([app(plan)], own.x);
  assert.equal(any.answersTo('evil.example'), true);
  const listed = [app({ ...plan, edges: ['Edge.example', '[2001:DB8::0:1]'] }), app({ ...plan, edges: ['127.0.0.1'] })];
  const { answersTo } = await tunnelPolicy(listed, own.x);
  for (const host of ['edge.example', '[2001:db8::1]', '127.0.0.1']) assert.equal(answersTo(host), true, host);
  for (const host of ['evil.example', 'a.edge.example', 'edge.example.', ''])
    assert.equal(answersTo(host), false, host);
});

test('a generation is read once', async () => {
  const apps = [app(plan)];
  assert.equal(await tunnelPolicy(apps, own.x), await tunnelPolicy(apps, own.x));
  assert.notEqual(await tunnelPolicy(apps, own.x), await tunnelPolicy(apps, partner.x));
});
