/**
 * Answers that the gateway makes itself: RFC 9457 problem details, HTML where a browser asks, and RFC 9209 Proxy-Status.
 * The one place that turns a verdict into bytes.
 */
import type { Exchange } from './exchange.ts';
import { quoted } from './text.ts';
import type { Verdict } from './verdict.ts';

/** SPEC: RFC 9209 section 2.3: proxy error types that occur here. */
export type ProxyError =
  | ''
  | 'http_request_denied'
  | 'http_request_error'
  | 'http_response_timeout'
  | 'http_protocol_error'
  | 'http_response_incomplete'
  | 'connection_terminated'
  | 'destination_unavailable'
  | 'proxy_configuration_error'
  | 'proxy_internal_error'
  | 'proxy_internal_response'
  | 'proxy_loop_detected';

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  417: 'Expectation Failed',
  418: "I'm a teapot",
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  508: 'Loop Detected',
};

/** Records an enforced verdict and answers the exchange with it. `rpc`: what its JSON-RPC error says, where it is one. */
export function refuse(exchange: Exchange, verdict: Verdict, error: ProxyError, rpc?: RpcError): void {
  exchange.verdicts.push(verdict);
  const status = exchange.plan === null || exchange.plan.proxyStatus ? error : '';
  exchange.response =
    exchange.rpc === null
      ? problem(exchange.id, exchange.request.method, exchange.seen.accept, verdict, status)
      : rpcProblem(exchange.id, exchange.rpc.id, verdict, status, rpc);
  exchange.owned = true;
}

export interface RpcError {
  readonly code: number;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Codes beside those of JSON-RPC and its protocols are the HTTP status. `id` undefined: of no request that could be read. */
function rpcProblem(
  id: string,
  call: string | number | undefined,
  verdict: Pick<Verdict, 'status' | 'reason'>,
  error: ProxyError,
  rpc: RpcError = { code: verdict.status },
): Response {
  const { status, reason } = verdict;
  const body = {
    jsonrpc: '2.0',
    ...(call !== undefined && { id: call }),
    error: { code: rpc.code, message: reason, data: { requestId: id, ...rpc.data } },
  };
  return new Response(JSON.stringify(body) + '\n', {
    status,
    headers: headersOf(id, 'application/json', verdict, error),
  });
}

/** A problem as a response. `error` '' leaves Proxy-Status out. */
export function problem(
  id: string,
  method: string,
  accept: string,
  verdict: Pick<Verdict, 'status' | 'reason' | 'rule'>,
  error: ProxyError,
): Response {
  const { status, reason } = verdict;
  const title = TITLES[status] ?? (status < 500 ? 'Request Refused' : 'Gateway Error');
  const html = wantsHtml(accept);
  const headers = headersOf(id, html ? 'text/html; charset=utf-8' : 'application/problem+json', verdict, error);
  const body = html
    ? page(status, title, reason, id)
    : JSON.stringify({ type: 'about:blank', title, status, detail: reason, requestId: id }) + '\n';
  if (method === 'HEAD') return new Response(null, { status, headers });
  return new Response(body, { status, headers });
}

function headersOf(
  id: string,
  type: string,
  { status, reason }: Pick<Verdict, 'status' | 'reason'>,
  error: ProxyError,
): Headers {
  const headers = new Headers();
  headers.set('content-type', type);
  headers.set('cache-control', 'no-store');
  headers.set('x-request-id', id);
  if (error !== '') headers.set('proxy-status', `sallyport; error=${error}; details=${quoted(reason)}`);
  if (status === 503) headers.set('retry-after', '1');
  return headers;
}

/** SPEC: RFC 9110 section 12.5.1, as far as it tells a browser (`text/html` first) from a program. */
export function wantsHtml(accept: string): boolean {
  const html = accept.indexOf('text/html');
  if (html < 0) return false;
  const json = accept.indexOf('json');
  return json < 0 || html < json;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c);

function page(status: number, title: string, reason: string, id: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${status} ${escapeHtml(title)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}code{font-size:.875em}</style>
<h1>${status} ${escapeHtml(title)}</h1>
<p>${escapeHtml(reason)}</p>
<p><code>${escapeHtml(id)}</code></p>
</html>
`;
}
