// What agents cost in the engine, apart from the head call: a user agent classified, an address looked up. Compiled with the
// engine's own flags, for the benchmark only.
import { listsWith } from '../../assembly/agents/addresses';
import { classify } from '../../assembly/agent';
import { reset } from '../../assembly/arena';

export { open } from '../../assembly/index';

/** Index of the agent whose user agent is the `length` bytes at `at`, or -1. */
export function agent(image: usize, at: usize, length: i32): i32 {
  reset();
  return classify(image, at, length);
}

/** Looks up `count` addresses of 16 bytes each; how many are in a list. */
export function lookUp(image: usize, at: usize, count: i32): i32 {
  let found = 0;
  for (let i = 0; i < count; i++) found += i32(listsWith(image, at + ((<usize>i) << 4)) != 0);
  return found;
}
