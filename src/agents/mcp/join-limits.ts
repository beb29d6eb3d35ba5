/** Every limit on what MCP clients and servers send; tested at its edge. */

/** Sessions that one object keeps, the least recently used go first; there are as many objects as shards. */
export const MAX_MCP_SESSIONS = 20_000;
export const MCP_SESSION_SHARDS = 16;
/** Characters of what is kept of one. */
export const MAX_MCP_SESSION_BYTES = 32_768;
/** Seconds: sessions are forgotten by slots of this length. */
export const MCP_SESSION_SLOT_SECONDS = 60;
