/** The managed part of robots.txt and the origin's own file, as one file. */
import { MAX_ROBOTS_BYTES } from './robots-limits.ts';
import { robotsLines } from './robots-line.ts';
import { tokenOf } from './robots.ts';

/**
 * Both are texts of bytes (see `robotsText`). SPEC: RFC 9309 section 2.2.1: groups of one agent are one, and of two rules as
 * long as each other the one that allows holds. So an origin that allows `/` to an agent of `refused` would undo what is
 * managed: its groups for such agents are left out. So are rules above its first group, which would become part of the last
 * managed one. The end is cut, at a line, where the whole would be longer than crawlers read.
 */
export function mergeRobots(managed: string, origin: string, refused: readonly string[]): string {
  const kept: string[] = [];
  let room = MAX_ROBOTS_BYTES - managed.length - 1;
  let agents = -1; // of the group, -1 above the first one
  let ruled = false;
  for (const { kind, value, from, to } of robotsLines(origin)) {
    if (kind === 'user-agent') {
      if (agents < 0 || ruled) agents = 0;
      ruled = false;
      if (refused.includes(tokenOf(value))) continue;
      agents++;
    } else if (kind === 'allow' || kind === 'disallow') {
      ruled = true;
      if (agents <= 0) continue;
    } else if (kind === 'other' && agents === 0) continue; // of a group without agents, such as Crawl-delay
    room -= to - from;
    if (room < 0) break;
    kept.push(origin.slice(from, to));
  }
  const rest = kept.join('');
  return rest === '' ? managed : managed === '' ? rest : `${managed}\n${rest}`;
}
