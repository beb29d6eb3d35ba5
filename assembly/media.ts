// What kind of data a body begins with, by its first bytes. SPEC: WHATWG MIME Sniffing, section 6, and the magic numbers of
// the formats; only marks that are unmistakable. Text without a mark has no type here.
import { lowerByte, span } from './values';

let bodyAt: usize = 0;
let bodyLength: i32 = 0;

/** The media type as a string, or 0 when it is not known. */
export function sniffMediaType(at: usize, length: i32): u64 {
  bodyAt = at;
  bodyLength = length;
  if (length < 2) return 0;
  if (begins(0, '\xff\xd8\xff')) return name('image/jpeg');
  if (begins(0, '\x89PNG\r\n\x1a\n')) return name('image/png');
  if (begins(0, 'GIF87a') || begins(0, 'GIF89a')) return name('image/gif');
  if (begins(0, 'RIFF')) {
    if (begins(8, 'WEBPVP')) return name('image/webp');
    if (begins(8, 'WAVE')) return name('audio/wave');
    if (begins(8, 'AVI ')) return name('video/avi');
  }
  if (begins(0, 'II*\0') || begins(0, 'MM\0*')) return name('image/tiff');
  if (begins(0, '%PDF-')) return name('application/pdf');
  if (begins(0, 'PK\x03\x04') || begins(0, 'PK\x05\x06')) return name('application/zip');
  if (begins(0, '\x1f\x8b\x08')) return name('application/gzip');
  if (begins(0, '7z\xbc\xaf\x27\x1c')) return name('application/x-7z-compressed');
  if (begins(0, 'Rar!\x1a\x07')) return name('application/vnd.rar');
  if (begins(0, '\0asm')) return name('application/wasm');
  if (begins(0, '\x7fELF')) return name('application/x-executable');
  if (begins(0, '%!PS-Adobe-')) return name('application/postscript');
  if (begins(0, 'OggS\0')) return name('application/ogg');
  if (begins(0, 'fLaC')) return name('audio/flac');
  if (begins(0, 'ID3')) return name('audio/mpeg');
  if (begins(0, 'MThd\0\0\0\x06')) return name('audio/midi');
  if (begins(0, '\x1a\x45\xdf\xa3')) return name('video/webm');
  if (begins(4, 'ftyp')) return begins(8, 'avif') ? name('image/avif') : name('video/mp4');
  if (begins(0, 'BM') && bodyLength >= 14 && load<u32>(bodyAt, 6) == 0) return name('image/bmp');
  return markup();
}

/** Marks of HTML and XML, after white space, in any case. */
function markup(): u64 {
  let skip = 0;
  while (skip < bodyLength && skip < 64 && load<u8>(bodyAt + <usize>skip) <= 0x20) skip++;
  if (begins(skip, '<?xml')) return name('text/xml');
  if (tag(skip, '<!doctype html') || tag(skip, '<html') || tag(skip, '<head') || tag(skip, '<script')) return name('text/html');
  return 0;
}

function tag(offset: i32, mark: string): bool {
  if (offset + mark.length >= bodyLength) return false;
  const at = bodyAt + <usize>offset;
  for (let i = 0; i < mark.length; i++) if (lowerByte(load<u8>(at + <usize>i)) != <u8>mark.charCodeAt(i)) return false;
  const after = load<u8>(at + <usize>mark.length);
  return after == 0x20 || after == 0x3e || after == 0x0a || after == 0x0d || after == 0x09;
}

function begins(offset: i32, mark: string): bool {
  if (offset + mark.length > bodyLength) return false;
  for (let i = 0; i < mark.length; i++) {
    if (load<u8>(bodyAt + <usize>offset + <usize>i) != <u8>mark.charCodeAt(i)) return false;
  }
  return true;
}

const NAME = memory.data(64);

/** A copy of the literal as bytes; it stands until the next call, which is as long as any value does. */
function name(literal: string): u64 {
  for (let i = 0; i < literal.length; i++) store<u8>(NAME + <usize>i, <u8>literal.charCodeAt(i));
  return span(NAME, literal.length);
}
