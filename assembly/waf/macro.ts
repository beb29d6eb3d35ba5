// Macros, `%{TX.score}`: text and references that are expanded when a rule needs them.
import { alloc } from '../arena';
import {
  PART_SLOT,
  PART_TEXT,
  PART_WORDS,
  VARIABLE_HIGHEST_SEVERITY,
  VARIABLE_MATCHED_VAR,
  VARIABLE_MATCHED_VARS,
  VARIABLE_MATCHED_VARS_NAMES,
  VARIABLE_MATCHED_VAR_NAME,
  VARIABLE_TX,
} from './abi';
import { writeNumber } from './collections';
import { firstMatched, fullNameLength, lastMatched, matchedAt, matchedLength, writeFullName } from './matched';
import { strings, words } from './program';
import { highestSeverity } from './state';
import { findFirst, foundAt, foundLength } from './targets';
import { cellAt, cellLength, isSet, namedCell, slotCell } from './tx';

/** What `expand` made. */
export let textAt: usize = 0;
export let textLength: i32 = 0;

/** Expands the macro at a row of PROGRAM_WORDS; what is not there expands to nothing. False: the arena is exhausted. */
export function expand(macro: i32): bool {
  const start = words + (<usize>macro << 2);
  const parts = load<i32>(start);
  // Most have one part, which is used where it stands.
  if (parts == 1) return read(start + 4);
  let total = 0;
  const pieces = alloc(parts << 3);
  if (pieces == 0) return false;
  for (let i = 0; i < parts; i++) {
    if (!read(start + 4 + <usize>i * (PART_WORDS * 4))) return false;
    store<u32>(pieces + (<usize>i << 3), <u32>textAt);
    store<i32>(pieces + (<usize>i << 3), textLength, 4);
    total += textLength;
  }
  const text = alloc(total);
  if (text == 0) return false;
  let to = text;
  for (let i = 0; i < parts; i++) {
    const piece = pieces + (<usize>i << 3);
    const length = <usize>load<u32>(piece, 4);
    memory.copy(to, load<u32>(piece), length);
    to += length;
  }
  textAt = text;
  textLength = total;
  return true;
}

function read(part: usize): bool {
  textAt = strings;
  textLength = 0;
  const kind = load<i32>(part);
  if (kind == PART_TEXT) {
    textAt = strings + <usize>load<u32>(part, 8);
    textLength = load<i32>(part, 12);
    return true;
  }
  if (kind == PART_SLOT) return readCell(slotCell(load<i32>(part, 4)));
  const variable = load<i32>(part, 4);
  const name = strings + <usize>load<u32>(part, 8);
  const nameLength = load<i32>(part, 12);
  switch (variable) {
    case VARIABLE_TX: {
      const cell = namedCell(name, nameLength, false);
      return cell == 0 || readCell(cell);
    }
    case VARIABLE_MATCHED_VAR:
      return readMatched(lastMatched());
    case VARIABLE_MATCHED_VARS:
      return readMatched(firstMatched());
    case VARIABLE_MATCHED_VAR_NAME:
      return readName(lastMatched());
    case VARIABLE_MATCHED_VARS_NAMES:
      return readName(firstMatched());
    case VARIABLE_HIGHEST_SEVERITY:
      textAt = alloc(12);
      if (textAt == 0) return false;
      textLength = writeNumber(textAt, highestSeverity);
      return true;
  }
  if (findFirst(variable, name, nameLength)) {
    textAt = foundAt;
    textLength = foundLength;
  }
  return true;
}

function readCell(cell: usize): bool {
  if (!isSet(cell)) return true;
  textAt = cellAt(cell);
  textLength = cellLength(cell);
  return true;
}

function readMatched(entry: usize): bool {
  if (entry == 0) return true;
  textAt = matchedAt(entry);
  textLength = matchedLength(entry);
  return true;
}

function readName(entry: usize): bool {
  if (entry == 0) return true;
  textLength = fullNameLength(entry);
  textAt = alloc(textLength);
  if (textAt == 0) return false;
  writeFullName(entry, textAt);
  return true;
}
