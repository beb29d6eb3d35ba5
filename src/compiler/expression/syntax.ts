/** The syntax tree of the rules language: what was written, before names and types are known. */

/** `at` and `length` count UTF-16 units of the expression's text. */
export interface Span {
  readonly at: number;
  readonly length: number;
}

export type LogicOperator = 'and' | 'xor' | 'or';
export type CompareOperator =
  | 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge' | 'contains' | 'matches' | 'wildcard' | 'strict wildcard' | 'in' | 'bitwise_and'; // prettier-ignore

export type Syntax =
  | { readonly kind: 'logic'; readonly operator: LogicOperator; readonly items: readonly Syntax[]; readonly span: Span }
  | { readonly kind: 'not'; readonly of: Syntax; readonly span: Span }
  | { readonly kind: 'compare'; readonly operator: CompareOperator; readonly operatorSpan: Span; readonly left: Syntax; readonly right: Operand; readonly span: Span } // prettier-ignore
  | { readonly kind: 'field'; readonly name: string; readonly span: Span }
  | { readonly kind: 'call'; readonly name: string; readonly nameSpan: Span; readonly args: readonly Syntax[]; readonly span: Span } // prettier-ignore
  | {
      readonly kind: 'index';
      readonly of: Syntax;
      readonly index: Index;
      readonly indexSpan: Span;
      readonly span: Span;
    }
  | { readonly kind: 'boolean'; readonly value: boolean; readonly span: Span }
  | StringLiteral
  | WordLiteral;

export type Index =
  | { readonly kind: 'key'; readonly key: Uint8Array }
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'each' };

export interface StringLiteral {
  readonly kind: 'string';
  readonly bytes: Uint8Array;
  /** The characters of a pattern, with where each stands in the text; only of the operand of `matches`. */
  readonly pattern: { readonly text: string; readonly offsets: readonly number[] } | null;
  readonly span: Span;
}

/** A bare literal: integer, address, CIDR, range or bytes in hexadecimal. Its type says which. */
export interface WordLiteral {
  readonly kind: 'word';
  readonly text: string;
  readonly span: Span;
}

export type Operand =
  | StringLiteral
  | WordLiteral
  | { readonly kind: 'set'; readonly items: readonly (StringLiteral | WordLiteral)[]; readonly span: Span }
  | { readonly kind: 'list'; readonly name: string; readonly span: Span };

/** A fault in an expression. Thrown by the lexer, parser and checker; caught by `checkExpression`, never seen outside. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  readonly code: string;
  readonly span: Span;
  readonly reason: string | undefined;
  readonly fix: string | undefined;
  constructor(code: string, span: Span, message: string, more: { cause?: string; fix?: string } = {}) {
    super(message);
    this.code = code;
    this.span = span;
    this.reason = more.cause;
    this.fix = more.fix;
  }
}
