/**
 * `agents:` of an app: what agents may do, by what they are. Compiled to rules that come before those of the document, so
 * that one machinery decides, logs and explains.
 *
 * The most specific entry holds for an agent: its name, then its operator or domain, then its category. Where an operator
 * and a domain both speak, the strictest does.
 */
import { AGENT_CATEGORIES } from '../agents/category.ts';
import { AGENT_TABLE } from '../agents/table.ts';
import type { DocumentPath } from '../diagnostics.ts';
import type { Document } from '../document.ts';
import { nearest, shown } from '../spelling.ts';
import { isHostname } from './hostname.ts';
import type { ReadRule } from './rule.ts';
import type { AgentsPolicy } from './schema.ts';

/** What a client is told, whichever entry refused it: it learns no reason. */
const REASON = 'this agent may not do this here';
const UNPROVEN = 'agents must prove who they are';

type Kind = 'category' | 'operator' | 'domain' | 'name';

const CATEGORIES = new Set<string>(AGENT_CATEGORIES);
const NAMES = new Set(AGENT_TABLE.map(([name]) => name));
const OPERATORS = new Set(AGENT_TABLE.map(([, , operator]) => operator));
const RESERVED = new Set(['spoofed', 'require', 'signals']);

/** Null: nobody that is known, which is reported. */
function kindOf(key: string, path: DocumentPath, document: Document): Kind | null {
  if (CATEGORIES.has(key)) return 'category';
  // Where an agent has the name of its operator, all of that operator's are meant.
  if (OPERATORS.has(key)) return 'operator';
  if (NAMES.has(key)) return 'name';
  if (key.includes('.') && isHostname(key.toLowerCase())) return 'domain';
  const near = nearest(key, [...CATEGORIES, ...RESERVED, ...OPERATORS, ...NAMES]);
  document.report('error', path, 'unknown-agent', `no agent, operator or category is called ${shown(key)}`, {
    at: 'key',
    fix:
      near === null ? 'write a category, an operator, a name, or the domain of its keys' : `did you mean \`${near}\`?`,
  });
  return null;
}

/** Far from MAX_RULES: each entry is a rule at most. */
export const MAX_AGENT_ENTRIES = 256;

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
const among = (field: string, keys: readonly string[]): string => `${field} in {${keys.map(quoted).join(' ')}}`;

/** Rules of the policy's `agents`, in their order; faults are reported, and what they concern is left out. */
export function readAgents(agents: AgentsPolicy, document: Document): ReadRule[] {
  const byKind: Record<Kind, string[]> = { category: [], operator: [], domain: [], name: [] };
  const entries: { key: string; kind: Kind; action: 'allow' | 'log' | 'block' }[] = [];
  const given = Object.entries(agents);
  if (given.length > MAX_AGENT_ENTRIES)
    document.report('error', ['agents'], 'out-of-range', `\`agents\` must have at most ${MAX_AGENT_ENTRIES} entries`, {
      at: 'key',
    });
  for (const [key, action] of given.slice(0, MAX_AGENT_ENTRIES)) {
    if (RESERVED.has(key)) continue;
    const kind = kindOf(key, ['agents', key], document);
    if (kind === null || (action !== 'allow' && action !== 'log' && action !== 'block')) continue;
    const value = kind === 'domain' ? key.toLowerCase() : key;
    byKind[kind].push(value);
    entries.push({ key: value, kind, action });
  }
  const rules: ReadRule[] = [];
  const spoofed = agents.spoofed ?? 'block';
  if (spoofed !== 'allow') rules.push(rule('agents', ['agents'], 'agent.identity == "spoofed"', spoofed, UNPROVEN));
  if (agents.require === 'verified')
    rules.push(rule('agents', ['agents', 'require'], 'agent.bot and not agent.verified', 'block', UNPROVEN));
  for (const { key, kind, action } of entries) {
    if (action === 'allow') continue;
    const above: string[] = [];
    if (kind !== 'name' && byKind.name.length > 0) above.push(among('agent.name', byKind.name));
    if (kind === 'category' && byKind.operator.length > 0) above.push(among('agent.operator', byKind.operator));
    if (kind === 'category' && byKind.domain.length > 0) above.push(among('agent.domain', byKind.domain));
    const when = [`agent.${kind} == ${quoted(key)}`, ...above.map((one) => `not (${one})`)].join(' and ');
    rules.push(rule(`agents ${key}`, ['agents', key], when, action, REASON));
  }
  return rules;
}

function rule(name: string, path: DocumentPath, when: string, action: 'log' | 'block', reason: string): ReadRule {
  return {
    on: true,
    source: {
      ...{ path, name, when, action, mode: 'enforce', location: null, rewritePath: null, rewriteQuery: null },
      ...{ rewriteHeaders: [], skipRules: [], skipPhases: [] },
    },
    plan: {
      ...{ name, action, mode: 'enforce', status: 403, reason, backend: -1 },
      ...{ headers: [], removeHeaders: [], preserveQuery: false },
    },
  };
}
