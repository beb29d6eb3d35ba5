/** Writes the plan: what the host half acts on. The only place that numbers rules and actions. */
import type { Plan, RouteAction } from '../plan.ts';
import { isTunnelDial } from './policy/backend.ts';
import type { Policy } from './policy/policy.ts';

/** `stages`: which later crossings a rule of the policy needs; `rulesets`: hashes of the images that its WAF needs. */
export function buildPlan(policy: Policy, stages: Plan['stages'], rulesets: readonly string[] = []): Plan {
  const actions: RouteAction[] = [];
  const known = new Map<string, number>();
  const routeActions = policy.routes.map(({ action }) => {
    // PERF: thousands of routes that differ in their path alone share one action, here and in the isolate.
    const key = JSON.stringify(action);
    let index = known.get(key);
    if (index === undefined) {
      index = actions.push(action) - 1;
      known.set(key, index);
    }
    return index;
  });
  return {
    app: policy.app,
    routeNames: policy.routes.map(({ route }) => route.name),
    routeActions,
    actions,
    backends: policy.backends,
    rules: policy.rules.filter(({ on }) => on).map(({ plan }) => plan),
    inspections: policy.inspections.map(({ route, mode }) => ({
      name: route < 0 ? '' : policy.routes[route]!.route.name,
      mode,
    })),
    forwarded: policy.forwarded,
    cdnLoop: policy.cdnLoop,
    proxyStatus: policy.proxyStatus,
    body: policy.body,
    stages,
    wafs: policy.wafs.plans,
    ...policy.protocols,
    site: policy.site,
    contents: policy.contents,
    tunnels: policy.tunnels,
    payments: policy.payments,
    rulesets,
    secrets: policy.secrets,
  };
}

/** The distinct keys of connections that the plans ask for, tunnels apart, sorted: on-prem, each is a service of its own. */
export function dialsOf(plans: readonly Plan[]): string[] {
  const endpoints = plans.flatMap((plan) => plan.backends.flatMap((backend) => backend.endpoints));
  return [...new Set(endpoints.map(({ dial }) => dial).filter((dial) => !isTunnelDial(dial)))].sort();
}
