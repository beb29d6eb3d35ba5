/** Checks the arguments of function calls. Throws ExpressionError. */
import * as abi from '../../../assembly/abi.ts';
import * as literals from './literals.ts';
import { ExpressionError } from './syntax.ts';
import type { FunctionSignature, Parameter } from './functions.ts';
import type { StringLiteral, Syntax } from './syntax.ts';
import type { Node, Pattern } from './typed.ts';

const { TYPE_ADDRESS, TYPE_ARRAY, TYPE_BOOL, TYPE_INT, TYPE_MAP, TYPE_STRING } = abi;

type Call = Syntax & { kind: 'call' };

/** A value, and whether a `[*]` asks for what follows to be done for each of its elements. */
export interface Value {
  readonly node: Node;
  readonly each: boolean;
}

/** The typed tree of a call; `value` checks an argument. */
export function checkCall(signature: FunctionSignature, syntax: Call, value: (syntax: Syntax) => Value): Node {
  return new CallChecker(signature, syntax, value).node();
}

export function typeName(type: number): string {
  if (type === TYPE_MAP) return 'a map of arrays of strings';
  const names: Record<number, string> = {
    [TYPE_BOOL]: 'boolean',
    [TYPE_INT]: 'integer',
    [TYPE_STRING]: 'string',
    [TYPE_ADDRESS]: 'IP address',
  };
  const name = names[type & 7] ?? 'unknown';
  if ((type & TYPE_ARRAY) !== 0) return `an array of ${name === 'IP address' ? 'IP addresses' : `${name}s`}`;
  return /^[ai]/i.test(name) ? `an ${name}` : `a ${name}`;
}

export function patternOf(literal: StringLiteral): Pattern {
  if (literal.pattern !== null) return { ...literal.pattern, span: literal.span };
  // An ordinary string: offsets are right until the first escape, which is near enough to point at.
  const text = new TextDecoder().decode(literal.bytes);
  const last = literal.span.at + literal.span.length - 2;
  return {
    text,
    offsets: Array.from({ length: text.length }, (_, index) => Math.min(literal.span.at + 1 + index, last)),
    span: literal.span,
  };
}

/** Arguments of one call: computed ones go on the stack, literal ones become immediates. */
class CallChecker {
  private readonly signature: FunctionSignature;
  private readonly syntax: Call;
  private readonly value: (syntax: Syntax) => Value;
  private readonly stack: Node[] = [];
  private readonly integers: bigint[] = [];
  private readonly keys: (Uint8Array | bigint)[] = [];
  private pattern: Pattern | null = null;
  private first = 0;
  private second = 0;
  private each = false;
  private result: number;

  constructor(signature: FunctionSignature, syntax: Call, value: (syntax: Syntax) => Value) {
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
      throw new ExpressionError('bad-index', arg.span, '[*] can only be in the first argument of a function', {
        cause: 'as in Cloudflare: the function is called for each element of one array',
      });
    }
    if (
      each &&
      (this.signature.id === abi.FUNCTION_ANY ||
        this.signature.id === abi.FUNCTION_ALL ||
        this.signature.id === abi.FUNCTION_JOIN)
    ) {
      throw new ExpressionError('bad-index', arg.span, `${this.signature.name}() takes the array itself`, {
        fix: 'leave out [*]',
      });
    }
    const type = each ? node.type & 7 : node.type;
    if (!parameter.types!.includes(type)) {
      const wanted = parameter.types!.map(typeName).join(' or ');
      throw new ExpressionError(
        'type-mismatch',
        arg.span,
        `${parameter.name} of ${this.signature.name}() must be ${wanted}, this is ${typeName(type)}`,
        {
          ...((type & TYPE_ARRAY) !== 0 ? { fix: 'write [*] after it, to do it for each element' } : {}),
        },
      );
    }
    if (index === 0) {
      this.each = each;
      if (this.signature.result === 0) this.result = type;
    } else if (this.signature.result === 0 && type !== this.result) {
      throw new ExpressionError(
        'type-mismatch',
        arg.span,
        `${this.signature.name}() joins strings with strings, or arrays with arrays`,
      );
    }
    this.stack.push(node);
  }

  /** has_key(map, "key"): the entry is looked up, and whether it is there is the result. */
  private mapEntry(map: Syntax, key: Syntax): void {
    if (key.kind !== 'string')
      throw new ExpressionError('type-mismatch', key.span, 'the key must be a string in quotes');
    const { node } = this.value({
      kind: 'index',
      of: map,
      index: { kind: 'key', key: key.bytes },
      indexSpan: key.span,
      span: map.span,
    });
    this.stack.push(node);
  }

  private literal(parameter: Parameter, arg: Syntax): void {
    const { name } = this.signature;
    if (parameter.literal === 'integer') {
      if (arg.kind !== 'word')
        throw new ExpressionError('type-mismatch', arg.span, `${parameter.name} of ${name}() must be a number`);
      this.integers.push(literals.integer(arg.text, arg.span));
      return;
    }
    if (parameter.literal === 'key' && arg.kind === 'word') {
      const position = literals.integer(arg.text, arg.span);
      if (position < 0n || position > 0xffffffn)
        throw new ExpressionError('bad-argument', arg.span, 'a position counts from 0');
      this.keys.push(position);
      return;
    }
    if (arg.kind !== 'string')
      throw new ExpressionError('type-mismatch', arg.span, `${parameter.name} of ${name}() must be a string in quotes`);
    const push = (bytes: Uint8Array): number =>
      this.stack.push({ kind: 'string', bytes, type: TYPE_STRING, span: arg.span });
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
      if (this.flag(arg) !== 's')
        throw new ExpressionError('bad-argument', arg.span, 'the only flag of wildcard_replace() is "s"', {
          cause: 's matches with case',
        });
      this.first = 1;
      return;
    }
    if (id === abi.FUNCTION_URL_DECODE) {
      const options = literals.text(arg.bytes) ?? '?';
      if (!/^[ru]*$/.test(options))
        throw new ExpressionError('bad-argument', arg.span, 'the options of url_decode() are "r" and "u"', {
          cause: 'r decodes until nothing changes, u decodes %uXXXX',
        });
      this.first =
        (options.includes('r') ? abi.DECODE_RECURSIVE : 0) | (options.includes('u') ? abi.DECODE_UNICODE : 0);
      return;
    }
    if (id === abi.FUNCTION_SPLIT && arg.bytes.length === 0)
      throw new ExpressionError('bad-argument', arg.span, 'the separator of split() can not be empty');
    push(arg.bytes);
  }

  /** Flags of wildcard_replace(), wherever in the call we are. */
  private flag(arg: StringLiteral): string {
    const flags = this.syntax.args[3] ?? arg;
    return flags !== undefined && flags.kind === 'string' && this.syntax.args[3] !== undefined
      ? (literals.text(flags.bytes) ?? '?')
      : '';
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
        throw new ExpressionError(
          'bad-argument',
          syntax.args[arg]!.span,
          `${signature.parameters[arg]!.name} of ${signature.name}() must be ${low} to ${high}`,
        );
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
      throw new ExpressionError('bad-index', syntax.args[0]!.span, `${signature.name}() gives an array already`, {
        fix: 'take one element, [0], instead of [*]',
      });
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
    else if (character === '(' && (pattern[i + 1] !== '?' || /^\?(?:P?<[A-Za-z_])/.test(pattern.slice(i + 1))))
      groups++;
  }
  return groups;
}
