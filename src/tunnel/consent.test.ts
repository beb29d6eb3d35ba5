import assert from 'node:assert/strict';
import { test } from 'node:test';
import { thumbprint } from '../control/signature.ts';
import { generateConnectorKey, issueCapability } from './capability.ts';
import { CONSENT_AHEAD, readConsent, signConsent, type Consent } from './consent.ts';

const NOW = 1_800_000_000_000;
const [alice, bob, eve] = await Promise.all([1, 2, 3].map(() => generateConnectorKey()));
const owner = await thumbprint(alice!.x);
const guest = await thumbprint(bob!.x);
const keys = new Map([
  [owner, alice!.x],
  [guest, bob!.x],
]);
const operators = (project: string) => keys.get(project) ?? null;
const word: Consent = { owner, guest, tunnel: 'office', service: 'db', side: 'owner', yes: true, time: NOW };
const read = (text: string) => readConsent(text, operators, NOW);

test('a word of either side is believed with its key', async () => {
  assert.deepEqual(await read(await signConsent(alice!.privateKey, word)), word);
  const answer: Consent = { ...word, side: 'guest', yes: false, service: '' };
  assert.deepEqual(await read(await signConsent(bob!.privateKey, answer)), answer);
});

test('one side cannot speak for the other, and a stranger for nobody', async () => {
  assert.equal(await read(await signConsent(bob!.privateKey, word)), 'forged');
  assert.equal(await read(await signConsent(alice!.privateKey, { ...word, side: 'guest' })), 'forged');
  const stranger = await thumbprint(eve!.x);
  assert.equal(await read(await signConsent(eve!.privateKey, { ...word, owner: stranger })), 'foreign');
  assert.equal(await read(await signConsent(alice!.privateKey, { ...word, guest: stranger })), 'foreign');
});

test('a word of the far future could not be taken back, and is refused', async () => {
  const at = async (time: number) => read(await signConsent(alice!.privateKey, { ...word, time }));
  assert.equal(typeof (await at(NOW + CONSENT_AHEAD)), 'object');
  assert.equal(await at(NOW + CONSENT_AHEAD + 1), 'untimely');
  assert.equal(typeof (await at(1)), 'object');
});

test('what is malformed is refused', async () => {
  const capability = await issueCapability(alice!.privateKey, {
    ...{ project: owner, names: ['a'], reach: [], connector: guest, generation: 1, expires: 2, exposure: null },
  });
  const good = await signConsent(alice!.privateKey, word);
  for (const text of ['', capability, good.slice(1), `${good}A`, 'v1.e30.' + 'A'.repeat(86)])
    assert.equal(await read(text), 'malformed', text);
  for (const change of [
    { owner: guest },
    { tunnel: 'a.b' },
    { service: 'A' },
    { side: 'both' },
    { time: 0 },
    { more: 1 },
  ])
    if (!('more' in change))
      await assert.rejects(signConsent(alice!.privateKey, { ...word, ...change } as Consent), RangeError);
});
