/**
 * Phase `access`: who may use a tunnel by its host. The policy and the registry of the tunnel's project are both asked, and each
 * can only say no. Backends that name a tunnel are not looked at: there the policy says by its routes who comes that far.
 */
import type { Plan, TunnelAccessPlan, TunnelsPlan } from '../plan.ts';
import type { Platform } from '../platform/platform.ts';
import { basicDigest, enter, keyDigest, newSalt, type AccessRule, type Entry } from '../tunnel/access.ts';
import { tunnelOfHost } from '../tunnel/objects.ts';
import { watch, type Exchange, type Phase } from './exchange.ts';
import { refuse } from './problem.ts';

export const access: Phase = {
  name: 'access',
  run(exchange) {
    const { plan } = exchange;
    // PERF: most apps have no tunnels.
    if (plan === null || plan.tunnels === null || !byHost(plan, exchange.backend)) return;
    return judge(exchange, plan.tunnels);
  },
};

function byHost(plan: Plan, backend: number): boolean {
  return plan.backends[backend]?.endpoints.some(({ dial }) => dial.startsWith('tunnel:*.')) === true;
}

async function judge(exchange: Exchange, tunnels: TunnelsPlan): Promise<void> {
  const { platform, authority } = exchange;
  const place = tunnelOfHost(authority, tunnels.domain);
  if (place === null) return deny(exchange, '', 404, 'the host of the request names no tunnel', '');
  const { tunnel } = place;
  const own = Object.hasOwn(tunnels.names, tunnel) ? tunnels.names[tunnel]! : tunnels.access;
  const caller = {
    address: exchange.result?.client ?? '',
    authorization: exchange.request.headers.get('authorization') ?? '',
  };
  let spent = false;
  const asked = async (rule: AccessRule): Promise<boolean> => {
    const entry: Entry = await enter(rule, caller);
    if (!entry.admitted) deny(exchange, tunnel, entry.status, entry.reason, entry.challenge);
    else spent ||= entry.spent;
    return entry.admitted;
  };
  watch(exchange);
  try {
    if (own.access !== 'public' && !(await asked(await ruleOf(own, platform)))) return;
    const said = await platform.exposed?.(tunnel);
    if (said !== undefined && said !== null && !(await asked(said))) return;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(JSON.stringify({ level: 'error', id: exchange.id, message: message.slice(0, 500) }));
    return deny(exchange, tunnel, 503, 'who may use the tunnel could not be found out', '');
  }
  if (spent) exchange.dropped.push('authorization');
}

function deny(exchange: Exchange, rule: string, status: number, reason: string, challenge: string): void {
  const error = status === 503 ? 'proxy_internal_error' : 'http_request_denied';
  refuse(exchange, { action: 'block', phase: 'access', rule, status, reason, mode: 'enforce' }, error);
  if (challenge !== '') exchange.response?.headers.set('www-authenticate', challenge);
}

const rules = new WeakMap<TunnelAccessPlan, Promise<AccessRule>>();

/** What a policy says, with its secrets. A rule whose secret is missing is none: it rejects each time. */
function ruleOf(plan: TunnelAccessPlan, platform: Platform): Promise<AccessRule> {
  let rule = rules.get(plan);
  if (rule === undefined) {
    rule = readRule(plan, platform);
    rules.set(plan, rule);
    rule.catch(() => rules.delete(plan));
  }
  return rule;
}

async function readRule({ access, addresses, basic, keys }: TunnelAccessPlan, platform: Platform): Promise<AccessRule> {
  const salt = newSalt();
  const secret = (name: string): string => {
    const value = platform.secret(name);
    if (value === undefined || value === '') throw new Error(`there is no secret ${name}`);
    return value;
  };
  const [users, tokens] = await Promise.all([
    Promise.all(basic.map(({ user, secret: name }) => basicDigest(salt, user, secret(name)))),
    Promise.all(keys.map((name) => keyDigest(salt, secret(name)))),
  ]);
  return { access, addresses, salt, basic: users, keys: tokens };
}
