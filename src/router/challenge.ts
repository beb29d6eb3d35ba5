/** Challenges: a page for browsers, 403 for all others. The decisions are those of src/agents/challenge.ts. */
import { challengeKey } from '../agents/challenge-secret.ts';
import { CHALLENGE_NAME, judgeChallenge, networkOf, splitToken, type ChallengeOutcome } from '../agents/challenge.ts';
import { CHALLENGE_WAIT_SECONDS, LIMITER_TIMEOUT_MS, PASS_SECONDS } from '../agents/limits.ts';
import { splitUrl } from '../agents/message.ts';
import { cookieOf } from './cookie.ts';
import type { Demand } from './demand.ts';
import type { Exchange } from './exchange.ts';
import { patiently } from './open-exchanges.ts';
import { isWellKnown } from './path.ts';
import { refuse, escapeHtml, wantsHtml } from './problem.ts';
import { safeUrl } from './text.ts';

/** Exchanges whose client has passed: of several rules that challenge, the first does. */
const passed = new WeakSet<Exchange>();

/** What programs alone read, and have to be able to: 403 for robots.txt means that all is allowed (RFC 9309 section 2.3.1.3). */
const forPrograms = (path: string): boolean => path === '/robots.txt' || isWellKnown(path);

/** Answers the exchange unless its client has passed. */
export async function settleChallenge(exchange: Exchange, demand: Demand): Promise<void> {
  if (passed.has(exchange) || forPrograms(exchange.target.path)) return;
  const { seen, request, plan, platform, result } = exchange;
  const { path, query: asked } = splitUrl(exchange.url);
  const { query, token } = splitToken(asked);
  const key = await patiently(
    exchange,
    challengeKey(platform.limiter ?? null).catch(() => null),
    LIMITER_TIMEOUT_MS,
  );
  if (key === null) return deny(exchange, demand, 503, 'this client can not be asked who it is at the moment');
  const outcome = await judgeChallenge(key, {
    now: exchange.now,
    cookie: cookieOf(seen.cookie, CHALLENGE_NAME),
    token,
    client: `${networkOf(result?.client ?? '')} ${request.headers.get('user-agent') ?? ''}`,
    scope: plan?.app ?? '',
    // As the browser comes back with it.
    place: `${exchange.authority} ${safeUrl(path + query)}`,
    navigates: navigates(exchange),
  });
  switch (outcome.is) {
    case 'passed':
      passed.add(exchange);
      return hideCookie(exchange);
    case 'refused':
      return deny(exchange, demand, demand.rule.status, REASONS[outcome.why](demand.rule.reason));
    case 'return':
      return redirect(exchange, demand, path, query, '', '');
    case 'done':
      return redirect(exchange, demand, path, query, outcome.token, outcome.cookie);
    case 'page':
      return page(exchange, demand, query, outcome);
  }
}

const REASONS: Readonly<Record<Extract<ChallengeOutcome, { is: 'refused' }>['why'], (own: string) => string>> = {
  'not-a-page': (own) => own,
  cookies: () => 'this site needs a cookie to know your browser again; allow cookies for it, then open the page again',
  changes: () => 'your browser could not be known again: its address or its name keeps changing',
  tries: () => 'your browser could not be checked',
};

/** A browser on its way to a page. Programs that read data, and the parts of a page, can not be shown one. */
function navigates({ request, seen }: Exchange): boolean {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false;
  const mode = request.headers.get('sec-fetch-mode');
  return wantsHtml(seen.accept) && (mode === null || mode === 'navigate') && seen.upgrade === '';
}

function deny(exchange: Exchange, { rule, evidence }: Demand, status: number, reason: string): void {
  const error = status === 503 ? 'destination_unavailable' : 'http_request_denied';
  const verdict = { action: 'block', phase: 'limit', rule: rule.name, status, reason, mode: 'enforce' } as const;
  refuse(exchange, { ...verdict, ...(evidence !== undefined && { evidence }) }, error);
}

/** The origin has no use for it, and is not to write it into its logs. */
function hideCookie(exchange: Exchange): void {
  const { seen } = exchange;
  const rest = seen.cookie
    .split(';')
    .map((one) => one.trim())
    .filter((one) => !one.startsWith(`${CHALLENGE_NAME}=`))
    .join('; ');
  seen.cookie = rest;
  seen.cookieFixed = rest !== '';
  if (rest === '') exchange.dropped.push('cookie');
}

function redirect(
  exchange: Exchange,
  demand: Demand,
  path: string,
  query: string,
  token: string,
  cookie: string,
): void {
  // SAFETY: never another host. `//host/` would be one, `/.//host/` is a path; backslashes are escaped by safeUrl.
  const safe = safeUrl((path.startsWith('//') ? '/.' : '') + (path === '' ? '/' : path) + withToken(query, token));
  note(exchange, demand, 303, token === '' ? 'the challenge was passed' : 'the challenge is passed');
  const headers = headersOf(exchange, cookie);
  headers.set('location', safe);
  exchange.response = new Response(null, { status: 303, headers });
  exchange.owned = true;
}

function withToken(query: string, token: string): string {
  if (token === '') return query;
  return `${query}${query === '' ? '?' : '&'}${CHALLENGE_NAME}=${token}`;
}

function headersOf({ id, scheme }: Exchange, cookie: string): Headers {
  const headers = new Headers({ 'cache-control': 'no-store', 'x-request-id': id });
  if (cookie === '') return headers;
  const secure = scheme === 'https' ? '; Secure' : '';
  headers.set(
    'set-cookie',
    `${CHALLENGE_NAME}=${cookie}; Path=/; Max-Age=${PASS_SECONDS}; HttpOnly; SameSite=Lax${secure}`,
  );
  return headers;
}

function note(exchange: Exchange, { rule, evidence }: Demand, status: number, reason: string): void {
  const verdict = { action: 'respond', phase: 'limit', rule: rule.name, status, reason, mode: 'enforce' } as const;
  exchange.verdicts.push({ ...verdict, ...(evidence !== undefined && { evidence }) });
}

/**
 * The page loads itself again by a reference that is a query alone: that can lead to no other host and no other path. The
 * same is a link, for browsers that do not go by themselves.
 */
function page(
  exchange: Exchange,
  demand: Demand,
  query: string,
  { token, cookie }: Extract<ChallengeOutcome, { is: 'page' }>,
): void {
  const { id, request } = exchange;
  const headers = headersOf(exchange, cookie);
  headers.set('content-type', 'text/html; charset=utf-8');
  headers.set(
    'content-security-policy',
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
  );
  headers.set('x-robots-tag', 'noindex');
  const to = escapeHtml(safeUrl(withToken(query, token)));
  note(exchange, demand, demand.rule.status, 'a challenge');
  const text = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="${CHALLENGE_WAIT_SECONDS + 1}; url=${to}">
<title>One moment</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}code{font-size:.875em}</style>
<h1>One moment</h1>
<p>This page comes in a few seconds, by itself. If it does not, wait for three of them and <a href="${to}">go on</a>.</p>
<p><code>${escapeHtml(id)}</code></p>
</html>
`;
  exchange.response = new Response(request.method === 'HEAD' ? null : text, { status: demand.rule.status, headers });
  exchange.owned = true;
}
