// Values of attributes: URLs that run, styles that run, and text that is code. Character references are decoded on the
// way, and the bytes that browsers drop are dropped.
import { lower } from './words';

/** Letters of a scheme at most, and of the part of a data: URL that says what it holds. */
const MAX_PREFIX: i32 = 48;
const PREFIX = memory.data(MAX_PREFIX);

let at: usize = 0;
let stop: usize = 0;
/** The character read last was written as a reference. */
let referred = false;

/**
 * The next character of a value, a character reference decoded: its code, or -1 at the end. Only references that can
 * stand in a scheme or a style are known by name.
 */
function nextCharacter(): i32 {
  referred = false;
  if (at >= stop) return -1;
  const byte = <u32>load<u8>(at);
  at++;
  if (byte != 0x26 || at >= stop) return <i32>byte;
  if (load<u8>(at) == 0x23) {
    referred = true;
    return numeric();
  }
  if (names('colon')) return 0x3a;
  if (names('tab')) return 0x09;
  if (names('newline')) return 0x0a;
  if (names('lpar')) return 0x28;
  if (names('sol')) return 0x2f;
  if (names('bsol')) return 0x5c;
  if (names('comma')) return 0x2c;
  if (names('semi')) return 0x3b;
  if (names('lt')) return 0x3c;
  return <i32>byte;
}

/** Passes this name and its semicolon. */
function names(word: string): bool {
  if (at + <usize>word.length > stop) return false;
  for (let i = 0; i < word.length; i++) {
    if (lower(<u32>load<u8>(at + <usize>i)) != <u32>word.charCodeAt(i)) return false;
  }
  at += <usize>word.length;
  if (at < stop && load<u8>(at) == 0x3b) at++;
  return true;
}

function numeric(): i32 {
  at++;
  const hexadecimal = at < stop && (load<u8>(at) | 0x20) == 0x78;
  if (hexadecimal) at++;
  let code = 0;
  while (at < stop) {
    const byte = <i32>load<u8>(at);
    let digit = byte - 0x30;
    if (digit < 0 || digit > 9) {
      digit = (byte | 0x20) - 0x61 + 10;
      if (!hexadecimal || digit < 10 || digit > 15) break;
    }
    // Past every character it stays there, whatever follows.
    code = min(code * (hexadecimal ? 16 : 10) + digit, 0x110000);
    at++;
  }
  if (at < stop && load<u8>(at) == 0x3b) at++;
  return code;
}

/**
 * A URL that runs: javascript:, vbscript: and their like, or a data: URL of a document. `attribute`: the value of one;
 * otherwise a text of its own, which must go on like code.
 */
export function isScriptUrl(start: usize, end: usize, attribute: bool): bool {
  at = start;
  stop = end;
  let length = 0;
  let leading = true;
  let references = 0;
  for (let code = nextCharacter(); code >= 0; code = nextCharacter()) {
    // Browsers drop control bytes before a scheme and line breaks inside; others have dropped more.
    if (code <= 0x20 || code >= 0x7f) {
      if (attribute || leading || code < 0x20) continue;
      return false;
    }
    if (leading && attribute && (code == 0x60 || code == 0x22 || code == 0x27 || code == 0x3c)) continue;
    if (attribute && code == 0x3b && urlIn()) {
      length = 0;
      leading = true;
      continue;
    }
    if (leading && attribute && (code >= 0x30 && code <= 0x39)) continue; // `0;url=javascript:`
    leading = false;
    if (referred) references++;
    if (code == 0x23 && is(length, 'javascript')) return attribute;
    if (code == 0x3a) {
      if (endsWith(length, 'javascript') || endsWith(length, 'vbscript') || endsWith(length, 'livescript')) {
        return attribute || goesOn();
      }
      if (attribute && (is(length, 'vbs') || is(length, 'mocha'))) return true;
      if (attribute && (is(length, 'mhtml') || is(length, 'feed'))) return true;
      if (is(length, 'data')) return data(attribute);
      if (attribute && at < stop && load<u8>(at) != 0x2f) {
        length = 0; // view-source: and others that hold another URL
        continue;
      }
      if (!attribute || !urlFollows()) return false;
      length = 0;
      leading = true;
      continue;
    }
    if (length >= MAX_PREFIX || (!attribute && (code == 0x2f || code == 0x3f || code == 0x3d))) {
      if (!attribute || !urlFollows()) return false;
      length = 0;
      leading = true;
      continue;
    }
    store<u8>(PREFIX + <usize>length, <u8>lower(<u32>code));
    length++;
  }
  // Cut off by a space, but written to be overlooked.
  return references >= 4 && length >= 4 && length <= 10 && beginsScheme(length);
}

function beginsScheme(length: i32): bool {
  const scheme = 'javascript';
  for (let i = 0; i < length; i++) if (<i32>load<u8>(PREFIX + <usize>i) != scheme.charCodeAt(i)) return false;
  return true;
}

/** `;url=` of a refresh, at the semicolon; passes it. */
function urlIn(): bool {
  let place = at;
  while (place < stop && load<u8>(place) <= 0x20) place++;
  if (place + 4 < stop && (load<u32>(place) | 0x202020) == 0x3d6c7275) {
    at = place + 4;
    return true;
  }
  at = place;
  return true;
}

/** A later `;url=` or `url(`, which a list of a refresh has; passes to it. */
function urlFollows(): bool {
  while (at < stop) {
    if (load<u8>(at) == 0x3b) {
      at++;
      return urlIn();
    }
    at++;
  }
  return false;
}

function is(length: i32, word: string): bool {
  return length == word.length && endsWith(length, word);
}

function endsWith(length: i32, word: string): bool {
  const skip = length - word.length;
  if (skip < 0) return false;
  for (let i = 0; i < word.length; i++) {
    if (<i32>load<u8>(PREFIX + <usize>(skip + i)) != word.charCodeAt(i)) return false;
  }
  return true;
}

/** Behind the colon of javascript: something that calls, not `JavaScript: the good parts`. */
function goesOn(): bool {
  return isCode(at, stop);
}

/** Behind `data:`; pictures but SVG do not run. */
function data(attribute: bool): bool {
  let length = 0;
  for (let code = nextCharacter(); code >= 0 && length < MAX_PREFIX; code = nextCharacter()) {
    if (code <= 0x20) continue;
    if (code == 0x3b || code == 0x2c) break;
    store<u8>(PREFIX + <usize>length, code > 0x7f ? 0x3f : <u8>lower(<u32>code));
    length++;
  }
  if (!attribute) return is(length, 'text/html') || is(length, 'image/svg+xml');
  if (endsWith(length, 'svg+xml')) return true;
  if (length >= 6 && load<u8>(PREFIX) == 0x69 && load<u8>(PREFIX, 5) == 0x2f) return false; // image/
  return !(is(length, 'application/pdf') || is(length, 'audio/mpeg') || is(length, 'video/mp4'));
}

/** Text that calls or assigns: it has a parenthesis, a backtick, an assignment, or a reference that may hide one. */
export function isCode(start: usize, end: usize): bool {
  if (start < end && load<u8>(start) == 0x3d) return false; // `onclose ===`
  for (let place = start; place < end; place++) {
    const byte = load<u8>(place);
    if (byte == 0x28 || byte == 0x60 || byte == 0x3d || byte == 0x26 || byte == 0x5c || byte == 0x5b) return true;
  }
  return false;
}

/** A style that runs or loads code in some browser, or that is written to hide that it does. */
export function isUnsafeStyle(start: usize, end: usize, inTag: bool): bool {
  at = start;
  stop = end;
  let length = 0;
  let previous = 0;
  let content = false;
  for (let code = nextCharacter(); code >= 0; code = nextCharacter()) {
    if (code == 0x5c || code == 0x7b || code == 0x7d || code == 0x3c || code == 0x5b) return inTag;
    if (referred && code < 0x20) return inTag;
    if (previous == 0x2f && code == 0x2a) {
      if (inTag) return true;
    }
    previous = code;
    // White space and comments may stand inside words that old browsers ran; letters alone are kept.
    if (code > 0x7f || !(((code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a) || code == 0x2d)) {
      if (code == 0x28) {
        if (endsWith(length, 'expression')) return true;
        if (content && endsWith(length, 'url')) return inTag;
      }
      if (code == 0x3a) {
        if (endsWith(length, 'javascript') || endsWith(length, 'vbscript')) return true;
        if (endsWith(length, 'behavior') || endsWith(length, 'behaviour')) return true;
        if (endsWith(length, 'binding') || endsWith(length, '-o-link')) return true;
        if (endsWith(length, 'data') && inTag) return true;
        content = endsWith(length, 'content');
      }
      if (code != 0x20 && code < 0x7f) length = 0;
      continue;
    }
    if (length == MAX_PREFIX) {
      memory.copy(PREFIX, PREFIX + 16, MAX_PREFIX - 16);
      length -= 16;
    }
    store<u8>(PREFIX + <usize>length, <u8>lower(<u32>code));
    length++;
  }
  return false;
}

/** A link to another document, not to a place in this one. */
export function isElsewhere(start: usize, end: usize): bool {
  if (isScriptUrl(start, end, true)) return true;
  for (let place = start; place + 1 < end; place++) {
    if (load<u8>(place) == 0x2f && load<u8>(place, 1) == 0x2f) return true;
  }
  return false;
}
