// md5, sha1 and length: what takes the place of a value altogether.
// SPEC: RFC 1321, RFC 3174. Both digests are raw bytes, of 16 and 20.
import { begin, finish } from './output';

// floor(2^32 * abs(sin(i + 1)))
const SINES = memory.data<u32>([
  0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af,
  0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa,
  0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
  0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
  0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97,
  0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
  0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
]);
const SHIFTS = memory.data<u8>([7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]);
const STATE = memory.data(20, 4);
const WORDS = memory.data(320, 4); // sha1's schedule
const TAIL = memory.data(128, 16); // the last bytes of a message with their padding

/** Writes the message's last, incomplete block and the padding into TAIL; the number of bytes there, 64 or 128. */
function pad(at: usize, length: i32): usize {
  const rest = <usize>(length & 63);
  memory.fill(TAIL, 0, 128);
  memory.copy(TAIL, at + <usize>(length & ~63), rest);
  store<u8>(TAIL + rest, 0x80);
  return rest < 56 ? 64 : 128;
}

export function md5(at: usize, length: i32): bool {
  const start = begin(length, 16);
  if (start == 0) return false;
  store<u32>(STATE, 0x67452301);
  store<u32>(STATE, 0xefcdab89, 4);
  store<u32>(STATE, 0x98badcfe, 8);
  store<u32>(STATE, 0x10325476, 12);
  const whole = <usize>(length & ~63);
  for (let p: usize = 0; p < whole; p += 64) md5Block(at + p);
  const tail = pad(at, length);
  store<u64>(TAIL + tail - 8, <u64>length << 3);
  for (let p: usize = 0; p < tail; p += 64) md5Block(TAIL + p);
  memory.copy(start, STATE, 16);
  return finish(at, -1, start, start + 16);
}

function md5Block(block: usize): void {
  let a = load<u32>(STATE);
  let b = load<u32>(STATE, 4);
  let c = load<u32>(STATE, 8);
  let d = load<u32>(STATE, 12);
  for (let i: u32 = 0; i < 64; i++) {
    const round = i >> 4;
    let mixed: u32;
    let word: u32;
    if (round == 0) {
      mixed = (b & c) | (~b & d);
      word = i;
    } else if (round == 1) {
      mixed = (d & b) | (~d & c);
      word = i * 5 + 1;
    } else if (round == 2) {
      mixed = b ^ c ^ d;
      word = i * 3 + 5;
    } else {
      mixed = c ^ (b | ~d);
      word = i * 7;
    }
    mixed += a + load<u32>(SINES + (<usize>i << 2)) + load<u32>(block + (<usize>(word & 15) << 2));
    a = d;
    d = c;
    c = b;
    b += rotl(mixed, <u32>load<u8>(SHIFTS + <usize>((round << 2) | (i & 3))));
  }
  store<u32>(STATE, load<u32>(STATE) + a);
  store<u32>(STATE, load<u32>(STATE, 4) + b, 4);
  store<u32>(STATE, load<u32>(STATE, 8) + c, 8);
  store<u32>(STATE, load<u32>(STATE, 12) + d, 12);
}

export function sha1(at: usize, length: i32): bool {
  const start = begin(length, 20);
  if (start == 0) return false;
  store<u32>(STATE, 0x67452301);
  store<u32>(STATE, 0xefcdab89, 4);
  store<u32>(STATE, 0x98badcfe, 8);
  store<u32>(STATE, 0x10325476, 12);
  store<u32>(STATE, 0xc3d2e1f0, 16);
  const whole = <usize>(length & ~63);
  for (let p: usize = 0; p < whole; p += 64) sha1Block(at + p);
  const tail = pad(at, length);
  store<u64>(TAIL + tail - 8, bswap(<u64>length << 3));
  for (let p: usize = 0; p < tail; p += 64) sha1Block(TAIL + p);
  for (let i: usize = 0; i < 20; i += 4) store<u32>(start + i, bswap(load<u32>(STATE + i)));
  return finish(at, -1, start, start + 20);
}

function sha1Block(block: usize): void {
  for (let i: usize = 0; i < 64; i += 4) store<u32>(WORDS + i, bswap(load<u32>(block + i)));
  for (let i = WORDS + 64; i < WORDS + 320; i += 4) {
    store<u32>(i, rotl(load<u32>(i - 12) ^ load<u32>(i - 32) ^ load<u32>(i - 56) ^ load<u32>(i - 64), 1));
  }
  let a = load<u32>(STATE);
  let b = load<u32>(STATE, 4);
  let c = load<u32>(STATE, 8);
  let d = load<u32>(STATE, 12);
  let e = load<u32>(STATE, 16);
  for (let i: u32 = 0; i < 80; i++) {
    let mixed: u32;
    if (i < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999;
    else if (i < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
    else if (i < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    else mixed = (b ^ c ^ d) + 0xca62c1d6;
    mixed += rotl(a, 5) + e + load<u32>(WORDS + (<usize>i << 2));
    e = d;
    d = c;
    c = rotl(b, 30);
    b = a;
    a = mixed;
  }
  store<u32>(STATE, load<u32>(STATE) + a);
  store<u32>(STATE, load<u32>(STATE, 4) + b, 4);
  store<u32>(STATE, load<u32>(STATE, 8) + c, 8);
  store<u32>(STATE, load<u32>(STATE, 12) + d, 12);
  store<u32>(STATE, load<u32>(STATE, 16) + e, 16);
}

/** The number of bytes, in decimal. */
export function lengthOf(at: usize, length: i32): bool {
  const start = begin(0, 10);
  if (start == 0) return false;
  let digits = 1;
  for (let rest = length / 10; rest > 0; rest /= 10) digits++;
  let rest = length;
  for (let to = start + <usize>digits; to > start; rest /= 10) store<u8>(--to, <u8>(0x30 + (rest % 10)));
  return finish(at, length, start, start + <usize>digits);
}
