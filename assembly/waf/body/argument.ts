// Arguments of a request, from the query and from the body. Each is one record, as ARGS_GET or ARGS_POST: the other views
// (ARGS, the names) are made of these.
import { VARIABLE_ARGS_COMBINED_SIZE } from '../abi';
import { addValue, setNumber } from '../collections';

let combined: i32 = 0;

/** Forgets the sizes; first thing in a call. */
export function startArguments(): void {
  combined = 0;
}

/** Adds an argument; the bytes are not copied. False when a limit is reached: stop. */
export function addArgument(variable: i32, nameAt: usize, nameLength: i32, at: usize, length: i32): bool {
  combined += nameLength + length;
  return addValue(variable, nameAt, nameLength, at, length);
}

/** Sets ARGS_COMBINED_SIZE, the bytes of all names and values so far; after the query, and again after the body. */
export function setCombinedSize(): bool {
  return setNumber(VARIABLE_ARGS_COMBINED_SIZE, combined);
}
