/**
 * The header Signature-Agent: where an agent says that its keys are. Three forms are in use; all of them are read.
 *
 *  1. a string, the origin of the agent:              Signature-Agent: "https://agent.example"
 *  2. a dictionary of origins, perhaps with `type`:   Signature-Agent: sig1="https://agent.example"
 *  3. a dictionary of URLs of key sets, no parameter: Signature-Agent: sig1="https://agent.example/keys.json"
 *
 * SPEC: draft-ietf-webbotauth-httpsig-protocol section 4.1 for form 3; its predecessors for the others. A value without a
 * path means the directory at the well-known place of that origin, in every form.
 */
import { MAX_AGENT_URL, MAX_SIGNATURE_FIELD } from './limits.ts';
import {
  type Dictionary,
  isInnerList,
  type Item,
  parseDictionary,
  parseItem,
  StructuredFieldError,
} from './structured-field.ts';

export const WELL_KNOWN_DIRECTORY = '/.well-known/http-message-signatures-directory';

/** What stands behind the URL: a directory or key set, or a card that has keys or names the set. */
export type AgentResource = 'keys' | 'card';

export interface AgentMember {
  /** As it was sent. */
  readonly value: string;
  readonly resource: AgentResource;
  /** True when its parameters are ones that the draft of today does not know: then it is to be ignored. */
  readonly parameters: boolean;
}

export interface SignatureAgent {
  readonly form: 'string' | 'dictionary';
  /** By key; the one of a string has the key ''. */
  readonly members: ReadonlyMap<string, AgentMember>;
}

/** Null when it is not well formed. `text` holds all of its lines. */
export function readSignatureAgent(text: string): SignatureAgent | null {
  if (text.length > MAX_SIGNATURE_FIELD) return null;
  try {
    if (text.trimStart().startsWith('"')) {
      const member = memberOf(parseItem(text, { unique: true }));
      return member === null ? null : { form: 'string', members: new Map([['', member]]) };
    }
    return readDictionary(parseDictionary(text, { unique: true }));
  } catch (error) {
    if (error instanceof StructuredFieldError) return null;
    throw error;
  }
}

function readDictionary(dictionary: Dictionary): SignatureAgent | null {
  const members = new Map<string, AgentMember>();
  for (const [key, value] of dictionary) {
    const member = isInnerList(value) ? null : memberOf(value);
    if (member === null) return null;
    members.set(key, member);
  }
  return members.size === 0 ? null : { form: 'dictionary', members };
}

function memberOf({ item, parameters }: Item): AgentMember | null {
  if (item.type !== 'string') return null;
  const type = parameters.get('type');
  return {
    value: item.value,
    resource: type?.type === 'token' && type.value === 'cimd' ? 'card' : 'keys',
    parameters: parameters.size > 0,
  };
}

/** Why a URL is not fetched. */
export type AgentUrlFault = 'agent-url-malformed' | 'agent-url-not-https' | 'agent-host-private' | 'agent-port-refused';

export interface AgentUrl {
  /** What is fetched. */
  readonly fetched: string;
  /** Who it is: `fetched` in its normal form, without a query, by which one set of keys could have any number of names. */
  readonly identifier: string;
  readonly host: string;
  /** True for the well-known place, by which the keys are the whole host's. */
  readonly wellKnown: boolean;
}

export interface AgentUrlOptions {
  /** Hosts that are fetched whatever their scheme, port and address, such as `localhost:8443`: for tests on one machine. */
  readonly trustedHosts?: readonly string[];
  /** Ports other than 443. */
  readonly anyPort?: boolean;
}

/**
 * Where the keys of `value` are. SAFETY: what a name resolves to is the network's to refuse, at the moment of connecting;
 * here fall the names and literals that can mean nothing public.
 */
export function agentUrl(
  value: string,
  resource: AgentResource,
  options: AgentUrlOptions = {},
): AgentUrl | AgentUrlFault {
  if (value.length > MAX_AGENT_URL || !ABSOLUTE.test(value)) return 'agent-url-malformed';
  const url = URL.parse(value);
  if (url === null || url.username !== '' || url.password !== '' || value.includes('#') || value.includes('@'))
    return 'agent-url-malformed';
  const trusted = options.trustedHosts?.includes(url.host) === true;
  if (!trusted) {
    if (url.protocol !== 'https:') return 'agent-url-not-https';
    if (!isPublicName(url.hostname)) return 'agent-host-private';
    if (url.port !== '' && options.anyPort !== true) return 'agent-port-refused';
  }
  if (resource === 'keys' && url.pathname === '/' && url.search === '') url.pathname = WELL_KNOWN_DIRECTORY;
  const path = normalPath(url.pathname);
  return {
    fetched: url.href,
    identifier: `${url.protocol}//${url.host}${path}`,
    host: url.host,
    wellKnown: path === WELL_KNOWN_DIRECTORY,
  };
}

/** Printable ASCII without what the URL class would drop or turn into something else. */
const ABSOLUTE = /^https?:\/\/[!-[\]-~]+$/i;

/** SPEC: RFC 3986 section 6.2.2; the URL class does the rest. */
function normalPath(path: string): string {
  return path.replaceAll(/%[0-9a-fA-F]{2}/g, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escape.toUpperCase();
  });
}

/** SPEC: RFC 6761, 6762, 8375, 9476 and the ones of ICANN: names that are nobody's on the public network. */
const PRIVATE_SUFFIXES = new Set([
  ...[
    'localhost',
    'local',
    'internal',
    'intranet',
    'private',
    'corp',
    'home',
    'lan',
    'onion',
    'alt',
    'arpa',
    'invalid',
  ],
]);

/** A name of at least two labels; never an address, in whatever spelling: the URL class has made IPv4 of all of them. */
export function isPublicName(hostname: string): boolean {
  if (hostname.startsWith('[') || hostname.length > 253) return false;
  const labels = hostname.split('.');
  if (labels.at(-1) === '') labels.pop();
  const last = labels.at(-1) ?? '';
  if (labels.length < 2 || PRIVATE_SUFFIXES.has(last) || !/[a-z]/.test(last)) return false;
  return labels.every((label) => label.length > 0 && label.length <= 63 && /^[a-z0-9_-]+$/.test(label));
}
