/** The protocols that routes speak: distinct settings of each, and which of them a route has. */
import { MCP_VERSIONS } from '../../agents/mcp/version.ts';
import type { A2aPlan, LlmPlan, McpPlan, Plan, RouteAction } from '../../plan.ts';
import type { RouteSource } from '../sources.ts';
import { readA2a } from './a2a.ts';
import { readLlm } from './llm.ts';
import { metadataRoute, readMcp } from './mcp.ts';
import type { McpFields } from './mcp-schema.ts';
import { readServers } from './mcp-servers.ts';
import type { Reading } from './reading.ts';
import type { Route } from './schema.ts';

/** Distinct settings of the protocols that routes speak. */
export type Protocols = Pick<Plan, 'mcps' | 'a2as' | 'llms'>;

const NAMES = ['mcp', 'a2a', 'llm'] as const;

export class ProtocolReader {
  readonly #mcps: McpPlan[] = [];
  readonly #a2as: A2aPlan[] = [];
  readonly #llms: LlmPlan[] = [];
  readonly #known = new Map<string, number>();

  get protocols(): Protocols {
    return { mcps: this.#mcps, a2as: this.#a2as, llms: this.#llms };
  }

  /** The route's action with the indices of what it speaks. */
  route(source: Route, { route, action }: { route: RouteSource; action: RouteAction }, reading: Reading): RouteAction {
    const given = NAMES.filter((name) => source[name] !== undefined);
    const [first, second] = given;
    if (first === undefined) return action;
    if (second !== undefined)
      reading.reporter.report(
        'error',
        [...route.path, second],
        'conflict',
        `a route speaks \`${first}\` or \`${second}\`, not both`,
        { at: 'key', fix: 'write a route for each' },
      );
    const { path } = route;
    const mcp = source.mcp === undefined ? null : readJoined(source, route, source.mcp, reading);
    const a2a = source.a2a === undefined ? null : readA2a(source.a2a, [...path, 'a2a'], reading);
    const llm = source.llm === undefined ? null : readLlm(source.llm, path, route.name, action, reading);
    return {
      ...action,
      mcp: this.#index('mcp', this.#mcps, mcp),
      a2a: this.#index('a2a', this.#a2as, a2a),
      llm: this.#index('llm', this.#llms, llm),
    };
  }

  /** The route of a protected resource's metadata, once for each; null: none is needed, or it is there. */
  metadata(route: RouteSource, action: RouteAction): { route: RouteSource; action: RouteAction } | null {
    const auth = this.#mcps[action.mcp]?.auth ?? null;
    if (auth === null) return null;
    const key = `metadata ${auth.resource} ${route.hostnames.join()}`;
    if (this.#known.has(key)) return null;
    this.#known.set(key, 0);
    return metadataRoute(auth, route, action);
  }

  #index<T>(kind: string, list: T[], plan: T | null): number {
    if (plan === null) return -1;
    const key = `${kind} ${JSON.stringify(plan)}`;
    let index = this.#known.get(key);
    if (index === undefined) {
      index = list.push(plan) - 1;
      this.#known.set(key, index);
    }
    return index;
  }
}

function readJoined(
  source: Route,
  { path, hostnames }: RouteSource,
  fields: McpFields,
  reading: Reading,
): McpPlan | null {
  const mcp = readMcp(fields, [...path, 'mcp'], hostnames, reading);
  const { servers, nameLength } = fields;
  if (servers === undefined) return mcp;
  const join = readServers(servers, nameLength, source, path, reading);
  // There is no server to ask, and the transport of 2024-11-05 is two endpoints, of which this is none.
  const versions = (mcp?.versions ?? MCP_VERSIONS).filter((version) => version >= '2025-03-26');
  if (mcp !== null) return { ...mcp, versions, join };
  reading.reporter.report('error', [...path, 'mcp', 'mode'], 'conflict', '`mode: off` joins no servers', {
    cause: 'without `mcp` the route has no backend',
    fix: 'write `mode: log` to let everything pass',
  });
  return null;
}
