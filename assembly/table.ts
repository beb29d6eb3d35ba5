// Hash tables of strings inside an image; see "hash tables" in abi.ts.
import { TABLE_HEADER_BYTES, TABLE_SLOT_BYTES } from './abi';
import { equalBytes } from './hash';

/** True when the table at `table`, `length` bytes long, is sound and its strings lie inside the pool. */
export function checkTable(table: usize, length: i32, poolLength: i32): bool {
  if (length < TABLE_HEADER_BYTES) return false;
  const slots = load<u32>(table);
  const probe = load<u32>(table, 4);
  if (slots == 0 || (slots & (slots - 1)) != 0 || slots > 0x4000000) return false;
  if (<u64>slots * TABLE_SLOT_BYTES + TABLE_HEADER_BYTES != <u64>(<u32>length)) return false;
  if (probe == 0 || probe > slots) return false;
  for (let i: u32 = 0; i < slots; i++) {
    const slot = table + TABLE_HEADER_BYTES + <usize>i * TABLE_SLOT_BYTES;
    if (<u64>load<u32>(slot, 4) + <u64>load<u32>(slot, 8) > <u64>(<u32>poolLength)) return false;
  }
  return true;
}

/** Address of the slot that holds these bytes, or 0. `hash` is their finished hash, `pool` the image's strings. */
export function findSlot(table: usize, pool: usize, hash: u32, at: usize, length: i32): usize {
  const mask = load<u32>(table) - 1;
  // SAFETY: slots is a power of two and probes never exceed it, both by checkTable; every slot address is in the table.
  let probes = load<u32>(table, 4);
  for (let i = hash & mask; probes != 0; probes--, i = (i + 1) & mask) {
    const slot = table + TABLE_HEADER_BYTES + <usize>i * TABLE_SLOT_BYTES;
    const slotLength = load<i32>(slot, 8);
    if (slotLength == 0) return 0;
    if (load<u32>(slot) == hash && slotLength == length && equalBytes(pool + load<u32>(slot, 4), at, length)) return slot;
  }
  return 0;
}
