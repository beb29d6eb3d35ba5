// User-agent classification: one scan for all tokens at once, then the few candidates are confirmed. See AGENTS in abi.ts.
import { SECTION_AGENTS, SECTION_LITERALS, SECTION_STRINGS } from './abi';
import {
  AGENT_LISTS,
  AGENT_WORDS,
  TOKEN_AGENT,
  TOKEN_AT,
  TOKEN_CASE,
  TOKEN_FIRST,
  TOKEN_FLAGS,
  TOKEN_LEFT,
  TOKEN_LENGTH,
  TOKEN_REGEX,
  TOKEN_RIGHT,
  TOKEN_WORDS,
} from './agents/abi';
import { alloc, mark, release, spend } from './arena';
import { sectionAt, sectionLength } from './image';
import { begin, checkLiterals, hitEnd, hitFirst, hitId, hitLast, literalCount, nextHit } from './regex/literals';
import { find } from './regex/search';
import { regexAt, regexCount } from './regexes';

// @ts-ignore: decorator
@inline
function letterOrDigit(byte: u32): bool {
  return byte - 0x30 < 10 || (byte | 32) - 0x61 < 26;
}

/**
 * Index of the agent whose user agent this is, -1 for none; also -1 when the call's budget is spent (failure() says so).
 * `image` is an agents image, or 0.
 */
export function classify(image: usize, at: usize, length: i32): i32 {
  if (image == 0 || length == 0 || sectionLength(image, SECTION_LITERALS) == 0) return -1;
  const table = sectionAt(image, SECTION_AGENTS);
  const agents = load<u32>(table);
  const tokens = table + 8 + <usize>agents * (AGENT_WORDS * 4);
  const before = mark();
  let tried: usize = 0; // regexes that did not match, a bit each: the text may repeat what calls for them
  let best = agents;
  begin(sectionAt(image, SECTION_LITERALS), at, length);
  while (nextHit()) {
    if (!spend(<i32>(hitLast - hitFirst))) break;
    for (let i = hitFirst; i < hitLast; i++) {
      const token = tokens + <usize>hitId(i) * (TOKEN_WORDS * 4);
      const agent = load<u32>(token, TOKEN_AGENT * 4);
      if (agent >= best) continue;
      const regex = load<u32>(token, TOKEN_REGEX * 4);
      if (regex == 0xffffffff) {
        if (confirmed(image, token, at, length)) best = agent;
        continue;
      }
      if (tried == 0) {
        const bytes = ((regexCount(image) + 63) >> 6) << 3;
        tried = alloc(bytes);
        if (tried == 0) return -1;
        memory.fill(tried, 0, bytes);
      }
      const word = tried + (<usize>(regex >> 5) << 2);
      const bit: u32 = 1 << (regex & 31);
      if (load<u32>(word) & bit) continue;
      store<u32>(word, load<u32>(word) | bit);
      if (find(regexAt(image, regex), at, length)) best = agent;
    }
  }
  release(before);
  return best == agents ? -1 : <i32>best;
}

/** Whether the token that ends at `hitEnd` stands there as it must. */
function confirmed(image: usize, token: usize, at: usize, length: i32): bool {
  const flags = load<u32>(token, TOKEN_FLAGS * 4);
  const size = <usize>load<u32>(token, TOKEN_LENGTH * 4);
  // SAFETY: nothing ties an id's token to the length of its literal, so a bad image could ask for bytes before the text.
  if (size > hitEnd - at) return false;
  const start = hitEnd - size;
  if (flags & TOKEN_FIRST && start != at) return false;
  if (flags & TOKEN_LEFT && start > at && letterOrDigit(<u32>load<u8>(start - 1))) return false;
  if (flags & TOKEN_RIGHT && hitEnd < at + <usize>length && letterOrDigit(<u32>load<u8>(hitEnd))) return false;
  if (flags & TOKEN_CASE) {
    if (!spend(<i32>size)) return false;
    const written = sectionAt(image, SECTION_STRINGS) + <usize>load<u32>(token, TOKEN_AT * 4);
    return memory.compare(start, written, size) == 0;
  }
  return true;
}

/** Address of one of AGENT_NAME, AGENT_OPERATOR, AGENT_CATEGORY of an agent that `classify` returned. */
export function agentTextAt(image: usize, agent: i32, field: i32): usize {
  const record = sectionAt(image, SECTION_AGENTS) + 8 + <usize>agent * (AGENT_WORDS * 4) + (<usize>field << 2);
  return sectionAt(image, SECTION_STRINGS) + <usize>load<u32>(record);
}
export function agentTextLength(image: usize, agent: i32, field: i32): i32 {
  return load<i32>(sectionAt(image, SECTION_AGENTS) + 8 + <usize>agent * (AGENT_WORDS * 4) + (<usize>field << 2), 4);
}

/** Bits of the address lists that can prove an agent that `classify` returned. */
export function agentLists(image: usize, agent: i32): u32 {
  return load<u32>(sectionAt(image, SECTION_AGENTS) + 8 + <usize>agent * (AGENT_WORDS * 4), AGENT_LISTS * 4);
}

/** Offset of the fault inside SECTION_AGENTS, or -1. Regexes have been checked before. */
export function checkAgents(image: usize): i32 {
  const length = sectionLength(image, SECTION_AGENTS);
  if (length < 8) return 0;
  const table = sectionAt(image, SECTION_AGENTS);
  const strings = sectionLength(image, SECTION_STRINGS);
  const agents = load<u32>(table);
  const tokens = load<u32>(table, 4);
  if (agents > 0x7fffffff || 8 + <u64>agents * (AGENT_WORDS * 4) + <u64>tokens * (TOKEN_WORDS * 4) > <u64>length) return 0;
  for (let i: u32 = 0; i < agents; i++) {
    const record = table + 8 + <usize>i * (AGENT_WORDS * 4);
    for (let field: usize = 0; field < <usize>(AGENT_LISTS * 4); field += 8) {
      if (<u64>load<u32>(record + field) + <u64>load<u32>(record + field, 4) > <u64>strings) return <i32>(record - table);
    }
  }
  const regexes = <u32>regexCount(image);
  for (let i: u32 = 0; i < tokens; i++) {
    const token = table + 8 + <usize>agents * (AGENT_WORDS * 4) + <usize>i * (TOKEN_WORDS * 4);
    const regex = load<u32>(token, TOKEN_REGEX * 4);
    const end = <u64>load<u32>(token, TOKEN_AT * 4) + <u64>load<u32>(token, TOKEN_LENGTH * 4);
    const sound = load<u32>(token, TOKEN_AGENT * 4) < agents && (regex == 0xffffffff || regex < regexes) && end <= <u64>strings;
    if (!sound) return <i32>(token - table);
  }
  if (sectionLength(image, SECTION_LITERALS) == 0) return -1;
  const literals = sectionAt(image, SECTION_LITERALS);
  if (!checkLiterals(literals, sectionLength(image, SECTION_LITERALS)) || <u32>literalCount(literals) > tokens) return 4;
  return -1;
}
