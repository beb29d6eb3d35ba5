// The binary form of regexes and of literals searched for together; as assembly/abi.ts, integer constants only.
//
// REGEX PROGRAM (src/compiler/regex/serialize.ts writes it, assembly/regex/ runs it). Offsets are bytes from the program's
// start, itself 4-byte aligned. A program has a DFA, or an NFA, or both: the NFA then only serves captures.
export const REGEX_LENGTH = 0; // bytes in all, a multiple of 4
export const REGEX_DFA = 4; // offset of the DFA, 0 = none: `find` runs the NFA
export const REGEX_NFA = 8; // offset of the NFA, 0 = none
export const REGEX_GROUPS = 12; // capture groups with the whole match as number 0; 0 = compiled without captures
export const REGEX_PATTERNS = 16; // pattern ids of the set are below this; 1 for a single pattern
export const REGEX_PATTERN = 20; // id that an NFA stands for
export const REGEX_HEADER_BYTES = 24;

// DFA. State 0 is dead, states 1..accepts accept, the rest go on. The table holds u16 states, (1 << shift) a row; the
// column is the byte's class, or DFA_END's after the last byte: anchors and word boundaries need that one step more.
// A single pattern accepts in the absorbing state 1. A set has lists: u32 first[accepts + 1], then u32 pattern ids.
export const DFA_STATES = 0;
export const DFA_ACCEPTS = 4;
export const DFA_SHIFT = 8;
export const DFA_START = 12;
export const DFA_END = 16; // class of "end of input"
export const DFA_LISTS = 20; // offset of the lists from the DFA's start, 0 = single pattern
export const DFA_CLASSES = 24; // u8 class of each byte
export const DFA_TABLE = 24 + 256;

// NFA for the sparse-set machine. States of NFA_STATE_BYTES { u32 op, u32 x, u32 y }, then transitions of
// NFA_TRANSITION_BYTES { u8 low, u8 high, u16 next }. The first `leaves` states are those that stop a closure.
export const NFA_STATES = 0;
export const NFA_LEAVES = 4;
export const NFA_START = 8;
export const NFA_TRANSITIONS = 12; // how many
export const NFA_ANCHORED = 16; // 1 = a match starts at 0
export const NFA_TABLE = 20;
export const NFA_STATE_BYTES = 12;
export const NFA_TRANSITION_BYTES = 4;
export const NFA_RANGES = 1; // leaf: x = first transition, y = how many, sorted by byte and disjoint
export const NFA_MATCH = 2; // leaf
export const NFA_SPLIT = 3; // x before y
export const NFA_SAVE = 4; // x = next, y = slot
export const NFA_ASSERT = 5; // x = next, y = ASSERT_*

export const ASSERT_START = 1; // \A
export const ASSERT_END = 2; // \z
export const ASSERT_START_LINE = 3;
export const ASSERT_END_LINE = 4;
export const ASSERT_WORD = 5; // \b over ASCII word bytes
export const ASSERT_NOT_WORD = 6;
export const ASSERT_NOT_WORD_UTF8 = 7; // the same, but not inside a code point

export const MAX_NFA_STATES = 16384; // of one pattern or set; a repeat that unrolls further is a compile error
export const MAX_NFA_TRANSITIONS = 65536;
export const MAX_DFA_WORK = 4194304; // elementary steps of one determinisation; beyond it the NFA serves
export const MAX_POLICY_DFA_WORK = 33554432; // the same, of all patterns of a policy together: about a second
export const MIN_DFA_WORK = 65536; // what each pattern may take even when that is spent
export const MAX_REGEX_REPEAT = 1000; // n of {n} and m of {n,m}
export const MAX_REGEX_DEPTH = 200; // nested groups
export const MAX_REGEX_GROUPS = 32; // capture groups with the whole match
export const MAX_CAPTURE_BYTES = 524288; // scratch of one capture run, known when compiling
export const REGEX_UNSET = 0xffffffff; // offset of a group that took no part
export const REGEX_CHUNK = 4096; // bytes scanned for one draw on the step budget

// LITERALS: an Aho-Corasick automaton over byte classes (the class map also folds case). States are numbered breadth
// first, 0 is the root; those below `dense` have a full row of u16, the rest a list of edges and a failure link to a lower
// state. In rows and edges LITERALS_HIT is set when the target has outputs. Parts in order, each 4-byte aligned: header,
// rows, u32 firstEdge[sparse + 1], u16 fail[sparse], edges, u32 firstOutput[states + 1], u32 outputs (ids).
export const LITERALS_STATES = 0;
export const LITERALS_DENSE = 4;
export const LITERALS_SHIFT = 8; // a row has 1 << shift entries
export const LITERALS_EDGES = 12; // how many
export const LITERALS_OUTPUTS = 16; // how many
export const LITERALS_IDS = 20; // ids are below this
export const LITERALS_CLASSES = 24; // u8 class of each byte
export const LITERALS_TABLE = 24 + 256;
export const LITERALS_EDGE_BYTES = 4; // u16 class, u16 target
export const LITERALS_HIT = 0x8000;
export const MAX_LITERAL_STATES = 32768;
export const MAX_LITERAL_DENSE_BYTES = 131072; // rows of one automaton; the states nearest the root get them
