/** Resolves names and checks types: syntax tree in, typed tree out. Throws ExpressionError at the first fault. */
import * as abi from '../../../assembly/abi.ts';
import { absentField, fieldByName, fieldNames, isSecretEntry, nearest, valuesOf } from './fields.ts';
import { absentFunction, functionByName, functionNames } from './functions.ts';
import * as literals from './literals.ts';
import { ExpressionError } from './syntax.ts';
import type { FunctionSignature, Parameter } from './functions.ts';
import type { CompareOperator, Operand, Span, StringLiteral, Syntax, WordLiteral } from './syntax.ts';
import type { Node, Pattern, Test } from './typed.ts';

const { TYPE_ADDRESS, TYPE_ARRAY, TYPE_BOOL, TYPE_INT, TYPE_MAP, TYPE_STRING } = abi;

/** A named list as the policy gives it. */
export type Lists = ReadonlyMap<string, readonly (string | number)[]>;

/** A value, and whether a `[*]` asks for what follows to be done for each of its elements. */
interface Value {
  readonly node: Node;
  readonly each: boolean;
}

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
    throw new ExpressionError('type-mismatch', syntax.span, 'this gives a truth value for each element, not one', { fix: 'wrap it in any(...) or all(...)' });
  }
  if (value.node.type !== TYPE_BOOL) throw notBoolean(value.node);
  return value.node;
}

/** The typed tree of a value: its type is string. */
export function checkText(syntax: Syntax, lists: Lists): Node {
  const value = new Checker(lists).value(syntax);
  if (value.each || value.node.type !== TYPE_STRING) {
    const fix = (value.node.type & TYPE_ARRAY) === 0 && value.node.type !== TYPE_MAP ? 'wrap it in to_string(...)' : 'take one element, [0]';
    throw new ExpressionError('type-mismatch', syntax.span, `this is ${typeName(value.node.type)}, a string is needed`, { fix });
  }
  return value.node;
}

export function typeName(type: number): string {
  if (type === TYPE_MAP) return 'a map of arrays of strings';
  const names: Record<number, string> = { [TYPE_BOOL]: 'boolean', [TYPE_INT]: 'integer', [TYPE_STRING]: 'string', [TYPE_ADDRESS]: 'IP address' };
  const name = names[type & 7] ?? 'unknown';
  if ((type & TYPE_ARRAY) !== 0) return `an array of ${name === 'IP address' ? 'IP addresses' : `${name}s`}`;
  return /^[ai]/i.test(name) ? `an ${name}` : `a ${name}`;
}

function notBoolean(node: Node): ExpressionError {
  const array = (node.type & TYPE_ARRAY) !== 0 || node.type === TYPE_MAP;
  return new ExpressionError('type-mismatch', node.span, `this is ${typeName(node.type)}, a truth value is needed`, {
    fix: array ? 'compare its elements, as in any(...[*] eq "x")' : 'compare it, as in ... eq "x"',
  });
}

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
        return { node: { kind: 'integer', value: literals.integer(syntax.text, span), type: TYPE_INT, span }, each: false };
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
          throw new ExpressionError('type-mismatch', odd.span, `${syntax.operator} joins a truth value with one for each element`, { fix: 'wrap the latter in any(...) or all(...)' });
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
    if (absent !== undefined) throw new ExpressionError('field-not-available', span, `${name} does not exist here`, absent);
    if (functionByName(name) !== undefined) {
      throw new ExpressionError('unknown-field', span, `${name} is a function`, { fix: `write ${name}(...)` });
    }
    const near = nearest(name, fieldNames());
    throw new ExpressionError('unknown-field', span, `there is no field ${name}`, near === undefined ? {} : { fix: `did you mean ${near}?` });
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
        return { node: { kind: 'entry', field: node.field, key: index.key, secret, type: TYPE_ARRAY | TYPE_STRING, span }, each: false };
      }
      const values = valuesOf(node.field);
      if (index.kind === 'each' && values !== undefined && !of.each) {
        // map[*][*] is the same as map.values[*]; the array stands for the elements of all entries.
        return { node: { kind: 'field', field: values, type: values.type, span }, each: true };
      }
      throw new ExpressionError('bad-index', indexSpan, 'a map is asked by its key', { fix: `write ${node.field.name}["key"]` });
    }
    if (of.each && index.kind === 'each' && syntax.of.kind === 'index' && node.kind === 'field' && syntax.of.of.kind === 'field') {
      if (fieldByName(syntax.of.of.name)?.type === TYPE_MAP) return of;
    }
    if (of.each) throw new ExpressionError('bad-index', indexSpan, 'the elements of this array are not arrays', { fix: 'leave out the second index' });
    if ((node.type & TYPE_ARRAY) === 0) {
      throw new ExpressionError('bad-index', indexSpan, `this is ${typeName(node.type)}, which has no elements`, {
        fix: index.kind === 'number' ? 'substring(value, start, end) takes a part of a string' : 'leave out the index',
      });
    }
    if (index.kind === 'each') return { node, each: true };
    if (index.kind === 'key') throw new ExpressionError('bad-index', indexSpan, 'an array is asked by position', { fix: 'write [0] or [*]' });
    return { node: { kind: 'index', of: node, number: index.number, type: node.type & 7, span }, each: false };
  }

  private compare(syntax: Syntax & { kind: 'compare' }): Node {
    const { operator, operatorSpan, right, span } = syntax;
    const { node: of, each } = this.value(syntax.left);
    const type = each ? of.type & 7 : of.type;
    if (type === TYPE_MAP || (type & TYPE_ARRAY) !== 0) {
      throw new ExpressionError('type-mismatch', operatorSpan, `${operator} can not compare ${typeName(type)}`, {
        fix: type === TYPE_MAP ? 'ask for one entry: ...["key"][0], or any(...["key"][*] ...)' : 'compare one element, [0], or each: any(...[*] ...)',
      });
    }
    if (type === TYPE_BOOL) {
      throw new ExpressionError('type-mismatch', operatorSpan, 'a truth value is not compared', { fix: 'write it alone, or not before it' });
    }
    const test = this.test(operator, operatorSpan, type, right);
    return { kind: 'compare', test, of, each, type: each ? TYPE_ARRAY | TYPE_BOOL : TYPE_BOOL, span };
  }

  private test(operator: CompareOperator, operatorSpan: Span, type: number, right: Operand): Test {
    if (operator === 'in') return this.membership(type, right);
    if (right.kind === 'set' || right.kind === 'list') throw new ExpressionError('type-mismatch', right.span, `${operator} takes one literal`, { fix: 'use in' });
    const mask = ORDER[operator];
    if (mask !== undefined) {
      if (type === TYPE_INT) return { kind: 'order', mask, value: literals.integer(this.word(right, type).text, right.span) };
      if (type === TYPE_STRING) return { kind: 'order', mask, value: literals.bytes(right) };
      if (operator !== 'eq' && operator !== 'ne') {
        throw new ExpressionError('type-mismatch', operatorSpan, `${operator} does not compare IP addresses`, { fix: 'use eq, ne or in' });
      }
      return { kind: 'order', mask, value: literals.address(this.word(right, type)), address: true };
    }
    if (operator === 'bitwise_and') {
      if (type !== TYPE_INT) throw new ExpressionError('type-mismatch', operatorSpan, `& needs an integer, this is ${typeName(type)}`);
      return { kind: 'bits', value: literals.integer(this.word(right, type).text, right.span) };
    }
    if (type !== TYPE_STRING) {
      const fix = type === TYPE_ADDRESS ? 'use in {192.0.2.0/24}' : 'use eq, lt, gt or in';
      throw new ExpressionError('type-mismatch', operatorSpan, `${operator} needs a string, this is ${typeName(type)}`, { fix });
    }
    if (operator === 'contains') return { kind: 'contains', bytes: literals.bytes(right) };
    if (right.kind !== 'string') {
      throw new ExpressionError('type-mismatch', right.span, `${operator} takes a string`, { fix: `write "${right.text}"` });
    }
    if (operator === 'matches') return { kind: 'matches', pattern: patternOf(right) };
    const strict = operator === 'strict wildcard';
    return { kind: 'wildcard', strict, pattern: literals.wildcard(right.bytes, strict, right.span) };
  }

  private word(literal: StringLiteral | WordLiteral, type: number): WordLiteral {
    if (literal.kind === 'word') return literal;
    throw new ExpressionError('type-mismatch', literal.span, `a string is compared with ${typeName(type)}`, { fix: 'leave out the quotes' });
  }

  private membership(type: number, right: Operand): Test {
    if (right.kind === 'list') return this.listed(type, right.name, right.span);
    const items = right.kind === 'set' ? right.items : [];
    if (type === TYPE_INT) return { kind: 'integers', ranges: literals.mergeRanges(items.map((item) => literals.integerRange(this.word(item, type)))) };
    if (type === TYPE_ADDRESS) return { kind: 'addresses', cidrs: items.flatMap((item) => literals.addressBlocks(this.word(item, type))) };
    return {
      kind: 'strings',
      items: items.map((item) => {
        const text = literals.text(literals.bytes(item));
        if (text === undefined) {
          throw new ExpressionError('bad-string', item.span, 'the strings of a set must be UTF-8', { fix: 'compare this one with eq' });
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
      if (absent !== undefined) throw new ExpressionError('function-not-available', syntax.nameSpan, `${syntax.name}() does not exist here`, absent);
      const near = nearest(syntax.name, functionNames());
      throw new ExpressionError('unknown-function', syntax.nameSpan, `there is no function ${syntax.name}`, near === undefined ? {} : { fix: `did you mean ${near}?` });
    }
    const count = syntax.args.length;
    if (count < signature.required || (count > signature.parameters.length && !signature.variadic)) {
      const names = signature.parameters.map((parameter, index) => (index < signature.required ? parameter.name : `[${parameter.name}]`)).join(', ');
      throw new ExpressionError('bad-arguments', syntax.span, `${syntax.name}() takes other arguments than these ${count}`, {
        fix: `write ${syntax.name}(${names}${signature.variadic ? ', ...' : ''})`,
      });
    }
    return new CallChecker(signature, syntax, (arg) => this.value(arg)).node();
  }
}

function patternOf(literal: StringLiteral): Pattern {
  if (literal.pattern !== null) return { ...literal.pattern, span: literal.span };
  // An ordinary string: offsets are right until the first escape, which is near enough to point at.
  const text = new TextDecoder().decode(literal.bytes);
  const last = literal.span.at + literal.span.length - 2;
  return { text, offsets: Array.from({ length: text.length }, (_, index) => Math.min(literal.span.at + 1 + index, last)), span: literal.span };
}

/** Arguments of one call: computed ones go on the stack, literal ones become immediates. */
class CallChecker {
  private readonly signature: FunctionSignature;
  private readonly syntax: Syntax & { kind: 'call' };
  private readonly value: (syntax: Syntax) => Value;
  private readonly stack: Node[] = [];
  private readonly integers: bigint[] = [];
  private readonly keys: (Uint8Array | bigint)[] = [];
  private pattern: Pattern | null = null;
  private first = 0;
  private second = 0;
  private each = false;
  private result: number;

  constructor(signature: FunctionSignature, syntax: Syntax & { kind: 'call' }, value: (syntax: Syntax) => Value) {
    this.signature = signature;
    this.syntax = syntax;
    this.value = value;
    this.result = signature.result;
  }

  node(): Node {
    const { signature, syntax } = this;
    for (const [index, arg] of syntax.args.entries()) {
      const parameter = signature.parameters[Math.min(index, signature.parameters.length - 1)]!;
      if (parameter.literal !== undefined) this.literal(parameter, arg);
      else if (parameter.map === true) this.mapEntry(arg, syntax.args[1]!);
      else this.computed(parameter, arg, index);
      if (parameter.map === true) break;
    }
    this.immediates();
    return {
      kind: 'call',
      signature,
      args: this.stack,
      first: this.first,
      second: this.second,
      pattern: this.pattern,
      keys: this.keys.length > 0 ? literals.jsonKeys(this.keys) : null,
      each: this.each,
      type: this.each ? TYPE_ARRAY | this.result : this.result,
      span: syntax.span,
    };
  }

  private computed(parameter: Parameter, arg: Syntax, index: number): void {
    const { node, each } = this.value(arg);
    if (each && index > 0) {
      throw new ExpressionError('bad-index', arg.span, '[*] can only be in the first argument of a function', { cause: 'as in Cloudflare: the function is called for each element of one array' });
    }
    if (each && (this.signature.id === abi.FUNCTION_ANY || this.signature.id === abi.FUNCTION_ALL || this.signature.id === abi.FUNCTION_JOIN)) {
      throw new ExpressionError('bad-index', arg.span, `${this.signature.name}() takes the array itself`, { fix: 'leave out [*]' });
    }
    const type = each ? node.type & 7 : node.type;
    if (!parameter.types!.includes(type)) {
      const wanted = parameter.types!.map(typeName).join(' or ');
      throw new ExpressionError('type-mismatch', arg.span, `${parameter.name} of ${this.signature.name}() must be ${wanted}, this is ${typeName(type)}`, {
        ...((type & TYPE_ARRAY) !== 0 ? { fix: 'write [*] after it, to do it for each element' } : {}),
      });
    }
    if (index === 0) {
      this.each = each;
      if (this.signature.result === 0) this.result = type;
    } else if (this.signature.result === 0 && type !== this.result) {
      throw new ExpressionError('type-mismatch', arg.span, `${this.signature.name}() joins strings with strings, or arrays with arrays`);
    }
    this.stack.push(node);
  }

  /** has_key(map, "key"): the entry is looked up, and whether it is there is the result. */
  private mapEntry(map: Syntax, key: Syntax): void {
    if (key.kind !== 'string') throw new ExpressionError('type-mismatch', key.span, 'the key must be a string in quotes');
    const { node } = this.value({ kind: 'index', of: map, index: { kind: 'key', key: key.bytes }, indexSpan: key.span, span: map.span });
    this.stack.push(node);
  }

  private literal(parameter: Parameter, arg: Syntax): void {
    const { name } = this.signature;
    if (parameter.literal === 'integer') {
      if (arg.kind !== 'word') throw new ExpressionError('type-mismatch', arg.span, `${parameter.name} of ${name}() must be a number`);
      this.integers.push(literals.integer(arg.text, arg.span));
      return;
    }
    if (parameter.literal === 'key' && arg.kind === 'word') {
      const position = literals.integer(arg.text, arg.span);
      if (position < 0n || position > 0xffffffn) throw new ExpressionError('bad-argument', arg.span, 'a position counts from 0');
      this.keys.push(position);
      return;
    }
    if (arg.kind !== 'string') throw new ExpressionError('type-mismatch', arg.span, `${parameter.name} of ${name}() must be a string in quotes`);
    const push = (bytes: Uint8Array): number => this.stack.push({ kind: 'string', bytes, type: TYPE_STRING, span: arg.span });
    switch (parameter.literal) {
      case 'key':
        this.keys.push(arg.bytes);
        return;
      case 'pattern':
        this.pattern = patternOf(arg);
        return;
      case 'template':
        push(literals.template(arg.bytes, this.groups(), arg.span));
        return;
      case 'wildcard':
        push(literals.wildcard(arg.bytes, this.flag(arg) === 's', arg.span));
        return;
      default:
        this.text(arg, push);
    }
  }

  private text(arg: StringLiteral, push: (bytes: Uint8Array) => void): void {
    const { id } = this.signature;
    if (id === abi.FUNCTION_WILDCARD_REPLACE) {
      if (this.flag(arg) !== 's') throw new ExpressionError('bad-argument', arg.span, 'the only flag of wildcard_replace() is "s"', { cause: 's matches with case' });
      this.first = 1;
      return;
    }
    if (id === abi.FUNCTION_URL_DECODE) {
      const options = literals.text(arg.bytes) ?? '?';
      if (!/^[ru]*$/.test(options)) throw new ExpressionError('bad-argument', arg.span, 'the options of url_decode() are "r" and "u"', { cause: 'r decodes until nothing changes, u decodes %uXXXX' });
      this.first = (options.includes('r') ? abi.DECODE_RECURSIVE : 0) | (options.includes('u') ? abi.DECODE_UNICODE : 0);
      return;
    }
    if (id === abi.FUNCTION_SPLIT && arg.bytes.length === 0) throw new ExpressionError('bad-argument', arg.span, 'the separator of split() can not be empty');
    push(arg.bytes);
  }

  /** Flags of wildcard_replace(), wherever in the call we are. */
  private flag(arg: StringLiteral): string {
    const flags = this.syntax.args[3] ?? arg;
    return flags !== undefined && flags.kind === 'string' && this.syntax.args[3] !== undefined ? (literals.text(flags.bytes) ?? '?') : '';
  }

  /** How many groups a replacement may refer to. */
  private groups(): number {
    if (this.pattern !== null) return countGroups(this.pattern.text);
    const wildcard = this.syntax.args[1];
    if (wildcard?.kind !== 'string') return 0;
    let stars = 0;
    for (let i = 0; i < wildcard.bytes.length; i++) {
      if (wildcard.bytes[i] === 0x5c) i++;
      else if (wildcard.bytes[i] === 0x2a) stars++;
    }
    return stars;
  }

  private immediates(): void {
    const { signature, integers, syntax } = this;
    const within = (index: number, low: bigint, high: bigint, arg: number): number => {
      const value = integers[index]!;
      if (value < low || value > high) {
        throw new ExpressionError('bad-argument', syntax.args[arg]!.span, `${signature.parameters[arg]!.name} of ${signature.name}() must be ${low} to ${high}`);
      }
      return Number(value);
    };
    if (signature.name === 'cidr') {
      this.first = within(0, 1n, 32n, 1);
      this.second = within(1, 1n, 128n, 2);
    } else if (signature.name === 'cidr6') {
      this.first = 32;
      this.second = within(0, 1n, 128n, 1);
    } else if (signature.id === abi.FUNCTION_SPLIT) {
      this.first = within(0, 1n, BigInt(abi.MAX_SPLIT), 2);
    } else if (signature.id === abi.FUNCTION_TO_STRING || signature.id === abi.FUNCTION_CONCAT) {
      // The engine keeps no types at run time, so these are told what they are given.
      this.first = this.each ? this.stack[0]!.type & 7 : this.stack[0]!.type;
    }
    if (this.each && (this.result & TYPE_ARRAY) !== 0) {
      throw new ExpressionError('bad-index', syntax.args[0]!.span, `${signature.name}() gives an array already`, { fix: 'take one element, [0], instead of [*]' });
    }
  }
}

/** Capturing groups of a pattern. */
function countGroups(pattern: string): number {
  let groups = 0;
  let inClass = false;
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i];
    if (character === '\\') i++;
    else if (inClass) inClass = character !== ']';
    else if (character === '[') inClass = true;
    else if (character === '(' && (pattern[i + 1] !== '?' || /^\?(?:P?<[A-Za-z_])/.test(pattern.slice(i + 1)))) groups++;
  }
  return groups;
}
