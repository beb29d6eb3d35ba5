// Would a page that shows this text run something? The text is cut as the HTML standard's tokenizer cuts it, from each
// place that a page may put it: between tags, inside a tag, and behind each quote that it breaks out of. What runs is an
// element that loads, an event handler, a URL of a scripting scheme, or a style that calls code.
//
// Linear: each place is one pass; a quoted value is looked into once more, for tags that another parser would see there.
import { spend } from '../../arena';
import {
  MARK_ALL, MARK_BACKTICK, MARK_COLON, MARK_DOUBLE, MARK_EQUALS, MARK_LESS, MARK_SINGLE, marksIn, marksOf,
} from './bytes';
import {
  ATTRIBUTE_LINK,
  ATTRIBUTE_MARKUP,
  ATTRIBUTE_STYLE,
  ATTRIBUTE_URL,
  ELEMENT_LOADS,
  ELEMENT_RUNS,
  ELEMENT_STYLE,
  HANDLER,
  HTML_NONE,
  htmlWord,
} from './html-words';
import { isCode, isElsewhere, isScriptUrl, isUnsafeStyle } from './xss-values';
import { lower } from './words';

/** Letters of an element's or attribute's name that count; no name that matters has more. */
const MAX_NAME: i32 = 32;
const NAME = memory.data(MAX_NAME);
/** Values within values that are looked into: an attribute of a tag, and one of a tag inside it. */
const MAX_DEPTH: i32 = 2;

let end: usize = 0;
let found = false;
let nameLength: i32 = 0;
/** Outside of tags: an attribute with a URL came before. */
let loads = false;

/** True when the text would run in a page. False too when the budget is spent. */
export function detectXss(at: usize, length: i32): bool {
  return judgeXss(at, length, length < 3 ? 0 : marksOf(at, length));
}

/** The same of a text whose presence bitmap is known. */
export function detectXssKnown(at: usize, length: i32, bitmap: usize): bool {
  return judgeXss(at, length, length < 3 ? 0 : marksIn(bitmap));
}

function judgeXss(at: usize, length: i32, seen: u32): bool {
  if (length < 3 || !spend(1 + (length >> 2))) return false;
  if ((seen & (MARK_LESS | MARK_EQUALS | MARK_COLON)) == 0) return false;
  // Up to 40 ns a byte where there are tags or attributes.
  if ((seen & (MARK_LESS | MARK_EQUALS)) != 0 && !spend(length << 2)) return false;
  return judgePlaces(at, at + <usize>length, seen);
}

/** `detectXss` without the ways out; for the test that they change no verdict. */
export function detectXssSlowly(at: usize, length: i32): bool {
  if (!spend(1 + (length >> 2))) return false;
  marksOf(at, length);
  return judgePlaces(at, at + <usize>length, MARK_ALL);
}

function judgePlaces(at: usize, stop: usize, seen: u32): bool {
  found = false;
  if ((seen & MARK_COLON) != 0 && isScriptUrl(at, stop, false)) return true;
  loads = false;
  if ((seen & MARK_LESS) != 0) {
    markup(at, stop, 0);
    if (found) return true;
  }
  if ((seen & MARK_EQUALS) == 0) return false;
  // Inside a tag, or as a value without quotes: only a handler or a URL of a scripting scheme counts here.
  if (breaks(at, stop)) return true;
  if ((seen & MARK_DOUBLE) != 0 && behind(at, stop, 0x22)) return true;
  if ((seen & MARK_SINGLE) != 0 && behind(at, stop, 0x27)) return true;
  return (seen & MARK_BACKTICK) != 0 && behind(at, stop, 0x60);
}

function breaks(at: usize, stop: usize): bool {
  end = stop;
  loads = false;
  attributes(at, false, HTML_OUTSIDE, MAX_DEPTH);
  return found;
}

/** From behind the first quote of a kind, as the attributes of a tag. */
function behind(at: usize, stop: usize, quote: u32): bool {
  for (; at < stop; at++) if (<u32>load<u8>(at) == quote) return breaks(at + 1, stop);
  return false;
}

/** Between tags. */
function markup(at: usize, stop: usize, depth: i32): void {
  const outer = end;
  end = stop;
  while (!found && at + 1 < stop) {
    if (load<u8>(at) != 0x3c) {
      at++;
      continue;
    }
    at++;
    const byte = <u32>load<u8>(at);
    if (isLetter(byte)) at = tag(at, depth);
    else if (byte == 0x2f) {
      // An end tag; browsers drop its attributes, but not all that clean up before them do.
      at++;
      if (at < stop && isLetter(<u32>load<u8>(at))) {
        at = name(at);
        // Its beginning was written so as not to be seen.
        if (loads && named('script')) found = true;
      }
      at = attributes(at, true, HTML_TAG, depth);
    } else if (byte == 0x21) {
      at++;
      declaration(at);
    } else if (byte == 0x3f) {
      at++;
      name(at);
      if (named('import') || named('xml-stylesheet') || named('xml:namespace')) found = true;
    } else if (byte <= 0x20 && at + 1 < stop && isLetter(<u32>load<u8>(at, 1))) {
      // `< img`: no tag of today's browsers; its handlers tell what it was meant for.
      at = attributes(name(at + 1), true, HTML_TAG, depth);
    }
  }
  end = outer;
}

/** What stands behind `<!`. What a comment holds is looked at like any text: where it ends, parsers disagree. */
function declaration(at: usize): void {
  if (at + 4 < end && load<u8>(at) == 0x2d && load<u8>(at, 1) == 0x2d) {
    at += 2;
    while (at < end && load<u8>(at) <= 0x20) at++;
    if (at + 2 < end && load<u8>(at) == 0x5b && lower(<u32>load<u8>(at, 1)) == 0x69) found = true; // [if
    return;
  }
  name(at);
  if (named('entity') || named('attlist') || named('element')) found = true;
}

// What attributes belong to
const HTML_TAG: u32 = 0;
const HTML_LOADING: u32 = 1; // a tag of which any attribute counts
const HTML_OUTSIDE: u32 = 2; // no tag is seen

/** At the first letter of a tag's name; gives the place behind the tag. */
function tag(at: usize, depth: i32): usize {
  at = name(at);
  const kind = kindOfName();
  if (nameLength > 4 && (load<u32>(NAME) == 0x3a6c7378)) found = true; // xsl:
  if (kind == ELEMENT_RUNS || kind == ELEMENT_STYLE) {
    found = true;
    return at;
  }
  return attributes(at, true, kind == ELEMENT_LOADS ? HTML_LOADING : HTML_TAG, depth);
}

/** Of the name read last, or of its part behind the prefix of a namespace. */
function kindOfName(): u32 {
  const kind = htmlWord(NAME, nameLength);
  if (kind != HTML_NONE) return kind;
  for (let i = nameLength - 1; i > 0; i--) {
    if (load<u8>(NAME + <usize>i) == 0x3a) return htmlWord(NAME + <usize>i + 1, nameLength - i - 1);
  }
  return HTML_NONE;
}

/** Reads a name into NAME, in lower case and without control bytes; gives the place behind it. */
function name(at: usize): usize {
  nameLength = 0;
  while (at < end) {
    const byte = <u32>load<u8>(at);
    // A bracket ends it too, unlike in the standard: `<script<b>` is one tag to some, `<a<script>` the second to others.
    if (byte == 0x3e || byte == 0x3c || byte == 0x2f || byte == 0x3d || isSpace(byte)) break;
    if (byte > 0x20 && byte != 0x7f) {
      if (nameLength < MAX_NAME) store<u8>(NAME + <usize>nameLength, <u8>lower(byte));
      nameLength++;
    }
    at++;
  }
  if (nameLength > MAX_NAME) nameLength = 0;
  return at;
}

function named(word: string): bool {
  if (word.length != nameLength) return false;
  for (let i = 0; i < nameLength; i++) if (<i32>load<u8>(NAME + <usize>i) != word.charCodeAt(i)) return false;
  return true;
}

/** The attributes of a tag, up to its end; gives the place behind it. */
function attributes(at: usize, inTag: bool, owner: u32, depth: i32): usize {
  while (!found && at < end) {
    const byte = <u32>load<u8>(at);
    if (isSpace(byte) || byte == 0x2f || byte == 0x22 || byte == 0x27 || byte == 0x60 || byte <= 0x20) {
      at++;
      continue;
    }
    if (byte == 0x3e) return at + 1;
    if (byte == 0x3c && inTag) return at; // a tag begins before this one ended: see it as one
    const start = at;
    at = name(at);
    if (at == start) {
      at++; // a lone `=`
      continue;
    }
    let place = at;
    while (place < end && (isSpace(<u32>load<u8>(place)) || load<u8>(place) < 0x20)) place++;
    if (place >= end || load<u8>(place) != 0x3d) continue;
    at = place + 1;
    while (at < end && (isSpace(<u32>load<u8>(at)) || load<u8>(at) < 0x20)) at++;
    const kind = attributeKind();
    const isEvent = nameLength >= 5 && load<u8>(NAME) == 0x6f && load<u8>(NAME, 1) == 0x6e;
    at = value(at, inTag, owner, kind, isEvent, depth);
  }
  return at;
}

function attributeKind(): u32 {
  // Quotes and other signs before the letters belong to no name that anybody meant.
  let skip = 0;
  while (skip < nameLength && !isWordLetter(<u32>load<u8>(NAME + <usize>skip))) skip++;
  if (skip > 0) {
    memory.copy(NAME, NAME + <usize>skip, nameLength - skip);
    nameLength -= skip;
  }
  return kindOfName();
}

/** At an attribute's value: judges it, and gives the place behind it. */
function value(at: usize, inTag: bool, owner: u32, kind: u32, isEvent: bool, depth: i32): usize {
  const quote = at < end ? <u32>load<u8>(at) : 0;
  let start = at;
  let stop = at;
  if (quote == 0x22 || quote == 0x27) {
    start++;
    stop = start;
    while (stop < end && <u32>load<u8>(stop) != quote) stop++;
    at = stop < end ? stop + 1 : stop;
  } else {
    while (stop < end && load<u8>(stop) != 0x3e && !isSpace(<u32>load<u8>(stop))) stop++;
    at = stop;
  }
  judge(start, stop, inTag, owner, kind, isEvent);
  if (!found && depth < MAX_DEPTH && has(start, stop, 0x3c)) markup(start, stop, depth + 1);
  if (!found && inTag && depth < MAX_DEPTH) {
    // Old browsers closed a value at a backtick.
    const tick = find(start, stop, 0x60);
    if (tick != 0) {
      const outer = end;
      end = stop;
      attributes(tick + 1, false, HTML_OUTSIDE, MAX_DEPTH);
      let last = stop;
      while (load<u8>(last - 1) != 0x60) last--;
      if (!found && last != tick + 1) attributes(last, false, HTML_OUTSIDE, MAX_DEPTH);
      end = outer;
    }
  }
  return at;
}

function judge(start: usize, stop: usize, inTag: bool, owner: u32, kind: u32, isEvent: bool): void {
  if (owner == HTML_LOADING) found = true;
  else if (kind == HANDLER) found = start < stop && (inTag || loads || isCode(start, stop));
  else if (isEvent) found = inTag && start < stop; // of a browser that we do not know yet
  else if (kind == ATTRIBUTE_URL) {
    loads = true;
    found = isScriptUrl(start, stop, true);
  } else if (kind == ATTRIBUTE_LINK) found = inTag && isElsewhere(start, stop);
  else if (kind == ATTRIBUTE_STYLE || kind == ELEMENT_STYLE) found = isUnsafeStyle(start, stop, inTag);
  else if (kind == ATTRIBUTE_MARKUP) found = inTag;
}

function find(at: usize, stop: usize, byte: u32): usize {
  for (; at < stop; at++) if (<u32>load<u8>(at) == byte) return at;
  return 0;
}

function has(at: usize, stop: usize, byte: u32): bool {
  return find(at, stop, byte) != 0;
}

function isWordLetter(byte: u32): bool {
  return isLetter(byte) || byte == 0x5f || byte == 0x2d || byte == 0x24;
}

// @ts-ignore: decorator
@inline
function isLetter(byte: u32): bool {
  return (byte | 0x20) - 0x61 < 26;
}

/** White space of the standard, and the vertical tab that old browsers took for it. */
// @ts-ignore: decorator
@inline
function isSpace(byte: u32): bool {
  return byte == 0x20 || byte - 0x09 < 5;
}
