/** What the policies of a generation say of tunnels, together: hosts, projects, exposure, who may reach whom. */
import { publicKey, thumbprint } from '../control/signature.ts';
import type { Plan, TunnelsPlan } from '../plan.ts';
import { joins, type Capability, type Network, type Exposure, type Operators } from '../tunnel/capability.ts';

export interface TunnelPolicy {
  /** Hosts of tunnels are `NAME.` before it; '' where there are none. Of the first app that has a domain. */
  readonly domain: string;
  /** Keys of the projects whose connectors may dial. */
  readonly operators: Operators;
  /** Thumbprints of these keys. */
  readonly projects: readonly string[];
  /** Whether connectors dial this edge by a host, as URLs have it. SAFETY: otherwise another edge could relay what was signed for it. */
  answersTo(hostname: string): boolean;
  /** How the policy exposes a tunnel. */
  exposure(tunnel: string): Exposure;
  /** Null: no policy says anything. */
  readonly networks: readonly Network[] | null;
  /** Whether the holder of a capability may reach a service, as far as the policy has a say. */
  permits(capability: Capability, tunnel: string, service: string): boolean;
}

/** `own`: the `x` of the operator of this deployment, '' for none. */
export async function tunnelPolicy(apps: readonly Pick<Plan, 'tunnels'>[], own: string): Promise<TunnelPolicy> {
  let known = policies.get(apps);
  if (known === undefined || known.own !== own) {
    known = { own, policy: readPolicies(apps, own) };
    policies.set(apps, known);
  }
  return await known.policy;
}

const policies = new WeakMap<object, { readonly own: string; readonly policy: Promise<TunnelPolicy> }>();

async function readPolicies(apps: readonly Pick<Plan, 'tunnels'>[], own: string): Promise<TunnelPolicy> {
  const plans = apps.map(({ tunnels }) => tunnels).filter((one): one is TunnelsPlan => one !== null);
  const keys = new Map<string, string>();
  for (const x of [own, ...plans.flatMap(({ projects }) => projects.map(({ key }) => key))]) {
    if (x === '') continue;
    await publicKey(x); // a key that is none fails here, and not at a connector
    keys.set(await thumbprint(x), x);
  }
  const said = plans.some((plan) => plan.networks !== null);
  const networks = said ? plans.flatMap((plan) => plan.networks ?? []) : null;
  const edges = plans.flatMap((plan) => plan.edges ?? []).map((edge) => new URL(`http://${edge}`).hostname);
  const [first] = plans;
  return {
    domain: first?.domain ?? '',
    operators: (project) => keys.get(project) ?? null,
    projects: [...keys.keys()],
    answersTo: (hostname) => edges.length === 0 || edges.includes(hostname),
    exposure(tunnel) {
      if (first === undefined) return 'private';
      return (Object.hasOwn(first.names, tunnel) ? first.names[tunnel]! : first.access).access;
    },
    networks,
    permits: ({ names }, tunnel, service) => joins(networks, names, tunnel, service),
  };
}
