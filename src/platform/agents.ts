/** What the surroundings give for the proof of an agent's identity. */
import type { Env } from './bindings.ts';
import type { AgentOptions, AgentPlatform } from './platform.ts';

/** `fetch` is the way to public addresses; null, or AGENTS that is `off`: signatures are not looked at. */
export function agentPlatform(env: Env, fetch: AgentPlatform['fetch'] | null): AgentPlatform | null {
  if (fetch === null || env.AGENTS === 'off') return null;
  const { AGENTS } = env;
  const options = typeof AGENTS === 'string' ? (JSON.parse(AGENTS) as AgentOptions) : (AGENTS ?? {});
  return {
    fetch,
    guard: env.REPLAY_GUARD ?? null,
    report: env.AGENT_REPORT ?? null,
    ledger: env.LEDGER ?? null,
    options,
  };
}
