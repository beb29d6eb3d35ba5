// XML bodies: the text of the document as XML:/*, the value of each attribute as XML://@*. Nothing else of XPath is needed.
//
// What libxml2 gives ModSecurity: text and CDATA of all elements in one string, references to characters and the five
// predefined entities decoded, line ends as one LF, comments and processing instructions left out, and no namespace
// declarations among the attributes. Where it differs: entities of the document's own are never expanded. Their literal
// values, and the system identifiers of external ones, are XML:/* values of their own, so that rules see each once; and a
// document that refers to one is malformed, since its text would not be what another reader makes of it.
//
// Where the document is not well-formed it is malformed for the rules, and reading goes on as well as it can.
import { REASON_BODY_DEPTH } from '../../abi';
import { alloc, fail, spend } from '../../arena';
import { equalBytes } from '../../hash';
import { putCodePoint } from '../../json';
import { hexDigit } from '../../pairs';
import { MAX_XML_DEPTH, VARIABLE_XML } from '../abi';
import { addValue } from '../collections';
import { setMalformed } from './malformed';
import { isPlainText, readEncoding, transcode, transcodedLength, widen } from './xml-encoding';

const TEXT_NAME = memory.data<u8>([0x2f, 0x2a]); // /*
const ATTRIBUTE_NAME = memory.data<u8>([0x2f, 0x2f, 0x40, 0x2a]); // //@*
const OPEN = memory.data(MAX_XML_DEPTH * 8); // names of open elements: place, length

let p: usize = 0;
let end: usize = 0;
let complete: bool = true;
let depth: i32 = 0;
let roots: i32 = 0;
let foreign: bool = false; // the document type is elsewhere, so a reference may be to an entity declared there
// One buffer takes the text from its start, and attribute values that had to be decoded from its end: together they are
// never longer than the document.
let text: usize = 0;
let attributes: usize = 0;

/** Adds the text and the attribute values of a document; `whole` as of processBody. False when a limit is reached. */
export function parseXml(at: usize, length: i32, whole: bool): bool {
  if (length == 0) return true;
  if (!spend(length)) return false;
  complete = whole;
  p = transcode(at, length);
  if (p == 0) return false;
  readEncoding(p, p + <usize>transcodedLength, whole);
  p = widen(p);
  if (p == 0) return false;
  end = p + <usize>transcodedLength;
  depth = 0;
  roots = 0;
  foreign = false;
  // The buffer takes 16 bytes more than the document, for stores of vectors that run over.
  const buffer = alloc(transcodedLength + 16);
  if (buffer == 0) return false;
  text = buffer;
  attributes = buffer + <usize>transcodedLength + 16;
  if (!isPlainText(p, end, whole)) setMalformed('XML parsing error: bytes that the encoding does not have');
  const read = document();
  if (read && complete && depth > 0) setMalformed('XML parsing error: an element is not closed');
  if (roots == 0) setMalformed('XML parsing error: there is no root element');
  if (roots == 0 && text == buffer) return read;
  return addValue(VARIABLE_XML, TEXT_NAME, 2, buffer, <i32>(text - buffer)) && read;
}

function document(): bool {
  const less = i8x16.splat(0x3c);
  while (p < end) {
    const start = p;
    while (p < end) {
      // SAFETY: reads up to 15 bytes behind `end`; what is found there is not below it.
      const found = i8x16.bitmask(i8x16.eq(v128.load(p), less));
      if (found == 0) {
        p += 16;
        continue;
      }
      p += <usize>ctz(found);
      break;
    }
    if (p > end) p = end;
    if (p > start) characters(start, p);
    if (p < end && !markup()) return false;
  }
  return true;
}

/** Reads what begins with the `<` at p. False when a limit is reached. */
function markup(): bool {
  const next: u8 = p + 1 < end ? load<u8>(p, 1) : 0;
  if (next == 0x2f) {
    endTag();
    return true;
  }
  if (next == 0x3f) {
    if (p + 2 < end ? !nameStart(load<u8>(p, 2)) : complete) setMalformed('XML parsing error: an instruction without a name');
    p = after(p + 2, 0x3f, 1);
    return true;
  }
  if (next == 0x21) return declaration();
  if (nameStart(next)) return startTag();
  stray('XML parsing error: `<` without a name');
  return true;
}

function declaration(): bool {
  if (p + 3 < end && load<u16>(p, 2) == 0x2d2d) {
    p = after(p + 4, 0x2d, 2);
    return true;
  }
  // `![CDATA[`, `!DOCTYPE`
  const word: u64 = p + 8 < end ? load<u64>(p, 1) : 0;
  if (word == 0x5b41544144435b21) {
    const start = p + 9;
    p = after(start, 0x5d, 2);
    if (depth == 0) setMalformed('XML parsing error: text outside of the root element');
    append(start, stop, false);
    return true;
  }
  if (word == 0x45505954434f4421) return documentType();
  stray('XML parsing error: an unknown declaration');
  return true;
}

/** The `<` at p begins nothing: it is text. */
function stray(message: string): void {
  if (complete || p + 9 < end) setMalformed(message);
  append(p, p + 1, false);
  p++;
}

/** Where what `after` looked for begins, or the end. */
let stop: usize = 0;

/** Place behind the first `>` from q on that has `count` bytes `mark` directly before it; the end when there is none. */
function after(q: usize, mark: u8, count: usize): usize {
  const greater = i8x16.splat(0x3e);
  const first = q + count;
  for (q = first; q < end; ) {
    const found = i8x16.bitmask(i8x16.eq(v128.load(q), greater));
    if (found == 0) {
      q += 16;
      continue;
    }
    q += <usize>ctz(found);
    if (q >= end) break;
    stop = q - count;
    if (load<u8>(q - 1) == mark && (count == 1 || load<u8>(q - 2) == mark)) return q + 1;
    q++;
  }
  if (complete) setMalformed('XML parsing error: the document ends inside of a comment, section or instruction');
  stop = end;
  return end;
}

/** Text between markup. */
function characters(q: usize, to: usize): void {
  if (depth == 0) {
    while (q < to && blank(load<u8>(q))) q++;
    if (q == to) return;
    setMalformed('XML parsing error: text outside of the root element');
  }
  append(q, to, true);
}

/** Adds [q, to) to the text of the document, line ends as LF, and references decoded when `references`. */
function append(q: usize, to: usize, references: bool): void {
  const and = i8x16.splat(0x26);
  const carriage = i8x16.splat(0x0d);
  while (q < to) {
    const bytes = v128.load(q);
    // SAFETY: text and attributes together are not longer than what was read, so 16 bytes are free behind the text.
    v128.store(text, bytes);
    let marks = i8x16.eq(bytes, carriage);
    if (references) marks = v128.or(marks, i8x16.eq(bytes, and));
    const left = to - q;
    const found = i8x16.bitmask(marks) | (left < 16 ? 1 << <i32>left : 0);
    const n: usize = found == 0 ? 16 : <usize>ctz(found);
    q += n;
    text += n;
    if (found == 0 || q >= to) continue;
    if (load<u8>(q) == 0x26) {
      text = reference(q, to, text);
      q = behind;
    } else {
      if (q + 1 >= end || load<u8>(q, 1) != 0x0a) store<u8>(text++, 0x0a);
      q++;
    }
  }
}

/** Place behind the last reference. */
let behind: usize = 0;

/** Decodes the reference at the `&` at q to `out`; where it ends there. One that is none, or unknown, stays as it is. */
function reference(q: usize, to: usize, out: usize): usize {
  // A name ends before the next `&` or blank, so every byte is looked at once however many `&` there are.
  let r = q + 1;
  while (r < to && load<u8>(r) != 0x3b && load<u8>(r) != 0x26 && load<u8>(r) > 0x20) r++;
  behind = r + 1;
  const length = <i32>(r - q) - 1;
  if (r < to && length > 0 && load<u8>(r) == 0x3b) {
    const point = load<u8>(q, 1) == 0x23 ? numeric(q + 2, r) : predefined(q + 1, length);
    if (point > 0) return putCodePoint(out, point);
    if (point < 0 || !foreign) setMalformed('XML parsing error: a reference that is not followed');
  } else if (complete || r < end) {
    setMalformed('XML parsing error: `&` without a reference');
  }
  behind = q + 1;
  store<u8>(out, 0x26);
  return out + 1;
}

/** Code point of the digits in [q, to), -1 when they name no character. */
function numeric(q: usize, to: usize): i32 {
  const hexadecimal = q < to && load<u8>(q) == 0x78;
  if (hexadecimal) q++;
  if (q == to) return -1;
  let point = 0;
  for (; q < to; q++) {
    const digit = hexDigit(load<u8>(q));
    if (digit < 0 || (!hexadecimal && digit > 9)) return -1;
    point = hexadecimal ? (point << 4) | digit : point * 10 + digit;
    if (point > 0x10ffff) return -1;
  }
  // SPEC: XML 1.0 section 2.2: Char.
  if (point < 0x20 && point != 0x09 && point != 0x0a && point != 0x0d) return -1;
  return (point >= 0xd800 && point < 0xe000) || point == 0xfffe || point == 0xffff ? -1 : point;
}

/** The character of `&lt;` and so on, 0 for another name. */
function predefined(q: usize, length: i32): i32 {
  if (length == 2 && load<u8>(q, 1) == 0x74) {
    if (load<u8>(q) == 0x6c) return 0x3c;
    if (load<u8>(q) == 0x67) return 0x3e;
  }
  if (length == 3 && load<u8>(q) == 0x61 && load<u8>(q, 1) == 0x6d && load<u8>(q, 2) == 0x70) return 0x26;
  if (length != 4) return 0;
  const word = load<u32>(q);
  if (word == 0x746f7571) return 0x22; // quot
  return word == 0x736f7061 ? 0x27 : 0; // apos
}

/** Place behind the name at q. A byte that no name has is a part of it, and an error. */
function nameEnd(q: usize): usize {
  for (; q < end; q++) {
    const byte = load<u8>(q);
    if (<u32>(byte | 0x20) - 0x61 < 26) continue; // nearly all are letters
    if (blank(byte) || byte == 0x2f || byte == 0x3e || byte == 0x3d || byte == 0x3c) break;
    if (!nameStart(byte) && <u32>byte - 0x30 >= 10 && byte != 0x2d && byte != 0x2e) {
      setMalformed('XML parsing error: a name with a character that names do not have');
    }
  }
  return q;
}

function skipBlanks(): void {
  while (p < end && blank(load<u8>(p))) p++;
}

function startTag(): bool {
  const name = p + 1;
  p = nameEnd(name);
  const length = <u32>(p - name);
  if (depth == 0 && ++roots > 1) setMalformed('XML parsing error: a second root element');
  while (true) {
    const before = p;
    skipBlanks();
    if (p >= end) {
      if (complete) setMalformed('XML parsing error: the document ends inside of a tag');
      return true;
    }
    const byte = load<u8>(p);
    if (byte == 0x3e) {
      p++;
      if (depth == MAX_XML_DEPTH) {
        setMalformed('XML parsing error: XML depth limit exceeded');
        fail(REASON_BODY_DEPTH);
        return false;
      }
      store<u32>(OPEN + (<usize>depth << 3), <u32>name);
      store<u32>(OPEN + (<usize>depth << 3), length, 4);
      depth++;
      return true;
    }
    if (byte == 0x2f && p + 1 < end && load<u8>(p, 1) == 0x3e) {
      p += 2;
      return true;
    }
    if (byte == 0x3c) {
      setMalformed('XML parsing error: a tag is not closed');
      return true; // the `<` begins the next tag
    }
    if (!nameStart(byte)) {
      setMalformed('XML parsing error: an attribute without a name');
      p++;
    } else {
      if (p == before) setMalformed('XML parsing error: no blank between attributes');
      if (!attribute()) return false;
    }
  }
}

function attribute(): bool {
  const name = p;
  p = nameEnd(p);
  // SPEC: XPath 1.0 section 5.3: namespace declarations are no attributes.
  const isNamespace =
    p - name >= 5 && load<u32>(name) == 0x6e6c6d78 && load<u8>(name, 4) == 0x73 && (p - name == 5 || load<u8>(name, 5) == 0x3a);
  skipBlanks();
  if (p >= end) return true;
  if (load<u8>(p) != 0x3d) {
    setMalformed('XML parsing error: an attribute without a value');
    return true;
  }
  p++;
  skipBlanks();
  if (p >= end) return true;
  const quote = load<u8>(p);
  if (quote != 0x22 && quote != 0x27) {
    setMalformed('XML parsing error: an attribute without quotes');
    const start = p;
    while (p < end && !blank(load<u8>(p)) && load<u8>(p) != 0x3e) p++;
    return isNamespace || addAttribute(start, p, ATTRIBUTE_NAME, 4);
  }
  const start = ++p;
  p = quoted(start, quote);
  if (p > end) {
    p = end;
    if (complete) setMalformed('XML parsing error: the document ends inside of a tag');
    return isNamespace || addAttribute(start, end, ATTRIBUTE_NAME, 4);
  }
  return isNamespace || addAttribute(start, p - 1, ATTRIBUTE_NAME, 4);
}

/** Place behind the next `quote` from q on, or one past the end. */
function quoted(q: usize, quote: u8): usize {
  const mark = i8x16.splat(quote);
  while (q < end) {
    const found = i8x16.bitmask(i8x16.eq(v128.load(q), mark));
    if (found == 0) {
      q += 16;
      continue;
    }
    q += <usize>ctz(found);
    return q < end ? q + 1 : end + 1;
  }
  return end + 1;
}

/** Adds an attribute value, or a literal of the document type: references decoded, white space as blanks. */
function addAttribute(q: usize, to: usize, name: usize, nameLength: i32): bool {
  let plain = true;
  let open = false;
  for (let r = q; r < to; r++) {
    const byte = load<u8>(r);
    plain = plain && byte != 0x26 && (byte >= 0x20 || !blank(byte));
    open = open || byte == 0x3c;
  }
  if (open && nameLength == 4) setMalformed('XML parsing error: `<` in an attribute');
  if (plain) return addValue(VARIABLE_XML, name, nameLength, q, <i32>(to - q));
  attributes -= to - q;
  let out = attributes;
  while (q < to) {
    const byte = load<u8>(q);
    if (byte == 0x26) {
      out = reference(q, to, out);
      q = behind;
      continue;
    }
    q++;
    if (byte == 0x0d && q < to && load<u8>(q) == 0x0a) continue;
    store<u8>(out++, blank(byte) ? 0x20 : byte);
  }
  return addValue(VARIABLE_XML, name, nameLength, attributes, <i32>(out - attributes));
}

function endTag(): void {
  const name = p + 2;
  p = nameEnd(name);
  const length = <u32>(p - name);
  skipBlanks();
  if (p < end && load<u8>(p) == 0x3e) p++;
  else if (complete || p < end) setMalformed('XML parsing error: an end tag is not closed');
  if (depth == 0) {
    setMalformed('XML parsing error: an end tag without a start');
    return;
  }
  depth--;
  const open = OPEN + (<usize>depth << 3);
  const whole = complete || p < end;
  if (whole && (load<u32>(open, 4) != length || !equalBytes(load<u32>(open), name, length))) {
    setMalformed('XML parsing error: an end tag of another element');
  }
}

/** Passes over `<!DOCTYPE ... [ ... ] >`; the literals of its entity declarations are values. */
function documentType(): bool {
  if (roots > 0) setMalformed('XML parsing error: a document type behind the root element');
  let inside = false; // between [ and ]
  let entity = false;
  let entities = false;
  let parameters = false; // parameter entities may declare others
  p += 9;
  while (p < end) {
    const byte = load<u8>(p);
    if (byte == 0x22 || byte == 0x27) {
      const start = p + 1;
      p = quoted(start, byte);
      const closed = p <= end;
      if (!closed) p = end;
      if (!inside) foreign = true; // an identifier of the document type
      if (entity && !addAttribute(start, closed ? p - 1 : p, TEXT_NAME, 2)) return false;
      continue;
    }
    p++;
    if (byte == 0x5b) inside = true;
    else if (byte == 0x25 && inside) parameters = true;
    else if (byte == 0x5d) inside = false;
    else if (byte == 0x3e) {
      if (!inside) {
        foreign = foreign && !entities && !parameters;
        return true;
      }
      entity = false;
    } else if (byte == 0x3c && p + 7 < end) {
      if (load<u32>(p) == 0x544e4521 && load<u32>(p, 3) == 0x59544954) entity = entities = true; // !ENTITY
      else if (load<u8>(p) == 0x3f) p = after(p + 1, 0x3f, 1);
      else if (load<u8>(p) == 0x21 && load<u16>(p, 1) == 0x2d2d) p = after(p + 3, 0x2d, 2);
    }
  }
  if (complete) setMalformed('XML parsing error: the document ends inside of its type');
  return true;
}

// @ts-ignore: decorator
@inline
function blank(byte: u8): bool {
  return byte == 0x20 || byte == 0x0a || byte == 0x09 || byte == 0x0d;
}

// @ts-ignore: decorator
@inline
function nameStart(byte: u8): bool {
  return <u32>(byte | 0x20) - 0x61 < 26 || byte == 0x5f || byte == 0x3a || byte >= 0x80;
}
