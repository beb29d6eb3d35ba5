// The Cookie header as ModSecurity's "version 0" reads it: names lose the blanks before them, nothing is decoded, values
// stay as they are, quotes included.
import { spend } from '../../arena';
import { VARIABLE_REQUEST_COOKIES } from '../abi';
import { addValue } from '../collections';

/** Adds the cookies of one Cookie header line as REQUEST_COOKIES. False when a limit is reached: stop. */
export function parseCookies(at: usize, length: i32): bool {
  if (!spend(length)) return false;
  const end = at + <usize>length;
  const separator = separatorOf(at, end);
  for (let p = at; p < end; p++) {
    while (p < end && blank(load<u8>(p))) p++;
    const name = p;
    let equals: usize = 0;
    for (; p < end; p++) {
      const byte = load<u8>(p);
      if (byte == separator) break;
      if (byte == 0x3d && equals == 0) equals = p;
    }
    const nameEnd = equals == 0 ? p : equals;
    const value = equals == 0 ? p : equals + 1;
    // ModSecurity drops what has no name; we keep it where it has a value, since frameworks do (RFC 6265bis).
    if (nameEnd == name && value == p) continue;
    if (!addValue(VARIABLE_REQUEST_COOKIES, name, <i32>(nameEnd - name), value, <i32>(p - value))) return false;
  }
  return true;
}

/** `;`, or `,` where there is no `;` at all and a blank follows the first comma: joined lines of clients that do so. */
function separatorOf(at: usize, end: usize): u8 {
  let comma: usize = 0;
  for (let p = at; p < end; p++) {
    const byte = load<u8>(p);
    if (byte == 0x3b) return 0x3b;
    if (byte == 0x2c && comma == 0) comma = p;
  }
  return comma != 0 && comma + 1 < end && load<u8>(comma, 1) == 0x20 ? 0x2c : 0x3b;
}

/** White space of C's isspace. */
// @ts-ignore: decorator
@inline
function blank(byte: u8): bool {
  return byte == 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
