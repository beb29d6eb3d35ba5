// cmdLine: the spelling of a command as a shell or cmd.exe would run it.
import { begin, finish } from './output';

/**
 * Takes `"`, `'`, `\` and `^` away, makes one space of every run of space, `,`, `;`, tab, carriage return and line feed, takes
 * it away before `/` and `(`, and lowers letters. ModSecurity 2 stops at a NUL byte, for no reason but C's strings; that
 * would hide the rest of a value from a rule, so here, as in ModSecurity 3, it is a byte like any other.
 */
export function cmdLine(at: usize, length: i32): bool {
  const start = begin(length, length);
  if (start == 0) return false;
  let to = start;
  let space = false;
  for (const end = at + <usize>length; at < end; at++) {
    const byte = <u32>load<u8>(at);
    switch (byte) {
      case 0x22:
      case 0x27:
      case 0x5c:
      case 0x5e:
        continue;
      case 0x20:
      case 0x2c:
      case 0x3b:
      case 0x09:
      case 0x0d:
      case 0x0a:
        if (!space) store<u8>(to++, 0x20);
        space = true;
        continue;
      case 0x2f:
      case 0x28:
        if (space) to--;
        break;
    }
    store<u8>(to++, <u8>(byte - 0x41 < 26 ? byte | 0x20 : byte));
    space = false;
  }
  return finish(at - <usize>length, length, start, to);
}
