/** Recorded requests: a HAR file of a browser or proxy, our own access log, or that of nginx and Apache (combined). */
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { Failure, sentence } from './failure.ts';
import { readLines } from './lines.ts';

export const MAX_HAR_BYTES = 536_870_912; // 512 MiB: it is read whole
export const MAX_RECORDED = 100_000; // requests that are replayed

export interface Recorded {
  /** Where it stands: `entry 3` or `line 12`. */
  readonly place: string;
  readonly method: string;
  readonly url: string; // absolute
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | null;
  readonly peer: string; // '' when it was not recorded
  readonly status: number; // 0 when it was not recorded
  /** The answer, where it was recorded whole enough to be judged. */
  readonly response: RecordedResponse | null;
}

export interface RecordedResponse {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | null;
}

export interface Recording {
  readonly requests: readonly Recorded[];
  /** Entries that are no HTTP requests or could not be read, with why; the first ones. */
  readonly skipped: readonly { readonly place: string; readonly reason: string }[];
  readonly skippedCount: number;
  /** True when there were more than MAX_RECORDED. */
  readonly truncated: boolean;
  /** What recordings of this kind leave out, for the report; '' for nothing. */
  readonly leavesOut: string;
}

const MAX_SKIPPED = 20; // that are listed

class Collector {
  readonly requests: Recorded[] = [];
  readonly skipped: { place: string; reason: string }[] = [];
  skippedCount = 0;
  truncated = false;

  add(place: string, read: () => Recorded | string): void {
    if (this.requests.length === MAX_RECORDED) return void (this.truncated = true);
    const found = read();
    if (typeof found !== 'string') return void this.requests.push(found);
    this.skippedCount++;
    if (this.skipped.length < MAX_SKIPPED) this.skipped.push({ place, reason: found });
  }

  recording(leavesOut: string): Recording {
    const { requests, skipped, skippedCount, truncated } = this;
    return { requests, skipped, skippedCount, truncated, leavesOut };
  }
}

/** SPEC: HAR 1.2. Throws a Failure when the file is none; single entries that are not usable are skipped and counted. */
export function readHar(path: string): Recording {
  let value: unknown;
  try {
    if (statSync(path).size > MAX_HAR_BYTES) throw new Failure(`${path} is larger than ${MAX_HAR_BYTES} bytes`);
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw new Failure(`${path} is no HAR file: ${error.message}`);
    throw error instanceof Failure ? error : new Failure(sentence(error));
  }
  const entries = fieldsOf(fieldsOf(value)['log'])['entries'];
  if (!Array.isArray(entries)) throw new Failure(`${path} is no HAR file: it has no log.entries`);
  const collector = new Collector();
  entries.forEach((entry: unknown, index) => {
    const place = `entry ${index + 1}`;
    collector.add(place, () => harEntry(fieldsOf(entry), place));
  });
  return collector.recording('');
}

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function harEntry(entry: Fields, place: string): Recorded | string {
  const request = fieldsOf(entry['request']);
  const method = textOf(request['method']);
  const url = textOf(request['url']);
  if (!/^[A-Za-z-]{1,32}$/.test(method)) return 'it has no method';
  const target = absolute(url);
  if (target === null) return 'its URL is not http or https';
  const response = fieldsOf(entry['response']);
  const status = Number(response['status']) || 0;
  const content = fieldsOf(response['content']);
  return {
    place,
    method: method.toUpperCase(),
    url: target,
    headers: harHeaders(request['headers']),
    body: postData(fieldsOf(request['postData'])),
    peer: '',
    status,
    response:
      status < 200
        ? null
        : { status, headers: harHeaders(response['headers']), body: bytesOf(content['text'], content['encoding']) },
  };
}

function harHeaders(value: unknown): [string, string][] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((one: unknown): [string, string][] => {
    const { name, value } = fieldsOf(one);
    // HTTP/2 and HTTP/3 keep method, scheme and authority among the headers.
    return typeof name !== 'string' || name.startsWith(':') ? [] : [[name, textOf(value)]];
  });
}

function postData(data: Fields): Uint8Array | null {
  const text = bytesOf(data['text'], data['encoding'] ?? data['_encoding']);
  if (text !== null && text.length > 0) return text;
  const params = data['params'];
  if (!Array.isArray(params) || params.length === 0) return text;
  // Some recorders keep a form as its fields alone.
  const form = new URLSearchParams();
  for (const param of params) form.append(textOf(fieldsOf(param)['name']), textOf(fieldsOf(param)['value']));
  return new TextEncoder().encode(form.toString());
}

function bytesOf(text: unknown, encoding: unknown): Uint8Array | null {
  if (typeof text !== 'string') return null;
  return encoding === 'base64' ? new Uint8Array(Buffer.from(text, 'base64')) : new TextEncoder().encode(text);
}

/** Without its fragment and with a path; null when it is not an absolute http URL. */
function absolute(url: string): string | null {
  if (!/^https?:\/\/[^/?#\s]+/i.test(url)) return null;
  return url.replace(/#.*$/s, '').replace(/^(https?:\/\/[^/?]+)(?=\?|$)/i, '$1/');
}

/** Our access log (JSON lines, with or without `event`), or the combined format. Lines of other kinds are skipped. */
export async function readLog(path: string, host: string): Promise<Recording> {
  const collector = new Collector();
  let number = 0;
  let json = 0;
  const stream = createReadStream(path);
  const failed = new Promise<never>((_, reject) => {
    stream.once('error', (error) => reject(new Failure(sentence(error))));
  });
  const ended = new Promise<void>((resolve) => stream.once('end', resolve));
  readLines(stream, (line) => {
    const place = `line ${++number}`;
    if (line.trim() === '') return;
    if (line.startsWith('{')) json++;
    collector.add(place, () => (line.startsWith('{') ? jsonLine(line, place) : combinedLine(line, place, host)));
    if (collector.truncated) stream.destroy();
  });
  await Promise.race([failed, ended, new Promise<void>((resolve) => stream.once('close', resolve))]);
  const leavesOut =
    collector.requests.length === 0
      ? ''
      : json > 0
        ? 'this log has no query, header or body: what rules would find there is not replayed'
        : 'this log has no body and two headers: what rules would find elsewhere is not replayed';
  return collector.recording(leavesOut);
}

function jsonLine(line: string, place: string): Recorded | string {
  let fields: Fields;
  try {
    fields = fieldsOf(JSON.parse(line));
  } catch {
    return 'it is not JSON';
  }
  const [method, host, path] = [textOf(fields['method']), textOf(fields['host']), textOf(fields['path'])];
  if (method === '' || host === '' || !path.startsWith('/')) return 'it is no line of an access log';
  const url = absolute(`http://${host}${path.replaceAll('?', '%3F').replaceAll('#', '%23')}`);
  if (url === null) return 'its host is none';
  const status = Number(fields['status']) || 0;
  return { place, method, url, headers: [], body: null, peer: textOf(fields['client']), status, response: null };
}

/** SPEC: Apache's combined log format, which nginx writes too: `addr - user [time] "request" status bytes "referer" "agent"`. */
const COMBINED =
  /^(\S+) \S+ \S+ \[[^\]]*\] "([A-Za-z-]{1,32}) (\S+)(?: HTTP\/[0-9.]+)?" ([0-9]{3}) (?:[0-9]+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?/;

function combinedLine(line: string, place: string, host: string): Recorded | string {
  const parts = COMBINED.exec(line);
  if (parts === null) return 'it is neither JSON nor the combined format';
  const [, peer = '', method = '', target = '', status = '', referer = '-', agent = '-'] = parts;
  const url = absolute(/^https?:\/\//i.test(target) ? target : `http://${host}${target}`);
  if (url === null || !(target.startsWith('/') || /^https?:/i.test(target))) return 'its target is no path';
  const headers: [string, string][] = [];
  if (referer !== '-' && referer !== '') headers.push(['referer', unescaped(referer)]);
  if (agent !== '-' && agent !== '') headers.push(['user-agent', unescaped(agent)]);
  return { place, method, url, headers, body: null, peer, status: Number(status), response: null };
}

/** nginx writes `\x22`, Apache also `\"` and `\\`. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\(?:x([0-9A-Fa-f]{2})|(.))/g, (_, hex: string | undefined, plain: string | undefined) =>
    hex === undefined ? (plain ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
  );
