// The scan: runs every matcher that rules may ask for over every value that they look at, once, before any rule is
// evaluated. What it leaves is, for each value, the matchers that hit and after which transformations.
//
// The pipelines of transformations of all rules are one tree (PROGRAM_NODES): what they begin with is done once. A profile
// says for a kind of value which matchers apply at which node. PERF: most transformations change most values not at all, so
// for a string and what could change it the set of nodes that it stands for unchanged (a closure) is looked up; a value of
// plain letters then takes one look-up and one search, whatever the number of pipelines.
import { alloc, failure, keep, mark, release, spend } from '../arena';
import { REASON_NONE } from '../abi';
import { equalBytes } from '../hash';
import {
  DETECTOR_SQLI,
  DETECTOR_XSS,
  KIND_FIRST_NAME,
  KIND_NAMES,
  KIND_ROW_WORDS,
  MATCHER_SET_BYTES,
  MATCHER_SQLI,
  MATCHER_XSS,
  MASK_TAIL_BYTES,
  NAME_ROW_WORDS,
  NODE_ROW_WORDS,
  NONE,
  PROFILE_HAS_MASK,
  VARIABLE_COUNT,
  VARIABLE_REQUEST_HEADERS,
} from './abi';
import { CLOSURE_BYTES, closureOf, frontierAt, makeRoomForClosures, nodeCells, profileRow, startClosures, transformOf } from './closures';
import { firstValue, nameAt, nameLength, nextValue, valueAt, valueCount, valueLength } from './collections';
import { detectSqlKnown } from './detect/sql';
import { detectXssKnown } from './detect/xss';
import { matchKnown } from './match';
import { equalFolded } from './name';
import { presence } from './presence';
import { kinds, maskBytes, masks, matchers, names, nodeCount, nodes, setAt, setBytes, setCount, setFirst, strings } from './program';
import { finishKept, startKept } from './kept';
import {
  isPublic,
  isRemembered,
  remember,
  rememberedCount,
  rememberedHits,
  rememberedSlot,
  spendRemembered,
  startRemembered,
} from './remembered';
import { isKnown, keepHits, knownHits, repeatSlot, startRepeats } from './repeats';
import { alive, classesOf, startScreen } from './screen';
import { changing, outAt, outLength, surelyChanging, transform } from './transform/transform';

// Longer strings are walked depth first, each output given back when it is done with: memory is depth x length.
const LONG: i32 = 8192;

const HIT_BYTES: i32 = 12; // { next, matcher, node }
const ENTRY_BYTES: i32 = 72; // { at, length, first closure, 0, u64 changes, mask, 0, u64 classes, presence }, own mask
const ENTRY_PRESENCE: usize = 40;
const STEP_BYTES: i32 = 12; // { entry, transformation, resulting entry }

let anyHit: usize = 0; // u8 for each matcher, and one for each detector
let work: usize = 0; // { entry, node }
let entries: usize = 0;
let entrySize: usize = 0;
let entryCount: i32 = 0;
let workCount: i32 = 0;
let taken: usize = 0; // steps that a value has gone, so that none is gone twice
let takenCount: i32 = 0;
let found: usize = 0; // hits of one search
let wanted: usize = 0; // ... and what it looks for
let transformsUsed: u64 = 0;
let head: usize = 0; // hits of the value

/** True when the matcher has hit any value. */
// @ts-ignore: decorator
@inline
export function hasHit(matcher: i32): bool {
  if (matcher >= MATCHER_SQLI) return load<u8>(anyHit + <usize>(matchers + matcher - MATCHER_SQLI)) != 0;
  return load<u8>(anyHit + <usize>matcher) != 0;
}

/** True when a matcher hit at a node, by the hits of a value. */
export function hitAt(hits: usize, matcher: i32, node: i32): bool {
  for (let hit = hits; hit != 0; hit = load<u32>(hit)) {
    if (load<i32>(hit, 4) == matcher && load<i32>(hit, 8) == node) return true;
  }
  return false;
}

/** True when a matcher hit at any node. */
export function hitAnywhere(hits: usize, matcher: i32): bool {
  for (let hit = hits; hit != 0; hit = load<u32>(hit)) if (load<i32>(hit, 4) == matcher) return true;
  return false;
}

/** Hits of a record's value, or of its name. */
// @ts-ignore: decorator
@inline
export function hitsOf(record: usize, named: bool): usize {
  return named ? load<u32>(record, 20) : load<u32>(record, 24);
}

/** Readies the tables of a call; false when the arena is exhausted. */
export function startScan(): bool {
  entrySize = <usize>(ENTRY_BYTES + maskBytes);
  // Each node is reached once for a value, so nothing here is more than the nodes.
  const bytes = matchers + 2;
  anyHit = alloc(bytes);
  found = alloc(maskBytes);
  wanted = alloc(maskBytes);
  work = alloc((nodeCount + 1) << 3);
  taken = alloc((nodeCount + 1) * STEP_BYTES);
  entries = alloc((nodeCount + 1) * <i32>entrySize);
  startKept();
  startRemembered();
  if (!startScreen() || !startClosures()) return false;
  finishKept();
  if (!startRepeats(valueCount()) || taken == 0) return false;
  if (anyHit == 0 || found == 0 || wanted == 0 || work == 0 || entries == 0) return false;
  memory.fill(anyHit, 0, bytes);
  transformsUsed = 0;
  for (let i = 1; i < nodeCount; i++) transformsUsed |= (<u64>1) << <u64>load<u32>(nodes + <usize>i * (NODE_ROW_WORDS * 4));
  return true;
}

/** Scans every value that the collections hold, for one SCOPE_*; false when a limit was hit. */
export function scanAll(scope: i32): bool {
  if (nodeCount == 0) return true;
  for (let variable = 1; variable < VARIABLE_COUNT; variable++) {
    const record = firstValue(variable);
    if (record == 0) continue;
    const row = kinds + <usize>variable * (KIND_ROW_WORDS * 4);
    const nameRow = row + VARIABLE_COUNT * (KIND_ROW_WORDS * 4);
    // Neither the collection as such nor a name in it is looked at.
    const values = load<u32>(row + (<usize>scope << 2)) != NONE || load<u32>(row, KIND_NAMES * 4) != 0;
    const keys = load<u32>(nameRow + (<usize>scope << 2)) != NONE || load<u32>(nameRow, KIND_NAMES * 4) != 0;
    if (!values && !keys) continue;
    const common = variable == VARIABLE_REQUEST_HEADERS;
    for (let one = record; one != 0; one = nextValue(one)) {
      if (values) {
        const profile = profileOf(row, scope, nameAt(one), nameLength(one));
        if (profile != <i32>NONE) {
          const open = common && isPublic(nameAt(one), nameLength(one));
          if (!(open ? scanCommon(profile, valueAt(one), valueLength(one)) : scan(profile, valueAt(one), valueLength(one)))) return false;
          store<u32>(one, <u32>head, 24);
        }
      }
      if (keys) {
        const profile = profileOf(nameRow, scope, nameAt(one), nameLength(one));
        if (profile != <i32>NONE) {
          if (!(common ? scanCommon(profile, nameAt(one), nameLength(one)) : scan(profile, nameAt(one), nameLength(one)))) return false;
          store<u32>(one, <u32>head, 20);
        }
      }
    }
  }
  return true;
}

/** Profile of a value by its name, NONE when nothing applies. */
function profileOf(row: usize, scope: i32, at: usize, length: i32): i32 {
  let name = names + <usize>load<u32>(row, KIND_FIRST_NAME * 4) * (NAME_ROW_WORDS * 4);
  for (let left = load<i32>(row, KIND_NAMES * 4); left > 0; left--, name += NAME_ROW_WORDS * 4) {
    if (load<i32>(name, 4) == length && equalFolded(at, strings + <usize>load<u32>(name), length)) {
      return load<i32>(name + 8 + (<usize>scope << 2));
    }
  }
  return load<i32>(row + (<usize>scope << 2));
}

/** `scan` of a string that other requests have brought, and will. */
function scanCommon(profile: i32, at: usize, length: i32): bool {
  const slot = rememberedSlot(profile, at, length);
  if (slot == 0) return scan(profile, at, length);
  if (!isRemembered(slot, profile, at, length)) {
    if (!scan(profile, at, length)) return false;
    remember(slot, profile, at, length, head);
    return true;
  }
  head = 0;
  if (!spendRemembered(slot)) return false;
  // From the last on, since hits are listed in front of one another.
  for (let i = rememberedCount(slot) - 1; i >= 0; i--) {
    const hit = rememberedHits(slot) + (<usize>i << 3);
    const matcher = load<i32>(hit);
    store<u8>(anyHit + <usize>(matcher >= MATCHER_SQLI ? matchers + matcher - MATCHER_SQLI : matcher), 1);
    if (!addHit(matcher, load<i32>(hit, 4))) return false;
  }
  return true;
}

function scan(profile: i32, at: usize, length: i32): bool {
  head = 0;
  if (!spend(8 + (length >> 2))) return false;
  makeRoomForClosures();
  if (length > LONG) {
    const start = mark();
    const first = alloc(8);
    if (first == 0) return false;
    store<u16>(first, 0);
    const done = scanLong(profile, first, 1, at, length);
    release(start);
    return done;
  }
  const slot = repeatSlot(profile, at, length);
  if (slot != 0) {
    if (isKnown(slot, profile, at, length)) {
      head = knownHits(slot);
      return true;
    }
    if (!scanShort(profile, at, length)) return false;
    keepHits(slot, profile, at, length, head);
    return true;
  }
  return scanShort(profile, at, length);
}

function scanShort(profile: i32, at: usize, length: i32): bool {
  const start = mark();
  entryCount = 0;
  workCount = 0;
  takenCount = 0;
  const whole = addEntry(profile, at, length);
  if (load<u64>(whole, 16) == 0) {
    // PERF: nothing can change it, as with most values: it stands for all nodes, whose mask is known.
    store<u32>(whole, <u32>(masks + <usize>load<u32>(profileRow(profile), 8) * <usize>maskBytes), 24);
    return search(profile, whole);
  }
  push(whole, 0);
  for (let i = 0; i < workCount; i++) {
    const item = work + (<usize>i << 3);
    const entry = <usize>load<u32>(item);
    const closure = closureOf(profile, load<i32>(item, 4), load<u64>(entry, 16));
    attach(entry, closure);
    const frontier = frontierAt(closure);
    const count = load<i32>(closure, 16);
    for (let j = 0; j < count; j++) {
      const node = <i32>load<u16>(frontier + (<usize>j << 1));
      const result = stepOf(profile, entry, transformOf(node));
      if (result == 0) return false;
      push(result, node);
    }
  }
  for (let i = 0; i < entryCount; i++) if (!search(profile, entries + <usize>i * entrySize)) return false;
  release(start);
  return true;
}

/** Entry of what a transformation makes of a string; 0 when a limit was hit. */
function stepOf(profile: i32, entry: usize, id: i32): usize {
  for (let i = 0; i < takenCount; i++) {
    const known = taken + <usize>(i * STEP_BYTES);
    if (load<u32>(known) == <u32>entry && load<i32>(known, 4) == id) return load<u32>(known, 8);
  }
  const at = <usize>load<u32>(entry);
  const length = load<i32>(entry, 4);
  const before = mark();
  if (!transform(id, at, length)) return 0;
  let result = entry;
  if (outLength != length || (outAt != at && !equalBytes(outAt, at, length))) {
    result = findEntry(outAt, outLength);
    if (result == 0) result = addEntry(profile, outAt, outLength);
    else release(before);
  } else release(before);
  const step = taken + <usize>(takenCount * STEP_BYTES);
  store<u32>(step, <u32>entry);
  store<i32>(step, id, 4);
  store<u32>(step, <u32>result, 8);
  takenCount++;
  return result;
}


// @ts-ignore: decorator
@inline
function push(entry: usize, node: i32): void {
  const item = work + (<usize>workCount << 3);
  store<u32>(item, <u32>entry);
  store<i32>(item, node, 4);
  workCount++;
}

function addEntry(profile: i32, at: usize, length: i32): usize {
  const entry = entries + <usize>entryCount * entrySize;
  entryCount++;
  fillEntry(profile, entry, at, length);
  return entry;
}

function fillEntry(profile: i32, entry: usize, at: usize, length: i32): void {
  store<u32>(entry, <u32>at);
  store<i32>(entry, length, 4);
  store<u64>(entry, 0, 8);
  const bitmap = entry + ENTRY_PRESENCE;
  presence(at, length, bitmap);
  store<u64>(entry, transformsUsed & changing(bitmap) & load<u64>(profileRow(profile)), 16);
  store<u32>(entry, 0, 24);
  store<u64>(entry, classesOf(bitmap), 32);
}

function findEntry(at: usize, length: i32): usize {
  for (let i = 0; i < entryCount; i++) {
    const entry = entries + <usize>i * entrySize;
    if (load<i32>(entry, 4) == length && equalBytes(load<u32>(entry), at, length)) return entry;
  }
  return 0;
}

/** Adds the nodes of a closure to those that a string stands for. */
function attach(entry: usize, closure: usize): void {
  store<u32>(closure, load<u32>(entry, 8), 20);
  store<u32>(entry, <u32>closure, 8);
  const mask = closure + CLOSURE_BYTES;
  const before = <usize>load<u32>(entry, 24);
  if (before == 0) {
    store<u32>(entry, <u32>mask, 24);
    return;
  }
  const own = entry + ENTRY_BYTES;
  for (let i: usize = 0; i < <usize>maskBytes; i += 8) store<u64>(own + i, load<u64>(before + i) | load<u64>(mask + i));
  store<u32>(entry, <u32>own, 24);
}

/** Runs the matchers of a string and notes what hit. */
function search(profile: i32, entry: usize): bool {
  const mask = <usize>load<u32>(entry, 24);
  const lively = alive(load<u64>(entry, 32));
  const tail = <usize>setCount * MATCHER_SET_BYTES;
  const detectors = load<i32>(mask + tail);
  const at = <usize>load<u32>(entry);
  const length = load<i32>(entry, 4);
  let any = false;
  // PERF: no more of a set is touched than has matchers, and no `memory.fill`, which is a call out of the engine.
  for (let i = 0; i < setCount; i++) {
    const bytes = setBytes(i);
    const part = <usize>i * MATCHER_SET_BYTES;
    const wish = wanted + part;
    const hits = found + part;
    let some = i64x2.splat(0);
    for (let j: usize = 0; j < bytes; j += 16) {
      const left = v128.and(v128.load(mask + part + j), v128.load(lively + part + j));
      some = v128.or(some, left);
      v128.store(wish + j, left);
      v128.store(hits + j, i64x2.splat(0));
    }
    if (!v128.any_true(some)) continue;
    if (!matchKnown(setAt(i), at, length, entry + ENTRY_PRESENCE, wish, hits)) return false;
    for (let j: usize = 0; j < bytes; j += 16) any = any || v128.any_true(v128.load(hits + j));
  }
  store<i32>(found + tail, 0);
  if (detectors != 0) {
    let hit = 0;
    if ((detectors & DETECTOR_SQLI) != 0 && detectSqlKnown(at, length, entry + ENTRY_PRESENCE)) hit |= DETECTOR_SQLI;
    if ((detectors & DETECTOR_XSS) != 0 && detectXssKnown(at, length, entry + ENTRY_PRESENCE)) hit |= DETECTOR_XSS;
    if (failure() != REASON_NONE) return false;
    store<i32>(found + tail, hit);
    any = any || hit != 0;
  }
  if (!any) return true;
  if (load<u32>(entry, 8) == 0) attach(entry, closureOf(profile, 0, 0));
  return note(profile, entry);
}

/** Notes the hits of a string at each node that it stands for and that the matcher applies to. */
function note(profile: i32, entry: usize): bool {
  const tail = <usize>setCount * MATCHER_SET_BYTES;
  const row = nodeCells(profile);
  for (let closure = <usize>load<u32>(entry, 8); closure != 0; closure = load<u32>(closure, 20)) {
    const count = load<i32>(closure, 12);
    for (let j = 0; j < count; j++) {
      const node = <i32>load<u16>(closure + <usize>(CLOSURE_BYTES + maskBytes) + (<usize>j << 1));
      const cell = load<u32>(row + (<usize>node << 2));
      if ((cell & PROFILE_HAS_MASK) == 0) continue;
      const mask = masks + <usize>(cell & 0xffff) * <usize>maskBytes;
      for (let set = 0; set < setCount; set++) {
        const part = <usize>set * MATCHER_SET_BYTES;
        const bytes = setBytes(set);
        for (let i: usize = 0; i < bytes; i += 8) {
          for (let bits = load<u64>(mask + part + i) & load<u64>(found + part + i); bits != 0; bits &= bits - 1) {
            const matcher = setFirst(set) + <i32>((i << 3) + <usize>ctz(bits));
            // SAFETY: match sets only bits of its own matchers, whose number openProgram compared.
            store<u8>(anyHit + <usize>matcher, 1);
            if (!addHit(matcher, node)) return false;
          }
        }
      }
      const detected = load<i32>(mask + tail) & load<i32>(found + tail);
      if ((detected & DETECTOR_SQLI) != 0) {
        store<u8>(anyHit + <usize>matchers, 1);
        if (!addHit(MATCHER_SQLI, node)) return false;
      }
      if ((detected & DETECTOR_XSS) != 0) {
        store<u8>(anyHit + <usize>(matchers + 1), 1);
        if (!addHit(MATCHER_XSS, node)) return false;
      }
    }
  }
  return true;
}

function addHit(matcher: i32, node: i32): bool {
  const hit = keep(HIT_BYTES);
  if (hit == 0) return false;
  store<u32>(hit, <u32>head);
  store<i32>(hit, matcher, 4);
  store<i32>(hit, node, 8);
  head = hit;
  return true;
}

/** The same for a long string that stands for `count` nodes (u16 at `list`); the caller releases the arena. */
function scanLong(profile: i32, list: usize, count: i32, at: usize, length: i32): bool {
  if (!spend(length >> 2)) return false;
  const entry = alloc(<i32>entrySize);
  const frontier = alloc(nodeCount << 1); // nodes whose transformation changes the string
  const same = alloc((nodeCount + count) << 1); // nodes that the string stands for, to be looked at
  if (entry == 0 || frontier == 0 || same == 0) return false;
  fillEntry(profile, entry, at, length);
  makeRoomForClosures();
  memory.copy(same, list, <usize>count << 1);
  const sure = length > 0 ? surelyChanging(entry + ENTRY_PRESENCE) : 0;
  let changes: u64 = 0; // transformations that were tried, and changed it, or did not
  let keeps: u64 = 0;
  let changed = 0;
  for (let i = 0; i < count; i++) {
    // An outer string has closures attached too, and a closure is in one list only: this one is searched at once.
    const closure = closureOf(profile, <i32>load<u16>(same + (<usize>i << 1)), load<u64>(entry, 16));
    attach(entry, closure);
    const some = load<i32>(closure, 16);
    for (let j = 0; j < some; j++) {
      const node = load<u16>(frontierAt(closure) + (<usize>j << 1));
      const id = transformOf(node);
      const bit = <u64>1 << <u64>id;
      if ((sure & bit) != 0) changes |= bit;
      else if (((changes | keeps) & bit) == 0) {
        const before = mark();
        if (!transform(id, at, length)) return false;
        if (outLength == length && (outAt == at || equalBytes(outAt, at, length))) keeps |= bit;
        else changes |= bit;
        release(before);
      }
      // SAFETY: each node is reached once, so neither list is longer than the nodes.
      if ((keeps & bit) != 0) store<u16>(same + (<usize>(count++) << 1), node);
      else store<u16>(frontier + (<usize>(changed++) << 1), node);
    }
  }
  if (!search(profile, entry)) return false;
  const children = same; // those with one transformation
  for (; changes != 0; changes &= changes - 1) {
    const id = <i32>ctz(changes);
    let some = 0;
    for (let i = 0; i < changed; i++) {
      const node = load<u16>(frontier + (<usize>i << 1));
      if (transformOf(node) == id) store<u16>(children + (<usize>(some++) << 1), node);
    }
    const before = mark();
    if (!transform(id, at, length)) return false;
    if (!scanLong(profile, children, some, outAt, outLength)) return false;
    release(before);
  }
  return true;
}

