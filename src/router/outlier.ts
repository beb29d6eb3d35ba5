/** Passive health: an endpoint that fails often in a row is left out for a while, per isolate. */
import type { PassiveHealth } from '../plan.ts';
import type { EndpointState } from './endpoints.ts';

/** Those that are not ejected; all of them when fewer are healthy than the panic threshold allows. */
export function usable(all: readonly EndpointState[], health: PassiveHealth, now: number): readonly EndpointState[] {
  let out = 0;
  for (const state of all) if (state.ejectedUntil > now) out++;
  if (out === 0) return all;
  // Few healthy ones would be overrun by everybody's requests; spreading them over all does less harm.
  if ((all.length - out) * 100 < health.panicThreshold * all.length) return all;
  return all.filter((state) => state.ejectedUntil <= now);
}

/** Notes how a try went; `status` 0 stands for no response at all. Ejects when the policy's threshold is reached. */
export function note(
  state: EndpointState,
  all: readonly EndpointState[],
  health: PassiveHealth,
  status: number,
  now: number,
): void {
  const gateway = status === 0 || status === 502 || status === 503 || status === 504;
  const bad = status === 0 || status >= 500;
  state.fiveHundreds = bad ? state.fiveHundreds + 1 : 0;
  state.gatewayErrors = gateway ? state.gatewayErrors + 1 : 0;
  const over =
    (health.consecutive5xx > 0 && state.fiveHundreds >= health.consecutive5xx) ||
    (health.consecutiveGatewayErrors > 0 && state.gatewayErrors >= health.consecutiveGatewayErrors);
  if (!over || state.ejectedUntil > now) return;
  let out = 0;
  for (const other of all) if (other.ejectedUntil > now) out++;
  // One of several may always go, else a small backend with a small percentage would never eject; the only one stays.
  const allowed = all.length > 1 && health.maxEjectionPercent > 0;
  if (!allowed || (out > 0 && (out + 1) * 100 > health.maxEjectionPercent * all.length)) return;
  // One that has behaved for longer than the longest ejection starts anew.
  if (state.ejectedUntil > 0 && now - state.ejectedUntil > health.maxEjectionTime) state.ejections = 0;
  state.ejections++;
  state.ejectedUntil = now + Math.min(health.baseEjectionTime * state.ejections, health.maxEjectionTime);
  state.fiveHundreds = 0;
  state.gatewayErrors = 0;
}
