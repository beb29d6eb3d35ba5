/** The shape of `robots` and `llms`: what is answered for the whole app beside its routes. */
import { z } from 'zod';
import { absoluteUrl, signalSchema, usageSchema } from './content-schema.ts';
import { expected, text } from './primitives.ts';

export const MAX_ROBOTS_GROUPS = 64;
export const MAX_GROUP_LINES = 512;
/** Characters of a text that the policy holds. */
export const MAX_DOCUMENT = 262_144;

const pathError = expected('must be a path of robots.txt', 'begin with `/` or `*`, and write no space and no `#`');
const paths = z
  .array(z.string(pathError).regex(/^[/*][!"$-~\u0080-\u{10ffff}]{0,2047}$/u, pathError))
  .max(MAX_GROUP_LINES);
const tokenError = expected('must be a product token or `*`', 'use letters, digits, `_`, `-` and `.`');

const group = z.strictObject({
  agents: z
    .array(z.string(tokenError).regex(/^(?:\*|[A-Za-z0-9_.-]{1,64})$/, tokenError))
    .min(1)
    .max(MAX_GROUP_LINES)
    .describe('Product tokens, or * for all who are named nowhere'),
  allow: paths.optional().describe('Paths that they may have; the longest of all that match decides'),
  disallow: paths.optional().describe('Paths that they may not have'),
  signal: signalSchema.optional(),
  usage: usageSchema.optional(),
});

const decision = z.enum(['allow', 'disallow']);

export const enforceSchema = z
  .enum(['off', 'log', 'block'])
  .describe('Requests that robots.txt disallows for their agent: not looked at, counted and logged, or 403 as well');

export const robotsSchema = z.strictObject({
  managed: z
    .object({
      groups: z.array(group).max(MAX_ROBOTS_GROUPS).optional().describe('Groups, as they are to stand in the file'),
      signal: signalSchema.optional().describe('Content-Signal of the group for *'),
      usage: usageSchema.optional().describe('Content-Usage of the group for *'),
      license: absoluteUrl.optional().describe('The License line (RSL)'),
      sitemaps: z.array(absoluteUrl).max(64).optional().describe('Sitemap lines'),
    })
    .catchall(decision.describe('An agent, an operator or a category: disallow: nothing is for them'))
    .optional()
    .describe('The part that the policy writes. Whom `agents` blocks is disallowed as well'),
  origin: z
    .enum(['merge', 'replace'])
    .optional()
    .describe("merge: the origin's own file follows the managed part; replace: it is not asked for. Default: merge"),
  backend: text
    .optional()
    .describe("Backend that is asked for the origin's file. Default: that of the route that takes /robots.txt"),
  enforce: enforceSchema.default('log'),
});

const fileError = expected(
  'must name a file beside the policy',
  'write a relative path without `..`, such as llms.txt',
);
const document = z.union([
  z.string().min(1).max(MAX_DOCUMENT),
  z.strictObject({
    file: z
      .string(fileError)
      .max(1024)
      .regex(/^(?!\/)(?!.*(?:^|[/\\])\.\.(?:$|[/\\]))[^\0]+$/, fileError)
      .describe('Read when the policy is compiled; relative to the policy'),
  }),
]);

export const llmsSchema = z.strictObject({
  text: document.optional().describe('What /llms.txt answers, in Markdown. Default: the origin does'),
  full: document.optional().describe('What /llms-full.txt answers. Default: the origin does'),
});

export type RobotsFields = z.output<typeof robotsSchema>;
export type LlmsFields = z.output<typeof llmsSchema>;
