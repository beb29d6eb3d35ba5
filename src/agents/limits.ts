/** Every limit on what agents send and on what is fetched on their account; tested at its edge. */

/** Characters of Signature-Input, Signature and Signature-Agent each. Signers of today need about 500. */
export const MAX_SIGNATURE_FIELD = 8192;
/** Signatures of one message that are looked at; with more, none is. */
export const MAX_SIGNATURES = 8;
/** Components that one signature covers. */
export const MAX_COMPONENTS = 32;
/** Characters of a signature base: components repeat header fields, each of them as often as its parameters differ. */
export const MAX_SIGNATURE_BASE = 65_536;
/** Characters of `keyid` and of `nonce`. */
export const MAX_SIGNATURE_PARAMETER = 256;
/** Bits of an RSA modulus. Below, signatures can be forged; above, one verification costs too much. */
export const MIN_RSA_BITS = 2048;
export const MAX_RSA_BITS = 4096;

/** Web Bot Auth. Seconds that `created` may lie ahead of our clock; `expires` gets none. */
export const CLOCK_SKEW_SECONDS = 30;
/** Seconds between `created` and `expires`; what the draft recommends as the most. */
export const MAX_SIGNATURE_SECONDS = 86_400;
/** Signatures of a request with our tag for which keys are looked up. */
export const MAX_AGENT_SIGNATURES = 3;
/** Characters of a Signature-Agent URL. */
export const MAX_AGENT_URL = 1024;

/** Bytes of a body whose digest is covered; its length must be declared. */
export const MAX_DIGEST_BODY = 1_048_576;

/** Key directories. Bytes of one, after content decoding. */
export const MAX_DIRECTORY_BYTES = 65_536;
/** Keys of one directory; with more, none is used. */
export const MAX_DIRECTORY_KEYS = 64;
/** Milliseconds from the first byte sent to the last byte read. */
export const DIRECTORY_TIMEOUT_MS = 5000;
/** Seconds for which a directory is believed, whatever it says of itself; the second where it says nothing. */
export const MIN_DIRECTORY_SECONDS = 60;
export const DEFAULT_DIRECTORY_SECONDS = 3600;
export const MAX_DIRECTORY_SECONDS = 86_400;
/** Seconds until a directory that failed is asked again: doubled with each failure. */
export const MIN_RETRY_SECONDS = 15;
export const MAX_RETRY_SECONDS = 300;
/** Seconds until a directory that lacks a key is asked again for it. */
export const REFETCH_SECONDS = 60;
/** Directories kept, and failures remembered, in one isolate; the least recently used go first. */
export const MAX_DIRECTORIES = 512;
export const MAX_DIRECTORY_FAILURES = 2048;
/** Fetches at once, for one host and in all. */
export const MAX_HOST_FETCHES = 2;
export const MAX_FETCHES = 16;

/** Replay protection. Nonces that one object remembers; there are as many objects as shards. */
export const MAX_NONCES = 200_000;
export const REPLAY_SHARDS = 16;
/** Seconds: nonces are forgotten by slots of this length. */
export const NONCE_SLOT_SECONDS = 10;

/** The signing client. Seconds that a signature of ours lives; redirects that `fetch` signs anew for. */
export const SIGNATURE_SECONDS = 60;
export const MAX_REDIRECTS = 20;

/** Charges. Accounts and charges that one object of the ledger remembers; there are as many objects as shards. */
export const LEDGER_SHARDS = 16;
export const MAX_ACCOUNTS = 10_000;
export const MAX_CHARGES = 200_000;
/** Seconds after which what was reserved and never captured is released; longer than any origin or facilitator takes. */
export const RESERVATION_SECONDS = 600;
/** Seconds: charges are forgotten by slots of this length. */
export const CHARGE_SLOT_SECONDS = 60;
/** Rates. Windows that one object counts, and how many objects share them. */
export const MAX_RATE_WINDOWS = 100_000;
export const LIMITER_SHARDS = 64;
/** Seconds: between two looks for windows that are over. */
export const RATE_SWEEP_SECONDS = 10;
/** Milliseconds after which an object writes what it has counted. */
export const RATE_FLUSH_MS = 100;
/** Windows that an isolate knows to be used up, so that it need not ask; the oldest go first. */
export const MAX_EXHAUSTED = 4096;
/** Milliseconds for the answer of the object that counts. */
export const LIMITER_TIMEOUT_MS = 2000;

/** Challenges. Seconds that a browser waits before its page loads itself again, and after which a token is too old. */
export const CHALLENGE_WAIT_SECONDS = 2;
export const TOKEN_SECONDS = 300;
/** Pages in a row for one thing that a client is asked for. */
export const CHALLENGE_TRIES = 3;
/** Seconds that a pass holds; how many a client is given within the seconds of a window, and keeps losing. */
export const PASS_SECONDS = 3600;
export const MAX_PASSES = 3;
export const PASS_WINDOW_SECONDS = 600;

/** Names of addresses, by DNS over HTTPS. Milliseconds for one question; bytes of an answer; records of it that are read. */
export const DNS_TIMEOUT_MS = 4000;
export const MAX_DNS_BYTES = 16_384;
export const MAX_DNS_RECORDS = 16;
/** Names of one address whose own addresses are asked for. */
export const MAX_DNS_FORWARD = 3;
/** Look-ups under way in one isolate; more wait for another request. */
export const MAX_DNS_LOOKUPS = 8;
/** Seconds for which a verdict holds, and until a look-up that failed is tried again. */
export const NAME_SECONDS = 3600;
export const NAME_RETRY_SECONDS = 60;
/** Verdicts kept in one isolate; the least recently used go first. */
export const MAX_ADDRESS_NAMES = 4096;
