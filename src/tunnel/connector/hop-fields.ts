/** Fields that belong to one connection, and those that frame a message: neither goes through a tunnel as it is. */

export const PASSES = 0;
export const DROPPED = 1;
export const CONTENT_LENGTH = 2;
export const TRANSFER_ENCODING = 3;
export const CONNECTION = 4;
export const KEEP_ALIVE = 5;
export const EXPECT = 6;

/**
 * SPEC: RFC 9110 section 7.6.1. What Connection of a request names is not dropped here: the edge has read that field already,
 * and a client could name fields that the edge adds.
 */
const KINDS: ReadonlyMap<string, number> = new Map([
  ['connection', CONNECTION],
  ['keep-alive', KEEP_ALIVE],
  ['transfer-encoding', TRANSFER_ENCODING],
  ['content-length', CONTENT_LENGTH],
  ['expect', EXPECT],
  ['proxy-connection', DROPPED],
  ['upgrade', DROPPED],
  ['te', DROPPED],
  ['proxy-authenticate', DROPPED],
  ['proxy-authorization', DROPPED],
  ['http2-settings', DROPPED],
]);

const MAX_KNOWN = 512; // spellings

// PERF: names come in few spellings; what is remembered saves a lower-case copy of each.
const known = new Map<string, number>();

export function kindOf(name: string): number {
  let kind = known.get(name);
  if (kind === undefined) {
    kind = KINDS.get(name.toLowerCase()) ?? PASSES;
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(name, kind);
  }
  return kind;
}
