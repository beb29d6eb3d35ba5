/** Which lists of MCP servers have to be cut, and by what: the policy's lists of names, and its rules. */
import { OUTCOME_OK } from '../../assembly/abi.ts';
import { MAX_MCP_LISTED } from '../agents/mcp/limits.ts';
import { serverOf } from '../agents/mcp/join-names.ts';
import type { Listing } from '../agents/mcp/listing.ts';
import { restricts } from '../agents/mcp/names.ts';
import type { McpPlan, Plan } from '../plan.ts';
import type { Exchange } from './exchange.ts';

const LISTS = new Set(['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']);

/** Whether the answer may tell of something that the client may not use. Streams that are resumed tell of any request. */
export function cutsLists({ mcp, plan, action }: Exchange): boolean {
  const policy = plan?.mcps[action?.mcp ?? -1];
  if (mcp === null || plan === null || policy === undefined || policy.mode === 'log') return false;
  if (!plan.stages.protocol && ![policy.tools, policy.resources, policy.prompts].some(restricts)) return false;
  return mcp.messages.length === 0 || mcp.messages.some(({ method }) => LISTS.has(method));
}

export function listingOf(exchange: Exchange, plan: Plan, policy: McpPlan): Listing {
  const perCaller = plan.stages.protocol || policy.auth !== null;
  return { lists: policy, refused: plan.stages.protocol ? byRules(exchange, policy) : null, perCaller };
}

const METHODS = { tool: 'tools/call', prompt: 'prompts/get', resource: 'resources/read' } as const;
const EMPTY = new Uint8Array(0);

/**
 * What rules say of a call: the engine is asked as if it had come, without a body, so that what depends on arguments is
 * shown. Rates and charges are not counted; what only they refuse is shown too.
 */
function byRules(exchange: Exchange, { join }: McpPlan): NonNullable<Listing['refused']> {
  const { engine, generation, head, result, seed, now, mcp } = exchange;
  let asked = 0;
  return (kind, name) => {
    if (result === null || exchange.lease.released || ++asked > MAX_MCP_LISTED) return true;
    const server = join === null ? undefined : serverOf(join, { [kind]: name });
    const fields = {
      method: METHODS[kind],
      [kind]: name,
      ...(server !== undefined && { server }),
      version: mcp?.version ?? '',
    };
    const call = { ...head, protocol: { mcp: fields } };
    try {
      const found = engine.body(generation, result.app, call, EMPTY, 0, true, seed, now, ofRules(result.state));
      return found.terminal !== 0 || found.outcome !== OUTCOME_OK;
    } catch {
      return true; // a name that is too long for the engine could not be called either
    }
  };
}

/** What rules left of the head call, without the WAF's part: it has nothing to say of a call that has no arguments. */
function ofRules(state: Uint8Array | null): Uint8Array | null {
  if (state === null || state.byteLength < 8) return null;
  const rules = new DataView(state.buffer, state.byteOffset).getUint32(0, true);
  return state.subarray(0, 8 + ((rules + 7) >> 3));
}
