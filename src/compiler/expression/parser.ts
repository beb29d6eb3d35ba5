/**
 * Parses an expression into a syntax tree.
 *
 *   expression = item { (or | xor | and) item }        not binds closest, then and, xor, or
 *   item       = "(" expression ")" | not item | value [ operator operand ]
 *   value      = field | call | true | false, each with any number of ["key"], [0], [*]
 *   argument   = string | number | address | expression
 */
import { MAX_ARGUMENTS, MAX_EXPRESSION_CHARACTERS, MAX_EXPRESSION_DEPTH } from '../../../assembly/abi.ts';
import { Lexer } from './lexer.ts';
import { ExpressionError } from './syntax.ts';
import type {
  CompareOperator,
  Index,
  LogicOperator,
  Operand,
  Span,
  StringLiteral,
  Syntax,
  WordLiteral,
} from './syntax.ts';

const LOGIC: readonly (readonly [symbol: string, operator: LogicOperator, precedence: number])[] = [
  ['or', 'or', 1],
  ['||', 'or', 1],
  ['xor', 'xor', 2],
  ['^^', 'xor', 2],
  ['and', 'and', 3],
  ['&&', 'and', 3], // prettier-ignore
];
const SYMBOLS: readonly (readonly [symbol: string, operator: CompareOperator])[] = [
  ['==', 'eq'],
  ['!=', 'ne'],
  ['<=', 'le'],
  ['>=', 'ge'],
  ['<', 'lt'],
  ['>', 'gt'],
  ['~', 'matches'],
  ['&', 'bitwise_and'], // prettier-ignore
];
const WORDS = new Set<string>([
  'eq',
  'ne',
  'lt',
  'le',
  'gt',
  'ge',
  'contains',
  'matches',
  'wildcard',
  'in',
  'bitwise_and',
]);

/** What people write in other languages, and what it is called here. */
const FOREIGN = new Map([
  ['=', '== or eq'],
  ['=~', 'matches or ~'],
  ['!~', 'not ... matches'],
  ['===', '== or eq'],
  ['like', 'wildcard'],
  ['starts_with', 'starts_with(field, "text")'],
  ['ends_with', 'ends_with(field, "text")'],
  ['AND', 'and'],
  ['OR', 'or'],
  ['NOT', 'not'],
]);

/** Parses a condition (a rule's `when`). Throws ExpressionError. */
export function parseCondition(text: string): Syntax {
  return new Parser(text).whole((parser) => parser.expression(0, 0));
}

/** Parses an expression whose value is used (a redirect's location). Throws ExpressionError. */
export function parseValue(text: string): Syntax {
  return new Parser(text).whole((parser) => parser.argument(0));
}

class Parser {
  private readonly lexer: Lexer;

  constructor(text: string) {
    if (text.length > MAX_EXPRESSION_CHARACTERS) {
      throw new ExpressionError('too-long', { at: MAX_EXPRESSION_CHARACTERS, length: 1 },
        `an expression has at most ${MAX_EXPRESSION_CHARACTERS} characters, this one has ${text.length}`,
        { fix: 'move addresses, names or numbers to a list, or write several rules' }); // prettier-ignore
    }
    this.lexer = new Lexer(text);
  }

  whole(parse: (parser: Parser) => Syntax): Syntax {
    if (this.lexer.atEnd())
      throw new ExpressionError('empty', { at: 0, length: 1 }, 'the expression is empty', {
        fix: 'write true to match every request',
      });
    const syntax = parse(this);
    if (!this.lexer.atEnd()) throw this.afterValue();
    return syntax;
  }

  expression(floor: number, depth: number): Syntax {
    let left = this.item(depth);
    for (;;) {
      const found = this.peekLogic();
      if (found === null || found[2] <= floor) return left;
      this.lexer.take(found[0]);
      const items = [left, this.expression(found[2], depth)];
      // `a and b and c` is one node of three items, so that long chains are not deep.
      let next = this.peekLogic();
      while (next !== null && next[1] === found[1]) {
        this.lexer.take(next[0]);
        items.push(this.expression(found[2], depth));
        next = this.peekLogic();
      }
      left = { kind: 'logic', operator: found[1], items, span: join(items[0]!.span, items.at(-1)!.span) };
    }
  }

  argument(depth: number): Syntax {
    if (this.lexer.atString()) return this.lexer.string(false);
    if (/[-0-9:]/.test(this.lexer.peek())) return this.lexer.word('an argument');
    return this.expression(0, depth);
  }

  private item(depth: number): Syntax {
    this.lexer.skipSpace();
    const start = this.lexer.at;
    if (depth > MAX_EXPRESSION_DEPTH) {
      throw new ExpressionError(
        'too-deep',
        { at: start, length: 1 },
        `the expression is nested more than ${MAX_EXPRESSION_DEPTH} deep`,
        {
          fix: 'leave out parentheses that are not needed, or write several rules',
        },
      );
    }
    if (this.lexer.take('(')) {
      const inner = this.expression(0, depth + 1);
      this.lexer.expect(')', 'an operator or )');
      return inner;
    }
    const word = this.lexer.peekIdentifier();
    if (word === 'not' || (this.lexer.peek() === '!' && this.lexer.text[this.lexer.at + 1] !== '=')) {
      this.lexer.take(word === 'not' ? 'not' : '!');
      const of = this.item(depth + 1);
      return { kind: 'not', of, span: this.lexer.since(start) };
    }
    return this.comparison(depth);
  }

  private comparison(depth: number): Syntax {
    const left = this.value(depth);
    this.lexer.skipSpace();
    const operatorAt = this.lexer.at;
    const operator = this.takeOperator();
    if (operator === null) return left;
    const operatorSpan = { at: operatorAt, length: this.lexer.at - operatorAt };
    const right = this.operand(operator);
    return { kind: 'compare', operator, operatorSpan, left, right, span: join(left.span, right.span) };
  }

  private value(depth: number): Syntax {
    const name = this.lexer.takeIdentifier();
    if (name === null) {
      const literal = this.lexer.atString() || /[0-9]/.test(this.lexer.peek());
      throw this.lexer.unexpected(
        'a field, a function or (',
        literal ? 'the field comes first, then the operator, then the literal' : undefined,
      );
    }
    let value: Syntax;
    if (name.text === 'true' || name.text === 'false') {
      value = { kind: 'boolean', value: name.text === 'true', span: name.span };
    } else if (this.lexer.peek() === '(') {
      value = this.call(name, depth);
    } else {
      value = { kind: 'field', name: name.text, span: name.span };
    }
    while (this.lexer.takeAdjacent('[')) {
      const start = this.lexer.at - 1;
      const index = this.index();
      this.lexer.expect(']', ']');
      value = {
        kind: 'index',
        of: value,
        index,
        indexSpan: this.lexer.since(start),
        span: join(value.span, this.lexer.since(start)),
      };
    }
    return value;
  }

  private index(): Index {
    if (this.lexer.atString()) return { kind: 'key', key: this.lexer.string(false).bytes };
    if (this.lexer.take('*')) return { kind: 'each' };
    const number = this.lexer.takeIndexNumber();
    if (number === null) throw this.lexer.unexpected('a key in quotes, a number or *');
    if (number.text.length > 9)
      throw new ExpressionError('bad-integer', number.span, `${number.text} is too large for an index`);
    return { kind: 'number', number: Number(number.text) };
  }

  private call(name: { text: string; span: Span }, depth: number): Syntax {
    this.lexer.expect('(', '(');
    const args: Syntax[] = [];
    if (!this.lexer.take(')')) {
      for (;;) {
        args.push(this.argument(depth + 1));
        if (this.lexer.take(')')) break;
        if (!this.lexer.take(',')) throw this.afterValue(', or )');
        if (args.length >= MAX_ARGUMENTS) throw this.lexer.unexpected(`at most ${MAX_ARGUMENTS} arguments`);
      }
    }
    return { kind: 'call', name: name.text, nameSpan: name.span, args, span: this.lexer.since(name.span.at) };
  }

  private takeOperator(): CompareOperator | null {
    const word = this.lexer.peekIdentifier();
    if (word !== null) {
      if (word === 'strict') {
        this.lexer.takeIdentifier();
        if (this.lexer.peekIdentifier() !== 'wildcard') throw this.lexer.unexpected('wildcard after strict');
        this.lexer.takeIdentifier();
        return 'strict wildcard';
      }
      if (!WORDS.has(word)) return null;
      this.lexer.takeIdentifier();
      return word as CompareOperator;
    }
    if (this.lexer.text.startsWith('&&', this.lexer.at) || this.lexer.text.startsWith('=~', this.lexer.at)) return null;
    for (const [symbol, operator] of SYMBOLS) if (this.lexer.take(symbol)) return operator;
    return null;
  }

  private operand(operator: CompareOperator): Operand {
    if (operator === 'in') return this.set();
    if (this.lexer.atString()) return this.lexer.string(operator === 'matches');
    const next = this.lexer.peek();
    if (next === '{' || next === '$') {
      throw this.lexer.unexpected('one literal', 'a set or a list goes with in');
    }
    return this.lexer.word('a literal');
  }

  private set(): Operand {
    const name = this.lexer.takeListName();
    if (name !== null) return { kind: 'list', name: name.text.slice(1), span: name.span };
    this.lexer.skipSpace();
    const start = this.lexer.at;
    this.lexer.expect('{', '{ or $list', 'write in {"a" "b"} or in $name');
    const items: (StringLiteral | WordLiteral)[] = [];
    while (!this.lexer.take('}')) {
      if (this.lexer.peek() === ',')
        throw this.lexer.unexpected('the next item', 'items of a set are separated by spaces');
      items.push(this.lexer.atString() ? this.lexer.string(false) : this.lexer.word('an item or }'));
    }
    if (items.length === 0)
      throw new ExpressionError('empty-set', this.lexer.since(start), 'the set is empty', {
        cause: 'nothing is in an empty set',
      });
    return { kind: 'set', items, span: this.lexer.since(start) };
  }

  private peekLogic(): (typeof LOGIC)[number] | null {
    const word = this.lexer.peekIdentifier();
    if (word !== null) return LOGIC.find(([symbol]) => symbol === word) ?? null;
    return LOGIC.find(([symbol]) => this.lexer.text.startsWith(symbol, this.lexer.at)) ?? null;
  }

  private afterValue(what = 'an operator or the end'): ExpressionError {
    this.lexer.skipSpace();
    const rest = this.lexer.text.slice(this.lexer.at);
    const symbol = /^(?:[=!~<>&|^]+|[A-Za-z_]+)/.exec(rest)?.[0];
    const known = symbol === undefined ? undefined : FOREIGN.get(symbol);
    if (symbol !== undefined && known !== undefined) {
      return new ExpressionError(
        'unexpected',
        { at: this.lexer.at, length: symbol.length },
        `there is no operator ${symbol}`,
        { fix: `write ${known}` },
      );
    }
    return this.lexer.unexpected(what);
  }
}

function join(first: Span, last: Span): Span {
  return { at: first.at, length: last.at + last.length - first.at };
}
