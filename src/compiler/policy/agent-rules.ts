/**
 * One effective `agents:` as rules. The most specific entry holds for an agent: its name, then its operator or domain, then
 * its category. Where several of one kind speak (an operator and a domain; categories of an agent with several purposes),
 * the strictest does: block, charge, challenge, rate, log, allow.
 */
import type { RulePlan } from '../../plan.ts';
import { alsoFor, SEVERAL_PURPOSES } from '../agents/purposes.ts';
import type { DocumentPath, Reporter } from '../diagnostics.ts';
import { readRate } from './demand.ts';
import type { ChargeFields, RateFields } from './demand-schema.ts';
import type { ReadRule } from './rule.ts';

export type AgentKind = 'category' | 'operator' | 'domain' | 'name';
type Action = 'allow' | 'log' | 'rate' | 'challenge' | 'charge' | 'block';

export interface AgentEntry {
  /** As the rules language has it. */
  readonly key: string;
  readonly kind: AgentKind | 'spoofed';
  readonly action: Action;
  /** Name of the route whose entry this is; '': the app's. */
  readonly owner: string;
  readonly path: DocumentPath;
  readonly rate: RateFields | undefined;
  readonly ratePath: DocumentPath;
  readonly charge: ChargeFields | undefined;
}

export interface AgentPolicy {
  readonly path: DocumentPath;
  readonly spoofed: AgentEntry;
  /** Where it says that agents have to prove who they are. */
  readonly required: DocumentPath | null;
  readonly entries: readonly AgentEntry[];
}

/** What a client is told, whichever entry refused it: it learns no reason. */
const REASON = 'this agent may not do this here';
const UNPROVEN = 'agents must prove who they are';
const REASONS: Readonly<Record<Action, string>> = {
  ...{ allow: '', log: REASON, block: REASON, charge: REASON },
  rate: 'there were too many requests of this agent',
  challenge: 'this is for browsers',
};
const STRICTNESS: readonly Action[] = ['allow', 'log', 'rate', 'challenge', 'charge', 'block'];
const DEMANDS: ReadonlySet<Action> = new Set<Action>(['rate', 'challenge', 'charge']);

/** An agent has one count, what is proven apart from what is claimed. */
const BY_AGENT = ['agent.identity', 'agent.operator', 'agent.name', 'agent.domain'];
/** Software that anybody runs is counted by who does. */
const BY_USER = ['agent.name', 'ip.src'];
const SOFTWARE = new Set(['library', 'automation']);

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
const among = (field: string, keys: readonly string[]): string => `${field} in {${keys.map(quoted).join(' ')}}`;

/** Rules of a policy, in their order; faults are reported, and what they concern is left out. */
export function agentRules(policy: AgentPolicy | null, reporter: Reporter): ReadRule[] {
  if (policy === null) return [];
  const { spoofed, required, entries } = policy;
  const rules: (ReadRule | null)[] = [
    ruleOf(spoofed, 'agents', 'agent.identity == "spoofed"', reporter, { reason: UNPROVEN, asksSignature: true }),
  ];
  if (required !== null) {
    const proof = { ...spoofed, action: 'block', path: required } as const;
    const when = 'agent.bot and not agent.verified';
    rules.push(ruleOf(proof, 'agents', when, reporter, { reason: UNPROVEN, asksSignature: true }));
  }
  for (const entry of entries) {
    const owner = entry.owner === '' ? '' : ` of ${entry.owner}`;
    rules.push(ruleOf(entry, `agents ${entry.key}${owner}`, conditionOf(entry, entries), reporter));
  }
  return rules.filter((rule) => rule !== null);
}

/** For whom an entry is the one that holds. */
function conditionOf(entry: AgentEntry, entries: readonly AgentEntry[]): string {
  const { key, kind } = entry;
  const keys = (of: AgentKind, from = entries): string[] => from.filter((one) => one.kind === of).map((one) => one.key);
  const not: string[] = [];
  const except = (field: string, found: readonly string[]): void => {
    if (found.length > 0) not.push(` and not (${among(field, found)})`);
  };
  if (kind !== 'name') except('agent.name', keys('name'));
  if (kind === 'category') {
    except('agent.operator', keys('operator'));
    except('agent.domain', keys('domain'));
  }
  // What is demanded would be demanded beside what is stricter. A rule that blocks needs no word: it ends the request.
  const stricter = DEMANDS.has(entry.action) ? entries.filter((one) => goesBefore(one, entry, entries)) : [];
  if (kind === 'operator') except('agent.domain', keys('domain', stricter));
  if (kind === 'domain') except('agent.operator', keys('operator', stricter));
  const more = kind === 'category' ? alsoFor(key) : [];
  if (kind === 'category') {
    const purposes = keys('category', stricter);
    const several = [...SEVERAL_PURPOSES].filter(([, all]) => (all as readonly string[]).includes(key));
    except(
      'agent.name',
      several.filter(([, all]) => all.some((one) => purposes.includes(one))).map(([name]) => name),
    );
  }
  const is = `agent.${kind} == ${quoted(key)}`;
  return (more.length === 0 ? is : `(${is} or ${among('agent.name', more)})`) + not.join('');
}

/** Whether a demand is to be made in the place of another, where both hold; of equals the first does. */
function goesBefore(one: AgentEntry, other: AgentEntry, entries: readonly AgentEntry[]): boolean {
  if (one === other || !DEMANDS.has(one.action)) return false;
  const difference = STRICTNESS.indexOf(one.action) - STRICTNESS.indexOf(other.action);
  return difference > 0 || (difference === 0 && entries.indexOf(one) < entries.indexOf(other));
}

function ruleOf(
  entry: AgentEntry,
  name: string,
  when: string,
  reporter: Reporter,
  more: Partial<RulePlan> = {},
): ReadRule | null {
  const { action, path, kind, key } = entry;
  if (action === 'allow') return null;
  if ((action === 'rate' && entry.rate === undefined) || (action === 'charge' && entry.charge === undefined)) {
    const example = action === 'rate' ? '{ requests: 60, per: 1m }' : '{ price: USD 0.01 }';
    reporter.report('error', path, 'missing-field', `\`${action}\` needs to know how much`, {
      fix: `write \`{ ${action}: ${example} }\`, or give \`agents\` a \`${action}: ${example}\` for all that say so`,
    });
    return null;
  }
  const by = kind === 'category' && SOFTWARE.has(key) ? BY_USER : BY_AGENT;
  const rate = action === 'rate' ? readRate(entry.rate!, entry.ratePath, { policy: 'agent', by }, reporter) : null;
  return {
    on: true,
    source: {
      ...{ path, name, when, action, mode: 'enforce', location: null, rewritePath: null, rewriteQuery: null },
      ...{ rewriteHeaders: [], skipRules: [], skipPhases: [] },
      ...(rate !== null && { keys: rate.keys }),
    },
    plan: {
      ...{ name, action, mode: 'enforce', status: action === 'rate' ? 429 : 403, reason: REASONS[action], backend: -1 },
      ...{ headers: [], removeHeaders: [], preserveQuery: false },
      ...(rate !== null && { rate: rate.plan }),
      ...(action === 'charge' && { charge: entry.charge! }),
      ...(action === 'rate' || action === 'charge' ? {} : more),
    },
  };
}
