/** Value of a cookie in a Cookie header, '' if it is not there. The first of that name wins. */
export function cookieOf(header: string, name: string): string {
  let at = 0;
  while (at < header.length) {
    let end = header.indexOf(';', at);
    if (end < 0) end = header.length;
    while (header.charCodeAt(at) === 0x20) at++;
    if (header.startsWith(name, at) && header.charCodeAt(at + name.length) === 0x3d)
      return header.slice(at + name.length + 1, end).trim();
    at = end + 1;
  }
  return '';
}
