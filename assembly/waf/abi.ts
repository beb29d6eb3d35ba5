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

// SECTION_MATCHERS (KIND_RULESET), src/compiler/waf/section.ts writes it, assembly/waf/match.ts runs it: u32 number of
// matchers, then for each { u32 kind, u32 offset of its first program, u32 number of programs }, then the programs.
export const MATCHER_REGEX = 1; // one regex program
export const MATCHER_PHRASES = 2; // automata of literals; any hit is a match
export const MATCHERS_HEADER_BYTES = 4;
export const MATCHER_BYTES = 12;

export const MAX_CAPTURES = 10; // TX.0 to TX.9; `captures` writes two u32 offsets for each
export const MAX_RULE_PATTERN_BYTES = 65536; // source text of one @rx; the longest of CRS 4.28 has 12,126

// LIMITS
export const MAX_MATCHERS = 1024; // of one rule set; a bitset of them is MATCHER_SET_BYTES
export const MATCHER_SET_BYTES = 128;
export const MAX_WAF_VALUES = 8192; // values of all collections of one request; more is the verdict `limit`
export const MAX_WAF_PROGRAMS = 16; // distinct effective `waf:` settings of one policy
export const MAX_WAF_EVENTS = 64; // of one call; more only count
export const MAX_JSON_DEPTH = 64;
export const MAX_XML_DEPTH = 64;
export const MAX_PARTS = 256; // of one multipart body
export const MAX_PART_HEADER_BYTES = 8192; // header lines of one part together
export const MAX_TX_BYTES = 3072; // variables of a transaction in the state between two calls

// LIMITS of `waf:` in a policy document and of what the host holds for it
export const MAX_WAF_EXCLUSIONS = 1024; // of one app, and as many of one route
export const MAX_WAF_VARIABLES = 256; // set-up variables of one app, and as many of one route
export const MAX_RESPONSE_BODY_BYTES = 524288; // 512 KiB: the largest `response.limit`
export const MAX_RESPONSE_HOLD_MS = 10000; // the longest `response.holdMs`
export const DEFAULT_RESPONSE_HOLD_MS = 1000;
export const MAX_HELD_BODY_BYTES = 8388608; // 8 MiB: of one multipart body that is held, contents of files included
export const MAX_TRAPS_A_MINUTE = 3; // of one rule; one more and the rule is switched to `onError`
export const MAX_MESSAGE_BYTES = 65536; // of one WebSocket message or server-sent event that is inspected

// PROCESSORS of request bodies: what REQBODY_PROCESSOR says and ctl:requestBodyProcessor sets. NONE is no name: the body
// is looked at as REQUEST_BODY alone, and only where ctl:forceRequestBodyVariable asks for it.
export const PROCESSOR_NONE = 0;
export const PROCESSOR_URLENCODED = 1;
export const PROCESSOR_MULTIPART = 2;
export const PROCESSOR_XML = 3;
export const PROCESSOR_JSON = 4;

// LIMITS of body processors. MAX_JSON_DEPTH, MAX_XML_DEPTH, MAX_PARTS and MAX_PART_HEADER_BYTES end the call as `limit`; the
// next two are ModSecurity's own and make the body malformed.
export const MAX_PART_HEADER_LINE = 4096; // bytes of one header line of a part, its line end included, and of a folded value
export const MAX_PART_HEADERS = 64; // header lines of one part, folds joined; more ends the call as `limit`
export const MAX_MULTIPART_TYPE_BYTES = 1024; // of the Content-Type of a multipart body
