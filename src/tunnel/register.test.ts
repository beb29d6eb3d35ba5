import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PUBLIC } from './access.ts';
import { EMPTY, holds, isRefused, MAX_OFFERS, MAX_REGISTER_BYTES, MAX_TUNNELS, Register } from './register.ts';

const OWNER = 'o'.repeat(43);
const GUEST = 'g'.repeat(43);
const place = { owner: OWNER, guest: GUEST, tunnel: 'office', service: 'db' };
const refusal = (value: object): string => (isRefused(value) ? value.refused : 'done');

function registerWith(...names: string[]): Register {
  const register = new Register();
  for (const name of names) assert.equal(refusal(register.create(name, null, undefined, 1)), 'done');
  return register;
}

describe('tunnels', () => {
  test('are created once, and survive being written down', () => {
    const register = registerWith('laptop', 'desk');
    assert.equal(refusal(register.create('laptop', null, undefined, 2)), 'exists');
    const again = new Register(JSON.parse(JSON.stringify(register.state)) as typeof register.state);
    assert.deepEqual(
      again.list().map(({ name, created, origin, sessions }) => ({ name, created, origin, sessions })),
      ['desk', 'laptop'].map((name) => ({ name, created: 1, origin: 'created', sessions: 1 })),
    );
  });

  test('that a connector claimed can be created, and keep what was revoked', () => {
    const register = new Register();
    assert.equal(refusal(register.claim('laptop', 5)), 'done');
    register.revoke('laptop', 9);
    assert.deepEqual(register.claim('laptop', 10), register.read('laptop'));
    assert.deepEqual(register.create('laptop', { ...PUBLIC, access: 'private' }, 4, 11), {
      ...{ name: 'laptop', created: 11, origin: 'created', access: { ...PUBLIC, access: 'private' } },
      ...{ sessions: 4, revoked: 9 },
    });
  });

  test('are revoked up to a time that never goes back', () => {
    const register = registerWith('laptop');
    const revoked = (until: number): number => (register.revoke('laptop', until) as { revoked: number }).revoked;
    assert.deepEqual([revoked(5), revoked(3), revoked(8)], [5, 5, 8]);
    assert.equal(refusal(register.revoke('laptop', 0)), 'malformed');
    assert.equal(refusal(register.revoke('desk', 5)), 'unknown');
  });

  test('change what is given and keep the rest', () => {
    const register = registerWith('laptop');
    register.change('laptop', { ...PUBLIC, access: 'private' }, undefined);
    assert.deepEqual(register.change('laptop', undefined, 3), {
      ...(register.read('laptop') as object),
      access: { ...PUBLIC, access: 'private' },
      sessions: 3,
    });
    assert.equal((register.change('laptop', null, undefined) as { access: unknown }).access, null);
    assert.equal(refusal(register.change('desk', null, 1)), 'unknown');
  });

  test('that are malformed are refused', () => {
    const register = registerWith('laptop');
    for (const name of ['', 'A', 'a.b', '-a', '__proto__', 'a'.repeat(64)])
      assert.equal(refusal(register.create(name, null, 1, 1)), 'malformed', name);
    for (const sessions of [0, 65, 1.5, '1'])
      assert.equal(refusal(register.create('desk', null, sessions, 1)), 'malformed');
    assert.equal(refusal(register.create('desk', { access: 'public' }, 1, 1)), 'malformed');
    assert.equal(refusal(register.change('laptop', 5, undefined)), 'malformed');
    assert.equal(register.list().length, 1);
  });

  test('are as many as the limit and no more', () => {
    const tunnels = Object.fromEntries(
      Array.from({ length: MAX_TUNNELS - 1 }, (_, index) => {
        const record = { created: 1, origin: 'created', access: null, sessions: 1, revoked: 0 } as const;
        return [`t${index}`, { ...record, name: `t${index}` }];
      }),
    );
    const register = new Register({ ...EMPTY, tunnels });
    assert.equal(refusal(register.create('last', null, 1, 1)), 'done');
    assert.equal(refusal(register.create('more', null, 1, 1)), 'limit');
    assert.equal(refusal(register.claim('more', 1)), 'limit');
    register.remove('last');
    assert.equal(refusal(register.create('more', null, 1, 1)), 'done');
  });

  test('take no more bytes than can be kept', () => {
    const register = new Register();
    const keys = Array.from({ length: 64 }, () => 'k'.repeat(43));
    const access = { ...PUBLIC, access: 'restricted', basic: keys, keys };
    let made = 0;
    while (refusal(register.create(`t${made}`, access, 1, 1)) === 'done') made++;
    assert.ok(made > 100 && made < MAX_TUNNELS, String(made));
    assert.ok(JSON.stringify(register.state).length <= MAX_REGISTER_BYTES);
    assert.equal(register.list().length, made);
  });
});

describe('offers', () => {
  test('hold while the last word of both sides is yes', () => {
    const register = registerWith('office');
    assert.equal(refusal(register.speak('owner', place, true, 10)), 'done');
    assert.equal(register.allows(GUEST, 'office', 'db'), false);
    assert.equal(refusal(register.speak('guest', place, true, 11)), 'done');
    assert.equal(register.allows(GUEST, 'office', 'db'), true);
    assert.equal(register.allows(GUEST, 'office', ''), false);
    assert.equal(register.allows(GUEST, 'office', 'web'), false);
    assert.equal(register.allows(OWNER, 'office', 'db'), false);
    for (const side of ['owner', 'guest'] as const) {
      register.speak(side, place, false, 20);
      assert.equal(register.allows(GUEST, 'office', 'db'), false);
      register.speak(side, place, true, 21);
      assert.equal(register.allows(GUEST, 'office', 'db'), true);
    }
    assert.deepEqual(register.offers().map(holds), [true]);
  });

  test('heed no word that was overtaken, so that none can be played back', () => {
    const register = registerWith('office');
    register.speak('owner', place, true, 10);
    register.speak('guest', place, true, 11);
    register.speak('owner', place, false, 12);
    for (const time of [10, 11, 12]) assert.equal(refusal(register.speak('owner', place, true, time)), 'stale');
    assert.equal(register.allows(GUEST, 'office', 'db'), false);
  });

  test('are made by the owner, of what it has', () => {
    const register = registerWith('office');
    assert.equal(refusal(register.speak('guest', place, true, 1)), 'unknown');
    assert.equal(refusal(register.speak('owner', place, false, 1)), 'unknown');
    assert.equal(refusal(register.speak('owner', { ...place, tunnel: 'home' }, true, 1)), 'unknown');
    for (const wrong of [
      { guest: OWNER },
      { guest: 'x' },
      { owner: 'x' },
      { tunnel: 'a.b' },
      { service: 'a/b' },
      { service: 'A' },
    ])
      assert.equal(refusal(register.speak('owner', { ...place, ...wrong }, true, 1)), 'malformed');
    assert.equal(refusal(register.speak('owner', place, true, Number.NaN)), 'malformed');
  });

  test('end with the tunnel: its name offers nothing to whoever has it next', () => {
    const register = registerWith('office');
    register.speak('owner', place, true, 1);
    register.speak('guest', place, true, 2);
    register.remove('office');
    register.create('office', null, 1, 3);
    assert.equal(register.allows(GUEST, 'office', 'db'), false);
    assert.deepEqual(register.offers(), []);
  });

  test('of a tunnel that was deleted can not be played back to the next of its name', () => {
    const register = registerWith('office');
    const spoken = 1_000_000;
    register.speak('owner', place, true, spoken);
    register.remove('office');
    register.create('office', null, 1, spoken + 60_001);
    assert.equal(refusal(register.speak('owner', place, true, spoken)), 'stale');
    // The clock of who speaks may be a minute behind.
    assert.equal(refusal(register.speak('owner', place, true, spoken + 1)), 'done');
  });

  test('are as many as the limit and no more', () => {
    const register = registerWith('office');
    for (let index = 0; index < MAX_OFFERS; index++)
      assert.equal(refusal(register.speak('owner', { ...place, service: `s${index}` }, true, 1)), 'done');
    assert.equal(refusal(register.speak('owner', { ...place, service: 'more' }, true, 1)), 'limit');
    assert.equal(refusal(register.speak('owner', { ...place, service: 's0' }, false, 2)), 'done');
  });

  test('make room when their owner has taken them back, and come back by no word of before', () => {
    const before = registerWith('office');
    for (let index = 0; index < MAX_OFFERS; index++)
      before.speak('owner', { ...place, service: `s${index}` }, true, 10);
    before.speak('guest', { ...place, service: 's7' }, true, 20);
    before.speak('owner', { ...place, service: 's7' }, false, 30);
    before.speak('owner', { ...place, service: 's8' }, false, 40);
    assert.equal(refusal(before.speak('owner', { ...place, service: 'more' }, true, 50)), 'done');
    const left = before.offers().map(({ service }) => service);
    assert.deepEqual([left.length, left.includes('s7'), left.includes('s8')], [MAX_OFFERS, false, true]);
    const register = new Register(JSON.parse(JSON.stringify(before.state)) as typeof EMPTY);
    assert.equal(refusal(register.speak('owner', { ...place, service: 's7' }, true, 10)), 'stale');
    assert.equal(refusal(register.speak('owner', { ...place, service: 's7' }, true, 30)), 'stale');
    assert.equal(refusal(register.speak('guest', { ...place, service: 's7' }, true, 20)), 'unknown');
    assert.equal(refusal(register.speak('owner', { ...place, service: 's7' }, true, 31)), 'done');
    // Nothing was taken back any more.
    assert.equal(refusal(register.speak('owner', { ...place, service: 'last' }, true, 60)), 'limit');
  });
});
