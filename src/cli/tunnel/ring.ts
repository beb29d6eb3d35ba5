/**
 * The last exchanges of a connector, for those who look at it live: a bounded ring in memory, and never on disk. Secrets
 * are shown as such only where the one who started the connector said `--inspect=all`; a replay sends what came.
 */
import type { Exchange } from '../../tunnel/connector/exchange.ts';
import type { Fields } from '../../tunnel/head.ts';
import { redactedFields, redactedTarget } from './redact.ts';

export const MAX_EXCHANGES = 200;
export const MAX_CAPTURE = 65_536; // bytes of each body

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

export class Ring {
  readonly inspection: Inspection;
  readonly #exchanges: Exchange[] = [];
  readonly #listeners = new Set<(exchange: Exchange) => void>();

  constructor(inspection: Inspection) {
    this.inspection = inspection;
  }

  get size(): number {
    return this.#exchanges.length;
  }

  begin(exchange: Exchange): void {
    this.#exchanges.push(exchange);
    if (this.#exchanges.length > MAX_EXCHANGES) this.#exchanges.shift();
  }

  /** It is over. */
  end(exchange: Exchange): void {
    for (const listener of this.#listeners) listener(exchange);
  }

  all(): readonly Exchange[] {
    return this.#exchanges;
  }

  find(id: number): Exchange | null {
    return this.#exchanges.find((exchange) => exchange.id === id) ?? null;
  }

  /** Calls back with each exchange that ends from now on; the answer stops it. */
  follow(listener: (exchange: Exchange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

export function shown(exchange: Exchange, inspection: Inspection = 'heads'): Shown {
  const { id, kind, service, request, response, started, answeredAfter, endedAfter, bytesIn, bytesOut, error } =
    exchange;
  const host = request?.fields.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? '';
  return {
    id,
    kind,
    service,
    started: new Date(started).toISOString(),
    method: request?.method ?? '',
    target: inspection === 'all' ? (request?.target ?? '') : redactedTarget(request?.target ?? ''),
    host,
    status: response?.status ?? null,
    milliseconds: response === null ? null : round(answeredAfter),
    total: endedAfter === 0 ? null : round(endedAfter),
    bytesIn,
    bytesOut,
    error,
  };
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

function shownBody(bytes: Buffer, size: number, truncated: boolean): ShownBody {
  const whole = { bytes: size, truncated };
  const text = bytes.toString('utf8');
  // What was cut may end within a character.
  const readable = !text.slice(0, -1).includes('\u{fffd}') && !/[\0-\x08\x0e-\x1a]/.test(text);
  return readable ? { ...whole, text } : { ...whole, base64: bytes.toString('base64') };
}

const round = (milliseconds: number): number => Math.round(milliseconds * 10) / 10;
