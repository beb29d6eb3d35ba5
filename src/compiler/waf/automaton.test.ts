import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matcherEngine } from '../../../test/support/matchers.ts';
import { buildNfa } from '../regex/nfa.ts';
import { parse } from '../regex/parse.ts';
import { automatonOf } from './automaton.ts';
import { compileMatchers, type MatcherSource } from './matchers.ts';
import { requiredBytes, requiredLiterals, shortest } from './literals.ts';

const root = (pattern: string) => parse(pattern, { dotAll: true }).root;
const statesOf = (pattern: string, limit = 2000): number | null =>
  automatonOf(buildNfa([parse(pattern, { dotAll: true })], [0], false, false), { states: limit, work: 1e7 })?.accepts
    .length ?? null;

test('of the copies of a counted repeat the one stays from which most can follow', () => {
  // Each subset of 200 places would be a state of its own.
  assert.ok(statesOf('a.{1,200}b')! < 420);
  assert.ok(statesOf('a[^x]{5,}b')! < 40);
  // Where turns are owed and limited at once, none stands in for another.
  assert.equal(statesOf('a.{12}b'), null);
});

test('what has to pass a live loop over every byte is forgotten', () => {
  assert.ok(statesOf('a.*(?:x[0-9]+y|z{3}).*(?:[bc]{4}|d.*e)')! < 120);
  assert.ok(statesOf('select.*from.*where.*(?:and|or)')! < 60);
});

test('literals, bytes and length that every match has', () => {
  const literals = (pattern: string) => [...(requiredLiterals(root(pattern))?.literals ?? ['none'])].sort();
  assert.deepEqual(literals('(?i)sel(?:ect|f)\\b.*x'), ['select', 'self']);
  assert.deepEqual(literals('[a-z]+'), ['none']);
  assert.deepEqual(literals('ab+c'), ['bc']); // rarer than `ab`
  assert.deepEqual(literals('(?:foo|[0-9])bar'), ['bar']);
  assert.deepEqual(literals('x?y'), ['y']); // `xy` holds it
  assert.equal(shortest(root('a{3,9}(?:b|cd)e?')), 4);
  const bytes = requiredBytes(root('[0-9]+;[a-z]*[<>]'));
  assert.deepEqual(
    bytes.map((set) => String.fromCharCode(...[...set.keys()].filter((byte) => set[byte]))),
    ['<>', ';', '0123456789'],
  );
});

test('automata with more columns than a narrow row', async () => {
  const chars = Array.from({ length: 90 }, (_, i) => String.fromCharCode(33 + i));
  const quote = (char: string): string => char.replace(/[^A-Za-z0-9]/, '\\$&');
  const pattern = chars.map((char, i) => quote(char) + quote(chars[(i + 1) % chars.length]!)).join('|');
  const group = { paranoia: 1, direction: 'request', pipeline: '' } as const;
  const sources: MatcherSource[] = [
    { kind: 'rx', pattern, captures: false, group },
    { kind: 'rx', pattern: 'zz', captures: false, group },
  ];
  const engine = await matcherEngine(136);
  for (const limits of [{}, { completeStates: 8, partialStates: 30 }]) {
    const { section, count } = await compileMatchers(sources, { limits: { ...limits, literals: false } });
    assert.ok(engine.open(section, count));
    assert.deepEqual(engine.match('!!##%%'), []);
    for (const at of [0, 40, 88]) assert.deepEqual(engine.match(`~${chars[at]}${chars[at + 1]}`), [0]);
    assert.deepEqual(engine.match('zzab'), [0, 1]);
  }
});
