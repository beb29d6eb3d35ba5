/** The shape of `mcp:` of a route: a server of the Model Context Protocol behind the gateway. */
import { z } from 'zod';
import {
  MAX_MCP_ORIGINS,
  MAX_MCP_PATTERN,
  MAX_MCP_PATTERNS,
  MAX_MCP_SCOPES,
  MAX_MCP_SERVERS,
} from '../../agents/mcp/limits.ts';
import { MCP_VERSIONS } from '../../agents/mcp/version.ts';
import { mcpServersSchema, nameLengthSchema } from './mcp-servers-schema.ts';
import { duration, expected, mode, size } from './primitives.ts';

const patterns = z.array(z.string().min(1).max(MAX_MCP_PATTERN)).max(MAX_MCP_PATTERNS);
const names = (what: string) =>
  z.strictObject({
    allow: patterns.optional().describe(`${what} that pass; * stands for any characters. Default: all`),
    deny: patterns.default([]).describe(`${what} that do not, whatever \`allow\` says`),
  });
const urlError = expected('must be a URL', 'write it as `https://auth.example.com`');
const url = z
  .string(urlError)
  .max(2048)
  .regex(/^https?:\/\/[^\s#"\\]+$/, urlError);
const originError = expected(
  'must be an origin',
  'write it as `https://app.example.com`, `https://*.example.com` or `*`',
);
const scopeError = expected('must be a scope', 'use visible ASCII characters but `"` and `\\`');

const scopes = z.array(z.string(scopeError).regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, scopeError)).max(MAX_MCP_SCOPES);

export const mcpSchema = z.strictObject({
  mode: mode.default('enforce'),
  versions: z
    .array(z.enum(MCP_VERSIONS))
    .min(1)
    .optional()
    .describe(
      'Versions of the protocol that pass; default: those of the server. A request that says none is of 2025-03-26',
    ),
  methods: names('Methods, such as tools/call,').prefault({}).describe('What may be asked of the server'),
  tools: names('Tools').prefault({}).describe('What may be called, and is told by tools/list'),
  resources: names('URIs of resources').prefault({}).describe('What may be read, and is told by resources/list'),
  prompts: names('Prompts').prefault({}).describe('What may be got, and is told by prompts/list'),
  origins: z
    .array(z.string(originError).regex(/^(?:\*|https?:\/\/[A-Za-z0-9.*[\]:-]{1,260})$/, originError))
    .max(MAX_MCP_ORIGINS)
    .optional()
    .describe('Origins whose pages may use the server; default: those of the host that the request came to'),
  auth: z
    .strictObject({
      resource: url.describe('URL of this route, which tokens must be made out to'),
      authorizationServers: z
        .array(
          z.strictObject({
            issuer: url.describe('As it stands in tokens'),
            jwks: url.optional().describe('Its keys. Default: tokens are checked by the server behind'),
          }),
        )
        .min(1)
        .max(MAX_MCP_SERVERS)
        .describe('Who gives out tokens'),
      scopes: scopes.default([]).describe('What a token must allow, all of it'),
      toolScopes: z
        .record(z.string().min(1).max(MAX_MCP_PATTERN), scopes)
        .default({})
        .describe('What it must allow too, by name of the tool that is called; * stands for any characters'),
    })
    .optional()
    .describe('Access tokens are needed (OAuth, RFC 9728); metadata and challenges are served'),
  forwardAuthorization: z
    .boolean()
    .optional()
    .describe(
      'Whether the server behind is sent the token of the client. Default: false with `auth` or `servers`, else true',
    ),
  bodyLimit: size.default('1MB').describe('Longest message, at most 16MB'),
  sessionTtl: duration.default('1h').describe('How long a session is remembered after its last use'),
  servers: mcpServersSchema.optional(),
  nameLength: nameLengthSchema,
});

export type McpFields = z.output<typeof mcpSchema>;
