/**
 * The narrowest exclusion that lets a false alarm through: the fewest rules, each for the one target that it matched, on
 * this host and path only. Nothing is guessed: the policy is compiled with it, and the request runs again.
 */
import { compile, type Diagnostic } from '../compiler/index.ts';
import { readDocument } from '../compiler/document.ts';
import type { Explanation } from '../router/explain.ts';
import type { WafEvidence } from '../waf/evidence.ts';
import { ruleSetFinder, type Deployment } from './deployment.ts';
import { openDeployment } from './dry.ts';

export interface Exclusion {
  readonly rule: number;
  readonly target?: string;
  readonly when: string;
}

export interface Proposal {
  readonly exclude: readonly Exclusion[];
  /** To paste under `waf:` of the route or the app. */
  readonly yaml: string;
}

const MAX_EXCLUSIONS = 16; // more than so many are no exclusion, but a rule set that does not fit

/** Null when the request is not blocked by the WAF, or nothing that is as narrow lets it through. */
export async function proposeExclusion(
  policy: { readonly path: string; readonly text: string },
  explained: Explanation,
  request: () => Request,
  peer: string,
): Promise<Proposal | null> {
  const { waf } = explained;
  if (waf === null || !waf.blocked) return null;
  const when = conditionOf(explained);
  const candidates = candidatesOf(waf.events);
  for (let count = 1; count <= Math.min(candidates.length, MAX_EXCLUSIONS); count++) {
    const exclude = candidates.slice(0, count).map(({ rule, target }): Exclusion => {
      const named = targetOf(target);
      return { rule, ...(named !== null && { target: named }), when };
    });
    const again = await runWith(policy, explained, exclude, request(), peer);
    // What one rule hid another may show: it is asked of the engine, not added up.
    if (again !== null && again.waf?.blocked === false) return { exclude, yaml: yamlOf(exclude) };
  }
  return null;
}

/** Rules and targets that added to the score, those that added most first; each once. */
function candidatesOf(events: readonly WafEvidence[]): WafEvidence[] {
  const found = new Map<string, WafEvidence>();
  for (const event of events) {
    // Rules that compare the score look at TX; leaving them out would leave out everything.
    if (event.target.replace('&', '').startsWith('TX')) continue;
    const key = `${event.rule} ${event.target}`;
    if (!found.has(key)) found.set(key, event);
  }
  return [...found.values()].sort((a, b) => b.score - a.score);
}

/** The target of an event as an exclusion can name it; null: the rule as a whole. */
function targetOf(target: string): string | null {
  if (target === '' || target.startsWith('&')) return null;
  const colon = target.indexOf(':');
  // A name of a hostile request may be anything; only what is plain is repeated in a policy.
  if (colon >= 0 && !/^[\w.[\]-]{1,128}$/.test(target.slice(colon + 1))) return target.slice(0, colon);
  return /^[A-Z_]+(:|$)/.test(target) && !target.startsWith('MATCHED_VAR') ? target : null;
}

function conditionOf({ host, path }: Explanation): string {
  const plain = /^[\x20-\x7e]{1,1024}$/;
  const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
  const parts: string[] = [];
  if (plain.test(host)) parts.push(`http.host eq ${quoted(host)}`);
  if (plain.test(path.canonical)) parts.push(`http.request.uri.path eq ${quoted(path.canonical)}`);
  return parts.length === 0 ? 'true' : parts.join(' and ');
}

function yamlOf(exclude: readonly Exclusion[]): string {
  const single = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  const lines = exclude.map(
    ({ rule, target, when }) =>
      `    - { rule: ${rule}${target === undefined ? '' : `, target: ${single(target)}`}, when: ${single(when)} }`,
  );
  return ['waf:', '  exclude:', ...lines].join('\n');
}

interface PolicyValue {
  waf?: { exclude?: unknown[] };
  routes?: { waf?: { exclude?: unknown[] } }[];
}

/** The same request under the same policy with these exclusions in front of the app's own. */
async function runWith(
  policy: { readonly path: string; readonly text: string },
  explained: Explanation,
  exclude: readonly Exclusion[],
  request: Request,
  peer: string,
): Promise<Explanation | null> {
  const diagnostics: Diagnostic[] = [];
  const value = readDocument(policy.path, policy.text, diagnostics)?.value as PolicyValue | undefined;
  if (value === undefined) return null;
  const copy = structuredClone(value);
  if (copy.waf !== undefined) copy.waf = { ...copy.waf, exclude: [...exclude, ...(copy.waf.exclude ?? [])] };
  else
    for (const route of copy.routes ?? [])
      if (route.waf !== undefined) route.waf = { ...route.waf, exclude: [...exclude, ...(route.waf.exclude ?? [])] };
  const { manifest, images, plans, dials } = await compile({
    files: [{ path: policy.path, text: JSON.stringify(copy) }],
    target: 'workerd',
    agents: null,
    rulesets: ruleSetFinder(process.cwd()),
  });
  if (manifest === null) return null;
  const secrets = plans.flatMap(({ secrets }) => secrets);
  const deployment: Deployment = {
    manifest,
    images,
    dials,
    secrets,
    tunnels: null,
    apps: [],
    texts: [],
    counts: false,
  };
  const again = await (await openDeployment(deployment)).explain({ request, peer, plain: true });
  return again.route === explained.route ? again : null;
}
