/** Typed tree to bytecode: assembly/abi.ts, "RULES LANGUAGE", is the format, assembly/expression.ts the machine. */
import * as abi from '../../../assembly/abi.ts';
import { patternFault } from './literals.ts';
import { ExpressionError } from './syntax.ts';
import { walk } from './typed.ts';
import type { Pools } from '../image.ts';
import type { Node, Pattern, Test } from './typed.ts';

const { TYPE_ARRAY } = abi;

/** Collects the programs of a policy; equal programs are stored once. */
export class CodeWriter {
  readonly #programs: { words: readonly number[]; type: number }[] = [];
  readonly #known = new Map<string, number>();
  readonly #pools: Pools;

  constructor(pools: Pools) {
    this.#pools = pools;
  }

  /** Index of the program. Throws ExpressionError when a regex is refused or the stack would be too deep. */
  add(node: Node): number {
    const words = new Program(this.#pools).whole(node);
    const key = words.join();
    let index = this.#known.get(key);
    if (index === undefined) {
      index = this.#programs.push({ words, type: node.type }) - 1;
      this.#known.set(key, index);
    }
    return index;
  }

  /** SECTION_CODE; empty without programs. */
  bytes(): Uint8Array {
    if (this.#programs.length === 0) return new Uint8Array();
    const words = [this.#programs.length];
    let at = 1 + this.#programs.length * 2;
    for (const program of this.#programs) {
      words.push(at, program.type);
      at += program.words.length;
    }
    for (const program of this.#programs) for (const word of program.words) words.push(word);
    return new Uint8Array(Uint32Array.from(words).buffer);
  }
}

class Program {
  private readonly words: number[] = [];
  private readonly pools: Pools;
  private depth = 0;

  constructor(pools: Pools) {
    this.pools = pools;
  }

  whole(node: Node): number[] {
    this.node(node, true);
    this.emit(abi.OP_END);
    return this.words;
  }

  private emit(opcode: number, a = 0, b = 0, flags = 0): void {
    this.words.push((opcode | (a << 8) | (b << 16) | (flags << 24)) >>> 0);
  }
  private long(value: bigint): void {
    this.words.push(Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn));
  }
  private bytes(value: Uint8Array): void {
    const { at, length } = this.pools.strings.add(value);
    this.words.push(at, length);
  }
  private pushed(node: Node): void {
    if (++this.depth > abi.MAX_STACK) {
      throw new ExpressionError('too-deep', node.span, `this needs more than ${abi.MAX_STACK} values at once`, {
        fix: 'write several rules',
      });
    }
  }

  /** `positive`: a comparison in here that is true speaks for the rule, so it is worth recording. */
  private node(node: Node, positive: boolean): void {
    switch (node.kind) {
      case 'boolean':
        this.emit(abi.OP_BOOL, node.value ? 1 : 0);
        return this.pushed(node);
      case 'integer':
        this.emit(abi.OP_INT);
        this.long(node.value);
        return this.pushed(node);
      case 'string':
        this.emit(abi.OP_STRING);
        this.bytes(node.bytes);
        return this.pushed(node);
      case 'field':
        this.emit(abi.OP_FIELD, node.field.id);
        return this.pushed(node);
      case 'entry':
        this.emit(abi.OP_ENTRY, node.field.id);
        this.bytes(node.key);
        return this.pushed(node);
      case 'index':
        this.node(node.of, false);
        this.emit(abi.OP_INDEX);
        this.words.push(node.number);
        return;
      case 'compare':
        this.node(node.of, false);
        return this.test(node.test, evidence(node.of, positive), node.each ? abi.FLAG_EACH : 0);
      case 'not':
        this.node(node.of, false);
        return this.emit(abi.OP_NOT, 0, 0, (node.type & TYPE_ARRAY) === 0 ? 0 : abi.FLAG_EACH);
      case 'logic':
        return this.logic(node, positive);
      case 'call':
        return this.call(node, positive);
    }
  }

  private logic(node: Node & { kind: 'logic' }, positive: boolean): void {
    const each = (node.type & TYPE_ARRAY) !== 0;
    const jumps: number[] = [];
    for (const [index, item] of node.items.entries()) {
      if (index > 0 && !each && node.operator !== 'xor') {
        this.emit(node.operator === 'and' ? abi.OP_AND : abi.OP_OR);
        jumps.push(this.words.push(0) - 1);
        this.depth--;
      }
      this.node(item, positive && node.operator !== 'xor');
      if (index > 0 && (each || node.operator === 'xor')) {
        const joins = { and: abi.OP_AND_EACH, or: abi.OP_OR_EACH, xor: abi.OP_XOR };
        this.emit(joins[node.operator], 0, 0, each ? abi.FLAG_EACH : 0);
        this.depth--;
      }
    }
    for (const at of jumps) this.words[at] = this.words.length - at - 1;
  }

  private call(node: Node & { kind: 'call' }, positive: boolean): void {
    const { id } = node.signature;
    const through = id === abi.FUNCTION_ANY || id === abi.FUNCTION_ALL;
    for (const arg of node.args) this.node(arg, positive && through);
    const about = evidence(node.args[0]!, positive && node.signature.result === abi.TYPE_BOOL && !through);
    let { first, second } = node;
    if (node.pattern !== null) first = this.regex(node.pattern, true);
    if (node.keys !== null) ({ at: first, length: second } = this.pools.strings.add(node.keys));
    if (about.flags !== 0) second = about.field;
    this.emit(abi.OP_CALL, id, node.args.length, (node.each ? abi.FLAG_EACH : 0) | about.flags);
    this.words.push(first, second);
    this.depth -= node.args.length - 1;
  }

  private test(test: Test, about: { field: number; flags: number }, each: number): void {
    const flags = each | about.flags;
    switch (test.kind) {
      case 'order':
        if (typeof test.value === 'bigint') {
          this.emit(abi.OP_COMPARE_INT, test.mask, about.field, flags);
          return this.long(test.value);
        }
        this.emit(
          test.address === true ? abi.OP_COMPARE_ADDRESS : abi.OP_COMPARE_STRING,
          test.mask,
          about.field,
          flags,
        );
        return this.bytes(test.value);
      case 'contains':
        this.emit(abi.OP_CONTAINS, 0, about.field, flags);
        return this.bytes(test.bytes);
      case 'matches':
        this.emit(abi.OP_MATCHES, 0, about.field, flags);
        this.words.push(this.regex(test.pattern, false));
        return;
      case 'wildcard':
        this.emit(abi.OP_WILDCARD, test.strict ? 1 : 0, about.field, flags);
        return this.bytes(test.pattern);
      case 'integers':
        this.emit(abi.OP_IN_INTEGERS, 0, about.field, flags);
        return this.bytes(pairs(test.ranges));
      case 'strings':
        this.emit(abi.OP_IN_STRINGS, 0, about.field, flags);
        this.words.push(this.pools.lists.strings(test.items));
        return;
      case 'addresses':
        this.emit(abi.OP_IN_ADDRESSES, 0, about.field, flags);
        this.words.push(this.pools.lists.addresses(test.cidrs));
        return;
      case 'bits':
        this.emit(abi.OP_BITS, 0, about.field, flags);
        return this.long(test.value);
    }
  }

  private regex(pattern: Pattern, captures: boolean): number {
    try {
      // SPEC: wirefilter matches bytes, not code points, and finds the pattern anywhere in the value.
      return this.pools.regexes.add(pattern.text, captures ? { captures } : {});
    } catch (error) {
      throw patternFault(pattern, error);
    }
  }
}

const encoded = new WeakMap<readonly unknown[], Uint8Array>();

/** Ascending, disjoint, inclusive ranges as the engine searches them: i64 pairs. One array of bytes for one of ranges. */
function pairs(ranges: readonly (readonly [bigint, bigint])[]): Uint8Array {
  const known = encoded.get(ranges);
  if (known !== undefined) return known;
  const bytes = new Uint8Array(ranges.length * 16);
  const view = new DataView(bytes.buffer);
  for (const [index, [first, last]] of ranges.entries()) {
    view.setBigInt64(index * 16, first, true);
    view.setBigInt64(index * 16 + 8, last, true);
  }
  encoded.set(ranges, bytes);
  return bytes;
}

/** The field that a comparison looks at (the first in it), and whether its value may be shown. */
function evidence(of: Node, positive: boolean): { field: number; flags: number } {
  let field = 0;
  let secret = false;
  walk(of, (node) => {
    if (node.kind !== 'field' && node.kind !== 'entry') return;
    if (field === 0) field = node.field.id;
    secret ||= node.kind === 'entry' ? node.secret : node.field.secret;
  });
  if (!positive || field === 0) return { field: 0, flags: 0 };
  return { field, flags: abi.FLAG_EVIDENCE | (secret ? abi.FLAG_REDACT : 0) };
}
