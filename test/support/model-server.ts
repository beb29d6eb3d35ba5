/**
 * A provider of language models in the shape of OpenAI's API, for tests: says which model it was asked for, counts tokens
 * as it is told, and fails on demand. `x-behave` of a request says how, for the server of a name or for `all`:
 * `one=429`, `two=close`, `all=silent`, `one=head` (a head and no byte), `one=cut` (two chunks, then the connection breaks), `all=endless`, `all=gzip`.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

export interface Asked {
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Record<string, unknown>;
  readonly text: string;
}

export interface ModelServer {
  readonly name: string;
  readonly url: string;
  readonly asked: Asked[];
  /** Resolves when the client of an endless stream was seen to leave. */
  readonly left: () => Promise<void>;
  stop(): void;
}

export const INPUT = 11;
export const OUTPUT = 7;
export const WORDS = ['Hé', 'llo', ' 🦀'];

export async function startModelServer(name: string): Promise<ModelServer> {
  const asked: Asked[] = [];
  let leave = (): void => {};
  let left = new Promise<void>((resolve) => (leave = resolve));
  const server: Server = createServer((request, response) => {
    void bodyOf(request).then((text) => {
      const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
      asked.push({ url: request.url ?? '', headers: request.headers, body, text });
      answer(behaviour(name, request), request, response, body, leave);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    name,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    left: async () => {
      await left;
      left = new Promise((resolve) => (leave = resolve));
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function behaviour(name: string, { headers }: IncomingMessage): string {
  for (const part of String(headers['x-behave'] ?? '').split(',')) {
    const [who, what = ''] = part.trim().split('=');
    if (who === name || who === 'all') return what;
  }
  return '';
}

const USAGE = { prompt_tokens: INPUT, completion_tokens: OUTPUT, total_tokens: INPUT + OUTPUT, prompt_tokens_details: { cached_tokens: 4 }, completion_tokens_details: { reasoning_tokens: 3 } }; // prettier-ignore

function answer(
  how: string,
  request: IncomingMessage,
  response: ServerResponse,
  body: Record<string, unknown>,
  leave: () => void,
): void {
  const path = request.url ?? '';
  if (/^[0-9]{3}$/.test(how)) return void json(response, { error: { message: 'no', type: 'test' } }, Number(how));
  if (how === 'close') return void request.socket.destroy();
  if (how === 'silent') return;
  if (how === 'head') return void response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  if (path.includes('/messages')) return anthropic(response, body);
  if (path.includes(':')) return gemini(response, path);
  if (request.method === 'GET') return json(response, { object: 'list', data: [{ id: 'gpt-4o', object: 'model' }] });
  if (path.endsWith('/responses')) return responses(response);
  if (path.endsWith('/embeddings'))
    return json(response, {
      object: 'list',
      data: [{ embedding: [0.5, 1] }],
      usage: { prompt_tokens: 8, total_tokens: 8 },
    });
  if (body['stream'] !== true) {
    const choices = [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: WORDS.join('') } }];
    const whole = { id: 'c', object: 'chat.completion', model: body['model'], choices, usage: USAGE };
    if (how !== 'gzip') return json(response, whole);
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
    return void response.end(gzipSync(JSON.stringify(whole)));
  }
  const asks = (body['stream_options'] as Record<string, unknown> | undefined)?.['include_usage'] === true;
  const chunk = (choices: object[], usage: object | null = null): string =>
    `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: body['model'], choices, ...(asks && { usage }) })}\n\n`;
  const word = (content: string): string => chunk([{ index: 0, delta: { content } }]);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  if (how === 'endless') {
    const timer = setInterval(() => response.write(word('more ')), 20);
    response.on('close', () => {
      clearInterval(timer);
      leave();
    });
    return;
  }
  if (how === 'cut') {
    response.write(word(WORDS[0]!));
    response.write(word(WORDS[1]!), () => setTimeout(() => request.socket.destroy(), 50));
    return;
  }
  const text =
    WORDS.map(word).join('') +
    chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]) +
    (asks ? chunk([], USAGE) : '') +
    'data: [DONE]\n\n';
  // In pieces that end inside of events and of characters.
  void pieces(response, Buffer.from(text), 37);
}

async function pieces(response: ServerResponse, bytes: Buffer, size: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) {
    response.write(bytes.subarray(at, at + size));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  response.end();
}

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function events(response: ServerResponse, ...data: object[]): void {
  const text = data.map((one) => `event: ${(one as { type?: string }).type ?? 'x'}\ndata: ${JSON.stringify(one)}\n\n`);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  void pieces(response, Buffer.from(text.join('')), 41);
}

function anthropic(response: ServerResponse, body: Record<string, unknown>): void {
  const usage = { input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 1 };
  if (body['stream'] !== true)
    return json(response, {
      type: 'message',
      content: [{ type: 'text', text: 'Hi' }],
      usage: { ...usage, output_tokens: 6 },
    });
  events(
    response,
    { type: 'message_start', message: { id: 'm', content: [], usage } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 6 } },
    { type: 'message_stop' },
  );
}

function gemini(response: ServerResponse, path: string): void {
  const last = { candidates: [{ content: { parts: [{ text: 'Hi' }] }, finishReason: 'STOP' }], usageMetadata: { promptTokenCount: 8, candidatesTokenCount: 4, thoughtsTokenCount: 30 } }; // prettier-ignore
  if (path.includes(':stream')) return events(response, last);
  json(response, last);
}

function responses(response: ServerResponse): void {
  const usage = { input_tokens: 36, output_tokens: 87, output_tokens_details: { reasoning_tokens: 64 } };
  events(
    response,
    { type: 'response.created', response: { id: 'r', usage: null } },
    { type: 'response.output_text.delta', delta: 'Hi' },
    { type: 'response.completed', response: { id: 'r', usage } },
  );
}
