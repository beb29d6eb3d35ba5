/** Reading literals of a known type, and encoding those that the engine interprets: wildcards, templates, JSON keys. */
import { MAX_REPLACEMENTS, MAX_STARS } from '../../../assembly/abi.ts';
import { parseAddress, parseCidr } from '../lists.ts';
import { RegexError } from '../regex/index.ts';
import { ExpressionError } from './syntax.ts';
import type { Span, StringLiteral, WordLiteral } from './syntax.ts';
import type { Pattern } from './typed.ts';

const INT64_MIN = -(1n << 63n);
const INT64_MAX = (1n << 63n) - 1n;

/** SPEC: wirefilter: decimal, 0x hexadecimal, leading 0 octal. */
export function integer(text: string, span: Span): bigint {
  const match = /^(-?)(?:0x([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))$/.exec(text);
  if (match === null) {
    throw new ExpressionError('bad-integer', span, `${text} is not an integer`, {
      cause: 'integers are decimal, 0x hexadecimal, or octal with a leading 0',
    });
  }
  const digits = match[2] !== undefined ? `0x${match[2]}` : match[3] !== undefined ? `0o${match[3]}` : match[4]!;
  const value = match[1] === '-' ? -BigInt(digits) : BigInt(digits);
  if (value < INT64_MIN || value > INT64_MAX)
    throw new ExpressionError('bad-integer', span, `${text} does not fit 64 bits`);
  return value;
}

export function integerRange(literal: WordLiteral): [bigint, bigint] {
  const dots = literal.text.indexOf('..');
  if (dots < 0) {
    const value = integer(literal.text, literal.span);
    return [value, value];
  }
  const first = integer(literal.text.slice(0, dots), literal.span);
  const last = integer(literal.text.slice(dots + 2), literal.span);
  if (last < first)
    throw new ExpressionError('bad-range', literal.span, `the range ${literal.text} ends before it begins`);
  return [first, last];
}

/** Ascending and disjoint. */
export function mergeRanges(ranges: readonly (readonly [bigint, bigint])[]): [bigint, bigint][] {
  const sorted = ranges.toSorted((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  const merged: [bigint, bigint][] = [];
  for (const [first, last] of sorted) {
    const open = merged.at(-1);
    if (open !== undefined && first <= open[1] + 1n) {
      if (last > open[1]) open[1] = last;
    } else merged.push([first, last]);
  }
  return merged;
}

/** 16 bytes in network order. */
export function address(literal: WordLiteral): Uint8Array {
  const bytes = parseAddress(literal.text);
  if (bytes !== undefined) return bytes;
  if (parseCidr(literal.text) !== undefined) {
    throw new ExpressionError('bad-address', literal.span, `${literal.text} is a block of addresses, not one`, {
      cause: 'blocks are compared with in',
      fix: `write ip.src in {${literal.text}}`,
    });
  }
  throw new ExpressionError('bad-address', literal.span, `${literal.text} is not an IP address`);
}

/** The CIDR blocks of an address, a block, or a range of addresses. */
export function addressBlocks(literal: WordLiteral): string[] {
  const dots = literal.text.indexOf('..');
  if (dots < 0) {
    if (parseCidr(literal.text) === undefined)
      throw new ExpressionError('bad-address', literal.span, `${literal.text} is not an IP address or CIDR block`);
    return [literal.text];
  }
  const first = parseAddress(literal.text.slice(0, dots));
  const last = parseAddress(literal.text.slice(dots + 2));
  if (first === undefined || last === undefined)
    throw new ExpressionError('bad-address', literal.span, `${literal.text} is not a range of IP addresses`);
  let low = toBigInt(first);
  const high = toBigInt(last);
  if (isV4(first) !== isV4(last))
    throw new ExpressionError('bad-range', literal.span, `the range ${literal.text} mixes IPv4 and IPv6`);
  if (high < low)
    throw new ExpressionError('bad-range', literal.span, `the range ${literal.text} ends before it begins`);
  const blocks: string[] = [];
  while (low <= high) {
    let bits = 0n;
    while (bits < 128n && (low & (1n << bits)) === 0n && low + (1n << (bits + 1n)) - 1n <= high) bits++;
    blocks.push(`${formatAddress(low)}/${128n - bits}`);
    low += 1n << bits;
  }
  return blocks;
}

function toBigInt(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}
function isV4(bytes: Uint8Array): boolean {
  return toBigInt(bytes) >> 32n === 0xffffn;
}
function formatAddress(value: bigint): string {
  return Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16)).join(
    ':',
  );
}

/** Bytes of a string, or of `61:62-63` (two hexadecimal digits each). */
export function bytes(literal: StringLiteral | WordLiteral): Uint8Array {
  if (literal.kind === 'string') return literal.bytes;
  if (!/^[0-9a-fA-F]{2}(?:[:.-][0-9a-fA-F]{2})+$/.test(literal.text)) {
    throw new ExpressionError('type-mismatch', literal.span, `${literal.text} is not a string`, {
      cause: 'a string is compared here',
      fix: `write "${literal.text}"`,
    });
  }
  return Uint8Array.from(literal.text.split(/[:.-]/), (digits) => Number.parseInt(digits, 16));
}

/** Text of bytes that are UTF-8; undefined when they are not. */
export function text(value: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    return undefined;
  }
}

/** Pieces for the engine: u8 kind, u16 length, bytes. */
function encodePieces(pieces: readonly { kind: number; bytes: readonly number[] }[]): Uint8Array {
  return Uint8Array.from(
    pieces.flatMap(({ kind, bytes: part }) => [kind, part.length & 255, part.length >> 8, ...part]),
  );
}

/** The literals between the stars of a wildcard pattern, in order; `\*` and `\\` are the escapes. */
export function wildcard(value: Uint8Array, strict: boolean, span: Span): Uint8Array {
  const pieces: { kind: number; bytes: number[] }[] = [{ kind: 0, bytes: [] }];
  for (let i = 0; i < value.length; i++) {
    let byte = value[i]!;
    if (byte === 0x2a) {
      if (value[i - 1] === 0x2a && pieces.at(-1)!.bytes.length === 0 && i > 0) {
        throw new ExpressionError('bad-wildcard', span, 'a wildcard pattern can not have ** in it', {
          fix: 'write one *, which matches any characters',
        });
      }
      pieces.push({ kind: 0, bytes: [] });
      continue;
    }
    if (byte === 0x5c) {
      byte = value[++i] ?? 0;
      if (byte !== 0x2a && byte !== 0x5c) {
        throw new ExpressionError('bad-wildcard', span, 'a wildcard pattern has a \\ that escapes nothing', {
          cause: 'only \\* and \\\\ are escapes',
          fix: 'write \\\\, best in a raw string r"..."',
        });
      }
    }
    pieces.at(-1)!.bytes.push(!strict && byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
  }
  if (pieces.length - 1 > MAX_STARS)
    throw new ExpressionError('bad-wildcard', span, `a wildcard pattern has at most ${MAX_STARS} stars`);
  return encodePieces(pieces);
}

/** A replacement text: `${1}` refers to a group, `$$` is a dollar sign. Literals are pieces of kind 255. */
export function template(value: Uint8Array, groups: number, span: Span): Uint8Array {
  const pieces: { kind: number; bytes: number[] }[] = [];
  let references = 0;
  for (let i = 0; i < value.length; i++) {
    let byte = value[i]!;
    if (byte === 0x24) {
      const rest = String.fromCharCode(...value.subarray(i, i + 5));
      const reference = /^\$\{([0-9]{1,2})\}/.exec(rest);
      if (reference !== null) {
        const group = Number(reference[1]);
        if (group > groups)
          throw new ExpressionError(
            'bad-replacement',
            span,
            `\${${group}} refers to a group that the pattern does not have`,
            { cause: `it has ${groups}` },
          );
        if (++references > MAX_REPLACEMENTS)
          throw new ExpressionError(
            'bad-replacement',
            span,
            `a replacement has at most ${MAX_REPLACEMENTS} references`,
          );
        pieces.push({ kind: group, bytes: [] });
        i += reference[0].length - 1;
        continue;
      }
      if (value[i + 1] !== 0x24)
        throw new ExpressionError('bad-replacement', span, 'a $ here must be ${number} or $$', {
          fix: 'write $$ for a dollar sign',
        });
      byte = 0x24;
      i++;
    }
    const last = pieces.at(-1);
    if (last !== undefined && last.kind === 255) last.bytes.push(byte);
    else pieces.push({ kind: 255, bytes: [byte] });
  }
  return encodePieces(pieces);
}

/** Keys of lookup_json_*: names are pieces of kind 0, positions of kind 1 with four bytes. */
export function jsonKeys(keys: readonly (Uint8Array | bigint)[]): Uint8Array {
  return encodePieces(
    keys.map((key) => {
      if (typeof key !== 'bigint') return { kind: 0, bytes: [...key] };
      const position = Number(key);
      return { kind: 1, bytes: [position & 255, (position >> 8) & 255, (position >> 16) & 255, position >>> 24] };
    }),
  );
}

/** The fault of a regular expression where it stands in the text; rethrows what is none. */
export function patternFault(pattern: Pattern, error: unknown): ExpressionError {
  if (!(error instanceof RegexError)) throw error;
  const { offset, length, fix } = error;
  const at = pattern.offsets[offset] ?? pattern.span.at;
  const end = pattern.offsets[offset + length - 1] ?? at;
  const span = { at, length: Math.max(1, end - at + 1) };
  return new ExpressionError('bad-regex', span, error.message, fix === undefined ? {} : { fix });
}
