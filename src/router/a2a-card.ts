/** The card of an A2A agent on its way to a client: rewritten to this gateway, with a tag of its own. */
import { type CardRewriting, MAX_CARD_BYTES, rewriteCard } from '../agents/a2a/card.ts';
import { base64Url } from '../agents/json-web-key.ts';
import { readBytes } from '../bytes.ts';
import type { A2aExchange } from './a2a.ts';
import { inflate } from './body.ts';
import { type Exchange, ownHeaders } from './exchange.ts';
import { refuse } from './problem.ts';

/** SPEC: A2A 8.6.1: cards should say for how long they hold; agents that do not are asked again after this. */
const CACHE_CONTROL = 'max-age=300';
const STATUSES = new Set([200, 203]);

export async function rewriteAnswer(exchange: Exchange, { plan, card }: A2aExchange): Promise<void> {
  const answer = exchange.response as Response;
  if (!STATUSES.has(answer.status)) return; // an error is no card
  if (exchange.request.method === 'HEAD') {
    // What the origin says of its card is not of ours.
    for (const name of STALE) ownHeaders(exchange).delete(name);
    return;
  }
  const text = await textOf(answer);
  const rewriting: CardRewriting = {
    url: (url) => here(exchange, url),
    versions: plan.versions,
    skills: plan.skills,
  };
  const found = text === null ? 'malformed' : rewriteCard(text, rewriting, card === 'rpc');
  if (found === 'malformed' || found === 'no-interface') {
    const reason =
      found === 'malformed' ? 'the agent card can not be read' : 'the agent has no interface that can be reached here';
    const verdict = {
      action: 'respond',
      phase: 'protocol-answer',
      rule: 'a2a card',
      status: 502,
      reason,
      mode: 'enforce',
    } as const;
    return refuse(exchange, verdict, 'http_protocol_error');
  }
  const headers = new Headers(answer.headers);
  for (const name of STALE) headers.delete(name);
  if (card === 'rpc') return replace(exchange, found, answer.status, headers);
  const bytes = new TextEncoder().encode(found);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const tag = `"${base64Url(hash).slice(0, 22)}"`;
  headers.set('etag', tag);
  if (!headers.has('cache-control')) headers.set('cache-control', CACHE_CONTROL);
  if (matches(exchange.request.headers.get('if-none-match'), tag)) {
    headers.delete('content-type');
    return replace(exchange, null, 304, headers);
  }
  replace(exchange, found, answer.status, headers);
}

const STALE = ['content-encoding', 'content-length', 'etag', 'last-modified', 'content-digest', 'accept-ranges'];

function replace(exchange: Exchange, text: string | null, status: number, headers: Headers): void {
  exchange.response = new Response(text, { status, headers });
  exchange.owned = true;
}

/** SPEC: RFC 9110 section 13.1.2: a list of tags, compared weakly, or a star. */
function matches(header: string | null, tag: string): boolean {
  if (header === null) return false;
  return header.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === tag);
}

async function textOf(answer: Response): Promise<Uint8Array | null> {
  const encoding = (answer.headers.get('content-encoding') ?? '').trim().toLowerCase();
  const bytes = await readBytes(answer.body, MAX_CARD_BYTES).catch(() => null);
  if (bytes === null || encoding === '' || encoding === 'identity') return bytes;
  const plain = await inflate(bytes, encoding, MAX_CARD_BYTES, true);
  return typeof plain === 'string' || plain.truncated ? null : plain.bytes;
}

/**
 * Where an interface of the agent is reached here: scheme and host of the client's request, and the path as it would have
 * to come in to arrive there, through the base path of the endpoint and the rewriting of the route.
 */
function here(exchange: Exchange, url: string): string | null {
  let target: URL;
  try {
    target = new URL(url);
  } catch {
    return null;
  }
  if (target.protocol !== 'http:' && target.protocol !== 'https:') return null;
  let path = target.pathname;
  const { endpoint } = exchange.upstream;
  const base = endpoint.slice(endpoint.indexOf('/', endpoint.indexOf('://') + 3) >>> 0);
  if (base.startsWith('/') && base !== '/' && (path === base || path.startsWith(`${base}/`)))
    path = path.slice(base.length);
  const { result } = exchange;
  for (const filter of exchange.filters) {
    if (filter.type !== 'rewrite' || filter.rewrite.path?.type !== 'prefix' || result === null) continue;
    const to = filter.rewrite.path.value.replace(/\/$/, '');
    const from = result.path.slice(0, result.prefixLength).replace(/\/$/, '');
    // An agent that knows where it is reached says so already.
    if (from !== '' && (path === from || path.startsWith(`${from}/`))) continue;
    if (to === '' || path === to || path.startsWith(`${to}/`)) path = from + path.slice(to.length);
  }
  return `${exchange.scheme}://${exchange.authority}${path === '' ? '/' : path}${target.search}`;
}
