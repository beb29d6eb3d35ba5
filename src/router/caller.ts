/** Who sent a request, from all that is known of it: for the log, for reports and for whatever counts by agent. */
import { PROOF_CLAIMED, PROOF_SPOOFED, PROOF_VERIFIED } from '../../assembly/abi.ts';
import { IDENTITY_BY_ADDRESS, IDENTITY_BY_NAME, IDENTITY_BY_SIGNATURE } from '../../assembly/agents/abi.ts';
import { knownAgent } from '../agents/known-agents.ts';
import type { Exchange } from './exchange.ts';

export interface Caller {
  /** As `agent.name`, `agent.operator` and `agent.category`; '' where there is none. */
  readonly name: string;
  readonly operator: string;
  readonly category: string;
  /** As `agent.identity`. */
  readonly identity: 'verified' | 'claimed' | 'spoofed' | 'unknown';
  /** What decided where it is `verified` or `spoofed`; `dns` is the name of its address. */
  readonly by: 'signature' | 'address' | 'dns' | null;
}

const NOBODY: Caller = { name: '', operator: '', category: '', identity: 'unknown', by: null };
const IDENTITIES: Readonly<Record<number, Caller['identity']>> = {
  [PROOF_CLAIMED]: 'claimed',
  [PROOF_SPOOFED]: 'spoofed',
  [PROOF_VERIFIED]: 'verified',
};
const BY: Readonly<Record<number, Caller['by']>> = {
  [IDENTITY_BY_SIGNATURE]: 'signature',
  [IDENTITY_BY_ADDRESS]: 'address',
  [IDENTITY_BY_NAME]: 'dns',
};

/** After the engine's head call; before it, and where nobody says who it is, nobody. */
export function callerOf(exchange: Exchange): Caller {
  const { result, identity: signed, generation } = exchange;
  if (result === null || result.identity === 0) return NOBODY;
  const agent = result.agent < 0 ? undefined : generation.agents[result.agent];
  const identity = IDENTITIES[result.identity & 0xff] ?? 'unknown';
  const by = BY[result.identity & ~0xff] ?? null;
  // Who has proven itself is who it is; its user agent may add what the very operator says of itself.
  const proven = signed?.outcome === 'verified' ? knownAgent(signed) : null;
  const who = proven === null || agent?.operator === proven.operator ? agent : proven;
  return { name: who?.name ?? '', operator: who?.operator ?? '', category: who?.category ?? '', identity, by };
}
