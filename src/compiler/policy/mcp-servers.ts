/** `mcp.servers` of a route, for the plan. */
import { MAX_JOINED_SERVERS } from '../../../assembly/abi.ts';
import type { McpJoinPlan } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import type { McpServers } from './mcp-servers-schema.ts';
import { parseDuration } from './quantity.ts';
import { backendIndex, type Reading } from './reading.ts';
import type { Route } from './schema.ts';

const OWN = ['backend', 'backends', 'retry'] as const;

/** `path`: of the route. Null after an error. */
export function readServers(
  servers: McpServers,
  nameLength: 64 | 128,
  source: Route,
  path: DocumentPath,
  reading: Reading,
): McpJoinPlan | null {
  const { reporter } = reading;
  const at = [...path, 'mcp', 'servers'];
  for (const field of OWN) {
    if (source[field] === undefined) continue;
    reporter.report('error', [...path, field], 'conflict', `\`${field}\` can't stand beside \`mcp.servers\``, {
      at: 'key',
      cause: 'each server has a backend of its own, and requests are sent to it once',
      fix: `remove \`${field}\`, or \`mcp.servers\``,
    });
  }
  const entries = Object.entries(servers);
  if (entries.length === 0 || entries.length > MAX_JOINED_SERVERS) {
    reporter.report('error', at, 'out-of-range', `\`servers\` has ${entries.length} servers`, {
      at: 'key',
      cause: `a route joins 1 to ${MAX_JOINED_SERVERS} of them`,
      fix: entries.length === 0 ? 'name one, or remove `servers`' : 'split them over several routes',
    });
    return null;
  }
  return {
    nameLength,
    servers: entries.map(([name, server]) => {
      const timeout = parseDuration(server.timeout)!;
      if (timeout === 0)
        reporter.report('error', [...at, name, 'timeout'], 'out-of-range', '`timeout` can not be 0', {
          cause: 'one server that does not answer would hide the others',
          fix: 'write `10s`',
        });
      return {
        name,
        backend: backendIndex(reading, server.backend, [...at, name, 'backend']),
        path: server.path,
        timeout,
      };
    }),
  };
}
