/**
 * Agents that are known by the name of their address. The engine knows client and agent only after its head call, so where a
 * verdict is at hand the call is made again with it: a crawler costs a second call, and nobody else anything.
 */
import { PROOF_CLAIMED } from '../../assembly/abi.ts';
import { AddressNames } from '../agents/address-names.ts';
import { reverseSuffixes } from '../agents/reverse-names.ts';
import type { AgentPlatform } from '../platform/platform.ts';
import type { HeadResult } from '../waf/engine.ts';
import type { Exchange } from './exchange.ts';

/** Of this isolate. */
const names = new WeakMap<AgentPlatform, AddressNames>();

/** `result` as it is, or that of a second head call, which knows what the names of the client's address say. */
export function confirmed(exchange: Exchange, result: HeadResult): HeadResult {
  const { platform, generation, engine, context, seed, now, request } = exchange;
  const { agents } = platform;
  // PERF: all that it costs where no resolver is named, or where nothing is left to find out.
  if (agents?.options.dns === undefined || result.identity !== PROOF_CLAIMED || result.agent < 0) return result;
  const suffixes = reverseSuffixes(generation.agents[result.agent]?.name ?? '');
  if (suffixes === null || result.client === '') return result;
  let known = names.get(agents);
  if (known === undefined) {
    known = new AddressNames({ resolver: agents.options.dns, fetch: agents.fetch, now: Date.now });
    names.set(agents, known);
  }
  const verdict = known.verdict(result.client, suffixes, (work) => context.waitUntil(work));
  if (verdict === null) return result;
  exchange.head = { ...exchange.head, proof: { ...NOTHING, identity: verdict } };
  return engine.head(generation, exchange.head, seed, now, request.body !== null);
}

const NOTHING = { name: '', operator: '', category: '', domain: '' };
