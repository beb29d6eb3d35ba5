/** What agents are called in robots.txt: product tokens, which are not always what the table calls them. */
import { AGENT_TABLE, type AgentRow } from './table.ts';

/**
 * Names that are written into robots.txt alone, to say what may be done with what others of the operator fetch. They are
 * about training, whatever else the table knows of them.
 */
const CONTROLS = new Set(['Google-Extended', 'Applebot-Extended', 'Webzio-Extended']);

/** '' where an agent has none: it looks like a browser, or what it sends is no single word. */
export function productToken([, token]: AgentRow): string {
  return /^([A-Za-z0-9_.-]+)(?:$|\/[0-9.]+$| \()/.exec(token)?.[1] ?? '';
}

/** By the agent's name, where that is not its token. */
export const PRODUCT_TOKENS: Readonly<Record<string, string>> = Object.fromEntries(
  AGENT_TABLE.filter((row) => productToken(row) !== row[0]).map((row) => [row[0], productToken(row)]),
);

/** Tokens of all agents for which something is decided: by name, else by operator, else by category; sorted. */
export function tokensOf(decide: (name: string, operator: string, category: string) => boolean): string[] {
  const tokens = new Set<string>();
  for (const row of AGENT_TABLE) {
    const [name, , operator, category] = row;
    const token = productToken(row);
    if (token !== '' && decide(name, operator, CONTROLS.has(name) ? 'training' : category)) tokens.add(token);
  }
  return [...tokens].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
}
