/**
 * One HTTP request without a kept connection: how the supervisor talks to workerd, and commands to a deployment, over a
 * unix socket or by URL.
 */
import { request, type RequestOptions } from 'node:http';
import { request as secureRequest } from 'node:https';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

const MAX_ANSWER_BYTES = 16 * 1048576;

/** Rejects when nobody listens, or when the whole answer is not there within `timeout` ms. */
export function unixRequest(
  socketPath: string,
  method: string,
  path: string,
  body: string | undefined,
  timeout: number,
): Promise<Answer> {
  const headers =
    body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return exchange(request, { socketPath, method, path, headers }, body, timeout);
}

/** Redirects are not followed: what is signed is signed for one place. */
export function urlRequest(
  url: URL,
  method: string,
  headers: Readonly<Record<string, string>>,
  timeout: number,
  body?: string,
): Promise<Answer> {
  const secure = url.protocol === 'https:';
  const options = {
    // SPEC: RFC 6761 section 6.3: names under localhost are this machine, whatever the resolver knows of them.
    host: url.hostname.endsWith('.localhost') ? '127.0.0.1' : url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    ...(secure && !/^[[\d]/.test(url.hostname) && { servername: url.hostname }),
    method,
    path: `${url.pathname}${url.search}`,
    headers: {
      ...headers,
      ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
      host: url.host,
    },
  };
  return exchange(secure ? secureRequest : request, options, body, timeout);
}

function exchange(
  send: typeof request,
  options: RequestOptions,
  body: string | undefined,
  timeout: number,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // No agent: a kept connection would hold a draining process open.
    const outgoing = send({ ...options, agent: false, signal: AbortSignal.timeout(timeout) }, (answer) => {
      const parts: Buffer[] = [];
      let size = 0;
      answer.on('data', (part: Buffer) => {
        size += part.length;
        if (size > MAX_ANSWER_BYTES) outgoing.destroy(new Error('the answer is too long'));
        else parts.push(part);
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }));
      answer.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
