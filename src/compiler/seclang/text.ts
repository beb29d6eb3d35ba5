/** Text as it was read, with the way back to where it was written. */
import type { Place } from './ruleset.ts';

/** One file. Columns count characters (UTF-16 units) of the line, from 1. */
export class Source {
  readonly file: string;
  readonly text: string;
  private readonly lines: number[] = [0];

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.lines.push(at + 1);
  }

  place(offset: number): Place {
    const line = lastAtMost(this.lines, offset);
    return { file: this.file, line: line + 1, column: offset - this.lines[line]! + 1 };
  }
}

/**
 * A piece of a file whose line continuations and escapes are resolved: `value` is what is meant, and every character
 * of it knows its place.
 */
export class Text {
  readonly value: string;
  private readonly source: Source;
  /** Where pieces that stand together in the file begin: in the text that this one is a part of, and in the file. */
  private readonly starts: readonly number[];
  private readonly origins: readonly number[];
  private readonly base: number;

  constructor(source: Source, value: string, starts: readonly number[], origins: readonly number[], base = 0) {
    this.source = source;
    this.value = value;
    this.starts = starts;
    this.origins = origins;
    this.base = base;
  }

  /** Offset in the file; `offset` may be one past the end. */
  origin(offset: number): number {
    const at = this.base + offset;
    const piece = lastAtMost(this.starts, at);
    return this.origins[piece]! + at - this.starts[piece]!;
  }

  /** As it stands in the file. */
  get raw(): string {
    return this.source.text.slice(this.origin(0), this.origin(this.value.length));
  }

  place(offset = 0): Place {
    return this.source.place(this.origin(offset));
  }

  slice(from: number, to = this.value.length): Text {
    return new Text(this.source, this.value.slice(from, to), this.starts, this.origins, this.base + from);
  }

  /** Without the first character of whatever `pairs` (global) finds. */
  unescaped(pairs: RegExp): Text {
    const rest = new TextBuilder(this.source);
    let from = 0;
    for (const { index } of this.value.matchAll(pairs)) {
      this.copy(rest, from, index);
      from = index + 1;
    }
    this.copy(rest, from, this.value.length);
    return rest.finish(this.origin(this.value.length));
  }

  private copy(to: TextBuilder, from: number, end: number): void {
    while (from < end) {
      const piece = lastAtMost(this.starts, this.base + from);
      const stop = Math.min(end, (this.starts[piece + 1] ?? Infinity) - this.base);
      to.add(this.value.slice(from, stop), this.origin(from));
      from = stop;
    }
  }

  /** Without the white space around it. */
  trim(): Text {
    const from = this.value.length - this.value.trimStart().length;
    return this.slice(from, Math.max(from, this.value.trimEnd().length));
  }
}

/** Builds a Text piece by piece. */
export class TextBuilder {
  private readonly source: Source;
  private readonly parts: string[] = [];
  private readonly starts: number[] = [];
  private readonly origins: number[] = [];
  private length = 0;

  constructor(source: Source) {
    this.source = source;
  }

  /** Adds `value`, which stands at `origin` in the file as it is. */
  add(value: string, origin: number): void {
    this.parts.push(value);
    this.starts.push(this.length);
    this.origins.push(origin);
    this.length += value.length;
  }

  /** `end`: where the file goes on, so that the empty text has a place too. */
  finish(end: number): Text {
    this.starts.push(this.length);
    this.origins.push(end);
    return new Text(this.source, this.parts.join(''), this.starts, this.origins);
  }
}

/** Index of the last of the ascending `values` that is not above `limit`; 0 when all are. */
function lastAtMost(values: readonly number[], limit: number): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (values[middle]! <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}
