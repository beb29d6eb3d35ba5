// The machine of the rules language: runs a program of SECTION_CODE over the fields of the current call.
// Programs were proven sound by verify.ts when the image was opened, so nothing is checked here but the step budget.
import {
  COMPARE_EQUAL,
  COMPARE_GREATER,
  COMPARE_LESS,
  FLAG_EACH,
  FLAG_EVIDENCE,
  FLAG_REDACT,
  OP_AND,
  OP_AND_EACH,
  OP_BITS,
  OP_BOOL,
  OP_CALL,
  OP_COMPARE_ADDRESS,
  OP_COMPARE_INT,
  OP_COMPARE_STRING,
  OP_CONTAINS,
  OP_ENTRY,
  OP_FIELD,
  OP_INDEX,
  OP_INT,
  OP_IN_ADDRESSES,
  OP_IN_INTEGERS,
  OP_IN_STRINGS,
  OP_MATCHES,
  OP_NOT,
  OP_OR,
  OP_OR_EACH,
  OP_STRING,
  OP_WILDCARD,
  OP_XOR,
  SECTION_CODE,
  SECTION_STRINGS,
  TYPE_ADDRESS,
  TYPE_INT,
  TYPE_STRING,
} from './abi';
import { spend } from './arena';
import { contains, containsString, listAt } from './cidr';
import { fieldValue, hasEntry, hasField } from './fields';
import { CELLS, THERE, callFunction, functionValue } from './functions';
import { sectionAt } from './image';
import { find } from './regex/search';
import { regexAt } from './regexes';
import { atOf, compareStrings, element, formatAddress, formatInteger, lengthOf, newArray, search, span } from './values';
import { matchWildcard } from './wildcard';

// What made the last program true: the field that the first true comparison looked at, and its value.
export let evidenceField: i32 = 0;
export let evidenceSecret: bool = false;
let evidenceType: i32 = 0;
let evidenceValue: u64 = 0;

/** The recorded value as a string: addresses and integers as text. 0 when there is none, or the arena is exhausted. */
export function evidenceText(): u64 {
  if (evidenceType == TYPE_INT) return formatInteger(<i64>evidenceValue);
  if (evidenceType == TYPE_ADDRESS) return formatAddress(<usize>evidenceValue);
  return evidenceValue;
}

let result: u64 = 0;
/** Value of the last program that returned true. */
export function programValue(): u64 {
  return result;
}

// @ts-ignore: decorator
@inline
function put(index: i32, present: bool, value: u64): void {
  store<u8>(THERE + <usize>index, u8(present));
  store<u64>(CELLS + (<usize>index << 3), value);
}
// @ts-ignore: decorator
@inline
function get(index: i32): u64 {
  return load<u64>(CELLS + (<usize>index << 3));
}
// @ts-ignore: decorator
@inline
function there(index: i32): bool {
  return load<u8>(THERE + <usize>index) != 0;
}
/** A boolean cell; missing counts as false. */
// @ts-ignore: decorator
@inline
function isTrue(index: i32): bool {
  return there(index) && get(index) != 0;
}

let strings: usize = 0;

/** Operand { at, length } of an instruction, as a string. */
// @ts-ignore: decorator
@inline
function literal(pc: usize): u64 {
  return span(strings + load<u32>(pc), load<i32>(pc, 4));
}

/**
 * Runs program `index`; true when its value is there, and then `programValue()` is it. False when it is missing, or when
 * arena or steps ran out: `failure()` of the arena tells.
 */
export function run(image: usize, index: i32): bool {
  const code = sectionAt(image, SECTION_CODE);
  strings = sectionAt(image, SECTION_STRINGS);
  let pc = code + (<usize>load<u32>(code + 4 + (<usize>index << 3)) << 2);
  let top = -1;
  evidenceField = 0;
  evidenceSecret = false;
  evidenceType = 0;
  evidenceValue = 0;
  while (true) {
    if (!spend(1)) return false;
    const word = load<u32>(pc);
    pc += 4;
    const a = <i32>(word >> 8) & 255;
    const b = <i32>(word >> 16) & 255;
    const flags = <i32>(word >> 24);
    switch (word & 255) {
      case OP_BOOL:
        put(++top, true, a);
        break;
      case OP_INT:
        put(++top, true, load<u64>(pc));
        pc += 8;
        break;
      case OP_STRING:
        put(++top, true, literal(pc));
        pc += 8;
        break;
      case OP_FIELD: {
        const has = hasField(a);
        put(++top, has, fieldValue());
        break;
      }
      case OP_ENTRY: {
        const has = hasEntry(a, strings + load<u32>(pc), load<i32>(pc, 4));
        put(++top, has, fieldValue());
        pc += 8;
        break;
      }
      case OP_INDEX: {
        const at = load<u32>(pc);
        pc += 4;
        if (there(top) && at < <u32>lengthOf(get(top))) put(top, true, element(get(top), at));
        else put(top, false, 0);
        break;
      }
      case OP_COMPARE_INT:
      case OP_COMPARE_STRING:
      case OP_COMPARE_ADDRESS:
      case OP_CONTAINS:
      case OP_WILDCARD:
      case OP_IN_INTEGERS:
      case OP_BITS:
        if (!compare(image, word, pc, top, a, b, flags)) return false;
        pc += 8;
        break;
      case OP_MATCHES:
      case OP_IN_STRINGS:
      case OP_IN_ADDRESSES:
        if (!compare(image, word, pc, top, a, b, flags)) return false;
        pc += 4;
        break;
      case OP_NOT:
        if ((flags & FLAG_EACH) == 0) put(top, true, u64(!isTrue(top)));
        else if (there(top) && !invert(top)) return false;
        break;
      case OP_XOR:
        top--;
        if ((flags & FLAG_EACH) == 0) put(top, true, u64(isTrue(top) != isTrue(top + 1)));
        else if (!combine(top, OP_XOR)) return false;
        break;
      case OP_AND_EACH:
      case OP_OR_EACH:
        top--;
        if (!combine(top, word & 255)) return false;
        break;
      case OP_AND:
        if (!isTrue(top)) {
          put(top, true, 0);
          pc += <usize>load<u32>(pc) << 2;
          evidenceField = 0; // what was true so far did not suffice
        } else top--;
        pc += 4;
        break;
      case OP_OR:
        if (isTrue(top)) pc += <usize>load<u32>(pc) << 2;
        else {
          top--;
          evidenceField = 0;
        }
        pc += 4;
        break;
      case OP_CALL: {
        const base = top - b + 1;
        const first = load<i32>(pc);
        const second = load<i32>(pc, 4);
        pc += 8;
        top = base;
        if ((flags & FLAG_EACH) != 0) {
          if (there(base) && !callEach(image, a, base, b, first, second, flags)) return false;
          break;
        }
        const source = get(base);
        const has = callFunction(image, a, base, b, first, second);
        if (has && (flags & FLAG_EVIDENCE) != 0 && functionValue() != 0) record(second, flags, TYPE_STRING, source);
        put(base, has, functionValue());
        break;
      }
      default: // OP_END
        result = get(0);
        return there(0);
    }
  }
}

/** Keeps the first comparison that is true. */
function record(field: i32, flags: i32, type: i32, value: u64): void {
  if (evidenceField != 0) return;
  evidenceField = field;
  evidenceSecret = (flags & FLAG_REDACT) != 0;
  evidenceType = type;
  evidenceValue = value;
}

function typeOf(opcode: u32): i32 {
  if (opcode == OP_COMPARE_INT || opcode == OP_IN_INTEGERS || opcode == OP_BITS) return TYPE_INT;
  return opcode == OP_COMPARE_ADDRESS || opcode == OP_IN_ADDRESSES ? TYPE_ADDRESS : TYPE_STRING;
}

/** One comparison of the top cell, or of each element of it; false when arena or steps ran out. */
function compare(image: usize, word: u32, pc: usize, top: i32, a: i32, b: i32, flags: i32): bool {
  const opcode = word & 255;
  if ((flags & FLAG_EACH) == 0) {
    // A comparison with what is missing is false, but for `ne`: as in wirefilter, so that a pasted rule which blocks
    // whoever does not bring the right header also blocks who brings none.
    const has = there(top);
    const is = has ? test(image, opcode, pc, a, get(top)) : isNotEqual(opcode, a);
    if (has && is && (flags & FLAG_EVIDENCE) != 0) record(b, flags, typeOf(opcode), get(top));
    put(top, true, u64(is));
    return true;
  }
  const array = get(top);
  const count = there(top) ? lengthOf(array) : 0;
  const results = newArray(count);
  if (results == 0 || !spend(count)) return false;
  for (let i = 0; i < count; i++) {
    const is = test(image, opcode, pc, a, element(array, i));
    if (is && (flags & FLAG_EVIDENCE) != 0) record(b, flags, typeOf(opcode), element(array, i));
    store<u64>(results + (<usize>i << 3), u64(is));
  }
  put(top, true, span(results, count));
  return true;
}

function isNotEqual(opcode: u32, mask: i32): bool {
  const ordering = opcode == OP_COMPARE_INT || opcode == OP_COMPARE_STRING || opcode == OP_COMPARE_ADDRESS;
  return ordering && mask == (COMPARE_LESS | COMPARE_GREATER);
}

function test(image: usize, opcode: u32, pc: usize, a: i32, value: u64): bool {
  switch (opcode) {
    case OP_COMPARE_INT: {
      const other = load<i64>(pc);
      const is = <i64>value;
      return (a & (is < other ? COMPARE_LESS : is > other ? COMPARE_GREATER : COMPARE_EQUAL)) != 0;
    }
    case OP_COMPARE_STRING: {
      const other = literal(pc);
      if (!spend(lengthOf(other) >> 4)) return false;
      const order = compareStrings(value, other);
      return (a & (order < 0 ? COMPARE_LESS : order > 0 ? COMPARE_GREATER : COMPARE_EQUAL)) != 0;
    }
    case OP_COMPARE_ADDRESS: {
      const other = strings + load<u32>(pc);
      const at = <usize>value;
      const equal = load<u64>(at) == load<u64>(other) && load<u64>(at, 8) == load<u64>(other, 8);
      return equal == (a == COMPARE_EQUAL);
    }
    case OP_CONTAINS: {
      const needle = literal(pc);
      const length = lengthOf(value);
      return search(atOf(value), atOf(value) + <usize>length, atOf(needle), lengthOf(needle), false) != 0;
    }
    case OP_WILDCARD: {
      const pattern = literal(pc);
      return matchWildcard(atOf(value), lengthOf(value), atOf(pattern), lengthOf(pattern), a == 1);
    }
    case OP_IN_INTEGERS:
      return inRanges(literal(pc), <i64>value);
    case OP_BITS:
      return (value & load<u64>(pc)) != 0;
    case OP_MATCHES:
      return find(regexAt(image, load<i32>(pc)), atOf(value), lengthOf(value));
    case OP_IN_STRINGS:
      return spend(lengthOf(value) >> 3) && containsString(image, listAt(image, load<i32>(pc)), atOf(value), lengthOf(value));
    case OP_IN_ADDRESSES:
      return contains(listAt(image, load<i32>(pc)), <usize>value);
  }
  return false;
}

/** True when the value lies in one of the inclusive ranges: pairs of i64, ascending. */
function inRanges(ranges: u64, value: i64): bool {
  let first = 0;
  let end = lengthOf(ranges) >> 4;
  while (first < end) {
    const middle = (first + end) >> 1;
    const range = atOf(ranges) + (<usize>middle << 4);
    if (value < load<i64>(range)) end = middle;
    else if (value > load<i64>(range, 8)) first = middle + 1;
    else return true;
  }
  return false;
}

/** Calls a function for each element of the first argument; elements whose result is missing are left out. */
function callEach(image: usize, id: i32, base: i32, count: i32, first: i32, second: i32, flags: i32): bool {
  const array = get(base);
  const total = lengthOf(array);
  const results = newArray(total);
  if (results == 0 || !spend(total)) return false;
  let kept = 0;
  for (let i = 0; i < total; i++) {
    const value = element(array, i);
    put(base, true, value);
    if (!callFunction(image, id, base, count, first, second)) continue;
    if ((flags & FLAG_EVIDENCE) != 0 && functionValue() != 0) record(second, flags, TYPE_STRING, value);
    store<u64>(results + (<usize>(kept++) << 3), functionValue());
  }
  put(base, true, span(results, kept));
  return true;
}

/** `not` for each element of an array of booleans, in a copy. */
function invert(top: i32): bool {
  const array = get(top);
  const count = lengthOf(array);
  const results = newArray(count);
  if (results == 0 || !spend(1 + (count >> 3))) return false;
  for (let i = 0; i < count; i++) store<u64>(results + (<usize>i << 3), element(array, i) ^ 1);
  put(top, true, span(results, count));
  return true;
}

/** Joins two arrays of booleans element by element, as long as the shorter; a missing one counts as empty. */
function combine(top: i32, opcode: u32): bool {
  const left = get(top);
  const right = get(top + 1);
  const count = there(top) && there(top + 1) ? min(lengthOf(left), lengthOf(right)) : 0;
  const results = newArray(count);
  if (results == 0 || !spend(1 + (count >> 3))) return false;
  for (let i = 0; i < count; i++) {
    const x = element(left, i);
    const y = element(right, i);
    store<u64>(results + (<usize>i << 3), opcode == OP_AND_EACH ? x & y : opcode == OP_OR_EACH ? x | y : x ^ y);
  }
  put(top, true, span(results, count));
  return true;
}
