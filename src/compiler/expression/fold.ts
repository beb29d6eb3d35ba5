/** Works out at compile time what does not depend on the request. */
import * as abi from '../../../assembly/abi.ts';
import type { Node } from './typed.ts';

const { TYPE_BOOL, TYPE_INT, TYPE_STRING } = abi;

/** An equal tree, as small as constants make it. */
export function fold(node: Node): Node {
  switch (node.kind) {
    case 'not': {
      const of = fold(node.of);
      return of.kind === 'boolean' ? { ...of, value: !of.value, span: node.span } : { ...node, of };
    }
    case 'logic':
      return foldLogic(node, node.items.map(fold));
    case 'index':
      return { ...node, of: fold(node.of) };
    case 'compare':
      return foldCompare({ ...node, of: fold(node.of) });
    case 'call':
      return foldCall({ ...node, args: node.args.map(fold) });
    default:
      return node;
  }
}

function foldLogic(node: Node & { kind: 'logic' }, items: readonly Node[]): Node {
  // Constants that change nothing are left out; one that decides ends the chain.
  const rest: Node[] = [];
  let odd = false;
  for (const item of items) {
    if (item.kind !== 'boolean') rest.push(item);
    else if (node.operator === 'xor') odd = odd !== item.value;
    else if (item.value === (node.operator === 'or')) return { ...item, span: node.span };
  }
  const constant: Node = {
    kind: 'boolean',
    value: odd || (rest.length === 0 && node.operator === 'and'),
    type: TYPE_BOOL,
    span: node.span,
  };
  if (rest.length === 0) return constant;
  const joined: Node = rest.length === 1 ? rest[0]! : { ...node, items: rest };
  return odd ? { kind: 'not', of: joined, type: node.type, span: node.span } : joined;
}

function foldCompare(node: Node & { kind: 'compare' }): Node {
  const { of, test } = node;
  const truth = (value: boolean): Node => ({ kind: 'boolean', value, type: TYPE_BOOL, span: node.span });
  if (test.kind === 'order' && of.kind === 'integer' && typeof test.value === 'bigint') {
    return truth((test.mask & order(of.value < test.value ? -1 : of.value > test.value ? 1 : 0)) !== 0);
  }
  if (test.kind === 'order' && of.kind === 'string' && typeof test.value !== 'bigint') {
    return truth((test.mask & order(compareBytes(of.bytes, test.value))) !== 0);
  }
  return node;
}

function order(sign: number): number {
  return sign < 0 ? abi.COMPARE_LESS : sign > 0 ? abi.COMPARE_GREATER : abi.COMPARE_EQUAL;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function foldCall(node: Node & { kind: 'call' }): Node {
  const [first] = node.args;
  const { id } = node.signature;
  if (id === abi.FUNCTION_CONCAT && node.type === TYPE_STRING) {
    const args: Node[] = [];
    for (const arg of node.args) {
      const last = args.at(-1);
      if (arg.kind === 'string' && last?.kind === 'string')
        args[args.length - 1] = { ...last, bytes: Uint8Array.of(...last.bytes, ...arg.bytes) };
      else args.push(arg);
    }
    return args.length === 1 && args[0]!.kind === 'string' ? args[0]! : { ...node, args };
  }
  if (node.args.length === 1 && first?.kind === 'string') {
    const text = (bytes: Uint8Array): Node => ({ kind: 'string', bytes, type: TYPE_STRING, span: node.span });
    if (id === abi.FUNCTION_LOWER)
      return text(first.bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte)));
    if (id === abi.FUNCTION_UPPER)
      return text(first.bytes.map((byte) => (byte >= 0x61 && byte <= 0x7a ? byte - 32 : byte)));
    if (id === abi.FUNCTION_LEN)
      return { kind: 'integer', value: BigInt(first.bytes.length), type: TYPE_INT, span: node.span };
  }
  if (id === abi.FUNCTION_TO_STRING && (first?.kind === 'integer' || first?.kind === 'boolean')) {
    return { kind: 'string', bytes: new TextEncoder().encode(String(first.value)), type: TYPE_STRING, span: node.span };
  }
  return node;
}
