/** Paths of files that rules name, and patterns of them. Text only: what is read is the caller's affair. */

/** `..` and `.` resolved; stays relative when it is. */
export function normalizePath(path: string): string {
  const absolute = path.startsWith('/');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '..' || !absolute) parts.push(part);
  }
  return (absolute ? '/' : '') + parts.join('/');
}

/** `path` as the file `from` means it: relative to its folder. */
export function resolvePath(from: string, path: string): string {
  const folder = from.includes('/') ? from.slice(0, from.lastIndexOf('/') + 1) : '';
  return normalizePath(path.startsWith('/') ? path : folder + path);
}

export const isPattern = (path: string): boolean => /[*?[]/.test(path);

/**
 * Files that `pattern` means, in the order of their names. `list` gives the names in a folder (files and folders), or
 * null when there is none.
 */
export function expandPattern(pattern: string, list: (folder: string) => readonly string[] | null): string[] {
  const absolute = pattern.startsWith('/');
  let found: string[] = [absolute ? '/' : ''];
  for (const part of pattern.split('/').filter((segment) => segment !== '')) {
    found = found.flatMap((folder) => {
      const join = (name: string): string => (folder === '' || folder === '/' ? folder + name : `${folder}/${name}`);
      if (!isPattern(part)) return [join(part)];
      const names = list(folder === '' ? '.' : folder) ?? [];
      // SPEC: as in a shell, a name that begins with a dot is meant only where the pattern begins with one.
      const visible = names.filter((name) => !name.startsWith('.') || part.startsWith('.'));
      return visible
        .filter((name) => matches(part, name))
        .toSorted(byCode)
        .map(join);
    });
  }
  return found;
}

const byCode = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `*`, `?` and `[a-z]`, `[!a-z]`; without backtracking but for the last `*`. */
export function matches(pattern: string, name: string): boolean {
  let at = 0;
  let from = 0;
  let star = -1;
  let resume = 0;
  while (from < name.length) {
    const width = at < pattern.length && pattern[at] !== '*' ? one(pattern, at, name[from]!) : 0;
    if (width > 0) {
      at += width;
      from++;
    } else if (pattern[at] === '*') {
      star = at++;
      resume = from;
    } else if (star >= 0) {
      at = star + 1;
      from = ++resume;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

/** Length of the item of the pattern at `at` if it matches `character`, else 0. */
function one(pattern: string, at: number, character: string): number {
  if (pattern[at] === '?') return 1;
  const close = pattern[at] === '[' ? pattern.indexOf(']', at + 2) : -1;
  if (close < 0) return pattern[at] === character ? 1 : 0;
  const inside = pattern.slice(at + 1, close);
  const negated = /^[!^]/.test(inside);
  const set = negated ? inside.slice(1) : inside;
  let member = false;
  for (let i = 0; i < set.length; i++) {
    if (set[i + 1] === '-' && i + 2 < set.length) {
      member ||= character >= set[i]! && character <= set[i + 2]!;
      i += 2;
    } else member ||= character === set[i];
  }
  return member === negated ? 0 : close + 1 - at;
}
