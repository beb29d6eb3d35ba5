/**
 * robots.txt: which group holds for an agent, and whether that lets it have a path.
 *
 * SPEC: RFC 9309. Time is linear in the file and, for a request, in rules times path; every size has a limit
 * (robots-limits.ts), beyond which a file is read no further.
 */
import { MAX_ROBOTS_AGENTS, MAX_ROBOTS_RULES, MAX_ROBOTS_STEPS, MAX_SORTED_AGENTS } from './robots-limits.ts';
import { robotsLines } from './robots-line.ts';
import { matchesPath, robotsPath, robotsPattern, type RobotsPattern } from './robots-pattern.ts';

/** Rules for the agents that are named before them. */
export interface RobotsGroup {
  /** Product tokens in lower case; `*`: who is named nowhere. */
  readonly agents: readonly string[];
  readonly rules: readonly RobotsRule[];
}

export interface RobotsRule {
  readonly allow: boolean;
  /** As written: bytes, each as one character. */
  readonly path: string;
}

/** The groups of a file (see `robotsText`), in order; those without rules too, since who is named there is not `*`. */
export function readRobots(text: string): RobotsGroup[] {
  const groups: { agents: string[]; rules: RobotsRule[] }[] = [];
  let group: { agents: string[]; rules: RobotsRule[] } | null = null;
  let agents = 0;
  let rules = 0;
  for (const { kind, value } of robotsLines(text)) {
    if (kind === 'user-agent') {
      // Lines that are no rules, such as Sitemap, end no group.
      if (group === null || group.rules.length > 0) groups.push((group = { agents: [], rules: [] }));
      const token = tokenOf(value);
      if (++agents > MAX_ROBOTS_AGENTS) break;
      if (token !== '') group.agents.push(token);
    } else if (kind === 'allow' || kind === 'disallow') {
      if (group === null) continue; // outside of any group
      if (++rules > MAX_ROBOTS_RULES) break;
      group.rules.push({ allow: kind === 'allow', path: value });
    }
  }
  return groups;
}

/**
 * The product token of a User-agent line, in lower case; '' for none. What follows it (`/2.1`, other words) is not part of
 * it. Digits and dots are, other than in RFC 9309 section 2.2.1: real agents have them (AI2Bot, 360Spider).
 */
export function tokenOf(value: string): string {
  return /^(?:\*(?=\s|$)|[A-Za-z0-9_.-]+)/.exec(value)?.[0].toLowerCase() ?? '';
}

/** Whether an agent can be named in a file. */
export function isProductToken(token: string): boolean {
  return /^[A-Za-z0-9_.-]{1,200}$/.test(token);
}

interface SortedRule {
  readonly allow: boolean;
  readonly pattern: RobotsPattern;
}

/** Answers for one file. */
export class RobotsMatcher {
  readonly #groups: readonly RobotsGroup[];
  /** By token, `*` among them; those that were asked for last. */
  readonly #sorted = new Map<string, readonly SortedRule[] | null>();

  constructor(groups: readonly RobotsGroup[]) {
    this.#groups = groups;
  }

  /** Whether a group names the agent. `token` in any case. */
  names(token: string): boolean {
    return this.#rules(token) !== null;
  }

  /**
   * Whether the agent may have the path (with its query): by the groups that name it, else, where `anybody` is set, by
   * those of `*`. Of the rules that match, the longest holds, and of two as long the one that allows.
   */
  allows(token: string, path: string, anybody = true): boolean {
    const rules = this.#rules(token) ?? (anybody ? this.#rules('*') : null);
    if (rules === null || rules.length === 0) return true;
    const form = robotsPath(path);
    // SPEC: RFC 9309 section 2.2.2: the file itself is implicitly allowed.
    if (form === '/robots.txt') return true;
    let steps = MAX_ROBOTS_STEPS;
    for (const { allow, pattern } of rules) {
      if (!form.startsWith(pattern.parts[0] as string)) continue;
      if (pattern.parts.length > 1 && (steps -= form.length) < 0) continue;
      if (matchesPath(pattern, form)) return allow;
    }
    return true;
  }

  /** Rules of all groups that name the token, the longest first; null: none does. */
  #rules(token: string): readonly SortedRule[] | null {
    if (token !== '*' && !isProductToken(token)) return null;
    const key = token.toLowerCase();
    let rules = this.#sorted.get(key);
    if (rules !== undefined) return rules;
    const groups = this.#groups.filter(({ agents }) => agents.includes(key));
    rules = groups.length === 0 ? null : sorted(groups.flatMap((group) => group.rules));
    if (this.#sorted.size >= MAX_SORTED_AGENTS) this.#sorted.delete(this.#sorted.keys().next().value as string);
    this.#sorted.set(key, rules);
    return rules;
  }
}

function sorted(rules: readonly RobotsRule[]): SortedRule[] {
  const found: SortedRule[] = [];
  for (const { allow, path } of rules) {
    const pattern = robotsPattern(path);
    if (pattern !== null) found.push({ allow, pattern });
    // As Google has it: who may have the index of a folder may have the folder.
    const folder = allow && path.endsWith('/index.html') ? robotsPattern(`${path.slice(0, -10)}$`) : null;
    if (folder !== null) found.push({ allow, pattern: folder });
  }
  return found.sort((a, b) => b.pattern.length - a.pattern.length || Number(b.allow) - Number(a.allow));
}
