/**
 * Which bytes of a multipart body are contents of files, told while the body arrives: they do not count towards
 * `body.limit`, and the engine need not see them. It is the engine that judges the body; this only follows it, and where it
 * is not certain that the engine will take a byte for the content of a file, the byte counts.
 *
 * In TypeScript since the engine keeps nothing of a request between calls, and `indexOf` finds the dashes faster than it could.
 */
import {
  MAX_MULTIPART_TYPE_BYTES,
  MAX_PART_HEADER_BYTES,
  MAX_PART_HEADER_LINE,
  MAX_PART_HEADERS,
  MAX_PARTS,
} from '../../assembly/waf/abi.ts';

/** From the first byte to before the last, counted from the start of the body. */
export type Range = readonly [start: number, end: number];

const PREAMBLE = 0; // and contents of fields, and all that is not certain
const FILE = 1;
const DELIMITER = 2; // behind the boundary in its line
const HEADER = 3;
const DONE = 4;

// Stricter than the engine, which may only take more for a field than we do, never less.
const TYPE =
  /^multipart\/form-data;[ \t]*boundary=("?)([\w'()+,\-./:=?][\w'()+,\-./:=? ]{0,68}[\w'()+,\-./:=?]|[\w'()+,\-./:=?])\1$/i;
const DISPOSITION =
  /^content-disposition:[ \t]*form-data;[ \t]*name=(?:"[^"\\]*"|[\w.-]+);[ \t]*filename=(?:"[^"\\]*"|[\w.-]+)(?:;[ \t]*filename\*=utf-8'[\w-]*'(?:[\w.!~-]|%[\da-f]{2})*)?$/i;
const HEADER_LINE = /^[!-,.-9;-~][!-9;-~]*:[^\0]*$/;

const DASH = 0x2d;
const CR = 0x0d;
const LF = 0x0a;

export class FileTracker {
  /** Contents of files so far that nobody has to look at, ascending; at most MAX_PARTS. */
  readonly ranges: Range[] = [];
  readonly #pattern: Uint8Array; // `--` and the boundary
  readonly #fallback: Uint16Array; // KMP: a boundary may be all dashes, and the search has to stay linear
  #state = PREAMBLE;
  #total = 0;
  #left = 0; // bytes in `ranges`
  #parts = 0;
  #start = 0; // of the open range
  #dataAt = -1; // of the content that is being read
  #sure = true; // the engine is reading content now, as we are, and not a header
  #doubtful = false; // the last boundary may have come where data has to begin: some readers take it for data
  #header: number[] = [];
  #matched = 0; // bytes of the pattern that end here
  #atLineStart = false; // and begin a line
  #dashes = false; // a line of a file that begins with `--` was left in
  #last = LF; // the byte before this chunk: a body begins with a line

  private constructor(boundary: string) {
    this.#pattern = new TextEncoder().encode(`--${boundary}`);
    this.#fallback = fallbacks(this.#pattern);
  }

  /** Null where the Content-Type is none of a multipart form that everybody reads alike: all bytes count then. */
  static of(contentType: string): FileTracker | null {
    if (contentType.length > MAX_MULTIPART_TYPE_BYTES) return null;
    const boundary = TYPE.exec(contentType)?.[2];
    if (boundary === undefined || /boundary.*=/i.test(boundary) || !contentType.includes('boundary')) return null;
    return new FileTracker(boundary);
  }

  /** Bytes so far that count: all but contents of files. */
  get counted(): number {
    const open = this.#state === FILE ? Math.max(0, this.#total - this.#start) : 0;
    return this.#total - this.#left - open;
  }

  /** The next bytes of the body. */
  push(chunk: Uint8Array): void {
    let i = 0;
    while (i < chunk.length) {
      if (this.#state === DONE) break;
      if (this.#state === DELIMITER || this.#state === HEADER) this.#readHeader(chunk[i++] as number, i);
      else i = this.#readContent(chunk, i);
    }
    this.#total += chunk.length;
    if (chunk.length > 0) this.#last = chunk[chunk.length - 1] as number;
  }

  /** Looks for the boundary from `i` on; how far it got. */
  #readContent(chunk: Uint8Array, i: number): number {
    // PERF: 0.2 to 0.6 ns a byte of ordinary files; the worst, a file of dashes, takes 10.
    const pattern = this.#pattern;
    const fallback = this.#fallback;
    let matched = this.#matched;
    let atLineStart = this.#atLineStart;
    while (i < chunk.length) {
      if (matched === 0) {
        i = chunk.indexOf(DASH, i);
        if (i < 0) {
          i = chunk.length;
          break;
        }
        atLineStart = (i === 0 ? this.#last : chunk[i - 1]) === LF;
        matched = 1;
        i++;
        continue;
      }
      const byte = chunk[i] as number;
      if (byte !== pattern[matched]) {
        if (atLineStart && matched >= 2) this.#dashLine(this.#total + i - matched, matched, byte);
        atLineStart = false;
        matched = fallback[matched - 1] as number;
        continue;
      }
      i++;
      if (++matched < pattern.length) continue;
      matched = 0;
      // The line end before the boundary stays, and two bytes of a line that has the boundary in its middle.
      this.#closeRange(this.#total + i - pattern.length - 2);
      if (!atLineStart) continue;
      this.#doubtful = !this.#sure || this.#total + i - pattern.length === this.#dataAt;
      this.#sure = false;
      this.#state = DELIMITER;
      this.#header.length = 0;
      break;
    }
    this.#matched = matched;
    this.#atLineStart = atLineStart;
    return i;
  }

  /** Ends the open range, if there is one, before `end`; what follows counts. */
  #closeRange(end: number): void {
    if (this.#state !== FILE) return;
    this.#state = PREAMBLE;
    if (end <= this.#start) return;
    this.ranges.push([this.#start, end]);
    this.#left += end - this.#start;
  }

  /**
   * A line, from `start` on, begins with `--` and `byte`, but not with the boundary. The engine raises a flag for the first
   * of them, so that one is left in; and a blank or a quote before the boundary it takes for a boundary in doubt.
   */
  #dashLine(start: number, matched: number, byte: number): void {
    const doubtful = matched === 2 && (byte === 0x22 || byte === 0x20 || (byte >= 0x09 && byte <= CR));
    if (doubtful) this.#sure = false;
    if (this.#state !== FILE || (this.#dashes && !doubtful)) return;
    this.#closeRange(start - 2);
    if (doubtful) return;
    this.#dashes = true;
    this.#state = FILE;
    this.#start = Math.max(this.#start, start + 4);
  }

  /** One byte behind a boundary; `next` is where the byte after it is in this chunk. */
  #readHeader(byte: number, next: number): void {
    const header = this.#header;
    header.push(byte);
    const { length } = header;
    if (this.#state === DELIMITER) {
      if (length < 2) return;
      if (header[0] === DASH && header[1] === DASH) this.#state = DONE;
      else if (header[0] === CR && header[1] === LF) this.#state = HEADER;
      else this.#state = PREAMBLE;
      header.length = 0;
      return;
    }
    const closed = byte === LF && header[length - 2] === CR && header[length - 3] === LF && header[length - 4] === CR;
    this.#dataAt = this.#total + next;
    if (closed) {
      const lines = String.fromCharCode(...header.slice(0, -4)).split('\r\n');
      this.#sure = lines.every((line) => !line.includes('\n') && !line.startsWith('--'));
      this.#state = this.#sure && !this.#doubtful && this.#parts < MAX_PARTS - 1 && isFile(lines) ? FILE : PREAMBLE;
      this.#start = this.#dataAt;
      this.#parts++;
    } else if (length === MAX_PART_HEADER_BYTES || (length === 2 && header[0] === CR && byte === LF)) {
      this.#sure = length === 2;
      this.#state = PREAMBLE;
      this.#parts++;
    }
  }
}

/** True for the header of a file that the engine finds no fault with. */
function isFile(lines: readonly string[]): boolean {
  if (lines.length > MAX_PART_HEADERS) return false;
  const names = new Set<string>();
  let file = false;
  for (const line of lines) {
    if (!HEADER_LINE.test(line) || line.length + 2 >= MAX_PART_HEADER_LINE) return false;
    const name = line.slice(0, line.indexOf(':')).toLowerCase();
    if (names.has(name)) return false;
    names.add(name);
    if (name !== 'content-disposition') continue;
    if (!DISPOSITION.test(line)) return false;
    file = true;
  }
  return file;
}

/** For each prefix of the pattern, the length of its longest proper prefix that is also its end. */
function fallbacks(pattern: Uint8Array): Uint16Array {
  const table = new Uint16Array(pattern.length);
  let length = 0;
  for (let i = 1; i < pattern.length; i++) {
    while (length > 0 && pattern[i] !== pattern[length]) length = table[length - 1] as number;
    if (pattern[i] === pattern[length]) length++;
    table[i] = length;
  }
  return table;
}

/**
 * The body for the engine, without the ranges, and what it is told of them: { offset in these bytes, bytes left out } for
 * each (setElided in assembly/waf/body/multipart.ts).
 */
export function withoutRanges(bytes: Uint8Array, ranges: readonly Range[]): { bytes: Uint8Array; elided: Uint32Array } {
  if (ranges.length === 0) return { bytes, elided: new Uint32Array(0) };
  const left = ranges.reduce((sum, [start, end]) => sum + end - start, 0);
  const kept = new Uint8Array(bytes.length - left);
  const elided = new Uint32Array(ranges.length * 2);
  let from = 0;
  let to = 0;
  ranges.forEach(([start, end], i) => {
    kept.set(bytes.subarray(from, start), to);
    to += start - from;
    elided[i * 2] = to;
    elided[i * 2 + 1] = end - start;
    from = end;
  });
  kept.set(bytes.subarray(from), to);
  return { bytes: kept, elided };
}
