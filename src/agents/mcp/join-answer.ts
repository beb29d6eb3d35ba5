/** Answers to clients of a joined endpoint: one server's, rewritten as it passes, or one of our own. */
import type { McpServerPlan } from '../../plan.ts';
import { failure } from './join-list.ts';
import { fromServer, type Message } from './join-rewrite.ts';
import { mediaType, readResponse, ServerFailure } from './join-server.ts';
import { type Rewrite, weave } from './join-stream.ts';

/** Headers of a server's answer that are the client's to see. */
const KEPT = ['cache-control', 'x-accel-buffering', 'retry-after', 'www-authenticate'];
export const INTERNAL_ERROR = -32603;

export function json(status: number, body: string, more: Readonly<Record<string, string>> = {}): Response {
  return new Response(body, {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...more },
  });
}

export function accepted(): Response {
  return new Response(null, { status: 202 });
}

/**
 * The answer of a server to a client's request. `also` changes messages further; `done` is called once, when it is over.
 * A stream is passed on as it comes.
 */
export async function passAnswer(
  server: McpServerPlan,
  request: Message,
  response: Response,
  also: (message: string, isResponse: boolean) => string | null = (text) => text,
  done: () => void = () => {},
): Promise<Response> {
  const headers = new Headers();
  for (const name of KEPT) {
    const value = response.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  const rewrite: Rewrite = (message) => also(fromServer(server, message), message.method === '');
  const { body, status } = response;
  if (body !== null && mediaType(response) === 'text/event-stream') {
    headers.set('content-type', 'text/event-stream');
    headers.set('x-accel-buffering', 'no');
    const source = { server, body: body as ReadableStream<Uint8Array>, rewrite };
    return new Response(weave('answer', [source], { done: () => (done(), null) }), { status, headers });
  }
  try {
    // A refusal of what stands before the server has any form.
    if (mediaType(response) !== 'application/json')
      throw new ServerFailure(`it answered ${status} with what is no JSON-RPC`);
    const text = rewrite(await readResponse(response)) ?? failure(request, INTERNAL_ERROR, 'the server gave no answer');
    headers.set('content-type', 'application/json');
    return new Response(text, { status, headers });
  } catch (error) {
    body?.cancel().catch(() => {});
    if (!(error instanceof ServerFailure)) throw error;
    const shown = status >= 400 ? status : 502;
    headers.set('content-type', 'application/json');
    return new Response(
      failure(request, INTERNAL_ERROR, `the server ${server.name} gave no answer: ${error.message}`),
      {
        status: shown,
        headers,
      },
    );
  } finally {
    done();
  }
}

/** When every server fails. */
export function nobody(message: Message): Response {
  return json(503, failure(message, INTERNAL_ERROR, 'no server of this endpoint answers'), { 'retry-after': '1' });
}
