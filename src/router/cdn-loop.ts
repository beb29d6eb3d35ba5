/** SPEC: RFC 8586: counts how often an id stands in CDN-Loop, `cdn-info *( , cdn-info )`, parameters ignored. */
export function loops(value: string, id: string): number {
  let count = 0;
  for (const part of value.split(',')) {
    const semicolon = part.indexOf(';');
    const name = (semicolon < 0 ? part : part.slice(0, semicolon)).trim();
    if (name.toLowerCase() === id.toLowerCase()) count++;
  }
  return count;
}
