/**
 * The fields of the rules language: name, type, and the stage from which on they exist.
 * Names and meanings are Cloudflare's; what Cloudflare has and we have not is listed with its reason.
 */
import * as abi from '../../../assembly/abi.ts';

const { TYPE_ADDRESS, TYPE_ARRAY, TYPE_BOOL, TYPE_INT, TYPE_MAP, TYPE_STRING } = abi;
const { STAGE_HEAD, STAGE_BODY, STAGE_RESPONSE } = abi;

export interface Field {
  readonly name: string;
  readonly id: number; // FIELD_*
  readonly type: number; // TYPE_*
  readonly stage: number; // STAGE_*
  /** Its values may be credentials, whichever key is asked for: never evidence. */
  readonly secret: boolean;
}

const STRINGS = TYPE_ARRAY | TYPE_STRING;

/** Fields of what an agent asks for: read from the body by who speaks its protocol, and known from then on. */
function isProtocol(id: number): boolean {
  return id >= abi.FIELD_MCP_METHOD && id < abi.FIELD_MCP_METHOD + abi.PROTOCOL_FIELDS;
}

function field(name: string, id: number, type: number, secret = false): Field {
  const body = isProtocol(id);
  const head = !body && (id < abi.FIELD_BODY_RAW || id >= abi.FIELD_AGENT_IDENTITY);
  const stage = body ? STAGE_BODY : head ? STAGE_HEAD : id >= abi.FIELD_RESPONSE_CODE ? STAGE_RESPONSE : STAGE_BODY;
  return { name, id, type, stage, secret };
}

const FIELDS: readonly Field[] = [
  field('http.host', abi.FIELD_HOST, TYPE_STRING),
  field('http.cookie', abi.FIELD_COOKIE, TYPE_STRING, true),
  field('http.referer', abi.FIELD_REFERER, TYPE_STRING),
  field('http.user_agent', abi.FIELD_USER_AGENT, TYPE_STRING),
  field('http.x_forwarded_for', abi.FIELD_X_FORWARDED_FOR, TYPE_STRING),
  field('http.request.method', abi.FIELD_METHOD, TYPE_STRING),
  field('http.request.full_uri', abi.FIELD_FULL_URI, TYPE_STRING),
  field('http.request.uri', abi.FIELD_URI, TYPE_STRING),
  field('http.request.uri.path', abi.FIELD_PATH, TYPE_STRING),
  field('http.request.uri.path.extension', abi.FIELD_EXTENSION, TYPE_STRING),
  field('http.request.uri.query', abi.FIELD_QUERY, TYPE_STRING),
  field('http.request.uri.args', abi.FIELD_ARGS, TYPE_MAP),
  field('http.request.uri.args.names', abi.FIELD_ARGS_NAMES, STRINGS),
  field('http.request.uri.args.values', abi.FIELD_ARGS_VALUES, STRINGS),
  field('http.request.headers', abi.FIELD_HEADERS, TYPE_MAP),
  field('http.request.headers.names', abi.FIELD_HEADERS_NAMES, STRINGS),
  field('http.request.headers.values', abi.FIELD_HEADERS_VALUES, STRINGS, true),
  field('http.request.headers.truncated', abi.FIELD_HEADERS_TRUNCATED, TYPE_BOOL),
  field('http.request.cookies', abi.FIELD_COOKIES, TYPE_MAP, true),
  field('http.request.accepted_languages', abi.FIELD_ACCEPTED_LANGUAGES, STRINGS),
  field('http.request.timestamp.sec', abi.FIELD_TIMESTAMP, TYPE_INT),
  field('raw.http.request.full_uri', abi.FIELD_RAW_FULL_URI, TYPE_STRING),
  field('raw.http.request.uri', abi.FIELD_RAW_URI, TYPE_STRING),
  field('raw.http.request.uri.path', abi.FIELD_RAW_PATH, TYPE_STRING),
  field('raw.http.request.uri.query', abi.FIELD_RAW_QUERY, TYPE_STRING),
  field('ssl', abi.FIELD_SSL, TYPE_BOOL),
  field('ip.src', abi.FIELD_ADDRESS, TYPE_ADDRESS),
  field('agent.name', abi.FIELD_AGENT_NAME, TYPE_STRING),
  field('agent.operator', abi.FIELD_AGENT_OPERATOR, TYPE_STRING),
  field('agent.category', abi.FIELD_AGENT_CATEGORY, TYPE_STRING),
  field('agent.bot', abi.FIELD_AGENT_BOT, TYPE_BOOL),
  field('agent.identity', abi.FIELD_AGENT_IDENTITY, TYPE_STRING),
  field('agent.verified', abi.FIELD_AGENT_VERIFIED, TYPE_BOOL),
  field('agent.domain', abi.FIELD_AGENT_DOMAIN, TYPE_STRING),
  field('agent.score', abi.FIELD_AGENT_SCORE, TYPE_INT),
  field('agent.signals', abi.FIELD_AGENT_SIGNALS, STRINGS),
  field('agent.automated', abi.FIELD_AGENT_AUTOMATED, TYPE_BOOL),
  field('mcp.method', abi.FIELD_MCP_METHOD, TYPE_STRING),
  field('mcp.tool', abi.FIELD_MCP_TOOL, TYPE_STRING),
  field('mcp.resource', abi.FIELD_MCP_RESOURCE, TYPE_STRING),
  field('mcp.prompt', abi.FIELD_MCP_PROMPT, TYPE_STRING),
  field('mcp.server', abi.FIELD_MCP_SERVER, TYPE_STRING),
  field('mcp.version', abi.FIELD_MCP_VERSION, TYPE_STRING),
  field('a2a.method', abi.FIELD_A2A_METHOD, TYPE_STRING),
  field('a2a.version', abi.FIELD_A2A_VERSION, TYPE_STRING),
  field('a2a.skill', abi.FIELD_A2A_SKILL, TYPE_STRING),
  field('llm.provider', abi.FIELD_LLM_PROVIDER, TYPE_STRING),
  field('llm.model', abi.FIELD_LLM_MODEL, TYPE_STRING),
  field('llm.stream', abi.FIELD_LLM_STREAM, TYPE_STRING),
  field('http.request.body.raw', abi.FIELD_BODY_RAW, TYPE_STRING),
  field('http.request.body.size', abi.FIELD_BODY_SIZE, TYPE_INT),
  field('http.request.body.truncated', abi.FIELD_BODY_TRUNCATED, TYPE_BOOL),
  field('http.request.body.mime', abi.FIELD_BODY_MIME, TYPE_STRING),
  field('http.request.body.form', abi.FIELD_FORM, TYPE_MAP),
  field('http.request.body.form.names', abi.FIELD_FORM_NAMES, STRINGS),
  field('http.request.body.form.values', abi.FIELD_FORM_VALUES, STRINGS),
  field('http.response.code', abi.FIELD_RESPONSE_CODE, TYPE_INT),
  field('http.response.headers', abi.FIELD_RESPONSE_HEADERS, TYPE_MAP),
  field('http.response.headers.names', abi.FIELD_RESPONSE_HEADERS_NAMES, STRINGS),
  field('http.response.headers.values', abi.FIELD_RESPONSE_HEADERS_VALUES, STRINGS, true),
  field('http.response.content_type.media_type', abi.FIELD_RESPONSE_MEDIA_TYPE, TYPE_STRING),
];

const BY_NAME = new Map(FIELDS.map((entry) => [entry.name, entry]));
// Arguments are never decoded, so the raw ones are the same.
for (const suffix of ['', '.names', '.values']) {
  BY_NAME.set(`raw.http.request.uri.args${suffix}`, BY_NAME.get(`http.request.uri.args${suffix}`)!);
}

/** The `.names` and `.values` of a map, for `map[*]`. */
const VALUES = new Map([
  [abi.FIELD_ARGS, abi.FIELD_ARGS_VALUES],
  [abi.FIELD_HEADERS, abi.FIELD_HEADERS_VALUES],
  [abi.FIELD_FORM, abi.FIELD_FORM_VALUES],
  [abi.FIELD_RESPONSE_HEADERS, abi.FIELD_RESPONSE_HEADERS_VALUES],
]);

/** Headers whose value is a credential. */
const CREDENTIALS = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie']);

/** True for a field of `mcp`, `a2a` or `llm`: what it says of a request does not go with the body. */
export function isProtocolField(field: Field): boolean {
  return isProtocol(field.id);
}
export function fieldByName(name: string): Field | undefined {
  return BY_NAME.get(name);
}
export function fieldById(id: number): Field | undefined {
  return FIELDS.find((entry) => entry.id === id);
}
export function valuesOf(map: Field): Field | undefined {
  const id = VALUES.get(map.id);
  return id === undefined ? undefined : fieldById(id);
}
export function fieldNames(): readonly string[] {
  return [...BY_NAME.keys()];
}

/** True when the entry `key` of this map may be a credential. */
export function isSecretEntry(map: Field, key: string): boolean {
  const headers = map.id === abi.FIELD_HEADERS || map.id === abi.FIELD_RESPONSE_HEADERS;
  return map.secret || (headers && CREDENTIALS.has(key.toLowerCase()));
}

const GEOGRAPHY = 'the runtime brings no geography of addresses, and a header that claims one can be forged';
const TLS = 'TLS ends before the worker, which sees nothing of it but whether it was there (ssl)';
const CLOUDFLARE = "it is the result of Cloudflare's own services";

/** Fields that Cloudflare has and we have not: a name, or a family that begins with it, and why. */
const ABSENT: readonly (readonly [prefix: string, cause: string, fix?: string])[] = [
  ['http.request.version', 'workerd does not tell a worker the protocol version'],
  ['http.request.timestamp.msec', 'the engine is given the time in seconds', 'use http.request.timestamp.sec'],
  ['http.request.body.multipart', 'multipart bodies are not parsed into fields', 'use http.request.body.raw'],
  ['http.request.jwt', 'tokens are not validated by this gateway'],
  ['raw.http.response', 'there is one form of the response', 'use http.response.headers'],
  ['raw.http.request.headers', 'headers are never normalised', 'use http.request.headers'],
  ['ip.src.', GEOGRAPHY, 'use a list of addresses: ip.src in $name'],
  ['ip.geoip', GEOGRAPHY, 'use a list of addresses: ip.src in $name'],
  ['cf.tls', TLS],
  ['cf.bot_management', CLOUDFLARE, 'use agent.bot, agent.name, agent.category or agent.score'],
  ['cf.client.bot', CLOUDFLARE, 'use agent.bot'],
  ['cf.verified_bot_category', CLOUDFLARE, 'use agent.category'],
  ['cf.random_seed', 'the engine is given 32 random bits a request, too few to be unique'],
  ['cf.edge.server_port', 'the port a client came to is not part of a request here', 'use http.request.full_uri'],
  ['cf.', CLOUDFLARE],
  ['icmp', 'only HTTP is seen here'],
  ['tcp.', 'only HTTP is seen here'],
  ['udp.', 'only HTTP is seen here'],
];

export function absentField(name: string): { readonly cause: string; readonly fix?: string } | undefined {
  const found = ABSENT.find(
    ([prefix]) => name === prefix || name.startsWith(prefix.endsWith('.') ? prefix : `${prefix}.`),
  );
  if (found === undefined) return undefined;
  return found[2] === undefined ? { cause: found[1] } : { cause: found[1], fix: found[2] };
}

/** The known name nearest to `name`, if one is near enough to be what was meant. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 4)) + 1;
  for (const candidate of known) {
    const same =
      candidate.split('.').at(-1) === name.split('.').at(-1) &&
      candidate.startsWith('http.') &&
      name.startsWith('http.');
    const distance = same ? Math.min(2, editDistance(name, candidate)) : editDistance(name, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    previous = row;
  }
  return previous[b.length]!;
}
