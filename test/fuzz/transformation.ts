/**
 * Pipelines of transformations over values made of what they look for: each step gives what the reference gives, the
 * bitmap never denies a change, and memory comes back. Values lie where memory ends, so reading on traps.
 */
import assert from 'node:assert/strict';
import * as abi from '../../assembly/waf/abi.ts';
import { compileAssembly } from '../support/assembly.ts';
import { FAMILIES } from '../support/fragments.ts';
import { referenceTransformations } from '../support/reference-transformations.ts';
import { random, type Random } from './random.ts';

const MAX_PIPELINE = 6;
const MAX_PARTS = 40;

interface Exports {
  reset(): void;
  alloc(bytes: number): number;
  mark(): number;
  transform(id: number, at: number, length: number): number;
  changing(bitmap: number): bigint;
  presence(at: number, length: number, out: number): void;
  resultAt(): number;
  resultLength(): number;
}

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(abi)
    .filter(([name]) => name.startsWith('TRANSFORM_') && name !== 'TRANSFORM_COUNT')
    .map(([name, id]) => [id, name]),
);

/** Tries pipelines for so many seconds; how many. Rejects at the first that is wrong. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const { exports, memory } = await compileAssembly<Exports>(`
    import { outAt, outLength } from './waf/transform/transform';
    export { reset, alloc, mark } from './arena';
    export { transform, changing } from './waf/transform/transform';
    export { presence } from './waf/presence';
    export function resultAt(): usize { return outAt; }
    export function resultLength(): i32 { return outLength; }
  `);
  const bytes = Buffer.from(memory.buffer);
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) {
    exports.reset();
    const bitmap = exports.alloc(32);
    let value = randomValue(r);
    let at = bytes.length - value.length;
    bytes.write(value, at, 'latin1');
    const done: string[] = [];
    for (let steps = 1 + r.below(MAX_PIPELINE); steps > 0; steps--) {
      const id = r.below(abi.TRANSFORM_COUNT);
      done.push(names.get(id) as string);
      const tell = (): string => `${done.join()} of ${JSON.stringify(value)}`;
      exports.presence(at, value.length, bitmap);
      const mayChange = (exports.changing(bitmap) >> BigInt(id)) & 1n;
      const before = exports.mark();
      assert.equal(exports.transform(id, at, value.length), 1, tell());
      const length = exports.resultLength();
      const result = bytes.toString('latin1', exports.resultAt(), exports.resultAt() + length);
      assert.equal(result, (referenceTransformations.get(id) as (value: string) => string)(value), tell());
      assert.ok(result === value || mayChange === 1n, `changing: ${tell()}`);
      assert.ok(exports.mark() - before <= length + 7, `memory: ${tell()}`);
      at = exports.resultAt();
      value = result;
    }
  }
  return cases;
}

function randomValue(r: Random): string {
  const families = Object.values(FAMILIES);
  const main = r.pick(families);
  let value = '';
  for (let parts = r.below(MAX_PARTS); parts > 0; parts--) {
    const kind = r.below(10);
    if (kind < 7) value += r.pick(main);
    else if (kind < 9) value += r.pick(r.pick(families));
    else value += String.fromCharCode(r.below(256)).repeat(1 + r.below(20));
  }
  return value.slice(0, value.length - r.below(4));
}
