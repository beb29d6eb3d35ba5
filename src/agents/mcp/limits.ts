/** Every limit on messages of the Model Context Protocol; tested at its edge. */

/** Nesting of one message. */
export const MAX_MCP_DEPTH = 64;
/** Messages of one batch, which versions before 2025-06-18 have. */
export const MAX_MCP_BATCH = 64;
/** Characters of a method. */
export const MAX_MCP_METHOD = 128;
/** Bytes of the answer to a list request, decoded, where the list has to be cut to what the policy allows; also of one event. */
export const MAX_MCP_LIST_BYTES = 4_194_304;
/** Patterns of one list of a policy, and characters of one. */
export const MAX_MCP_PATTERNS = 1024;
export const MAX_MCP_PATTERN = 2048;
/** Characters of an access token. */
export const MAX_MCP_TOKEN = 16_384;
/** Keys of a set that a token is tried with when it names none. */
export const MAX_MCP_TOKEN_KEYS = 8;
/** Seconds that the clock of an authorization server may be ahead of ours, or behind it. */
export const MCP_TOKEN_SKEW_SECONDS = 30;
/** Authorization servers, scopes and origins of one policy. */
export const MAX_MCP_SERVERS = 8;
export const MAX_MCP_SCOPES = 64;
export const MAX_MCP_ORIGINS = 64;
/** Entries of one list that rules are asked about; what comes after these is left out. */
export const MAX_MCP_LISTED = 2048;
