/** A request as the runtime would hand it over: its URL is raw, where Node's own Request would tidy it up. */
import { Failure } from './failure.ts';

type Lines = readonly (readonly [name: string, value: string])[];

/**
 * `defaults` stand where `headers` do not say otherwise; Host and Content-Length are worked out. A body of GET or HEAD is
 * left out. Throws a Failure for what is no request that could arrive.
 */
export function makeRequest(
  method: string,
  url: string,
  headers: Lines,
  body: Uint8Array | null,
  defaults: Lines = [],
): Request {
  const target = /^https?:\/\/([^/?#]+)/i.exec(url);
  if (target === null) throw new Failure(`the URL begins with http:// or https:// and a host, not "${url}"`);
  const given = new Headers();
  for (const [name, value] of headers) {
    try {
      given.append(name, value);
    } catch {
      throw new Failure(`"${name}: ${value}" is not a header that HTTP allows`);
    }
  }
  const all = new Headers([['host', target[1]!], ...defaults.map(([name, value]): [string, string] => [name, value])]);
  for (const name of new Set(given.keys())) all.set(name, given.get(name)!);
  const sent = method === 'GET' || method === 'HEAD' || body === null || body.length === 0 ? null : body;
  if (sent === null) for (const name of ['content-length', 'transfer-encoding']) all.delete(name);
  else if (!given.has('content-length')) all.set('content-length', String(sent.length));
  const base = `http://${URL.canParse(`http://${target[1]}/`) ? target[1] : 'invalid'}/`;
  let request: Request;
  try {
    request = new Request(base, { method, headers: all, body: sent as Uint8Array<ArrayBuffer> | null });
  } catch {
    throw new Failure(`${method} cannot be explained: Node refuses to make such a request`);
  }
  return Object.defineProperty(request, 'url', {
    value: url.replace(/#.*$/s, '').replace(/^(https?:\/\/[^/?]+)(?=\?|$)/i, '$1/'),
  });
}
