/** Names by patterns in which `*` stands for any characters, also none; everything else stands for itself, case included. */

/** SAFETY: takes at most length of name times length of pattern steps; both are bounded where they come from. */
export function matchesPattern(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let from = 0;
  let index = 0;
  while (index < name.length) {
    if (pattern[at] === '*') {
      star = at++;
      from = index;
    } else if (at < pattern.length && pattern[at] === name[index]) {
      at++;
      index++;
    } else if (star >= 0) {
      // The last star takes one more character; those before it took as few as they could, and more would not help.
      at = star + 1;
      index = ++from;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

/** Deny goes before allow; `allow` null allows all. */
export interface NameFilter {
  readonly allow: readonly string[] | null;
  readonly deny: readonly string[];
}

export function allows({ allow, deny }: NameFilter, name: string): boolean {
  if (deny.some((pattern) => matchesPattern(pattern, name))) return false;
  return allow === null || allow.some((pattern) => matchesPattern(pattern, name));
}
