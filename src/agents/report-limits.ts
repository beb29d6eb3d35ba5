/** Limits of the report about agents. Names come from requests in the end, so whatever is kept of them is counted. */

/** Objects that share the work; an isolate writes to one of them, and a report asks all. */
export const REPORT_SHARDS = 8;
/** Days that are kept, today included. */
export const REPORT_DAYS = 30;
/** Milliseconds between two writes of an isolate. */
export const REPORT_FLUSH_MS = 1000;
/** Agents (by app and identity) that an isolate holds between two writes; the rest are `other`. */
export const MAX_PENDING_AGENTS = 256;
/** Different refusals, and currencies, of one agent between two writes; the rest are `other`. */
export const MAX_PENDING_KINDS = 32;
/** Agents (by app and identity) of one day and shard; the rest are `other`. */
export const MAX_REPORT_AGENTS = 512;
/** Different refusals of one day and shard; the rest are `other`. */
export const MAX_REPORT_REFUSALS = 2048;
/** Characters of a name, a rule, a reason. */
export const MAX_REPORT_TEXT = 200;
/** Agents that a report lists; the rest are `other`. */
export const MAX_LISTED_AGENTS = 1024;
/** Bytes of one write. */
export const MAX_REPORT_BYTES = 1_048_576;
