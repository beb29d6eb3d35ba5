/**
 * Why engines disagree about a rule, and who is right by the reference: ModSecurity 2, which CRS is written for. Where it
 * runs here, in Apache, it is the judge: a cause that says that the others are wrong holds only where it sides with us. A
 * disagreement that no cause covers is a failure of `-- waf-differential`.
 */
import {
  OPERATOR_PM,
  OPERATOR_RX,
  TRANSFORM_BASE64_DECODE,
  TRANSFORM_CSS_DECODE,
  TRANSFORM_HTML_ENTITY_DECODE,
  TRANSFORM_JS_DECODE,
  TRANSFORM_NORMALIZE_PATH,
  TRANSFORM_NORMALIZE_PATH_WIN,
  TRANSFORM_UTF8_TO_UNICODE,
  VARIABLE_ARGS,
  VARIABLE_ARGS_NAMES,
  VARIABLE_FILES,
  VARIABLE_MULTIPART_PART_HEADERS,
  VARIABLE_REQUEST_BASENAME,
  VARIABLE_REQUEST_BODY,
  VARIABLE_REQUEST_COOKIES,
  VARIABLE_REQUEST_FILENAME,
  VARIABLE_REQUEST_URI,
  VARIABLE_TX,
  VARIABLE_XML,
} from '../../../assembly/waf/abi.ts';
import { isUtf8 } from 'node:buffer';
import type { Octets, RawTransaction } from '../../../src/waf/transaction.ts';

export type Other = 'libmodsecurity' | 'coraza' | 'apache';

/** One rule that fired on one side only. */
export interface Disagreement {
  readonly other: Other;
  readonly rule: number;
  /** Whose rule fired. */
  readonly side: 'ours' | 'theirs';
  readonly transaction: RawTransaction;
  readonly what: RuleParts;
  /** Names of the values in which it fired, such as `ARGS:q`; empty where the log does not say. */
  readonly where: readonly string[];
  /** All rules that fired. */
  readonly mine: ReadonlySet<number>;
  readonly theirs: ReadonlySet<number>;
  /** Those of ModSecurity 2; null when it is not here, or its server refused the request itself. */
  readonly judge: ReadonlySet<number> | null;
}

/** Of all links of a rule: VARIABLE_*, OPERATOR_*, TRANSFORM_*, and patterns of @rx. */
export interface RuleParts {
  readonly variables: ReadonlySet<number>;
  readonly operators: ReadonlySet<number>;
  readonly transformations: ReadonlySet<number>;
  readonly patterns: readonly string[];
  readonly chained: boolean;
}

export interface Cause {
  readonly id: string;
  readonly others: readonly Other[];
  readonly right: 'ours' | 'theirs';
  /** What differs, and where the reference says so. */
  readonly why: string;
  covers(disagreement: Disagreement): boolean;
}

const text = (octets: Octets): string => (typeof octets === 'string' ? octets : Buffer.from(octets).toString('latin1'));
const headerOf = ({ headers }: RawTransaction, name: string): string =>
  headers.filter(([other]) => text(other).toLowerCase() === name).map(([, value]) => text(value))[0] ?? '';

const DETECTOR_RULES = new Set([941100, 941101, 942100, 942101]);
/** Rules of every configuration on REQBODY_ERROR and MULTIPART_STRICT_ERROR. */
const BODY_RULES = new Set([200002, 200003]);

type Processor = 'form' | 'multipart' | 'JSON' | 'XML' | 'none';
/** As the configuration of every engine chooses it. */
function processorOf(transaction: RawTransaction): Processor {
  const type = headerOf(transaction, 'content-type').toLowerCase();
  if (/^(?:application|text)\/(?:[a-z0-9.-]+[+])?xml/.test(type)) return 'XML';
  if (/^application\/(?:[a-z0-9.-]+[+])?json/.test(type)) return 'JSON';
  if (type.startsWith('application/x-www-form-urlencoded')) return 'form';
  return type.startsWith('multipart/form-data') ? 'multipart' : 'none';
}
const pathOf = ({ uri }: RawTransaction): string => text(uri).split('?')[0]!;

/** MATCHED_VARS:ARGS:q is a match of before in ARGS. */
const nameOf = (name: string): string => name.replace(/^&?(?:MATCHED_VARS(?:_NAMES)?:)?/i, '');
const rootOf = (name: string): string => nameOf(name).split(':', 1)[0]!.toUpperCase();
/**
 * Whether it fired in values of these variables alone. Where that is not known, or only of the last link of a chain, whether
 * the rule looks at them.
 */
const firedIn = ({ where, what }: Disagreement, roots: RegExp, ...variables: readonly number[]): boolean =>
  (where.length > 0 && where.every((name) => roots.test(rootOf(name)))) ||
  ((where.length === 0 || what.chained) && variables.some((id) => what.variables.has(id)));

const inPath = (one: Disagreement): boolean =>
  firedIn(
    one,
    /^REQUEST_(?:FILENAME|BASENAME|URI)$/,
    VARIABLE_REQUEST_FILENAME,
    VARIABLE_REQUEST_BASENAME,
    VARIABLE_REQUEST_URI,
  );
const inCookies = (one: Disagreement): boolean =>
  firedIn(one, /^REQUEST_COOKIES(?:_NAMES)?$/, VARIABLE_REQUEST_COOKIES);

/** Whether it fired in what the body holds: an argument of the query is no part of it. TX and MATCHED_VARS may be anything. */
function inBody(one: Disagreement): boolean {
  const { transaction, where } = one;
  if (transaction.body.length === 0) return false;
  const query = new URLSearchParams(text(transaction.uri).replace(/^[^?]*\??/, ''));
  const names = new Set([...query.keys()].map((name) => name.toLowerCase()));
  if (
    where.map(nameOf).some((name) => /^ARGS/i.test(name) && names.has(name.slice(name.indexOf(':') + 1).toLowerCase()))
  )
    return false;
  const roots =
    /^(?:ARGS|ARGS_NAMES|ARGS_POST|ARGS_POST_NAMES|REQUEST_BODY|XML|REQUEST_XML|FILES|FILES_NAMES|MULTIPART_\w+|REQBODY_\w+|TX|MATCHED_VARS?(?:_NAMES?)?)$/;
  return firedIn(
    one,
    roots,
    ...[VARIABLE_ARGS, VARIABLE_ARGS_NAMES, VARIABLE_REQUEST_BODY, VARIABLE_XML, VARIABLE_FILES],
    ...[VARIABLE_MULTIPART_PART_HEADERS, VARIABLE_TX],
  );
}

/** The parts of the request that the values come from in which it fired; all of them where that is not known. */
function partsOf({ where, transaction }: Disagreement): string[] {
  const { uri, headers, body } = transaction;
  const all = [text(uri), text(body), ...headers.map(([name, value]) => `${text(name)}: ${text(value)}`)];
  const known = where.flatMap((name): string[] | undefined[] => {
    const root = rootOf(name);
    if (/^REQUEST_(?:URI|URI_RAW|FILENAME|BASENAME|LINE)$|^QUERY_STRING$|^ARGS_GET/.test(root)) return [text(uri)];
    if (root.startsWith('REQUEST_COOKIES')) return [headerOf(transaction, 'cookie')];
    if (root.startsWith('REQUEST_HEADERS'))
      return [headerOf(transaction, name.slice(name.indexOf(':') + 1).toLowerCase())];
    if (/^(?:REQUEST_BODY|XML|FILES|ARGS_POST)/.test(root)) return [text(body)];
    return root.startsWith('ARGS') ? [text(uri), text(body)] : [undefined];
  });
  return known.length === 0 || known.includes(undefined as never) ? all : (known as string[]);
}

/** NUL, in any of the forms that transformations and parsers decode, in one step or two. */
const hasNul = (one: Disagreement): boolean =>
  partsOf(one).some((written) => {
    const once = written.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
    return [written, once].some((value) =>
      /\0|%(?:25)*(?:u00)?00|\\u0000|\\x00|\\000|\\0{1,2}(?![0-7])|&#x?0+(?![0-9a-f])/i.test(value),
    );
  });
const hasHighByte = (one: Disagreement): boolean =>
  partsOf(one).some((part) => /[\x80-\xff]|%(?:25)*[89a-f][0-9a-f]|\\u|%u|\\x|&#/i.test(part));

/**
 * Whether we call a body malformed that ModSecurity 2 takes: JSON and XML that are not UTF-8 (yajl and libxml2 let
 * overlong forms and surrogates pass), VT and FF between values of JSON, or the beginning of a string behind the document
 * (yajl), names of part headers that are no names.
 */
function isStricter({ mine, transaction, judge }: Disagreement): boolean {
  if (!mine.has(200002) || judge?.has(200002)) return false;
  const body = text(transaction.body);
  const processor = processorOf(transaction);
  const utf8 = isUtf8(Buffer.from(body, 'latin1'));
  if (processor === 'JSON')
    return !utf8 || /[\v\f]/.test(body) || isJson(/^[^]*[\]}](?=\s*"[^"]*$)/.exec(body)?.[0] ?? '');
  if (processor === 'XML') return !utf8;
  // SPEC: RFC 5322 section 2.2: names of headers are printable ASCII without a colon; a blank ends none.
  return processor === 'multipart' && /(?:^|\n)--[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*?[^\r\n:]*[^!-~][^\r\n:]*:/.test(body);
}
function isJson(written: string): boolean {
  try {
    JSON.parse(written);
    return true;
  } catch {
    return false;
  }
}
/** Contents of the parts of a multipart body, as far as its boundary tells them. */
function multipartValues(transaction: RawTransaction): string[] {
  if (processorOf(transaction) !== 'multipart') return [];
  const boundary = /boundary="?([^";,]+)/i.exec(headerOf(transaction, 'content-type'))?.[1] ?? '';
  const parts = text(transaction.body).split(`--${boundary.trim()}`).slice(1);
  return parts.flatMap((part) => /^[^]*?\r?\n\r?\n([^]*?)(?:\r?\n)?$/.exec(part)?.[1] ?? []);
}
/** Whether the body is malformed for everybody who says so, ModSecurity 2 among them where it is here. */
const isMalformed = ({ mine, judge }: Disagreement): boolean =>
  mine.has(200002) && (judge === null || judge.has(200002));

export const CAUSES: readonly Cause[] = [
  {
    id: 'detectors',
    others: ['libmodsecurity', 'coraza', 'apache'],
    right: 'ours',
    why:
      '@detectSQLi and @detectXSS are our own detectors, not libinjection: they judge structure and are measured by ' +
      '`conformance -- detectors` on attacks and on harmless text.',
    covers: ({ rule }) => DETECTOR_RULES.has(rule),
  },
  {
    id: 'malformed-body',
    others: ['apache', 'libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'The body cannot be parsed as its Content-Type says. ModSecurity stops there and leaves the request to a rule on ' +
      'REQBODY_ERROR; we set REQBODY_ERROR too, and still look at the whole body as it came.',
    covers: (one) => one.side === 'ours' && isMalformed(one) && (BODY_RULES.has(one.rule) || inBody(one)),
  },
  {
    id: 'stricter-bodies',
    others: ['apache', 'libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'A body that RFC 8259, XML 1.0 or RFC 5322 does not allow and ModSecurity 2 takes: bytes that are not UTF-8, VT and FF ' +
      'in JSON, an unfinished string behind it, names of part headers with blanks or control characters. Applications refuse it, or read it otherwise.',
    covers: (one) => one.side === 'ours' && isStricter(one) && (BODY_RULES.has(one.rule) || inBody(one)),
  },
  {
    id: 'nul-bytes',
    others: ['apache'],
    right: 'ours',
    why:
      'ModSecurity 2 keeps names and matched values as C strings: what follows a NUL byte is lost to chained rules, or ' +
      'is memory that belongs to something else. libmodsecurity and Coraza see what we see.',
    covers: hasNul,
  },
  {
    id: 'path-decoded-early',
    others: ['apache'],
    right: 'ours',
    why:
      'Apache decodes the path of a URL between phases 1 and 2, and not at all when it is a proxy: REQUEST_FILENAME is ' +
      'raw then. We show it decoded always, as libmodsecurity and Coraza do, so that twice-encoded paths are seen.',
    covers: (one) => inPath(one) && pathOf(one.transaction).includes('%'),
  },
  {
    id: 'cookie-without-name',
    others: ['apache', 'libmodsecurity'],
    right: 'theirs',
    why: 'ModSecurity 2 leaves out a cookie whose name is empty; applications do not, so we look at its value as well.',
    covers: (one) => one.side === 'ours' && inCookies(one) && /(?:^|;)\s*=/.test(headerOf(one.transaction, 'cookie')),
  },
  {
    id: 'xml-line-ends',
    others: ['apache', 'libmodsecurity'],
    right: 'ours',
    why:
      'XML 1.0 section 2.11: CR LF and CR are read as LF. libxml2, fed in pieces, leaves them in CDATA; what the application ' +
      'behind us reads is LF.',
    covers: (one) =>
      one.side === 'theirs' &&
      firedIn(one, /XML$/, VARIABLE_XML) &&
      /<!\[CDATA\[[^]*\r/.test(text(one.transaction.body)),
  },
  {
    id: 'request-body-always',
    others: ['libmodsecurity'],
    right: 'ours',
    why:
      'libmodsecurity fills REQUEST_BODY whatever the body processor; ModSecurity 2 does so for forms alone, or where a ' +
      'rule forces it, and the suite expects it: 944100, 944110, 944120 and 944210 have tests for it.',
    covers: (one) =>
      one.side === 'theirs' &&
      one.what.variables.has(VARIABLE_REQUEST_BODY) &&
      firedIn(one, /^REQUEST_BODY$|^MATCHED_VARS?|^TX$/, VARIABLE_REQUEST_BODY) &&
      ['multipart', 'JSON', 'XML'].includes(processorOf(one.transaction)),
  },
  {
    id: 'forced-body-is-a-form',
    others: ['coraza'],
    right: 'ours',
    why:
      'For a body of a type that nobody parses, CRS sets forceRequestBodyVariable. ModSecurity then fills REQUEST_BODY ' +
      'alone; Coraza parses the body as a form too, and finds parameters in it.',
    covers: (one) => one.side === 'theirs' && processorOf(one.transaction) === 'none' && inBody(one),
  },
  {
    id: 'json-array-names',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'In ModSecurity 2 all elements of a JSON array have one name, which makes them parameters that come several times; ' +
      'libmodsecurity and Coraza number them.',
    covers: ({ side, transaction, rule }) => rule === 921180 && side === 'ours' && processorOf(transaction) === 'JSON',
  },
  {
    id: 'malformed-body-theirs',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'The body cannot be parsed as its Content-Type says; each engine keeps another part of it for the rules. ' +
      'ModSecurity 2 keeps none, we look at the whole body as it came.',
    covers: (one) =>
      one.side === 'theirs' &&
      (one.mine.has(200002) || one.theirs.has(200002)) &&
      (BODY_RULES.has(one.rule) || inBody(one)),
  },
  {
    id: 'json-names',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'Names of JSON values: ModSecurity 2 joins keys with dots, repeats the key of an array for its elements and puts ' +
      'nothing before them; libmodsecurity and Coraza put `json.` before and number elements.',
    covers: (one) =>
      processorOf(one.transaction) === 'JSON' &&
      inBody(one) &&
      (one.what.variables.has(VARIABLE_ARGS_NAMES) || one.what.variables.has(VARIABLE_TX)),
  },
  {
    id: 'multiline',
    others: ['libmodsecurity'],
    right: 'ours',
    why: 'libmodsecurity compiles @rx with the multiline flag: `^` and `$` match at each line. ModSecurity 2 does not.',
    covers: (one) =>
      one.what.operators.has(OPERATOR_RX) &&
      one.what.patterns.some((pattern) => /[$^]/.test(pattern.replaceAll(/\\.|\[\^/g, ''))) &&
      partsOf(one).some((part) => /[\n]|%(?:25)*(?:u00)?0a|\\n|\\u000a|\\x0a|\\0*a|&#/i.test(part)),
  },
  {
    id: 'phrases-inside-phrases',
    others: ['apache', 'libmodsecurity'],
    right: 'ours',
    why:
      'The @pm of ModSecurity overlooks a phrase that begins while it follows a longer one which then does not match. ' +
      'The manual says that any of the phrases counts; Coraza finds it as we do.',
    covers: ({ side, what }) => side === 'ours' && what.operators.has(OPERATOR_PM),
  },
  {
    id: 'chain-log',
    others: ['libmodsecurity'],
    right: 'ours',
    why:
      'libmodsecurity logs the first link of a chain whose last link does not match; CRS knows it as a bug of version 3 ' +
      '(nginx-overrides.yaml, 942131).',
    covers: ({ side, rule }) => side === 'theirs' && rule === 942131,
  },
  {
    id: 'query-decoded',
    others: ['libmodsecurity'],
    right: 'ours',
    why: 'libmodsecurity decodes REQUEST_URI as a whole; ModSecurity 2 leaves its query as it came, and so do we.',
    covers: (one) =>
      firedIn(one, /^REQUEST_URI$|^MATCHED_VARS?|^TX$/, VARIABLE_REQUEST_URI) &&
      /[?].*%/.test(text(one.transaction.uri)),
  },
  {
    id: 'invalid-utf-8',
    others: ['libmodsecurity'],
    right: 'ours',
    why: 'libmodsecurity ends t:utf8toUnicode at bytes that are not UTF-8, ModSecurity 2 keeps them.',
    covers: (one) => one.what.transformations.has(TRANSFORM_UTF8_TO_UNICODE) && hasHighByte(one),
  },
  {
    id: 'backslashes',
    others: ['libmodsecurity'],
    right: 'ours',
    why:
      't:jsDecode and t:cssDecode of libmodsecurity lose what follows some escapes of fewer digits than they expect; ' +
      'ModSecurity 2 and Coraza decode as we do.',
    covers: (one) =>
      (one.what.transformations.has(TRANSFORM_JS_DECODE) || one.what.transformations.has(TRANSFORM_CSS_DECODE)) &&
      partsOf(one).some((part) => /\\|%5c/i.test(part)),
  },
  {
    id: 'base64',
    others: ['libmodsecurity'],
    right: 'ours',
    why: 'libmodsecurity gives nothing for Base64 without its padding; ModSecurity 2 decodes what is there.',
    covers: ({ side, what }) => side === 'ours' && what.transformations.has(TRANSFORM_BASE64_DECODE),
  },
  {
    id: 'nul-bytes-coraza',
    others: ['coraza'],
    right: 'ours',
    why: 'A NUL byte ends or splits values in Coraza in other places than in ModSecurity, which agrees with us.',
    covers: hasNul,
  },
  {
    id: 'multipart-strictness',
    others: ['coraza'],
    right: 'ours',
    why:
      'Coraza reads multipart bodies with the MIME parser of Go, which refuses headers of parts that ModSecurity and we ' +
      'read, so that their values are not seen.',
    covers: (one) => processorOf(one.transaction) === 'multipart' && (BODY_RULES.has(one.rule) || inBody(one)),
  },
  {
    id: 'matched-vars',
    others: ['coraza'],
    right: 'ours',
    why:
      'MATCHED_VARS of a chain: Coraza hands on the value as the last link matched it, ModSecurity 2 as the first did ' +
      '(coraza-overrides.yaml of CRS has 932200 as unfinished).',
    covers: ({ rule }) => rule === 932200,
  },
  {
    id: 'captures-of-chains',
    others: ['coraza'],
    right: 'ours',
    why:
      'A chain behind a captured match: ModSecurity 2 tries it for each value that matched, with what that one captured; ' +
      'Coraza once, with what the last one left in TX.',
    covers: ({ side, where, what }) =>
      side === 'ours' && what.chained && where.length > 0 && where.every((name) => /^TX:\d$/.test(name)),
  },
  {
    id: 'normalize-path',
    others: ['coraza'],
    right: 'ours',
    why:
      't:normalizePath of ModSecurity takes `..` before a slash for a step up even at the end of a longer name; Coraza ' +
      'cleans paths as Go does, by whole segments.',
    covers: ({ what }) =>
      what.transformations.has(TRANSFORM_NORMALIZE_PATH) || what.transformations.has(TRANSFORM_NORMALIZE_PATH_WIN),
  },
  {
    id: 'html-entities',
    others: ['coraza'],
    right: 'ours',
    why:
      'Coraza decodes the entities of HTML 5 by their exact names and to characters; ModSecurity 2 those that it knows, ' +
      'in any case, to bytes.',
    covers: (one) =>
      one.what.transformations.has(TRANSFORM_HTML_ENTITY_DECODE) &&
      partsOf(one).some((part) => /&|%(?:25)*26/.test(part)),
  },
  {
    id: 'multipart-line-ends',
    others: ['libmodsecurity'],
    right: 'ours',
    why: 'libmodsecurity leaves line ends out of the values of multipart fields; ModSecurity 2 and Coraza have them.',
    covers: (one) => inBody(one) && multipartValues(one.transaction).some((value) => /[\r\n]/.test(value)),
  },
  {
    id: 'css-decode-nul',
    others: ['libmodsecurity'],
    right: 'ours',
    why: 't:cssDecode of libmodsecurity ends at a NUL byte; that of ModSecurity 2 and of Coraza does not.',
    covers: (one) => one.what.transformations.has(TRANSFORM_CSS_DECODE) && hasNul(one),
  },
  {
    id: 'argument-case',
    others: ['coraza'],
    right: 'ours',
    why: 'Names of variables are the same in any case in ModSecurity, those of arguments that a rule counts in TX too.',
    covers: ({ rule, side, where, transaction }) =>
      rule === 921180 &&
      side === 'ours' &&
      where.some((name) => {
        const counted = name.slice(name.lastIndexOf(':') + 1).toLowerCase();
        const names = `${text(transaction.uri)}&${text(transaction.body)}`.split(/[?&=]/);
        return new Set(names.filter((one) => one.toLowerCase() === counted)).size > 1;
      }),
  },
  {
    id: 'absolute-target',
    others: ['libmodsecurity'],
    right: 'ours',
    why: 'libmodsecurity keeps scheme and host of an absolute target in REQUEST_URI where no path follows.',
    covers: (one) =>
      firedIn(one, /^REQUEST_(?:URI|LINE|FILENAME)/, VARIABLE_REQUEST_URI) &&
      /^[a-z]+:\/\//i.test(text(one.transaction.uri)),
  },
  {
    id: 'cookies-trimmed',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'libmodsecurity takes white space off the end of a Cookie header, VT and FF too, and Coraza off both ends of each ' +
      'value; ModSecurity 2 leaves it.',
    covers: (one) => inCookies(one) && /\s;|=\s|\s$/.test(headerOf(one.transaction, 'cookie')),
  },
  {
    id: 'characters-for-bytes',
    others: ['coraza'],
    right: 'ours',
    why:
      'Coraza matches with Go regexes over UTF-8 characters (bytes only where the pattern demands it), folds case by ' +
      'Unicode and decodes escapes to characters; ModSecurity matches bytes.',
    covers: hasHighByte,
  },
  {
    id: 'cookie-commas',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'A Cookie header without a semicolon whose comma is followed by a space: ModSecurity 2 separates cookies at ' +
      'commas then, libmodsecurity and Coraza do not.',
    covers: (one) => inCookies(one) && /^[^;]*, /.test(headerOf(one.transaction, 'cookie')),
  },
  {
    id: 'xml-text',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'What XML:/* and XML://@* are of a document: ModSecurity 2 gives the text of the whole document and each attribute ' +
      'value with character references decoded; Coraza gives each piece of text, trimmed, and reads what libxml2 refuses.',
    covers: (one) => processorOf(one.transaction) === 'XML' && firedIn(one, /XML$|^MATCHED_VARS?|^TX$/, VARIABLE_XML),
  },
  {
    id: 'file-name-decoding',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'How the path is decoded where escapes are broken: we decode those that are whole and leave the others, as Apache ' +
      'does where it lets such a path pass; Coraza leaves the whole path raw, libmodsecurity decodes %u too.',
    covers: (one) => inPath(one) && /[%\\]/.test(pathOf(one.transaction)),
  },
  {
    id: 'uri-raw',
    others: ['coraza'],
    right: 'ours',
    why: 'Coraza shows REQUEST_URI as it came; ModSecurity shows its path decoded, and so do we.',
    covers: (one) => firedIn(one, /^REQUEST_URI$/, VARIABLE_REQUEST_URI) && /[%\\]/.test(pathOf(one.transaction)),
  },
  {
    id: 'empty-multipart',
    others: ['apache', 'libmodsecurity', 'coraza'],
    right: 'ours',
    why: 'A multipart request without a body: there is nothing to be strict about.',
    covers: ({ rule, transaction }) => rule === 200003 && transaction.body.length === 0,
  },
];

/**
 * A cause that calls the others wrong does not hold where ModSecurity 2 sides with them, unless what is between us and
 * ModSecurity 2 has a cause itself: then it is no judge.
 */
export function causeOf(disagreement: Disagreement): Cause | undefined {
  const { other, judge, rule, mine } = disagreement;
  const against = other !== 'apache' && judge !== null && judge.has(rule) !== mine.has(rule);
  if (against && !CAUSES.some((cause) => cause.others.includes('apache') && cause.covers(disagreement)))
    return undefined;
  return CAUSES.find((cause) => cause.others.includes(other) && cause.covers(disagreement));
}
