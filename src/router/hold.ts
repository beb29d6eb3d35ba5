/** A request body that is held whole since a protocol has to be read from it. */
import { MAX_BODY_BYTES } from '../../assembly/abi.ts';
import { declaredLength, HeldBody, inflate } from './body.ts';
import { type Exchange, watch } from './exchange.ts';
import { refuse } from './problem.ts';

/** Whoever reads a body by its type must come to the same as we do. */
const JSON_TYPE = /^[\t ]*application\/(?:a2a\+)?json[\t ]*(?:;[\t ]*charset="?utf-8"?[\t ]*)?$/i;

/** The JSON body, at most `limit` bytes of it, as it reads without its encoding; null after answering why not. */
export async function holdWhole(exchange: Exchange, limit: number): Promise<Uint8Array | null> {
  const { request, seen } = exchange;
  if (request.body === null) return new Uint8Array(0);
  let { body } = exchange;
  if (body === null) {
    const declared = declaredLength(seen.length);
    if (declared > limit) return fail(exchange, 413, 'the request body is longer than this route takes');
    body = new HeldBody(request.body as ReadableStream<Uint8Array>, declared);
    exchange.body = body; // given back should the client leave meanwhile
    watch(exchange);
    const failure = await body.read(limit, request.signal);
    if (failure === 'busy') return fail(exchange, 503, 'too many request bodies are being held');
    if (failure === 'slow') return fail(exchange, 408, 'the request body did not arrive in time');
    if (failure === 'broken') return fail(exchange, 400, 'the request body broke off');
  }
  if (!body.complete || body.bytes.byteLength > limit)
    return fail(exchange, 413, 'the request body is longer than this route takes');
  if (body.bytes.byteLength > 0 && !JSON_TYPE.test(request.headers.get('content-type') ?? ''))
    return fail(exchange, 415, 'the content type of the request must be application/json');
  const encoding = seen.encoding.trim().toLowerCase();
  if (encoding === '' || encoding === 'identity') return body.bytes;
  const plain = await inflate(body.bytes, encoding, Math.max(limit, MAX_BODY_BYTES), true);
  if (plain === 'encoding') return fail(exchange, 415, 'the content encoding of the request body can not be read');
  if (plain === 'corrupt') return fail(exchange, 400, 'the request body is not what its content encoding says');
  if (plain === 'ratio' || plain.truncated || plain.bytes.byteLength > limit)
    return fail(exchange, 413, 'the request body is longer than this route takes');
  return plain.bytes;
}

function fail(exchange: Exchange, status: number, reason: string): null {
  exchange.body?.discard();
  const error = status >= 500 ? 'destination_unavailable' : 'http_request_denied';
  refuse(exchange, { action: 'block', phase: 'protocol', rule: 'body', status, reason, mode: 'enforce' }, error);
  return null;
}
