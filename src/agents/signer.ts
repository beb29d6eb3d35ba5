/**
 * Signs what an agent sends, so that it is known by its keys: `agentSigner(...)` gives headers, and a `fetch` that signs.
 *
 * SPEC: draft-ietf-webbotauth-httpsig-protocol section 4.
 */
import { type AgentKey, newNonce } from './agent-key.ts';
import { contentDigest } from './content-digest.ts';
import { MAX_REDIRECTS, SIGNATURE_SECONDS } from './limits.ts';
import { requestMessage } from './message.ts';
import { component, signMessage } from './message-signature.ts';
import { agentUrl } from './signature-agent.ts';
import { writeDictionary, writeItem } from './structured-field-text.ts';
import type { BareItem, Item } from './structured-field.ts';
import { WEB_BOT_AUTH_TAG } from './web-bot-auth.ts';

export interface AgentSignerOptions {
  readonly key: AgentKey;
  /** Where the keys are published: an origin, for its well-known place, or the URL of the key set. */
  readonly agent: string;
  /** Seconds that a signature lives; 60. */
  readonly lifetime?: number;
  /** `string` for verifiers that know only the first form, an origin alone in the header. */
  readonly form?: 'dictionary' | 'string';
  /** Covered beside the host: `target` (the default) the method and the whole URL; `authority` the host alone. */
  readonly covers?: 'target' | 'authority';
  /** Headers to cover as well, in lower case; those that a request does not have are left out. */
  readonly headers?: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** The one to sign for; the runtime's. */
  readonly fetch?: (request: Request) => Promise<Response>;
}

export interface UnsignedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers?: HeadersInit;
  /** Covered by its digest, when there is one. */
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
}

export interface AgentSigner {
  /** Headers to add to a request. They are good for that request, and until they expire. */
  sign(request: UnsignedRequest): Promise<Record<string, string>>;
  /** `fetch`, signed: bodies are read first, and every redirect that is followed is signed anew for where it goes. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
}

const LABEL = 'sig1';

/** Throws when `agent` is no URL that a verifier would fetch. */
export function agentSigner(options: AgentSignerOptions): AgentSigner {
  const { key, agent, lifetime = SIGNATURE_SECONDS, form = 'dictionary', now = Date.now } = options;
  const place = agentUrl(agent, 'keys');
  if (typeof place === 'string') throw new Error(`${agent} can not be the agent: ${place}`);
  if (form === 'string' && !place.wellKnown) throw new Error(`${agent} is no origin, and the form string takes one`);
  if (!Number.isInteger(lifetime) || lifetime < 1) throw new Error('lifetime is a whole number of seconds');
  const header = signatureAgent(form === 'string' ? new URL(agent).origin : agent, form);

  const sign = async ({ method, url, headers, body }: UnsignedRequest): Promise<Record<string, string>> => {
    const added: Record<string, string> = { 'signature-agent': header };
    if (body !== undefined && body.byteLength > 0) added['content-digest'] = await contentDigest(body);
    const all = new Headers(headers);
    for (const [name, value] of Object.entries(added)) all.set(name, value);
    const components: Item[] = [component('@authority')];
    if (options.covers !== 'authority') components.push(component('@method'), component('@target-uri'));
    components.push(component('signature-agent', form === 'dictionary' ? { key: LABEL } : {}));
    if (added['content-digest'] !== undefined) components.push(component('content-digest'));
    for (const name of new Set(options.headers))
      if (all.has(name) && !(name in added)) components.push(component(name));
    const created = Math.floor(now() / 1000);
    const parameters = new Map<string, BareItem>([
      ['created', { type: 'integer', value: created }],
      ['expires', { type: 'integer', value: created + lifetime }],
      ['keyid', { type: 'string', value: key.keyid }],
      ['alg', { type: 'string', value: key.sign.algorithm }],
      ['nonce', { type: 'string', value: newNonce() }],
      ['tag', { type: 'string', value: WEB_BOT_AUTH_TAG }],
    ]);
    // The spelling that is sent: the URL class writes what `fetch` will.
    const message = requestMessage(method, new URL(url).href, all);
    const made = await signMessage(message, { label: LABEL, components, parameters }, key.sign);
    return { ...added, 'signature-input': made.signatureInput, signature: made.signature };
  };

  return { sign, fetch: (input, init) => signedFetch(new Request(input, init), sign, options.fetch ?? fetch) };
}

function signatureAgent(value: string, form: 'dictionary' | 'string'): string {
  const item: Item = { item: { type: 'string', value }, parameters: new Map() };
  return form === 'string' ? writeItem(item) : writeDictionary(new Map([[LABEL, item]]));
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

async function signedFetch(
  first: Request,
  sign: AgentSigner['sign'],
  send: (request: Request) => Promise<Response>,
): Promise<Response> {
  let { method, url } = first;
  const headers = new Headers(first.headers);
  let body = first.body === null ? undefined : new Uint8Array(await first.arrayBuffer());
  for (let hops = 0; ; hops++) {
    const signed = new Headers(headers);
    for (const [name, value] of Object.entries(await sign({ method, url, headers, body }))) signed.set(name, value);
    const init = { method, headers: signed, redirect: 'manual', signal: first.signal } as const;
    const response = await send(new Request(url, body === undefined ? init : { ...init, body }));
    const location = response.headers.get('location');
    if (first.redirect === 'manual' || !REDIRECTS.has(response.status) || location === null) return response;
    if (first.redirect === 'error' || hops >= MAX_REDIRECTS) {
      await response.body?.cancel();
      throw new TypeError(hops >= MAX_REDIRECTS ? `more than ${MAX_REDIRECTS} redirects` : 'the answer is a redirect');
    }
    await response.body?.cancel();
    const next = new URL(location, url);
    // SPEC: the fetch standard, HTTP-redirect fetch: what was for one origin is for no other.
    if (next.origin !== new URL(url).origin)
      for (const name of ['authorization', 'cookie', 'proxy-authorization']) headers.delete(name);
    const becomesGet = response.status === 303 ? method !== 'GET' && method !== 'HEAD' : method === 'POST';
    if (becomesGet && response.status <= 303) {
      method = 'GET';
      body = undefined;
      for (const name of ['content-type', 'content-length', 'content-encoding', 'content-language', 'content-location'])
        headers.delete(name);
    }
    url = next.href;
  }
}
