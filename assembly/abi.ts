// The binary interface between the compiler, the host and the engine: the one truth of the format.
//
// This file compiles under asc AND tsc, so it holds integer constants only: literals, `*`, `|`, `<<`, no
// division, no strings, no types, no imports. Every limit of the product that is a number lives here too.
//
// IMAGE. File form = memory form, little-endian, every section 4-byte aligned; the one exception is the bins of matchers,
// which `open` unpacks behind the image (PACKED BIN in assembly/waf/abi.ts):
//
//   0  u32 MAGIC            8  u32 kind (KIND_*)      16 u32 reserved, 0
//   4  u32 VERSION         12  u32 total length       20 u32 reserved, 0
//   24 SECTION_COUNT entries of { u32 offset from image start, u32 length in bytes }, indexed by SECTION_*;
//      an absent section is { 0, 0 }.
//   HEADER_BYTES sections, in any order, not overlapping.
//
// The file is named by the SHA-256 of its bytes; that digest guards transport and is checked by the host.
// `open` checks every section and every reference inside it once, in linear time; after that loads are unchecked.

export const MAGIC = 0x59505353; // "SSPY"
export const VERSION = 3;
export const SECTION_COUNT = 24;
export const HEADER_BYTES = 24 + 24 * 8;

export const KIND_POLICY = 1; // one app
export const KIND_HOSTS = 2; // host name -> app index, one per deployment
export const KIND_AGENTS = 3; // user-agent classification, shared by all apps
export const KIND_RULESET = 4; // matchers of a WAF rule set, shared by all apps that use it

// Sections. Which kinds carry which is checked by `open`.
export const SECTION_STRINGS = 0; // byte pool; other sections refer to it by { u32 at, u32 length }
export const SECTION_PLAN = 1; // UTF-8 JSON of src/plan.ts: what the host half acts on; opaque to the engine
export const SECTION_SETTINGS = 2; // SETTING_* words
export const SECTION_HOSTS = 3; // host table (KIND_HOSTS: value = app; KIND_POLICY: value = host group)
export const SECTION_ROUTES = 4; // path tables and match lists
export const SECTION_PREDICATES = 5; // header, query and method predicates of matches
export const SECTION_NAMES = 6; // header names the policy looks at, hashed
export const SECTION_REGEXES = 7; // u32 count, u32 offset[count], programs (assembly/regex/)
export const SECTION_LISTS = 8; // named and literal sets of addresses and strings
export const SECTION_RULES = 9; // rule headers in order, per stage
export const SECTION_CODE = 10; // expression bytecode
export const SECTION_INSPECTION = 11; // header inspection profiles
export const SECTION_AGENTS = 12; // agent table (KIND_AGENTS), see assembly/agents/abi.ts
export const SECTION_LITERALS = 13; // Aho-Corasick automaton (KIND_AGENTS)
export const SECTION_ROUTE_SETS = 14; // regexes of routes that run together: a directory as SECTION_REGEXES, of set programs
export const SECTION_WAF = 15; // WAF programs: a directory as SECTION_REGEXES, see assembly/waf/abi.ts
export const SECTION_MATCHERS = 16; // what the WAF's scan runs (KIND_RULESET; KIND_POLICY: of inline rules)
export const SECTION_WAF_RULES = 17; // UTF-8 JSON: what the WAF's events are told with; opaque to the engine
export const SECTION_ADDRESSES = 18; // addresses of agents (KIND_AGENTS), see assembly/agents/abi.ts
export const SECTION_GROUPS = 19; // u8 for each route: which group of rules holds for it; padded with 0 to whole words

// MEMORY MAP of the one imported memory. All regions are fixed; images follow from IMAGES_AT, page-aligned.
export const STATIC_AT = 1024; // asc --memoryBase: static data of the engine
export const RESULT_AT = 0x10000; // RESULT_WORDS u32 words, written by each call
export const RESULT_WORDS = 64;
export const EFFECTS_AT = 0x10400; // MAX_EFFECTS records of EFFECT_WORDS u32
export const EFFECT_WORDS = 8;
export const MAX_EFFECTS = 124;
export const QUARANTINE_AT = 0x11400; // u32 entries, then QUARANTINE_WORDS each: what of the WAF the host has switched off
export const EVIDENCE_AT = 0x12000; // bytes that effects refer to
export const EVIDENCE_BYTES = 16384;
export const STATE_AT = 0x16000; // transaction state in and out, at most STATE_BYTES
export const STATE_BYTES = 4096;
export const DETECT_AT = 0x17000; // word and byte tables of the detectors (assembly/waf/detect/), made by each instance
export const DETECT_BYTES = 16384;
export const PROOF_AT = 0x1b000; // who sent the request, as the host has it proven: see PROOF below
export const PROOF_BYTES = 4096;
export const PROTOCOL_AT = 0x1c000; // what an agent asks for, as the host has it read from the body: see PROTOCOL below
export const PROTOCOL_BYTES = 8192;
export const HEAD_AT = 0x20000; // request head as one string, see below
export const MAX_HEAD_BYTES = 262128; // 256 KiB without the 16 bytes that vector loads may look at behind it; more is 431
export const RESPONSE_HEAD_AT = 0x60000; // response head, same form
export const MAX_RESPONSE_HEAD_BYTES = 262128;
export const BODY_AT = 0xa0000; // body window
export const MAX_BODY_BYTES = 1048576; // 1 MiB; the largest `body.limit` a policy may ask for
export const MAX_AGENT_BODY_BYTES = 16777216; // 16 MiB; the longest request that a route of `llm` or `a2a` may hold
export const ARENA_AT = 0x1a0000; // scratch, reset at the start of every call
export const ARENA_BYTES = 6553600; // 6.25 MiB: six strings as long as the longest body, for what a pipeline makes of it
export const SCAN_AT = 0x7e0000; // tables that the WAF's scan derives from a program and keeps (assembly/waf/kept.ts)
export const SCAN_BYTES = 327680;
export const IMAGES_AT = 0x830000;
export const PAGE_BYTES = 65536;

// LIMITS
export const MAX_HEADERS = 512; // header lines of one head; more is 431
export const MAX_URL_BYTES = 65536;
export const MAX_ARGS = 1024; // query or form parameters looked at; more is the verdict `limit`
export const MAX_COOKIES = 1024;
export const MAX_STEPS = 20000000; // step budget of one engine call: about one byte or one instruction each
export const STEPS_PER_BODY_BYTE = 100; // added to it for each byte of a body window that the WAF judges: prose takes 40 at paranoia 4
export const MAX_IMAGES = 1024; // images in one memory
export const MAX_IMAGE_BYTES = 67108864; // 64 MiB for one image
export const MAX_MEMORY_PAGES = 4096; // 256 MiB linear memory
export const MAX_GENERATION_SECONDS = 600; // an exchange keeps its generation at most so long after a swap
export const MAX_HELD_BYTES = 33554432; // bytes of bodies held in one isolate
export const DEFAULT_BODY_LIMIT = 131072;
export const DEFAULT_RESPONSE_HEAD_SECONDS = 60; // for an origin to begin its answer, where a policy sets no timeout
export const GUARD_MS = 250; // between two looks at the exchanges that wait; those that wait for longer listen for their client
export const LONG_WAIT_MS = 10000; // a bound on the wait for an answer: from here on it is kept give or take GUARD_MS
export const LOST_AFTER_MS = 5000; // without an answer and without listening, after which its client is known to be gone
export const HOLD_SECONDS = 60; // for a body that is being held to arrive: the runtime itself has no timeout for bodies
export const MIRROR_SECONDS = 30; // for the answer to a mirrored request, which nobody reads
export const MAX_INFLATE_RATIO = 100; // of a compressed body that is inflated for inspection
export const MAX_MANIFEST_BYTES = 2097152; // body of POST /v1/swap
export const MAX_DFA_STATES = 4096; // of one automaton
export const MAX_PATTERN_BYTES = 8192; // regex source text
export const MAX_STACK = 64; // value stack of one expression
export const MAX_XFF_HOPS = 64; // elements of X-Forwarded-For looked at, from the right

// LIMITS of a policy document: the compiler alone enforces them
export const MAX_POLICY_CHARACTERS = 67108864; // of one file; 100,000 routes are about 13 million
export const MAX_POLICY_NODES = 8000000; // values of one file, its aliases expanded
export const MAX_POLICY_DEPTH = 64; // nesting; a policy needs nine levels
export const MAX_DIAGNOSTICS = 250; // problems listed for one file
export const MAX_ROUTES = 200000;
export const MAX_CANDIDATES = 2097152; // matches of routes, once for each group of hosts that they hold for
export const MAX_MATCHES = 64; // of one route, as in the Gateway API
export const MAX_CONDITIONS = 16; // header or query conditions of one match, as in the Gateway API
export const MAX_FILTERS = 16; // of one route or backend, as in the Gateway API
export const MAX_BACKEND_REFS = 16; // of one route, as in the Gateway API
export const MAX_BACKENDS = 10000;
export const MAX_ENDPOINTS = 256; // of one backend
export const MAX_JOINED_SERVERS = 16; // of `mcp.servers` of a route
export const MAX_HOSTNAMES = 1024; // of one app or route
export const MAX_TUNNEL_NAMES = 1024; // tunnels that a policy names
export const MAX_TUNNEL_PROJECTS = 64;
export const MAX_TUNNEL_ADDRESSES = 256; // addresses and blocks that may use one tunnel
export const MAX_TUNNEL_CREDENTIALS = 64; // users, or keys, of one tunnel
export const MAX_TUNNEL_REACH = 64; // entries of a list of who may reach whom
export const MAX_WEIGHT = 1000000; // as in the Gateway API
export const MAX_PAYMENT_ACCOUNTS = 256; // agents with a credit of their own
export const MAX_PAYMENT_TERMS = 8; // tokens that x402 takes
export const MAX_RATE_REQUESTS = 1000000000; // of one window
export const MAX_RATE_SECONDS = 2678400; // 31 days: the longest window
export const MAX_RATE_KEYS = 8; // values that one rate counts by
export const MAX_LISTS = 1024;
export const MAX_LIST_ITEMS = 1000000;
export const MAX_ATTEMPTS = 10; // retries of one request
export const MAX_DIRECT_RESPONSE = 65536; // characters
export const MAX_NAMES = 4096; // distinct header names one policy looks at
export const MAX_HOST_BYTES = 255;

// REQUEST HEAD: one UTF-8 string at HEAD_AT, every field ended by NUL:
//   method NUL url NUL peer NUL (name NUL value NUL)*
// `url` is Request.url as the runtime gives it (raw, absolute); `peer` is the address of the TCP peer (or what the
// platform vouches for), text, port allowed, empty if unknown. Names are lower case. The host passes the number of
// fields that it joined; the engine counts separators, and a mismatch is REASON_SEPARATOR (400).
// RESPONSE HEAD: status NUL (name NUL value NUL)*.
export const HEAD_FIXED_FIELDS = 3;
// PROOF: u32 { PROOF_* or 0, bytes of name, operator, category, domain }, then those texts, UTF-8. The host writes it before every call.
export const PROOF_WORDS = 5;
export const PROOF_CLAIMED = 1; // it says who it is, and that could not be checked
export const PROOF_SPOOFED = 2; // it was checked, and is wrong
export const PROOF_VERIFIED = 3;
export const PROOF_CONFIRMED = 4; // not signed, but the names of its address are those of who its user agent says
export const PROOF_REFUTED = 5; // ... are not
// PROTOCOL: u32 bits of the fields from FIELD_MCP_METHOD on that are there, u32 bytes of each of PROTOCOL_FIELDS, then
// their texts in order, UTF-8. The host writes the bits before every call and the rest where there are any.
export const PROTOCOL_FIELDS = 12;
export const PROTOCOL_WORDS = 1 + 12;
export const MAX_PROTOCOL_VALUE = 2048; // bytes of one of them; more is refused: cut short, it would be another value

// GENERATION: words the host writes beside the images:
//   u32 hosts image, u32 agents image or 0, u32 number of apps, u32 policy image of each app, then for each app
//   MAX_RULESETS words: its rule-set images in the order of its plan, 0 for none
export const GENERATION_WORDS = 3;
export const MAX_RULESETS = 4; // that the WAF programs of one app use together

// RESULT words
export const RESULT_OUTCOME = 0; // OUTCOME_*
export const RESULT_REASON = 1; // REASON_*
export const RESULT_APP = 2; // app index or -1
export const RESULT_ROUTE = 3; // route index or -1
export const RESULT_PATH_AT = 4; // canonical path, bytes in memory, valid until the next call
export const RESULT_PATH_LENGTH = 5;
export const RESULT_PATH_CHANGED = 6; // 1 when the canonical path differs from the raw one
export const RESULT_PREFIX_LENGTH = 7; // bytes of the canonical path that a PathPrefix match covered, without a slash at
// their end, so 0 for `/`: what follows is empty or begins with a slash. 0 for other kinds of match.
export const RESULT_CLIENT_AT = 8; // client address as text, inside the head; length 0 if unknown
export const RESULT_CLIENT_LENGTH = 9;
export const RESULT_AGENT = 10; // index into the agent table or -1
export const RESULT_TERMINAL = 11; // ACTION_* of the terminating rule, 0 if none
export const RESULT_RULE = 12; // its index or -1
export const RESULT_EFFECT_COUNT = 13;
export const RESULT_TRUNCATED = 14; // 1 when effects or evidence did not fit
export const RESULT_STEPS = 15; // steps used
export const RESULT_STATE_LENGTH = 16;
export const RESULT_SKIPPED_PHASES = 17; // PHASE_* bits
export const RESULT_PATH_AT_URL = 18; // offset of the raw path inside the url
export const RESULT_QUERY_AT_URL = 19; // offset of '?' inside the url, or of its end
export const RESULT_QUERY_LENGTH = 25; // of the query with its '?'
export const RESULT_QUERY_AT = 26; // the same as an address
export const RESULT_HOST_AT = 20; // canonical host (lower case, no port), bytes in memory
export const RESULT_HOST_LENGTH = 21;
export const RESULT_TRUSTED = 22; // 1 when the peer is a trusted proxy by the app's address rule
export const RESULT_MATCH = 23; // index of the match within the route
export const RESULT_ERROR_AT = 24; // `open`: offset of the fault in the image

// What the WAF says
export const RESULT_WAF_PROGRAM = 27; // its program or -1: nothing was judged
export const RESULT_WAF_ACTION = 28; // DISRUPTIVE_* of waf/abi.ts; 0 none
export const RESULT_WAF_RULE = 29; // index of the rule that decided, in its program, or -1
export const RESULT_WAF_PHASE = 30; // 1 to 5
export const RESULT_WAF_STATUS = 31;
export const RESULT_WAF_MATCHES = 32; // values that rules matched in this call, also those without an event
export const RESULT_WAF_PHASES = 33; // WAF_PHASE_* bits that are still to come: the body call is needed for phase 2, the response call for 3 and 4
export const RESULT_WAF_LOCATION_AT = 34; // of a redirect, bytes in memory
export const RESULT_WAF_LOCATION_LENGTH = 35;
export const RESULT_WAF_STATE = 36; // offset of the WAF's part in the transaction state
export const RESULT_WAF_REASON = 37; // REASON_* of a limit that the WAF ran into; its verdict is incomplete then

export const RESULT_IDENTITY = 39; // IDENTITY_* of agents/abi.ts: who it is, and by what
export const RESULT_SCORE = 40; // 0 to 100, as `agent.score`, where something asked for it; else 0
export const RESULT_SIGNALS = 41; // bits, SIGNAL_* of agents/abi.ts; the same
export const RESULT_WAF_RUNNING = 38; // index of the rule that is being evaluated, or was last; -1: none was yet

export const OUTCOME_OK = 0; // a route matched (or RESULT_TERMINAL says what ended it)
export const OUTCOME_REJECT = 1; // the head is not acceptable: status by reason (400, 414, 431, 508 ...)
export const OUTCOME_NO_APP = 2; // no app has this host
export const OUTCOME_NO_ROUTE = 3; // 404
export const OUTCOME_LIMIT = 4; // out of steps or arena

export const REASON_NONE = 0;
export const REASON_SEPARATOR = 1; // 400 NUL inside a field
export const REASON_HOST = 2; // 400 missing, doubled or malformed Host, user info, bad port
export const REASON_URL = 3; // 400 malformed target
export const REASON_CONTROL = 4; // 400 control byte in a header
export const REASON_ESCAPED_SLASH = 5; // 400 %2F or %5C where the policy rejects them
export const REASON_HEADERS = 6; // 431 too many headers
export const REASON_CLIENT = 7; // 403 client address not established and failClosed
export const REASON_REQUIRED_HEADER = 8; // 400 header inspection
export const REASON_FORBIDDEN_HEADER = 9;
export const REASON_HEADER_LENGTH = 10;
export const REASON_HEADER_COUNT = 11;
export const REASON_HEADER_BYTES = 12;
export const REASON_STEPS = 13;
export const REASON_ARENA = 14;
export const REASON_URL_LENGTH = 15; // 414
export const REASON_ARGS = 16; // more than MAX_ARGS parameters or MAX_COOKIES cookies, and something had to look at them
export const REASON_TRAP = 17; // the engine trapped; the host has replaced the instance
export const REASON_QUARANTINE = 23; // a rule is switched off since the engine trapped on it, and the policy wants no verdict without it
export const REASON_WAF = 22; // a WAF program without its rule set, or with another one
export const REASON_STATE = 21; // more than fits the transaction state
export const REASON_VALUES = 18; // more than MAX_WAF_VALUES values for the WAF to look at
export const REASON_BODY_DEPTH = 19; // JSON or XML nested deeper than MAX_JSON_DEPTH or MAX_XML_DEPTH
export const REASON_PARTS = 20; // more than MAX_PARTS parts of a multipart body

// EFFECT records: { kind, rule or profile index, mode, a, b, valueAt, valueLength, spare }
export const EFFECT_RULE = 1; // a rule matched; a = ACTION_*, b = field id, value = matched bytes
export const EFFECT_INSPECTION = 2; // header inspection; a = REASON_*, b = header index, value = header name
export const EFFECT_WAF = 4; // a rule of the WAF matched a value, see EVENTS in waf/abi.ts
export const EFFECT_VALUE = 3; // computed operand of a rule's action; a = VALUE_*, b = operand index, value = bytes

export const MODE_LOG = 1;
export const MODE_ENFORCE = 2;

export const ACTION_NONE = 0;
export const ACTION_BLOCK = 1; // terminating
export const ACTION_LOG = 2;
export const ACTION_SKIP = 3;
export const ACTION_REDIRECT = 4; // terminating
export const ACTION_REWRITE = 5;
export const ACTION_ROUTE = 6;
export const ACTION_RATE = 7; // demands: what the host settles after the call; they end nothing by themselves
export const ACTION_CHALLENGE = 8;
export const ACTION_CHARGE = 9;

export const VALUE_LOCATION = 1; // redirect target
export const VALUE_PATH = 2; // rewrite path
export const VALUE_QUERY = 3; // rewrite query
export const VALUE_HEADER = 4; // rewrite: set request header, b = operand index in the plan
export const VALUE_KEY = 5; // rate: what requests are counted by, b = index of the key

// SECTION_HOSTS and SECTION_NAMES and string sets are hash tables:
//   u32 slots (a power of two), u32 longest probe, u32 entries, i32 value of `*` or -1
//   slots x { u32 hash, u32 at, u32 length, i32 value }; length 0 is an empty slot; at is an offset into SECTION_STRINGS.
// Hash: FNV-1a over the bytes (hosts: from the last byte to the first), then the finalizer of MurmurHash3.
// Host wildcards are stored with their leading dot and without the star: `*.example.com` is `.example.com`.
export const TABLE_HEADER_BYTES = 16;
export const TABLE_SLOT_BYTES = 16;

// SECTION_LISTS: u32 count, u32 offset[count] from the section's start; a list is { u32 kind, u32 a, u32 b, u32 0 } and data:
//   LIST_ADDRESSES a = number of IPv4 ranges { u32 low, u32 high }, b = number of IPv6 ranges { 16 bytes low, 16 bytes high,
//                  network order }; both sorted, disjoint, inclusive
//   LIST_STRINGS   a = length in bytes of the hash table that follows, b = 1 when the empty string is in the set
export const LIST_HEADER_BYTES = 16;
export const LIST_ADDRESSES = 1;
export const LIST_STRINGS = 2;

// Records in the arena, inside one call
export const HEADER_ENTRY_BYTES = 24; // nameAt, nameLength, valueAt, valueLength, hash, next of the same name
export const PAIR_ENTRY_BYTES = 20; // nameAt, nameLength, valueAt, valueLength, hash

// SECTION_ROUTES: ROUTES_* words, then in this order without gaps
//   group[groups]         { u32 first candidate, u32 count, u32 first set, u32 sets }: RegularExpression matches of the host
//                         group, best first; with sets, candidates name a pattern of theirs instead of a regex
//   slot[slots]           ROUTE_SLOT_BYTES { u32 hash, u32 key, u32 at, u32 length, u32 first candidate, u32 count };
//                         count 0 is an empty slot; key is group * 2, + 1 for a PathPrefix, whose path has no slash at its end
//   candidate[candidates] CANDIDATE_BYTES { u32 route, u32 match, u32 first predicate, u32 predicates, i32 regex or -1,
//                         u32 pattern };
//                         those of one slot or group stand best first
// The hash is that of the path, with key * ROUTE_KEY_MIX xored in before the finalizer.
export const ROUTES_COUNT = 0; // number of routes
export const ROUTES_GROUPS = 1;
export const ROUTES_SLOTS = 2; // a power of two
export const ROUTES_PROBE = 3; // longest probe
export const ROUTES_CANDIDATES = 4;
export const ROUTES_DEPTH = 5; // elements of the longest PathPrefix
export const ROUTES_KINDS = 6; // ROUTES_EXACT | ROUTES_PREFIX | ROUTES_REGEX: which kinds occur at all
export const ROUTES_HEADER_BYTES = 32;
export const ROUTES_EXACT = 1;
export const ROUTES_PREFIX = 2;
export const ROUTES_REGEX = 4;
export const ROUTE_GROUP_BYTES = 16;
export const ROUTE_SLOT_BYTES = 24;
export const CANDIDATE_BYTES = 24;
export const ROUTE_KEY_MIX = 0x9e3779b1;

// SECTION_PREDICATES: PREDICATE_BYTES { u32 kind, u32 name, u32 name length, u32 value, u32 value length, u32 hash of name }
//   method: value; header: name = id in SECTION_NAMES; query: name = text; values are text, or a regex that matches all of it.
export const PREDICATE_BYTES = 24;
export const PREDICATE_METHOD = 1;
export const PREDICATE_HEADER_EXACT = 2;
export const PREDICATE_HEADER_REGEX = 3;
export const PREDICATE_QUERY_EXACT = 4;
export const PREDICATE_QUERY_REGEX = 5;

// SECTION_SETTINGS words
export const SETTING_CLIENT_FROM = 0; // CLIENT_*
export const SETTING_TRUSTED_HOPS = 1;
export const SETTING_TRUSTED_LIST = 2; // index into SECTION_LISTS, or -1: no addresses are listed
export const SETTING_FAIL_CLOSED = 3;
export const SETTING_REJECT_ESCAPED_SLASHES = 4;
export const SETTING_MERGE_SLASHES = 5;
export const SETTING_SIGNALS = 6; // 1: signals are worked out for the log, whether a rule asks or not
export const SETTING_WORDS = 8;
export const CLIENT_PEER = 0;
export const CLIENT_XFF = 1;
export const CLIENT_CF = 2;

// What is wrong with an image; `open` returns one of these, and RESULT_ERROR_AT says where.
export const FAULT_NONE = 0;
export const FAULT_LENGTH = 1; // shorter than its header, longer than MAX_IMAGE_BYTES, or not as long as it says
export const FAULT_MAGIC = 2;
export const FAULT_VERSION = 3;
export const FAULT_KIND = 4;
export const FAULT_SECTION = 5; // out of bounds, unaligned, overlapping, or one that this kind must or must not have
export const FAULT_TABLE = 6;
export const FAULT_LIST = 7;
export const FAULT_SETTING = 8;
export const FAULT_ROUTE = 9;
export const FAULT_PREDICATE = 10;
export const FAULT_REGEX = 11;
export const FAULT_RULE = 12;
export const FAULT_INSPECTION = 13;
export const FAULT_AGENT = 14;
export const FAULT_CODE = 15;
export const FAULT_WAF = 16;
export const FAULT_MATCHERS = 17;

// STAGES: the earliest moment at which all fields of an expression exist
export const STAGE_HEAD = 0;
export const STAGE_BODY = 2;
export const STAGE_RESPONSE = 3;

// PHASES that a rule may skip, bits
export const PHASE_INSPECTION = 1;
export const PHASE_RULES = 2; // all later rules
export const PHASE_WAF = 4; // the WAF, from the call on in which the rule matched

// RULES LANGUAGE (SECTION_RULES, SECTION_CODE): what an expression compiles to and what the engine runs.
//
// SECTION_CODE is u32 words: u32 count, count x { u32 first word, u32 TYPE_* of its result }, then the programs in order and
// without gaps. A program is a run of instructions that ends in OP_END and leaves one value on the stack.
// An instruction is one word { u8 opcode, u8 a, u8 b, u8 flags } and the operand words its opcode says. Jumps are
// relative, forward only and properly nested, so one linear pass proves stack depth and cell types (`check`).
export const OP_END = 1;
export const OP_BOOL = 2; // a = 0 or 1
export const OP_INT = 3; // + i64 as two words
export const OP_STRING = 4; // + at, length in SECTION_STRINGS
export const OP_FIELD = 5; // a = FIELD_*; pushes its value, or missing
export const OP_ENTRY = 6; // a = FIELD_* of type map, + at, length of the key; pushes an array of strings, or missing
export const OP_INDEX = 7; // + index; array -> element, or missing
export const OP_COMPARE_INT = 8; // a = COMPARE_* mask, + i64
export const OP_COMPARE_STRING = 9; // a = COMPARE_* mask, + at, length
export const OP_COMPARE_ADDRESS = 10; // a = COMPARE_* mask, + at of 16 bytes, 16
export const OP_CONTAINS = 11; // + at, length
export const OP_MATCHES = 12; // + regex index
export const OP_WILDCARD = 13; // a = 1: case-sensitive, + at, length of the encoded pattern
export const OP_IN_INTEGERS = 14; // + at, length in SECTION_STRINGS: i64 pairs { first, last }, ascending, disjoint
export const OP_IN_STRINGS = 15; // + index of a LIST_STRINGS
export const OP_IN_ADDRESSES = 16; // + index of a LIST_ADDRESSES
export const OP_BITS = 17; // + i64; integer -> (value & operand) != 0
export const OP_NOT = 18;
export const OP_XOR = 19;
export const OP_AND_EACH = 20; // two arrays of booleans -> one, as long as the shorter
export const OP_OR_EACH = 21;
export const OP_AND = 22; // + words to jump forward (from the next instruction) when the top is false or missing; else pop
export const OP_OR = 23; // + words to jump forward when the top is true; else pop
export const OP_CALL = 24; // a = FUNCTION_*, b = arguments on the stack, + two immediate words

export const FLAG_EACH = 1; // the (first) operand is an array; the instruction applies to each element
export const FLAG_EVIDENCE = 2; // a comparison that is true is recorded; b (of OP_CALL: the second immediate) = FIELD_* it looked at
export const FLAG_REDACT = 4; // ... without its value: it may hold a credential

export const COMPARE_LESS = 1;
export const COMPARE_EQUAL = 2;
export const COMPARE_GREATER = 4;

// Types of stack cells
export const TYPE_BOOL = 1;
export const TYPE_INT = 2;
export const TYPE_STRING = 3;
export const TYPE_ADDRESS = 4;
export const TYPE_ARRAY = 8; // bit: array of the above
export const TYPE_MAP = 16; // of arrays of strings; never on the stack

export const FIELD_NONE = 0;
export const FIELD_HOST = 1;
export const FIELD_COOKIE = 2;
export const FIELD_REFERER = 3;
export const FIELD_USER_AGENT = 4;
export const FIELD_X_FORWARDED_FOR = 5;
export const FIELD_METHOD = 6;
export const FIELD_FULL_URI = 7;
export const FIELD_URI = 8;
export const FIELD_PATH = 9;
export const FIELD_EXTENSION = 10;
export const FIELD_QUERY = 11;
export const FIELD_RAW_FULL_URI = 12;
export const FIELD_RAW_URI = 13;
export const FIELD_RAW_PATH = 14;
export const FIELD_RAW_QUERY = 15;
export const FIELD_ARGS = 16; // map
export const FIELD_ARGS_NAMES = 17;
export const FIELD_ARGS_VALUES = 18;
export const FIELD_HEADERS = 19; // map
export const FIELD_HEADERS_NAMES = 20;
export const FIELD_HEADERS_VALUES = 21;
export const FIELD_HEADERS_TRUNCATED = 22;
export const FIELD_COOKIES = 23; // map
export const FIELD_ACCEPTED_LANGUAGES = 24;
export const FIELD_TIMESTAMP = 25;
export const FIELD_SSL = 26;
export const FIELD_ADDRESS = 27;
export const FIELD_AGENT_NAME = 28;
export const FIELD_AGENT_OPERATOR = 29;
export const FIELD_AGENT_CATEGORY = 30;
export const FIELD_AGENT_BOT = 31;
export const FIELD_BODY_RAW = 32; // from here: stage body
export const FIELD_BODY_SIZE = 33;
export const FIELD_BODY_TRUNCATED = 34;
export const FIELD_BODY_MIME = 35;
export const FIELD_FORM = 36; // map
export const FIELD_FORM_NAMES = 37;
export const FIELD_FORM_VALUES = 38;
export const FIELD_RESPONSE_CODE = 39; // from here: stage response
export const FIELD_RESPONSE_HEADERS = 40; // map
export const FIELD_RESPONSE_HEADERS_NAMES = 41;
export const FIELD_RESPONSE_HEADERS_VALUES = 42;
export const FIELD_RESPONSE_MEDIA_TYPE = 43;
export const FIELD_AGENT_IDENTITY = 44; // from here: stage head again
export const FIELD_AGENT_VERIFIED = 45;
export const FIELD_AGENT_DOMAIN = 46;
export const FIELD_MCP_METHOD = 47; // from here: stage body, from PROTOCOL
export const FIELD_MCP_TOOL = 48;
export const FIELD_MCP_RESOURCE = 49;
export const FIELD_MCP_PROMPT = 50;
export const FIELD_MCP_SERVER = 51;
export const FIELD_MCP_VERSION = 52;
export const FIELD_A2A_METHOD = 53;
export const FIELD_A2A_VERSION = 54;
export const FIELD_A2A_SKILL = 55;
export const FIELD_LLM_PROVIDER = 56;
export const FIELD_LLM_MODEL = 57;
export const FIELD_LLM_STREAM = 58; // to here
export const FIELD_AGENT_SCORE = 59; // stage head
export const FIELD_AGENT_SIGNALS = 60;
export const FIELD_AGENT_AUTOMATED = 61;
export const FIELD_COUNT = 62;

export const FUNCTION_ANY = 1;
export const FUNCTION_ALL = 2;
export const FUNCTION_CIDR = 3; // immediates: bits of IPv4, bits of IPv6
export const FUNCTION_CONCAT = 4;
export const FUNCTION_DECODE_BASE64 = 5;
export const FUNCTION_ENDS_WITH = 6;
export const FUNCTION_STARTS_WITH = 7;
export const FUNCTION_JOIN = 8;
export const FUNCTION_SPLIT = 9; // (value, separator), immediate: limit
export const FUNCTION_LEN = 10;
export const FUNCTION_LOWER = 11;
export const FUNCTION_UPPER = 12;
export const FUNCTION_JSON_STRING = 13; // (document), immediates: at, length of the encoded keys
export const FUNCTION_JSON_INTEGER = 14;
export const FUNCTION_REGEX_REPLACE = 15; // (value, encoded template), immediate: regex
export const FUNCTION_WILDCARD_REPLACE = 16; // (value, encoded pattern, encoded template), immediate: 1 = case-sensitive
export const FUNCTION_REMOVE_BYTES = 17; // (value, bytes)
export const FUNCTION_REMOVE_ARGS = 18; // (query, name, ...)
export const FUNCTION_SUBSTRING = 19; // (value, start[, end])
export const FUNCTION_TO_STRING = 20;
export const FUNCTION_URL_DECODE = 21; // (value), immediate: DECODE_*
export const FUNCTION_HAS = 22; // any value -> not missing
export const FUNCTION_HAS_VALUE = 23; // (array of strings, string)
export const FUNCTION_COUNT = 24;
export const DECODE_RECURSIVE = 1;
export const DECODE_UNICODE = 2;

// SECTION_RULES: u32 count, u32 word of the first operand, then count records of RULE_WORDS, then operand words.
export const RULE_WORDS = 11;
export const RULE_ACTION = 0; // ACTION_*
export const RULE_MODE = 1; // MODE_LOG or MODE_ENFORCE
export const RULE_STAGE = 2; // STAGE_*
export const RULE_CODE = 3; // index of its program in SECTION_CODE
export const RULE_PHASES = 4; // of skip: PHASE_* bits
export const RULE_OPERANDS = 5; // first word of its operands: { VALUE_*, operand index, index of the program }
export const RULE_OPERAND_COUNT = 6;
export const RULE_SKIPS = 7; // first word of the rule indices that it skips
export const RULE_SKIP_COUNT = 8;
export const RULE_GROUP = 9; // 0: it holds for all requests; else for routes of that group, GROUP_APP for those without a route
export const RULE_GROUP_END = 10; // index behind the last rule of the group's run
export const GROUP_APP = 1;
export const OPERAND_WORDS = 3;

// TRANSACTION STATE: what one call of the engine leaves for the next of the same request. u32 number of rules that
// the bits stand for, u32 PHASE_* bits, then one bit for each rule that is skipped.
export const STATE_RULES = 0;
export const STATE_PHASES = 4;
export const STATE_BITS = 8;

export const MAX_RULE_GROUPS = 64; // of one policy
export const MAX_RULES = 16384; // of one policy; their skip bits fit the transaction state
export const MAX_EXPRESSION_CHARACTERS = 4096; // as Cloudflare
export const MAX_EXPRESSION_DEPTH = 40; // nested parentheses and calls
export const MAX_ARGUMENTS = 32; // of one function call
export const MAX_EVIDENCE_VALUE = 256; // bytes of a matched value
export const MAX_COMPUTED_VALUE = 16384; // bytes of a location, path, query or header that a rule computes
export const MAX_SPLIT = 128;
export const MAX_REPLACEMENTS = 8; // references in one replacement text
export const MAX_STARS = 32; // of one wildcard pattern
export const MAX_LANGUAGES = 64; // of Accept-Language
export const MAX_JSON_DEPTH = 64;

// SECTION_INSPECTION: u32 count, then count records of INSPECTION_WORDS by ascending route, the app's first, then name words.
export const INSPECTION_WORDS = 9;
export const INSPECTION_ROUTE = 0; // route index, 0xffffffff = the whole app
export const INSPECTION_MODE = 1;
export const INSPECTION_MAX_COUNT = 2; // 0 = no limit
export const INSPECTION_MAX_LENGTH = 3; // 0 = no limit
export const INSPECTION_BYTES = 4; // 1 = visible only
export const INSPECTION_NAMES = 5; // first word of its names: { at, length in SECTION_STRINGS, name id, number }
export const INSPECTION_REQUIRED = 6; // names of each kind, in this order
export const INSPECTION_FORBIDDEN = 7;
export const INSPECTION_LENGTHS = 8;
