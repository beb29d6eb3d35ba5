/** What every call of the control API needs: what it is about, its body, refusals, and a line in the log. */
import type { Env } from '../platform/bindings.ts';
import type { Platform } from '../platform/platform.ts';
import { requestId } from '../router/exchange.ts';
import type { Generations } from '../router/generation.ts';
import { problem } from '../router/problem.ts';

export interface ControlContext {
  readonly generations: Generations;
  readonly platform: Platform;
  readonly env: Env;
}

/** The whole body, or null when it has more than `limit` bytes. */
export async function readBytes(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer> | null> {
  if (request.body === null) return new Uint8Array();
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > limit) {
      await reader.cancel();
      return null;
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

export function refuse(request: Request, status: number, reason: string): Response {
  return problem(requestId(), request.method, 'application/json', { status, reason, rule: '' }, '');
}

export function log(event: string, facts: Record<string, unknown>): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), control: event, ...facts }));
}
