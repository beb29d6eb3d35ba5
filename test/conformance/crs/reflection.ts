/**
 * The backend that the suite is written for: any request is answered with an empty 200, `POST /reflect` with what its
 * body asks for.
 *
 * SPEC: coreruleset/albedo 0.3, /reflect.
 */
export interface Reflection {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export function reflect(method: string, path: string, body: Uint8Array): Reflection {
  if (method !== 'POST' || !/^\/reflect(?:[/?]|$)/.test(path)) return complete(200, [], new Uint8Array(0));
  let asked: { status?: number; headers?: Record<string, string>; body?: string; encodedBody?: string };
  try {
    asked = JSON.parse(Buffer.from(body).toString()) as typeof asked;
  } catch {
    return complete(400, [], Buffer.from('Invalid JSON in request body'));
  }
  const { status = 200, headers = {}, body: text = '', encodedBody = '' } = asked;
  if (status < 100 || status > 599) return complete(400, [], Buffer.from(`Invalid status code: ${status}`));
  return complete(
    status,
    Object.entries(headers),
    text === '' ? Buffer.from(encodedBody, 'base64') : Buffer.from(text),
  );
}

/** With the headers that Go's HTTP server adds. */
function complete(status: number, headers: Reflection['headers'], body: Uint8Array): Reflection {
  const has = (name: string): boolean => headers.some(([other]) => other.toLowerCase() === name);
  const added: [string, string][] = [];
  if (!has('content-type') && body.length > 0) added.push(['Content-Type', sniff(body)]);
  if (!has('content-length')) added.push(['Content-Length', String(body.length)]);
  return { status, headers: [...headers, ...added], body };
}

/** What of Go's http.DetectContentType matters for texts. */
function sniff(body: Uint8Array): string {
  const start = Buffer.from(body.subarray(0, 512)).toString('latin1');
  const text = start.replace(/^[\t\n\f\r ]+/, '');
  const tags = 'DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY|BR|P';
  if (new RegExp(`^<!?(?:${tags})[ >]`, 'i').test(text) || text.startsWith('<!--')) return 'text/html; charset=utf-8';
  if (text.startsWith('<?xml')) return 'text/xml; charset=utf-8';
  return /[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]/.test(start) ? 'application/octet-stream' : 'text/plain; charset=utf-8';
}
