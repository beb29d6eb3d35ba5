/** Phase `address`: who is at the other end, as the platform vouches for it; completes the head for the engine. */
import { HEAD_FIXED_FIELDS } from '../../assembly/abi.ts';
import type { Phase } from './exchange.ts';

export const address: Phase = {
  name: 'address',
  run(exchange) {
    const { request, head, url } = exchange;
    const peer = unwrapped(exchange.platform.peer(request));
    exchange.peer = peer;
    exchange.head = {
      text: request.method + '\0' + url + '\0' + peer + '\0' + head.text,
      fields: head.fields + HEAD_FIXED_FIELDS,
    };
  },
};

const WRAPPED = '[::ffff:';

/** A socket for both families shows an IPv4 peer wrapped in IPv6; origins and logs know it by its IPv4 address. */
function unwrapped(peer: string): string {
  if (!peer.startsWith(WRAPPED) || !peer.includes('.')) return peer;
  return peer.slice(WRAPPED.length).replace(']', '');
}
