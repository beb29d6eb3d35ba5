/**
 * The tests of the HTTP working group for structured fields (RFC 9651): what must parse, to what, how it is written again,
 * and what must be refused; then values that must not be written. Read from the reference data, nothing of it is here.
 *
 * A case passes when the value is the expected one and its text is the canonical one; `can_fail` cases may be refused.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  type BareItem,
  type Dictionary,
  type Item,
  isInnerList,
  type List,
  type Member,
  type Parameters,
  parseDictionary,
  parseItem,
  parseList,
} from '../../src/agents/structured-field.ts';
import { writeDictionary, writeItem, writeList } from '../../src/agents/structured-field-text.ts';
import { dataFolder } from '../data.ts';
import type { Outcome } from './gateway-api.ts';

type Kind = 'item' | 'list' | 'dictionary';

interface Case {
  readonly name: string;
  readonly header_type: Kind;
  readonly raw?: readonly string[];
  readonly expected?: unknown;
  readonly must_fail?: boolean;
  readonly can_fail?: boolean;
  readonly canonical?: readonly string[];
}

export async function runStructuredFields(
  only: readonly string[],
  report: (outcome: Outcome) => void,
): Promise<Outcome[]> {
  const folder = dataFolder('structured-fields');
  const outcomes: Outcome[] = [];
  for (const [place, judge] of [
    ['.', parsing],
    ['serialisation-tests', writing],
  ] as const) {
    const files = readdirSync(join(folder, place)).filter((name) => name.endsWith('.json'));
    if (files.length === 0) throw new Error(`${join(folder, place)} holds no tests`);
    let count = 0;
    for (const file of files.sort()) {
      const cases = JSON.parse(readFileSync(join(folder, place, file), 'utf8')) as readonly Case[];
      for (const [index, one] of cases.entries()) {
        const id = `${place === '.' ? '' : `${place}/`}${file}:${index} ${one.name}`;
        if (only.length > 0 && !only.some((start) => id.startsWith(start))) continue;
        const detail = judge(one);
        const outcome: Outcome = { id, result: detail === '' ? 'passed' : 'failed', detail };
        if (detail !== '') report(outcome);
        outcomes.push(outcome);
        count++;
      }
    }
    console.log(`${judge.name}: ${count} cases of ${files.length} files`);
  }
  return outcomes;
}

/** '' when the case passes, else what is wrong. */
function parsing(one: Case): string {
  const text = (one.raw ?? []).join(', ');
  let found: unknown;
  let written: string;
  try {
    if (one.header_type === 'item') {
      const value = parseItem(text);
      [found, written] = [itemOf(value), writeItem(value)];
    } else if (one.header_type === 'list') {
      const value = parseList(text);
      [found, written] = [value.map(memberOf), writeList(value)];
    } else {
      const value = parseDictionary(text);
      [found, written] = [[...value].map(([key, member]) => [key, memberOf(member)]), writeDictionary(value)];
    }
  } catch (error) {
    if (one.must_fail || one.can_fail) return '';
    return `refused: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (one.must_fail) return `taken as ${JSON.stringify(found)}`;
  if (!isDeepStrictEqual(found, one.expected))
    return `read as ${JSON.stringify(found)}, not ${JSON.stringify(one.expected)}`;
  const canonical = (one.canonical ?? one.raw ?? []).join(', ');
  return written === canonical ? '' : `written as ${written}, not ${canonical}`;
}

/** '' when the case passes, else what is wrong. */
function writing(one: Case): string {
  let written: string;
  try {
    if (one.header_type === 'item') written = writeItem(readItem(one.expected));
    else if (one.header_type === 'list') written = writeList((one.expected as unknown[]).map(readMember) as List);
    else {
      const members = (one.expected as [string, unknown][]).map(([key, value]) => [key, readMember(value)] as const);
      written = writeDictionary(new Map(members) as Dictionary);
    }
  } catch (error) {
    if (one.must_fail) return '';
    return `refused: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (one.must_fail) return `written as ${written}`;
  const canonical = (one.canonical ?? []).join(', ');
  return written === canonical ? '' : `written as ${written}, not ${canonical}`;
}

/** The JSON by which the tests show values. */
function bareOf(item: BareItem): unknown {
  switch (item.type) {
    case 'token':
    case 'date':
      return { __type: item.type, value: item.value };
    case 'displayString':
      return { __type: 'displaystring', value: item.value };
    case 'bytes':
      return { __type: 'binary', value: base32(item.value) };
    default:
      return item.value;
  }
}
const parametersOf = (parameters: Parameters): unknown => [...parameters].map(([key, value]) => [key, bareOf(value)]);
const itemOf = ({ item, parameters }: Item): unknown => [bareOf(item), parametersOf(parameters)];
const memberOf = (member: Member): unknown =>
  isInnerList(member) ? [member.items.map(itemOf), parametersOf(member.parameters)] : itemOf(member);

function readBare(value: unknown): BareItem {
  if (typeof value === 'string') return { type: 'string', value };
  if (typeof value === 'boolean') return { type: 'boolean', value };
  if (typeof value === 'number') return { type: Number.isInteger(value) ? 'integer' : 'decimal', value };
  const { __type: type, value: inner } = value as { __type: string; value: unknown };
  if (type === 'token') return { type, value: String(inner) };
  if (type === 'date') return { type, value: Number(inner) };
  if (type === 'displaystring') return { type: 'displayString', value: String(inner) };
  throw new Error(`the case holds a value of type ${type}, which this suite does not know`);
}
function readItem(value: unknown): Item {
  const [item, parameters] = value as [unknown, [string, unknown][]];
  return { item: readBare(item), parameters: new Map(parameters.map(([key, one]) => [key, readBare(one)])) };
}
function readMember(value: unknown): Member {
  const [first, parameters] = value as [unknown, [string, unknown][]];
  if (!Array.isArray(first)) return readItem(value);
  return { items: first.map(readItem), parameters: readItem([0, parameters]).parameters };
}

/** SPEC: RFC 4648 section 6. */
function base32(bytes: Uint8Array): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(value >> (bits - 5)) & 31];
  }
  if (bits > 0) text += alphabet[(value << (5 - bits)) & 31];
  return text.padEnd(Math.ceil(text.length / 8) * 8, '=');
}
