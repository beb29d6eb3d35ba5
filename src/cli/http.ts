/** One HTTP request over a unix socket: how the supervisor talks to workerd, and commands to the supervisor. */
import { request } from 'node:http';

export interface UnixResponse {
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
): Promise<UnixResponse> {
  return new Promise((resolve, reject) => {
    const headers =
      body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    // No agent: a kept connection would hold a draining process open.
    const outgoing = request(
      { socketPath, method, path, headers, agent: false, signal: AbortSignal.timeout(timeout) },
      (answer) => {
        const parts: Buffer[] = [];
        let size = 0;
        answer.on('data', (part: Buffer) => {
          size += part.length;
          if (size > MAX_ANSWER_BYTES) outgoing.destroy(new Error('the answer is too long'));
          else parts.push(part);
        });
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
        );
        answer.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
