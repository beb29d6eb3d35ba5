/**
 * JSON as every reader reads it. What two readers may take for two things is refused: a name that stands twice in an
 * object (the first counts for some, the last for others), and `__proto__`, which is no name of anything but an attack.
 * SPEC: RFC 8259 section 4: names should be unique, else what a reader does is unpredictable.
 */

import { ambiguityOf } from '../json-text.ts';

export type JsonFault = 'not-utf8' | 'not-json' | 'depth' | 'duplicate' | 'prototype';

export interface JsonText {
  readonly value: unknown;
}

/** `depth`: how many objects and arrays may lie in each other. */
export function readJson(bytes: Uint8Array, depth: number): JsonText | JsonFault {
  let text: string;
  try {
    // With a byte order mark it is JSON to some and not to others; JSON.parse says no.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return 'not-utf8';
  }
  return readJsonText(text, depth);
}

export function readJsonText(text: string, depth: number): JsonText | JsonFault {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'not-json';
  }
  const fault = ambiguityOf(text, depth);
  if (fault !== null) return fault === 'too-deep' ? 'depth' : 'duplicate';
  // PERF: hardly a text has it, or an escape that could be a part of it.
  if (/__proto__|\\u00[5-7]/i.test(text) && hasPrototype(value)) return 'prototype';
  return { value };
}

/** SAFETY: nested no deeper than was just checked. */
function hasPrototype(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(hasPrototype);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own property: what an object inherits was not sent. */
export function member(value: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}
