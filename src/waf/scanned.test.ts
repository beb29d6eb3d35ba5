/**
 * The scan against rules that are run one by one, in a few lines: whatever it leaves out, looks up or sees through (classes of
 * bytes, closures that it keeps, equal values, lowercase) hides no match and makes none.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SECTION_MATCHERS } from '../../assembly/abi.ts';
import * as abi from '../../assembly/waf/abi.ts';
import { FAMILIES } from '../../test/support/fragments.ts';
import { engineModule } from '../../test/support/engine.ts';
import { referenceTransformations } from '../../test/support/reference-transformations.ts';
import { imagesOf, request } from '../../test/support/rules-in-process.ts';
import { transformationName } from '../compiler/seclang/transformations.ts';
import { createWaf } from './transaction.ts';

// Regexes that mean the same here and in JavaScript, over bytes; and phrases.
const REGEXES = [
  ...['select', '(?i)select', '(?i)union[ \\t\\n]+(?:all[ \\t\\n]+)?select', '\\bor\\b', '(?i)\\bAnd\\b', 'a|<'],
  ...['^[a-z]+$', '^[a-z0-9 ]*$', '[A-Z][a-z]', '[^a-z0-9]{3}', '^$', '^.{0,3}$', 'a$', '^A', '[A-Z]$|^<'],
  ...['\\.\\./', '/etc/[a-z]+', '(?i)<script[^>]*>', '(?i)on[a-z]+ *=', '/\\*.*\\*/', '--', '#$', '[^-]-[^-]'],
  ...['\\x00', '[\\x80-\\xff]', '\\xc3[\\xa0-\\xbf]', '[\\x01-\\x08]', '\\x7f', '(?i)%u?[0-9A-F]{2}', '[\\x5c]{2}'],
  ...[
    '&[a-z]+;',
    '[;&|`]',
    '[(][^)]*[)]',
    '[{][^}]*[}]',
    '0x[0-9a-f]+',
    '^(?:[^=]*=){2}',
    '~|\\^|@|_',
    '[ -/]{4}',
    '[:-@]',
  ],
];
const PHRASES = ['select or and', 'etc/passwd ../', '<script onload=', 'A', '/* */', 'x41 %41', '; && $('];
const WORDS = [
  ...[
    'select',
    'SELECT',
    'Union',
    ' all ',
    'or',
    'AND',
    'a',
    'A',
    'Zz',
    '9',
    '<script>',
    '<ScRiPt',
    'onload=',
    '../',
    '/etc/passwd',
  ],
  ...[
    '\x00',
    '\x7f',
    '\xe9',
    '\xc3\xa9',
    '{',
    '}',
    '(',
    ')',
    '|',
    '~',
    '^',
    '@',
    '_',
    '`',
    ':',
    '=',
    '$',
    '!',
    '?',
    '[',
    ']',
    '\x01',
  ],
  ...['unionselect', 'union\tselect', '#', '/**/', '--', 'a-b', '&amp;', '{}', '()', '<script>', '==', '....', ':;'],
];
const PIECES = [...Object.values(FAMILIES).flat(), ...WORDS];

interface Rule {
  readonly operator: 'rx' | 'pm' | 'strmatch';
  readonly argument: string;
  readonly negated: boolean;
  readonly multiMatch: boolean;
  readonly pipeline: readonly number[];
}

const IDS = [...Array(abi.TRANSFORM_COUNT).keys()].filter((id) => id !== abi.TRANSFORM_NONE);
// What rule sets begin with, and more of what the scan sees through.
const step = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(abi.TRANSFORM_LOWERCASE, abi.TRANSFORM_URL_DECODE_UNI) },
  { weight: 2, arbitrary: fc.constantFrom(...IDS) },
);
const rule: fc.Arbitrary<Rule> = fc
  .record({
    what: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...REGEXES).map((argument) => ({ operator: 'rx', argument }) as const) },
      { weight: 2, arbitrary: fc.constantFrom(...PHRASES).map((argument) => ({ operator: 'pm', argument }) as const) },
      fc.constantFrom('sEl', 'or', '/').map((argument) => ({ operator: 'strmatch', argument }) as const),
    ),
    how: fc.constantFrom('', '', '', '', 'negated', 'multiMatch'),
    pipeline: fc.array(step, { maxLength: 5 }),
  })
  .map(({ what, how, pipeline }) => ({
    ...what,
    negated: how === 'negated',
    multiMatch: how === 'multiMatch',
    pipeline,
  }));
// Few bytes have few classes: those are screened most.
const value = fc.oneof(
  fc.array(fc.constantFrom(...WORDS), { maxLength: 2 }),
  fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...PIECES) },
      fc.nat(255).map((byte) => String.fromCharCode(byte)),
    ),
    { maxLength: 9 },
  ),
);
/** Mostly one value; else one that is walked depth first, or so many that equal ones are looked up. */
const values = fc.oneof(
  { weight: 8, arbitrary: value.map((parts) => [parts.join('')]) },
  value.map((parts) => [`${parts.join('')}${'k'.repeat(8200)}${parts.join('')}`]),
  fc
    .tuple(fc.array(value, { minLength: 3, maxLength: 5 }), fc.nat(6))
    .map(([some, from]) => Array.from({ length: 120 }, (_, i) => some[(i * i + from) % some.length]!.join(''))),
);

const textOf = (rules: readonly Rule[]): string =>
  rules
    .map(({ operator, argument, negated, multiMatch, pipeline }, index) => {
      const steps = pipeline.map((id) => `,t:${transformationName(id)}`).join('');
      const more = multiMatch ? ',multiMatch' : '';
      return `SecRule ARGS "${negated ? '!' : ''}@${operator} ${argument}" "id:${index + 1},phase:2,pass,log${more}${steps}"\n`;
    })
    .join('');

function finds({ operator, argument }: Rule, text: string): boolean {
  if (operator === 'strmatch') return text.includes(argument);
  if (operator === 'pm') {
    const lower = (some: string): string => some.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
    return argument.split(' ').some((phrase) => lower(text).includes(lower(phrase)));
  }
  const folds = argument.startsWith('(?i)');
  return new RegExp(folds ? argument.slice(4) : argument, folds ? 'is' : 's').test(text);
}

function matches(one: Rule, text: string): boolean {
  const stages = [text];
  for (const id of one.pipeline) stages.push(referenceTransformations.get(id)!(stages.at(-1)!));
  const looked = one.multiMatch ? stages : stages.slice(-1);
  return looked.some((stage) => finds(one, stage)) !== one.negated;
}

/** The image with no clauses in it: nothing is screened out. */
function unscreened(policy: Uint8Array): Uint8Array {
  const copy = policy.slice();
  const view = new DataView(copy.buffer);
  const count = view.getUint32(24 + SECTION_MATCHERS * 8, true) + abi.MATCHERS_CLAUSE_COUNT;
  view.setUint32(count, 0, true);
  return copy;
}

const encode = (text: string): string =>
  [...text].map((one) => `%${one.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');

test('the scan finds what rules find that are run one by one', async () => {
  const engine = await engineModule();
  let [found, nothing] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      fc.array(rule, { minLength: 8, maxLength: 40 }).chain((some) =>
        fc.constantFrom(
          some,
          some.map((one) => ({ ...one, multiMatch: false })),
        ),
      ),
      fc.array(values, { minLength: 30, maxLength: 30 }),
      async (rules, requests) => {
        const { policy } = await imagesOf(textOf(rules));
        // One engine for all, so that what was kept of earlier requests is used.
        const warm = createWaf(engine, { policy });
        const plain = createWaf(engine, { policy: unscreened(policy) });
        for (const all of requests) {
          const expected = rules.flatMap((one, index) =>
            all.flatMap((text, place) => (matches(one, text) ? [`${index + 1} ARGS:a${place}`] : [])),
          );
          const uri = `/?${all.map((text, index) => `a${index}=${encode(text)}`).join('&')}`;
          for (const waf of [warm, plain]) {
            const verdict = waf.inspect(request(uri));
            assert.equal(verdict.reason, 0);
            const told = [...new Set(verdict.events.map((event) => `${event.rule} ${event.target}`))];
            // Only so many are told: of those each is right, and the others count.
            const among = verdict.truncated ? expected.filter((event) => told.includes(event)) : expected;
            assert.deepEqual(told, among, JSON.stringify(all));
            if (!rules.some(({ multiMatch }) => multiMatch)) assert.equal(verdict.matches, expected.length);
            if (told.length > 0) found++;
            else nothing++;
          }
        }
      },
    ),
    { numRuns: 12 },
  );
  assert.ok(found > 50 && found + nothing > 500, `${found} ${nothing}`);
});
