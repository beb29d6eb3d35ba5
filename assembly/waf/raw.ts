// Heads as raw bytes, for the in-process API: a request target that no URL parser has seen, names in their own case, values
// with any byte in them. See RAW HEAD in abi.ts.
import { MAX_HEADERS, MAX_HEAD_BYTES, REASON_HEADERS, REASON_SEPARATOR } from '../abi';
import { addressAt, addressLength, parseAddress } from '../address';
import { fail } from '../arena';
import { headerEntry, newHeaders } from '../headers';
import { RAW_FIXED_FIELDS, RAW_HEADER_BYTES } from './abi';
import { fillRequest, fillResponse } from './message';

const ADDRESS = memory.data(16, 8);

/** Header table of the raw head at `at`, 0 when its lengths don't add up (the call has failed then). */
function tableOf(at: usize, length: i32): usize {
  const fields = load<u32>(at);
  if (length < RAW_HEADER_BYTES || length > MAX_HEAD_BYTES || fields > <u32>(MAX_HEADERS * 2 + RAW_FIXED_FIELDS)) {
    fail(REASON_HEADERS);
    return 0;
  }
  const table = newHeaders((<i32>fields - RAW_FIXED_FIELDS) >> 1);
  if (table == 0) return 0;
  const lengths = at + RAW_HEADER_BYTES;
  let text = lengths + (<usize>fields << 2);
  const end = at + <usize>length;
  if (fields < <u32>RAW_FIXED_FIELDS || (fields & 1) != 0 || text > end) {
    fail(REASON_SEPARATOR);
    return 0;
  }
  for (let i: u32 = 0; i < fields; i++) {
    const size = load<u32>(lengths + (<usize>i << 2));
    if (size > <u32>(end - text)) {
      fail(REASON_SEPARATOR);
      return 0;
    }
    if (i >= <u32>RAW_FIXED_FIELDS) {
      const entry = headerEntry(table, (i - RAW_FIXED_FIELDS) >> 1) + ((i & 1) == 0 ? 0 : 8);
      store<u32>(entry, <u32>text);
      store<u32>(entry, size, 4);
    }
    text += size;
  }
  store<u32>(table, (fields - RAW_FIXED_FIELDS) >> 1);
  return table;
}

/** Fills the collections from the raw request head at `at`. False when it is malformed or a limit was hit. */
export function fillRawRequest(at: usize, length: i32, seed: i32, now: i32): bool {
  const table = tableOf(at, length);
  if (table == 0) return false;
  const lengths = at + RAW_HEADER_BYTES;
  const method = lengths + (<usize>load<u32>(at) << 2);
  const target = method + load<u32>(lengths);
  const protocol = target + load<u32>(lengths, 4);
  const peer = protocol + load<u32>(lengths, 8);
  let remote = peer;
  let remoteLength = load<i32>(lengths, 12);
  if (parseAddress(peer, remoteLength, ADDRESS)) {
    remote = addressAt;
    remoteLength = addressLength;
  }
  return fillRequest(
    method,
    load<i32>(lengths),
    target,
    load<i32>(lengths, 4),
    protocol,
    load<i32>(lengths, 8),
    remote,
    remoteLength,
    table,
    seed,
    now,
    0,
    0,
  );
}

/** The same for an answer: its first field is the status, the third the protocol. */
export function fillRawResponse(at: usize, length: i32, body: usize, bodyLength: i32): bool {
  const table = tableOf(at, length);
  if (table == 0) return false;
  const lengths = at + RAW_HEADER_BYTES;
  const digits = lengths + (<usize>load<u32>(at) << 2);
  let status = 0;
  const count = min<usize>(load<u32>(lengths), 3);
  for (let i: usize = 0; i < count; i++) status = status * 10 + (<i32>load<u8>(digits + i) - 0x30);
  const protocol = digits + load<u32>(lengths) + load<u32>(lengths, 4);
  return fillResponse(status, protocol, load<i32>(lengths, 8), table, body, bodyLength);
}
