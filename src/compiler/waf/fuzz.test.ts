/** A damaged section is refused, or it says nonsense: it never traps, never hangs and never reads outside. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { matcherEngine, roomOf } from '../../../test/support/matchers.ts';
import { compileMatchers, type MatcherSource } from './matchers.ts';

const engine = await matcherEngine(136);
const group = { paranoia: 1, direction: 'request', pipeline: '' } as const;
const rx = (pattern: string): MatcherSource => ({ kind: 'rx', pattern, captures: true, group });
const SOURCES: readonly MatcherSource[] = [
  rx('(?i)sel(ect)?\\b.{1,20}from'),
  rx('^[a-z]+$'),
  rx('(?:a|b){3,9}c'),
  rx('x*'),
  { kind: 'pm', phrases: ['passwd', 'a', 'bc', 'etc', 'shadow'], group },
  { kind: 'pm', phrases: ['onload'], group: { ...group, direction: 'response' } },
];
const TEXTS = ['', 'SELECT a, b from users', 'abcabbbaac etc/passwd', 'x'.repeat(70), '\0\xff'.repeat(9)];

for (const [name, limits] of [
  ['complete', {}],
  ['partial', { completeStates: 8, partialStates: 6 }],
] as const) {
  test(`a section with ${name} automata is safe when it is damaged`, async () => {
    const { section, count } = await compileMatchers(SOURCES, { limits });
    const whole = await compileMatchers(SOURCES, { limits });
    assert.deepEqual(section, whole.section);
    const edit = fc.record({ at: fc.nat(section.length - 1), value: fc.nat(255), near: fc.boolean() });
    const room = roomOf(section);
    let opened = 0;
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), fc.option(fc.nat(section.length)), (edits, cut) => {
        const bytes = section.slice(0, cut === null ? section.length : cut & ~3);
        // Half of the edits where the directories and headers are: the tables are mostly cells.
        for (const { at, value, near } of edits) bytes[near ? at % Math.min(512, bytes.length || 1) : at] = value;
        if (!engine.open(bytes, count, undefined, Math.min(roomOf(bytes), room))) return;
        opened++;
        const before = engine.bytes();
        for (const text of TEXTS) {
          engine.match(text);
          for (let matcher = 0; matcher < count; matcher++) engine.captures(matcher, text);
        }
        assert.ok(Buffer.compare(engine.bytes(), before) === 0, 'written to');
      }),
      { numRuns: 1500 },
    );
    assert.ok(opened > 50, `${opened} damaged sections opened`);
  });
}
