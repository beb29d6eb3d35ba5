/** The rules language as its users see it: compile, check, and what an expression needs. */
import { STAGE_BODY, STAGE_HEAD, STAGE_RESPONSE } from '../../../assembly/abi.ts';
import { checkCondition, checkText } from './checker.ts';
import { compileRegex } from '../regex/index.ts';
import { isProtocolField } from './fields.ts';
import { fold } from './fold.ts';
import { patternFault } from './literals.ts';
import { parseCondition, parseValue } from './parser.ts';
import { ExpressionError } from './syntax.ts';
import { walk } from './typed.ts';
import type { DocumentPath, Reporter } from '../diagnostics.ts';
import type { Lists } from './checker.ts';
import type { Node } from './typed.ts';

export type { Lists } from './checker.ts';
export type { Node } from './typed.ts';

/** What is wrong with an expression; `at` and `length` count characters of its text. */
export interface ExpressionFault {
  readonly code: string;
  readonly at: number;
  readonly length: number;
  readonly message: string;
  readonly cause?: string;
  readonly fix?: string;
}

/** Folded typed tree of a condition. Throws ExpressionError. */
export function condition(text: string, lists: Lists): Node {
  const node = fold(checkCondition(parseCondition(text), lists));
  stageOf(node);
  return node;
}

/** Folded typed tree of an expression that gives a string. Throws ExpressionError. */
export function textValue(text: string, lists: Lists): Node {
  return fold(checkText(parseValue(text), lists));
}

/**
 * Checks an expression without a policy around it, for editors: null, or its first fault. `kind`: what it must give.
 */
export function checkExpression(
  text: string,
  lists: Lists = new Map(),
  kind: 'condition' | 'text' = 'condition',
): ExpressionFault | null {
  try {
    checkPatterns(kind === 'condition' ? condition(text, lists) : textValue(text, lists));
    return null;
  } catch (error) {
    if (error instanceof ExpressionError) return fault(error);
    throw error;
  }
}

function checkPatterns(node: Node): void {
  walk(node, (part) => {
    const pattern =
      part.kind === 'call'
        ? part.pattern
        : part.kind === 'compare' && part.test.kind === 'matches'
          ? part.test.pattern
          : null;
    if (pattern === null) return;
    try {
      compileRegex(pattern.text, { captures: part.kind === 'call' });
    } catch (error) {
      throw patternFault(pattern, error);
    }
  });
}

function fault(error: ExpressionError): ExpressionFault {
  return {
    code: error.code,
    at: error.span.at,
    length: error.span.length,
    message: error.message,
    ...(error.reason === undefined ? {} : { cause: error.reason }),
    ...(error.fix === undefined ? {} : { fix: error.fix }),
  };
}

/** Runs `make`; an ExpressionError is reported at `path` and gives undefined. */
export function reporting<T>(reporter: Reporter, path: DocumentPath, make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const { at, code, message, ...more } = fault(error);
    reporter.report('error', path, code, message, { ...more, offset: at });
    return undefined;
  }
}

/** The earliest stage at which all its fields exist, and the field that decides it. Throws ExpressionError when there is none. */
export function stageOf(node: Node): { readonly stage: number; readonly field: string } {
  let latest = { stage: STAGE_HEAD, field: '' };
  let body: string | undefined;
  walk(node, (part) => {
    if (part.kind !== 'field' && part.kind !== 'entry') return;
    const { stage, name } = part.field;
    if (stage === STAGE_BODY && !isProtocolField(part.field)) body ??= name;
    if (stage > latest.stage) latest = { stage, field: name };
    if (latest.stage === STAGE_RESPONSE && body !== undefined) {
      throw new ExpressionError(
        'never-together',
        part.span,
        `${body} and ${latest.field} never exist at the same time`,
        {
          cause: "the request's body has gone to the origin when the response arrives",
          fix: 'write two rules',
        },
      );
    }
  });
  return latest;
}

/** What of the body an expression looks at: its bytes, and what a protocol phase has read from it. */
export function bodyOf(node: Node): { readonly bytes: boolean; readonly protocol: boolean } {
  let [bytes, protocol] = [false, false];
  walk(node, (part) => {
    if ((part.kind !== 'field' && part.kind !== 'entry') || part.field.stage !== STAGE_BODY) return;
    if (isProtocolField(part.field)) protocol = true;
    else bytes = true;
  });
  return { bytes, protocol };
}
