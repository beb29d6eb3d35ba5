/** Limits of sessions and of joined endpoints: on what MCP clients and servers send. Tested at their edge. */

/** Sessions that one object keeps, the least recently used go first; there are as many objects as shards. */
export const MAX_MCP_SESSIONS = 20_000;
export const MCP_SESSION_SHARDS = 16;
/** Characters of what is kept of one. */
export const MAX_MCP_SESSION_BYTES = 32_768;
/** Seconds: sessions are forgotten by slots of this length. */
export const MCP_SESSION_SLOT_SECONDS = 60;

/** Bytes of one message of a server that is rewritten: an answer, or one event of a stream. */
export const MAX_JOINED_MESSAGE = 4_194_304;
/** Characters of a cursor and of an event id that stand for those of several servers. */
export const MAX_JOINED_TOKEN = 8192;
/** Characters of what a client says of itself in `initialize`; it is kept with the session. */
export const MAX_INITIALIZE = 16_384;
/** Cut names that an isolate remembers the long form of; the oldest go first. */
export const MAX_CUT_NAMES = 4096;
/** Pages of a server's list that are read to find out what a cut name stands for. */
export const MAX_NAME_PAGES = 16;
/** Milliseconds for which it is believed which era a server is of. */
export const ERA_MS = 300_000;
