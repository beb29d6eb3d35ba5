import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BODY_AT } from '../../../assembly/abi.ts';
import { compileAssembly } from '../../../test/support/assembly.ts';
import { patternsAndTexts } from '../../../test/support/regex.ts';
import { parse } from '../regex/parse.ts';
import { byteClass, clauseRows, clausesOf, phraseClauses } from './clauses.ts';

const classes = (bytes: Iterable<number>): bigint => [...bytes].reduce((all, byte) => all | byteClass(byte), 0n);
const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

test('the engine has the same classes', async () => {
  const { exports, memory } = await compileAssembly<{
    presence(at: number, length: number, out: number): void;
    classesOf(bitmap: number): bigint;
  }>(`export { presence } from './waf/presence'; export { classesOf } from './waf/screen';`);
  const bytes = new Uint8Array(memory.buffer);
  const engine = (some: readonly number[]): bigint => {
    bytes.set(some, BODY_AT + 32);
    exports.presence(BODY_AT + 32, some.length, BODY_AT);
    return BigInt.asUintN(64, exports.classesOf(BODY_AT));
  };
  for (let byte = 0; byte < 256; byte++) assert.equal(engine([byte]), byteClass(byte), String(byte));
  fc.assert(fc.property(fc.array(fc.nat(255), { maxLength: 40 }), (some) => assert.equal(engine(some), classes(some))));
});

test('a text that matches meets every clause', () => {
  fc.assert(
    fc.property(patternsAndTexts(['a', 'B', '0', ' ', '/', '<', '(', '\n', '~', '`'], { groups: false }), (some) => {
      const clauses = clausesOf(parse(some.pattern, { dotAll: true }).root);
      const native = new RegExp(some.pattern, 's');
      for (const text of some.texts) {
        if (/[^\0-\x7f]/.test(text) || !native.test(text)) continue;
        for (const clause of clauses) assert.notEqual(clause & classes(bytesOf(text)), 0n, `${some.pattern} ${text}`);
      }
    }),
  );
});

test('clauses say what is told apart, and only that', () => {
  const of = (pattern: string): readonly bigint[] => clausesOf(parse(pattern, { dotAll: true }).root);
  assert.deepEqual(of('a*'), []);
  assert.deepEqual(of('<[a-z]+ on\\w+='), [byteClass(0x3c), byteClass(0x3d), byteClass(0x20), byteClass(0x61)]);
  assert.deepEqual(of('\\(a|b\\)|"(?:c|d)"'), [classes(bytesOf('()"')), byteClass(0x61)]);
  const phrases = ['../', 'etc/passwd'].map(bytesOf);
  assert.deepEqual(phraseClauses(phrases), [byteClass(0x2f)]);
  const [first, ...others] = clauseRows([[1n, 2n], [2n], [1n << 33n]]);
  assert.deepEqual([first?.clause, first?.matchers], [2n, [0, 1]]);
  assert.equal(others.length, 2);
});
