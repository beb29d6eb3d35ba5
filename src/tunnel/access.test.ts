import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseAddress, parseCidr } from '../compiler/lists.ts';
import {
  basicDigest,
  enter,
  keyDigest,
  MAX_ADDRESSES,
  MAX_CREDENTIALS,
  newSalt,
  PUBLIC,
  readAccessRule,
  within,
  type AccessRule,
} from './access.ts';

const salt = newSalt();
const basic = [await basicDigest(salt, 'ann', 'correct horse'), await basicDigest(salt, 'bob', 'pass:word höhe')];
const keys = [await keyDigest(salt, 'key-1')];
const restricted = (more: Partial<AccessRule>): AccessRule => ({ ...PUBLIC, access: 'restricted', salt, ...more });
const header = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

async function outcome(rule: AccessRule, authorization = '', address = '192.0.2.7'): Promise<string> {
  const entry = await enter(rule, { address, authorization });
  return entry.admitted ? (entry.spent ? 'spent' : 'open') : `${entry.status} ${entry.challenge}`.trim();
}

describe('enter', () => {
  test('anybody may use a public tunnel, and keeps what was sent', async () => {
    assert.equal(await outcome(PUBLIC, header('ann', 'correct horse')), 'open');
    assert.equal(await outcome(PUBLIC, '', ''), 'open');
  });

  test('nobody may use a private one, or one that is restricted to nobody', async () => {
    const rule = restricted({ addresses: ['192.0.2.0/24'], basic, keys });
    assert.equal(await outcome({ ...rule, access: 'private' }, 'Bearer key-1'), '403');
    assert.equal(await outcome(restricted({}), 'Bearer key-1'), '403');
  });

  test('addresses are enough where nothing else is asked for', async () => {
    const rule = restricted({ addresses: ['198.51.100.0/24', '192.0.2.0/29'] });
    assert.equal(await outcome(rule), 'open');
    assert.equal(await outcome(rule, '', '192.0.2.8'), '403');
    assert.equal(await outcome(rule, '', ''), '403');
    assert.equal(await outcome(rule, '', '192.0.2.0/29'), '403');
  });

  test('one user or one key is needed, and is not passed on', async () => {
    const rule = restricted({ basic, keys });
    assert.equal(await outcome(rule), '401 Basic realm="tunnel", charset="UTF-8", Bearer');
    assert.equal(await outcome(rule, header('ann', 'correct horse')), 'spent');
    assert.equal(await outcome(rule, header('bob', 'pass:word höhe')), 'spent');
    assert.equal(await outcome(rule, 'bearer key-1'), 'spent');
    for (const wrong of [
      header('ann', 'pass:word höhe'),
      header('ann', 'correct hors'),
      header('ann', ''),
      header('', ''),
      header('key-1', ''),
      'Bearer correct horse',
      'Bearer key-2',
      'Bearer',
      'Basic !!!!',
      `Basic ${Buffer.from('no colon').toString('base64')}`,
      `Basic ${Buffer.from([0xff, 0x3a, 0x61]).toString('base64')}`,
      'Digest abc',
      `Bearer ${'a'.repeat(2000)}`,
      basic[0]!,
    ])
      assert.match(await outcome(rule, wrong), /^401 /, wrong);
    assert.equal(await outcome(restricted({ keys }), ''), '401 Bearer');
  });

  test('address and credential must both hold', async () => {
    const rule = restricted({ addresses: ['192.0.2.7'], keys });
    assert.equal(await outcome(rule, 'Bearer key-1'), 'spent');
    assert.equal(await outcome(rule), '401 Bearer');
    assert.equal(await outcome(rule, 'Bearer key-1', '192.0.2.8'), '403');
  });

  test('a user is not a key, and parts do not run into each other', async () => {
    assert.notEqual(await basicDigest('', 'a', 'b'), await keyDigest('', 'ab'));
    assert.notEqual(await basicDigest('', 'a:', 'b'), await basicDigest('', 'a', ':b'));
    assert.notEqual(await keyDigest('a', 'b'), await keyDigest('b', 'a'));
  });
});

describe('a rule', () => {
  test('is read back as it was', () => {
    const rule = restricted({ addresses: ['192.0.2.0/24', '::1'], basic, keys });
    assert.deepEqual(readAccessRule(JSON.parse(JSON.stringify(rule))), rule);
    assert.deepEqual(readAccessRule({ ...PUBLIC }), PUBLIC);
  });

  test('is refused with what is wrong', () => {
    const full = (count: number) => Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [null, /object/],
      [[], /object/],
      [{ ...PUBLIC, more: 1 }, /no field "more"/],
      [{ ...PUBLIC, access: 'open' }, /^access must/],
      [{ ...PUBLIC, access: 'restricted' }, /needs addresses/],
      [{ ...PUBLIC, addresses: ['10.0.0.0/33'] }, /^addresses/],
      [{ ...PUBLIC, addresses: full(MAX_ADDRESSES + 1) }, /^addresses/],
      [{ ...PUBLIC, salt: 'ä' }, /^salt/],
      [{ ...PUBLIC, basic: ['x'] }, /^basic/],
      [{ ...PUBLIC, keys: [1] }, /^keys/],
      [{ ...PUBLIC, keys: new Array(MAX_CREDENTIALS + 1).fill(keys[0]) }, /^keys/],
    ];
    for (const [value, expected] of cases) assert.match(String(readAccessRule(value)), expected);
    assert.equal(typeof readAccessRule({ ...PUBLIC, addresses: full(MAX_ADDRESSES) }), 'object');
  });
});

describe('addresses', () => {
  test('lie in blocks', () => {
    const cases: readonly (readonly [string, string, boolean])[] = [
      ['10.1.2.3', '10.0.0.0/8', true],
      ['11.1.2.3', '10.0.0.0/8', false],
      ['10.1.2.3', '0.0.0.0/0', true],
      ['2001:db8::1', '0.0.0.0/0', false],
      ['2001:db8::1', '2001:db8::/32', true],
      ['2001:DB8:0:0:0:0:0:1', '2001:db8::1', true],
      ['::ffff:10.1.2.3', '10.0.0.0/8', true],
      ['10.1.2.3', '::/0', true],
      ['::1', '::1', true],
      ['10.1.2', '10.0.0.0/8', false],
      ['10.1.2.03', '10.0.0.0/8', false],
      ['10.1.2.256', '10.0.0.0/8', false],
      ['fe80::1%eth0', 'fe80::/10', false],
    ];
    for (const [address, block, expected] of cases)
      assert.equal(within(address, block), expected, `${address} ${block}`);
  });

  test('as the compiler reads them', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6());
    const block = fc
      .tuple(address, fc.nat(128))
      .map(([host, bits]) => `${host}/${host.includes(':') ? bits : bits % 33}`);
    fc.assert(
      fc.property(address, block, (inner, outer) => {
        const cidr = parseCidr(outer)!;
        const bits = cidr.version === 4 ? cidr.prefix + 96 : cidr.prefix;
        const given = parseAddress(inner)!;
        const expected = cidr.address.every((byte, index) => {
          const mask = (0xff00 >> Math.max(0, Math.min(8, bits - index * 8))) & 0xff;
          return ((byte ^ given[index]!) & mask) === 0;
        });
        assert.equal(within(inner, outer), expected, `${inner} ${outer}`);
        assert.equal(within(inner, inner), true);
      }),
      { numRuns: 500 },
    );
  });
});
