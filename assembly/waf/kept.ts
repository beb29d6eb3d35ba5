// What the scan works out from the program alone, and keeps from one call to the next at SCAN_AT: of what requests brought
// only common headers are in it (remembered.ts), else which kinds of strings there were; each entry is looked up by all that it
// depends on.
import { SCAN_AT, SCAN_BYTES } from '../abi';
import { program, setAt, setCount } from './program';

// Of whom it is. An instance begins with nobody, as memory may hold what another one left.
let owner: u64 = 0;
let next: u64 = 0; // ... once all of it is made
let fresh: bool = true;
let top: usize = SCAN_AT;

/** Images have changed: another program may stand where the owner stood. */
export function forgetKept(): void {
  owner = 0;
}

/**
 * Begins a call of the current program. What is fresh belongs to nobody until `finishKept`: a call that runs out of the arena
 * in between would leave to the next one what another program made.
 */
export function startKept(): void {
  let key: u64 = <u64>program;
  for (let i = 0; i < setCount; i++) key = key * 0x9e3779b97f4a7c15 + <u64>setAt(i);
  fresh = key != owner;
  if (fresh) owner = 0;
  next = key;
  top = SCAN_AT;
}

/** All that is taken in a call has been taken and readied. */
export function finishKept(): void {
  owner = next;
}

/** Nothing of what is taken in this call was kept. */
export function isFresh(): bool {
  return fresh;
}

/** Bytes that are left to take. */
export function restOfKept(): i32 {
  return <i32>(<usize>(SCAN_AT + SCAN_BYTES) - top) & ~7;
}

/** Room of so many bytes, in each call of a program in the same order and of the same sizes; 0 when there is not enough. */
export function takeKept(bytes: i32): usize {
  if (bytes > restOfKept()) return 0;
  const at = top;
  top = (top + <usize>bytes + 7) & ~7;
  return at;
}
