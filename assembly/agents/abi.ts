// The binary interface of agents: their table, the addresses that prove them, and what a request says about automation.
// Same rules as assembly/abi.ts: compiles under asc AND tsc, integer constants only.

// AGENTS: u32 agents, u32 tokens, then AGENT_WORDS for each agent and TOKEN_WORDS for each token. Agents stand in order of
// precedence: of all that a user agent matches, the lowest index is its class. Ids of SECTION_LITERALS are tokens.
export const AGENT_NAME = 0; // { at, length } in SECTION_STRINGS
export const AGENT_OPERATOR = 2;
export const AGENT_CATEGORY = 4;
export const AGENT_LISTS = 6; // bits of the address lists that can prove it, by their place in src/compiler/agents/address-lists.ts
export const AGENT_WORDS = 7;
export const TOKEN_AGENT = 0;
export const TOKEN_FLAGS = 1; // TOKEN_*
export const TOKEN_AT = 2; // the token as written, in SECTION_STRINGS
export const TOKEN_LENGTH = 3;
export const TOKEN_REGEX = 4; // index into SECTION_REGEXES to confirm with, or 0xffffffff
export const TOKEN_WORDS = 5;
export const TOKEN_LEFT = 1; // no letter or digit before it
export const TOKEN_RIGHT = 2; // no letter or digit after it
export const TOKEN_CASE = 4; // letters as written
export const TOKEN_FIRST = 8; // at the very beginning

// ADDRESSES: u32 IPv4 ranges, u32 IPv6 ranges, u32 sets, u32 bits of the lists that are known, then
//   u32 expiry[MAX_ADDRESS_LISTS]   seconds since the epoch: from then on an address that is not in the list proves nothing
//   u32 set[sets]                   bits of lists
//   u32 low[v4], u32 high[v4]       inclusive
//   low[v6], high[v6]               16 bytes each, network order, inclusive
//   u8 set[v4], u8 set[v6]          index of the range's set; then up to 3 bytes 0
// Ranges of a version are sorted and disjoint: where lists overlap they are cut, and a piece has the set of all of them.
export const ADDRESSES_V4 = 0;
export const ADDRESSES_V6 = 4;
export const ADDRESSES_SETS = 8;
export const ADDRESSES_KNOWN = 12;
export const ADDRESSES_EXPIRY = 16;
export const ADDRESSES_HEADER_BYTES = 16 + 32 * 4;
export const MAX_ADDRESS_LISTS = 32; // bits of a word
export const MAX_ADDRESS_SETS = 256; // distinct combinations of lists
export const MAX_ADDRESS_RANGES = 262144; // of one version

// IDENTITY: what is concluded of who sent a request. Low byte: PROOF_CLAIMED, PROOF_SPOOFED, PROOF_VERIFIED or 0; above: by what.
export const IDENTITY_BY_SIGNATURE = 256;
export const IDENTITY_BY_ADDRESS = 512;
export const IDENTITY_BY_NAME = 1024; // the name of the address, by DNS

// SIGNALS: what a request says about automation. `agent.score` is the sum of the weights, 100 at most; from AUTOMATED_SCORE on
// `agent.automated` holds. No weight reaches that alone.
export const AUTOMATED_SCORE = 60;
export const MAX_SIGNAL_TEXT = 1024; // bytes of one header that are looked at
export const SIGNAL_CRAWLER = 0; // the user agent names a bot that is neither of the next two
export const SIGNAL_LIBRARY = 1; // ... an HTTP library or a command-line tool
export const SIGNAL_HEADLESS = 2; // ... or the brands name, a browser without a window, or what drives one
export const SIGNAL_USER_AGENT_ABSENT = 3;
export const SIGNAL_HINTS_ABSENT = 4; // a browser of the Chromium family without Sec-CH-UA, over TLS
export const SIGNAL_HINTS_FOREIGN = 5; // Firefox or Safari with Sec-CH-UA
export const SIGNAL_HINTS_VERSION = 6; // another version of Chromium than the user agent
export const SIGNAL_HINTS_PLATFORM = 7; // another operating system
export const SIGNAL_HINTS_MOBILE = 8; // a phone, and not one by the user agent, or the other way round
export const SIGNAL_FETCH_ABSENT = 9; // a browser without any Sec-Fetch header, over TLS
export const SIGNAL_FETCH_CONTRADICTS = 10; // a navigation to something that is no page, or Sec-Fetch-User without one
export const SIGNAL_ACCEPT_ANY = 11; // a page is asked for with `*/*`, or nothing is said
export const SIGNAL_LANGUAGE_ABSENT = 12;
export const SIGNAL_ENCODING_ABSENT = 13;
export const SIGNAL_COUNT = 14;
export const WEIGHT_CRAWLER = 50;
export const WEIGHT_LIBRARY = 40;
export const WEIGHT_HEADLESS = 50;
export const WEIGHT_USER_AGENT_ABSENT = 30;
export const WEIGHT_HINTS_ABSENT = 20;
export const WEIGHT_HINTS_FOREIGN = 35;
export const WEIGHT_HINTS_VERSION = 35;
export const WEIGHT_HINTS_PLATFORM = 35;
export const WEIGHT_HINTS_MOBILE = 25;
export const WEIGHT_FETCH_ABSENT = 25;
export const WEIGHT_FETCH_CONTRADICTS = 30;
export const WEIGHT_ACCEPT_ANY = 15;
export const WEIGHT_LANGUAGE_ABSENT = 20;
export const WEIGHT_ENCODING_ABSENT = 20;
