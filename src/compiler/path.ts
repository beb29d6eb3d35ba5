/**
 * The canonical path, as assembly/path.ts makes it from a request: a policy's paths go through the same rules, so that
 * `/caf%c3%a9`, `/caf%C3%A9` and `/café` in a policy are one path. A property test holds the two against each other.
 */
const encoder = new TextEncoder();
const PLAIN = /^[A-Za-z0-9!$&'()*+,\-./:;=@[\]_|~]$/;
const UNRESERVED = /^[A-Za-z0-9\-._~]$/;

/** `path` is empty or begins with `/`. */
export function canonicalPath(path: string, mergeSlashes = false): string {
  let text = '';
  const bytes = encoder.encode(path);
  for (let i = 0; i < bytes.length; i++) {
    const char = String.fromCharCode(bytes[i]!);
    if (char === '%') {
      const digits = String.fromCharCode(...bytes.subarray(i + 1, i + 3));
      if (/^[0-9a-fA-F]{2}$/.test(digits)) {
        const decoded = String.fromCharCode(Number.parseInt(digits, 16));
        text += UNRESERVED.test(decoded) ? decoded : `%${digits.toUpperCase()}`;
        i += 2;
      } else text += '%25';
    } else text += PLAIN.test(char) ? char : `%${bytes[i]!.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  const segments = text.split('/').slice(1);
  const kept: string[] = [];
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    if (segment === '..') kept.pop();
    if (segment === '.' || segment === '..') {
      if (last) kept.push('');
    } else if (segment !== '' || last || !mergeSlashes) kept.push(segment);
  }
  return `/${kept.join('/')}`;
}
