/** Random well-typed expressions of the rules language, and requests that they may match. */
import type { TestRequest } from './reference-expression.ts';
import type { Random } from '../fuzz/random.ts';

// Few words, so that what is looked for is often there.
const WORDS = ['a', 'b', 'ab', 'ba', 'aab', 'A', 'aB', '', 'a=b', '/', '/a', '.', 'é', '%41', '+', 'a,b', 'Zm9v', '10', '-7', '{"a":1}', '{"b":["a",{"a":"b"}]}', 'h']; // prettier-ignore
const KEYS = ['a', 'b', 'ab', 'x'];
const HEADERS = ['x-a', 'x-b', 'user-agent', 'referer', 'cookie', 'accept-language', 'content-type', 'x-forwarded-for'];
const NUMBERS = [
  '0',
  '1',
  '2',
  '3',
  '-1',
  '0x10',
  '010',
  '500',
  '1700000000',
  '9223372036854775807',
  '-9223372036854775808',
];
const ADDRESSES = ['192.0.2.1', '192.0.2.77', '10.0.0.1', '2001:db8::1', '2001:db8:0:1::', '::ffff:192.0.2.1', '::'];
const BLOCKS = [
  '192.0.2.0/24',
  '10.0.0.0/8',
  '0.0.0.0/0',
  '2001:db8::/32',
  '::/0',
  '192.0.2.1',
  '192.0.2.0..192.0.2.9',
  '2001:db8::..2001:db8::ff',
];
const REGEXES = ['a', '^a', 'b$', '^$', 'a|b', '(a|b)+', '[^a]', 'a.b', '(?i)AB', 'a{2,3}', '^(a*)(b*)$', '(a)?b', 'é'];
const WILDCARDS = ['*', 'a', '*a', 'a*', '*a*', 'a*b', '*a*b*', 'A*', '/*', '', '*.*', '*aab*ab'];

export const LISTS = new Map<string, (string | number)[]>([
  ['words', WORDS.filter((word) => word !== '')],
  ['nets', ['192.0.2.0/24', '2001:db8::/32']],
  ['numbers', [0, 1, 500]],
]);

const STRING_FIELDS = ['http.host', 'http.cookie', 'http.referer', 'http.user_agent', 'http.x_forwarded_for', 'http.request.method', 'http.request.full_uri', 'http.request.uri', 'http.request.uri.path', 'http.request.uri.path.extension', 'http.request.uri.query', 'raw.http.request.full_uri', 'raw.http.request.uri', 'raw.http.request.uri.path', 'raw.http.request.uri.query']; // prettier-ignore
const ARRAY_FIELDS = ['http.request.uri.args.names', 'http.request.uri.args.values', 'http.request.headers.names', 'http.request.headers.values', 'http.request.accepted_languages']; // prettier-ignore
const MAPS = ['http.request.uri.args', 'http.request.headers', 'http.request.cookies'];
/** Fields of the later stages; an expression uses those of one stage at most. */
const LATE = {
  body: { strings: ['http.request.body.raw'], integers: ['http.request.body.size'], booleans: ['http.request.body.truncated'], arrays: ['http.request.body.form.names', 'http.request.body.form.values'], maps: ['http.request.body.form'] }, // prettier-ignore
  response: { strings: ['http.response.content_type.media_type'], integers: ['http.response.code'], booleans: [], arrays: ['http.response.headers.names', 'http.response.headers.values'], maps: ['http.response.headers'] }, // prettier-ignore
  head: { strings: [], integers: [], booleans: [], arrays: [], maps: [] },
};

export class ExpressionMaker {
  private readonly r: Random;
  private readonly late: (typeof LATE)[keyof typeof LATE];

  constructor(r: Random, stage: keyof typeof LATE = r.pick(['head', 'head', 'body', 'response'])) {
    this.r = r;
    this.late = LATE[stage];
  }

  /** A condition; `depth` bounds its nesting. */
  condition(depth: number): string {
    const { r } = this;
    const less = depth - 1;
    switch (depth <= 0 ? r.below(4) : r.below(10)) {
      case 0:
        return r.pick(['ssl', 'true', 'false', 'http.request.headers.truncated', 'agent.bot', ...this.late.booleans]);
      case 1:
      case 2:
        return `${this.text(less)} ${this.stringTest()}`;
      case 3:
        return `${this.integer(less)} ${this.integerTest()}`;
      case 4:
        return `${this.address(less)} ${this.addressTest()}`;
      case 5:
        return `${r.pick(['not ', '!'])}${this.atom(less)}`;
      case 6:
      case 7: {
        const operator = r.pick(['and', 'or', 'xor', '&&', '||', '^^']);
        return Array.from({ length: 2 + r.below(3) }, () => this.atom(less)).join(` ${operator} `);
      }
      case 8:
        return `${r.pick(['any', 'all'])}(${this.truths(less)})`;
      default:
        return r.pick([
          () => `${r.pick(['starts_with', 'ends_with'])}(${this.text(less)}, ${this.text(less)})`,
          () => `has_key(${this.map()}, ${quote(r.pick(KEYS))})`,
          () => `has_value(${this.array(less)}, ${this.text(less)})`,
        ])();
    }
  }

  /** A condition that binds closest. */
  private atom(depth: number): string {
    return this.r.below(3) === 0 && depth > 0
      ? `(${this.condition(depth)} ${this.r.pick(['and', 'or', 'xor'])} ${this.condition(depth)})`
      : `(${this.condition(depth)})`;
  }

  private truths(depth: number): string {
    const { r } = this;
    const one = (): string =>
      r.pick([
        () => `${this.each(depth)} ${this.stringTest()}`,
        () => `len(${this.each(depth)})[*] ${this.integerTest()}`,
        () =>
          `${r.pick(['lower', 'upper', 'url_decode', 'decode_base64'])}(${this.each(depth)})[*] ${this.stringTest()}`,
        () => `not ${this.each(depth)} ${this.stringTest()}`,
      ])();
    if (r.below(4) === 0)
      return `${r.pick(['starts_with', 'ends_with'])}(${this.each(depth)}, ${quote(r.pick(WORDS))})`;
    return r.below(4) === 0 ? `${one()} ${r.pick(['and', 'or', 'xor'])} ${one()}` : one();
  }

  private each(depth: number): string {
    if (this.r.below(5) === 0) return `${this.r.pick(['http.request.uri.args', 'http.request.headers'])}[*][*]`;
    return `${this.array(depth)}[*]`;
  }

  private array(depth: number): string {
    const { r } = this;
    const kind = depth <= 0 ? r.below(2) : r.below(4);
    if (kind === 0) return r.pick([...ARRAY_FIELDS, ...this.late.arrays]);
    if (kind === 1) return this.entry();
    if (kind === 2) return `split(${this.text(depth - 1)}, ${quote(r.pick(['a', ',', 'ab', '&']))}, ${1 + r.below(4)})`;
    return `concat(${r.pick(ARRAY_FIELDS)}, ${this.array(depth - 1)})`;
  }

  private map(): string {
    return this.r.pick([...MAPS, ...this.late.maps]);
  }

  private entry(): string {
    const map = this.map();
    return `${map}[${quote(this.r.pick(map.includes('headers') ? HEADERS : KEYS))}]`;
  }

  /** A string. */
  text(depth: number): string {
    const { r } = this;
    const less = depth - 1;
    switch (depth <= 0 ? r.below(3) : r.below(18)) {
      case 0:
        return r.pick([...STRING_FIELDS, ...this.late.strings]);
      case 1:
        return `${this.entry()}[${r.below(3)}]`;
      case 2:
        return r.pick(STRING_FIELDS);
      case 3:
      case 4:
        return `${r.pick(['lower', 'upper', 'url_decode', 'decode_base64'])}(${this.text(less)})`;
      case 5:
      case 6:
        return `concat(${Array.from({ length: 1 + r.below(3) }, () => (r.below(2) === 0 ? quote(r.pick(WORDS)) : this.text(less))).join(', ')})`;
      case 7:
        return `substring(${this.text(less)}, ${r.pick(['0', '1', '-1', '-3', '2', '9'])}${r.pick(['', ', 2', ', -1', ', 0', ', 99'])})`;
      case 8:
        return `remove_bytes(${this.text(less)}, ${quote(r.pick(['a', 'ab', '', '/.']))})`;
      case 9:
        return `remove_query_args(http.request.uri.query, ${quote(r.pick(KEYS))}, ${quote(r.pick(KEYS))})`;
      case 10:
        return `to_string(${r.pick([() => this.integer(less), () => this.address(less), () => 'ssl'])()})`;
      case 11:
        return `join(${this.array(less)}, ${quote(r.pick(WORDS))})`;
      case 12:
        return `regex_replace(${this.text(less)}, ${quote(r.pick(['a', '(a|b)+', '^(a*)(b*)', '(x)?b', '']))}, ${quote(r.pick(['', 'c', '$$', '[${0}]']))})`;
      case 13:
        return `wildcard_replace(${this.text(less)}, ${quote(r.pick(['*a*', '*/*', 'a*', '*A*']))}, ${quote(r.pick(['', '${1}', '<${0}|${1}>']))}${r.pick(['', ', "s"'])})`;
      case 14:
        return `lookup_json_string(${this.text(less)}, ${r.pick(['"a"', '"b", 0', '"b", 1, "a"'])})`;
      case 15:
        return `url_decode(${this.text(less)}, ${r.pick(['"r"', '"u"', '"ru"'])})`;
      default:
        return `${this.array(less)}[${r.below(3)}]`;
    }
  }

  private integer(depth: number): string {
    const { r } = this;
    const less = depth - 1;
    switch (depth <= 0 ? r.below(2) : r.below(5)) {
      case 0:
        return r.pick(['http.request.timestamp.sec', ...this.late.integers]);
      case 1:
      case 2:
        return `len(${this.text(less)})`;
      case 3:
        return `lookup_json_integer(${this.text(less)}, ${r.pick(['"a"', '"b", 1', '0'])})`;
      default:
        return `len(${this.array(less)})`;
    }
  }

  private address(depth: number): string {
    if (depth <= 0 || this.r.below(2) === 0) return 'ip.src';
    return this.r.pick([
      () => `cidr(${this.address(depth - 1)}, ${1 + this.r.below(32)}, ${1 + this.r.below(128)})`,
      () => `cidr6(${this.address(depth - 1)}, ${1 + this.r.below(128)})`,
    ])();
  }

  private stringTest(): string {
    const { r } = this;
    switch (r.below(5)) {
      case 0:
        return `${r.pick(['eq', 'ne', 'lt', 'le', 'gt', 'ge', '==', '!=', '<', '<=', '>', '>='])} ${quote(r.pick(WORDS))}`;
      case 1:
        return `contains ${quote(r.pick(WORDS))}`;
      case 2:
        return `${r.pick(['matches', '~'])} ${raw(r.pick(REGEXES))}`;
      case 3:
        return `${r.pick(['wildcard', 'strict wildcard'])} ${raw(r.pick(WILDCARDS))}`;
      default:
        return r.below(3) === 0
          ? 'in $words'
          : `in {${Array.from({ length: 1 + r.below(3) }, () => quote(r.pick(WORDS))).join(' ')}}`;
    }
  }

  private integerTest(): string {
    const { r } = this;
    switch (r.below(4)) {
      case 0:
      case 1:
        return `${r.pick(['eq', 'ne', 'lt', 'le', 'gt', 'ge'])} ${r.pick(NUMBERS)}`;
      case 2:
        return `${r.pick(['&', 'bitwise_and'])} ${r.pick(NUMBERS)}`;
      default:
        return r.below(3) === 0 ? 'in $numbers' : `in {${r.pick(NUMBERS)} ${r.pick(['1..3', '0..0', '-5..500'])}}`;
    }
  }

  private addressTest(): string {
    const { r } = this;
    if (r.below(3) === 0) return `${r.pick(['eq', 'ne'])} ${r.pick(ADDRESSES)}`;
    return r.below(3) === 0
      ? 'in $nets'
      : `in {${Array.from({ length: 1 + r.below(3) }, () => r.pick(BLOCKS)).join(' ')}}`;
  }
}

export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
function raw(text: string): string {
  return `r#"${text}"#`;
}

/** A request made of the same words. */
export function randomRequest(r: Random): TestRequest {
  const word = (): string => r.pick(WORDS);
  const pairs = (): string => Array.from({ length: r.below(4) }, () => r.pick(['', `${r.pick(KEYS)}=${encodeURI(word())}`, r.pick(KEYS), `=${r.pick(KEYS)}`])).join('&'); // prettier-ignore
  const path =
    Array.from(
      { length: r.below(4) },
      () => `/${r.pick(['a', 'b', 'ab', '.', '..', '%61', 'a.b', 'x.AB', 'é', '%2e%2E'])}`,
    ).join('') || '/';
  const query = r.below(3) === 0 ? '' : `?${pairs()}`;
  const headers: [string, string][] = Array.from({ length: r.below(6) }, () => {
    const name = r.pick(HEADERS);
    if (name === 'cookie')
      return [name, Array.from({ length: r.below(4) }, () => `${r.pick(KEYS)}=${word()}`).join('; ')];
    if (name === 'content-type')
      return [
        name,
        r.pick(['application/x-www-form-urlencoded', 'Application/X-WWW-Form-Urlencoded; charset=x', 'text/plain']),
      ];
    if (name === 'accept-language')
      return [name, r.pick(['a', 'a, b;q=0.5, ab;q=0.9', '*', 'b;q=0, a', '', 'a;q=1, b;q=1.000'])];
    return [name, word()];
  });
  // More than one line of these is not what the runtime gives, and the first of them counts.
  const single = new Set(['cookie', 'content-type', 'accept-language', 'user-agent', 'referer', 'x-forwarded-for']);
  const kept = headers.filter(
    ([name], at) => !single.has(name) || headers.findIndex(([other]) => other === name) === at,
  );
  return {
    method: r.pick(['GET', 'POST', 'PUT']),
    url: `${r.pick(['http', 'https'])}://${r.pick(['h', 'a.b', 'A.b:81'])}${path}${query}`,
    headers: kept,
    peer: r.pick(['192.0.2.1:1', '10.0.0.1:2', '[2001:db8::1]:3', '[2001:db8:0:1::]:4']),
    body: r.pick([word(), `${r.pick(KEYS)}=${word()}&${r.pick(KEYS)}=b`]),
    truncated: r.below(4) === 0,
    response: {
      status: r.pick([200, 404, 500]),
      headers: Array.from({ length: r.below(3) }, () => [r.pick(['x-a', 'x-b', 'content-type']), r.pick(['a', 'b', 'Text/HTML; a=b', 'text/plain'])]), // prettier-ignore
    },
    now: 1_700_000_000 + r.below(3),
  };
}
