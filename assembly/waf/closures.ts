// Closures: what a string stands for in the tree of pipelines, given what could change it. Looked up, not walked: most strings
// are of few kinds.
import { alloc } from '../arena';
import {
  NODE_ROW_WORDS,
  PROFILE_FIXED_WORDS,
  PROFILE_HAS_MASK,
  PROFILE_NEEDED,
} from './abi';
import { isFresh, restOfKept, takeKept } from './kept';
import { maskBytes, masks, nodeCount, nodes, profiles } from './program';

export const CLOSURE_BYTES: i32 = 24; // { u64 changes, profile << 16 | node, nodes, frontier, next of the entry }, mask, u16 nodes, u16 frontier
const CACHE: i32 = 512;
const CACHE_SHIFT: u64 = 64 - 9;

let cache: usize = 0;
let turn: bool = false; // which of two places the next that is new takes
let pool: usize = 0;
let poolTop: usize = 0;
let poolEnd: usize = 0;
let most: usize = 0; // bytes of the closures of one value

/** Readies them for a call; false when the arena is exhausted. */
export function startClosures(): bool {
  most = <usize>nodeCount * <usize>(CLOSURE_BYTES + maskBytes + 16);
  const rest = restOfKept() - (CACHE << 2);
  if (rest >= <i32>most * 2) {
    cache = takeKept(CACHE << 2);
    pool = takeKept(rest);
    poolEnd = pool + <usize>rest;
    if (isFresh()) flush();
    return true;
  }
  // PERF: room for some hundred closures, so that those of the usual kinds of value are made once a call.
  const size = <i32>most + 131072;
  cache = alloc(CACHE << 2);
  pool = alloc(size);
  if (cache == 0 || pool == 0) return false;
  poolEnd = pool + <usize>size;
  flush();
  return true;
}

/** Readies room for the closures of one more value; those that were given out before are dead. */
export function makeRoomForClosures(): void {
  if (poolTop + most > poolEnd) flush();
}

function flush(): void {
  memory.fill(cache, 0, CACHE << 2);
  poolTop = pool;
}

// @ts-ignore: decorator
@inline
export function profileRow(profile: i32): usize {
  return profiles + ((<usize>profile * <usize>(nodeCount + PROFILE_FIXED_WORDS)) << 2);
}

/** What a profile says of each node. */
// @ts-ignore: decorator
@inline
export function nodeCells(profile: i32): usize {
  return profileRow(profile) + (PROFILE_FIXED_WORDS << 2);
}

// @ts-ignore: decorator
@inline
export function transformOf(node: i32): i32 {
  return load<i32>(nodes + <usize>node * (NODE_ROW_WORDS * 4));
}

// @ts-ignore: decorator
@inline
export function frontierAt(closure: usize): usize {
  return closure + <usize>(CLOSURE_BYTES + maskBytes) + (<usize>load<u32>(closure, 12) << 1);
}

/**
 * What a string stands for that is at `node` and that only `changes` might change: the nodes below whose transformations
 * leave it as it is, their matchers together, and the frontier: the nodes whose transformation has to be tried.
 */
export function closureOf(profile: i32, node: i32, changes: u64): usize {
  const key = <u32>(profile << 16) | <u32>node;
  // PERF: as in screen.ts, only the highest bits depend on all that differs.
  const hash = ((<u64>key * 0xc2b2ae3d27d4eb4f) ^ changes) * 0x9e3779b97f4a7c15;
  let slot = cache + (<usize>(hash >> CACHE_SHIFT) << 2);
  const first = <usize>load<u32>(slot);
  if (first != 0 && load<u32>(first, 8) == key && load<u64>(first) == changes) return first;
  const second = <usize>load<u32>(slot ^ 4);
  if (second != 0 && load<u32>(second, 8) == key && load<u64>(second) == changes) return second;
  if (first != 0 && (second == 0 || turn)) slot ^= 4;
  turn = !turn;
  // SAFETY: the callers made room for as many nodes as there are.
  const closure = poolTop;
  store<u64>(closure, changes);
  store<u32>(closure, key, 8);
  const mask = closure + CLOSURE_BYTES;
  memory.fill(mask, 0, <usize>maskBytes);
  const list = mask + <usize>maskBytes;
  // First the nodes, in the order of a walk; the frontier grows from the other end and is then moved behind them.
  const nodesInAll = <usize>nodeCount;
  const cells = nodeCells(profile);
  let count: usize = 1;
  let edge: usize = nodesInAll;
  store<u16>(list, node);
  for (let i: usize = 0; i < count; i++) {
    const at = <i32>load<u16>(list + (i << 1));
    const cell = load<u32>(cells + (<usize>at << 2));
    if ((cell & PROFILE_HAS_MASK) != 0) {
      const own = masks + <usize>(cell & 0xffff) * <usize>maskBytes;
      for (let j: usize = 0; j < <usize>maskBytes; j += 8) store<u64>(mask + j, load<u64>(mask + j) | load<u64>(own + j));
    }
    const row = nodes + <usize>at * (NODE_ROW_WORDS * 4);
    const firstChild = load<u32>(row, 4);
    const children = load<u32>(row, 8);
    for (let j: u32 = 0; j < children; j++) {
      const child = firstChild + j;
      if ((load<u32>(cells + (<usize>child << 2)) & PROFILE_NEEDED) == 0) continue;
      const id = <u64>load<u32>(nodes + <usize>child * (NODE_ROW_WORDS * 4));
      if (((changes >> id) & 1) != 0) store<u16>(list + (--edge << 1), <u16>child);
      else store<u16>(list + (count++ << 1), <u16>child);
    }
  }
  const frontier = nodesInAll - edge;
  store<u32>(closure, <u32>count, 12);
  store<u32>(closure, <u32>frontier, 16);
  memory.copy(list + (count << 1), list + (edge << 1), frontier << 1);
  poolTop = (list + ((count + frontier) << 1) + 7) & ~7;
  store<u32>(slot, <u32>closure);
  return closure;
}
