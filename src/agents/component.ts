/**
 * The value of a component that a signature covers.
 *
 * SPEC: RFC 9421 sections 2.1 (fields), 2.2 (derived components), 2.4 (components of the request in a response).
 */
import { base64OfBytes, writeDictionary, writeItem, writeList, writeMember } from './structured-field-text.ts';
import { type Item, parseDictionary, parseItem, parseList, StructuredFieldError } from './structured-field.ts';
import type { Message, RequestMessage } from './message.ts';

export type FieldType = 'item' | 'list' | 'dictionary';

/** Why there is no signature base; an id for logs. */
export type ComponentFault =
  /** Covered, and not in the message. */
  | 'component-absent'
  /** Covered twice. */
  | 'component-duplicate'
  /** A component or parameter that means nothing here, or whose value can't be had. */
  | 'component-unsupported'
  /** Parameters that exclude each other, `req` in a request, or a value that can't be signed. */
  | 'component-malformed';

export class ComponentError extends Error {
  override readonly name = 'ComponentError';
  readonly fault: ComponentFault;
  constructor(fault: ComponentFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

/** Fields whose type everybody knows: `sf` and `key` need it. SPEC: the registry of RFC 9651 section 5. */
const FIELD_TYPES: Readonly<Record<string, FieldType>> = {
  'accept-ch': 'list',
  'accept-signature': 'dictionary',
  'cache-status': 'list',
  'cdn-cache-control': 'dictionary',
  'client-cert': 'item',
  'client-cert-chain': 'list',
  'content-digest': 'dictionary',
  'content-usage': 'dictionary',
  priority: 'dictionary',
  'proxy-status': 'list',
  'repr-digest': 'dictionary',
  signature: 'dictionary',
  'signature-input': 'dictionary',
  'want-content-digest': 'dictionary',
  'want-repr-digest': 'dictionary',
};

/** Field names of callers, in lower case, beside those that are known. */
export type FieldTypes = Readonly<Record<string, FieldType>>;

function typeOf(name: string, value: string, types: FieldTypes): FieldType | undefined {
  // Two forms of it are in use: one string, and a dictionary of strings.
  if (name === 'signature-agent') return value.startsWith('"') ? 'item' : 'dictionary';
  if (Object.hasOwn(types, name)) return types[name];
  return Object.hasOwn(FIELD_TYPES, name) ? FIELD_TYPES[name] : undefined;
}

/** `identifier` has a string for its item. Throws ComponentError. */
export function componentValue(message: Message, identifier: Item, types: FieldTypes): string {
  const { name, flags, key, parameter } = readIdentifier(identifier);
  let target: Message = message;
  if (flags.has('req')) {
    if (message.kind === 'request') throw new ComponentError('component-malformed', `${name};req is in a request`);
    if (message.request === null)
      throw new ComponentError('component-unsupported', `the request that ${name};req means is not known`);
    target = message.request;
  }
  const value = name.startsWith('@')
    ? derivedValue(target, name, flags, key, parameter)
    : fieldValue(target, name, flags, key, parameter, types);
  // SPEC: section 2.5, `derived-component-value` and `field-content`: no line break, no control character.
  if (!SIGNABLE.test(value))
    throw new ComponentError('component-malformed', `the value of ${name} can not be signed as it is`);
  return value;
}

const SIGNABLE = /^[\t -~]*$/;

interface Identifier {
  readonly name: string;
  readonly flags: ReadonlySet<string>;
  readonly key: string | null;
  /** `name` of @query-param. */
  readonly parameter: string | null;
}

function readIdentifier({ item, parameters }: Item): Identifier {
  if (item.type !== 'string') throw new ComponentError('component-malformed', 'a component is no string');
  const name = item.value;
  const flags = new Set<string>();
  let key: string | null = null;
  let parameter: string | null = null;
  for (const [known, value] of parameters) {
    if (known === 'key' && value.type === 'string') key = value.value;
    else if (known === 'name' && value.type === 'string') parameter = value.value;
    else if (FLAGS.has(known)) {
      if (value.type !== 'boolean' || !value.value)
        throw new ComponentError('component-malformed', `${name};${known} is a flag and has no value`);
      flags.add(known);
    } else throw new ComponentError('component-unsupported', `${name} has the parameter ${known}`);
  }
  return { name, flags, key, parameter };
}

const FLAGS = new Set(['sf', 'bs', 'req', 'tr']);

function derivedValue(
  message: Message,
  name: string,
  flags: ReadonlySet<string>,
  key: string | null,
  parameter: string | null,
): string {
  if (key !== null || flags.has('sf') || flags.has('bs') || flags.has('tr'))
    throw new ComponentError('component-malformed', `${name} has a parameter of fields`);
  if ((parameter !== null) !== (name === '@query-param'))
    throw new ComponentError('component-malformed', `the parameter \`name\` belongs to @query-param, and only there`);
  if (name === '@status') {
    if (message.kind === 'response') return String(message.status);
    throw new ComponentError('component-malformed', '@status is in no request');
  }
  if (!REQUEST_COMPONENTS.has(name))
    throw new ComponentError('component-unsupported', `${name} is no component that is known here`);
  if (message.kind === 'response')
    throw new ComponentError('component-malformed', `${name} is in a response, and does not say \`req\``);
  return requestValue(message, name, parameter);
}

const REQUEST_COMPONENTS = new Set([
  ...['@method', '@target-uri', '@authority', '@scheme', '@request-target', '@path', '@query', '@query-param'],
]);

function requestValue(message: RequestMessage, name: string, parameter: string | null): string {
  const scheme = message.scheme.toLowerCase();
  const path = message.path === '' ? '/' : message.path;
  switch (name) {
    case '@method':
      return message.method;
    case '@authority':
      return normalAuthority(message.authority, scheme);
    case '@scheme':
      return scheme;
    case '@target-uri':
      return `${scheme}://${normalAuthority(message.authority, scheme)}${path}${message.query}`;
    case '@request-target':
      // Origin form, which is all that an origin is asked with.
      return path + message.query;
    case '@path':
      return path;
    case '@query':
      return message.query === '' ? '?' : message.query;
    default:
      return queryParameter(message.query, parameter ?? '');
  }
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' };

/** SPEC: RFC 9110 section 4.2.3: the host in lower case, without the default port. */
export function normalAuthority(authority: string, scheme: string): string {
  const host = authority.toLowerCase();
  const colon = host.lastIndexOf(':');
  if (colon < 0 || colon < host.lastIndexOf(']')) return host;
  const port = host.slice(colon + 1);
  return port === '' || port === DEFAULT_PORTS[scheme] ? host.slice(0, colon) : host;
}

/** SPEC: section 2.2.8. A name that comes twice must not be covered: readers choose differently which one holds. */
function queryParameter(query: string, name: string): string {
  let found: string | null = null;
  for (const [one, value] of new URLSearchParams(query)) {
    if (formEncoded(one) !== name) continue;
    if (found !== null)
      throw new ComponentError('component-malformed', 'a covered query parameter comes more than once');
    found = formEncoded(value);
  }
  if (found === null) throw new ComponentError('component-absent', 'a covered query parameter is not in the request');
  return found;
}

/** SPEC: the application/x-www-form-urlencoded percent-encode set of the URL standard, with %20 for a space. */
function formEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(
    /[!'()~]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** SPEC: RFC 9110 section 5.1, in lower case. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

function fieldValue(
  message: Message,
  name: string,
  flags: ReadonlySet<string>,
  key: string | null,
  parameter: string | null,
  types: FieldTypes,
): string {
  if (parameter !== null) throw new ComponentError('component-malformed', `${name} has the parameter \`name\``);
  if (!FIELD_NAME.test(name))
    throw new ComponentError('component-malformed', 'a component is named as no field is, or not in lower case');
  if (flags.has('bs') && (flags.has('sf') || key !== null))
    throw new ComponentError('component-malformed', `${name};bs excludes sf and key`);
  const lines = linesOf(message, name, flags.has('tr'));
  if (flags.has('bs')) return wrapped(message, name, lines);
  const value = lines.map(unfolded).join(', ');
  if (key === null && !flags.has('sf')) return value;
  const type = typeOf(name, value, types);
  if (type === undefined || (key !== null && type !== 'dictionary'))
    throw new ComponentError('component-unsupported', `${name} is no structured field of a type that is known here`);
  return strictValue(name, value, type, key);
}

function linesOf(message: Message, name: string, trailer: boolean): readonly string[] {
  if (trailer && message.trailer === undefined)
    throw new ComponentError('component-unsupported', `${name};tr: trailers are not seen here`);
  const lines = trailer ? (message.trailer?.(name) ?? []) : message.header(name);
  if (lines.length === 0) throw new ComponentError('component-absent', `${name} is covered and not in the message`);
  return lines;
}

/** SPEC: section 2.1.3. */
function wrapped(message: Message, name: string, lines: readonly string[]): string {
  const plain = lines.map(unfolded);
  // One line with a comma, or two lines that were joined: their wrapped forms differ, and nobody knows which it was.
  if (message.joined && plain.some((line) => line.includes(',')))
    throw new ComponentError('component-unsupported', `${name};bs: its lines can not be told apart here`);
  return plain.map((line) => `:${base64OfBytes(latin1(name, line))}:`).join(', ');
}

function latin1(name: string, text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // Decoded by somebody: which bytes it was is lost.
    if (code > 0x7e) throw new ComponentError('component-unsupported', `${name};bs: its bytes are not seen here`);
    bytes[i] = code;
  }
  return bytes;
}

/** SPEC: section 2.1.1 and 2.1.2. */
function strictValue(name: string, value: string, type: FieldType, key: string | null): string {
  try {
    if (type === 'item') return writeItem(parseItem(value));
    if (type === 'list') return writeList(parseList(value));
    const dictionary = parseDictionary(value, { unique: key !== null });
    if (key === null) return writeDictionary(dictionary);
    const member = dictionary.get(key);
    if (member === undefined) throw new ComponentError('component-absent', `${name} has no member of the covered key`);
    return writeMember(member);
  } catch (error) {
    if (error instanceof StructuredFieldError)
      throw new ComponentError('component-malformed', `${name} is not well formed: ${error.message}`);
    throw error;
  }
}

/** SPEC: section 2.1: white space around is not part of a value, and a folded line goes on with one space. */
function unfolded(line: string): string {
  const text = line.includes('\n') ? line.replaceAll(/[ \t]*\r?\n[ \t]+/g, ' ') : line;
  let start = 0;
  let end = text.length;
  while (start < end && blank(text.charCodeAt(start))) start++;
  while (end > start && blank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const blank = (code: number): boolean => code === 0x20 || code === 0x09;
