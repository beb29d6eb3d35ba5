/**
 * `agents:` of an app and of its routes: what agents may do, by what they are. Compiled to rules that come before those of
 * the document, so that one machinery decides, logs and explains. Routes that differ from the app have rules of their own,
 * in a group: the engine runs the group of the route that matched.
 */
import { MAX_RULE_GROUPS } from '../../../assembly/abi.ts';
import { AGENT_CATEGORIES } from '../agents/category.ts';
import { AGENT_TABLE } from '../agents/table.ts';
import type { DocumentPath } from '../diagnostics.ts';
import type { Document } from '../document.ts';
import { nearest, shown } from '../spelling.ts';
import { agentRules, type AgentEntry, type AgentKind, type AgentPolicy } from './agent-rules.ts';
import type { AgentAction, RouteAgents } from './agents-schema.ts';
import { isHostname } from './hostname.ts';
import type { ReadRule } from './rule.ts';
import type { AgentsPolicy } from './schema.ts';

const CATEGORIES = new Set<string>(AGENT_CATEGORIES);
const NAMES = new Set(AGENT_TABLE.map(([name]) => name));
const OPERATORS = new Set(AGENT_TABLE.map(([, , operator]) => operator));
const RESERVED = new Set(['spoofed', 'require', 'rate', 'charge', 'signals']);

/** Far from MAX_RULES: each entry is a rule at most. */
export const MAX_AGENT_ENTRIES = 256;

/** The group of the app's own rules, and of requests that no route takes. */
const APP_GROUP = 1;

interface Block {
  readonly fields: AgentsPolicy | RouteAgents;
  readonly path: DocumentPath;
  /** Of the route; '' for the app. */
  readonly owner: string;
}

/** Collects the effective policies of routes, each once. */
export class AgentsReader {
  readonly #document: Document;
  readonly #app: Block | null;
  readonly #groups: ReadRule[][] = [];
  readonly #known = new Map<string, number>();
  #differs = false;

  constructor(fields: AgentsPolicy | undefined, document: Document) {
    this.#document = document;
    this.#app = fields === undefined ? null : { fields, path: ['agents'], owner: '' };
    if (this.#app !== null) this.#check(this.#app);
    this.#group(this.#app === null ? [] : [this.#app]);
  }

  /** The group of rules of a route. */
  route(fields: RouteAgents | undefined, path: DocumentPath, name: string): number {
    // PERF: thousands of routes without `agents:` of their own share the app's.
    if (fields === undefined) return APP_GROUP;
    const block = { fields, path: [...path, 'agents'], owner: name };
    this.#check(block);
    this.#differs = true;
    return this.#group(this.#app === null ? [block] : [this.#app, block]);
  }

  /** Of all groups, one after the other. */
  get rules(): ReadRule[] {
    if (!this.#differs) return this.#groups[0]!;
    return this.#groups.flatMap((rules, index) =>
      rules.map((rule) => ({ ...rule, source: { ...rule.source, group: APP_GROUP + index } })),
    );
  }

  /** Whether routes differ at all. */
  get differs(): boolean {
    return this.#differs;
  }

  #check({ fields, path, owner }: Block): void {
    const count = Object.keys(fields).length;
    if (count > MAX_AGENT_ENTRIES)
      this.#document.report(
        'error',
        path,
        'out-of-range',
        `\`agents\` must have at most ${MAX_AGENT_ENTRIES} entries`,
        {
          at: 'key',
        },
      );
    if (owner !== '' && Object.hasOwn(fields, 'signals'))
      this.#document.report('error', [...path, 'signals'], 'conflict', '`signals` belongs to `agents` of the app', {
        at: 'key',
        fix: 'move it there',
      });
    for (const key of Object.keys(fields)) if (!RESERVED.has(key)) this.#kindOf(key, [...path, key]);
  }

  #group(blocks: readonly Block[]): number {
    const rules = agentRules(policyOf(blocks), this.#document);
    const key = JSON.stringify(rules.map(({ source, plan }) => [{ ...source, path: [] }, plan]));
    const found = this.#known.get(key);
    if (found !== undefined) return found;
    const group = this.#groups.push(rules) - 1 + APP_GROUP;
    if (group > MAX_RULE_GROUPS)
      this.#document.report(
        'error',
        blocks.at(-1)!.path,
        'too-many-policies',
        'there are too many different `agents:` settings',
        {
          at: 'key',
          cause: `routes of one app have at most ${MAX_RULE_GROUPS} different ones in effect`,
          fix: 'let routes share theirs, or make this an app of its own',
        },
      );
    this.#known.set(key, Math.min(group, MAX_RULE_GROUPS));
    return Math.min(group, MAX_RULE_GROUPS);
  }

  #kindOf(key: string, path: DocumentPath): void {
    if (kindOf(key) !== null) return;
    const near = nearest(key, [...CATEGORIES, ...RESERVED, ...OPERATORS, ...NAMES]);
    this.#document.report('error', path, 'unknown-agent', `no agent, operator or category is called ${shown(key)}`, {
      at: 'key',
      fix:
        near === null
          ? 'write a category, an operator, a name, or the domain of its keys'
          : `did you mean \`${near}\`?`,
    });
  }
}

/** Null: nobody that is known. */
function kindOf(key: string): AgentKind | null {
  if (CATEGORIES.has(key)) return 'category';
  // Where an agent has the name of its operator, all of that operator's are meant.
  if (OPERATORS.has(key)) return 'operator';
  if (NAMES.has(key)) return 'name';
  return key.includes('.') && isHostname(key.toLowerCase()) ? 'domain' : null;
}

/** `blocks`: the app's, then the route's; the last one that gives a field decides. */
function policyOf(blocks: readonly Block[]): AgentPolicy | null {
  const last = (field: string): Block | undefined =>
    blocks.findLast(({ fields }) => (fields as Readonly<Record<string, unknown>>)[field] !== undefined);
  if (blocks.length === 0) return null;
  const rate = last('rate');
  const charge = last('charge');
  const entryOf = (key: string, kind: AgentKind | 'spoofed', block: Block, given: AgentAction): AgentEntry => {
    const action = typeof given === 'string' ? given : 'rate' in given ? 'rate' : 'charge';
    const from = given === 'rate' ? rate : given === 'charge' ? charge : undefined;
    const at = [...block.path, key];
    return {
      key: kind === 'domain' ? key.toLowerCase() : key,
      kind,
      action,
      // What a route says of the word is the route's, whoever uses it.
      ...(from !== undefined && from.owner !== '' ? { owner: from.owner } : { owner: block.owner }),
      path: at,
      rate:
        given === 'rate' ? rate?.fields.rate : typeof given === 'object' && 'rate' in given ? given.rate : undefined,
      ratePath: given === 'rate' && rate !== undefined ? [...rate.path, 'rate'] : [...at, 'rate'],
      charge:
        given === 'charge'
          ? charge?.fields.charge
          : typeof given === 'object' && 'charge' in given
            ? given.charge
            : undefined,
    };
  };
  const entries = new Map<string, AgentEntry>();
  for (const block of blocks)
    for (const [key, given] of Object.entries(block.fields).slice(0, MAX_AGENT_ENTRIES)) {
      const kind = RESERVED.has(key) ? null : kindOf(key);
      if (kind === null) continue;
      const entry = entryOf(key, kind, block, given as AgentAction);
      entries.set(`${kind} ${entry.key}`, entry);
    }
  const spoofed = last('spoofed') ?? blocks.at(-1)!;
  const required = last('require');
  return {
    path: blocks.at(-1)!.path,
    spoofed: { ...entryOf('spoofed', 'spoofed', spoofed, spoofed.fields.spoofed ?? 'block'), path: spoofed.path },
    required: required?.fields.require === 'verified' ? [...required.path, 'require'] : null,
    entries: [...entries.values()],
  };
}
