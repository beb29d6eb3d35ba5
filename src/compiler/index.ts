/**
 * Text in, images out: the policies of one deployment, the table of their host names, and the table of agents.
 * Pure: no files, no clock, no environment; the command line and the control plane run the same code.
 */
import {
  KIND_POLICY,
  SECTION_CODE,
  SECTION_GROUPS,
  SECTION_INSPECTION,
  SECTION_LISTS,
  SECTION_NAMES,
  SECTION_PLAN,
  SECTION_REGEXES,
  SECTION_RULES,
  SECTION_SETTINGS,
  SECTION_STRINGS,
} from '../../assembly/abi.ts';
import type { Manifest, ManifestApp, Plan } from '../plan.ts';
import { sortDiagnostics, type Diagnostic } from './diagnostics.ts';
import { readDocument } from './document.ts';
import { compileHosts } from './hosts.ts';
import { ImageWriter, newPools } from './image.ts';
import { compileInspections } from './inspection.ts';
import { buildPlan, dialsOf } from './plan.ts';
import { covers } from './policy/hostname.ts';
import { readPolicy, type Policy } from './policy/policy.ts';
import type { MissingText, Target } from './policy/reading.ts';
import { DEFAULT_DOMAIN, DEFAULT_TUNNELS } from './policy/tunnels.ts';
import { compileRoutes } from './routes.ts';
import { compileRules } from './rules.ts';
import { compileSettings } from './settings.ts';
import { shown } from './spelling.ts';
import { CodeWriter } from './expression/code.ts';
import { compileWaf, type AvailableRules } from './waf/policy.ts';

export type { MissingText, Target } from './policy/reading.ts';
export { parseAddress } from './lists.ts';
export { isHostname } from './policy/hostname.ts';
export { parseDial, type Dial } from './policy/backend.ts';
export type { AvailableRules } from './waf/policy.ts';
export { countDiagnostics, formatDiagnostics, type Diagnostic } from './diagnostics.ts';

export interface CompileInput {
  /** One app each; `path` is only used in diagnostics. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly target: Target;
  /** Host of the control API, canonical; no app may claim it. */
  readonly controlHost?: string | undefined;
  /** Give tunnels the hosts under localhost, behind the embedded rules, where no policy speaks of them or has these hosts. */
  readonly tunnels?: boolean | undefined;
  /**
   * Image of the table of agents, where the caller has it: it is built with the product and takes a second to compile,
   * which is what happens when it is left out. Null: no table, `agent.*` is empty.
   */
  readonly agents?: Uint8Array | null | undefined;
  /** A compiled rule set by name, or why it is not to be had. Left out: there is none. */
  readonly rulesets?: ((name: string) => Promise<AvailableRules | MissingRules>) | undefined;
  /** A text beside the policy file `from`, or why it is not to be had. Left out: there is none. */
  readonly texts?: ((file: string, from: string) => string | MissingText) | undefined;
}

/** Why a rule set is not there, and what to do. */
export interface MissingRules {
  readonly problem: string;
  readonly fix: string;
}

export interface Compiled {
  /** No errors; there may be warnings. */
  readonly ok: boolean;
  /** In the order of files and lines. */
  readonly diagnostics: readonly Diagnostic[];
  /** By lower-case hex SHA-256. Empty unless `ok`, as are the fields below. */
  readonly images: ReadonlyMap<string, Uint8Array>;
  readonly manifest: Manifest | null;
  /** In the order of the files: index = app index in the host table. */
  readonly plans: readonly Plan[];
  /** The wildcard of the hosts that are tunnels, or null. */
  readonly tunnels: string | null;
  /** How many of the plans are of files; one that stands in for a file is behind them. */
  readonly written: number;
  /** Distinct `Endpoint.dial` keys, sorted; `parseDial` takes one apart. */
  readonly dials: readonly string[];
}

/** Compiles a deployment. User mistakes become diagnostics; nothing is thrown. */
export async function compile(input: CompileInput): Promise<Compiled> {
  const diagnostics: Diagnostic[] = [];
  const policies: Policy[] = [];
  for (const { path, text } of input.files) {
    const document = readDocument(path, text, diagnostics);
    const { texts } = input;
    const reader = texts === undefined ? undefined : (file: string) => texts(file, path);
    const policy = document === null ? null : readPolicy(document, input.target, reader);
    if (policy !== null) policies.push(policy);
  }
  const own = policies.length;
  if (input.tunnels === true) addTunnels(policies, input.target, diagnostics);
  checkClaims(policies);
  if (input.controlHost !== undefined) checkControlHost(policies, input.controlHost);
  const available = await findRuleSets(policies, input.rulesets);
  const apps: { plan: Plan; image: Uint8Array }[] = [];
  for (const policy of policies) apps.push(await compilePolicy(policy, available));
  const files = [...input.files.map(({ path }) => path), DEFAULT_TUNNELS.path];
  const sorted = sortDiagnostics(diagnostics, files);
  if (sorted.some(({ severity }) => severity === 'error')) {
    return {
      ok: false,
      diagnostics: sorted,
      images: new Map(),
      manifest: null,
      plans: [],
      tunnels: null,
      written: 0,
      dials: [],
    };
  }

  const images = new Map<string, Uint8Array>();
  const keep = async (bytes: Uint8Array): Promise<string> => {
    const hash = await sha256(bytes);
    images.set(hash, bytes);
    return hash;
  };
  const hosts = await keep(compileHosts(policies.map(({ app, hostnames }) => ({ name: app, hostnames }))));
  const table = input.agents === undefined ? await agentTable() : input.agents;
  const agents = table === null ? null : await keep(table);
  for (const rules of available.values())
    if (rules !== null && apps.some(({ plan }) => plan.rulesets.includes(rules.hash)))
      images.set(rules.hash, rules.image);
  const named: ManifestApp[] = [];
  for (const { plan, image } of apps) named.push({ name: plan.app, image: await keep(image), rulesets: plan.rulesets });
  const generation = (await sha256(encoder.encode(JSON.stringify([hosts, agents, named])))).slice(0, 16);
  const plans = apps.map(({ plan }) => plan);
  return {
    ok: true,
    diagnostics: sorted,
    images,
    manifest: { generation, hosts, agents, apps: named },
    plans,
    tunnels: tunnelDomain(plans),
    written: own,
    dials: dialsOf(plans),
  };
}

function addTunnels(policies: Policy[], target: Target, diagnostics: Diagnostic[]): void {
  const { path, app, text } = DEFAULT_TUNNELS;
  const taken = policies.some(
    (policy) =>
      policy.tunnels !== null ||
      policy.app.toLowerCase() === app ||
      policy.written.some((host) => host === DEFAULT_DOMAIN || covers(host, DEFAULT_DOMAIN)),
  );
  const document = taken ? null : readDocument(path, text, diagnostics);
  const policy = document === null ? null : readPolicy(document, target);
  if (policy !== null) policies.push(policy);
}

function tunnelDomain(plans: readonly Plan[]): string | null {
  const found = plans.find(({ tunnels }) => tunnels !== null)?.tunnels ?? null;
  return found === null ? null : `*.${found.domain}`;
}

let agentImage: Uint8Array | null = null;

async function agentTable(): Promise<Uint8Array> {
  // Imported when needed: the tables are megabytes of source.
  agentImage ??= (await import('./agents/agents.ts')).compileAgents();
  return agentImage;
}

const encoder = new TextEncoder();

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Names of apps and hosts belong to one app each. */
function checkClaims(policies: readonly Policy[]): void {
  const apps = new Map<string, Policy>();
  const hosts = new Map<string, Policy>();
  for (const policy of policies) {
    const namesake = policy.app === '' ? undefined : apps.get(policy.app.toLowerCase());
    if (namesake !== undefined) {
      policy.document.report('error', ['app'], 'app-twice', `the app name \`${policy.app}\` is taken`, {
        cause: `${namesake.document.file}:${namesake.document.lineOf(['app'])} has it`,
        fix: 'name one of them otherwise',
      });
    }
    apps.set(policy.app.toLowerCase(), namesake ?? policy);
    for (const host of policy.hostnames) {
      const owner = hosts.get(host);
      if (owner === undefined) {
        hosts.set(host, policy);
        continue;
      }
      const index = policy.written.indexOf(host);
      const domain = index < 0 && policy.tunnels !== null && host === `*.${policy.tunnels.domain}`;
      policy.document.report(
        'error',
        domain ? ['tunnels', 'domain'] : index < 0 ? ['hostnames'] : ['hostnames', index],
        'host-twice',
        `host \`${shown(host)}\` is claimed twice`,
        {
          cause: `${owner.document.file}:${owner.document.lineOf(['hostnames', owner.written.indexOf(host)])} claims it for \`${owner.app}\``,
          fix: domain
            ? 'choose another `domain`, or remove it from the `hostnames` of the other app'
            : index < 0
              ? 'give each app its `hostnames`: the default is `*`, any host'
              : 'remove it from one of the two',
        },
      );
    }
  }
}

/** An app never has the host of the control API, by whatever name it is covered: its operator is to know, not to guess. */
function checkControlHost(policies: readonly Policy[], controlHost: string): void {
  for (const { app, document, hostnames, written } of policies) {
    for (const host of hostnames.filter((one) => covers(one, controlHost))) {
      const index = written.indexOf(host);
      document.report(
        'error',
        index < 0 ? ['hostnames'] : ['hostnames', index],
        'control-host',
        `\`${shown(host)}\` is the host of the control API`,
        {
          cause: `the control API has \`${shown(controlHost)}\` for itself, and \`${shown(app)}\` would have it too`,
          fix:
            index < 0
              ? 'list the `hostnames` of the app: the default is `*`, any host'
              : 'choose a control host that no app covers, or list the hosts of the app one by one',
        },
      );
    }
  }
}

/** Every rule set that some policy names, null after reporting that it is not to be had. */
async function findRuleSets(
  policies: readonly Policy[],
  find: CompileInput['rulesets'],
): Promise<ReadonlyMap<string, AvailableRules | null>> {
  const available = new Map<string, AvailableRules | null>();
  for (const { document, wafs } of policies)
    for (const { ruleset: name, path } of wafs.programs) {
      if (name === 'none') continue;
      const found = available.get(name) ?? (await find?.(name)) ?? NO_RULES;
      if (!('problem' in found)) {
        available.set(name, found);
        continue;
      }
      available.set(name, null);
      document.report(
        'error',
        [...path, 'ruleset'],
        'unknown-ruleset',
        `the rule set \`${shown(name)}\` cannot be used`,
        {
          cause: found.problem,
          fix: found.fix,
        },
      );
    }
  return available;
}

const NO_RULES: MissingRules = { problem: 'no rule sets are known here', fix: 'compile with the command line' };

/** One app's plan and image; the image is worth nothing when errors were reported. */
async function compilePolicy(
  policy: Policy,
  available: ReadonlyMap<string, AvailableRules | null>,
): Promise<{ plan: Plan; image: Uint8Array }> {
  const { document } = policy;
  const pools = newPools();
  const on = policy.rules.filter((rule) => rule.on).map(({ source }) => source);
  const off = policy.rules.filter((rule) => !rule.on).map(({ source }) => ({ ...source, skipRules: [] }));
  const image = new ImageWriter(KIND_POLICY);
  const stages = { body: false, protocol: false, response: false };
  const rulesets: string[] = [];
  try {
    // Rules that are off are checked all the same, into pools that are thrown away.
    if (off.length > 0) compileRules(off, policy.lists, newPools(), document);
    const code = new CodeWriter(pools);
    const rules = compileRules(on, policy.lists, pools, document, code);
    Object.assign(stages, rules.stages);
    const lists = new Map(policy.lists.map((list) => [list.name, list.items]));
    const waf = await compileWaf(policy.wafs.programs, programOfRoutes(policy), available, {
      document,
      lists,
      code,
      pools,
    });
    for (const [id, bytes] of waf.sections) image.section(id, bytes);
    rulesets.push(...waf.rulesets);
    image.section(SECTION_SETTINGS, compileSettings(policy.settings, pools));
    const routes = policy.routes.map(({ route }) => route);
    const { sections } = compileRoutes(routes, pools, document, { mergeSlashes: policy.settings.mergeSlashes });
    for (const [id, bytes] of sections) image.section(id, bytes);
    image.section(SECTION_RULES, rules.rules);
    if (policy.grouped) image.section(SECTION_GROUPS, groupsOf(policy));
    image.section(SECTION_CODE, code.bytes());
    image.section(SECTION_INSPECTION, compileInspections(policy.inspections, pools, document));
  } catch (error) {
    // Pools throw RangeError where a limit of the format is reached; anything else is a fault of ours.
    if (!(error instanceof RangeError)) throw error;
    document.report('error', [], 'policy-too-large', error.message);
  }
  const plan = buildPlan(policy, stages, rulesets);
  image.section(SECTION_PLAN, encoder.encode(JSON.stringify(plan)));
  image.section(SECTION_REGEXES, pools.regexes.bytes());
  image.section(SECTION_LISTS, pools.lists.bytes());
  image.section(SECTION_NAMES, pools.names.bytes());
  image.section(SECTION_STRINGS, pools.strings.bytes()); // last: the others add to it
  try {
    return { plan, image: image.finish() };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    document.report('error', [], 'policy-too-large', error.message, { fix: 'split the app in two' });
    return { plan, image: new Uint8Array() };
  }
}

/** WAF program of each route, -1 for none. */
function programOfRoutes({ routes, wafs }: Policy): number[] {
  return routes.map(({ action: { waf } }) => (waf < 0 ? -1 : wafs.plans[waf]!.program));
}

/** Group of rules of each route. */
function groupsOf({ routes }: Policy): Uint8Array {
  const bytes = new Uint8Array((routes.length + 3) & ~3);
  routes.forEach(({ group }, index) => (bytes[index] = group));
  return bytes;
}
