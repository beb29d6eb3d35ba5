/**
 * The agents image: our table of AI agents, then crawler-user-agents, then a few tokens of HTTP clients, as one automaton.
 *
 * Precedence: what names itself comes before the tools it is built with, our table before the package (it knows purposes),
 * and a longer token before a shorter one (`Google-NotebookLM` before `NotebookLM`). Last come bots that nobody lists, but that
 * say what they are.
 *
 * The package's patterns are bare substrings, which is where false alarms come from (a CUBOT phone, `LCC` inside SLCC2). A
 * pattern gets a word boundary on each side where every user agent that the package lists for it has one.
 */
import crawlers from 'crawler-user-agents';
import {
  KIND_AGENTS,
  SECTION_AGENTS,
  SECTION_LITERALS,
  SECTION_PLAN,
  SECTION_REGEXES,
  SECTION_STRINGS,
} from '../../../assembly/abi.ts';
import { TOKEN_CASE, TOKEN_FIRST, TOKEN_LEFT, TOKEN_RIGHT } from '../../../assembly/agents/abi.ts';
import { ByteWriter, ImageWriter, RegexPool, StringPool } from '../image.ts';
import { Effort } from '../regex/index.ts';
import { compileLiterals, requiredLiterals, type Literal } from '../regex/literals.ts';
import { parse } from '../regex/parse.ts';
import type { Node } from '../regex/syntax.ts';
import { listsOf } from './address-lists.ts';
import type { AgentCategory } from './category.ts';
import { CLIENT_TOKENS, UNLISTED, UNLISTED_NAME } from './clients.ts';
import { AGENT_TABLE } from './table.ts';

/** Patterns of the package that real browsers match, or that never reach a server. */
export const LEFT_OUT: ReadonlyMap<string, string> = new Map([
  ['MetaIAB Facebook', 'the in-app browser of Facebook: a person'],
  ['Fluid', 'site-specific browsers on macOS: a person'],
  ['Code\\/1\\.', 'an editor whose windows browse: a person, or an agent that cannot be told from one'],
  ['Trae\\/', 'the same'],
  ['Google-Extended', 'a name for robots.txt, never sent'],
]);
/** Apps whose in-app browsers append the same word; alone at the front it is their link preview. */
const FIRST_ONLY = new Set(['WhatsApp', 'Viber']);

const CATEGORY_OF_TAG: ReadonlyMap<string, AgentCategory> = new Map([
  ['ai-crawler', 'ai'],
  ['search-engine', 'search'],
  ['http-library', 'library'],
  ['browser-automation', 'automation'],
  ['social-preview', 'preview'],
  ['archiver', 'archive'],
  ['feed-reader', 'feed'],
  ['advertising', 'advertising'],
  ['monitoring', 'monitoring'],
  ['scanner', 'scanner'],
  ['academic', 'academic'],
  ['seo', 'seo'],
]);

export interface Agent {
  readonly name: string;
  readonly operator: string;
  readonly category: AgentCategory;
}

interface Entry extends Agent {
  readonly rank: number; // of its source, lower first
  readonly size: number; // characters that it asks for
  readonly flags: number;
  readonly token: string; // as written; '' with a regex
  readonly literals: readonly string[]; // lower case, bytes
  readonly regex: string | null;
}

/** Agents in order of precedence; the engine's answer is an index into it. */
export function listAgents(): readonly Agent[] {
  return entries().map(toAgent);
}

function toAgent({ name, operator, category }: Agent): Agent {
  return { name, operator, category };
}

/** The image, of KIND_AGENTS; `from`: other patterns than those of the package, for the benchmark. */
export function compileAgents(from: readonly Crawler[] = crawlers): Uint8Array {
  const all = entries(from);
  const strings = new StringPool();
  const regexes = new RegexPool(new Effort(Number.POSITIVE_INFINITY)); // the patterns are our own
  const agents = new ByteWriter().u32(all.length).u32(all.length);
  for (const { name, operator, category } of all) {
    for (const text of [name, operator, category]) {
      const span = strings.add(text);
      agents.u32(span.at).u32(span.length);
    }
    agents.u32(listsOf(name));
  }
  const literals: Literal[] = [];
  all.forEach((entry, id) => {
    const token = strings.add(entry.token);
    const regex = entry.regex === null ? 0xffffffff : regexes.add(entry.regex, {});
    agents.u32(id).u32(entry.flags).u32(token.at).u32(token.length).u32(regex);
    for (const text of entry.literals)
      literals.push({ bytes: Uint8Array.from(text, (char) => char.charCodeAt(0)), id });
  });
  const image = new ImageWriter(KIND_AGENTS);
  image.section(SECTION_AGENTS, agents.finish());
  image.section(SECTION_LITERALS, compileLiterals(literals, all.length, true));
  image.section(SECTION_REGEXES, regexes.bytes());
  image.section(SECTION_STRINGS, strings.bytes());
  image.section(SECTION_PLAN, new TextEncoder().encode(JSON.stringify(all.map(toAgent))));
  return image.finish();
}

function entries(from: readonly Crawler[] = crawlers): Entry[] {
  const tools = (category: AgentCategory): boolean => category === 'library' || category === 'automation';
  const all: Entry[] = [];
  for (const [name, token, operator, category, match] of AGENT_TABLE) {
    if (match === 'none') continue;
    all.push(word({ name, operator, category }, tools(category) ? 2 : 0, token, match === 'first' ? TOKEN_FIRST : 0));
  }
  for (const crawler of from) {
    if (LEFT_OUT.has(crawler.pattern)) continue;
    const category = categoryOf(crawler);
    all.push(
      fromPattern(
        crawler,
        { name: nameOf(crawler.pattern), operator: operatorOf(crawler), category },
        tools(category) ? 2 : 1,
      ),
    );
  }
  for (const [token, category, match] of CLIENT_TOKENS) {
    all.push(word({ name: token, operator: 'unknown', category }, 2, token, match === 'first' ? TOKEN_FIRST : 0));
  }
  for (const [regex, literal] of UNLISTED) {
    const agent = { name: UNLISTED_NAME, operator: 'unknown', category: 'crawler' } as const;
    all.push({ ...agent, rank: 3, size: literal.length, flags: 0, token: '', literals: [literal], regex });
  }
  const order = new Map(all.map((entry, index) => [entry, index]));
  return all.sort((a, b) => a.rank - b.rank || b.size - a.size || order.get(a)! - order.get(b)!);
}

function word(agent: Agent, rank: number, token: string, flags: number): Entry {
  const sides = (isWord(token[0]!) ? TOKEN_LEFT : 0) | (isWord(token.at(-1)!) ? TOKEN_RIGHT : 0);
  return {
    ...agent,
    rank,
    size: token.length,
    flags: flags | sides,
    token,
    literals: [token.toLowerCase()],
    regex: null,
  };
}

export interface Crawler {
  readonly pattern: string;
  readonly url?: string;
  readonly instances: readonly string[];
  readonly tags?: readonly string[];
}

function fromPattern(crawler: Crawler, agent: Agent, rank: number): Entry {
  const regex = parse(crawler.pattern, {});
  const token = literalOf(regex.root);
  if (token !== null) {
    const flags = TOKEN_CASE | boundaries(token, crawler.instances) | (FIRST_ONLY.has(token) ? TOKEN_FIRST : 0);
    return { ...agent, rank, size: token.length, flags, token, literals: [token.toLowerCase()], regex: null };
  }
  const literals = requiredLiterals(regex);
  if (literals === null) throw new Error(`no literal to look for in ${crawler.pattern}`);
  const size = Math.min(...literals.map((text) => text.length));
  return { ...agent, rank, size, flags: 0, token: '', literals, regex: crawler.pattern };
}

/** The text that the pattern stands for, if it is nothing but text. */
function literalOf(node: Node): string | null {
  if (node.type === 'class') {
    return node.set.length === 2 && node.set[0] === node.set[1] ? String.fromCharCode(node.set[0]!) : null;
  }
  if (node.type !== 'concat') return null;
  const parts = node.items.map(literalOf);
  return parts.every((part) => part !== null) ? parts.join('') : null;
}

function boundaries(token: string, instances: readonly string[]): number {
  const holds = (side: (text: string, at: number) => boolean): boolean =>
    instances.every((text) => {
      for (let at = text.indexOf(token); at >= 0; at = text.indexOf(token, at + 1)) if (side(text, at)) return true;
      return false;
    });
  // Both sides have to hold at one and the same place.
  const left = (text: string, at: number): boolean => !isWord(text[at - 1]);
  const right = (text: string, at: number): boolean => !isWord(text[at + token.length]);
  const sides = (isWord(token[0]!) ? TOKEN_LEFT : 0) | (isWord(token.at(-1)!) ? TOKEN_RIGHT : 0);
  if (holds((text, at) => left(text, at) && right(text, at))) return sides;
  if (holds(left)) return sides & TOKEN_LEFT;
  return holds(right) ? sides & TOKEN_RIGHT : 0;
}

function isWord(char: string | undefined): boolean {
  return char !== undefined && /[A-Za-z0-9]/.test(char);
}

function categoryOf(crawler: Crawler): AgentCategory {
  for (const [tag, category] of CATEGORY_OF_TAG) if (crawler.tags?.includes(tag)) return category;
  return 'crawler';
}

function nameOf(pattern: string): string {
  return pattern
    .replace(/\(\^\| \)|[\^$]|\[\^[^\]]*\]|\(\[\^-\]\|\$\)/g, '')
    .replace(/\[\\s\\S\]\*/g, ' ')
    .replace(/\\d[.\\d+]*/g, '')
    .replace(/\(([^|)\\]*)\|[^)]*\)/g, '$1')
    .replace(/^([^|]*)\|.*$/, '$1')
    .replace(/\[(.)[^\]]*\]/g, '$1')
    .replace(/\\(.)/g, '$1')
    .replace(/ \(.*$/, '')
    .replace(/[/\s();]+$/, '');
}

function operatorOf(crawler: Crawler): string {
  const host = /^https?:\/\/(?:www\.)?([^/:]+)/.exec(crawler.url ?? '');
  return host ? host[1]! : 'unknown';
}
