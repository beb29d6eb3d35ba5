/** Bytecode of the rules language as text, one instruction a line. For people; nothing reads it back. */
import * as abi from '../../../assembly/abi.ts';
import { fieldById } from './fields.ts';
import { functionName } from './functions.ts';

type Operands = 'none' | 'int' | 'bytes' | 'word' | 'jump' | 'pair';

const INSTRUCTIONS = new Map<number, readonly [name: string, operands: Operands]>([
  [abi.OP_END, ['end', 'none']],
  [abi.OP_BOOL, ['bool', 'none']],
  [abi.OP_INT, ['int', 'int']],
  [abi.OP_STRING, ['string', 'bytes']],
  [abi.OP_FIELD, ['field', 'none']],
  [abi.OP_ENTRY, ['entry', 'bytes']],
  [abi.OP_INDEX, ['index', 'word']],
  [abi.OP_COMPARE_INT, ['compare.int', 'int']],
  [abi.OP_COMPARE_STRING, ['compare.string', 'bytes']],
  [abi.OP_COMPARE_ADDRESS, ['compare.address', 'bytes']],
  [abi.OP_CONTAINS, ['contains', 'bytes']],
  [abi.OP_MATCHES, ['matches', 'word']],
  [abi.OP_WILDCARD, ['wildcard', 'bytes']],
  [abi.OP_IN_INTEGERS, ['in.integers', 'bytes']],
  [abi.OP_IN_STRINGS, ['in.strings', 'word']],
  [abi.OP_IN_ADDRESSES, ['in.addresses', 'word']],
  [abi.OP_BITS, ['bits', 'int']],
  [abi.OP_NOT, ['not', 'none']],
  [abi.OP_XOR, ['xor', 'none']],
  [abi.OP_AND_EACH, ['and.each', 'none']],
  [abi.OP_OR_EACH, ['or.each', 'none']],
  [abi.OP_AND, ['and', 'jump']],
  [abi.OP_OR, ['or', 'jump']],
  [abi.OP_CALL, ['call', 'pair']],
]);
const ORDERS = ['never', '<', '==', '<=', '>', '!=', '>=', 'always'];
const COMPARES = new Set([abi.OP_COMPARE_INT, abi.OP_COMPARE_STRING, abi.OP_COMPARE_ADDRESS]);

/** `strings` is SECTION_STRINGS, if its texts are to be shown. Never throws, whatever the bytes. */
export function disassembleCode(code: Uint8Array, strings: Uint8Array = new Uint8Array()): string {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength & ~3);
  const count = view.byteLength / 4;
  const word = (index: number): number => (index < count ? view.getUint32(index * 4, true) : 0);
  const lines: string[] = [];
  const starts = new Map(Array.from({ length: Math.min(word(0), count) }, (_, index) => [word(1 + index * 2), index]));
  for (let at = Math.min(1 + word(0) * 2, count); at < count;) {
    const start = at;
    if (starts.has(at)) lines.push(`program ${starts.get(at)}`);
    const head = word(at++);
    const [opcode, a, b, flags] = [head & 255, (head >> 8) & 255, (head >> 16) & 255, head >>> 24];
    const known = INSTRUCTIONS.get(opcode);
    if (known === undefined) {
      lines.push(`${label(start)} ?? 0x${head.toString(16)}`);
      continue;
    }
    const [name, operands] = known;
    const parts = [name + ((flags & abi.FLAG_EACH) === 0 ? '' : '[*]')];
    if (opcode === abi.OP_BOOL) parts.push(a === 0 ? 'false' : 'true');
    if (opcode === abi.OP_FIELD || opcode === abi.OP_ENTRY) parts.push(fieldById(a)?.name ?? `field ${a}`);
    if (COMPARES.has(opcode)) parts.push(ORDERS[a] ?? `${a}`);
    if (opcode === abi.OP_WILDCARD && a === 1) parts.push('strict');
    if (opcode === abi.OP_CALL) parts.push(`${functionName(a)}/${b}`);
    if (operands === 'int') parts.push(String(BigInt.asIntN(64, (BigInt(word(at + 1)) << 32n) | BigInt(word(at)))));
    if (operands === 'bytes') parts.push(quote(strings, word(at), word(at + 1)));
    if (operands === 'word') parts.push(`#${word(at)}`);
    if (operands === 'pair') parts.push(`${word(at)} ${word(at + 1)}`);
    if (operands === 'jump') parts.push(`-> ${label(at + 1 + word(at))}`);
    if ((flags & abi.FLAG_EVIDENCE) !== 0) {
      const field = opcode === abi.OP_CALL ? word(at + 1) : b;
      parts.push(
        `; evidence ${fieldById(field)?.name ?? field}${(flags & abi.FLAG_REDACT) === 0 ? '' : ' (redacted)'}`,
      );
    }
    at += { none: 0, word: 1, jump: 1, int: 2, bytes: 2, pair: 2 }[operands];
    lines.push(`${label(start)} ${parts.join(' ')}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function label(at: number): string {
  return String(at).padStart(4, '0');
}

function quote(strings: Uint8Array, at: number, length: number): string {
  if (at + length > strings.length || length > 256) return `@${at}+${length}`;
  return JSON.stringify(new TextDecoder().decode(strings.subarray(at, at + length)));
}
