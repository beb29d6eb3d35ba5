// Addresses as text: IPv4, IPv6, and both with a port, as peers and proxies write them.

/** The address part of what `parseAddress` read last, without brackets and port. */
export let addressAt: usize = 0;
export let addressLength: i32 = 0;

/**
 * Reads `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80` into 16 bytes at `out`, IPv4 as ::ffff:a.b.c.d (so that
 * `::ffff:1.2.3.4` is the same client as `1.2.3.4`). False for everything else: zones, leading zeros, names.
 */
export function parseAddress(at: usize, length: i32, out: usize): bool {
  let end = at + <usize>length;
  if (length < 2 || length > 64) return false;
  if (load<u8>(at) == 0x5b) {
    let close = at + 1;
    while (close < end && load<u8>(close) != 0x5d) close++;
    if (close == end || !isPort(close + 1, end)) return false;
    addressAt = at + 1;
    addressLength = <i32>(close - at - 1);
    return parse6(at + 1, close, out);
  }
  let colon: usize = 0;
  let colons = 0;
  for (let p = at; p < end; p++) {
    if (load<u8>(p) != 0x3a) continue;
    colon = p;
    colons++;
  }
  addressAt = at;
  if (colons > 1) {
    addressLength = length;
    return parse6(at, end, out);
  }
  if (colons == 1) {
    if (!isPort(colon, end)) return false;
    end = colon;
  }
  addressLength = <i32>(end - at);
  store<u64>(out, 0);
  store<u32>(out, 0xffff0000, 8);
  return parse4(at, end, out + 12);
}

/** True for nothing, or a colon and one to five digits. */
function isPort(at: usize, end: usize): bool {
  if (at == end) return true;
  if (load<u8>(at) != 0x3a || end - at < 2 || end - at > 6) return false;
  for (let p = at + 1; p < end; p++) if (<u32>load<u8>(p) - 0x30 > 9) return false;
  return true;
}

function parse4(at: usize, end: usize, out: usize): bool {
  for (let part = 0; part < 4; part++) {
    if (part > 0) {
      if (at >= end || load<u8>(at) != 0x2e) return false;
      at++;
    }
    const start = at;
    let value: u32 = 0;
    while (at < end && <u32>load<u8>(at) - 0x30 <= 9 && at - start < 3) value = value * 10 + (<u32>load<u8>(at++) - 0x30);
    // Leading zeros are octal to some readers and decimal to others, so they are refused.
    if (at == start || value > 255 || (at - start > 1 && load<u8>(start) == 0x30)) return false;
    store<u8>(out + <usize>part, <u8>value);
  }
  return at == end;
}

/** Reads IPv6 without brackets into 16 bytes at `out`. */
export function parse6(at: usize, end: usize, out: usize): bool {
  store<u64>(out, 0);
  store<u64>(out, 0, 8);
  let written = 0; // bytes
  let gap = -1; // byte position of `::`
  if (end - at >= 2 && load<u16>(at) == 0x3a3a) {
    gap = 0;
    at += 2;
  }
  while (at < end) {
    if (written >= 16) return false;
    const start = at;
    let value: u32 = 0;
    let digit: i32 = 0;
    while (at < end && at - start < 4 && (digit = hex(load<u8>(at))) >= 0) {
      value = (value << 4) | <u32>digit;
      at++;
    }
    if (at < end && load<u8>(at) == 0x2e) {
      if (written > 12 || !parse4(start, end, out + <usize>written)) return false;
      written += 4;
      at = end;
      break;
    }
    if (at == start) return false;
    store<u8>(out + <usize>written, <u8>(value >> 8));
    store<u8>(out + <usize>written, <u8>value, 1);
    written += 2;
    if (at == end) break;
    if (load<u8>(at) != 0x3a) return false;
    at++;
    if (at < end && load<u8>(at) == 0x3a) {
      if (gap >= 0) return false;
      gap = written;
      at++;
    } else if (at == end) return false; // a single colon at the end
  }
  if (gap < 0) return written == 16;
  if (written > 14) return false;
  const tail = written - gap;
  memory.copy(out + 16 - <usize>tail, out + <usize>gap, <usize>tail);
  memory.fill(out + <usize>gap, 0, <usize>(16 - written));
  return true;
}

// @ts-ignore: decorator
@inline
function hex(byte: u8): i32 {
  if (<u32>byte - 0x30 <= 9) return byte - 0x30;
  const lower = byte | 0x20;
  return <u32>lower - 0x61 <= 5 ? lower - 0x57 : -1;
}
