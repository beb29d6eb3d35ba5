/** Requests as go-ftw builds them: what it sends, and what a lenient server would hand to a WAF. */
import type { RawTransaction } from '../../../src/waf/transaction.ts';
import { reflect } from './reflection.ts';
import type { Input } from './suite.ts';

const CRLF = '\r\n';
const FORM = 'application/x-www-form-urlencoded';

type Header = readonly [name: string, value: string];

/** Method, target, version, headers and body, with what go-ftw adds and changes. */
interface Built {
  readonly method: string;
  readonly uri: string;
  readonly version: string;
  readonly headers: readonly Header[];
  readonly data: Uint8Array;
}

function build(input: Input): Built {
  const headers = [...input.headers];
  let { data } = input;
  const valuesOf = (name: string): string[] =>
    headers.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
  if (data.length > 0 && input.autocomplete) {
    if (valuesOf('content-type').length === 0) headers.push(['Content-Type', FORM]);
    if (valuesOf('content-type').some((value) => value.toLowerCase() === FORM)) data = encodeForm(data);
  }
  if (valuesOf('content-type').some((value) => value.toLowerCase().includes('multipart/form-data;')))
    data = Buffer.from(Buffer.from(data).toString('latin1').replaceAll('\n', CRLF), 'latin1');
  if (input.autocomplete) {
    if (valuesOf('connection').length === 0) headers.push(['Connection', 'close']);
    const expectsBody = /^POST|PUT|PATCH|DELETE$/.test(input.method);
    if (valuesOf('content-length').length === 0 && (data.length > 0 || expectsBody))
      headers.push(['Content-Length', String(data.length)]);
  }
  return { ...input, headers, data };
}

/** The names and values of a form that does not look encoded yet, encoded as Go's url.QueryEscape does. */
function encodeForm(data: Uint8Array): Uint8Array {
  const text = Buffer.from(data).toString('latin1');
  // go-ftw: nothing to unescape means that nothing was escaped. A broken escape counts as escaped.
  if (/[%+]/.test(text)) return data;
  const escape = (piece: string): string =>
    piece.replaceAll(/[^A-Za-z0-9\-_.~]/g, (character) =>
      character === ' ' ? '+' : `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    );
  const pieces = text.split('&');
  if (pieces.at(-1) === '') pieces.pop();
  const encoded = pieces.map((piece) => {
    const equals = piece.indexOf('=');
    return equals < 0 ? escape(piece) : `${escape(piece.slice(0, equals))}=${escape(piece.slice(equals + 1))}`;
  });
  return Buffer.from(encoded.join('&'), 'latin1');
}

/** The bytes that go-ftw writes to the socket. */
export function wireOf(input: Input): Uint8Array {
  if (input.raw) return input.raw;
  const { method, uri, version, headers, data } = build(input);
  const lines = headers.map(([name, value]) => `${name}: ${value}${CRLF}`);
  return Buffer.concat([Buffer.from(`${method} ${uri} ${version}${CRLF}${lines.join('')}${CRLF}`), data]);
}

/**
 * The request as an engine sees it that is called in the process: by a server that rejects nothing and does what RFC 9112
 * lets it do instead. White space around values goes, a bare CR is a space (2.2), Content-Length beside
 * Transfer-Encoding goes (6.1), the body is as long as these say (6.3), lines of one name become one value, and a request
 * line without version is HTTP/0.9. Then comes the answer that the suite's backend would give.
 */
export function transactionOf(input: Input): RawTransaction {
  const wire = Buffer.from(wireOf(input)).toString('latin1');
  const headEnd = /\r?\n\r?\n/.exec(wire);
  const head = headEnd ? wire.slice(0, headEnd.index) : wire;
  let body = headEnd ? wire.slice(headEnd.index + headEnd[0].length) : '';
  const [line = '', ...lines] = head.split(/\r?\n/).map((text) => text.replaceAll('\r', ' '));
  const headers: [string, string][] = [];
  for (const text of lines) {
    const colon = text.indexOf(':');
    const last = headers.at(-1);
    // A folded line goes on with the value before it.
    if (/^[ \t]/.test(text) && last) last[1] = `${last[1]} ${text.trim()}`.trim();
    else if (colon >= 0) headers.push([text.slice(0, colon), text.slice(colon + 1).replaceAll(/^[ \t]+|[ \t]+$/g, '')]);
  }
  // Lines of one name become one value, as in Apache, the server of the reference engine, and as in workerd.
  for (let index = headers.length - 1; index > 0; index--) {
    const [name, value] = headers[index]!;
    const before = headers.find(([other], at) => at < index && other.toLowerCase() === name.toLowerCase());
    if (!before) continue;
    before[1] += `${name.toLowerCase() === 'cookie' ? '; ' : ', '}${value}`;
    headers.splice(index, 1);
  }
  const header = (name: string): string | undefined => headers.find(([other]) => other.toLowerCase() === name)?.[1];
  const length = header('content-length');
  const encoding = header('transfer-encoding');
  if (encoding !== undefined && length !== undefined)
    headers.splice(
      headers.findIndex(([name]) => name.toLowerCase() === 'content-length'),
      1,
    );
  if (encoding !== undefined) body = /chunked/i.test(encoding) ? unchunk(body) : body;
  // A length that is no number is for a rule to judge, with the body there.
  else if (length === undefined || /^\d+$/.test(length)) body = body.slice(0, Number(length ?? 0));

  const first = line.indexOf(' ', /[^ ]/.exec(line)?.index ?? 0);
  const last = line.lastIndexOf(' ');
  const target = last > first ? line.slice(first + 1, last) : line.slice(first + 1);
  const version = last > first ? line.slice(last + 1) : '';
  const request = {
    method: line.slice(0, first),
    uri: target,
    protocol: version === '' ? 'HTTP/0.9' : version,
    headers,
    body,
    peer: '127.0.0.1',
  };
  const answer = reflect(request.method, target, Buffer.from(body, 'latin1'));
  return { ...request, response: { protocol: 'HTTP/1.1', ...answer } };
}

/** A chunked body without its framing; text that is no such framing stays as it is. */
function unchunk(text: string): string {
  let out = '';
  for (let at = 0; at < text.length;) {
    const size = /^([0-9a-f]+)[^\r\n]*\r?\n/i.exec(text.slice(at, at + 100));
    if (!size) return text;
    const length = Number.parseInt(size[1]!, 16);
    if (length === 0) return out;
    at += size[0].length;
    out += text.slice(at, at + length);
    at += length;
    while (text[at] === '\r' || text[at] === '\n') at++;
  }
  return out;
}
