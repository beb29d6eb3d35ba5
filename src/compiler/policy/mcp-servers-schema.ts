/** The shape of `mcp.servers` of a route: several MCP servers behind one endpoint. */
import { z } from 'zod';
import { duration, expected, text } from './primitives.ts';

/** No `_` and no `+`: behind the name comes one of these. Lower case, since it begins schemes of URIs. */
const SERVER_NAME = /^[a-z][a-z0-9-]{0,31}$/;
const nameError = expected(
  'must be the name of a server',
  'use at most 32 lower-case letters, digits and `-`, a letter first: `github` makes `github_search` of its tool `search`',
);
const pathError = expected('must be a path', 'begin it with `/`: `/mcp`');

export const mcpServersSchema = z
  .record(
    z.string(nameError).regex(SERVER_NAME, nameError),
    z.strictObject({
      backend: text.describe('A name under `backends`'),
      path: z
        .string(pathError)
        .max(1024)
        .regex(/^\/[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7e]*$/, pathError)
        .default('/mcp')
        .describe('Of its endpoint'),
      timeout: duration
        .default('10s')
        .describe('How long the others wait for it in what is put together: lists, and the beginning of a session'),
    }),
  )
  .describe(
    'Joins several servers behind this route, which then has no backend of its own; names are NAME_tool, NAME+uri',
  );

export const nameLengthSchema = z
  .union([z.literal(64), z.literal(128)])
  .default(64)
  .describe('Longest name that clients of joined servers see; longer ones are cut. Models take 64, the protocol 128');

export type McpServers = z.output<typeof mcpServersSchema>;
