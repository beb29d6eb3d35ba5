/**
 * Structured field values to their one canonical text.
 *
 * SPEC: RFC 9651 section 4.1. Values that have no text throw StructuredFieldError; nothing is cut or replaced.
 */
import {
  type BareItem,
  type Dictionary,
  type InnerList,
  isInnerList,
  type Item,
  type List,
  type Member,
  type Parameters,
  StructuredFieldError,
} from './structured-field.ts';

/** '' for a dictionary without members, which is not sent at all. */
export function writeDictionary(dictionary: Dictionary): string {
  const parts: string[] = [];
  for (const [key, member] of dictionary) {
    const name = writeKey(key);
    if (!isInnerList(member) && member.item.type === 'boolean' && member.item.value)
      parts.push(name + writeParameters(member.parameters));
    else parts.push(`${name}=${writeMember(member)}`);
  }
  return parts.join(', ');
}

/** '' for a list without members, which is not sent at all. */
export function writeList(list: List): string {
  return list.map(writeMember).join(', ');
}

export function writeMember(member: Member): string {
  return isInnerList(member) ? writeInnerList(member) : writeItem(member);
}

export function writeInnerList({ items, parameters }: InnerList): string {
  return `(${items.map(writeItem).join(' ')})${writeParameters(parameters)}`;
}

export function writeItem({ item, parameters }: Item): string {
  return writeBareItem(item) + writeParameters(parameters);
}

function writeParameters(parameters: Parameters): string {
  let text = '';
  for (const [key, value] of parameters) {
    text += `;${writeKey(key)}`;
    if (value.type !== 'boolean' || !value.value) text += `=${writeBareItem(value)}`;
  }
  return text;
}

const KEY = /^[a-z*][a-z0-9_.*-]*$/;
const TOKEN = /^[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*$/;
const PRINTABLE = /^[ -~]*$/;
/** Printable, and nothing that has to be escaped. */
const PLAIN = /^[ !#-[\]-~]*$/;
const MAX_INTEGER = 999_999_999_999_999;
const MAX_WHOLE = 999_999_999_999;

function writeKey(key: string): string {
  if (!KEY.test(key)) throw new StructuredFieldError(`${JSON.stringify(key)} is no key`);
  return key;
}

export function writeBareItem(item: BareItem): string {
  switch (item.type) {
    case 'integer':
      return writeInteger(item.value);
    case 'decimal':
      return writeDecimal(item.value);
    case 'date':
      return `@${writeInteger(item.value)}`;
    case 'boolean':
      return item.value ? '?1' : '?0';
    case 'token':
      if (!TOKEN.test(item.value)) throw new StructuredFieldError(`${JSON.stringify(item.value)} is no token`);
      return item.value;
    case 'string':
      if (PLAIN.test(item.value)) return `"${item.value}"`; // PERF: which most are
      if (!PRINTABLE.test(item.value))
        throw new StructuredFieldError('a string holds a character that is not printable ASCII');
      return `"${item.value.replaceAll(/["\\]/g, '\\$&')}"`;
    case 'bytes':
      return `:${base64OfBytes(item.value)}:`;
    case 'displayString':
      return writeDisplayString(item.value);
  }
}

function writeInteger(value: number): string {
  if (!Number.isInteger(value) || Math.abs(value) > MAX_INTEGER)
    throw new StructuredFieldError(`${value} is no integer of at most 15 digits`);
  return (value || 0).toString();
}

function writeDecimal(value: number): string {
  // SPEC: section 4.1.5 rounds to even, so that thousandths are exact and a half goes to the even neighbour.
  const thousandths = roundToEven(value * 1000);
  if (!Number.isFinite(value) || Math.abs(thousandths) > MAX_WHOLE * 1000 + 999)
    throw new StructuredFieldError(`${value} is no decimal of at most 12 digits before its point`);
  const size = Math.abs(thousandths);
  const whole = Math.floor(size / 1000);
  const fraction = (size - whole * 1000)
    .toString()
    .padStart(3, '0')
    .replace(/0{1,2}$/, '');
  return `${thousandths < 0 ? '-' : ''}${whole}.${fraction}`;
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function writeDisplayString(value: string): string {
  // TextEncoder would put U+FFFD in the place of half a character.
  if (!value.isWellFormed()) throw new StructuredFieldError('a display string holds half a character');
  let text = '%"';
  for (const byte of new TextEncoder().encode(value)) {
    if (byte === 0x25 || byte === 0x22 || byte < 0x20 || byte > 0x7e) text += `%${byte.toString(16).padStart(2, '0')}`;
    else text += String.fromCharCode(byte);
  }
  return `${text}"`;
}

export function base64OfBytes(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
