/**
 * Why engines disagree about a rule, and who is right by the reference: ModSecurity 2, which CRS is written for. A
 * disagreement that no cause covers is a failure of `-- waf-differential`.
 */
import {
  OPERATOR_PM,
  TRANSFORM_BASE64_DECODE,
  TRANSFORM_CSS_DECODE,
  TRANSFORM_HTML_ENTITY_DECODE,
  TRANSFORM_JS_DECODE,
  TRANSFORM_NORMALIZE_PATH,
  TRANSFORM_NORMALIZE_PATH_WIN,
  TRANSFORM_UTF8_TO_UNICODE,
  VARIABLE_ARGS_NAMES,
  VARIABLE_REQUEST_BASENAME,
  VARIABLE_REQUEST_BODY,
  VARIABLE_REQUEST_COOKIES,
  VARIABLE_REQUEST_FILENAME,
  VARIABLE_REQUEST_URI,
  VARIABLE_TX,
} from '../../../assembly/waf/abi.ts';
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
  /** All rules that fired. */
  readonly mine: ReadonlySet<number>;
  readonly theirs: ReadonlySet<number>;
}

/** Of all links of a rule: VARIABLE_*, OPERATOR_*, TRANSFORM_*. */
export interface RuleParts {
  readonly variables: ReadonlySet<number>;
  readonly operators: ReadonlySet<number>;
  readonly transformations: ReadonlySet<number>;
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

/** NUL, in any of the forms that transformations and parsers decode, in one step or two. */
const hasNul = ({ uri, headers, body }: RawTransaction): boolean =>
  [uri, body, ...headers.map(([, value]) => value)].some((octets) => {
    const written = text(octets);
    const once = written.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
    return [written, once].some((value) => /\0|%(?:25)*(?:u00)?00|\\u0000|\\x00|\\0|&#x?0*;/i.test(value));
  });
type Processor = 'form' | 'multipart' | 'JSON' | 'XML' | 'none';
/** As the configuration of every engine chooses it. */
function processorOf(transaction: RawTransaction): Processor {
  const type = headerOf(transaction, 'content-type').toLowerCase();
  if (/^(?:application|text)\/(?:[a-z0-9.-]+[+])?xml/.test(type)) return 'XML';
  if (/^application\/(?:[a-z0-9.-]+[+])?json/.test(type)) return 'JSON';
  if (type.startsWith('application/x-www-form-urlencoded')) return 'form';
  return type.startsWith('multipart/form-data') ? 'multipart' : 'none';
}
const hasHighByte = ({ uri, headers, body }: RawTransaction): boolean =>
  [uri, body, ...headers.map(([, value]) => value)].some((octets) =>
    /[\x80-\xff]|%(?:25)*[89a-f][0-9a-f]|\\u|%u|\\x|&#/i.test(text(octets)),
  );
const pathOf = ({ uri }: RawTransaction): string => text(uri).split('?')[0]!;

const shownPath = ({ variables }: RuleParts): boolean =>
  [VARIABLE_REQUEST_FILENAME, VARIABLE_REQUEST_BASENAME, VARIABLE_REQUEST_URI].some((id) => variables.has(id));

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
    covers: ({ side, mine }) => side === 'ours' && mine.has(200002),
  },
  {
    id: 'nul-bytes',
    others: ['apache'],
    right: 'ours',
    why:
      'ModSecurity 2 keeps names and matched values as C strings: what follows a NUL byte is lost to chained rules, or ' +
      'is memory that belongs to something else. libmodsecurity and Coraza see what we see.',
    covers: ({ transaction }) => hasNul(transaction),
  },
  {
    id: 'path-decoded-early',
    others: ['apache'],
    right: 'ours',
    why:
      'Apache decodes the path of a URL between phases 1 and 2, and not at all when it is a proxy: REQUEST_FILENAME is ' +
      'raw then. We show it decoded always, as libmodsecurity and Coraza do, so that twice-encoded paths are seen.',
    covers: ({ transaction, what }) => shownPath(what) && pathOf(transaction).includes('%'),
  },
  {
    id: 'cookie-without-name',
    others: ['apache', 'libmodsecurity'],
    right: 'theirs',
    why: 'ModSecurity 2 leaves out a cookie whose name is empty; applications do not, so we look at its value as well.',
    covers: ({ side, transaction }) => side === 'ours' && /(?:^|;)\s*=/.test(headerOf(transaction, 'cookie')),
  },
  {
    id: 'xml-line-ends',
    others: ['apache', 'libmodsecurity'],
    right: 'ours',
    why:
      'XML 1.0 section 2.11: CR LF is read as LF. libxml2, fed in pieces, leaves CR LF in CDATA; what the application ' +
      'behind us reads is LF.',
    covers: ({ side, transaction }) => side === 'theirs' && /<!\[CDATA\[[^]*\r\n/.test(text(transaction.body)),
  },
  {
    id: 'request-body-always',
    others: ['libmodsecurity'],
    right: 'ours',
    why:
      'libmodsecurity fills REQUEST_BODY whatever the body processor; ModSecurity 2 does so for forms alone, or where a ' +
      'rule forces it, and the suite expects it: 944100, 944110, 944120 and 944210 have tests for it.',
    covers: ({ side, transaction, what }) =>
      side === 'theirs' &&
      what.variables.has(VARIABLE_REQUEST_BODY) &&
      ['multipart', 'JSON', 'XML'].includes(processorOf(transaction)),
  },
  {
    id: 'forced-body-is-a-form',
    others: ['coraza'],
    right: 'ours',
    why:
      'For a body of a type that nobody parses, CRS sets forceRequestBodyVariable. ModSecurity then fills REQUEST_BODY ' +
      'alone; Coraza parses the body as a form too, and finds parameters in it.',
    covers: ({ side, transaction }) =>
      side === 'theirs' && processorOf(transaction) === 'none' && transaction.body.length > 0,
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
    covers: ({ side, mine, theirs }) => side === 'theirs' && (mine.has(200002) || theirs.has(200002)),
  },
  {
    id: 'json-white-space',
    others: ['apache'],
    right: 'theirs',
    why:
      'yajl takes VT and FF for white space in JSON. RFC 8259 does not, nor do we: the body is malformed then, REQBODY_ERROR ' +
      'is set, and rules on REQUEST_BODY see it, but not those on ARGS.',
    covers: ({ side, transaction, mine }) =>
      side === 'theirs' &&
      processorOf(transaction) === 'JSON' &&
      mine.has(200002) &&
      /[\v\f]/.test(text(transaction.body)),
  },
  {
    id: 'json-names',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'Names of JSON values: ModSecurity 2 joins keys with dots, repeats the key of an array for its elements and puts ' +
      'nothing before them; libmodsecurity and Coraza put `json.` before and number elements.',
    covers: ({ transaction, what }) =>
      processorOf(transaction) === 'JSON' &&
      (what.variables.has(VARIABLE_ARGS_NAMES) || what.variables.has(VARIABLE_TX)),
  },
  {
    id: 'multiline',
    others: ['libmodsecurity'],
    right: 'ours',
    why: 'libmodsecurity compiles @rx with the multiline flag: `^` and `$` match at each line. ModSecurity 2 does not.',
    covers: ({ transaction }) =>
      /[\n]|%(?:25)*(?:u00)?0a|\\n|\\u000a|\\x0a|\\0*a|&#/i.test(
        `${text(transaction.uri)}\0${text(transaction.body)}\0${headerOf(transaction, 'cookie')}`,
      ),
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
    covers: ({ transaction, what }) => what.variables.has(VARIABLE_REQUEST_URI) && /[?].*%/.test(text(transaction.uri)),
  },
  {
    id: 'invalid-utf-8',
    others: ['libmodsecurity'],
    right: 'ours',
    why: 'libmodsecurity ends t:utf8toUnicode at bytes that are not UTF-8, ModSecurity 2 keeps them.',
    covers: ({ transaction, what }) => what.transformations.has(TRANSFORM_UTF8_TO_UNICODE) && hasHighByte(transaction),
  },
  {
    id: 'backslashes',
    others: ['libmodsecurity'],
    right: 'ours',
    why:
      't:jsDecode and t:cssDecode of libmodsecurity lose what follows some escapes of fewer digits than they expect; ' +
      'ModSecurity 2 and Coraza decode as we do.',
    covers: ({ transaction, what }) =>
      (what.transformations.has(TRANSFORM_JS_DECODE) || what.transformations.has(TRANSFORM_CSS_DECODE)) &&
      /\\|%5c/i.test(text(transaction.uri) + text(transaction.body) + headerOf(transaction, 'cookie')),
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
    covers: ({ transaction }) => hasNul(transaction),
  },
  {
    id: 'multipart-strictness',
    others: ['coraza'],
    right: 'ours',
    why:
      'Coraza reads multipart bodies with the MIME parser of Go, which refuses headers of parts that ModSecurity and we ' +
      'read, so that their values are not seen.',
    covers: ({ transaction }) => processorOf(transaction) === 'multipart',
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
    covers: ({ transaction, what }) =>
      what.transformations.has(TRANSFORM_HTML_ENTITY_DECODE) &&
      [transaction.uri, transaction.body, ...transaction.headers.map(([, value]) => value)].some((octets) =>
        /&|%(?:25)*26/.test(text(octets)),
      ),
  },
  {
    id: 'absolute-target',
    others: ['libmodsecurity'],
    right: 'ours',
    why: 'libmodsecurity keeps scheme and host of an absolute target in REQUEST_URI where no path follows.',
    covers: ({ transaction }) => /^[a-z]+:\/\//i.test(text(transaction.uri)),
  },
  {
    id: 'cookies-trimmed',
    others: ['coraza'],
    right: 'ours',
    why: 'Coraza takes white space off both ends of a cookie value; ModSecurity 2 leaves it.',
    covers: ({ transaction, what }) =>
      what.variables.has(VARIABLE_REQUEST_COOKIES) && /\s;|=\s|\s$/.test(headerOf(transaction, 'cookie')),
  },
  {
    id: 'characters-for-bytes',
    others: ['coraza'],
    right: 'ours',
    why:
      'Coraza matches with Go regexes over UTF-8 characters (bytes only where the pattern demands it), folds case by ' +
      'Unicode and decodes escapes to characters; ModSecurity matches bytes.',
    covers: ({ transaction }) => hasHighByte(transaction),
  },
  {
    id: 'cookie-commas',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'A Cookie header without a semicolon whose comma is followed by a space: ModSecurity 2 separates cookies at ' +
      'commas then, libmodsecurity and Coraza do not.',
    covers: ({ transaction }) => /^[^;]*, /.test(headerOf(transaction, 'cookie')),
  },
  {
    id: 'xml-text',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'What XML:/* and XML://@* are of a document: ModSecurity 2 gives the text of the whole document and each attribute ' +
      'value with character references decoded; Coraza gives each piece of text, trimmed, and reads what libxml2 refuses.',
    covers: ({ transaction }) => processorOf(transaction) === 'XML',
  },
  {
    id: 'file-name-decoding',
    others: ['libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'How the path is decoded where escapes are broken: we decode those that are whole and leave the others, as Apache ' +
      'does where it lets such a path pass; Coraza leaves the whole path raw, libmodsecurity decodes %u too.',
    covers: ({ transaction, what }) => shownPath(what) && /[%\\]/.test(pathOf(transaction)),
  },
  {
    id: 'uri-raw',
    others: ['coraza'],
    right: 'ours',
    why: 'Coraza shows REQUEST_URI as it came; ModSecurity shows its path decoded, and so do we.',
    covers: ({ transaction, what }) => what.variables.has(VARIABLE_REQUEST_URI) && /[%\\]/.test(pathOf(transaction)),
  },
  {
    id: 'empty-multipart',
    others: ['apache', 'libmodsecurity', 'coraza'],
    right: 'ours',
    why: 'A multipart request without a body: there is nothing to be strict about.',
    covers: ({ rule, transaction }) => rule === 200003 && transaction.body.length === 0,
  },
];

export function causeOf(disagreement: Disagreement): Cause | undefined {
  return CAUSES.find((cause) => cause.others.includes(disagreement.other) && cause.covers(disagreement));
}
