/**
 * Phase `match`: the engine's head call. In one crossing: host to app, canonical path, client address, agent class, route,
 * header inspection, rules of stage head. Then what follows from it: the action of the route, and which of its weighted
 * backends takes the request, since that backend may bring filters of its own.
 */
import {
  EFFECT_INSPECTION,
  MODE_ENFORCE,
  OUTCOME_LIMIT,
  OUTCOME_NO_APP,
  OUTCOME_NO_ROUTE,
  OUTCOME_OK,
  REASON_ARENA,
  REASON_ARGS,
  REASON_CLIENT,
  REASON_CONTROL,
  REASON_ESCAPED_SLASH,
  REASON_HEADERS,
  REASON_HOST,
  REASON_SEPARATOR,
  REASON_STEPS,
  REASON_TRAP,
  REASON_VALUES,
  REASON_URL,
  REASON_URL_LENGTH,
} from '../../assembly/abi.ts';
import type { HeadResult } from '../waf/engine.ts';
import { draw } from './balance.ts';
import { loops } from './cdn-loop.ts';
import { confirmed } from './confirm.ts';
import type { Exchange, Phase } from './exchange.ts';
import { type ProxyError, refuse } from './problem.ts';
import { INSPECTION, inspectionVerdict, judge } from './rules.ts';
import { hasDocument } from './site.ts';
import { judgeWaf, startWaf } from './waf.ts';

const REFUSALS: Readonly<Record<number, { status: number; reason: string }>> = {
  ...INSPECTION,
  [REASON_SEPARATOR]: { status: 400, reason: 'a header holds a NUL byte' },
  [REASON_HOST]: { status: 400, reason: 'the Host header is missing, doubled or malformed' },
  [REASON_URL]: { status: 400, reason: 'the request target is malformed' },
  [REASON_CONTROL]: { status: 400, reason: 'a header holds a control character' },
  [REASON_ESCAPED_SLASH]: { status: 400, reason: 'the path holds an escaped slash' },
  [REASON_HEADERS]: { status: 431, reason: 'the request head is too large' },
  [REASON_CLIENT]: { status: 403, reason: 'the client address could not be established' },
  [REASON_URL_LENGTH]: { status: 414, reason: 'the URL is too long' },
  [REASON_STEPS]: { status: 431, reason: 'the request head takes too many steps to judge' },
  [REASON_ARGS]: { status: 431, reason: 'there are too many parameters or cookies' },
  [REASON_VALUES]: { status: 431, reason: 'the request holds too many values to judge' },
  [REASON_TRAP]: { status: 500, reason: 'the gateway failed to judge this request' },
  [REASON_ARENA]: { status: 431, reason: 'the request head takes too much memory to judge' },
};

export const match: Phase = {
  name: 'match',
  run(exchange) {
    const { engine, generation, head, seed, now, request } = exchange;
    const result = confirmed(exchange, engine.head(generation, head, seed, now, request.body !== null));
    exchange.result = result;
    exchange.state = result.state;
    const plan = result.app < 0 ? undefined : exchange.generation.apps[result.app];
    if (plan !== undefined) {
      exchange.plan = plan;
      exchange.target.path = result.path;
      exchange.target.query = result.query;
      if (result.trusted) trust(exchange);
      if (result.route >= 0) {
        exchange.routeName = plan.routeNames[result.route] ?? '';
        const action = plan.actions[plan.routeActions[result.route] ?? -1];
        if (action === undefined) throw new Error(`route ${result.route} has no action`);
        exchange.action = action;
        exchange.filters = action.filters;
        if (action.waf >= 0) startWaf(exchange, plan);
        const drawn = draw(action.backends);
        if (drawn !== null) {
          exchange.backend = drawn.backend;
          if (drawn.filters.length > 0) exchange.filters = [...action.filters, ...drawn.filters];
        }
      }
      if (exchange.seen.loop !== '' && loops(exchange.seen.loop, plan.cdnLoop.id) >= plan.cdnLoop.max) {
        const reason = 'the request has passed this gateway already';
        refuse(
          exchange,
          { action: 'block', phase: 'sanitize', rule: 'cdn-loop', status: 508, reason, mode: 'enforce' },
          'proxy_loop_detected',
        );
        return;
      }
      if (result.effects.length > 0 || result.terminal !== 0) {
        judge(exchange, plan, result.effects, result.terminal, result.rule);
        if (exchange.response !== null) return;
      }
      if (result.waf !== null) {
        judgeWaf(exchange, result.waf, 'request');
        if (exchange.response !== null) return;
      }
    }
    if (result.outcome === OUTCOME_OK) return;
    // Answered beside the routes, in phase robots.
    const site = exchange.plan?.site ?? null;
    if (result.outcome === OUTCOME_NO_ROUTE && site !== null && hasDocument(site, result.path)) return;
    unacceptable(exchange, result);
  },
};

/** A trusted proxy in front of us knows the scheme that the client used. Host is the one it sends: routes match that. */
function trust(exchange: Exchange): void {
  const { seen } = exchange;
  const scheme = seen.forwardedProto.toLowerCase();
  if (scheme === 'http' || scheme === 'https') exchange.scheme = scheme;
}

function unacceptable(exchange: Exchange, result: HeadResult): void {
  const { outcome, reason } = result;
  if (outcome === OUTCOME_NO_APP)
    return deny(exchange, 404, 'host', 'no application has this host name', 'http_request_denied');
  if (outcome === OUTCOME_NO_ROUTE) return deny(exchange, 404, 'route', 'no route matches', 'http_request_denied');
  const inspection = INSPECTION[reason];
  if (inspection !== undefined && exchange.plan !== null) {
    const effect = result.effects.find(
      (e) => e.kind === EFFECT_INSPECTION && e.mode === MODE_ENFORCE && e.a === reason,
    );
    if (effect !== undefined) return refuse(exchange, inspectionVerdict(exchange.plan, effect), 'http_request_denied');
  }
  const refusal = REFUSALS[reason] ?? { status: 400, reason: 'the request is not acceptable' };
  const rule = outcome === OUTCOME_LIMIT ? 'limit' : 'head';
  deny(
    exchange,
    refusal.status,
    rule,
    refusal.reason,
    refusal.status < 500 ? 'http_request_error' : 'proxy_internal_error',
  );
}

function deny(exchange: Exchange, status: number, rule: string, reason: string, error: ProxyError): void {
  refuse(exchange, { action: 'block', phase: 'match', rule, status, reason, mode: 'enforce' }, error);
}
