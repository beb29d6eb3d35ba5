/** An exchange as those see it who look at it live: secrets hidden, unless they may see all. */
import type { Exchange } from './exchange.ts';
import type { Fields, RequestHead } from './head.ts';
import { redactedFields, redactedTarget } from './redact.ts';

/** `heads`: no bodies; `bodies`: with bodies; `all`: with secrets too. */
export type Inspection = 'heads' | 'bodies' | 'all';

/** An exchange as it is served; what is not known yet is null. */
export interface Shown {
  readonly id: number;
  readonly kind: Exchange['kind'];
  readonly service: string;
  readonly started: string; // ISO
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly status: number | null;
  readonly milliseconds: number | null; // to the head of the answer
  readonly total: number | null; // to the end
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly error: string;
}

/** A socket that is open, as somebody sees it who begins to look. */
export interface ShownSocket extends Pick<Shown, 'kind' | 'service' | 'started' | 'host' | 'target'> {
  readonly kind: 'websocket' | 'tcp';
}

const MAX_SHOWN_TARGET = 256; // characters that are kept of an open socket's target

export interface ShownBody {
  readonly bytes: number;
  readonly truncated: boolean;
  /** Text where it is UTF-8, base64 where it is not. */
  readonly text?: string;
  readonly base64?: string;
}

export interface ShownWhole extends Shown {
  readonly requestFields: Fields;
  readonly reason: string;
  readonly responseFields: Fields;
  readonly requestBody: ShownBody | null;
  readonly responseBody: ShownBody | null;
}

export function shown(exchange: Exchange, inspection: Inspection = 'heads'): Shown {
  const { id, kind, service, request, response, started, answeredAfter, endedAfter, bytesIn, bytesOut, error } =
    exchange;
  return {
    id,
    kind,
    service,
    started: new Date(started).toISOString(),
    method: request?.method ?? '',
    target: inspection === 'all' ? (request?.target ?? '') : redactedTarget(request?.target ?? ''),
    host: hostOf(request),
    status: response?.status ?? null,
    milliseconds: response === null ? null : round(answeredAfter),
    total: endedAfter === 0 ? null : round(endedAfter),
    bytesIn,
    bytesOut,
    error,
  };
}

/** `request`: null for TCP. Small: it is kept for each socket that is open. */
export function shownSocket(service: string, request: RequestHead | null, started: number): ShownSocket {
  return {
    kind: request === null ? 'tcp' : 'websocket',
    service,
    started: new Date(started).toISOString(),
    host: hostOf(request).slice(0, MAX_SHOWN_TARGET),
    target: redactedTarget(request?.target ?? '').slice(0, MAX_SHOWN_TARGET),
  };
}

function hostOf(request: RequestHead | null): string {
  return request?.fields.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? '';
}

export function shownWhole(exchange: Exchange, inspection: Inspection): ShownWhole {
  const visible = (fields: Fields): Fields => (inspection === 'all' ? fields : redactedFields(fields));
  const { request, response, requestBody, responseBody, bytesIn, bytesOut } = exchange;
  return {
    ...shown(exchange, inspection),
    requestFields: visible(request?.fields ?? []),
    reason: response?.reason ?? '',
    responseFields: visible(response?.fields ?? []),
    requestBody: requestBody === null ? null : shownBody(requestBody.bytes, bytesIn, requestBody.truncated),
    responseBody: responseBody === null ? null : shownBody(responseBody.bytes, bytesOut, responseBody.truncated),
  };
}

function shownBody(bytes: Uint8Array, size: number, truncated: boolean): ShownBody {
  const whole = { bytes: size, truncated };
  const text = new TextDecoder('utf-8', { ignoreBOM: true, fatal: false }).decode(bytes);
  // What was cut may end within a character.
  const readable = !text.slice(0, -1).includes('\u{fffd}') && !/[\0-\x08\x0e-\x1a]/.test(text);
  return readable ? { ...whole, text } : { ...whole, base64: base64(bytes) };
}

const round = (milliseconds: number): number => Math.round(milliseconds * 10) / 10;

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return btoa(text);
}
