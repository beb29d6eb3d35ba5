/** Addresses and CIDR blocks as text, and their ranges as the engine wants them. */

export interface Cidr {
  readonly version: 4 | 6;
  /** 16 bytes in network order; IPv4 as ::ffff:a.b.c.d. */
  readonly address: Uint8Array;
  /** Prefix length within the version: 0 to 32 or 0 to 128. */
  readonly prefix: number;
}

/** Reads an address or a block; undefined when it is neither. Host bits may be set; they are ignored. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = text.includes(':') ? 128 : 32;
  let prefix = bits;
  if (slash >= 0) {
    const digits = text.slice(slash + 1);
    if (!/^(0|[1-9][0-9]{0,2})$/.test(digits)) return undefined;
    prefix = Number(digits);
    if (prefix > bits) return undefined;
  }
  // An IPv4 block in IPv6 clothes is an IPv4 block, as clients are compared in that form.
  if (bits === 128 && isMapped(address) && prefix >= 96) return { version: 4, address, prefix: prefix - 96 };
  return { version: bits === 32 ? 4 : 6, address, prefix };
}

function isMapped(address: Uint8Array): boolean {
  return address.subarray(0, 10).every((byte) => byte === 0) && address[10] === 255 && address[11] === 255;
}

/** 16 bytes in network order (IPv4 mapped), or undefined. No zone, no port, no leading zeros in IPv4. */
export function parseAddress(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  if (!text.includes(':')) {
    const four = parse4(text);
    if (four === undefined) return undefined;
    bytes[10] = bytes[11] = 255;
    bytes.set(four, 12);
    return bytes;
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [left, right] = halves.map((half) => (half === '' ? [] : groups(half)));
  if (left === undefined || (halves.length === 2 && right === undefined)) return undefined;
  if (halves.length === 1) {
    if (left.length !== 16) return undefined;
    bytes.set(left);
    return bytes;
  }
  if (left.length + right!.length > 14 || (left.length > 0 && halves[0]!.includes('.'))) return undefined;
  bytes.set(left);
  bytes.set(right!, 16 - right!.length);
  return bytes;
}

function groups(text: string): number[] | undefined {
  const bytes: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.') && index === parts.length - 1) {
      const four = parse4(part);
      if (four === undefined) return undefined;
      bytes.push(...four);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      const value = Number.parseInt(part, 16);
      bytes.push(value >> 8, value & 255);
    }
  }
  return bytes;
}

function parse4(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const bytes: number[] = [];
  for (const part of parts) {
    // Leading zeros are octal to some readers and decimal to others, so they are refused.
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bytes.push(Number(part));
  }
  return bytes;
}

/** Sorted, disjoint, inclusive ranges; throws RangeError when an item is not an address or block. */
export function addressRanges(items: readonly string[]): {
  v4: [low: number, high: number][];
  v6: [low: Uint8Array, high: Uint8Array][];
} {
  const ranges4: [bigint, bigint][] = [];
  const ranges6: [bigint, bigint][] = [];
  for (const item of items) {
    const cidr = parseCidr(item);
    if (cidr === undefined) throw new RangeError(`${JSON.stringify(item)} is not an address or CIDR block`);
    const bits = cidr.version === 4 ? 32n : 128n;
    let value = 0n;
    for (const byte of cidr.version === 4 ? cidr.address.subarray(12) : cidr.address)
      value = (value << 8n) | BigInt(byte);
    const size = bits - BigInt(cidr.prefix);
    const low = (value >> size) << size;
    (cidr.version === 4 ? ranges4 : ranges6).push([low, low + (1n << size) - 1n]);
  }
  return {
    v4: merge(ranges4).map(([low, high]) => [Number(low), Number(high)]),
    v6: merge(ranges6).map(([low, high]) => [sixteen(low), sixteen(high)]),
  };
}

function merge(ranges: [bigint, bigint][]): [bigint, bigint][] {
  ranges.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  const merged: [bigint, bigint][] = [];
  for (const [low, high] of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && low <= last[1] + 1n) last[1] = high > last[1] ? high : last[1];
    else merged.push([low, high]);
  }
  return merged;
}

function sixteen(value: bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  for (let i = 15; i >= 0; i--, value >>= 8n) bytes[i] = Number(value & 255n);
  return bytes;
}
