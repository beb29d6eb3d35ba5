// The WAF's part of the binary interface: ids and limits that the SecLang compiler, the host and the engine share.
// Same rules as assembly/abi.ts: compiles under asc AND tsc, integer constants only. Apart from that file because both
// together are too long to read.

// VARIABLES: what a rule looks at, by the names of SecLang. Ids are stable: images refer to them.
export const VARIABLE_ARGS = 1; // ARGS_GET, then ARGS_POST
export const VARIABLE_ARGS_NAMES = 2;
export const VARIABLE_ARGS_GET = 3;
export const VARIABLE_ARGS_GET_NAMES = 4;
export const VARIABLE_ARGS_POST = 5;
export const VARIABLE_ARGS_POST_NAMES = 6;
export const VARIABLE_ARGS_COMBINED_SIZE = 7;
export const VARIABLE_REQUEST_COOKIES = 8;
export const VARIABLE_REQUEST_COOKIES_NAMES = 9;
export const VARIABLE_REQUEST_HEADERS = 10;
export const VARIABLE_REQUEST_HEADERS_NAMES = 11;
export const VARIABLE_REQUEST_METHOD = 12;
export const VARIABLE_REQUEST_PROTOCOL = 13;
export const VARIABLE_REQUEST_LINE = 14;
export const VARIABLE_REQUEST_URI = 15;
export const VARIABLE_REQUEST_URI_RAW = 16;
export const VARIABLE_REQUEST_FILENAME = 17;
export const VARIABLE_REQUEST_BASENAME = 18;
export const VARIABLE_QUERY_STRING = 19;
export const VARIABLE_REQUEST_BODY = 20;
export const VARIABLE_REQUEST_BODY_LENGTH = 21;
export const VARIABLE_FILES = 22;
export const VARIABLE_FILES_NAMES = 23;
export const VARIABLE_FILES_SIZES = 24;
export const VARIABLE_FILES_COMBINED_SIZE = 25;
export const VARIABLE_FILES_TMP_CONTENT = 26;
export const VARIABLE_MULTIPART_PART_HEADERS = 27;
export const VARIABLE_MULTIPART_FILENAME = 28;
export const VARIABLE_MULTIPART_NAME = 29;
export const VARIABLE_XML = 30; // name `/*`: the text of the document; name `//@*`: its attribute values
export const VARIABLE_REMOTE_ADDR = 31;
export const VARIABLE_REMOTE_HOST = 32;
export const VARIABLE_REMOTE_PORT = 33;
export const VARIABLE_SERVER_ADDR = 34;
export const VARIABLE_SERVER_NAME = 35;
export const VARIABLE_SERVER_PORT = 36;
export const VARIABLE_UNIQUE_ID = 37;
export const VARIABLE_RESPONSE_STATUS = 38;
export const VARIABLE_RESPONSE_PROTOCOL = 39;
export const VARIABLE_RESPONSE_HEADERS = 40;
export const VARIABLE_RESPONSE_HEADERS_NAMES = 41;
export const VARIABLE_RESPONSE_BODY = 42;
export const VARIABLE_RESPONSE_CONTENT_LENGTH = 43;
export const VARIABLE_RESPONSE_CONTENT_TYPE = 44;
export const VARIABLE_TX = 45;
export const VARIABLE_MATCHED_VAR = 46;
export const VARIABLE_MATCHED_VAR_NAME = 47;
export const VARIABLE_MATCHED_VARS = 48;
export const VARIABLE_MATCHED_VARS_NAMES = 49;
export const VARIABLE_RULE = 50;
export const VARIABLE_REQBODY_PROCESSOR = 51;
export const VARIABLE_REQBODY_ERROR = 52;
export const VARIABLE_REQBODY_ERROR_MSG = 53;
export const VARIABLE_REQBODY_PROCESSOR_ERROR = 54;
export const VARIABLE_MULTIPART_STRICT_ERROR = 55;
export const VARIABLE_MULTIPART_UNMATCHED_BOUNDARY = 56;
export const VARIABLE_MULTIPART_BOUNDARY_QUOTED = 57;
export const VARIABLE_MULTIPART_BOUNDARY_WHITESPACE = 58;
export const VARIABLE_MULTIPART_DATA_BEFORE = 59;
export const VARIABLE_MULTIPART_DATA_AFTER = 60;
export const VARIABLE_MULTIPART_HEADER_FOLDING = 61;
export const VARIABLE_MULTIPART_LF_LINE = 62;
export const VARIABLE_MULTIPART_CRLF_LF_LINES = 63;
export const VARIABLE_MULTIPART_MISSING_SEMICOLON = 64;
export const VARIABLE_MULTIPART_INVALID_QUOTING = 65;
export const VARIABLE_MULTIPART_INVALID_PART = 66;
export const VARIABLE_MULTIPART_INVALID_HEADER_FOLDING = 67;
export const VARIABLE_MULTIPART_FILE_LIMIT_EXCEEDED = 68;
export const VARIABLE_URLENCODED_ERROR = 69;
export const VARIABLE_INBOUND_DATA_ERROR = 70;
export const VARIABLE_OUTBOUND_DATA_ERROR = 71;
export const VARIABLE_AUTH_TYPE = 72;
export const VARIABLE_REMOTE_USER = 73;
export const VARIABLE_DURATION = 74;
export const VARIABLE_HIGHEST_SEVERITY = 75;
export const VARIABLE_STATUS_LINE = 76;
export const VARIABLE_TIME = 77;
export const VARIABLE_TIME_EPOCH = 78;
export const VARIABLE_TIME_DAY = 79;
export const VARIABLE_TIME_HOUR = 80;
export const VARIABLE_TIME_MIN = 81;
export const VARIABLE_TIME_MON = 82;
export const VARIABLE_TIME_SEC = 83;
export const VARIABLE_TIME_WDAY = 84;
export const VARIABLE_TIME_YEAR = 85;
export const VARIABLE_FULL_REQUEST = 86;
export const VARIABLE_FULL_REQUEST_LENGTH = 87;
export const VARIABLE_JSON = 88; // names and values of a JSON body as ModSecurity flattens them, beside ARGS
export const VARIABLE_EMPTY = 89; // never has a value: collections that would persist (IP, GLOBAL, SESSION ...), GEO, ENV
export const VARIABLE_COUNT = 96; // ids are below this

// TRANSFORMATIONS, by the names of SecLang
export const TRANSFORM_NONE = 0;
export const TRANSFORM_LOWERCASE = 1;
export const TRANSFORM_UPPERCASE = 2;
export const TRANSFORM_URL_DECODE = 3;
export const TRANSFORM_URL_DECODE_UNI = 4;
export const TRANSFORM_URL_ENCODE = 5;
export const TRANSFORM_HTML_ENTITY_DECODE = 6;
export const TRANSFORM_JS_DECODE = 7;
export const TRANSFORM_CSS_DECODE = 8;
export const TRANSFORM_BASE64_DECODE = 9;
export const TRANSFORM_BASE64_DECODE_EXT = 10;
export const TRANSFORM_BASE64_ENCODE = 11;
export const TRANSFORM_HEX_DECODE = 12;
export const TRANSFORM_HEX_ENCODE = 13;
export const TRANSFORM_SQL_HEX_DECODE = 14;
export const TRANSFORM_CMD_LINE = 15;
export const TRANSFORM_COMPRESS_WHITESPACE = 16;
export const TRANSFORM_REMOVE_WHITESPACE = 17;
export const TRANSFORM_REMOVE_NULLS = 18;
export const TRANSFORM_REPLACE_NULLS = 19;
export const TRANSFORM_REMOVE_COMMENTS = 20;
export const TRANSFORM_REMOVE_COMMENTS_CHAR = 21;
export const TRANSFORM_REPLACE_COMMENTS = 22;
export const TRANSFORM_NORMALIZE_PATH = 23;
export const TRANSFORM_NORMALIZE_PATH_WIN = 24;
export const TRANSFORM_UTF8_TO_UNICODE = 25;
export const TRANSFORM_ESCAPE_SEQ_DECODE = 26;
export const TRANSFORM_TRIM = 27;
export const TRANSFORM_TRIM_LEFT = 28;
export const TRANSFORM_TRIM_RIGHT = 29;
export const TRANSFORM_LENGTH = 30;
export const TRANSFORM_MD5 = 31;
export const TRANSFORM_SHA1 = 32;
export const TRANSFORM_COUNT = 33;

// OPERATORS. The first block is matched by the scan ("matchers"), the rest is evaluated on the spot ("direct").
export const OPERATOR_RX = 1;
export const OPERATOR_PM = 2; // and pmFromFile, pmf: the phrases are in the matcher
export const OPERATOR_DETECT_SQLI = 3;
export const OPERATOR_DETECT_XSS = 4;
export const OPERATOR_STR_MATCH = 5;
export const OPERATOR_CONTAINS_WORD = 6;
export const OPERATOR_LAST_MATCHER = 15; // ids up to here are matchers
export const OPERATOR_CONTAINS = 16;
export const OPERATOR_STREQ = 17;
export const OPERATOR_BEGINS_WITH = 18;
export const OPERATOR_ENDS_WITH = 19;
export const OPERATOR_WITHIN = 20;
export const OPERATOR_EQ = 21;
export const OPERATOR_GE = 22;
export const OPERATOR_GT = 23;
export const OPERATOR_LE = 24;
export const OPERATOR_LT = 25;
export const OPERATOR_IP_MATCH = 26; // and ipMatchFromFile: the ranges are in the image
export const OPERATOR_VALIDATE_BYTE_RANGE = 27;
export const OPERATOR_VALIDATE_UTF8_ENCODING = 28;
export const OPERATOR_VALIDATE_URL_ENCODING = 29;
export const OPERATOR_UNCONDITIONAL_MATCH = 30;
export const OPERATOR_NO_MATCH = 31;
export const OPERATOR_VERIFY_CC = 32;

// SECTION_MATCHERS (KIND_RULESET): what src/compiler/waf/section.ts writes and assembly/waf/match.ts runs. Offsets are bytes
// from the section's start, 4-byte aligned. A "set" has a bit for each matcher and is MATCHERS_VECTORS * 16 bytes long.
//   header; records of the matchers; u32 offset of each prefilter; u32 offset of each bin, which `open` writes when it
//   unpacks the bin behind the image; of each packed bin u32 offset and u32 bytes when unpacked; set of those that no
//   prefilter judges; byte sets of 32 bytes; then positions, prefilters and packed bins in any order
export const MATCHERS_COUNT = 0;
export const MATCHERS_VECTORS = 4; // number of matchers / 128, rounded up
export const MATCHERS_RECORDS = 8;
export const MATCHERS_PREFILTERS = 12; // offset of their offsets
export const MATCHERS_PREFILTER_COUNT = 16;
export const MATCHERS_BINS = 20; // offset of their offsets
export const MATCHERS_BIN_COUNT = 24;
export const MATCHERS_UNFILTERED = 28; // offset of a set
export const MATCHERS_PACKED = 32; // offset of the offsets and sizes of packed bins
export const MATCHERS_CLAUSES = 36; // offset of rows { u64 classes of bytes (screen.ts), set }: without any of these classes none of the set matches
export const MATCHERS_CLAUSE_COUNT = 40;
export const MATCHERS_HEADER_BYTES = 44;
export const MAX_CLAUSES = 256;

// A matcher
export const MATCHER_KIND = 0;
export const MATCHER_BIN = 4; // of a regex: bin that looks for it
export const MATCHER_POSITIONS = 8; // of a regex: offset of its positions
export const MATCHER_BYTE_SETS = 12; // offset; of each set a match contains a byte
export const MATCHER_BYTE_SET_COUNT = 16;
export const MATCHER_SHORTEST = 20; // bytes of the shortest match
export const MATCHER_WHOLE = 24; // of a regex: 1 = it has no groups, and what it matches is all of the text
export const MATCHER_BYTES = 28;
export const MATCHER_REGEX = 1;
export const MATCHER_PHRASES = 2; // prefilters find and verify them
export const MATCHER_ALWAYS = 3; // a regex that matches any text, with positions for captures

// PREFILTER: literals of regexes and phrases, found by hashing the bytes at every place of a text: no step waits for the one
// before it. A literal of one byte is looked up among the bytes that occur. A longer one has an anchor in it of 4, 3 or 2
// bytes, read as little-endian u32; a bit says that the hash of an anchor occurs, and its bucket then has the entries to
// compare { u32 anchor, u32 at in the text, u16 length, u16 of it before the anchor, u16 record, u16 its matcher or 0xffff
// for several }. All this is about the text with ASCII letters in lower case.
// Parts in order: header, bits of quads, of triples, of pairs (by the two bytes themselves), u16 first[buckets + 1] of quads,
// triples and pairs (by the first byte), set of the single bytes, u16 record of each, set of all its matchers, records (sets
// of matchers), entries, text.
export const PREFILTER_RECORDS = 0;
export const PREFILTER_ENTRIES = 4;
export const PREFILTER_TEXT_BYTES = 8;
export const PREFILTER_QUADS = 12;
export const PREFILTER_QUAD_SHIFT = 15; // of 32 bits of hash: 17 are left
export const PREFILTER_QUAD_BUCKET_SHIFT = 5; // of those 17
export const PREFILTER_QUAD_BUCKETS = 4096;
export const PREFILTER_TRIPLES = 12 + 16384;
export const PREFILTER_TRIPLE_SHIFT = 16;
export const PREFILTER_TRIPLE_BUCKET_SHIFT = 6;
export const PREFILTER_TRIPLE_BUCKETS = 1024;
export const PREFILTER_PAIRS = 12 + 16384 + 8192;
export const PREFILTER_QUAD_FIRST = 12 + 16384 + 8192 + 8192;
export const PREFILTER_TRIPLE_FIRST = 12 + 16384 + 8192 + 8192 + 4097 * 2;
export const PREFILTER_PAIR_FIRST = 12 + 16384 + 8192 + 8192 + 4097 * 2 + 1025 * 2;
export const PREFILTER_SINGLES = 12 + 16384 + 8192 + 8192 + 4097 * 2 + 1025 * 2 + 257 * 2 + 2;
export const PREFILTER_SINGLE_RECORDS = 12 + 16384 + 8192 + 8192 + 4097 * 2 + 1025 * 2 + 257 * 2 + 2 + 32;
export const PREFILTER_SET = 12 + 16384 + 8192 + 8192 + 4097 * 2 + 1025 * 2 + 257 * 2 + 2 + 32 + 512; // and what follows
export const PREFILTER_ENTRY_BYTES = 16;
export const PREFILTER_HASH = 0x9e3779b1;
export const MAX_PREFILTER_ENTRIES = 65535;

// BIN: a complete automaton that looks for several regexes, or a partial one for a single regex whose complete one would be
// too large. Rows of u16, 1 << shift of them. With BIN_SAYS a cell is the number of an edge { u16 next state, u16 list };
// lists are { u16 matcher }, with BIN_UNSURE where a partial automaton does not know how to go on. Parts in order: header,
// classes, rows, u16 list at the end of the text of each state, edges, u32 first[lists + 1], u16 entries.
export const BIN_STATES = 0;
export const BIN_SHIFT = 4; // BIN_NARROW_SHIFT or BIN_WIDE_SHIFT
export const BIN_START = 8;
export const BIN_DEAD = 12; // 1 = state 0 is never left and says nothing
export const BIN_EDGES = 16;
export const BIN_LISTS = 20;
export const BIN_ENTRIES = 24;
export const BIN_ROOTS = 28; // partial: in states below this no attempt is under way; 0 = complete
export const BIN_ROOT = 32; // u16 x 4: root state by what stands before it (BEFORE_*), 0xffff = none
export const BIN_MOVES = 40; // partial: offset from the bin's start of its moves, see below
export const BIN_CLASSES = 44;
export const BIN_TABLE = 44 + 256;
export const BIN_NARROW_SHIFT = 6;
export const BIN_WIDE_SHIFT = 8;
export const BIN_SAYS = 0x8000;
export const BIN_UNSURE = 0x8000;
export const MAX_BIN_STATES = 32767;
// Moves of a partial automaton: where an attempt leads that begins here. u8 column of each byte, u32 columns, u32
// first[4 * columns + 1], then u16 states of the positions; the row is BEFORE_*.
export const MOVES_COLUMNS = 256;
export const MOVES_FIRST = 260;
export const BEFORE_EDGE = 0;
export const BEFORE_WORD = 1;
export const BEFORE_LINE = 2;
export const BEFORE_OTHER = 3;

// PACKED BIN, as a file has it: header and classes of BIN; then for each state what tells its row from one before it: u16
// number of cells that differ | how many rows back << PACKED_BACK_SHIFT (0: from a row of zeros), and of each such cell u8
// column, u16 cell; then, at a multiple of 4, u32 number of states that say something at the end of the text, u16 state and
// u16 list of each; then edges and all that follows in BIN. Unpacked bins stand behind the image, their rows at multiples of
// BIN_ALIGNMENT; a matcher whose bin is not wanted is left without one (MATCHER_BIN), so that its positions would decide.
export const PACKED_BACK_SHIFT = 9;
export const PACKED_CELLS_MASK = 511;
export const MAX_PACKED_BACK = 127;
export const BIN_ALIGNMENT = 64;

// POSITIONS: the regex as a machine that follows all attempts side by side: gives captures, and the verdict where a partial
// automaton is unsure. States { u8 op, u8 argument, i16 x, i16 y }; x and y are how many states back the next one is.
// Then classes: sets of bytes, 32 bytes each.
export const POSITIONS_STATES = 0;
export const POSITIONS_START = 4;
export const POSITIONS_GROUPS = 8;
export const POSITIONS_CLASS_COUNT = 12;
export const POSITIONS_FIRST = 16; // class of the bytes that a match can begin with, or -1
export const POSITIONS_LEAVES = 20; // number of CLASS and MATCH states
export const POSITIONS_TABLE = 24;
export const POSITION_BYTES = 6;
export const POSITION_CLASS = 1; // y = class
export const POSITION_MATCH = 2;
export const POSITION_SPLIT = 3; // x before y
export const POSITION_SAVE = 4; // argument = slot
export const POSITION_ASSERT = 5; // argument = ASSERT_*

export const CAPTURE_WINDOW_BYTES = 4096; // a longer text is searched for captures so far around where its first match ends
export const MAX_CAPTURES = 10; // TX.0 to TX.9; `captures` writes two u32 offsets for each
export const MAX_RULE_PATTERN_BYTES = 65536; // source text of one @rx; the longest of CRS 4.28 has 12,126

// LIMITS
export const MAX_MATCHERS = 1024; // of one rule set; a bitset of them is MATCHER_SET_BYTES
export const MATCHER_SET_BYTES = 128;
export const MAX_WAF_VALUES = 49152; // values of all collections of one request, one in 22 bytes of the longest body; more is the verdict `limit`
export const MAX_WAF_PROGRAMS = 16; // distinct effective `waf:` settings of one policy
export const MAX_WAF_EVENTS = 64; // of one call; more only count
export const MAX_JSON_DEPTH = 64;
export const MAX_XML_DEPTH = 64;
export const MAX_PARTS = 256; // of one multipart body
export const MAX_PART_HEADER_BYTES = 8192; // header lines of one part together

// LIMITS of `waf:` in a policy document and of what the host holds for it
export const MAX_WAF_EXCLUSIONS = 1024; // of one app, and as many of one route
export const MAX_WAF_VARIABLES = 256; // set-up variables of one app, and as many of one route
export const MAX_RESPONSE_BODY_BYTES = 524288; // 512 KiB: the largest `response.limit`
export const MAX_RESPONSE_HOLD_MS = 10000; // the longest `response.holdMs`
export const DEFAULT_RESPONSE_HOLD_MS = 1000;
export const MAX_HELD_BODY_BYTES = 8388608; // 8 MiB: of one multipart body that is held, contents of files included
export const SHORT_BODY_BYTES = 16384; // a body that declares no more is read in one piece; what has come of it counts once it is whole
export const MAX_TRAPS_A_MINUTE = 3; // of one rule; one more and the rule is switched to `onError`
export const MAX_MESSAGE_BYTES = 65536; // of one WebSocket message or server-sent event that is inspected

// PROCESSORS of request bodies: what REQBODY_PROCESSOR says and ctl:requestBodyProcessor sets. NONE is no name: the body
// is looked at as REQUEST_BODY alone, and only where ctl:forceRequestBodyVariable asks for it.
export const PROCESSOR_NONE = 0;
export const PROCESSOR_URLENCODED = 1;
export const PROCESSOR_MULTIPART = 2;
export const PROCESSOR_XML = 3;
export const PROCESSOR_JSON = 4;
export const PROCESSOR_SNIFF = 5; // ours: what the bytes look like; see body/sniff.ts

// LIMITS of body processors. MAX_JSON_DEPTH, MAX_XML_DEPTH and MAX_PARTS end the call as `limit`; those of headers make the
// body malformed, and what is behind them is looked at as data.
export const MAX_PART_HEADER_LINE = 4096; // bytes of one header line of a part, its line end included, and of a folded value
export const MAX_PART_HEADERS = 64; // header lines of one part, folds joined
export const MAX_MULTIPART_TYPE_BYTES = 1024; // of the Content-Type of a multipart body
// SECTION_WAF: u32 number of programs, u32 number of routes, u32 offset of each program from the section's start, then u8
// program of each route (NO_PROGRAM for none), padded, then the programs in order, each up to the next.
export const NO_PROGRAM = 255;

// A PROGRAM is u32 words: PROGRAM_* , then tables that the header names by { u32 number of rows, u32 offset in bytes from the
// program's start }. References are row numbers, NONE where there is none; texts are { at, length } in SECTION_STRINGS.
export const NONE = 0xffffffff;
export const PROGRAM_LENGTH = 0; // bytes
export const PROGRAM_FLAGS = 1; // PROGRAM_FLAG_*
export const PROGRAM_SETS = 2; // rows { source: 0 this image, else 1 + number of the app's rule-set image; first matcher; matchers }
export const PROGRAM_RULES = 4;
export const PROGRAM_LINKS = 6;
export const PROGRAM_TARGETS = 8;
export const PROGRAM_ACTIONS = 10;
export const PROGRAM_WORDS = 12; // macros: { parts, parts x PART_WORDS }; and byte sets of 8 words
export const PROGRAM_PIPELINES = 14; // rows { first transformation, how many, node it ends in or NONE }
export const PROGRAM_TRANSFORMS = 16; // rows { TRANSFORM_* }
export const PROGRAM_NODES = 18; // tree of the scanned pipelines, breadth first: { TRANSFORM_*, first child, children, parent }
export const PROGRAM_PROFILES = 20; // rows of PROFILE_FIXED_WORDS { u64 transformations that occur; mask of all nodes together }, then one word
// for each node: mask in the low half, PROFILE_* above; see scan.ts
export const PROGRAM_MASKS = 22; // rows of MATCHER_SET_BYTES for each set, then one word of DETECTOR_* (and 7 unused bytes, 8-aligned)
export const PROGRAM_NAMES = 24; // rows { name at, length; profile of each scope }: names that differ from their collection
export const PROGRAM_KINDS = 26; // VARIABLE_COUNT * 2 rows: values, then names: { profile of each scope; first name, names; text of the variable }
export const PROGRAM_SLOTS = 28; // TX variables that rules name: { name at, length; initial value at, length or NONE; WAF_PHASE_* bits of readers }
export const PROGRAM_REMOVALS = 30; // what ctl removes: { first word of its bits, one for each rule, in PROGRAM_WORDS; target or NONE }
export const PROGRAM_PHASES = 32; // 5 times { first rule, rules }
export const PROGRAM_USED = 42; // VARIABLE_COUNT bits: variables that anything looks at
export const PROGRAM_LIMITS = 45; // bytes of a request body, bytes of a response body
export const PROGRAM_TX_READERS = 47; // WAF_PHASE_* bits of the phases that look at TX by other means than a slot
export const PROGRAM_HEADER_WORDS = 48;
export const PROGRAM_LEFT_OUT_SHIFT = 16; // above the flags: of LEFT_OUT_OF requests, how many sampling leaves out
export const LEFT_OUT_OF = 10000;
export const PROGRAM_FLAG_ENFORCE = 1; // SecRuleEngine On; else DetectionOnly
export const PROGRAM_FLAG_RESPONSE = 2; // phases 3 and 4 run
export const PROGRAM_FLAG_MATCHED = 4; // a rule looks at MATCHED_VAR of a rule before it
export const PROGRAM_FLAG_CAPTURES = 16; // a rule looks at TX.0 to TX.9 of a rule before it

// Words of rows
export const RULE_ROW_WORDS = 12;
export const RULE_FIRST_LINK = 0;
export const RULE_LINKS = 1;
export const RULE_BITS = 2; // DISRUPTIVE_* | RULE_BIT_*
export const RULE_STATUS = 3;
export const RULE_SEVERITY = 4; // 255 unset
export const RULE_NEXT = 5; // row to go on at once it has matched: its own number + 1, or further for skipAfter and skip
export const RULE_MESSAGE = 6; // macro, NONE where the message is plain text: the host has that
export const RULE_LOCATION = 7; // macro of redirect
export const RULE_QUICK = 9; // 1 + matcher of the first link, where no hit anywhere means no match; else 0
export const DISRUPTIVE_PASS = 0;
export const DISRUPTIVE_DENY = 1;
export const DISRUPTIVE_DROP = 2;
export const DISRUPTIVE_REDIRECT = 3;
export const DISRUPTIVE_ALLOW = 4;
export const DISRUPTIVE_ALLOW_PHASE = 5;
export const DISRUPTIVE_ALLOW_REQUEST = 6;
export const DISRUPTIVE_MASK = 7;
export const RULE_BIT_LOG = 8;
export const RULE_BIT_AUDITLOG = 16;

export const LINK_ROW_WORDS = 12;
export const LINK_OPERATOR = 0; // OPERATOR_* | LINK_*
export const LINK_ARGUMENT = 1; // matcher; macro; number as i32; byte set in PROGRAM_WORDS; list; regex; program of SECTION_CODE
export const LINK_PIPELINE = 2;
export const LINK_FIRST_TARGET = 3;
export const LINK_TARGETS = 4;
export const LINK_FIRST_ACTION = 5;
export const LINK_ACTIONS = 6;
export const LINK_LOGDATA = 7; // macro or NONE
export const LINK_NEGATED = 256;
export const LINK_MULTI_MATCH = 512;
export const LINK_CAPTURE = 1024;
export const LINK_SCANNED = 2048; // the scan has looked for its matcher in all its targets
export const LINK_NUMBER = 4096; // the argument is a number, not a macro
export const LINK_EXPRESSION = 8192; // true when the program of SECTION_CODE is; no targets

export const TARGET_ROW_WORDS = 4;
export const TARGET_VARIABLE = 0; // VARIABLE_* | TARGET_*
export const TARGET_A = 1; // text: at; regex; slot
export const TARGET_B = 2; // length; of a regex: bytes of the shortest name that it takes
export const TARGET_COUNT = 256; // `&`
export const TARGET_EXCLUDE = 512; // `!`
export const TARGET_EXACT = 1024;
export const TARGET_REGEX = 2048;
export const TARGET_SLOT = 4096; // TX by name
export const TARGET_PREFIX = 8192; // what the name begins with, whatever its case: /^text/

export const ACTION_ROW_WORDS = 4;
export const ACTION_KIND = 0;
export const ACTION_SLOT = 1; // or NONE: the name is a macro
export const ACTION_NAME = 2; // macro
export const ACTION_VALUE = 3; // macro, removal, or a number
export const SETVAR_SET = 1;
export const SETVAR_ADD = 2;
export const SETVAR_SUBTRACT = 3;
export const SETVAR_UNSET = 4;
export const CTL_ENGINE = 5; // 0 off, 1 detection only, 2 on
export const CTL_REMOVE = 6;
export const CTL_PROCESSOR = 7; // PROCESSOR_*
export const CTL_FORCE_BODY = 8; // 0 or 1
export const CTL_REQUEST_BODY = 9; // requestBodyAccess
export const CTL_RESPONSE_BODY = 10;

export const PART_WORDS = 4;
export const PART_TEXT = 1; // { kind, 0, at, length }
export const PART_SLOT = 2; // { kind, slot, 0, 0 }
export const PART_VARIABLE = 3; // { kind, VARIABLE_*, name at, length }

export const SCOPES = 4;
export const SCOPE_HEAD = 0; // phase 1 alone: a body will follow
export const SCOPE_BODY = 1; // phase 2
export const SCOPE_REQUEST = 2; // phases 1 and 2
export const SCOPE_RESPONSE = 3; // phases 3 and 4: of what the answer brings
export const NAME_ROW_WORDS = 6;
export const KIND_ROW_WORDS = 8;
export const KIND_FIRST_NAME = 4;
export const KIND_NAMES = 5;
export const KIND_TEXT = 6;
export const NODE_ROW_WORDS = 4;
export const SET_ROW_WORDS = 3;
export const PIPELINE_ROW_WORDS = 3;
export const SLOT_ROW_WORDS = 5;
export const REMOVAL_ROW_WORDS = 2;
export const PROFILE_FIXED_WORDS = 3;
export const PROFILE_HAS_MASK = 0x10000; // a matcher applies at this node
export const PROFILE_NEEDED = 0x20000; // ... or below it
export const MASK_TAIL_BYTES = 8;
export const DETECTOR_SQLI = 1;
export const DETECTOR_XSS = 2;
export const MATCHER_SQLI = 0x7ffffffe; // matchers of the detectors, above those of all sets
export const MATCHER_XSS = 0x7fffffff;

export const MAX_NODES = 512;
export const MAX_LINKS = 65536;
export const MAX_PROGRAM_RULES = 8192;
export const MAX_SLOTS = 4096;
export const MAX_PIPELINE = 32; // transformations of one rule
export const MAX_CHAIN = 64; // links of one rule
export const MAX_REMOVALS = 4096; // ctl:ruleRemove... of one program, and exclusions with a condition
export const MAX_PARTS_OF_MACRO = 64; // texts and references of one macro

// PHASES of a call, bits
export const WAF_PHASE_1 = 1;
export const WAF_PHASE_2 = 2;
export const WAF_PHASE_3 = 4;
export const WAF_PHASE_4 = 8;
export const WAF_PHASE_5 = 16;

// TRANSACTION STATE of the WAF, behind that of the rules language (STATE_BITS in ../abi.ts) at a multiple of 4: u32 mark,
// u8 engine mode, allow, processor, forced body, highest severity, phases done, request body access, and 1 for
// INBOUND_DATA_ERROR with 2 for no response body access; then the bits of
// what ctl removed, padded to 4; then TX variables { u16 slot, u16 length or TX_UNSET } and bytes, or { u16 TX_NAMED, u16
// length of name, u16 length } and bytes, up to the end.
export const WAF_STATE_MARK = 0x57000000; // with the program in the lowest byte
export const WAF_STATE_FIXED_BYTES = 12;
export const TX_NAMED = 0xffff;
export const TX_UNSET = 0xffff;

export const ENGINE_OFF = 0;
export const ENGINE_DETECT = 1;
export const ENGINE_ON = 2;

// EVENTS: EFFECT_WAF of ../abi.ts { kind, rule, mode, phase | log << 8 | transformations done << 16, link, value }; its value
// is { u16 length of the target's name, of the matched bytes, of the message, of the log data } and these texts, or nothing
// where there was no room.
export const EVENT_HEADER_BYTES = 8;
export const MAX_EVENT_TEXT = 512; // bytes of a message or log data

// RAW HEAD, at HEAD_AT and RESPONSE_HEAD_AT for the in-process API: u32 number of fields, u32 0, u32 length of each field,
// then their bytes: method, target, protocol, peer (of an answer: status, empty, protocol, empty), then names and values.
export const RAW_HEADER_BYTES = 8;
export const RAW_FIXED_FIELDS = 4;

// Of the body call's `truncated`, beside 0 for a whole body and 1 for a part of one: its Content-Encoding could not be undone.
export const BODY_UNREADABLE = 2;

// Rules that policies put before every rule set: `waf.body.malformed`.
export const RULE_BODY_MALFORMED = 9000002;
export const RULE_BODY_DOUBTFUL = 9000003;
export const RULE_BODY_UNMATCHED_BOUNDARY = 9000004;

// BUNDLE, what `sallyport/waf` is given: u32 BUNDLE_MAGIC, u32 length of a header in UTF-8 JSON { manifest, images: [{ hash,
// length }] }, the header padded to 4 bytes, then the images in that order, each padded to 4.
export const BUNDLE_MAGIC = 0x42575053; // "SPWB"
export const MAX_BUNDLE_HEADER_BYTES = 65536;

// QUARANTINE: a rule on which the engine trapped more than MAX_TRAPS_A_MINUTE times, by { address of the policy image, program,
// rule or -1 for all of the program, 0: it is left out, 1: there is no verdict where it would run }.
export const QUARANTINE_WORDS = 4;
export const MAX_QUARANTINED = 64;
