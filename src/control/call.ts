/** What every call of the control API needs: what it is about, its body, refusals, and a line in the log. */
import { readBytes } from '../bytes.ts';
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
export function readBody(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer> | null> {
  return readBytes(request.body as ReadableStream<Uint8Array> | null, limit);
}

export function refuse(request: Request, status: number, reason: string): Response {
  return problem(requestId(), request.method, 'application/json', { status, reason, rule: '' }, '');
}

export function log(event: string, facts: Record<string, unknown>): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), control: event, ...facts }));
}
