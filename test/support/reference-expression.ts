/**
 * A naive evaluator of the rules language over the syntax tree: no types, no bytecode, no engine. What the engine is held
 * against. Strings are JavaScript strings of one character a byte; a missing value is undefined; an address is a bigint.
 */
import { canonicalPath } from '../../src/compiler/path.ts';
import { parseAddress } from '../../src/compiler/lists.ts';
import type { Operand, StringLiteral, Syntax, WordLiteral } from '../../src/compiler/expression/syntax.ts';

export interface TestRequest {
  readonly method?: string;
  readonly url: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly peer?: string;
  readonly body?: string;
  readonly size?: number;
  readonly truncated?: boolean;
  readonly response?: {
    readonly status: number;
    readonly headers: readonly (readonly [name: string, value: string])[];
  };
  readonly now?: number;
}

interface Address {
  readonly address: bigint;
}
type Scalar = boolean | bigint | string | Address;
type Value = Scalar | Value[] | Map<string, string[]> | undefined;
export type Lists = ReadonlyMap<string, readonly (string | number)[]>;

/** Elements of an array to which what follows is applied one by one. */
class Each {
  readonly items: Scalar[];
  constructor(items: Scalar[]) {
    this.items = items;
  }
}

export const latin = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
export const utf8 = (text: string): string => latin(new TextEncoder().encode(text));

export function truthOf(syntax: Syntax, request: TestRequest, lists: Lists): boolean {
  return new Evaluator(request, lists).value(syntax) === true;
}
/** The string, or undefined when it is missing. */
export function textOf(syntax: Syntax, request: TestRequest, lists: Lists): string | undefined {
  return new Evaluator(request, lists).value(syntax) as string | undefined;
}

class Evaluator {
  private readonly fields: (name: string) => Value;
  private readonly lists: Lists;
  constructor(request: TestRequest, lists: Lists) {
    this.fields = fieldsOf(request);
    this.lists = lists;
  }

  value(syntax: Syntax): Value {
    const value = this.any(syntax);
    if (value instanceof Each) throw new Error('[*] where a value is needed');
    return value;
  }

  private any(syntax: Syntax): Value | Each {
    switch (syntax.kind) {
      case 'boolean':
        return syntax.value;
      case 'string':
        return latin(syntax.bytes);
      case 'word':
        return integer(syntax.text);
      case 'field':
        return this.fields(syntax.name);
      case 'index':
        return this.index(syntax);
      case 'call':
        return this.call(syntax);
      case 'compare':
        return this.compare(syntax);
      case 'not': {
        const of = this.value(syntax.of);
        return Array.isArray(of) ? of.map((item) => item !== true) : of !== true;
      }
      case 'logic': {
        const items = syntax.items.map((item) => this.value(item));
        const join = (values: Value[]): boolean => {
          const truths = values.map((value) => value === true);
          if (syntax.operator === 'and') return truths.every(Boolean);
          if (syntax.operator === 'or') return truths.some(Boolean);
          return truths.filter(Boolean).length % 2 === 1;
        };
        if (!items.some(Array.isArray)) return join(items);
        const arrays = items.map((item) => (Array.isArray(item) ? item : []));
        const length = Math.min(...arrays.map((array) => array.length));
        return Array.from({ length }, (_, i) => join(arrays.map((array) => array[i])));
      }
    }
  }

  private index(syntax: Syntax & { kind: 'index' }): Value | Each {
    const of = this.any(syntax.of);
    const { index } = syntax;
    if (of instanceof Each) return of; // map[*][*]
    if (of instanceof Map) {
      if (index.kind === 'each') return new Each([...of.values()].flat());
      return of.get(latin((index as { key: Uint8Array }).key));
    }
    if (index.kind === 'each') return new Each((of ?? []) as Scalar[]);
    return Array.isArray(of) ? of[(index as { number: number }).number] : undefined;
  }

  private compare(syntax: Syntax & { kind: 'compare' }): Value {
    const left = this.any(syntax.left);
    const test = (value: Value): boolean =>
      value === undefined ? syntax.operator === 'ne' : this.test(syntax.operator, value as Scalar, syntax.right);
    return left instanceof Each ? left.items.map(test) : test(left);
  }

  private test(operator: string, left: Scalar, right: Operand): boolean {
    if (operator === 'in') return this.member(left, right);
    const literal = right as StringLiteral | WordLiteral;
    switch (operator) {
      case 'contains':
        return (left as string).includes(text(literal));
      case 'matches':
        return regex(literal as StringLiteral).test(left as string);
      case 'wildcard':
      case 'strict wildcard':
        return wildcardRegex(text(literal), operator !== 'wildcard').test(left as string);
      case 'bitwise_and':
        return BigInt.asIntN(64, (left as bigint) & integer((literal as WordLiteral).text)) !== 0n;
    }
    let order: number;
    if (typeof left === 'bigint') order = sign(left, integer((literal as WordLiteral).text));
    else if (typeof left === 'string') order = left < text(literal) ? -1 : left > text(literal) ? 1 : 0;
    else order = sign((left as Address).address, address((literal as WordLiteral).text));
    return { eq: order === 0, ne: order !== 0, lt: order < 0, le: order <= 0, gt: order > 0, ge: order >= 0 }[
      operator
    ]!;
  }

  private member(left: Scalar, right: Operand): boolean {
    if (right.kind === 'list') {
      return this.lists.get(right.name)!.some((item) => {
        if (typeof left === 'bigint') return left === BigInt(item);
        if (typeof left === 'string') return left === utf8(String(item));
        return inBlock((left as Address).address, String(item));
      });
    }
    if (right.kind !== 'set') throw new Error('in needs a set or a list');
    return right.items.some((item) => {
      if (typeof left === 'string') return left === text(item);
      const word = (item as WordLiteral).text;
      const [first, last = first] = word.split('..') as [string, string?];
      if (typeof left === 'bigint') return left >= integer(first) && left <= integer(last!);
      if (word.includes('..'))
        return (left as Address).address >= address(first) && (left as Address).address <= address(last!);
      return inBlock((left as Address).address, word);
    });
  }

  private call(syntax: Syntax & { kind: 'call' }): Value {
    const [head, ...rest] = syntax.args;
    if (syntax.name === 'has_key') {
      return (this.value(head!) as Map<string, string[]>).has(this.value(rest[0]!) as string);
    }
    const first = this.any(head!);
    const others = rest.map((arg) => this.value(arg));
    const run = (value: Value): Value => apply(syntax.name, [value, ...others], syntax);
    if (!(first instanceof Each)) return run(first);
    if (this.sourceMissing(head!)) return undefined;
    return first.items.map(run).filter((value) => value !== undefined);
  }

  /** Whether the array under a `[*]` is missing: a function over it is then missing too, a comparison is of nothing. */
  private sourceMissing(syntax: Syntax): boolean {
    return syntax.kind === 'index' && this.any(syntax.of) === undefined;
  }
}

function sign(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function text(literal: StringLiteral | WordLiteral): string {
  if (literal.kind === 'string') return latin(literal.bytes);
  return literal.text.split(/[:.-]/).map((digits) => String.fromCharCode(Number.parseInt(digits, 16))).join(''); // prettier-ignore
}

function integer(word: string): bigint {
  const negative = word.startsWith('-');
  const digits = negative ? word.slice(1) : word;
  const value = /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits);
  return negative ? -value : value;
}

function address(word: string): bigint {
  let value = 0n;
  for (const byte of parseAddress(word)!) value = (value << 8n) | BigInt(byte);
  return value;
}

function inBlock(value: bigint, block: string): boolean {
  const [base, bits] = block.split('/') as [string, string?];
  const v6 = base.includes(':');
  const prefix = bits === undefined ? 128 : Number(bits) + (v6 ? 0 : 96);
  if (v6 && prefix < 96 && value >> 32n === 0xffffn) return false; // an IPv4 address is in no block of IPv6
  const shift = BigInt(128 - prefix);
  return value >> shift === address(base) >> shift;
}

function regex(literal: StringLiteral): RegExp {
  let pattern = utf8(literal.pattern?.text ?? new TextDecoder().decode(literal.bytes));
  let flags = '';
  const inline = /^\(\?([ims]+)\)/.exec(pattern);
  if (inline !== null) {
    flags = inline[1]!;
    pattern = pattern.slice(inline[0].length);
  }
  return new RegExp(pattern, flags);
}

function escapeRegex(literal: string): string {
  return Array.from(literal, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
}

function wildcardRegex(pattern: string, strict: boolean): RegExp {
  const parts = Array.from(pattern.matchAll(/\\(.)|(\*)|([^\\*]+)/gs), ([, escaped, star, plain]) =>
    star !== undefined ? '([^]*?)' : escapeRegex((escaped ?? plain)!),
  );
  return new RegExp(`^${parts.join('')}$`, strict ? '' : 'i');
}

function expand(template: string, groups: readonly (string | undefined)[]): string {
  return template.replace(/\$\{(\d+)\}|\$\$/g, (_, group?: string) =>
    group === undefined ? '$' : (groups[Number(group)] ?? ''),
  );
}

function apply(name: string, args: Value[], syntax: Syntax & { kind: 'call' }): Value {
  if (name === 'concat') {
    const present = args.filter((arg) => arg !== undefined);
    if (present.some(Array.isArray)) return present.flat() as Value;
    // All of them may be missing: what they would be is known from the syntax only, and is a string in the tests.
    return present.join('');
  }
  if (args.some((arg) => arg === undefined)) return undefined;
  const [source, second, third] = args as string[];
  const array = args[0] as Scalar[];
  switch (name) {
    case 'any':
      return array.some((item) => item === true);
    case 'all':
      return array.every((item) => item === true);
    case 'len':
      return BigInt(source!.length);
    case 'lower':
      return source!.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
    case 'upper':
      return source!.replace(/[a-z]/g, (letter) => letter.toUpperCase());
    case 'starts_with':
      return source!.startsWith(second!);
    case 'ends_with':
      return source!.endsWith(second!);
    case 'join':
      return array.join(second);
    case 'split': {
      const parts = source!.split(second!);
      const limit = Number(args[2]);
      return parts.length <= limit ? parts : [...parts.slice(0, limit - 1), parts.slice(limit - 1).join(second)];
    }
    case 'substring':
      return source!.slice(clamp(args[1] as bigint), args[2] === undefined ? undefined : clamp(args[2] as bigint));
    case 'to_string':
      return typeof args[0] === 'object' ? formatAddress((args[0] as Address).address) : String(args[0]);
    case 'remove_bytes':
      return Array.from(source!).filter((character) => !second!.includes(character)).join(''); // prettier-ignore
    case 'remove_query_args':
      return source!
        .split('&')
        .filter((pair) => !args.slice(1).includes(pair.split('=')[0]!))
        .join('&');
    case 'decode_base64': {
      const body = source!.replace(/=+$/, '');
      const padding = source!.length - body.length;
      if (!/^[A-Za-z0-9+/]*$/.test(body) || body.length % 4 === 1 || padding > 3) return undefined;
      return latin(Uint8Array.from(Buffer.from(body, 'base64')));
    }
    case 'url_decode': {
      let value = source!;
      const options = second ?? '';
      for (let round = 0; round < (options.includes('r') ? 11 : 1); round++) {
        const next = value.replace(/\+|%([0-9a-f]{2})|%u([0-9a-f]{4})/gi, (all, pair?: string, point?: string) => {
          if (all === '+') return ' ';
          if (pair !== undefined) return String.fromCharCode(Number.parseInt(pair, 16));
          const code = Number.parseInt(point!, 16);
          if (!options.includes('u') || (code >= 0xd800 && code < 0xe000)) return all;
          return utf8(String.fromCodePoint(code));
        });
        if (next === value) break;
        value = next;
      }
      return value;
    }
    case 'cidr':
    case 'cidr6': {
      const value = (args[0] as unknown as Address).address;
      const v4 = value >> 32n === 0xffffn;
      const bits = v4
        ? 96n + (name === 'cidr6' ? 32n : (args[1] as bigint))
        : ((name === 'cidr6' ? args[1] : args[2]) as bigint);
      return { address: (value >> (128n - bits)) << (128n - bits) };
    }
    case 'regex_replace':
      return source!.replace(regex(syntax.args[1] as StringLiteral), (...groups) => expand(third!, groups as string[]));
    case 'wildcard_replace': {
      const match = wildcardRegex(second!, args[3] === 's').exec(source!);
      return match === null ? source : expand(third!, match);
    }
    case 'has_value':
      return (args[0] as string[]).includes(second!);
    case 'lookup_json_string':
    case 'lookup_json_integer':
      return json(source!, args.slice(1) as (string | bigint)[], name === 'lookup_json_integer');
  }
  throw new Error(`no function ${name}`);
}

function clamp(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}

function json(document: string, keys: readonly (string | bigint)[], asInteger: boolean): Value {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(document, (c) => c.charCodeAt(0))), (_, item, context?: { source?: string }) =>
      typeof item === 'number' ? { number: context?.source ?? String(item) } : (item as unknown)); // prettier-ignore
  } catch {
    return undefined;
  }
  for (const key of keys) {
    if (typeof key === 'bigint') value = Array.isArray(value) ? (value as unknown[])[Number(key)] : undefined;
    else if (value === null || typeof value !== 'object' || Array.isArray(value) || !Object.hasOwn(value, key))
      return undefined;
    else value = (value as Record<string, unknown>)[key];
  }
  if (!asInteger) return typeof value === 'string' ? utf8(value) : undefined;
  const number = (value as { number?: string } | null)?.number;
  if (number === undefined || !/^-?\d+$/.test(number)) return undefined;
  const parsed = BigInt(number);
  return parsed === BigInt.asIntN(64, parsed) ? parsed : undefined;
}

function formatAddress(value: bigint): string {
  if (value >> 32n === 0xffffn) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - i * 16)) & 0xffffn).toString(16));
  let best = '';
  for (let from = 0; from < 8; from++) {
    for (let to = from + 2; to <= 8; to++) {
      if (
        groups.slice(from, to).every((group) => group === '0') &&
        to - from > best.split(' ').length - (best === '' ? 1 : 0)
      ) {
        best = groups.slice(from, to).join(' ');
        groups.toString = () => `${groups.slice(0, from).join(':')}::${groups.slice(to).join(':')}`;
      }
    }
  }
  return best === '' ? groups.join(':') : String(groups);
}

/** Fields by name. */
function fieldsOf(request: TestRequest): (name: string) => Value {
  const url = utf8(request.url);
  const [, scheme, authority, rawPath = '', tail = ''] = /^([a-z]+):\/\/([^/?#]*)([^?#]*)([^#]*)/.exec(url)!;
  const query = tail.slice(1);
  const unencoded = /^[a-z]+:\/\/[^/?#]*([^?#]*)/.exec(request.url)![1]!;
  const path = utf8(canonicalPath(unencoded) ?? unencoded);
  const host = authority!.replace(/:\d+$/, '').toLowerCase().replace(/\.$/, '');
  const headers = (request.headers ?? []).map(([name, value]) => [name, utf8(value)] as const);
  const all: (readonly [string, string])[] = headers.some(([name]) => name === 'host')
    ? [...headers]
    : [['host', authority!], ...headers];
  const header = (name: string): string => all.find(([key]) => key === name)?.[1] ?? '';
  const peer = /^\[?([0-9a-fA-F:.]+?)\]?(?::\d+)?$/.exec(request.peer ?? '192.0.2.1:5000')?.[1];
  const body = utf8(request.body ?? '');
  const form = /^application\/x-www-form-urlencoded(?:$|[; \t])/i.test(header('content-type')) ? pairs(body) : [];
  const response = request.response?.headers.map(([name, value]) => [name, utf8(value)] as const);
  const cookies = header('cookie')
    .split(';')
    .map((pair) => pair.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=');
      const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
      const trim = (part: string): string => part.replace(/^[ \t]+|[ \t]+$/g, '');
      return [
        trim(name).replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
        trim(value),
      ] as const;
    });
  const values: Record<string, () => Value> = {
    'http.host': () => host,
    'http.cookie': () => header('cookie'),
    'http.referer': () => header('referer'),
    'http.user_agent': () => header('user-agent'),
    'http.x_forwarded_for': () => header('x-forwarded-for'),
    'http.request.method': () => request.method ?? 'GET',
    'http.request.full_uri': () => `${scheme}://${authority!.toLowerCase()}${path}${tail}`,
    'http.request.uri': () => `${path}${tail}`,
    'http.request.uri.path': () => path,
    'http.request.uri.path.extension': () => /[^/]\.([^./]*)$/.exec(path)?.[1]?.toLowerCase() ?? '',
    'http.request.uri.query': () => query,
    'http.request.uri.args': () => grouped(pairs(query)),
    'http.request.uri.args.names': () => pairs(query).map(([name]) => name),
    'http.request.uri.args.values': () => pairs(query).map(([, value]) => value),
    'http.request.headers': () => grouped(all),
    'http.request.headers.names': () => all.map(([name]) => name),
    'http.request.headers.values': () => all.map(([, value]) => value),
    'http.request.headers.truncated': () => false,
    'http.request.cookies': () => grouped(cookies),
    'http.request.accepted_languages': () => languages(header('accept-language')),
    'http.request.timestamp.sec': () => BigInt(request.now ?? 1_700_000_000),
    'raw.http.request.full_uri': () => `${scheme}://${authority}${rawPath}${tail}`,
    'raw.http.request.uri': () => `${rawPath}${tail}`,
    'raw.http.request.uri.path': () => rawPath,
    'raw.http.request.uri.query': () => query,
    ssl: () => scheme === 'https',
    'ip.src': () => (peer === undefined ? undefined : { address: address(peer) }),
    'agent.bot': () => false,
    'agent.identity': () => 'unknown',
    'agent.verified': () => false,
    'http.request.body.raw': () => body,
    'http.request.body.size': () => BigInt(request.size ?? body.length),
    'http.request.body.truncated': () => request.truncated ?? false,
    'http.request.body.form': () => grouped(form),
    'http.request.body.form.names': () => form.map(([name]) => name),
    'http.request.body.form.values': () => form.map(([, value]) => value),
    'http.response.code': () => BigInt(request.response!.status),
    'http.response.headers': () => grouped(response!),
    'http.response.headers.names': () => response!.map(([name]) => name),
    'http.response.headers.values': () => response!.map(([, value]) => value),
    'http.response.content_type.media_type': () =>
      response!
        .find(([name]) => name === 'content-type')?.[1]
        .split(';')[0]!
        .trim()
        .toLowerCase(),
  };
  return (name) => values[name]?.();
}

function pairs(text: string): [string, string][] {
  return text
    .split('&')
    .filter((piece) => piece !== '')
    .map((piece) => {
      const equals = piece.indexOf('=');
      return equals < 0 ? [piece, ''] : [piece.slice(0, equals), piece.slice(equals + 1)];
    });
}

function grouped(entries: readonly (readonly [string, string])[]): Map<string, string[]> {
  const map = new Map<string, string[]>();
  for (const [name, value] of entries) map.set(name, [...(map.get(name) ?? []), value]);
  return map;
}

function languages(header: string): string[] {
  return header
    .split(',')
    .map((item) => {
      const [tag = '', ...parameters] = item.split(';').map((part) => part.trim());
      const weight = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2);
      return { tag, weight: weight === undefined || !weight.startsWith('0') ? 1 : Number(weight) };
    })
    .filter(({ tag }) => tag !== '' && tag !== '*')
    .sort((a, b) => b.weight - a.weight)
    .map(({ tag }) => tag);
}
