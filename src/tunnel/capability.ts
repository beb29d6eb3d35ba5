/**
 * Rights to a tunnel, for both ends: the capability that a project's operator signs, and the handshake in which its
 * holder proves on every dial that it has the key that the capability was made for. Web APIs only.
 *
 * Both are `v1.PAYLOAD.SIGNATURE`: JSON and Ed25519, as base64url. What is signed is a context and the payload as it was
 * sent, so that no text of one kind passes for another and nobody has to write JSON twice the same way. Rejected: JWT
 * (algorithms to choose from are algorithms to confuse), HTTP Message Signatures (headers of a WebSocket upgrade are not
 * all in the hands of who dials).
 *
 * A worker reads both with nothing but the public keys of its projects: no object exists because of a forgery. What needs
 * memory is left to the session object: nonces that were used, generations that were revoked, who owns a name.
 *
 * Constant time: only public values are compared here; secrets are where `crypto.subtle` signs.
 */
import { isPublicKey, thumbprint } from '../control/signature.ts';
import { base64url, genuine, open, seal } from './sealed.ts';

export const TUNNEL_PATH = '/.well-known/sallyport/tunnel';
export const ACCESS_PATH = '/.well-known/sallyport/access';
/** Headers of the upgrade. */
export const CAPABILITY_HEADER = 'sallyport-capability';
export const HANDSHAKE_HEADER = 'sallyport-handshake';

/** Seconds: how far the time of a handshake, or of a new capability, may be from the clock of the worker. */
export const HANDSHAKE_SECONDS = 60;
export const MAX_CAPABILITY_LENGTH = 4096; // characters of the text
export const MAX_HANDSHAKE_LENGTH = 2048;
export const MAX_NAMES = 16; // tunnels of one capability
export const MAX_REACH = 64; // entries of `reach`
export const MAX_SOCKETS = 64; // of one connector to one tunnel
export const MAX_CAPABILITY_DAYS = 3660;

/** A tunnel, or a service of one: a label of DNS, in lower case. */
export const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** What may be reached: everything of the project, a tunnel, a service of one (`db.office`), a service of any (`db.*`). */
const REACH = /^(?:\*|[a-z0-9-]{1,63}|[a-z0-9-]{1,63}\.(?:\*|[a-z0-9-]{1,63}))$/;
const HASH = /^[A-Za-z0-9_-]{43}$/; // 32 bytes: thumbprints and digests
const NONCE = /^[A-Za-z0-9_-]{22,64}$/; // 128 bits or more
const RESUME = /^[A-Za-z0-9_-]{0,128}$/;
const CAPABILITY_CONTEXT = 'sallyport-capability-1';
const HANDSHAKE_CONTEXT = 'sallyport-handshake-1';

export type Exposure = 'public' | 'restricted' | 'private';

/** What an operator grants. Times are milliseconds since the epoch. */
export interface Capability {
  /** Thumbprint of the operator's key: the project. */
  readonly project: string;
  /** Tunnels that the holder may serve; none for one who only reaches those of others. */
  readonly names: readonly string[];
  /** What the holder may reach by `access`, as `*`, `office`, `db.office` or `db.*`; the policy has the last word. */
  readonly reach: readonly string[];
  /** Thumbprint of the key that signs the handshakes. */
  readonly connector: string;
  /** When it was issued. `revoke` refuses all up to a moment, so that nobody has to count. */
  readonly generation: number;
  readonly expires: number;
  /** How its tunnels are exposed where neither registry nor policy says it: null leaves it to them. */
  readonly exposure: Exposure | null;
}

/** What a dial is for. Signed by the connector. */
export interface Dial {
  /** Of the edge, as in Host: lower case, with the port unless it is the scheme's own. */
  readonly host: string;
  /** TUNNEL_PATH or ACCESS_PATH. */
  readonly path: string;
  /** The tunnel that is served, or reached. */
  readonly name: string;
  /** The service that is reached; '' for the one without a name, and when serving. */
  readonly service: string;
  /** Index of the socket of this connector, from 0; the session object is `NAME#(socket mod S)`. */
  readonly socket: number;
  /** Token of the lane to resume, '' for a new one. */
  readonly resume: string;
}

export interface Handshake extends Dial {
  readonly time: number; // ms since the epoch
  /** Used once; whoever has memory refuses it again until `time` is HANDSHAKE_SECONDS past. */
  readonly nonce: string;
}

/** The key of one connector. */
export interface ConnectorKey {
  /** The public half, as in a JWK. */
  readonly x: string;
  readonly privateKey: CryptoKey;
}

/** Why a dial is not let in. The worker answers 401 with the reason's text. */
export type Denial = 'absent' | 'malformed' | 'foreign' | 'forged' | 'expired' | 'untimely' | 'misdirected' | 'unnamed';

export const DENIALS: Readonly<Record<Denial, string>> = {
  absent: `an upgrade needs the headers ${CAPABILITY_HEADER} and ${HANDSHAKE_HEADER}`,
  malformed: 'the capability or the handshake is not of the form that this edge takes',
  foreign: 'the capability is of a project that this edge does not serve',
  forged: 'a signature is not by the key that it must be by',
  expired: 'the capability has expired; ask the operator for a new one',
  untimely: `a time in the handshake is more than ${HANDSHAKE_SECONDS} s from the clock of this edge; set the clock`,
  misdirected: 'the handshake was signed for another host or path, or for another capability',
  unnamed: 'the capability does not cover that tunnel',
};

/** Rights that were proven. */
export interface Rights {
  readonly capability: Capability;
  readonly handshake: Handshake;
}

/** Public key (the `x` of its JWK) of the operator whose thumbprint is `project`; null for one that is not trusted. */
export type Operators = (project: string) => string | null;

/** Capabilities live as text: give it to the connector. Throws RangeError for a grant that no edge would take. */
export async function issueCapability(operator: CryptoKey, grant: Capability): Promise<string> {
  const { project, names, reach, connector, generation, expires, exposure } = grant;
  const payload = { project, names, reach, connector, generation, expires, exposure };
  if (capabilityOf(payload) === null) throw new RangeError(`not a capability: ${JSON.stringify(payload)}`);
  const text = await seal(operator, CAPABILITY_CONTEXT, payload);
  if (text.length > MAX_CAPABILITY_LENGTH)
    throw new RangeError(`a capability of ${text.length} characters; the limit is ${MAX_CAPABILITY_LENGTH}`);
  return text;
}

/** Reads a capability and believes it, or says why not. `now` in ms since the epoch. */
export async function readCapability(text: string, operators: Operators, now: number): Promise<Capability | Denial> {
  const sealed = open(text, MAX_CAPABILITY_LENGTH);
  const capability = sealed === null ? null : capabilityOf(sealed.payload);
  if (sealed === null || capability === null) return 'malformed';
  const x = operators(capability.project);
  // A project is the thumbprint of its key, so whoever lists keys can't be led to believe one under another's name.
  if (x === null || !isPublicKey(x) || (await thumbprint(x)) !== capability.project) return 'foreign';
  if (!(await genuine(x, CAPABILITY_CONTEXT, sealed))) return 'forged';
  if (capability.expires <= now) return 'expired';
  // One that was issued in the future would outlive its revocation.
  if (capability.generation > now + HANDSHAKE_SECONDS * 1000) return 'untimely';
  return capability;
}

/** The handshake of one dial. `now` in ms since the epoch. */
export async function signHandshake(key: ConnectorKey, capability: string, dial: Dial, now: number): Promise<string> {
  const { host, path, name, service, socket, resume } = dial;
  const nonce = base64url(crypto.getRandomValues(new Uint8Array(18)));
  const payload = { host, path, name, service, socket, resume, time: now, nonce };
  if (handshakeOf(payload) === null) throw new RangeError(`not a handshake: ${JSON.stringify(payload)}`);
  return await seal(key.privateKey, HANDSHAKE_CONTEXT, { ...payload, key: key.x, capability: await hash(capability) });
}

/**
 * The rights that the headers of an upgrade prove, or why they prove none. `host` and `path` of the request, as Dial has
 * them; `now` in ms since the epoch. Keeps no state: nonce, generation and ownership are the session object's to refuse.
 */
export async function verifyHandshake(
  headers: Headers,
  host: string,
  path: string,
  operators: Operators,
  now: number,
): Promise<Rights | Denial> {
  const text = headers.get(CAPABILITY_HEADER);
  const proof = headers.get(HANDSHAKE_HEADER);
  if (text === null || proof === null) return 'absent';
  const sealed = open(proof, MAX_HANDSHAKE_LENGTH);
  if (sealed === null) return 'malformed';
  const { key, capability: bound, ...rest } = sealed.payload;
  const handshake = handshakeOf(rest);
  if (handshake === null || typeof key !== 'string' || !isPublicKey(key) || typeof bound !== 'string')
    return 'malformed';
  const capability = await readCapability(text, operators, now);
  if (typeof capability === 'string') return capability;
  if ((await thumbprint(key)) !== capability.connector) return 'forged';
  if (!(await genuine(key, HANDSHAKE_CONTEXT, sealed))) return 'forged';
  if (Math.abs(now - handshake.time) > HANDSHAKE_SECONDS * 1000) return 'untimely';
  if (handshake.host !== host || handshake.path !== path || bound !== (await hash(text))) return 'misdirected';
  const covered =
    path === ACCESS_PATH
      ? reaches(capability.reach, handshake.name, handshake.service)
      : capability.names.includes(handshake.name);
  return covered ? { capability, handshake } : 'unnamed';
}

/** Whether `reach` covers a service of a tunnel. */
export function reaches(reach: readonly string[], name: string, service: string): boolean {
  return (
    reach.includes('*') ||
    reach.includes(name) ||
    (service !== '' && (reach.includes(`${service}.${name}`) || reach.includes(`${service}.*`)))
  );
}

/** Which tunnels' connectors may reach what, as a policy says. */
export interface Network {
  readonly from: readonly string[];
  readonly to: readonly string[];
}

/** Whether `networks` let the holder of a capability for tunnels `names` reach a service; null: no policy says anything. */
export function joins(
  networks: readonly Network[] | null,
  names: readonly string[],
  tunnel: string,
  service: string,
): boolean {
  if (networks === null) return true;
  return networks.some(
    ({ from, to }) => (from.includes('*') || names.some((name) => from.includes(name))) && reaches(to, tunnel, service),
  );
}

/** A new key for a connector; `extractable` where it is to be written to a file. */
export async function generateConnectorKey(extractable = false): Promise<ConnectorKey> {
  const pair = (await crypto.subtle.generateKey('Ed25519', extractable, ['sign', 'verify'])) as CryptoKeyPair;
  const { x = '' } = (await crypto.subtle.exportKey('jwk', pair.publicKey)) as { x?: string };
  return { x, privateKey: pair.privateKey };
}

function capabilityOf(value: Readonly<Record<string, unknown>>): Capability | null {
  const { project, names, reach, connector, generation, expires, exposure, ...unknown } = value;
  if (Object.keys(unknown).length > 0 || !isHash(project) || !isHash(connector)) return null;
  if (!isList(names, LABEL, MAX_NAMES) || !isList(reach, REACH, MAX_REACH)) return null;
  if (!isTime(generation) || !isTime(expires)) return null;
  if (expires <= generation || expires - generation > MAX_CAPABILITY_DAYS * 86_400_000) return null;
  if (exposure !== null && exposure !== 'public' && exposure !== 'restricted' && exposure !== 'private') return null;
  return { project, names, reach, connector, generation, expires, exposure };
}

function handshakeOf(value: Readonly<Record<string, unknown>>): Handshake | null {
  const { host, path, name, service, socket, resume, time, nonce, ...unknown } = value;
  if (Object.keys(unknown).length > 0 || !isTime(time) || !matches(nonce, NONCE) || !matches(resume, RESUME))
    return null;
  if (typeof host !== 'string' || host.length > 255 || (path !== TUNNEL_PATH && path !== ACCESS_PATH)) return null;
  if (!matches(name, LABEL) || (service !== '' && !matches(service, LABEL))) return null;
  if (typeof socket !== 'number' || !Number.isInteger(socket) || socket < 0 || socket >= MAX_SOCKETS) return null;
  return { host, path, name, service: service as string, socket, resume, time, nonce };
}

async function hash(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

function isHash(value: unknown): value is string {
  return matches(value, HASH);
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function isList(value: unknown, pattern: RegExp, limit: number): value is readonly string[] {
  if (!Array.isArray(value) || value.length > limit) return false;
  return value.every((item) => matches(item, pattern)) && new Set(value).size === value.length;
}
