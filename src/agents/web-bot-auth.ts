/**
 * Web Bot Auth: who signed a request, by the keys that its Signature-Agent publishes.
 *
 * Three outcomes are kept apart: `verified`, `invalid` (it was checked and is wrong) and `unverified` (it could not be
 * checked). Reasons are for logs: a client that is told them learns what to try next.
 *
 * SPEC: draft-ietf-webbotauth-httpsig-protocol; RFC 9421 section 3.2. docs/agents.md lists every check with its reason.
 */
import { ComponentError, type ComponentFault } from './component.ts';
import { checkDigest } from './content-digest.ts';
import type { DirectoryFault, DirectoryKey } from './key-directory.ts';
import { CLOCK_SKEW_SECONDS, MAX_AGENT_SIGNATURES, MAX_SIGNATURE_SECONDS } from './limits.ts';
import type { RequestMessage } from './message.ts';
import { readSignatures, type Signature, SignatureError, type SignatureFault } from './message-signature.ts';
import { verifyBase } from './signature-algorithm.ts';
import {
  type AgentMember,
  type AgentUrl,
  agentUrl,
  type AgentUrlFault,
  type AgentUrlOptions,
  readSignatureAgent,
  type SignatureAgent,
} from './signature-agent.ts';
import { identity, signatureBase } from './signature-base.ts';

export const WEB_BOT_AUTH_TAG = 'web-bot-auth';

export type InvalidReason =
  | SignatureFault
  | Exclude<ComponentFault, 'component-unsupported'>
  | AgentUrlFault
  | 'parameter-missing'
  | 'created-in-future'
  | 'expired'
  | 'lifetime-too-long'
  | 'algorithm-forbidden'
  | 'algorithm-mismatch'
  | 'target-not-covered'
  | 'agent-malformed'
  | 'agent-not-covered'
  | 'agent-ambiguous'
  | 'inner-signature-uncovered'
  | 'test-key'
  | 'key-not-yet-valid'
  | 'key-expired'
  | 'signature-wrong'
  | 'digest-mismatch'
  | 'nonce-missing'
  | 'replayed';

export type UnverifiedReason =
  | DirectoryFault
  | 'signature-absent'
  | 'agent-absent'
  | 'agent-ignored'
  | 'component-unsupported'
  | 'digest-unsupported'
  | 'body-unread'
  | 'insecure-transport'
  | 'replay-unchecked';

export interface VerifiedAgent {
  readonly outcome: 'verified';
  /** Who it is: the URL of its keys, in its normal form. */
  readonly agent: string;
  readonly host: string;
  /** True when the keys are the whole host's, not some path's of it. */
  readonly wellKnown: boolean;
  readonly label: string;
  readonly keyid: string;
  readonly created: number;
  readonly expires: number;
  /** Names of covered components, as written. */
  readonly components: readonly string[];
  /** What was signed: no two requests have the same, unless one is a copy of the other. */
  readonly base: string;
  /** `none`: it has no nonce. `unchecked`: the guard could not be asked. */
  readonly replay: 'fresh' | 'none' | 'unchecked';
}

export type AgentResult =
  | VerifiedAgent
  | { readonly outcome: 'invalid'; readonly reason: InvalidReason; readonly agent: string }
  | { readonly outcome: 'unverified'; readonly reason: UnverifiedReason; readonly agent: string };

/** What is left to whoever runs this; each default is the strict choice. */
export interface WebBotAuthOptions extends AgentUrlOptions {
  /** `compat`: members of Signature-Agent with parameters count too, and a dictionary may be covered whole. */
  readonly wire?: 'strict' | 'compat';
  /** Seconds from `created` to `expires`. */
  readonly maxLifetime?: number;
  /** Seconds that `created` may lie ahead. */
  readonly skew?: number;
  /** Requests that did not come over TLS, as far as is known here. */
  readonly insecure?: boolean;
  /** Keys that RFCs print, private half included. */
  readonly testKeys?: boolean;
  /** `required`: a signature without nonce is invalid, and one whose nonce could not be checked is unverified. */
  readonly nonce?: 'optional' | 'required';
}

/** What verification asks of its surroundings. */
export interface WebBotAuthSources {
  /** Seconds since the epoch. */
  readonly now: number;
  /** The key that `url` publishes by this name, or why there is none. */
  key(url: AgentUrl, member: AgentMember, keyid: string): Promise<DirectoryKey | DirectoryFault>;
  /** The whole body; null when it can't be had. Asked only where a signature covers its digest. */
  body(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Records a nonce until `expires`; false when it was there already, null when that can't be told. */
  fresh(agent: string, nonce: string, expires: number): Promise<boolean | null>;
}

/** True when a request may concern us; cheap, for every request. */
export function claimsWebBotAuth(signatureAgent: string, signatureInput: string): boolean {
  return signatureAgent !== '' || signatureInput.includes(WEB_BOT_AUTH_TAG);
}

/**
 * Every signature of the request that has our tag, judged by itself, in their order; at most MAX_AGENT_SIGNATURES.
 * Empty when the request does not concern us.
 */
export async function verifyWebBotAuth(
  message: RequestMessage,
  sources: WebBotAuthSources,
  options: WebBotAuthOptions = {},
): Promise<AgentResult[]> {
  const agentText = message.header('signature-agent').join(', ');
  const inputText = message.header('signature-input').join(', ');
  if (!claimsWebBotAuth(agentText, inputText)) return [];
  let signatures: Signature[];
  try {
    signatures = readSignatures(message);
  } catch (error) {
    if (error instanceof SignatureError) return [invalid(error.fault)];
    throw error;
  }
  const ours = signatures.filter(({ tag }) => tag === WEB_BOT_AUTH_TAG);
  // Others sign with tags of their own, for others to read.
  if (ours.length === 0) return agentText === '' ? [] : [unverified('signature-absent')];
  if (ours.length > MAX_AGENT_SIGNATURES) return [invalid('too-many-signatures')];
  const agents = message.header('signature-agent').length === 0 ? undefined : readSignatureAgent(agentText);
  const results: AgentResult[] = [];
  for (const signature of ours) results.push(await judge(message, signature, signatures, agents, sources, options));
  return results;
}

/** One answer for a request: the first signature that is verified, else the first that is invalid, else the first. */
export function conclude(results: readonly AgentResult[]): AgentResult | null {
  for (const outcome of ['verified', 'invalid'] as const) {
    const found = results.find((result) => result.outcome === outcome);
    if (found !== undefined) return found;
  }
  return results[0] ?? null;
}

const invalid = (reason: InvalidReason, agent = ''): AgentResult => ({ outcome: 'invalid', reason, agent });
const unverified = (reason: UnverifiedReason, agent = ''): AgentResult => ({ outcome: 'unverified', reason, agent });

async function judge(
  message: RequestMessage,
  signature: Signature,
  all: readonly Signature[],
  agents: SignatureAgent | null | undefined,
  sources: WebBotAuthSources,
  options: WebBotAuthOptions,
): Promise<AgentResult> {
  // What costs nothing comes first: nothing is fetched for a signature that can't be good.
  const { created, expires, keyid, nonce } = signature;
  if (created === null || expires === null || keyid === null || keyid === '') return invalid('parameter-missing');
  const untimely = timeFault(created, expires, sources.now, options);
  if (untimely !== null) return invalid(untimely);
  if (signature.algorithm !== null && !ALGORITHMS.has(signature.algorithm)) return invalid('algorithm-forbidden');
  if (nonce === null && options.nonce === 'required') return invalid('nonce-missing');
  const covered = new Set(signature.input.items.map(identity));
  if (!covered.has('"@authority"') && !covered.has('"@target-uri"')) return invalid('target-not-covered');
  if (!coversInner(signature, all, covered)) return invalid('inner-signature-uncovered');
  if (agents === null) return invalid('agent-malformed');
  let base: string;
  try {
    base = signatureBase(message, signature.input);
  } catch (error) {
    if (!(error instanceof ComponentError)) throw error;
    return error.fault === 'component-unsupported' ? unverified(error.fault) : invalid(error.fault);
  }
  if (agents === undefined) return unverified('agent-absent');
  const member = memberFor(signature, agents, options.wire ?? 'strict');
  if (typeof member === 'string') return member === 'agent-ignored' ? unverified(member) : invalid(member);
  const url = agentUrl(member.value, member.resource, options);
  if (typeof url === 'string') return invalid(url);
  const agent = url.identifier;
  if (message.scheme !== 'https' && options.insecure !== true) return unverified('insecure-transport', agent);

  const key = await sources.key(url, member, keyid);
  if (typeof key === 'string') return unverified(key, agent);
  const unusable = keyFault(key, signature, sources.now, options);
  if (unusable !== null) return invalid(unusable, agent);
  if (!(await verifyBase(key.imported, base, signature.value))) return invalid('signature-wrong', agent);
  const digest = await digestFault(message, signature, sources);
  if (digest === 'digest-mismatch') return invalid(digest, agent);
  if (digest !== null) return unverified(digest, agent);
  // Last: a nonce is only used up by whoever holds the key.
  const fresh = nonce === null ? undefined : await sources.fresh(agent, nonce, expires);
  if (fresh === false) return invalid('replayed', agent);
  if (fresh === null && options.nonce === 'required') return unverified('replay-unchecked', agent);
  return {
    outcome: 'verified',
    agent,
    host: url.host,
    wellKnown: url.wellKnown,
    label: signature.label,
    keyid,
    created,
    expires,
    components: [...covered],
    base,
    replay: fresh === undefined ? 'none' : fresh === null ? 'unchecked' : 'fresh',
  };
}

/** Those of RFC 9421 that have two halves of a key. */
const ALGORITHMS = new Set(['ed25519', 'rsa-pss-sha512', 'ecdsa-p256-sha256', 'ecdsa-p384-sha384', 'rsa-v1_5-sha256']);

function timeFault(created: number, expires: number, now: number, options: WebBotAuthOptions): InvalidReason | null {
  if (created > now + (options.skew ?? CLOCK_SKEW_SECONDS)) return 'created-in-future';
  if (expires <= now || expires <= created) return 'expired';
  return expires - created > (options.maxLifetime ?? MAX_SIGNATURE_SECONDS) ? 'lifetime-too-long' : null;
}

/**
 * SPEC: section 4.1.1 of the draft: whoever covers a signature covers what that covers too, or both could be lifted onto
 * another message.
 */
function coversInner(signature: Signature, all: readonly Signature[], covered: ReadonlySet<string>): boolean {
  for (const { item, parameters } of signature.input.items) {
    if (item.value !== 'signature') continue;
    const key = parameters.get('key');
    const inner = key?.type === 'string' ? all.find(({ label }) => label === key.value) : undefined;
    if (inner === undefined || inner === signature) return false;
    if (!covered.has(`"signature-input";key="${inner.label}"`)) return false;
    if (!inner.input.items.every((one) => covered.has(identity(one)))) return false;
  }
  return true;
}

/** The member that the signature stands for: the one of its label, else the only one that it covers. */
function memberFor(
  signature: Signature,
  agents: SignatureAgent,
  wire: 'strict' | 'compat',
): AgentMember | 'agent-not-covered' | 'agent-ambiguous' | 'agent-ignored' {
  const keys: string[] = [];
  let whole = false;
  for (const { item, parameters } of signature.input.items) {
    if (item.value !== 'signature-agent') continue;
    const key = parameters.get('key');
    if (key?.type === 'string') keys.push(key.value);
    else whole = true;
  }
  let key: string | undefined;
  if (agents.form === 'string') key = whole ? '' : undefined;
  else if (keys.includes(signature.label)) key = signature.label;
  else if (keys.length > 1) return 'agent-ambiguous';
  else if (keys.length === 1) key = keys[0];
  else if (whole && wire === 'compat' && agents.members.size === 1) key = [...agents.members.keys()][0];
  const member = key === undefined ? undefined : agents.members.get(key);
  if (member === undefined) return 'agent-not-covered';
  return member.parameters && wire === 'strict' ? 'agent-ignored' : member;
}

function keyFault(
  key: DirectoryKey,
  signature: Signature,
  now: number,
  options: WebBotAuthOptions,
): InvalidReason | null {
  if (options.testKeys !== true && TEST_KEYS.has(key.thumbprint)) return 'test-key';
  if (key.notBefore > now) return 'key-not-yet-valid';
  if (key.expires <= now) return 'key-expired';
  return signature.algorithm !== null && signature.algorithm !== key.algorithm ? 'algorithm-mismatch' : null;
}

/** Thumbprints of keys whose private half is printed in RFC 9421 appendix B.1 and in RFC 8037 appendix A. */
const TEST_KEYS = new Set([
  'poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U', // test-key-ed25519
  'oD0HwocPBSfpNy5W3bpJeyFGY_IQ_YpqxSjQ3Yd-CLA', // test-key-rsa-pss
  'BHj8s0GPnMEQtkaULIM-PLgEhLBbuGUQ1vMxmBWZzEo', // test-key-rsa
  'ydQXMtvbsOsZyFir-Y7A8t7fKEM1gbKPvyFkdpu4fvI', // test-key-ecc-p256
  'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k', // RFC 8037
]);

async function digestFault(
  message: RequestMessage,
  signature: Signature,
  sources: WebBotAuthSources,
): Promise<'digest-mismatch' | 'digest-unsupported' | 'body-unread' | null> {
  if (!signature.input.items.some(({ item }) => item.value === 'content-digest')) return null;
  const body = await sources.body();
  if (body === null) return 'body-unread';
  const result = await checkDigest(message.header('content-digest').join(', '), body);
  if (result === 'match') return null;
  return result === 'unsupported' ? 'digest-unsupported' : 'digest-mismatch';
}
