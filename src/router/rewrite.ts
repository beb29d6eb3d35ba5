/**
 * Phase `rewrite`: the request as it will go out. Order: hop-by-hop and gateway headers; then filters of the route and of the
 * drawn backend, in their order; then what rules rewrite. Rules come last, so they see the request as the client sent it
 * and have the last word on what is forwarded. Nothing is matched again.
 */
import {
  EFFECT_RULE,
  EFFECT_VALUE,
  ACTION_REWRITE,
  VALUE_HEADER,
  VALUE_PATH,
  VALUE_QUERY,
} from '../../assembly/abi.ts';
import type { Filter } from '../plan.ts';
import type { Effect } from '../waf/engine.ts';
import type { Exchange, Phase } from './exchange.ts';
import { applyForwarded } from './forwarded.ts';
import { applyChange, SecretError } from './header-change.ts';
import { dropCredentials, prepareLlm } from './llm.ts';
import { askForPage, asksForMarkdown } from './markdown.ts';
import { spendForward } from './max-forwards.ts';
import { cutsLists } from './mcp-listing.ts';
import { replacePath, withoutDots } from './path.ts';
import { refuse } from './problem.ts';
import { safeUrl, safeValue } from './text.ts';

export const rewrite: Phase = {
  name: 'rewrite',
  run(exchange) {
    const { llm, action } = exchange;
    const target = llm === null ? exchange.target : { ...exchange.target };
    try {
      exchange.outgoing = written(exchange, exchange.filters);
      if (exchange.response !== null) return;
      // What filters of the drawn backend write is for that one alone, keys among it.
      if (llm !== null && llm.plan.failover.length > 0 && action !== null && exchange.filters !== action.filters) {
        const first = exchange.target;
        exchange.target = target;
        llm.shared = { headers: written(exchange, action.filters), target };
        exchange.target = first;
      }
      prepareLlm(exchange);
    } catch (error) {
      unresolved(exchange, error);
    }
  },
};

/** Headers as they go out; writes the target too, and `exchange.response` where the request ends here. Throws SecretError. */
function written(exchange: Exchange, filters: readonly Filter[]): Headers {
  const { request, seen, dropped, platform, llm } = exchange;
  // PERF: a native copy and a few changes cost less than a new Headers filled line by line, and keep doubled lines.
  const headers = new Headers(request.headers);
  for (const name of dropped) headers.delete(name);
  if (seen.cookieFixed) headers.set('cookie', seen.cookie);
  headers.set('x-request-id', exchange.id);
  applyForwarded(exchange, headers);
  if (llm !== null) dropCredentials(exchange, llm, headers);
  spendForward(exchange, headers);
  if (exchange.response !== null) return headers;
  for (const filter of filters) {
    if (filter.type === 'requestHeaders') applyChange(headers, filter.change, platform);
    else if (filter.type === 'rewrite') {
      const { hostname, path } = filter.rewrite;
      if (hostname !== null) exchange.target.host = hostname;
      if (path !== null)
        exchange.target.path = replacePath(path, exchange.target.path, exchange.result?.prefixLength ?? 0);
    }
  }
  const effects = exchange.result?.effects;
  if (effects !== undefined && effects.length > 0) applyRules(exchange, headers, effects);
  if (exchange.bodyEffects.length > 0) applyRules(exchange, headers, exchange.bodyEffects);
  const markdown = asksForMarkdown(exchange);
  if (markdown) askForPage(headers);
  if (markdown || (exchange.waf !== null && exchange.waf.plan.response !== null)) readableEncodings(headers);
  if (exchange.mcp !== null && cutsLists(exchange)) headers.set('accept-encoding', 'identity');
  // Of a card something changes, and ids of tasks are read.
  if (exchange.a2a !== null) headers.set('accept-encoding', 'identity');
  if (llm === null) return headers;
  // What is stripped must come as it is; what is only counted may be compressed.
  if (llm.strips) headers.set('accept-encoding', 'identity');
  else if (llm.request !== null) readableEncodings(headers);
  return headers;
}

/** A secret is not set, or can't be a header. */
function unresolved(exchange: Exchange, error: unknown): void {
  if (!(error instanceof SecretError)) throw error;
  console.error(JSON.stringify({ level: 'error', id: exchange.id, message: error.message }));
  const reason = 'the gateway is not set up for this route';
  refuse(
    exchange,
    { action: 'block', phase: 'rewrite', rule: exchange.routeName, status: 500, reason, mode: 'enforce' },
    'proxy_configuration_error',
  );
}

function applyRules(exchange: Exchange, headers: Headers, effects: readonly Effect[]): void {
  const rules = exchange.plan?.rules ?? [];
  for (const effect of effects) {
    const rule = rules[effect.index];
    if (rule === undefined || rule.action !== 'rewrite' || rule.mode !== 'enforce') continue;
    if (effect.kind === EFFECT_RULE && effect.a === ACTION_REWRITE)
      for (const name of rule.removeHeaders) headers.delete(name);
    if (effect.kind !== EFFECT_VALUE) continue;
    if (effect.a === VALUE_PATH) exchange.target.path = pathOf(effect.value);
    else if (effect.a === VALUE_QUERY) exchange.target.query = queryOf(effect.value);
    else if (effect.a === VALUE_HEADER) {
      const name = rule.headers[effect.b];
      if (name !== undefined) headers.set(name, safeValue(effect.value));
    }
  }
}

/** An answer that is to be looked at comes in an encoding that this runtime takes apart, or in none. */
function readableEncodings(headers: Headers): void {
  const accepted = headers.get('accept-encoding');
  if (accepted === null) return;
  const readable = accepted.split(',').filter((part) => /^\s*(?:x-)?gzip\s*(?:;|$)|^\s*deflate\s*(?:;|$)/i.test(part));
  headers.set('accept-encoding', readable.length === 0 ? 'identity' : readable.map((part) => part.trim()).join(', '));
}

/**
 * A computed path: always absolute; `?` and `#` would end it, so they are encoded. Cutting `/app` off `/app../admin`
 * makes dot segments that the canonical path did not have, and they would lead out of the base path of the backend.
 */
function pathOf(value: string): string {
  const path = safeUrl(value).replace(/[?#]/g, (c) => (c === '?' ? '%3F' : '%23'));
  return withoutDots(path.startsWith('/') ? path : '/' + path);
}

/** A computed query, with or without `?`. */
function queryOf(value: string): string {
  const query = safeUrl(value.startsWith('?') ? value.slice(1) : value).replace(/#/g, '%23');
  return query === '' ? '' : '?' + query;
}
