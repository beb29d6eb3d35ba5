/** Resolves names and checks types: syntax tree in, typed tree out. Throws ExpressionError at the first fault. */
import * as abi from '../../../assembly/abi.ts';
import { checkCall, patternOf, typeName } from './calls.ts';
import { absentField, fieldByName, fieldNames, isSecretEntry, nearest, valuesOf } from './fields.ts';
import { absentFunction, functionByName, functionNames } from './functions.ts';
import * as literals from './literals.ts';
import { ExpressionError } from './syntax.ts';
import type { Value } from './calls.ts';
import type { CompareOperator, Operand, Span, StringLiteral, Syntax, WordLiteral } from './syntax.ts';
import type { Node, Test } from './typed.ts';

const { TYPE_ADDRESS, TYPE_ARRAY, TYPE_BOOL, TYPE_INT, TYPE_MAP, TYPE_STRING } = abi;

/** A named list as the policy gives it. */
export type Lists = ReadonlyMap<string, readonly (string | number)[]>;

const ORDER: Partial<Record<CompareOperator, number>> = {
  eq: abi.COMPARE_EQUAL,
  ne: abi.COMPARE_LESS | abi.COMPARE_GREATER,
  lt: abi.COMPARE_LESS,
  le: abi.COMPARE_LESS | abi.COMPARE_EQUAL,
  gt: abi.COMPARE_GREATER,
  ge: abi.COMPARE_GREATER | abi.COMPARE_EQUAL,
};

/** The typed tree of a condition: its type is boolean. */
export function checkCondition(syntax: Syntax, lists: Lists): Node {
  const value = new Checker(lists).value(syntax);
  if (value.each || value.node.type === (TYPE_ARRAY | TYPE_BOOL)) {
    throw new ExpressionError('type-mismatch', syntax.span, 'this gives a truth value for each element, not one', {
      fix: 'wrap it in any(...) or all(...)',
    });
  }
  if (value.node.type !== TYPE_BOOL) throw notBoolean(value.node);
  return value.node;
}

/** The typed tree of a value: its type is string. */
export function checkText(syntax: Syntax, lists: Lists): Node {
  const value = new Checker(lists).value(syntax);
  if (value.each || value.node.type !== TYPE_STRING) {
    const fix =
      (value.node.type & TYPE_ARRAY) === 0 && value.node.type !== TYPE_MAP
        ? 'wrap it in to_string(...)'
        : 'take one element, [0]';
    throw new ExpressionError(
      'type-mismatch',
      syntax.span,
      `this is ${typeName(value.node.type)}, a string is needed`,
      { fix },
    );
  }
  return value.node;
}

function notBoolean(node: Node): ExpressionError {
  const array = (node.type & TYPE_ARRAY) !== 0 || node.type === TYPE_MAP;
  return new ExpressionError('type-mismatch', node.span, `this is ${typeName(node.type)}, a truth value is needed`, {
    fix: array ? 'compare its elements, as in any(...[*] eq "x")' : 'compare it, as in ... eq "x"',
  });
}

/** What the lists of policies turn into, by list and type of what is compared. */
const listTests = new WeakMap<readonly (string | number)[], Map<number, Test>>();

class Checker {
  private readonly lists: Lists;
  constructor(lists: Lists) {
    this.lists = lists;
  }

  value(syntax: Syntax): Value {
    const { span } = syntax;
    switch (syntax.kind) {
      case 'boolean':
        return { node: { kind: 'boolean', value: syntax.value, type: TYPE_BOOL, span }, each: false };
      case 'string':
        return { node: { kind: 'string', bytes: syntax.bytes, type: TYPE_STRING, span }, each: false };
      case 'word':
        return {
          node: { kind: 'integer', value: literals.integer(syntax.text, span), type: TYPE_INT, span },
          each: false,
        };
      case 'field':
        return { node: this.field(syntax.name, span), each: false };
      case 'index':
        return this.index(syntax);
      case 'call':
        return { node: this.call(syntax), each: false };
      case 'compare':
        return { node: this.compare(syntax), each: false };
      case 'not': {
        const of = this.truth(syntax.of);
        return { node: { kind: 'not', of, type: of.type, span }, each: false };
      }
      case 'logic': {
        const items = syntax.items.map((item) => this.truth(item));
        const { type } = items[0]!;
        const odd = items.find((item) => item.type !== type);
        if (odd !== undefined) {
          throw new ExpressionError(
            'type-mismatch',
            odd.span,
            `${syntax.operator} joins a truth value with one for each element`,
            { fix: 'wrap the latter in any(...) or all(...)' },
          );
        }
        return { node: { kind: 'logic', operator: syntax.operator, items, type, span }, each: false };
      }
    }
  }

  private truth(syntax: Syntax): Node {
    const { node, each } = this.value(syntax);
    if ((node.type & 7) !== TYPE_BOOL || each) throw notBoolean(node);
    return node;
  }

  private field(name: string, span: Span): Node {
    const field = fieldByName(name);
    if (field !== undefined) return { kind: 'field', field, type: field.type, span };
    const absent = absentField(name);
    if (absent !== undefined)
      throw new ExpressionError('field-not-available', span, `${name} does not exist here`, absent);
    if (functionByName(name) !== undefined) {
      throw new ExpressionError('unknown-field', span, `${name} is a function`, { fix: `write ${name}(...)` });
    }
    const near = nearest(name, fieldNames());
    throw new ExpressionError(
      'unknown-field',
      span,
      `there is no field ${name}`,
      near === undefined ? {} : { fix: `did you mean ${near}?` },
    );
  }

  private index(syntax: Syntax & { kind: 'index' }): Value {
    const { index, indexSpan, span } = syntax;
    const of = this.value(syntax.of);
    const { node } = of;
    if (node.type === TYPE_MAP && node.kind === 'field') {
      if (index.kind === 'key') {
        const name = literals.text(index.key);
        const headers = node.field.id === abi.FIELD_HEADERS || node.field.id === abi.FIELD_RESPONSE_HEADERS;
        if (headers && (name === undefined || !/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name))) {
          throw new ExpressionError('bad-key', indexSpan, `${name ?? 'this'} is not the name of a header`, {
            cause: 'names of headers are tokens in lower case here',
            ...(name !== undefined && /[A-Z]/.test(name) ? { fix: `write ["${name.toLowerCase()}"]` } : {}),
          });
        }
        const secret = isSecretEntry(node.field, name ?? '');
        return {
          node: { kind: 'entry', field: node.field, key: index.key, secret, type: TYPE_ARRAY | TYPE_STRING, span },
          each: false,
        };
      }
      const values = valuesOf(node.field);
      if (index.kind === 'each' && values !== undefined && !of.each) {
        // map[*][*] is the same as map.values[*]; the array stands for the elements of all entries.
        return { node: { kind: 'field', field: values, type: values.type, span }, each: true };
      }
      throw new ExpressionError('bad-index', indexSpan, 'a map is asked by its key', {
        fix: `write ${node.field.name}["key"]`,
      });
    }
    if (
      of.each &&
      index.kind === 'each' &&
      syntax.of.kind === 'index' &&
      node.kind === 'field' &&
      syntax.of.of.kind === 'field'
    ) {
      if (fieldByName(syntax.of.of.name)?.type === TYPE_MAP) return of;
    }
    if (of.each)
      throw new ExpressionError('bad-index', indexSpan, 'the elements of this array are not arrays', {
        fix: 'leave out the second index',
      });
    if ((node.type & TYPE_ARRAY) === 0) {
      throw new ExpressionError('bad-index', indexSpan, `this is ${typeName(node.type)}, which has no elements`, {
        fix: index.kind === 'number' ? 'substring(value, start, end) takes a part of a string' : 'leave out the index',
      });
    }
    if (index.kind === 'each') return { node, each: true };
    if (index.kind === 'key')
      throw new ExpressionError('bad-index', indexSpan, 'an array is asked by position', { fix: 'write [0] or [*]' });
    return { node: { kind: 'index', of: node, number: index.number, type: node.type & 7, span }, each: false };
  }

  private compare(syntax: Syntax & { kind: 'compare' }): Node {
    const { operator, operatorSpan, right, span } = syntax;
    const { node: of, each } = this.value(syntax.left);
    const type = each ? of.type & 7 : of.type;
    if (type === TYPE_MAP || (type & TYPE_ARRAY) !== 0) {
      throw new ExpressionError('type-mismatch', operatorSpan, `${operator} can not compare ${typeName(type)}`, {
        fix:
          type === TYPE_MAP
            ? 'ask for one entry: ...["key"][0], or any(...["key"][*] ...)'
            : 'compare one element, [0], or each: any(...[*] ...)',
      });
    }
    if (type === TYPE_BOOL) {
      throw new ExpressionError('type-mismatch', operatorSpan, 'a truth value is not compared', {
        fix: 'write it alone, or not before it',
      });
    }
    const test = this.test(operator, operatorSpan, type, right);
    return { kind: 'compare', test, of, each, type: each ? TYPE_ARRAY | TYPE_BOOL : TYPE_BOOL, span };
  }

  private test(operator: CompareOperator, operatorSpan: Span, type: number, right: Operand): Test {
    if (operator === 'in') return this.membership(type, right);
    if (right.kind === 'set' || right.kind === 'list')
      throw new ExpressionError('type-mismatch', right.span, `${operator} takes one literal`, { fix: 'use in' });
    const mask = ORDER[operator];
    if (mask !== undefined) {
      if (type === TYPE_INT)
        return { kind: 'order', mask, value: literals.integer(this.word(right, type).text, right.span) };
      if (type === TYPE_STRING) return { kind: 'order', mask, value: literals.bytes(right) };
      if (operator !== 'eq' && operator !== 'ne') {
        throw new ExpressionError('type-mismatch', operatorSpan, `${operator} does not compare IP addresses`, {
          fix: 'use eq, ne or in',
        });
      }
      return { kind: 'order', mask, value: literals.address(this.word(right, type)), address: true };
    }
    if (operator === 'bitwise_and') {
      if (type !== TYPE_INT)
        throw new ExpressionError('type-mismatch', operatorSpan, `& needs an integer, this is ${typeName(type)}`);
      return { kind: 'bits', value: literals.integer(this.word(right, type).text, right.span) };
    }
    if (type !== TYPE_STRING) {
      const fix = type === TYPE_ADDRESS ? 'use in {192.0.2.0/24}' : 'use eq, lt, gt or in';
      throw new ExpressionError(
        'type-mismatch',
        operatorSpan,
        `${operator} needs a string, this is ${typeName(type)}`,
        { fix },
      );
    }
    if (operator === 'contains') return { kind: 'contains', bytes: literals.bytes(right) };
    if (right.kind !== 'string') {
      throw new ExpressionError('type-mismatch', right.span, `${operator} takes a string`, {
        fix: `write "${right.text}"`,
      });
    }
    if (operator === 'matches') return { kind: 'matches', pattern: patternOf(right) };
    const strict = operator === 'strict wildcard';
    return { kind: 'wildcard', strict, pattern: literals.wildcard(right.bytes, strict, right.span) };
  }

  private word(literal: StringLiteral | WordLiteral, type: number): WordLiteral {
    if (literal.kind === 'word') return literal;
    throw new ExpressionError('type-mismatch', literal.span, `a string is compared with ${typeName(type)}`, {
      fix: 'leave out the quotes',
    });
  }

  private membership(type: number, right: Operand): Test {
    if (right.kind === 'list') return this.listed(type, right.name, right.span);
    const items = right.kind === 'set' ? right.items : [];
    if (type === TYPE_INT)
      return {
        kind: 'integers',
        ranges: literals.mergeRanges(items.map((item) => literals.integerRange(this.word(item, type)))),
      };
    if (type === TYPE_ADDRESS)
      return { kind: 'addresses', cidrs: items.flatMap((item) => literals.addressBlocks(this.word(item, type))) };
    return {
      kind: 'strings',
      items: items.map((item) => {
        const text = literals.text(literals.bytes(item));
        if (text === undefined) {
          throw new ExpressionError('bad-string', item.span, 'the strings of a set must be UTF-8', {
            fix: 'compare this one with eq',
          });
        }
        return text;
      }),
    };
  }

  private listed(type: number, name: string, span: Span): Test {
    const items = this.lists.get(name);
    if (items === undefined) {
      const near = nearest(name, this.lists.keys());
      const managed = name.startsWith('cf.');
      throw new ExpressionError('unknown-list', span, `there is no list ${name}`, {
        ...(managed ? { cause: 'managed lists are a service of Cloudflare' } : {}),
        fix: near === undefined ? 'define it under lists:' : `did you mean $${near}?`,
      });
    }
    // PERF: a list may have a million items, and hundreds of rules that ask for it.
    const known = listTests.get(items)?.get(type);
    if (known !== undefined) return known;
    const test = this.listTest(type, name, items, span);
    listTests.set(items, (listTests.get(items) ?? new Map<number, Test>()).set(type, test));
    return test;
  }

  private listTest(type: number, name: string, items: readonly (string | number)[], span: Span): Test {
    const wrong = (found: string): ExpressionError =>
      new ExpressionError('type-mismatch', span, `the list ${name} holds ${found}, ${typeName(type)} is compared`);
    if (items.some((item) => typeof item === 'number')) {
      if (type !== TYPE_INT) throw wrong('integers');
      return { kind: 'integers', ranges: literals.mergeRanges(items.map((item) => [BigInt(item), BigInt(item)])) };
    }
    const strings = items.map(String);
    if (type === TYPE_INT) throw wrong('no integers');
    if (type === TYPE_STRING) return { kind: 'strings', items: strings };
    for (const item of strings) {
      try {
        literals.addressBlocks({ kind: 'word', text: item, span });
      } catch {
        throw wrong('strings');
      }
    }
    return { kind: 'addresses', cidrs: strings };
  }

  private call(syntax: Syntax & { kind: 'call' }): Node {
    const signature = functionByName(syntax.name);
    if (signature === undefined) {
      const absent = absentFunction(syntax.name);
      if (absent !== undefined)
        throw new ExpressionError(
          'function-not-available',
          syntax.nameSpan,
          `${syntax.name}() does not exist here`,
          absent,
        );
      const near = nearest(syntax.name, functionNames());
      throw new ExpressionError(
        'unknown-function',
        syntax.nameSpan,
        `there is no function ${syntax.name}`,
        near === undefined ? {} : { fix: `did you mean ${near}?` },
      );
    }
    const count = syntax.args.length;
    if (count < signature.required || (count > signature.parameters.length && !signature.variadic)) {
      const names = signature.parameters
        .map((parameter, index) => (index < signature.required ? parameter.name : `[${parameter.name}]`))
        .join(', ');
      throw new ExpressionError(
        'bad-arguments',
        syntax.span,
        `${syntax.name}() takes other arguments than these ${count}`,
        {
          fix: `write ${syntax.name}(${names}${signature.variadic ? ', ...' : ''})`,
        },
      );
    }
    return checkCall(signature, syntax, (arg) => this.value(arg));
  }
}
