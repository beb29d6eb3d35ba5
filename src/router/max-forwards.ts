/**
 * SPEC: RFC 9110 section 7.6.2: an intermediary spends one of Max-Forwards on OPTIONS and TRACE, and at 0 answers in the
 * place of the origin. Other methods, and values that are no number, go on as they are.
 */
import type { Exchange } from './exchange.ts';
import { refuse } from './problem.ts';

const DIGITS = /^[0-9]{1,9}$/;

/** Spends one forward of the request that `headers` belong to; sets `exchange.response` when none is left. */
export function spendForward(exchange: Exchange, headers: Headers): void {
  const { method } = exchange.request;
  if (method !== 'OPTIONS' && method !== 'TRACE') return;
  const value = headers.get('max-forwards');
  if (value === null || !DIGITS.test(value)) return;
  if (Number(value) > 0) return headers.set('max-forwards', String(Number(value) - 1));
  const reason = 'Max-Forwards ends here';
  const verdict = { action: 'respond', phase: 'rewrite', rule: 'max-forwards', reason, mode: 'enforce' } as const;
  // A TRACE that is answered shows a script the cookies that are kept from it.
  if (method === 'TRACE') return refuse(exchange, { ...verdict, status: 501 }, 'http_request_denied');
  exchange.response = new Response(null, { status: 200, headers: { 'content-length': '0' } });
  exchange.owned = true;
  exchange.verdicts.push({ ...verdict, status: 200 });
}
