// multipart/form-data bodies: fields to ARGS_POST, files to FILES*, header lines to MULTIPART_PART_HEADERS.
//
// What is a boundary, a header, a part is judged as strictly as ModSecurity does, and every deviation raises its flag. But
// where ModSecurity stops, or takes a doubtful boundary for data, we go on and take it for a boundary: rules see everything
// that some reader might find, even where no rule refuses the request for the flag alone. A part whose header is an error
// is a field, and a file as well if it has a file name.
//
// Two differences in counting follow: parts behind an error are there, and one without a final boundary is.
import { REASON_PARTS } from '../../abi';
import { alloc, fail, spend } from '../../arena';
import {
  MAX_PARTS,
  VARIABLE_ARGS_POST,
  VARIABLE_FILES,
  VARIABLE_FILES_COMBINED_SIZE,
  VARIABLE_FILES_NAMES,
  VARIABLE_FILES_SIZES,
  VARIABLE_FILES_TMP_CONTENT,
  VARIABLE_MULTIPART_FILENAME,
  VARIABLE_MULTIPART_NAME,
} from '../abi';
import { addValue, setNumber, setText, writeNumber } from '../collections';
import { addArgument } from './argument';
import { boundaryLength, boundaryOfBody, readBoundary } from './boundary';
import { boundaryOf, seek, startSeek } from './delimiter';
import { fileNameAt, fileNameLength, partNameAt, partNameLength, plainDisposition } from './disposition';
import {
  FLAG_CRLF_LINE,
  FLAG_DATA_AFTER,
  FLAG_DATA_BEFORE,
  FLAG_FILE_LIMIT_EXCEEDED,
  FLAG_INVALID_PART,
  FLAG_LF_LINE,
  multipartError,
  raise,
  clearFlags,
} from './multipart-flags';
import { behindHeader, plainHeader, readPartHeader } from './part-header';

export { setMultipartVariables } from './multipart-flags';

let start: usize = 0;
let end: usize = 0;
let parts: i32 = 0;
let boundaries: i32 = 0;
let combined: i32 = 0;
let inPart: bool = false;
let final: bool = false; // the last boundary was the final one
let dataAt: usize = 0; // of the open part
let doubtful: bool = false; // some reader takes the boundary before it for data of the part before
let nextDoubtful: bool = false;
// What the host left out of the window: { offset in it, bytes }, ascending.
let elided: usize = 0;
let elidedCount: i32 = 0;

/** Forgets the last body; first thing in a call. */
export function startMultipart(): void {
  clearFlags();
  elided = 0;
  elidedCount = 0;
}

/**
 * Says what the host left out of the window: `count` entries { u32 offset in the window, u32 bytes } at `at`, ascending,
 * all within contents of files. They count for FILES_SIZES.
 */
export function setElided(at: usize, count: i32): void {
  elided = at;
  elidedCount = count;
}

/** Adds what is in a multipart body; `whole` as of processBody. False when a limit is reached. */
export function parseMultipart(at: usize, length: i32, whole: bool, contentTypeAt: usize, contentTypeLength: i32): bool {
  if (!spend(length + contentTypeLength)) return false;
  readBoundary(contentTypeAt, contentTypeLength);
  if (boundaryLength == 0) boundaryOfBody(at, length);
  if (boundaryLength == 0 || length == 0) return true;
  start = at;
  end = at + <usize>length;
  parts = 0;
  boundaries = 0;
  combined = 0;
  inPart = false;
  final = false;
  startSeek();
  if (!readParts(at)) return false;
  if (inPart && !finishPart(end)) return false;
  if (whole) {
    if (boundaries == 0) multipartError('Multipart parsing error: no boundaries found in payload');
    else if (!final) multipartError('Multipart parsing error: final boundary missing');
  }
  return setNumber(VARIABLE_FILES_COMBINED_SIZE, combined);
}

function readParts(p: usize): bool {
  while (p < end) {
    // p is the start of a line: pass over data up to the next line that may be a boundary.
    const line = seek(p, end);
    if (final) raise(FLAG_DATA_AFTER);
    else if (line > p && !inPart) raise(FLAG_DATA_BEFORE);
    if (line == end) return true;
    const boundary = boundaryOf(line, end);
    nextDoubtful = final || boundary != line + 2;
    if (boundary == 0) {
      // A line that begins with `--` is data like any other.
      if (!inPart && !final) raise(FLAG_DATA_BEFORE);
      p = lineEnd(line);
      continue;
    }
    if (inPart && !finishPart(line)) return false;
    p = readBoundaryLine(line, boundary + <usize>boundaryLength);
    if (final) continue;
    if (++parts > MAX_PARTS) {
      raise(FLAG_FILE_LIMIT_EXCEEDED);
      fail(REASON_PARTS);
      return false;
    }
    inPart = true;
    doubtful = nextDoubtful;
    if (!readPartHeader(p, end)) return false;
    p = behindHeader;
    dataAt = p;
    if (!nameParts()) return false;
  }
  return true;
}

function lineEnd(p: usize): usize {
  while (p < end && load<u8>(p) != 0x0a) p++;
  return p < end ? p + 1 : end;
}

/** Judges a boundary line, of which `p` is behind the boundary's text; place behind the line. */
function readBoundaryLine(line: usize, p: usize): usize {
  if (line > start && load<u8>(line - 1) == 0x0a && (line - 1 == start || load<u8>(line - 2) != 0x0d)) raise(FLAG_LF_LINE);
  final = p + 1 < end && load<u16>(p) == 0x2d2d;
  if (final) p += 2;
  boundaries++;
  if (p == end) {
    // Only the final boundary may do without a line end, and not if it is the only one.
    if (boundaries == 1) multipartError('Multipart parsing error: no boundaries found in payload');
    return end;
  }
  if (load<u8>(p) == 0x0a) {
    raise(FLAG_LF_LINE);
    return p + 1;
  }
  if (p + 1 < end && load<u16>(p) == 0x0a0d) {
    raise(FLAG_CRLF_LINE);
    return p + 2;
  }
  multipartError('Multipart parsing error: invalid boundary');
  nextDoubtful = true;
  return lineEnd(p);
}

/** Adds the names of the part whose header was read. */
function nameParts(): bool {
  if (partNameLength >= 0 && !setText(VARIABLE_MULTIPART_NAME, partNameAt, partNameLength)) return false;
  return fileNameLength < 0 || setText(VARIABLE_MULTIPART_FILENAME, fileNameAt, fileNameLength);
}

/** Adds the part that ends before `line`, the line of a boundary or the end of the body. */
function finishPart(line: usize): bool {
  inPart = false;
  let stop = line;
  if (line == dataAt) {
    // No line of data: the boundary is where data has to begin. ModSecurity takes it for data.
    if (line != end) raise(FLAG_INVALID_PART);
    nextDoubtful = true;
  } else if (line != end || load<u8>(line - 1) == 0x0a) {
    stop--;
    if (stop > dataAt && load<u8>(stop - 1) == 0x0d) stop--;
  }
  const size = <i32>(stop - dataAt);
  const left = elidedIn(dataAt, stop);
  const isFile = fileNameLength >= 0;
  const name = partNameAt;
  const length = max(partNameLength, 0);
  if (isFile) {
    const total = size + left < 0 ? i32.MAX_VALUE : size + left;
    combined = combined + total < 0 ? i32.MAX_VALUE : combined + total;
    const text = alloc(12);
    if (text == 0) return false;
    if (!addValue(VARIABLE_FILES, name, length, fileNameAt, fileNameLength)) return false;
    if (!addValue(VARIABLE_FILES_NAMES, name, length, name, length)) return false;
    if (!addValue(VARIABLE_FILES_SIZES, name, length, text, writeNumber(text, total))) return false;
    if (!addValue(VARIABLE_FILES_TMP_CONTENT, name, length, dataAt, size)) return false;
    if (plainHeader && plainDisposition && !doubtful) return true;
  }
  if (left != 0) {
    // The host left out what is a field after all. Nobody has seen it, so nobody may say that it is harmless.
    fail(REASON_PARTS);
    return false;
  }
  return addArgument(VARIABLE_ARGS_POST, name, length, dataAt, size);
}

/** Bytes that the host left out of [from, to]. */
function elidedIn(from: usize, to: usize): i32 {
  let bytes: i32 = 0;
  while (elidedCount > 0 && start + <usize>load<u32>(elided) <= to) {
    if (start + <usize>load<u32>(elided) >= from) bytes += load<i32>(elided, 4);
    elided += 8;
    elidedCount--;
  }
  return bytes < 0 ? i32.MAX_VALUE : bytes;
}
