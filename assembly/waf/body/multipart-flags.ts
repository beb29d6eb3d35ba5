// What is unusual about a multipart body: the MULTIPART_* variables that rules 200003 and 200004 look at.
import {
  VARIABLE_MULTIPART_BOUNDARY_QUOTED,
  VARIABLE_MULTIPART_BOUNDARY_WHITESPACE,
  VARIABLE_MULTIPART_CRLF_LF_LINES,
  VARIABLE_MULTIPART_DATA_AFTER,
  VARIABLE_MULTIPART_DATA_BEFORE,
  VARIABLE_MULTIPART_FILE_LIMIT_EXCEEDED,
  VARIABLE_MULTIPART_HEADER_FOLDING,
  VARIABLE_MULTIPART_INVALID_HEADER_FOLDING,
  VARIABLE_MULTIPART_INVALID_PART,
  VARIABLE_MULTIPART_INVALID_QUOTING,
  VARIABLE_MULTIPART_LF_LINE,
  VARIABLE_MULTIPART_MISSING_SEMICOLON,
  VARIABLE_MULTIPART_STRICT_ERROR,
  VARIABLE_MULTIPART_UNMATCHED_BOUNDARY,
} from '../abi';
import { setText } from '../collections';
import { setMalformed } from './malformed';

export const FLAG_ERROR: i32 = 1;
export const FLAG_BOUNDARY_QUOTED: i32 = 2;
export const FLAG_BOUNDARY_WHITESPACE: i32 = 4;
export const FLAG_DATA_BEFORE: i32 = 8;
export const FLAG_DATA_AFTER: i32 = 16;
export const FLAG_HEADER_FOLDING: i32 = 32;
export const FLAG_LF_LINE: i32 = 64;
export const FLAG_CRLF_LINE: i32 = 128;
export const FLAG_MISSING_SEMICOLON: i32 = 256;
export const FLAG_INVALID_QUOTING: i32 = 512;
export const FLAG_INVALID_PART: i32 = 1024;
export const FLAG_INVALID_HEADER_FOLDING: i32 = 2048;
export const FLAG_FILE_LIMIT_EXCEEDED: i32 = 4096;
export const FLAG_UNMATCHED_BOUNDARY: i32 = 8192;
export const FLAG_OTHER_BOUNDARY: i32 = 16384;

// Lines that end in CRLF are as they should be, and an unmatched boundary has a rule of its own.
const STRICT: i32 = 8191 & ~128;

let flags: i32 = 0;
const DIGITS = memory.data<u8>([0x30, 0x31, 0x32]);

/** Forgets all flags; first thing in a call. */
export function clearFlags(): void {
  flags = 0;
}

export function raise(flag: i32): void {
  flags |= flag;
}
export function raised(flag: i32): bool {
  return (flags & flag) != 0;
}

/** The body is no multipart/form-data that every reader understands alike. `message` is a literal of ASCII. */
export function multipartError(message: string): void {
  flags |= FLAG_ERROR;
  setMalformed(message);
}

function setFlag(variable: i32, flag: i32): bool {
  return setText(variable, raised(flag) ? DIGITS + 1 : DIGITS, 1);
}

/**
 * ModSecurity's flag for a line that looks like a boundary, with two values as its version 3 has, so that `@eq 1` is what to
 * refuse. 1: the boundary's own text where no boundary is, which readers that do not look for line ends take for one; 2: only
 * other lines that begin with `--`, as keys, comments of SQL and signatures of mails have them, and which nobody takes for
 * one. ModSecurity 3 has 2 wherever a boundary follows; 2.9 has 1 for all of it.
 */
function setUnmatched(): bool {
  const digit: usize = raised(FLAG_UNMATCHED_BOUNDARY) ? 1 : raised(FLAG_OTHER_BOUNDARY) ? 2 : 0;
  return setText(VARIABLE_MULTIPART_UNMATCHED_BOUNDARY, DIGITS + digit, 1);
}

/** Sets every flag variable to 0 or 1; of a body that is not multipart, they are 0. */
export function setMultipartVariables(): bool {
  return (
    setFlag(VARIABLE_MULTIPART_STRICT_ERROR, STRICT) &&
    setUnmatched() &&
    setFlag(VARIABLE_MULTIPART_BOUNDARY_QUOTED, FLAG_BOUNDARY_QUOTED) &&
    setFlag(VARIABLE_MULTIPART_BOUNDARY_WHITESPACE, FLAG_BOUNDARY_WHITESPACE) &&
    setFlag(VARIABLE_MULTIPART_DATA_BEFORE, FLAG_DATA_BEFORE) &&
    setFlag(VARIABLE_MULTIPART_DATA_AFTER, FLAG_DATA_AFTER) &&
    setFlag(VARIABLE_MULTIPART_HEADER_FOLDING, FLAG_HEADER_FOLDING) &&
    setFlag(VARIABLE_MULTIPART_LF_LINE, FLAG_LF_LINE) &&
    setFlag(VARIABLE_MULTIPART_CRLF_LF_LINES, raised(FLAG_CRLF_LINE) ? FLAG_LF_LINE : 0) &&
    setFlag(VARIABLE_MULTIPART_MISSING_SEMICOLON, FLAG_MISSING_SEMICOLON) &&
    setFlag(VARIABLE_MULTIPART_INVALID_QUOTING, FLAG_INVALID_QUOTING) &&
    setFlag(VARIABLE_MULTIPART_INVALID_PART, FLAG_INVALID_PART) &&
    setFlag(VARIABLE_MULTIPART_INVALID_HEADER_FOLDING, FLAG_INVALID_HEADER_FOLDING) &&
    setFlag(VARIABLE_MULTIPART_FILE_LIMIT_EXCEEDED, FLAG_FILE_LIMIT_EXCEEDED)
  );
}
