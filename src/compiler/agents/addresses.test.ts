import fc from 'fast-check';
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BODY_AT, SECTION_ADDRESSES } from '../../../assembly/abi.ts';
import { dataFolder } from '../../../test/data.ts';
import { compileAssembly, type Assembly } from '../../../test/support/assembly.ts';
import { parseAddress, parseCidr } from '../lists.ts';
import { ADDRESS_LISTS } from './address-lists.ts';
import { encodeAddresses, LIST_DAYS, withAddresses, type KnownList } from './addresses.ts';
import { compileAgents, listAgents } from './agents.ts';

interface Exports {
  listsWith(image: number, address: number): number;
  listsThatDeny(image: number, lists: number, now: number): number;
  checkAddresses(image: number): number;
  checkImage(image: number, length: number, room: number, wanted: number): number;
  classify(image: number, at: number, length: number): number;
  agentLists(image: number, agent: number): number;
  reset(): void;
}

let engine: Assembly<Exports>;
const table = compileAgents();

before(async () => {
  engine = await compileAssembly<Exports>(`
    export { classify, agentLists } from './agent';
    export { listsWith, listsThatDeny, checkAddresses } from './agents/addresses';
    export { checkImage } from './image';
    export { reset } from './arena';
  `);
});

function place(lists: readonly KnownList[]): number {
  engine.clear();
  const image = withAddresses(table, lists);
  const at = engine.place(image);
  engine.exports.reset();
  assert.equal(engine.exports.checkImage(at, image.length, image.length, 0), 0);
  return at;
}

function listsOf(image: number, address: string): number {
  new Uint8Array(engine.memory.buffer).set(parseAddress(address)!, BODY_AT);
  return engine.exports.listsWith(image, BODY_AT) >>> 0;
}

const id = (index: number): string => ADDRESS_LISTS[index]!.id;
const FETCHED = 1_790_000_000;

test('every list proves agents that exist, and each by a name of its own', () => {
  const names = new Set(listAgents().map(({ name }) => name));
  for (const list of ADDRESS_LISTS) {
    assert.ok(list.url.startsWith('https://') && list.agents.length > 0, list.id);
    for (const agent of list.agents) assert.ok(names.has(agent), `${list.id}: ${agent}`);
  }
  assert.equal(new Set(ADDRESS_LISTS.map((list) => list.id)).size, ADDRESS_LISTS.length);
  assert.equal(new Set(ADDRESS_LISTS.map((list) => list.url)).size, ADDRESS_LISTS.length);
});

test('an address is in the lists that have it, at the edges of its block too', () => {
  const image = place([
    { id: id(0), prefixes: ['20.0.0.0/25', '20.0.1.0/24', '2600::/32'], fetched: FETCHED },
    { id: id(1), prefixes: ['20.0.0.64/26', '20.0.0.128/25', '2600::/33', '2601::1/128'], fetched: FETCHED },
  ]);
  const cases: [string, number][] = [
    ['19.255.255.255', 0],
    ['20.0.0.0', 1],
    ['20.0.0.63', 1],
    ['20.0.0.64', 3],
    ['20.0.0.127', 3],
    ['20.0.0.128', 2],
    ['20.0.0.255', 2],
    ['20.0.1.0', 1],
    ['20.0.1.255', 1],
    ['20.0.2.0', 0],
    ['255.255.255.255', 0],
    ['::ffff:20.0.0.64', 3],
    ['2600::', 3],
    ['2600:0:7fff:ffff:ffff:ffff:ffff:ffff', 3],
    ['2600:0:8000::', 1],
    ['2600:0:ffff:ffff:ffff:ffff:ffff:ffff', 1],
    ['2600:1::', 0],
    ['2601::', 0],
    ['2601::1', 2],
    ['2601::2', 0],
    ['::', 0],
  ];
  for (const [address, lists] of cases) assert.equal(listsOf(image, address), lists, address);
});

test('a list denies while it is young', () => {
  const image = place([
    { id: id(0), prefixes: ['20.0.0.0/25'], fetched: FETCHED },
    { id: id(31 % ADDRESS_LISTS.length), prefixes: ['20.0.0.0/25'], fetched: FETCHED + 10 },
  ]);
  const other = 1 << (31 % ADDRESS_LISTS.length);
  const end = FETCHED + LIST_DAYS * 86_400;
  assert.equal(engine.exports.listsThatDeny(image, 1 | other | 2, end - 1), 1 | other);
  assert.equal(engine.exports.listsThatDeny(image, 1 | other, end), other);
  assert.equal(engine.exports.listsThatDeny(image, 1 | other, end + 10), 0);
  assert.equal(engine.exports.listsThatDeny(place([]), 1, 0), 0);
});

test('no list, or none that is known: the image as it was', () => {
  assert.equal(withAddresses(table, []), table);
  assert.equal(withAddresses(table, [{ id: 'nobody', prefixes: ['20.0.0.0/8'], fetched: 1 }]), table);
  assert.equal(listsOf(place([]), '20.0.0.1'), 0);
});

test('finds what a look at every prefix finds', () => {
  const block = fc.oneof(
    fc
      .tuple(fc.integer({ min: 0, max: 3 }), fc.nat(255), fc.integer({ min: 6, max: 32 }))
      .map(([a, b, bits]) => `20.0.${a}.${b}/${bits}`),
    fc
      .tuple(fc.nat(3), fc.nat(0xffff), fc.integer({ min: 30, max: 128 }))
      .map(([a, b, bits]) => `2600:${a}::${b.toString(16)}/${bits}`),
  );
  const lists = fc.array(fc.array(block, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 8 }); // so that they overlap in fewer ways than MAX_ADDRESS_SETS
  const address = fc.oneof(
    fc.tuple(fc.integer({ min: 0, max: 4 }), fc.nat(255)).map(([a, b]) => `20.0.${a}.${b}`),
    fc.tuple(fc.nat(4), fc.nat(0xffff)).map(([a, b]) => `2600:${a}::${b.toString(16)}`),
    fc.constantFrom('0.0.0.0', '255.255.255.255', '::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'),
  );
  fc.assert(
    fc.property(lists, fc.array(address, { minLength: 1, maxLength: 20 }), (all, addresses) => {
      const image = place(all.map((prefixes, index) => ({ id: id(index * 3), prefixes, fetched: 1 })));
      for (const one of addresses) {
        let bits = 0;
        all.forEach((prefixes, index) => {
          if (prefixes.some((prefix) => naive(prefix, one))) bits |= 1 << (index * 3);
        });
        assert.equal(listsOf(image, one), bits >>> 0, one);
      }
    }),
    { numRuns: 60 },
  );
});

function naive(prefix: string, address: string): boolean {
  const block = parseCidr(prefix)!;
  const bytes = parseAddress(address)!;
  const bits = block.version === 4 ? block.prefix + 96 : block.prefix;
  if (block.version === 4 && address.includes(':')) return false;
  if (block.version === 6 && !address.includes(':')) return false;
  for (let bit = 0; bit < bits; bit++)
    if (((bytes[bit >> 3]! ^ block.address[bit >> 3]!) >> (7 - (bit & 7))) & 1) return false;
  return true;
}

test('what a user agent is goes with the lists that can prove it', () => {
  const image = place([]);
  const bits = (userAgent: string): string[] => {
    const bytes = new TextEncoder().encode(userAgent);
    new Uint8Array(engine.memory.buffer).set(bytes, BODY_AT);
    engine.exports.reset();
    const agent = engine.exports.classify(image, BODY_AT, bytes.length);
    const lists = engine.exports.agentLists(image, agent);
    return ADDRESS_LISTS.filter((_, index) => ((lists >>> index) & 1) === 1).map((list) => list.id);
  };
  assert.deepEqual(bits('Mozilla/5.0 (compatible; GPTBot/1.2)'), ['openai-gptbot']);
  assert.deepEqual(bits('Mozilla/5.0 (compatible; Claude-User/1.0)'), ['anthropic']);
  assert.deepEqual(bits('Claude-User (claude-code/1.0.5)'), []);
  assert.deepEqual(bits('Mozilla/5.0 (compatible; GoogleAgent-Search)'), ['google-user', 'google-user-google']);
  assert.deepEqual(bits('Mozilla/5.0 (compatible; Googlebot-Image/1.0)'), ['google-common']);
  assert.deepEqual(bits('curl/8.0'), []);
});

test('refuses a damaged section', () => {
  const lists = [{ id: id(0), prefixes: ['20.0.0.0/25', '21.0.0.0/8', '2600::/32', '2601::/32'], fetched: 1 }];
  const section = encodeAddresses(lists)!;
  const words = new DataView(section.buffer, section.byteOffset, section.length);
  const low4 = 144 + words.getUint32(8, true) * 4;
  const faults: [string, (v: DataView) => void][] = [
    ['v4', (v) => v.setUint32(0, 3, true)],
    ['many v4', (v) => v.setUint32(0, 0x7fffffff, true)],
    ['v6', (v) => v.setUint32(4, 1, true)],
    ['many v6', (v) => v.setUint32(4, 0x08000001, true)],
    ['sets', (v) => v.setUint32(8, 0, true)],
    ['many sets', (v) => v.setUint32(8, 0x40000001, true)],
    ['order', (v) => v.setUint32(low4, 0xf0000000, true)],
    ['overlap', (v) => v.setUint32(low4 + 4, 0x14000001, true)],
    ['order of v6', (v) => v.setUint8(low4 + 16, 0xff)],
    ['overlap of v6', (v) => v.setUint8(low4 + 16 + 32 + 1, 0x02)],
    ['set', (v) => v.setUint8(low4 + 16 + 64, 9)],
  ];
  const good = withAddresses(table, lists);
  engine.clear();
  const at = engine.place(good);
  const start = new DataView(good.buffer).getUint32(24 + SECTION_ADDRESSES * 8, true);
  assert.equal(engine.exports.checkAddresses(at), -1);
  for (const [name, damage] of faults) {
    const bad = good.slice();
    damage(new DataView(bad.buffer, start));
    new Uint8Array(engine.memory.buffer).set(bad, at);
    assert.notEqual(engine.exports.checkAddresses(at), -1, name);
  }
});

/** Where the snapshots are, or null: they are no part of the repository. */
function snapshots(): string | null {
  try {
    return dataFolder('agent-ip-ranges');
  } catch {
    return null;
  }
}
const RANGES = snapshots();
const SNAPSHOTS: readonly (readonly [list: string, ...files: string[]])[] = [
  ['openai-gptbot', 'openai-ipv4.txt'],
  ['perplexity-bot', 'perplexity-ipv4.txt'],
  ['google-common', 'googlebot-ipv4.txt', 'googlebot-ipv6.txt'],
  ['microsoft-bingbot', 'bing-ipv4.txt'],
  ['duckduckgo-assist', 'duckassistbot-ipv4.txt'],
  ['duckduckgo-bot', 'duckduckbot-ipv4.txt'],
  ['meta', 'facebook-ipv4.txt', 'facebook-ipv6.txt'],
];

test('real lists fit in 64 KiB', { skip: RANGES === null && 'the address snapshots are not here' }, (t) => {
  const lists = SNAPSHOTS.map(([list, ...files]) => ({
    id: list,
    prefixes: files.flatMap((file) => readFileSync(join(RANGES!, file), 'utf8').split('\n').filter(Boolean)),
    fetched: FETCHED,
  }));
  const count = lists.reduce((sum, { prefixes }) => sum + prefixes.length, 0);
  const section = encodeAddresses(lists)!;
  t.diagnostic(`${count} prefixes in ${section.length} bytes`);
  assert.ok(count > 2500 && section.length < 65_536);
  const image = place(lists);
  for (const { id: list, prefixes } of lists) {
    const bit = ADDRESS_LISTS.findIndex((one) => one.id === list);
    for (const prefix of prefixes) assert.equal((listsOf(image, prefix.split('/')[0]!) >>> bit) & 1, 1, prefix);
  }
  assert.equal(listsOf(image, '8.8.8.8'), 0);
});
