// The values that a link looks at: its targets expanded in the order written, without what is excluded. One expansion at a
// time; nothing is copied.
//
// SPEC: ModSecurity v2 expands targets into a table of names, from which an exclusion removes the names that stand before
// it. So exclusions compare the variable as written: `ARGS|!ARGS_GET:q` excludes nothing.
import { alloc, failure } from '../arena';
import { REASON_NONE } from '../abi';
import { findRegex } from '../regexes';
import {
  LINK_FIRST_TARGET,
  LINK_TARGETS,
  NONE,
  REMOVAL_ROW_WORDS,
  TARGET_A,
  TARGET_B,
  TARGET_COUNT,
  TARGET_EXACT,
  TARGET_EXCLUDE,
  TARGET_PREFIX,
  TARGET_REGEX,
  TARGET_ROW_WORDS,
  TARGET_SLOT,
  TARGET_VARIABLE,
  VARIABLE_ARGS,
  VARIABLE_ARGS_GET,
  VARIABLE_ARGS_GET_NAMES,
  VARIABLE_ARGS_NAMES,
  VARIABLE_ARGS_POST,
  VARIABLE_ARGS_POST_NAMES,
  VARIABLE_HIGHEST_SEVERITY,
  VARIABLE_MATCHED_VAR,
  VARIABLE_MATCHED_VARS,
  VARIABLE_MATCHED_VARS_NAMES,
  VARIABLE_MATCHED_VAR_NAME,
  VARIABLE_REQUEST_COOKIES,
  VARIABLE_REQUEST_COOKIES_NAMES,
  VARIABLE_REQUEST_HEADERS,
  VARIABLE_REQUEST_HEADERS_NAMES,
  VARIABLE_RESPONSE_HEADERS,
  VARIABLE_RESPONSE_HEADERS_NAMES,
  VARIABLE_TX,
} from './abi';
import { firstValue, nameAt, nameLength, nextValue, valueAt, valueLength, writeNumber } from './collections';
import {
  entryCounted,
  entryKeyAt,
  entryKeyLength,
  entryVariable,
  firstMatched,
  fullNameLength,
  lastMatched,
  matchedAt,
  matchedLength,
  nextMatched,
  writeFullName,
} from './matched';
import { equalFolded } from './name';
import { image, removalCount, removals, slotCount, strings, targets, word } from './program';
import { activeRemovals, highestSeverity, isActive, removes } from './state';
import {
  cellAt,
  cellLength,
  entryNameAt,
  entryNameLength,
  firstEntry,
  isSet,
  lastEntry,
  nextEntry,
  slotCell,
  slotNameAt,
  slotNameLength,
} from './tx';

// The current value
export let variable: i32 = 0; // VARIABLE_*
export let counted: bool = false;
export let keyAt: usize = 0; // name within the collection
export let keyLength: i32 = 0;
export let at: usize = 0;
export let length: i32 = 0;
/** Its record in the collections, 0 when it has none, and whether the name of the record is the value. */
export let record: usize = 0;
export let named: bool = false;

let original: usize = 0; // of MATCHED_VARS: the entry

// Where the expansion is
let rule: i32 = 0;
let row: usize = 0; // of the target
let end: usize = 0;
let open: bool = false; // inside of a target
let source: i32 = 0; // storage that is walked, and the one after it
let second: i32 = 0;
let exactAt: usize = 0; // of what is walked, only this name is wanted; its length is -1 where all are
let exactLength: i32 = -1;
let cursor: usize = 0;
let slot: i32 = 0;
let stop: usize = 0;
let limited: bool = false;

/** There is nothing to look at: the current value is an empty one of this variable. */
export function noTarget(id: i32): void {
  variable = id;
  counted = false;
  record = 0;
  named = false;
  keyLength = 0;
  length = 0;
}

/**
 * Under which variable a match of the current value is noted; sets the name too.
 * SPEC: a value of MATCHED_VARS keeps the name that it had.
 */
export function matchedVariable(): i32 {
  if (variable != VARIABLE_MATCHED_VARS && variable != VARIABLE_MATCHED_VARS_NAMES) return variable;
  keyAt = entryKeyAt(original);
  keyLength = entryKeyLength(original);
  counted = entryCounted(original);
  return entryVariable(original);
}

/** Begins with the targets of a link of rule `index`; -1 for a link that ctl:ruleRemoveTarget does not mean. */
export function startTargets(link: usize, index: i32): void {
  rule = index;
  row = targets + <usize>word(link, LINK_FIRST_TARGET) * (TARGET_ROW_WORDS * 4);
  end = row + <usize>word(link, LINK_TARGETS) * (TARGET_ROW_WORDS * 4);
  open = false;
}

/** Goes to the next value; false when there is none left, or a limit was hit. */
export function nextTarget(): bool {
  while (row < end) {
    if (!open) {
      if ((word(row, TARGET_VARIABLE) & TARGET_EXCLUDE) != 0) {
        row += TARGET_ROW_WORDS * 4;
        continue;
      }
      enter(word(row, TARGET_VARIABLE) & 0xff);
      open = true;
      if ((word(row, TARGET_VARIABLE) & TARGET_COUNT) != 0) {
        const has = count();
        open = false;
        const target = row;
        row += TARGET_ROW_WORDS * 4;
        if (has && !excluded(target)) return true;
        continue;
      }
    }
    while (step()) {
      if (selected(row) && !excluded(row)) return true;
      if (failure() != REASON_NONE) return false;
    }
    open = false;
    row += TARGET_ROW_WORDS * 4;
  }
  return false;
}

/** Counts the values of the target that was entered, and makes the number the current value. */
function count(): bool {
  let n = 0;
  while (step()) n += i32(selected(row));
  const text = alloc(12);
  if (text == 0) return false;
  at = text;
  length = writeNumber(text, n);
  counted = true;
  record = 0;
  const bits = word(row, TARGET_VARIABLE);
  variable = bits & 0xff;
  keyLength = 0;
  if ((bits & (TARGET_EXACT | TARGET_REGEX | TARGET_SLOT)) == TARGET_EXACT) {
    keyAt = strings + <usize>word(row, TARGET_A);
    keyLength = word(row, TARGET_B);
  } else if ((bits & TARGET_SLOT) != 0) {
    keyAt = slotNameAt(word(row, TARGET_A));
    keyLength = slotNameLength(word(row, TARGET_A));
  }
  return true;
}

/** Readies the walk over a variable. */
function enter(id: i32): void {
  variable = id;
  counted = false;
  record = 0;
  named = false;
  source = id;
  second = 0;
  exactLength = -1;
  if ((word(row, TARGET_VARIABLE) & TARGET_EXACT) != 0) {
    exactAt = strings + <usize>word(row, TARGET_A);
    exactLength = word(row, TARGET_B);
  }
  switch (id) {
    case VARIABLE_ARGS_NAMES:
      named = true;
    case VARIABLE_ARGS:
      source = VARIABLE_ARGS_GET;
      second = VARIABLE_ARGS_POST;
      break;
    case VARIABLE_ARGS_GET_NAMES:
      named = true;
      source = VARIABLE_ARGS_GET;
      break;
    case VARIABLE_ARGS_POST_NAMES:
      named = true;
      source = VARIABLE_ARGS_POST;
      break;
    case VARIABLE_REQUEST_COOKIES_NAMES:
      named = true;
      source = VARIABLE_REQUEST_COOKIES;
      break;
    case VARIABLE_REQUEST_HEADERS_NAMES:
      named = true;
      source = VARIABLE_REQUEST_HEADERS;
      break;
    case VARIABLE_RESPONSE_HEADERS_NAMES:
      named = true;
      source = VARIABLE_RESPONSE_HEADERS;
      break;
    case VARIABLE_TX:
      slot = 0;
      cursor = firstEntry();
      stop = lastEntry();
      if ((word(row, TARGET_VARIABLE) & TARGET_SLOT) != 0) slot = word(row, TARGET_A);
      return;
    case VARIABLE_MATCHED_VARS:
    case VARIABLE_MATCHED_VARS_NAMES:
      cursor = firstMatched();
      stop = lastMatched();
      return;
    case VARIABLE_MATCHED_VAR:
    case VARIABLE_MATCHED_VAR_NAME:
      cursor = lastMatched();
      stop = cursor;
      return;
    case VARIABLE_HIGHEST_SEVERITY:
      cursor = 1;
      return;
  }
  cursor = firstValue(source);
}

/** Goes one value further; false at the end. */
function step(): bool {
  switch (variable) {
    case VARIABLE_TX:
      return stepTx();
    case VARIABLE_MATCHED_VAR:
    case VARIABLE_MATCHED_VARS:
    case VARIABLE_MATCHED_VAR_NAME:
    case VARIABLE_MATCHED_VARS_NAMES:
      return stepMatched();
    case VARIABLE_HIGHEST_SEVERITY:
      if (cursor == 0) return false;
      cursor = 0;
      keyLength = 0;
      at = alloc(12);
      if (at == 0) return false;
      length = writeNumber(at, highestSeverity);
      return true;
  }
  // PERF: a request has a dozen headers, and twenty rules look at one each.
  do {
    while (cursor == 0) {
      if (second == 0) return false;
      cursor = firstValue(second);
      second = 0;
    }
    record = cursor;
    cursor = nextValue(cursor);
  } while (exactLength >= 0 && (nameLength(record) != exactLength || !equalFolded(nameAt(record), exactAt, exactLength)));
  keyAt = nameAt(record);
  keyLength = nameLength(record);
  at = named ? keyAt : valueAt(record);
  length = named ? keyLength : valueLength(record);
  return true;
}

function stepTx(): bool {
  while (slot < slotCount) {
    const cell = slotCell(slot);
    keyAt = slotNameAt(slot);
    keyLength = slotNameLength(slot);
    if ((word(row, TARGET_VARIABLE) & TARGET_SLOT) != 0) {
      slot = slotCount;
      cursor = 0;
    } else slot++;
    if (!isSet(cell)) continue;
    at = cellAt(cell);
    length = cellLength(cell);
    return true;
  }
  while (cursor != 0) {
    const entry = cursor;
    cursor = entry == stop ? 0 : nextEntry(entry);
    if (!isSet(entry)) continue;
    keyAt = entryNameAt(entry);
    keyLength = entryNameLength(entry);
    at = cellAt(entry);
    length = cellLength(entry);
    return true;
  }
  return false;
}

function stepMatched(): bool {
  if (cursor == 0) return false;
  const entry = cursor;
  original = entry;
  cursor = entry == stop ? 0 : nextMatched(entry);
  const names = variable == VARIABLE_MATCHED_VARS_NAMES || variable == VARIABLE_MATCHED_VAR_NAME;
  const many = variable == VARIABLE_MATCHED_VARS || variable == VARIABLE_MATCHED_VARS_NAMES;
  keyLength = 0;
  if (many || names) {
    const size = fullNameLength(entry);
    const text = alloc(size);
    if (text == 0) return false;
    writeFullName(entry, text);
    if (many) {
      keyAt = text;
      keyLength = size;
    }
    at = text;
    length = size;
  }
  if (!names) {
    at = matchedAt(entry);
    length = matchedLength(entry);
  }
  return true;
}

/** Whether the selector of a target takes the current name. */
function selected(target: usize): bool {
  const bits = word(target, TARGET_VARIABLE);
  if ((bits & (TARGET_EXACT | TARGET_REGEX | TARGET_SLOT | TARGET_PREFIX)) == 0) return true;
  if ((bits & TARGET_EXACT) != 0) {
    return keyLength == word(target, TARGET_B) && equalFolded(keyAt, strings + <usize>word(target, TARGET_A), keyLength);
  }
  if ((bits & TARGET_PREFIX) != 0) {
    const length = word(target, TARGET_B);
    return keyLength >= length && equalFolded(keyAt, strings + <usize>word(target, TARGET_A), length);
  }
  // PERF: TX:/.../ asks for each of the variables that a rule set has, most of which are shorter.
  if ((bits & TARGET_REGEX) != 0) {
    return keyLength >= word(target, TARGET_B) && findRegex(image, word(target, TARGET_A), keyAt, keyLength);
  }
  const slot = word(target, TARGET_A);
  return keyLength == slotNameLength(slot) && equalFolded(keyAt, slotNameAt(slot), keyLength);
}

/** Whether an exclusion behind `from` in the same link, or one that a ctl made, takes the current value away. */
function excluded(from: usize): bool {
  for (let other = from + TARGET_ROW_WORDS * 4; other < end; other += TARGET_ROW_WORDS * 4) {
    const bits = word(other, TARGET_VARIABLE);
    if ((bits & TARGET_EXCLUDE) == 0 || (bits & 0xff) != variable) continue;
    if (((bits & TARGET_COUNT) != 0) == counted && selected(other)) return true;
  }
  if (activeRemovals == 0 || rule < 0) return false;
  for (let i = 0; i < removalCount; i++) {
    const removal = removals + <usize>i * (REMOVAL_ROW_WORDS * 4);
    if (load<u32>(removal, 4) == NONE || !isActive(i) || !removes(i, rule)) continue;
    const target = targets + <usize>load<u32>(removal, 4) * (TARGET_ROW_WORDS * 4);
    const bits = word(target, TARGET_VARIABLE);
    if ((bits & 0xff) != variable) continue;
    // SPEC: fetch_target_exception compares names, and a count has that of its collection, whatever entry it counts.
    const whole = (bits & (TARGET_EXACT | TARGET_REGEX | TARGET_SLOT | TARGET_PREFIX)) == 0;
    if (counted ? whole : selected(target)) return true;
  }
  return false;
}

export let foundAt: usize = 0;
export let foundLength: i32 = 0;

/** First value of a variable of the collections, by name unless that is empty: what a macro stands for. */
export function findFirst(id: i32, name: usize, size: i32): bool {
  let storage = id;
  let names = false;
  let more = 0;
  if (id == VARIABLE_ARGS || id == VARIABLE_ARGS_NAMES) {
    storage = VARIABLE_ARGS_GET;
    more = VARIABLE_ARGS_POST;
    names = id == VARIABLE_ARGS_NAMES;
  } else if (id == VARIABLE_ARGS_GET_NAMES || id == VARIABLE_ARGS_POST_NAMES) {
    storage = id == VARIABLE_ARGS_GET_NAMES ? VARIABLE_ARGS_GET : VARIABLE_ARGS_POST;
    names = true;
  } else if (id == VARIABLE_REQUEST_HEADERS_NAMES || id == VARIABLE_REQUEST_COOKIES_NAMES || id == VARIABLE_RESPONSE_HEADERS_NAMES) {
    storage =
      id == VARIABLE_REQUEST_HEADERS_NAMES
        ? VARIABLE_REQUEST_HEADERS
        : id == VARIABLE_REQUEST_COOKIES_NAMES
          ? VARIABLE_REQUEST_COOKIES
          : VARIABLE_RESPONSE_HEADERS;
    names = true;
  }
  for (; storage != 0; storage = more, more = 0) {
    for (let one = firstValue(storage); one != 0; one = nextValue(one)) {
      if (size != 0 && (nameLength(one) != size || !equalFolded(nameAt(one), name, size))) continue;
      foundAt = names ? nameAt(one) : valueAt(one);
      foundLength = names ? nameLength(one) : valueLength(one);
      return true;
    }
  }
  return false;
}
