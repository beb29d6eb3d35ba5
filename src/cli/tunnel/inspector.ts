/**
 * What a running connector tells its own user: HTTP on a unix socket of mode 0600.
 *
 *   GET  /v1/status                  what it is, and how it is connected
 *   GET  /v1/exchanges               the last ones, a JSON object a line; ?follow=1 goes on, ?whole=1 with heads and bodies
 *   GET  /v1/exchanges/ID            one with its heads, and bodies where they were kept
 *   POST /v1/exchanges/ID/replay     sends its request again, to the same target; the answer and the id of the new one
 */
import type { ServerResponse } from 'node:http';
import type { Connector } from '../../tunnel/connector/connector.ts';
import type { Exchange } from '../../tunnel/exchange.ts';
import { openPrivateSocket, sendJson } from '../private-socket.ts';
import { shown, shownWhole, type ShownWhole } from '../../tunnel/shown.ts';
import type { Ring } from './ring.ts';

export interface ConnectorStatus {
  readonly name: string;
  readonly url: string;
  readonly edge: string;
  readonly pid: number;
  readonly since: string; // ISO
  readonly sockets: number;
  readonly streams: number;
  readonly roundTrip: number; // ms, 0 when not measured
  readonly services: Readonly<Record<string, string>>;
  readonly inspection: Ring['inspection'];
  readonly exchanges: number; // kept ones
}

export interface Replayed {
  readonly id: number;
  readonly status: number;
  readonly reason: string;
  readonly exchange: ShownWhole | null;
}

export interface Inspected {
  readonly connector: Connector;
  readonly ring: Ring;
  readonly status: () => ConnectorStatus;
}

/** Opens the socket; the answer closes it. */
export function openInspector(path: string, inspected: Inspected): Promise<() => void> {
  return openPrivateSocket(path, (request, response) => {
    request.resume();
    return answer(inspected, request.method ?? '', request.url ?? '', response);
  });
}

async function answer(inspected: Inspected, method: string, target: string, response: ServerResponse): Promise<void> {
  const { ring } = inspected;
  const url = URL.parse(target, 'http://connector');
  const call = `${method} ${url?.pathname ?? ''}`;
  if (call === 'GET /v1/status') return sendJson(response, 200, inspected.status());
  if (call === 'GET /v1/exchanges') {
    const whole = url!.searchParams.has('whole');
    return list(ring, response, url!.searchParams.has('follow'), (exchange) =>
      whole ? shownWhole(exchange, ring.inspection) : shown(exchange, ring.inspection),
    );
  }
  const [, id, again] = /^(?:GET|POST) \/v1\/exchanges\/(\d{1,15})(\/replay)?$/.exec(call) ?? [];
  if (id === undefined || (again === undefined) !== (method === 'GET'))
    return sendJson(response, 404, { ok: false, reason: `there is no ${call}` });
  const exchange = ring.find(Number(id));
  if (exchange === null)
    return sendJson(response, 404, {
      ok: false,
      reason: `request ${id} is not, or not any more, among those kept; sallyport tunnel logs shows them`,
    });
  if (again === undefined) return sendJson(response, 200, shownWhole(exchange, ring.inspection));
  await replay(inspected, exchange, response);
}

function list(ring: Ring, response: ServerResponse, follow: boolean, show: (exchange: Exchange) => object): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  for (const exchange of ring.all()) response.write(`${JSON.stringify(show(exchange))}\n`);
  if (!follow) return void response.end();
  const stop = ring.follow((exchange) => {
    // Who does not read is not waited for, and costs no memory.
    if (response.writableNeedDrain) return;
    response.write(`${JSON.stringify(show(exchange))}\n`);
  });
  response.on('close', stop);
}

async function replay({ connector, ring }: Inspected, exchange: Exchange, response: ServerResponse): Promise<void> {
  const refuse = (reason: string): void => sendJson(response, 409, { ok: false, reason });
  if (exchange.kind !== 'http' || exchange.request === null)
    return refuse(`a ${exchange.kind} stream is not repeatable`);
  const { requestBody, bytesIn, request } = exchange;
  if (!exchange.requested) return refuse('it is not whole: its client broke it off, or has not sent all of it yet');
  if (bytesIn > 0 && requestBody === null)
    return refuse('its body was not kept; start the connector with --inspect to keep bodies');
  if (requestBody?.truncated === true) return refuse(`of its ${bytesIn} bytes of body only the beginning was kept`);
  const { service } = exchange;
  // An answer without an end lasts as long as somebody waits for it.
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  try {
    const made = await connector.ask(service, request, requestBody?.bytes ?? new Uint8Array(0), gone.signal);
    // The connector watches it as any other.
    const whole = made.exchange === null ? null : shownWhole(made.exchange, ring.inspection);
    const { status, reason } = made.answer;
    sendJson(response, 200, { id: whole?.id ?? 0, status, reason, exchange: whole } satisfies Replayed);
  } catch (error) {
    sendJson(response, 502, { ok: false, reason: (error as Error).message });
  }
}
