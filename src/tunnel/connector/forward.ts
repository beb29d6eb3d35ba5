/** Streams that the edge opens, each to the one who carries its kind. The allow-list is asked here and nowhere else. */
import { RESET_CODE } from '../frame.ts';
import { decodeOpening, HTTP, TCP } from '../opening.ts';
import type { TunnelStream } from '../stream.ts';
import { Watch, type Observer } from '../exchange.ts';
import { forwardHttp } from './http.ts';
import type { Congestion } from './pump.ts';
import type { Targets } from './targets.ts';
import { forwardTcp } from './tcp.ts';
import { forwardWebSocket } from './websocket.ts';

const KINDS = ['', 'http', 'websocket', 'tcp'] as const;

/** Throws FrameError when `payload` is no opening. */
export function forward(
  stream: TunnelStream,
  payload: Uint8Array,
  targets: Targets,
  congestion: Congestion,
  observer: Observer | null,
): void {
  const opening = decodeOpening(payload);
  const { kind, service } = opening;
  const target = targets.find(service);
  if (target === null) {
    const named = service === '' ? 'no service without a name' : `no service ${service}`;
    return stream.reset(RESET_CODE.refused, `this connector publishes ${named}`);
  }
  if (kind === TCP ? !target.carriesTcp : !target.carriesHttp)
    return stream.reset(RESET_CODE.refused, `the service ${service || 'of this tunnel'} carries no ${KINDS[kind]}`);
  const request = opening.kind === TCP ? null : opening.head;
  const watch = observer === null ? null : new Watch(observer, KINDS[kind] as 'http', service, request);
  if (opening.kind === TCP) forwardTcp(stream, target, congestion, watch);
  else if (kind === HTTP) forwardHttp(stream, opening.head, target, congestion, watch);
  else forwardWebSocket(stream, opening.head, target, congestion, watch);
}
