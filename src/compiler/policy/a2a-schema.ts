/** The shape of `a2a:` of a route: an Agent2Agent agent behind the gateway. */
import { z } from 'zod';
import { expected, mode, size } from './primitives.ts';

export const MAX_A2A_NAMES = 256;

const patternError = expected('must be a name', 'use visible ASCII characters; * stands for any');
const pattern = z.string(patternError).regex(/^[\x21-\x7e]{1,256}$/, patternError);
const names = (what: string) =>
  z.strictObject({
    allow: z.array(pattern).max(MAX_A2A_NAMES).optional().describe(`${what} that pass; default: all`),
    deny: z.array(pattern).max(MAX_A2A_NAMES).default([]).describe(`${what} that do not, whatever \`allow\` says`),
  });
const versionError = expected('must be a version of the protocol', 'write it as "1.0" or "0.3"');

export const a2aSchema = z.strictObject({
  mode: mode.default('enforce'),
  versions: z
    .array(z.string(versionError).regex(/^[0-9]{1,4}\.[0-9]{1,4}$/, versionError))
    .min(1)
    .max(16)
    .default(['1.0', '0.3'])
    .describe('Versions that pass; a request that says none is of 0.3'),
  methods: names('Methods by their names of version 1.0, such as SendMessage; * stands for any characters,')
    .prefault({})
    .describe('What may be asked of the agent'),
  skills: names('Ids of skills')
    .prefault({})
    .describe('What its card tells; a request that names a skill is held to it too'),
  sticky: z
    .boolean()
    .default(true)
    .describe('Requests of a task or context go to the endpoint that made it, where a backend has several'),
  bodyLimit: size.default('1MB').describe('Longest request, at most 16MB'),
});

export type A2aFields = z.output<typeof a2aSchema>;
