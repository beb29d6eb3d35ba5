// Proves, when an image is opened, that every program of SECTION_CODE can run without checks: one pass over the words, in
// which the type of every stack cell is known. Jumps are forward and nested, so there is one state at every place.
import {
  COMPARE_EQUAL,
  COMPARE_GREATER,
  COMPARE_LESS,
  FIELD_ACCEPTED_LANGUAGES,
  FIELD_ADDRESS,
  FIELD_AGENT_AUTOMATED,
  FIELD_AGENT_BOT,
  FIELD_AGENT_SCORE,
  FIELD_AGENT_SIGNALS,
  FIELD_AGENT_VERIFIED,
  FIELD_ARGS,
  FIELD_ARGS_NAMES,
  FIELD_ARGS_VALUES,
  FIELD_BODY_SIZE,
  FIELD_BODY_TRUNCATED,
  FIELD_COOKIES,
  FIELD_COUNT,
  FIELD_FORM,
  FIELD_FORM_NAMES,
  FIELD_FORM_VALUES,
  FIELD_HEADERS,
  FIELD_HEADERS_NAMES,
  FIELD_HEADERS_TRUNCATED,
  FIELD_HEADERS_VALUES,
  FIELD_NONE,
  FIELD_RESPONSE_CODE,
  FIELD_RESPONSE_HEADERS,
  FIELD_RESPONSE_HEADERS_NAMES,
  FIELD_RESPONSE_HEADERS_VALUES,
  FIELD_SSL,
  FIELD_TIMESTAMP,
  FLAG_EACH,
  FUNCTION_COUNT,
  FUNCTION_JSON_INTEGER,
  FUNCTION_JSON_STRING,
  FUNCTION_REGEX_REPLACE,
  FUNCTION_SPLIT,
  LIST_ADDRESSES,
  LIST_STRINGS,
  MAX_SPLIT,
  MAX_STACK,
  OP_AND,
  OP_AND_EACH,
  OP_BITS,
  OP_BOOL,
  OP_CALL,
  OP_COMPARE_ADDRESS,
  OP_COMPARE_INT,
  OP_COMPARE_STRING,
  OP_CONTAINS,
  OP_END,
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
  TYPE_ARRAY,
  TYPE_BOOL,
  TYPE_INT,
  TYPE_MAP,
  TYPE_STRING,
} from './abi';
import { listAt, listCount, listKind } from './cidr';
import { resultType } from './functions';
import { sectionAt, sectionLength } from './image';
import { regexAt, regexCount } from './regexes';
import { groupCount } from './regex/search';

const TYPES = memory.data(MAX_STACK);
const TARGETS = memory.data(MAX_STACK * 8, 4); // open jumps, innermost last: { u32 target word, u32 cells below the value }

/** Type of a field, or 0 when there is none with this id. */
export function fieldType(id: i32): i32 {
  if (id == FIELD_NONE || id >= FIELD_COUNT) return 0;
  switch (id) {
    case FIELD_ARGS:
    case FIELD_HEADERS:
    case FIELD_COOKIES:
    case FIELD_FORM:
    case FIELD_RESPONSE_HEADERS:
      return TYPE_MAP;
    case FIELD_ARGS_NAMES:
    case FIELD_ARGS_VALUES:
    case FIELD_HEADERS_NAMES:
    case FIELD_HEADERS_VALUES:
    case FIELD_ACCEPTED_LANGUAGES:
    case FIELD_AGENT_SIGNALS:
    case FIELD_FORM_NAMES:
    case FIELD_FORM_VALUES:
    case FIELD_RESPONSE_HEADERS_NAMES:
    case FIELD_RESPONSE_HEADERS_VALUES:
      return TYPE_ARRAY | TYPE_STRING;
    case FIELD_HEADERS_TRUNCATED:
    case FIELD_SSL:
    case FIELD_AGENT_AUTOMATED:
    case FIELD_AGENT_BOT:
    case FIELD_AGENT_VERIFIED:
    case FIELD_BODY_TRUNCATED:
      return TYPE_BOOL;
    case FIELD_TIMESTAMP:
    case FIELD_AGENT_SCORE:
    case FIELD_BODY_SIZE:
    case FIELD_RESPONSE_CODE:
      return TYPE_INT;
    case FIELD_ADDRESS:
      return TYPE_ADDRESS;
  }
  return TYPE_STRING;
}

export function programCount(image: usize): i32 {
  return sectionLength(image, SECTION_CODE) == 0 ? 0 : load<i32>(sectionAt(image, SECTION_CODE));
}

/** TYPE_* that program `index` (below programCount) leaves. */
export function programType(image: usize, index: i32): i32 {
  return load<i32>(sectionAt(image, SECTION_CODE) + 8 + (<usize>index << 3));
}

/** Offset of the fault inside SECTION_CODE, or -1. Regexes and lists must have been checked before. */
export function checkCode(image: usize): i32 {
  const length = sectionLength(image, SECTION_CODE);
  if (length == 0) return -1;
  const code = sectionAt(image, SECTION_CODE);
  if ((length & 3) != 0) return length & ~3;
  const words = <u32>length >> 2;
  const count = load<u32>(code);
  if (count == 0 || <u64>count * 2 + 1 > <u64>words) return 0;
  let at: u32 = 1 + count * 2;
  for (let i: u32 = 0; i < count; i++) {
    const entry = code + 4 + (<usize>i << 3);
    if (load<u32>(entry) != at) return 4 + (i << 3);
    const end: u32 = i + 1 < count ? load<u32>(entry, 8) : words;
    if (end <= at || end > words) return 4 + (i << 3);
    const fault = checkProgram(image, code, at, end, load<i32>(entry, 4));
    if (fault != 0) return <i32>(fault << 2);
    at = end;
  }
  return -1;
}

// @ts-ignore: decorator
@inline
function type(index: i32): i32 {
  return load<u8>(TYPES + <usize>index);
}
// @ts-ignore: decorator
@inline
function setType(index: i32, value: i32): void {
  store<u8>(TYPES + <usize>index, <u8>value);
}

/** Operand words of an opcode, or -1 when there is no such instruction. */
function operandWords(opcode: i32): i32 {
  switch (opcode) {
    case OP_END:
    case OP_BOOL:
    case OP_FIELD:
    case OP_NOT:
    case OP_XOR:
    case OP_AND_EACH:
    case OP_OR_EACH:
      return 0;
    case OP_INDEX:
    case OP_MATCHES:
    case OP_IN_STRINGS:
    case OP_IN_ADDRESSES:
    case OP_AND:
    case OP_OR:
      return 1;
    case OP_INT:
    case OP_STRING:
    case OP_ENTRY:
    case OP_COMPARE_INT:
    case OP_COMPARE_STRING:
    case OP_COMPARE_ADDRESS:
    case OP_CONTAINS:
    case OP_WILDCARD:
    case OP_IN_INTEGERS:
    case OP_BITS:
    case OP_CALL:
      return 2;
  }
  return -1;
}

/** Type that a comparison looks at, or 0. */
function comparedType(opcode: i32): i32 {
  switch (opcode) {
    case OP_COMPARE_INT:
    case OP_IN_INTEGERS:
    case OP_BITS:
      return TYPE_INT;
    case OP_COMPARE_ADDRESS:
    case OP_IN_ADDRESSES:
      return TYPE_ADDRESS;
    case OP_COMPARE_STRING:
    case OP_CONTAINS:
    case OP_WILDCARD:
    case OP_MATCHES:
    case OP_IN_STRINGS:
      return TYPE_STRING;
  }
  return 0;
}

/** Word of the fault in the program of words [start, end), or 0. */
function checkProgram(image: usize, code: usize, start: u32, end: u32, result: i32): u32 {
  const stringBytes = <u64>(<u32>sectionLength(image, SECTION_STRINGS));
  let depth = 0;
  let open = 0;
  let at = start;
  while (true) {
    // Jumps that end here: what they kept is the one value above the cells that they left alone.
    while (open > 0 && load<u32>(TARGETS + (<usize>(open - 1) << 3)) == at) {
      open--;
      if (depth != load<i32>(TARGETS + (<usize>open << 3), 4) + 1 || type(depth - 1) != TYPE_BOOL) return at;
    }
    if (at >= end) return at == start ? start : at - 1;
    const word = load<u32>(code + (<usize>at << 2));
    const opcode = <i32>(word & 255);
    const a = <i32>(word >> 8) & 255;
    const b = <i32>(word >> 16) & 255;
    const each = (<i32>(word >> 24) & FLAG_EACH) != 0;
    const operands = operandWords(opcode);
    if (operands < 0 || <u64>at + 1 + <u64>operands > <u64>end) return at;
    const pc = code + (<usize>at << 2) + 4;
    const next = at + 1 + <u32>operands;
    // SAFETY: inside an open jump nothing below its value may be touched, so that both ways meet with the same cells.
    const floor = open > 0 ? load<i32>(TARGETS + (<usize>(open - 1) << 3), 4) : 0;
    const spans = opcode == OP_STRING || opcode == OP_ENTRY || opcode == OP_COMPARE_STRING || opcode == OP_COMPARE_ADDRESS
      || opcode == OP_CONTAINS || opcode == OP_WILDCARD || opcode == OP_IN_INTEGERS; // prettier-ignore
    if (spans && <u64>load<u32>(pc) + <u64>load<u32>(pc, 4) > stringBytes) return at;
    const compared = comparedType(opcode);
    if (compared != 0) {
      if (depth <= floor || type(depth - 1) != (each ? TYPE_ARRAY | compared : compared)) return at;
      if (!operandsFit(image, opcode, a, pc)) return at;
      setType(depth - 1, each ? TYPE_ARRAY | TYPE_BOOL : TYPE_BOOL);
      at = next;
      continue;
    }
    switch (opcode) {
      case OP_END:
        return next == end && open == 0 && depth == 1 && type(0) == result ? 0 : at;
      case OP_BOOL:
      case OP_INT:
      case OP_STRING:
      case OP_FIELD:
      case OP_ENTRY: {
        if (depth == MAX_STACK) return at;
        let pushed = opcode == OP_BOOL ? TYPE_BOOL : opcode == OP_INT ? TYPE_INT : TYPE_STRING;
        if (opcode == OP_BOOL && a > 1) return at;
        if (opcode == OP_FIELD || opcode == OP_ENTRY) pushed = fieldType(a);
        if (opcode == OP_ENTRY) pushed = pushed == TYPE_MAP ? TYPE_ARRAY | TYPE_STRING : 0;
        if (pushed == 0 || pushed == TYPE_MAP) return at;
        setType(depth++, pushed);
        break;
      }
      case OP_INDEX:
        if (depth <= floor || (type(depth - 1) & TYPE_ARRAY) == 0) return at;
        setType(depth - 1, type(depth - 1) & ~TYPE_ARRAY);
        break;
      case OP_NOT:
        if (depth <= floor || type(depth - 1) != (each ? TYPE_ARRAY | TYPE_BOOL : TYPE_BOOL)) return at;
        break;
      case OP_XOR:
      case OP_AND_EACH:
      case OP_OR_EACH: {
        const wanted = each ? TYPE_ARRAY | TYPE_BOOL : TYPE_BOOL;
        if (opcode != OP_XOR && !each) return at;
        if (depth - 2 < floor || type(depth - 1) != wanted || type(depth - 2) != wanted) return at;
        depth--;
        break;
      }
      case OP_AND:
      case OP_OR: {
        if (depth <= floor || type(depth - 1) != TYPE_BOOL) return at;
        const target = <u64>next + <u64>load<u32>(pc);
        if (target <= <u64>next || target >= <u64>end) return at;
        depth--;
        const inner = TARGETS + (<usize>(open - 1) << 3);
        if (open > 0 && target > <u64>load<u32>(inner)) return at;
        if (open > 0 && target == <u64>load<u32>(inner) && depth == load<i32>(inner, 4)) break; // a and b and c
        if (open == MAX_STACK) return at;
        store<u32>(TARGETS + (<usize>open << 3), <u32>target);
        store<i32>(TARGETS + (<usize>open << 3), depth, 4);
        open++;
        break;
      }
      case OP_CALL: {
        if (a >= FUNCTION_COUNT || b == 0 || depth - b < floor) return at;
        const base = depth - b;
        if (each && (type(base) & TYPE_ARRAY) == 0) return at;
        const type = resultType(a, TYPES + <usize>base, b, each, load<i32>(pc));
        if (type == 0 || !immediatesFit(image, a, pc, stringBytes)) return at;
        setType(base, each ? TYPE_ARRAY | type : type);
        depth = base + 1;
        break;
      }
    }
    at = next;
  }
}

/** What a comparison refers to beyond its literal. */
function operandsFit(image: usize, opcode: i32, a: i32, pc: usize): bool {
  const operand = load<u32>(pc);
  switch (opcode) {
    case OP_COMPARE_INT:
    case OP_COMPARE_STRING:
      return a <= (COMPARE_LESS | COMPARE_EQUAL | COMPARE_GREATER);
    case OP_COMPARE_ADDRESS:
      return load<u32>(pc, 4) == 16 && (a == COMPARE_EQUAL || a == (COMPARE_LESS | COMPARE_GREATER));
    case OP_IN_INTEGERS:
      return (load<u32>(pc, 4) & 15) == 0;
    case OP_MATCHES:
      return operand < <u32>regexCount(image);
    case OP_IN_STRINGS:
      return operand < <u32>listCount(image) && listKind(listAt(image, operand)) == LIST_STRINGS;
    case OP_IN_ADDRESSES:
      return operand < <u32>listCount(image) && listKind(listAt(image, operand)) == LIST_ADDRESSES;
  }
  return true;
}

function immediatesFit(image: usize, id: i32, pc: usize, stringBytes: u64): bool {
  const first = load<u32>(pc);
  if (id == FUNCTION_REGEX_REPLACE) return first < <u32>regexCount(image) && groupCount(regexAt(image, first)) > 0;
  if (id == FUNCTION_SPLIT) return first >= 1 && first <= <u32>MAX_SPLIT;
  if (id == FUNCTION_JSON_STRING || id == FUNCTION_JSON_INTEGER) return <u64>first + <u64>load<u32>(pc, 4) <= stringBytes;
  return true;
}
