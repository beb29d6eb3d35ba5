/**
 * WebSocket upgrades. The runtime speaks the protocol on both sides and, when the response of `fetch` is returned as it
 * is, joins the two sockets natively: messages, close codes and aborts pass in both directions without touching
 * JavaScript. The engine is not asked again, so an open socket holds no generation.
 */
import { webSocketOf } from '../platform/runtime.ts';
import type { Exchange } from './exchange.ts';

/** True when the client asks for a WebSocket. */
export function upgrades(exchange: Exchange): boolean {
  return exchange.seen.upgrade === 'websocket' && exchange.request.method === 'GET';
}

/** True when the origin agreed. */
export function upgraded(response: Response): boolean {
  return webSocketOf(response) !== null;
}
