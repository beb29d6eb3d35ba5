/** `mcp:` of a route, for the plan, and the route of its metadata. */
import { metadataPath, resourceMetadata } from '../../agents/mcp/resource-metadata.ts';
import { MCP_VERSIONS } from '../../agents/mcp/version.ts';
import type { McpAuthPlan, McpPlan, NameList, RouteAction } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import type { RouteSource } from '../sources.ts';
import { shown } from '../spelling.ts';
import { readBodyLimit } from './body-limit.ts';
import type { McpFields } from './mcp-schema.ts';
import { parseDuration } from './quantity.ts';
import type { Reading } from './reading.ts';

/** `path`: of `mcp`. Null: off. */
export function readMcp(
  fields: McpFields,
  path: DocumentPath,
  hostnames: readonly string[],
  reading: Reading,
): McpPlan | null {
  const { reporter } = reading;
  const limit = readBodyLimit(fields.bodyLimit, path, reporter);
  const forward = fields.forwardAuthorization ?? (fields.auth === undefined && fields.servers === undefined);
  const auth = fields.auth === undefined ? null : readAuth(fields.auth, [...path, 'auth'], hostnames, forward, reading);
  if (fields.mode === 'off') return null;
  // Whose token is needed, no page of another gets far.
  if (fields.origins === undefined && fields.auth === undefined && hostnames.includes('*'))
    reporter.report('warning', path, 'any-origin', 'pages of any origin may use this server by DNS rebinding', {
      at: 'key',
      cause:
        'without `origins` a page must be of the host that the request came to, and without `hostnames` that may be any name, one of the page’s own too',
      fix: 'write the `hostnames` of the route or the app, or `origins` (`[]` where no page is to use it)',
    });
  return {
    mode: fields.mode,
    versions: fields.versions === undefined ? null : MCP_VERSIONS.filter((one) => fields.versions?.includes(one)),
    methods: listOf(fields.methods),
    tools: listOf(fields.tools),
    resources: listOf(fields.resources),
    prompts: listOf(fields.prompts),
    limit,
    origins: fields.origins?.map((origin) => origin.toLowerCase()) ?? null,
    auth,
    forwardAuthorization: forward,
    sessionTtl: Math.max(60, Math.floor(parseDuration(fields.sessionTtl)! / 1000)),
    join: null,
  };
}

function listOf({ allow, deny }: McpFields['tools']): NameList {
  return { allow: allow ?? null, deny };
}

function readAuth(
  fields: NonNullable<McpFields['auth']>,
  path: DocumentPath,
  hostnames: readonly string[],
  forward: boolean,
  { reporter }: Reading,
): McpAuthPlan | null {
  const resource = urlOf(fields.resource);
  if (resource === null) {
    reporter.report('error', [...path, 'resource'], 'bad-url', `\`${shown(fields.resource)}\` is no URL`);
    return null;
  }
  if (!hostnames.some((name) => isCovered(resource.hostname, name)))
    reporter.report(
      'warning',
      [...path, 'resource'],
      'hostname-outside',
      `\`${resource.hostname}\` is not a host of this route`,
      {
        cause: 'clients look for its metadata there',
        fix: 'write the URL that clients use',
      },
    );
  const servers = fields.authorizationServers;
  const without = servers.findIndex(({ jwks }) => jwks === undefined);
  const checked = servers.some(({ jwks }) => jwks !== undefined);
  if (without >= 0 && checked)
    reporter.report('error', [...path, 'authorizationServers', without], 'missing-field', 'this server has no `jwks`', {
      cause: 'another one has: some tokens would be checked here and others not',
      fix: 'give all of them `jwks`, or none',
    });
  else if (!checked && !forward)
    reporter.report('error', [...path, 'authorizationServers'], 'unchecked', 'nobody would check the tokens', {
      at: 'key',
      cause:
        'without `jwks` the gateway can not, and without `forwardAuthorization` the server behind does not get them',
      fix: 'add `jwks`, or write `forwardAuthorization: true`',
    });
  if (!checked && Object.keys(fields.toolScopes).length > 0)
    reporter.report('error', [...path, 'toolScopes'], 'unchecked', 'nobody would check the scopes of tools', {
      at: 'key',
      cause: 'without `jwks` the gateway can not look into tokens',
      fix: 'add `jwks`, or remove `toolScopes`',
    });
  servers.forEach(({ issuer, jwks }, index) => {
    for (const [field, text] of [
      ['issuer', issuer],
      ['jwks', jwks],
    ] as const)
      if (text !== undefined && urlOf(text) === null)
        reporter.report(
          'error',
          [...path, 'authorizationServers', index, field],
          'bad-url',
          `\`${shown(text)}\` is no URL`,
        );
    if (servers.findIndex((other) => other.issuer === issuer) < index)
      reporter.report(
        'error',
        [...path, 'authorizationServers', index, 'issuer'],
        'duplicate-name',
        `\`${shown(issuer)}\` is listed twice`,
      );
  });
  return {
    resource: fields.resource,
    authorizationServers: servers.map(({ issuer }) => issuer),
    scopes: [...new Set(fields.scopes)],
    jwks: servers.flatMap(({ jwks }) => jwks ?? []),
    toolScopes: Object.entries(fields.toolScopes).map(([match, scopes]) => ({ match, scopes })),
  };
}

function urlOf(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

function isCovered(host: string, name: string): boolean {
  return name === '*' || name === host || (name.startsWith('*.') && host.endsWith(name.slice(1)));
}

/** SPEC: RFC 9728 section 3: a document at a place that follows from the resource; for pages of any origin, as it tells nothing else. */
export function metadataRoute(
  auth: McpAuthPlan,
  route: RouteSource,
  action: RouteAction,
): { route: RouteSource; action: RouteAction } {
  const value = metadataPath(auth.resource);
  const body = JSON.stringify(resourceMetadata(auth));
  return {
    route: {
      path: route.path,
      name: `${route.name} metadata`.slice(0, 64),
      hostnames: route.hostnames,
      matches: [{ path: route.path, pathMatch: { type: 'Exact', value }, method: null, headers: [], queryParams: [] }],
    },
    action: {
      ...action,
      filters: [{ type: 'direct', direct: { status: 200, body, contentType: 'application/json' } }],
      backends: [],
      timeouts: { request: 0, backendRequest: 0, responseHead: 0 },
      retry: null,
      cors: {
        ...{ allowOrigins: ['*'], allowMethods: ['GET'], allowHeaders: ['*'], exposeHeaders: [] },
        ...{ maxAge: 3600, allowCredentials: false },
      },
      ...{ waf: -1, mcp: -1, a2a: -1, llm: -1 },
    },
  };
}
