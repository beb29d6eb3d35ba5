/**
 * The control API on Cloudflare: a host of its own, and every request but `/healthz` signed by the operator's key. It is
 * asked before the pipeline, so its host never reaches an app, and it answers for no other host.
 *
 * A signature works once per isolate: nonces are remembered for as long as they could be used again. Isolates share no
 * memory, so within its 60 seconds a signed request that somebody could read on its way might be repeated to another
 * one. That is harmless for calls that only read; of those that write the project's registry remembers the nonces.
 */
import { MAX_MANIFEST_BYTES } from '../../assembly/abi.ts';
import { hostnameOf } from '../platform/authority.ts';
import { registryOf } from '../platform/registry.ts';
import { requestId } from '../router/exchange.ts';
import { problem } from '../router/problem.ts';
import { controlApi } from './api.ts';
import { log, readBody, type ControlContext } from './call.ts';
import { contentDigest, publicKey, readClaim, thumbprint, type Claim, type Refusal } from './signature.ts';

/** Signed calls within two minutes, at 100 bytes each; beyond it calls are refused until some have expired. */
export const MAX_NONCES = 4096;

const REASONS: Readonly<Record<Refusal, string>> = {
  unsigned: 'the request is not signed',
  malformed: 'the signature is not of the form that the control API takes',
  untimely: 'the signature is not of this time',
  foreign: 'the signature is not by the operator',
  altered: 'the content is not what was signed',
  replayed: 'the signature was used before',
};

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE']);
const READING = new Set(['GET', 'HEAD']);

interface OperatorKey {
  readonly id: string;
  readonly key: CryptoKey;
}

export class Operator {
  readonly #host: string;
  readonly #x: string;
  #key: OperatorKey | null = null;
  readonly #nonces = new Map<string, number>(); // nonce -> seconds since the epoch when it expires

  /** `host` without port; `x` of the operator's public key, as in a JWK. */
  constructor(host: string, x: string) {
    this.#host = canonicalHost(host);
    this.#x = x;
  }

  /** Whether a request is for the control host, in whatever spelling the engine would take for that host. */
  covers(request: Request): boolean {
    const host = request.headers.get('host');
    return canonicalHost(host ?? new URL(request.url).host) === this.#host;
  }

  /** Answers a request to the control host. `now` in ms since the epoch. Never rejects. */
  async answer(request: Request, context: ControlContext, now = Date.now()): Promise<Response> {
    try {
      return await this.#answer(request, context, Math.floor(now / 1000));
    } catch (error) {
      log('error', { reason: error instanceof Error ? error.message : String(error) });
      return refuse(request, 500, 'the control API failed');
    }
  }

  async #answer(request: Request, context: ControlContext, now: number): Promise<Response> {
    const url = new URL(request.url);
    // A signature for one deployment must not serve at another of the same operator.
    if (canonicalHost(url.host) !== this.#host) return refuse(request, 400, 'Host and target name different hosts');
    // What was checked is what is routed: the API gets the URL as it was parsed here, never the raw one.
    if (url.pathname === '/healthz' && (request.method === 'GET' || request.method === 'HEAD'))
      return controlApi(new Request(url.href, { method: request.method }), context);

    const claim = readClaim(request.headers, request.method, url, now);
    if (typeof claim === 'string') return unauthorized(request, claim);
    if (!(await this.#genuine(claim))) return unauthorized(request, 'foreign');
    // Nothing is awaited between the question and the note, so that of two equal requests one gets through. Only genuine
    // signatures are noted: nobody else can fill the set.
    if (this.#nonces.has(claim.nonce)) return unauthorized(request, 'replayed');
    if (!this.#note(claim, now)) return refuse(request, 503, 'too many signed calls');

    if (!METHODS.has(request.method)) return refuse(request, 405, 'the control API has no such method');
    const body = await readBody(request, MAX_MANIFEST_BYTES);
    if (body === null) return refuse(request, 413, 'the body is too large');
    // A body that is not signed must not be there.
    const intact = claim.digest === null ? body.length === 0 : claim.digest === (await contentDigest(body));
    if (!intact) return unauthorized(request, 'altered');
    const { method, headers } = request;
    if (!READING.has(method)) {
      const spent = await registryOf(context.env, claim.keyid)?.spend(claim.nonce, claim.expires * 1000, now * 1000);
      if (spent?.fresh === false) return unauthorized(request, 'replayed');
    }
    return controlApi(new Request(url.href, { method, headers, body: body.length === 0 ? null : body }), context);
  }

  async #genuine(claim: Claim): Promise<boolean> {
    const { id, key } = (this.#key ??= { id: await thumbprint(this.#x), key: await publicKey(this.#x) });
    return claim.keyid === id && (await crypto.subtle.verify('Ed25519', key, claim.signature, claim.base));
  }

  #note({ nonce, expires }: Claim, now: number): boolean {
    if (this.#nonces.size >= MAX_NONCES)
      for (const [old, until] of this.#nonces) if (until <= now) this.#nonces.delete(old);
    if (this.#nonces.size >= MAX_NONCES) return false;
    this.#nonces.set(nonce, expires);
    return true;
  }
}

/** As the engine does it (assembly/host.ts): lower case, no port, no trailing dot. */
function canonicalHost(authority: string): string {
  const name = hostnameOf(authority).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

function unauthorized(request: Request, refusal: Refusal): Response {
  log('refused', { reason: refusal });
  const response = refuse(request, 401, REASONS[refusal]);
  response.headers.set('www-authenticate', 'Signature realm="sallyport-control"'); // SPEC: RFC 9110 section 15.5.2
  return response;
}

function refuse(request: Request, status: number, reason: string): Response {
  return problem(requestId(), request.method, 'application/json', { status, reason, rule: '' }, '');
}
