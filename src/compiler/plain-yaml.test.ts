import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { readPlainYaml } from './plain-yaml.ts';
import { parseYaml, readValue, type Report } from './yaml.ts';

/** What is read by way of the library; null when that finds a fault. */
function library(text: string): { readonly value: unknown } | null {
  let faults = 0;
  const report: Report = () => faults++;
  const tree = parseYaml(text, report);
  const read = tree && readValue(tree, report);
  return faults > 0 ? null : read;
}

/** Where the fast reader reads at all, it has to read what the library reads. */
function agree(text: string): boolean {
  const fast = readPlainYaml(text);
  if (fast === undefined) return false;
  assert.deepEqual({ value: fast }, library(text), JSON.stringify(text));
  return true;
}

test('reads what generators and people write', () => {
  for (const text of [
    'app: a\nroutes:\n  - name: x\n    backend: web\n  - { name: y, matches: [{ path: { value: /a/b } }] }\n',
    'routes:\n- a: 1\n  b: [1, 2.50, x y, "q", \'r\', {}, []]\n- c # comment\n\n# comment\nx:\n  y:\n    z: 007\n',
    'a: {"b":[1,"c"], "d": null}\nnull: {true: False, e1: .x}\n',
    'a: ~\nb: True\nc: 10.0.0.1\nd: 10.0.0.0/8\ne: http://x:80/y\nf: a#b\ng: 1h30m\nh: .5x\n',
    'a:\nb:\n  - \n  -\n  - x\n',
    `when: url_decode(http.request.uri.query) matches "(?i)union\\s+select"\n`,
  ]) {
    assert.equal(agree(text), true, text);
  }
});

test('leaves all else to the library', () => {
  for (const text of [
    '',
    '- a\n',
    'a: &x 1\n',
    'a: *x\n',
    'a: !!str 1\n',
    'a: |\n  x\n',
    'a: b\n  c\n',
    'a: [1,\n  2]\n',
    'a: [1, 2\n',
    'a: "x\n  y"\n',
    'a: "\\n"\n',
    "a: 'it''s'\n",
    '---\na: 1\n',
    'a: 1\n...\n',
    '%YAML 1.2\n',
    '? a\n: b\n',
    'a: b: c\n',
    'a: 1\na: 2\n',
    'a: {b: 1, b: 2}\n',
    '__proto__: {a: 1}\n',
    'a: {<<: x}\n',
    '<<: {a: 1}\n',
    'a: 0x10\n',
    'a: 1e3\n',
    'a: .inf\n',
    'a: -1\n',
    'a:\tb\n',
    'a: \u00fc\n',
    'a: 1\r\n',
    ' a: 1\n',
    'a: 1\n b: 2\n',
    'a:\n    b: 1\n  c: 2\n',
    'a: {b: 1,}\n',
    'a: {b}\n',
    'a: [b: 1]\n',
    'a: {b: }\n',
    '- - a\n',
    `a: ${'['.repeat(100)}${']'.repeat(100)}\n`,
    'a: "b" c\n',
    'a: [b]c\n',
    'a: [b]#c\n',
    'a: {b:1}\n',
    'a:b\n',
    'a: @b\n',
    'a: `b\n',
    'a: %b\n',
    'a: b:\n',
  ]) {
    assert.equal(readPlainYaml(text), undefined, JSON.stringify(text));
  }
});

const scalar = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9_$./:#~+=<; "'\\,[\]{}-]{1,12}$/),
  fc.constantFrom(
    'null',
    'true',
    'False',
    '12',
    '1.5',
    '1e3',
    '0x1f',
    '~',
    '""',
    "''",
    '"a b"',
    '.5',
    '+1',
    '1.',
    '.',
    '..',
    'a: b',
    'a #b',
    'a:',
    '{}',
    '[]',
    '[a, b]',
    '{ a: 1 }',
    '10.0.0.1',
    '1_000',
    '-',
    '- a',
    '0o7',
    '.nan',
    '~a',
  ),
);
type Tree = string | Tree[] | { readonly [key: string]: Tree };
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    {
      weight: 6,
      arbitrary: fc.constantFrom('x', 'web', '/a/b', '12', '10s', '"q: #"', "'[s]'", 'a b', 'true', 'http://a:1'),
    },
    { arbitrary: scalar, weight: 1 },
    { weight: 3, arbitrary: fc.array(tie('tree'), { maxLength: 3 }) },
    {
      arbitrary: fc.dictionary(fc.constantFrom('a', 'b', 'name', '"q k"', 'null', 'x-y', '_z.1'), tie('tree'), {
        maxKeys: 3,
        noNullPrototype: true,
      }),
      weight: 3,
    },
  ),
}));

/** Writes a tree as YAML, each collection in flow or in block style as `style` has it. */
function write(tree: Tree, indent: number, style: () => number): string {
  if (typeof tree === 'string') return ` ${tree}${style() === 1 ? ' # c' : ''}\n`;
  const entries = Object.entries(tree).map(([key, value]) => [Array.isArray(tree) ? '' : `${key}:`, value] as const);
  if (entries.length === 0 || style() === 0) return ` ${flow(tree)}\n`;
  const lines = entries.map(([key, value]) => {
    const inner = write(value, indent + 2, style);
    return `${' '.repeat(indent)}${key === '' ? '-' : key}${inner}`;
  });
  return `${style() === 2 ? ' ' : ''}\n${style() === 3 ? '# c\n\n' : ''}${lines.join('')}`;
}

function flow(tree: Tree): string {
  if (typeof tree === 'string') return tree;
  if (Array.isArray(tree)) return `[${tree.map(flow).join(', ')}]`;
  return `{ ${Object.entries(tree)
    .map(([key, value]) => `${key}: ${flow(value)}`)
    .join(',')} }`;
}

const pieces = fc.constantFrom(
  '',
  '',
  '',
  ' ',
  '#',
  ' #',
  ':',
  ': ',
  '"',
  "'",
  '{',
  '}',
  '[',
  ']',
  ',',
  '-',
  '- ',
  '&',
  '*',
  '!',
  '|',
  '>',
  '?',
  '\n',
  '\n ',
  '\n  ',
  '\n- ',
  '\n# ',
  '.',
  '~',
  '0',
  '\\',
);

test('what it reads, it reads as the library does', () => {
  let plain = 0;
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('k', 'l', 'm'), tree, { minKeys: 1, noNullPrototype: true }),
      fc.array(fc.nat(5), { minLength: 1, maxLength: 9 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      pieces,
      (value, styles, where, piece) => {
        let next = 0;
        const text = write(value, 0, () => (next++ === 0 ? 5 : styles[next % styles.length]!)).trimStart();
        const at = Math.floor(where * text.length);
        if (agree(text.slice(0, at) + piece + text.slice(at))) plain++;
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(plain > 150, `${plain} texts were plain`);
});

test('mutated policies read as the library reads them', () => {
  const source = ['reference', 'shop'].map((name) =>
    readFileSync(new URL(`../../examples/${name}/sallyport.yaml`, import.meta.url), 'utf8'),
  );
  // Block scalars and escapes are what keeps the examples from being plain as they are.
  const lines = source
    .join('')
    .split('\n')
    .filter((one) => !/\\|''/.test(one));
  let plain = 0;
  fc.assert(
    fc.property(
      fc.array(fc.nat(lines.length - 1), { minLength: 1, maxLength: 8 }),
      fc.nat(200),
      fc.constantFrom('', ' ', '#', ':', '"', '{', ']', ',', '-', "'", '&', ': '),
      (picked, at, piece) => {
        const text = picked.map((index) => lines[index]!).join('\n');
        if (agree(text.slice(0, at) + piece + text.slice(at))) plain++;
      },
    ),
    { numRuns: 2000 },
  );
  assert.ok(plain > 20, `${plain} texts were plain`);
});
