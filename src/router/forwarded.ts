/**
 * What the origin is told about the way here: X-Forwarded-*, Forwarded (RFC 7239), Via, CDN-Loop (RFC 8586).
 *
 * What arrives in X-Forwarded-* and Forwarded is kept only when the peer is a proxy that the policy trusts; otherwise it
 * is what the client chose to write, and is dropped, not appended to.
 */
import { addressOf } from '../platform/authority.ts';
import type { Exchange } from './exchange.ts';
import { quoted } from './text.ts';

export function applyForwarded(exchange: Exchange, headers: Headers): void {
  const { plan, result, seen } = exchange;
  if (plan === null || result === null) return;
  const { xForwardedFor, forwarded } = plan.forwarded;
  const trusted = result.trusted;
  const peer = addressOf(exchange.peer);
  if (!trusted) for (const name of exchange.claims) headers.delete(name);
  if (xForwardedFor === 'off') {
    // Off means that we add nothing; what an untrusted client wrote must still not reach the origin as if it were true.
    if (!trusted) for (const name of FORWARDED_NAMES) if (has(seen, name)) headers.delete(name);
  } else {
    const keep = trusted && xForwardedFor === 'append';
    // Appended is the peer, the address that this hop saw; replaced, the client as the policy established it.
    if (keep && seen.forwardedFor !== '')
      headers.set('x-forwarded-for', peer === '' ? seen.forwardedFor : seen.forwardedFor + ', ' + peer);
    else if (result.client !== '') headers.set('x-forwarded-for', result.client);
    else if (seen.forwardedFor !== '') headers.delete('x-forwarded-for');
    headers.set('x-forwarded-proto', exchange.scheme);
    if (!(keep && seen.forwardedHost !== '')) headers.set('x-forwarded-host', exchange.authority);
  }
  if (forwarded) {
    const element = `for=${node(trusted ? peer : result.client)};host=${token(exchange.authority)};proto=${exchange.scheme}`;
    headers.set('forwarded', trusted && seen.forwarded !== '' ? seen.forwarded + ', ' + element : element);
  } else if (!trusted && seen.forwarded !== '') headers.delete('forwarded');
  const { id } = plan.cdnLoop;
  headers.set('via', seen.via === '' ? '1.1 sallyport' : seen.via + ', 1.1 sallyport');
  headers.set('cdn-loop', seen.loop === '' ? id : seen.loop + ', ' + id);
}

const FORWARDED_NAMES = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'] as const;

function has(seen: Exchange['seen'], name: (typeof FORWARDED_NAMES)[number]): boolean {
  if (name === 'x-forwarded-for') return seen.forwardedFor !== '';
  return name === 'x-forwarded-proto' ? seen.forwardedProto !== '' : seen.forwardedHost !== '';
}

/** SPEC: RFC 7239 section 6: IPv6 in brackets and quotes; unknown is a word of its own. */
function node(address: string): string {
  if (address === '') return 'unknown';
  return address.includes(':') ? `"[${address}]"` : address;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

let lastText = '';
let lastToken = '';

/** A host with a port is no token and has to be quoted. PERF: most requests name the same host as the one before. */
function token(text: string): string {
  if (text === lastText) return lastToken;
  lastText = text;
  return (lastToken = TOKEN.test(text) ? text : quoted(text));
}
