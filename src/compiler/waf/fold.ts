/** Folding: what the settings decide before any request comes is decided here. */
import type { Prepared } from './prepare.ts';

export function foldRules(prepared: Prepared): Prepared {
  return prepared;
}
