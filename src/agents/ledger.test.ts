import type { ObjectNamespace } from '../durable-object.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { objectStorage, type TestStorage } from '../../test/support/object-storage.ts';
import { Books, type Charge, chargeId, Ledger } from './ledger.ts';
import { CHARGE_SLOT_SECONDS, LEDGER_SHARDS, MAX_ACCOUNTS, MAX_CHARGES, RESERVATION_SECONDS } from './limits.ts';

const NOW = 1_000_000_000;

/** All objects of a deployment, on one clock. */
function deployment() {
  const clock = { now: NOW * 1000 };
  const objects = new Map<string, { object: Ledger; kept: TestStorage }>();
  const namespace: ObjectNamespace = {
    idFromName: (name) => name,
    get: (name: string) => ({
      fetch: (url, init) => {
        let found = objects.get(name);
        if (found === undefined) {
          const kept = objectStorage();
          found = { kept, object: new Ledger({ storage: kept }, undefined, () => clock.now) };
          objects.set(name, found);
        }
        return found.object.fetch(new Request(url, init));
      },
    }),
  };
  return { clock, objects, books: new Books(namespace) };
}

const charge = (id: string, more: Partial<Charge> = {}): Charge => ({
  ...{ id, account: 'crawler:a.example', currency: 'USD', micros: 10_000, until: NOW + 60, credit: 1_000_000, ...more },
});

test('a charge is reserved, captured, and owed', async () => {
  const { books } = deployment();
  assert.equal(await books.reserve(charge('1')), 'reserved');
  assert.deepEqual(await books.accounts(), [account({ charges: 0, charged: 0 })]);
  assert.equal(await books.capture(charge('1')), true);
  assert.equal(await books.capture(charge('1')), false, 'once');
  assert.deepEqual(await books.accounts(), [account({})]);
  assert.equal(await books.pay('crawler:a.example', 'USD', 4000), true);
  assert.equal(await books.pay('crawler:a.example', 'EUR', 4000), false);
  assert.equal(await books.pay('crawler:b.example', 'USD', 4000), false);
  assert.deepEqual(await books.accounts(), [account({ paid: 4000 })]);
});

const account = (more: object) => ({
  ...{ account: 'crawler:a.example', currency: 'USD', charges: 1, charged: 10_000, paid: 0, ...more },
});

test('an id is used once, unless nothing came of it', async () => {
  const { books } = deployment();
  const one = charge('1');
  const other = charge('1');
  assert.equal((await Promise.all([books.reserve(one), books.reserve(other)])).join(), 'reserved,used');
  await books.release(other);
  assert.equal(await books.reserve(other), 'used', 'who has not reserved it releases nothing');
  await books.release(one);
  assert.equal(await books.reserve(other), 'reserved');
  await books.capture(other);
  assert.equal(await books.reserve(one), 'used');
  await books.release(other);
  assert.deepEqual(await books.accounts(), [account({})], 'what was captured is not released');
});

test('a release that comes late ends no newer reservation of the same id', async () => {
  const { books, clock } = deployment();
  const [first, second] = [charge('1'), charge('1')];
  await books.reserve(first);
  clock.now += (RESERVATION_SECONDS + 1) * 1000;
  assert.equal(await books.reserve(second), 'reserved');
  await books.release(first);
  assert.equal(await books.reserve(charge('1')), 'used');
  await books.release(second);
  assert.equal(await books.reserve(charge('1')), 'reserved');
});

test('credit counts what is owed and what is reserved, to the last millionth', async () => {
  const { books } = deployment();
  const some = (id: string, credit: number) => charge(id, { micros: 600_000, credit });
  assert.equal(await books.reserve(some('1', 599_999)), 'credit');
  assert.equal(await books.reserve(some('1', 1_199_999)), 'reserved');
  assert.equal(await books.reserve(some('2', 1_199_999)), 'credit');
  const last = some('2', 1_200_000);
  assert.equal(await books.reserve(last), 'reserved');
  await books.release(last);
  await books.capture(some('1', 0));
  assert.equal(await books.reserve(some('3', 1_199_999)), 'credit');
  await books.pay('crawler:a.example', 'USD', 600_000);
  assert.equal(await books.reserve(some('3', 600_000)), 'reserved');
  assert.equal(await books.reserve(charge('4', { currency: 'EUR' })), 'reserved', 'each currency by itself');
});

test('what pays at once never owes', async () => {
  const { books } = deployment();
  const paid = charge('1', { account: 'x402:0xabc', credit: null });
  assert.equal(await books.reserve(paid), 'reserved');
  assert.equal(await books.capture(paid), true);
  assert.deepEqual(await books.accounts(), [account({ account: 'x402:0xabc', paid: 10_000 })]);
});

test('a reservation that nobody captures is released; one that comes late is charged all the same', async () => {
  const { books, clock } = deployment();
  const all = charge('1', { micros: 1_000_000 });
  await books.reserve(all);
  assert.equal(await books.reserve(charge('2')), 'credit');
  clock.now += (RESERVATION_SECONDS + 1) * 1000;
  const next = charge('2');
  assert.equal(await books.reserve(next), 'reserved');
  await books.capture(all);
  assert.deepEqual(await books.accounts(), [account({ charged: 1_000_000 })]);
  await books.release(next);
  assert.equal(await books.reserve(charge('3')), 'credit');
});

test('ids are forgotten once nobody accepts what was signed, and balances never', async () => {
  const { books, clock, objects } = deployment();
  await books.reserve(charge('1', { until: NOW + 3600 }));
  await books.capture(charge('1'));
  const { object, kept } = [...objects.values()][0]!;
  assert.ok(kept.alarm! > (NOW + 3600) * 1000);
  clock.now += 3600_000;
  assert.equal(await books.reserve(charge('1')), 'used');
  clock.now += 2 * CHARGE_SLOT_SECONDS * 1000;
  kept.alarm = null; // as the runtime does before it calls
  await object.alarm();
  assert.equal(kept.rows('charge'), 0);
  assert.equal(kept.alarm, null);
  assert.deepEqual(await books.accounts(), [account({})]);
});

test('no more is remembered than the limits say', async () => {
  const { books, objects, clock } = deployment();
  await books.reserve(charge('first'));
  const [name, { kept }] = [...objects][0]!;
  /** Rows by another hand: the object counts when it is made. */
  const fill = (table: string, count: number, row: string) =>
    kept.sql.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
      INSERT INTO ${table} SELECT ${row} FROM n`);
  const again = () => objects.set(name, { kept, object: new Ledger({ storage: kept }, undefined, () => clock.now) });
  fill('account', MAX_ACCOUNTS - 2, `'x' || i, 'USD', 0, 0, 0, 0`);
  again();
  assert.equal(await books.reserve(charge('a', { currency: 'EUR' })), 'reserved');
  assert.equal(await books.reserve(charge('b', { currency: 'GBP' })), 'full');
  fill('charge', MAX_CHARGES - 3, `'x' || i, 'x', 'USD', 0, 1, ${2 * NOW}, ${NOW}`);
  again();
  assert.equal(await books.reserve(charge('c')), 'reserved');
  assert.equal(await books.reserve(charge('d')), 'full');
});

test('what brought nothing takes no room: neither its id nor the account that never paid', async () => {
  const { books, clock, objects } = deployment();
  for (let n = 0; n < 20; n++) {
    const one = charge(String(n), { account: 'x402:eip155:1', credit: null, until: NOW + 86_400 });
    assert.equal(await books.reserve(one), 'reserved');
    if (n % 2 === 0) await books.release(one);
    await books.release(one);
  }
  const { kept } = [...objects.values()][0]!;
  assert.deepEqual([kept.rows('charge'), kept.rows('account')], [0, 0]);
  const late = charge('late', { account: 'x402:eip155:1', credit: null, until: NOW + 86_400 });
  await books.reserve(late);
  clock.now += (RESERVATION_SECONDS + 1) * 1000;
  assert.deepEqual(await books.accounts(), []);
  assert.equal(await books.capture(late), true, 'what was settled meanwhile');
  clock.now = (NOW + 86_300) * 1000;
  assert.equal(await books.reserve(late), 'used', 'as long as it could be used again');
  assert.deepEqual(await books.accounts(), [account({ account: 'x402:eip155:1', paid: 10_000 })]);
});

test('accounts lie in as many objects as there are shards', async () => {
  const { books, objects } = deployment();
  for (let n = 0; n < 200; n++)
    await books.reserve(charge(await chargeId(String(n)), { account: `crawler:${n}.example` }));
  assert.equal((await books.accounts()).length, 200);
  assert.equal(objects.size, LEDGER_SHARDS);
});

test('over any order of events nobody owes more than the credit, and every sum is right', async () => {
  const step = fc.record({
    what: fc.constantFrom('reserve', 'capture', 'release', 'pay', 'wait'),
    id: fc.integer({ min: 0, max: 5 }),
    micros: fc.integer({ min: 1, max: 400 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { books, clock } = deployment();
      const reserved = new Map<string, { one: Charge; micros: number; since: number }>();
      const captured = new Set<string>();
      let [charged, paid] = [0, 0];
      for (const { what, id: n, micros } of steps) {
        const id = String(n);
        for (const [key, { since }] of reserved)
          if (clock.now - since > RESERVATION_SECONDS * 1000) reserved.delete(key);
        const one = charge(id, { micros, credit: 1000, until: NOW + 1_000_000 });
        const held = reserved.get(id);
        if (what === 'wait') clock.now += micros * 1000;
        else if (what === 'pay') {
          const owed = charged - paid;
          if (owed > 0 && (await books.pay(one.account, 'USD', owed))) paid += owed;
        } else if (what === 'reserve') {
          const sum = [...reserved.values()].reduce((total, each) => total + each.micros, charged - paid);
          const expected =
            held !== undefined || captured.has(id) ? 'used' : sum + micros > 1000 ? 'credit' : 'reserved';
          assert.equal(await books.reserve(one), expected);
          if (expected === 'reserved') reserved.set(id, { one, micros, since: clock.now });
        } else if (held !== undefined) {
          reserved.delete(id);
          if (what === 'release') await books.release(held.one);
          else {
            assert.equal(await books.capture({ ...one, micros: held.micros }), true);
            captured.add(id);
            charged += held.micros;
          }
        }
      }
      const [found] = await books.accounts();
      assert.deepEqual([found?.charged ?? 0, found?.paid ?? 0], [charged, paid]);
      assert.ok(charged - paid <= 1000);
    }),
    { numRuns: 60 },
  );
});
