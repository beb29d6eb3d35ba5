/**
 * What OPEN says: which kind of stream, to which of the connector's services, and the request where there is one.
 *
 *   u8 kind, u8 service length, service, head      (head: see head.ts; none for tcp)
 *
 * The service '' is the connector's default one. What a name stands for is the connector's own business: the edge names
 * services and never addresses.
 */
import { CLOSE, FrameError } from './frame.ts';
import { decodeRequest, encodeRequest, HeadError, type RequestHead } from './head.ts';

export const HTTP = 1;
export const WEBSOCKET = 2; // DATA carries messages, see message.ts
export const TCP = 3;

/** SPEC: a DNS label (RFC 1123), so that SERVICE.TUNNEL can be a host name. */
export const SERVICE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export type Opening =
  | { readonly kind: typeof HTTP | typeof WEBSOCKET; readonly service: string; readonly head: RequestHead }
  | { readonly kind: typeof TCP; readonly service: string };

/** Throws HeadError when the head or the name cannot be sent. */
export function encodeOpening(opening: Opening): Uint8Array<ArrayBuffer> {
  const { kind, service } = opening;
  if (service !== '' && !SERVICE.test(service)) throw new HeadError('the service is no name');
  const head = opening.kind === TCP ? NOTHING : encodeRequest(opening.head);
  const bytes = new Uint8Array(2 + service.length + head.byteLength);
  bytes[0] = kind;
  bytes[1] = service.length;
  for (let i = 0; i < service.length; i++) bytes[2 + i] = service.charCodeAt(i);
  bytes.set(head, 2 + service.length);
  return bytes;
}

/** Throws FrameError when it is malformed. */
export function decodeOpening(bytes: Uint8Array): Opening {
  const kind = bytes[0];
  const length = bytes[1];
  if (length === undefined || bytes.byteLength < 2 + length)
    throw new FrameError(CLOSE.malformed, 'an OPEN that is cut off');
  const service = String.fromCharCode(...bytes.subarray(2, 2 + length));
  if (service !== '' && !SERVICE.test(service)) throw new FrameError(CLOSE.malformed, 'a service that is no name');
  const rest = bytes.subarray(2 + length);
  if (kind === HTTP || kind === WEBSOCKET) return { kind, service, head: decodeRequest(rest) };
  if (kind !== TCP) throw new FrameError(CLOSE.malformed, `a stream of kind ${kind}`);
  if (rest.byteLength > 0) throw new FrameError(CLOSE.malformed, 'bytes behind an OPEN');
  return { kind, service };
}

const NOTHING = new Uint8Array(0);
