/** The shape of `waf:`, of an app or a route. Nothing has a default here: a route gives only what differs from its app. */
import { z } from 'zod';
import { MAX_EXPRESSION_CHARACTERS } from '../../../assembly/abi.ts';
import { MAX_RESPONSE_HOLD_MS, MAX_WAF_EXCLUSIONS, MAX_WAF_VARIABLES } from '../../../assembly/waf/abi.ts';
import { expected, mode, percent, size, text } from './primitives.ts';

const level = z.number().int().min(1).max(4);
const threshold = z.number().int().min(1).max(1_000_000);
const ruleId = z.number().int().min(1).max(2_147_483_647);
const rangeError = expected('must be a range of rule ids', 'write it as `942100-942199`');
const setUpName = expected('must be a variable of the rule set', 'write it as `allowed_methods`, without `tx.`');
const typeError = expected('must be a media type', 'write it as `text/html` or `text/*`');

const exclusion = z.strictObject({
  rule: z
    .union([ruleId, z.array(ruleId).min(1).max(256)])
    .optional()
    .describe('Id of a rule, or several'),
  range: z
    .string(rangeError)
    .regex(/^[0-9]{1,10}-[0-9]{1,10}$/, rangeError)
    .optional()
    .describe('Ids from-to'),
  tag: text.max(256).optional().describe('Rules that have this tag; /regex/ for those of which one matches'),
  message: text.max(512).optional().describe('Rules with this message; /regex/ for those whose message matches'),
  target: text
    .max(512)
    .optional()
    .describe('What is not looked at: ARGS:q, REQUEST_HEADERS:referer, ARGS:/^utm_/, REQUEST_COOKIES. Default: all'),
  when: z
    .string()
    .min(1)
    .max(MAX_EXPRESSION_CHARACTERS)
    .optional()
    .describe("For which requests, as an expression in the language of Cloudflare's rules. Default: all"),
  reason: z.string().min(1).max(200).optional().describe('For those who read the policy'),
});

export const wafSchema = z.strictObject({
  ruleset: text
    .max(128)
    .optional()
    .describe('core (embedded, the default), none, or one of `sallyport rules list`, such as crs@4.28.0'),
  mode: mode.optional().describe('off: not evaluated; log: recorded, no effect; enforce (the default): blocks'),
  paranoia: z
    .strictObject({
      blocking: level.optional().describe('Rules up to this level count towards the threshold; default 1'),
      detection: level.optional().describe('Rules up to this level are evaluated and recorded; default: as blocking'),
    })
    .optional()
    .describe('How much is suspicious: 1 few false alarms, 4 many'),
  thresholds: z
    .strictObject({
      inbound: threshold.optional().describe('Score of a request from which on it is blocked; default 5'),
      outbound: threshold.optional().describe('Score of a response from which on it is replaced; default 4'),
    })
    .optional()
    .describe('Each rule that matches adds to the score: critical 5, error 4, warning 3, notice 2'),
  variables: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, setUpName),
      z.union([z.string().max(4096), z.number().int().min(-2_147_483_648).max(2_147_483_647)]),
    )
    .refine((value) => Object.keys(value).length <= MAX_WAF_VARIABLES, {
      error: `must have at most ${MAX_WAF_VARIABLES} entries`,
    })
    .optional()
    .describe('Set-up variables of the rule set by name, as `allowed_methods: "GET POST"`; a route’s are added'),
  sampling: percent.optional().describe('Share of the requests that are looked at; default 100'),
  body: z
    .strictObject({
      limit: size.optional().describe('Bytes held; contents of uploaded files do not count. Default: `body.limit`'),
      over: z
        .enum(['reject', 'inspect-prefix', 'pass'])
        .optional()
        .describe('A longer body is answered 413, looked at in part, or not looked at. Default: `body.over`'),
      malformed: z
        .enum(['reject', 'log', 'pass'])
        .optional()
        .describe('What cannot be read for sure as what its type says is answered 400 (the default), or only recorded'),
    })
    .optional()
    .describe('Request bodies'),
  response: z
    .strictObject({
      inspect: z.boolean().optional().describe('Look at answers of origins; default false'),
      limit: size.optional().describe('Bytes held before the answer begins, at most 512KB, the default'),
      types: z
        .array(z.string(typeError).regex(/^[A-Za-z0-9!#$&^_.+-]{1,64}\/([A-Za-z0-9!#$&^_.+-]{1,96}|\*)$/, typeError))
        .min(1)
        .max(64)
        .optional()
        .describe('Media types whose bodies are looked at; default: HTML, plain text, XML and JSON'),
      holdMs: z
        .number()
        .int()
        .min(1)
        .max(MAX_RESPONSE_HOLD_MS)
        .optional()
        .describe('Longest wait for a body, in ms; what came is then judged. Default 1000'),
    })
    .optional()
    .describe('Answers of origins: a blocked one is replaced as a whole'),
  exclude: z
    .array(exclusion)
    .max(MAX_WAF_EXCLUSIONS)
    .optional()
    .describe('False alarms: rules, or rules and targets, that are left out; a route’s are added'),
  secLang: z
    .union([z.string().min(1).max(262_144), z.array(z.string().min(1).max(262_144)).max(64)])
    .optional()
    .describe('Rules of your own in SecLang, evaluated before the rule set; a route’s are added'),
  onError: z
    .enum(['closed', 'open'])
    .optional()
    .describe('Where the WAF cannot come to a verdict: refuse (closed, the default) or let pass (open)'),
  messages: mode.optional().describe('WebSocket messages and server-sent events; default off'),
  evidence: z
    .enum(['redacted', 'plain'])
    .optional()
    .describe('redacted (the default): no credentials, passwords or bodies in the log; plain: all that matched'),
});

export type WafFields = z.output<typeof wafSchema>;
export type ExclusionFields = NonNullable<WafFields['exclude']>[number];
