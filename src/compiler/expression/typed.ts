/** The typed tree of an expression: names resolved, literals read, every type known. What the checker makes and code comes from. */
import type { Field } from './fields.ts';
import type { FunctionSignature } from './functions.ts';
import type { Span } from './syntax.ts';

interface Typed {
  readonly type: number; // TYPE_*
  readonly span: Span;
}

/** A regular expression and where each of its characters stands in the text. */
export interface Pattern {
  readonly text: string;
  readonly offsets: readonly number[];
  readonly span: Span;
}

export type Test =
  | { readonly kind: 'order'; readonly mask: number; readonly value: bigint | Uint8Array; readonly address?: true }
  | { readonly kind: 'contains'; readonly bytes: Uint8Array }
  | { readonly kind: 'matches'; readonly pattern: Pattern }
  | { readonly kind: 'wildcard'; readonly strict: boolean; readonly pattern: Uint8Array }
  /** Inclusive, ascending, disjoint. */
  | { readonly kind: 'integers'; readonly ranges: readonly (readonly [first: bigint, last: bigint])[] }
  | { readonly kind: 'strings'; readonly items: readonly string[] }
  | { readonly kind: 'addresses'; readonly cidrs: readonly string[] }
  | { readonly kind: 'bits'; readonly value: bigint };

export type Node =
  | (Typed & { readonly kind: 'boolean'; readonly value: boolean })
  | (Typed & { readonly kind: 'integer'; readonly value: bigint })
  | (Typed & { readonly kind: 'string'; readonly bytes: Uint8Array })
  | (Typed & { readonly kind: 'field'; readonly field: Field })
  | (Typed & { readonly kind: 'entry'; readonly field: Field; readonly key: Uint8Array; readonly secret: boolean })
  | (Typed & { readonly kind: 'index'; readonly of: Node; readonly number: number })
  | (Typed & {
      readonly kind: 'call';
      readonly signature: FunctionSignature;
      readonly args: readonly Node[]; // what is on the stack
      readonly first: number; // immediates
      readonly second: number;
      readonly pattern: Pattern | null; // its regex becomes the first immediate
      readonly keys: Uint8Array | null; // their place becomes the immediates
      readonly each: boolean; // the first argument is an array to map over
    })
  | (Typed & { readonly kind: 'compare'; readonly test: Test; readonly of: Node; readonly each: boolean })
  | (Typed & { readonly kind: 'not'; readonly of: Node })
  | (Typed & { readonly kind: 'logic'; readonly operator: 'and' | 'xor' | 'or'; readonly items: readonly Node[] });

/** Calls `visit` for this node and all below it. */
export function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  if (node.kind === 'index' || node.kind === 'compare' || node.kind === 'not') walk(node.of, visit);
  else if (node.kind === 'call') for (const arg of node.args) walk(arg, visit);
  else if (node.kind === 'logic') for (const item of node.items) walk(item, visit);
}

/** The bytes of a string that is known at compile time. */
export function valueBytes(node: Node): Uint8Array | undefined {
  return node.kind === 'string' ? node.bytes : undefined;
}
