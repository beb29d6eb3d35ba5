/**
 * What agents are for beside the category that the table gives them, where their operators say that what one user agent
 * fetches serves several purposes. The strictest entry of `agents:` holds for them.
 *
 * Not here: agents whose further use a token of its own declines in robots.txt (Googlebot by Google-Extended, Applebot by
 * Applebot-Extended). Who forbids training to them says so there, and stays in their search.
 */
import type { AgentCategory } from './category.ts';
import { AGENT_TABLE } from './table.ts';

const FURTHER: Readonly<Record<string, readonly AgentCategory[]>> = {
  Amazonbot: ['search'],
  CCBot: ['data'],
  'Meta-ExternalAgent': ['search'],
};

/** Names of agents that are for a purpose beside others, the category of the table left out. */
export function alsoFor(category: string): string[] {
  return Object.keys(FURTHER).filter((name) => FURTHER[name]!.includes(category as AgentCategory));
}

/** Every purpose of an agent that has several, by name. */
export const SEVERAL_PURPOSES: ReadonlyMap<string, readonly AgentCategory[]> = new Map(
  AGENT_TABLE.filter(([name]) => Object.hasOwn(FURTHER, name)).map(([name, , , category]) => [
    name,
    [category, ...FURTHER[name]!],
  ]),
);
