/** robots.txt as RFC 9309 says it, without a thought of speed: what src/agents/robots.ts is held against. */

interface Rule {
  readonly allow: boolean;
  readonly pattern: string;
}

/** `text` of ASCII alone. */
export function referenceAllows(text: string, agent: string, path: string): boolean {
  const rules = new Map<string, Rule[]>();
  let current: string[] = [];
  let ruled = false;
  for (const line of text.split(/\r\n|\r|\n/)) {
    const [, key = '', value = ''] = /^([^#:]*):([^#]*)/.exec(line) ?? [];
    const name = key.trim().toLowerCase();
    if (name === 'user-agent') {
      if (ruled) current = [];
      ruled = false;
      const token = /^(\*(?=\s|$)|[\w.-]+)/.exec(value.trim())?.[0].toLowerCase();
      if (token === undefined) continue;
      current.push(token);
      if (!rules.has(token)) rules.set(token, []);
    } else if (name === 'allow' || name === 'disallow') {
      ruled = true;
      for (const token of current) rules.get(token)!.push({ allow: name === 'allow', pattern: value.trim() });
    }
  }
  const own = rules.get(agent.toLowerCase()) ?? rules.get('*') ?? [];
  if (path === '/robots.txt') return true;
  const all = own.flatMap((rule) =>
    rule.allow && rule.pattern.endsWith('/index.html')
      ? [rule, { allow: true, pattern: `${rule.pattern.slice(0, -10)}$` }]
      : [rule],
  );
  const matching = all.filter(({ pattern }) => pattern !== '' && matches(pattern, path));
  const longest = Math.max(...matching.map(({ pattern }) => size(pattern)));
  return matching.length === 0 || matching.some(({ allow, pattern }) => allow && size(pattern) === longest);
}

/** The characters of the one form of a text, its special ones apart. */
function units(text: string, pattern: boolean): string[] {
  const out: string[] = [];
  let query = false;
  for (let at = 0; at < text.length; at++) {
    const hex = /^%([0-9a-fA-F]{2})/.exec(text.slice(at))?.[1];
    if (hex !== undefined) {
      at += 2;
      const character = String.fromCharCode(Number.parseInt(hex, 16));
      const plain = /[A-Za-z0-9_.~-]/.test(character) || (query && ':/?@[]'.includes(character));
      out.push(plain ? character : `%${hex.toUpperCase()}`);
      continue;
    }
    const character = text[at]!;
    if (character === '?') query = true;
    if (pattern && character === '*') out.push('ANY');
    else if (pattern && character === '$' && at === text.length - 1) out.push('END');
    else out.push(character === '*' ? '%2A' : character === '$' ? '%24' : character);
  }
  return out.flatMap((unit) => (unit === 'ANY' || unit === 'END' ? [unit] : [...unit]));
}

function size(pattern: string): number {
  return units(pattern, true).length;
}

/** Whether a pattern matches, by a table of all of their beginnings. */
export function matches(pattern: string, path: string): boolean {
  const wanted = units(pattern, true);
  const given = units(path, false);
  let row = new Set([0]); // how much of the path may be used up
  for (const unit of wanted) {
    if (unit === 'END') return row.has(given.length);
    const next = new Set<number>();
    for (const at of row)
      if (unit === 'ANY') for (let to = at; to <= given.length; to++) next.add(to);
      else if (given[at] === unit) next.add(at + 1);
    row = next;
  }
  return row.size > 0;
}
