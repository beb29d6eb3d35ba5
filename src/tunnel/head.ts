/**
 * Heads of requests and responses as bytes. The order and the case of fields survive, and doubled fields stay doubled.
 *
 *   request:  u8 method length, method, u16 target length, target, fields
 *   response: u16 status, u8 reason length, reason, fields
 *   fields:   u16 count, count x (u16 name length, name, u32 value length, value)
 *
 * Bytes are Latin-1, as HTTP/1.1 has them. SAFETY: both ends check what they read before they write it onto a
 * connection: a CR or LF in a field would end it and begin another (request splitting).
 */
import { CLOSE, FrameError, MAX_PAYLOAD } from './frame.ts';

export const MAX_FIELDS = 1024;
/** Bytes of an encoded head: OPEN puts its own few bytes before it and must fit in one frame. */
export const MAX_HEAD = MAX_PAYLOAD - 1024;
export const MAX_METHOD = 32;

export type Fields = readonly (readonly [name: string, value: string])[];

export interface RequestHead {
  readonly method: string;
  readonly target: string; // origin form: path and query as they go on the wire
  readonly fields: Fields;
}

export interface ResponseHead {
  readonly status: number; // 100 to 999
  readonly reason: string;
  readonly fields: Fields;
}

/** The head does not fit or cannot be sent: an error of the request, not of the lane. */
export class HeadError extends Error {}

export function encodeRequest(head: RequestHead): Uint8Array<ArrayBuffer> {
  if (!TOKEN.test(head.method) || head.method.length > MAX_METHOD) throw new HeadError('the method is no token');
  if (!TARGET.test(head.target)) throw new HeadError('the target has characters that no target has');
  const writer = new Writer(3 + head.method.length + head.target.length + sizeOf(head.fields));
  writer.u8(head.method.length).text(head.method).u16(head.target.length).text(head.target);
  return writer.fields(head.fields);
}

export function encodeResponse(head: ResponseHead): Uint8Array<ArrayBuffer> {
  if (!Number.isInteger(head.status) || head.status < 100 || head.status > 999) throw new HeadError('no status');
  const reason = VALUE.test(head.reason) ? head.reason.slice(0, 255) : '';
  const writer = new Writer(3 + reason.length + sizeOf(head.fields));
  return writer.u16(head.status).u8(reason.length).text(reason).fields(head.fields);
}

export function decodeRequest(bytes: Uint8Array): RequestHead {
  const reader = new Reader(bytes);
  const method = reader.text(reader.u8());
  const target = reader.text(reader.u16());
  if (!TOKEN.test(method) || method.length > MAX_METHOD)
    throw new FrameError(CLOSE.malformed, 'a method that is no token');
  if (!TARGET.test(target)) throw new FrameError(CLOSE.malformed, 'a target with characters that no target has');
  return { method, target, fields: reader.fields() };
}

export function decodeResponse(bytes: Uint8Array): ResponseHead {
  const reader = new Reader(bytes);
  const status = reader.u16();
  if (status < 100 || status > 999) throw new FrameError(CLOSE.malformed, `a status of ${status}`);
  const reason = reader.text(reader.u8());
  if (!VALUE.test(reason)) throw new FrameError(CLOSE.malformed, 'a reason with control characters');
  return { status, reason, fields: reader.fields() };
}

/** Trailers of END. */
export function encodeFields(fields: Fields): Uint8Array<ArrayBuffer> {
  return new Writer(sizeOf(fields)).fields(fields);
}

export function decodeFields(bytes: Uint8Array): Fields {
  return bytes.byteLength === 0 ? [] : new Reader(bytes).fields();
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// SPEC: RFC 9112 section 3.2; runtimes and origins accept more than RFC 3986 does, but never white space or controls.
const TARGET = /^[\x21-\x7e\x80-\xff]+$/;
// SPEC: RFC 9110 section 5.5: visible characters, obs-text, space and tab.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

function sizeOf(fields: Fields): number {
  if (fields.length > MAX_FIELDS) throw new HeadError(`${fields.length} fields; the limit is ${MAX_FIELDS}`);
  let size = 2;
  for (const [name, value] of fields) {
    if (!TOKEN.test(name) || name.length > 0xffff) throw new HeadError('the name of a field is no token');
    if (!VALUE.test(value)) throw new HeadError(`the field ${name} has characters that no value has`);
    size += 6 + name.length + value.length;
  }
  return size;
}

class Writer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #at = 0;

  constructor(size: number) {
    if (size > MAX_HEAD) throw new HeadError(`a head of ${size} bytes; the limit is ${MAX_HEAD}`);
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
  }

  u8(value: number): this {
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#at, value);
    this.#at += 2;
    return this;
  }

  text(value: string): this {
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < value.length; i++) bytes[at++] = value.charCodeAt(i);
    this.#at = at;
    return this;
  }

  fields(fields: Fields): Uint8Array<ArrayBuffer> {
    this.u16(fields.length);
    for (const [name, value] of fields) {
      this.u16(name.length).text(name);
      this.#view.setUint32(this.#at, value.length);
      this.#at += 4;
      this.text(value);
    }
    return this.#bytes;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.byteLength - at) throw new FrameError(CLOSE.malformed, 'a head that is cut off');
    this.#at = at + count;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  text(length: number): string {
    const at = this.#take(length);
    return latin1(this.#bytes.subarray(at, at + length));
  }

  fields(): Fields {
    const count = this.u16();
    if (count > MAX_FIELDS) throw new FrameError(CLOSE.limit, `${count} fields; the limit is ${MAX_FIELDS}`);
    const fields: [string, string][] = [];
    for (let i = 0; i < count; i++) {
      const name = this.text(this.u16());
      const value = this.text(this.#view.getUint32(this.#take(4)));
      if (!TOKEN.test(name)) throw new FrameError(CLOSE.malformed, 'a field whose name is no token');
      if (!VALUE.test(value)) throw new FrameError(CLOSE.malformed, `a field ${name} with control characters`);
      fields.push([name, value]);
    }
    if (this.#at !== this.#bytes.byteLength) throw new FrameError(CLOSE.malformed, 'bytes behind a head');
    return fields;
  }
}

// TextDecoder knows no Latin-1: that label means windows-1252, which differs in 0x80 to 0x9f.
function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096)
    text += String.fromCharCode(...bytes.subarray(at, Math.min(bytes.length, at + 4096)));
  return text;
}
