// What an agent asks for: the fields of PROTOCOL, which the host reads from the body of a request and writes beside its head.
import { FIELD_MCP_METHOD, PROTOCOL_AT, PROTOCOL_BYTES, PROTOCOL_FIELDS, PROTOCOL_WORDS } from './abi';
import { span } from './values';

/** True for the fields of PROTOCOL. */
export function isProtocolField(id: i32): bool {
  return id >= FIELD_MCP_METHOD && id < FIELD_MCP_METHOD + PROTOCOL_FIELDS;
}

/** True when field `id` is there. */
export function hasProtocolField(id: i32): bool {
  return ((load<u32>(PROTOCOL_AT) >> (id - FIELD_MCP_METHOD)) & 1) != 0;
}

/** The value of a field that is there. */
export function protocolField(id: i32): u64 {
  const end: usize = PROTOCOL_AT + PROTOCOL_BYTES;
  let at: usize = PROTOCOL_AT + (PROTOCOL_WORDS << 2);
  // SAFETY: the host wrote the lengths; clamped all the same, so that nothing outside the region is ever a value.
  for (let before = FIELD_MCP_METHOD; before < id; before++) at = min(at + bytesOf(before), end);
  return span(at, <i32>min(bytesOf(id), end - at));
}

function bytesOf(id: i32): usize {
  return <usize>min(load<u32>(PROTOCOL_AT + ((id - FIELD_MCP_METHOD + 1) << 2)), <u32>PROTOCOL_BYTES);
}
