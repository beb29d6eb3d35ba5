/**
 * The shape of a policy document, with its defaults and the descriptions that editors show.
 *
 * One source for three readers: validation, the types of the rest of the compiler, and `schema/sallyport.schema.json`.
 * Names come from the Gateway API's HTTPRoute and from Envoy Gateway wherever one exists. What a shape cannot say (names
 * that must exist, fields that exclude each other) is checked by the readers beside this file.
 */
import { z } from 'zod';
import {
  MAX_ATTEMPTS,
  MAX_BACKEND_REFS,
  MAX_CONDITIONS,
  MAX_ENDPOINTS,
  MAX_EXPRESSION_CHARACTERS,
  MAX_FILTERS,
  MAX_LIST_ITEMS,
  MAX_MATCHES,
  MAX_ROUTES,
  MAX_RULES,
} from '../../../assembly/abi.ts';
import { a2aSchema } from './a2a-schema.ts';
import { agentsSchema, routeAgentsSchema } from './agents-schema.ts';
import { chargeSchema, rateSchema } from './demand-schema.ts';
import { contentSchema } from './content-schema.ts';
import { filter } from './filter-schema.ts';
import { llmSchema } from './llm-schema.ts';
import { mcpSchema } from './mcp-schema.ts';
import { paymentsSchema } from './payments-schema.ts';
import {
  cidr,
  duration,
  expected,
  hostnames,
  listName,
  METHODS,
  mode,
  name,
  names,
  percent,
  size,
  text,
  token,
  weight,
} from './primitives.ts';
import { enforceSchema, llmsSchema, robotsSchema } from './robots-schema.ts';
import { tunnel, tunnelsSchema } from './tunnels-schema.ts';
import { wafSchema } from './waf-schema.ts';

const valueMatch = z.strictObject({
  type: z
    .enum(['Exact', 'RegularExpression'])
    .default('Exact')
    .describe('RegularExpression: the whole value must match'),
  name: text.max(256).describe('Of the header or parameter'),
  value: z.string().min(1).max(4096).describe('What it must be'),
});

const match = z.strictObject({
  path: z
    .strictObject({
      type: z
        .enum(['Exact', 'PathPrefix', 'RegularExpression'])
        .default('PathPrefix')
        .describe('PathPrefix: by whole elements, /v2 is no prefix of /v2x'),
      value: z.string().max(1024).default('/').describe('Begins with /, unless it is a regular expression'),
    })
    .optional()
    .describe('Default: every path'),
  method: z.enum(METHODS).optional().describe('Default: any'),
  headers: z.array(valueMatch).max(MAX_CONDITIONS).optional().describe('All must hold; names in any case'),
  queryParams: z.array(valueMatch).max(MAX_CONDITIONS).optional().describe('All must hold'),
});

const backendRef = z.strictObject({
  backend: text.describe('A name under `backends`'),
  weight: weight.default(1).describe('Share of the requests; 0 is none'),
  filters: z.array(filter).max(MAX_FILTERS).optional().describe('For requests that go to this backend'),
  allowMissing: z
    .boolean()
    .default(false)
    .describe('The backend may be missing: its share of the requests is then answered 500'),
});

const retry = z.strictObject({
  codes: z
    .array(z.number().int().min(400).max(599))
    .max(64)
    .default([502, 503, 504])
    .describe('Statuses of the origin to try again after; failed connections always are'),
  attempts: z.number().int().min(0).max(MAX_ATTEMPTS).default(2).describe('Tries after the first one'),
  backoff: duration.default('25ms').describe('Pause before the second try; doubled each time, with jitter'),
  maxBackoff: duration.default('1s').describe('Longest pause'),
  budget: percent.default('20%').describe('Share of the requests of ten seconds that may be retries'),
  minRetryRate: z
    .number()
    .int()
    .min(0)
    .max(1000)
    .default(3)
    .describe('Retries a second that are always allowed, whatever the budget'),
});

const timeouts = z.strictObject({
  request: duration.optional().describe('Until the answer begins, tries included; 0s: no limit'),
  backendRequest: duration
    .optional()
    .describe('Until the answer begins, each try; 0s: no limit. Without either, an origin has 60 s'),
});

const inspect = z.strictObject({
  mode: mode.default('enforce'),
  required: names.default([]).describe('400 without these headers'),
  forbidden: names.default([]).describe('400 with one of these headers'),
  maxCount: z.number().int().min(0).max(512).default(0).describe('Header lines; 0: no limit of ours'),
  maxLength: z.number().int().min(0).max(262_144).default(0).describe('Bytes of one value; 0: no limit of ours'),
  lengths: z
    .record(token, z.number().int().min(1).max(262_144))
    .default({})
    .describe('Bytes of the values of named headers'),
  bytes: z.enum(['visible', 'utf8']).default('utf8').describe('visible: 0x20 to 0x7e and tab; utf8: no control bytes'),
});

export const routeSchema = z.strictObject({
  name: name.optional().describe('For logs and explain; default route-N'),
  hostnames: hostnames.optional().describe('Default: those of the app'),
  matches: z.array(match).min(1).max(MAX_MATCHES).optional().describe('One of them must hold; default: every request'),
  filters: z.array(filter).max(MAX_FILTERS).optional().describe('What happens to requests and responses'),
  backend: text.optional().describe('Short for `backends` with one entry'),
  backends: z.array(backendRef).max(MAX_BACKEND_REFS).optional().describe('Where requests go, by weight'),
  timeouts: timeouts.optional().describe('How long an origin may take'),
  retry: retry.optional().describe('Try again where an origin fails'),
  inspect: inspect.optional().describe('Header inspection of this route, after that of the app'),
  waf: wafSchema.optional().describe('What differs from `waf` of the app, field by field'),
  agents: routeAgentsSchema.optional().describe('What differs from `agents` of the app, entry by entry'),
  content: contentSchema.optional().describe('What differs from `content` of the app, field by field'),
  robots: z.strictObject({ enforce: enforceSchema }).optional().describe('What differs from `robots` of the app'),
  mcp: mcpSchema.optional().describe('The route speaks the Model Context Protocol'),
  a2a: a2aSchema.optional().describe('The route speaks Agent2Agent'),
  llm: llmSchema.optional().describe('The route speaks the API of language models'),
});

const expression = z.string().min(1).max(MAX_EXPRESSION_CHARACTERS);

export const ruleSchema = z.strictObject({
  name: name.describe('Named in the answer, the log and by `skip`'),
  when: expression.describe("An expression in the language of Cloudflare's rules"),
  action: z
    .enum(['block', 'log', 'skip', 'redirect', 'rewrite', 'route', 'rate', 'challenge', 'charge'])
    .describe('What happens to requests that match; block and redirect end the request'),
  mode: mode.default('enforce'),
  status: z.number().int().min(400).max(599).optional().describe('Of block; default 403'),
  reason: z.string().min(1).max(200).optional().describe('What the client is told; default: the name of the rule'),
  skip: z
    .strictObject({
      rules: z.array(text).max(MAX_RULES).optional().describe('Names of later rules'),
      phases: z
        .array(z.enum(['inspect', 'rules', 'waf']))
        .optional()
        .describe('inspect: header inspection; rules: all later rules; waf: the WAF, from where the rule matched'),
    })
    .optional()
    .describe('What is left out for requests that match'),
  redirect: z
    .strictObject({
      location: expression.describe('An expression; a literal stands in double quotes'),
      status: z
        .union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)])
        .default(302)
        .describe('Status of the redirect'),
      preserveQuery: z.boolean().default(false).describe('Add the query of the request'),
    })
    .optional()
    .describe('Where to'),
  rewrite: z
    .strictObject({
      path: expression.optional().describe('An expression for the new path'),
      query: expression.optional().describe('An expression for the new query'),
      headers: z
        .strictObject({
          set: z.record(token, expression).optional().describe('Expressions by header name'),
          remove: names.optional().describe('Headers to remove'),
        })
        .optional()
        .describe('Request headers'),
    })
    .optional()
    .describe('What changes on the way to the origin'),
  route: z
    .strictObject({ backend: text.describe('A name under `backends`') })
    .optional()
    .describe('Send the request to this backend'),
  rate: rateSchema.optional().describe('How many requests pass; 429 for those beyond'),
  charge: chargeSchema.optional().describe('What a request costs'),
});

const endpointFields = {
  url: z.string().max(2048).optional().describe('http or https; a path is put before that of the request'),
  tunnel: tunnel.optional(),
  address: z.string().max(260).optional().describe('Where to connect, host or host:port; default: from url'),
  host: z
    .string()
    .max(253)
    .optional()
    .describe(
      'Host towards the origin: preserve (what the client sent), url, or a name. Default: preserve; on Cloudflare url',
    ),
};

export const backendSchema = z.strictObject({
  ...endpointFields,
  endpoints: z
    .array(
      z.strictObject({ ...endpointFields, weight: weight.default(1).describe('Share of the requests; 0 is none') }),
    )
    .min(1)
    .max(MAX_ENDPOINTS)
    .optional()
    .describe('Several places to connect to, in place of url'),
  loadBalancer: z
    .strictObject({
      type: z
        .enum(['WeightedRandom', 'LeastRequest', 'ConsistentHash'])
        .default('WeightedRandom')
        .describe('LeastRequest: the less busy of two picked at random'),
      header: token.optional().describe('ConsistentHash: by this header'),
      cookie: token.optional().describe('ConsistentHash: by this cookie'),
      address: z.literal(true).optional().describe('ConsistentHash: by the address of the client'),
    })
    .optional()
    .describe('How an endpoint is chosen'),
  sessionPersistence: z
    .strictObject({
      cookie: token.default('sallyport_session').describe('Name of the cookie'),
      ttl: duration.default('0s').describe('0s: until the browser closes'),
    })
    .optional()
    .describe('Keeps a client at one endpoint by a cookie'),
  health: z
    .strictObject({
      passive: z
        .strictObject({
          consecutive5xx: z
            .number()
            .int()
            .min(0)
            .max(1000)
            .default(5)
            .describe('Ejects after so many in a row; 0: never'),
          consecutiveGatewayErrors: z
            .number()
            .int()
            .min(0)
            .max(1000)
            .default(5)
            .describe('502, 503, 504 and failed connections; 0: never'),
          baseEjectionTime: duration.default('30s').describe('Times the number of ejections so far'),
          maxEjectionTime: duration.default('300s').describe('Longest ejection'),
          maxEjectionPercent: percent.default(50).describe('Share of the endpoints that can be ejected at once'),
        })
        .prefault({})
        .describe('When and for how long an endpoint is left out'),
      panicThreshold: percent.default(50).describe('With a smaller share of healthy endpoints all are used'),
    })
    .optional()
    .describe('Passive health: endpoints that fail are left out for a while. Default: off'),
});

export const listSchema = z
  .array(z.union([z.string().min(1).max(4096), z.number().int()]))
  .max(MAX_LIST_ITEMS)
  .describe('All addresses and CIDR, or all strings, or all integers');

/** The fields of a document, apart from the four whose entries are validated one by one. */
export const settingSchemas = {
  app: z
    .string()
    .regex(
      /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/,
      expected('must be a name', 'use letters, digits and -, at most 63'),
    )
    .describe('Name of the app, unique in a deployment'),
  hostnames: hostnames
    .default(['*'])
    .describe('Host names of the app: exact, *.wildcard (one or more labels), or * for any'),
  clientAddress: z
    .strictObject({
      from: z
        .enum(['peer', 'xff', 'cf'])
        .optional()
        .describe(
          'peer: the TCP peer; xff: X-Forwarded-For from trusted proxies; cf: Cloudflare says. Default: peer; on Cloudflare cf',
        ),
      trustedHops: z
        .number()
        .int()
        .min(0)
        .max(64)
        .default(0)
        .describe('xff: proxies in front of us, counted from the right; 0: by trustedCIDRs'),
      trustedCIDRs: z.array(cidr).max(1024).default([]).describe('Proxies that are believed'),
      failClosed: z.boolean().default(true).describe('403 when no address can be established'),
    })
    .prefault({})
    .describe('Who is the client; a header alone never decides'),
  path: z
    .strictObject({
      escapedSlashes: z
        .enum(['keep', 'reject'])
        .default('keep')
        .describe('%2F and %5C in a path: keep them as they are, or answer 400'),
      mergeSlashes: z.boolean().default(false).describe('Read // in a path as /'),
    })
    .prefault({})
    .describe('How paths are read'),
  forwarded: z
    .strictObject({
      xForwardedFor: z
        .enum(['append', 'replace', 'off'])
        .default('append')
        .describe('append only to what a trusted peer sent'),
      forwarded: z.boolean().default(true).describe('Send Forwarded (RFC 7239)'),
    })
    .prefault({})
    .describe('What origins are told about the client'),
  cdnLoop: z
    .strictObject({
      id: token.default('sallyport').describe('Our name in CDN-Loop'),
      max: z.number().int().min(1).max(64).default(1).describe('Times that it may be there'),
    })
    .prefault({})
    .describe('RFC 8586: 508 when our id is in CDN-Loop so many times already'),
  proxyStatus: z.boolean().default(true).describe('Proxy-Status (RFC 9209) on answers that the gateway makes'),
  body: z
    .strictObject({
      limit: size.default('128KB').describe('Bytes held for rules, retry and mirror; at most 1MB'),
      over: z
        .enum(['reject', 'inspect-prefix', 'pass'])
        .default('reject')
        .describe('A longer body is answered 413, looked at in part, or not looked at'),
    })
    .prefault({})
    .describe('Bodies that are held'),
  inspect: inspect.optional().describe('Header inspection of the whole app'),
  waf: wafSchema
    .optional()
    .describe('Web application firewall; `waf: {}` is the embedded rule set in mode enforce. Default: none'),
  agents: agentsSchema.optional().describe('What agents may do, by name, operator, domain or category; before `rules`'),
  content: contentSchema.optional().describe('What is said of the content of answers, and done to it'),
  robots: robotsSchema.optional().describe('robots.txt: what the policy writes into it, and who does not keep to it'),
  llms: llmsSchema.optional().describe('What /llms.txt and /llms-full.txt answer'),
  tunnels: tunnelsSchema
    .optional()
    .describe(
      'Private origins that dial in: their hosts, and who may use them. The rules and the WAF of this app apply',
    ),
  payments: paymentsSchema.optional(),
  cloudflare: z
    .strictObject({
      zone: text.max(253).describe('The zone of the account; `address` and `host` can name hosts inside of it only'),
    })
    .optional()
    .describe('What only the Cloudflare target needs'),
} as const;

export const policySchema = z.strictObject({
  ...settingSchemas,
  lists: z.record(listName, listSchema).optional().describe('Named lists, used in rules as $name'),
  backends: z.record(name, backendSchema).optional().describe('Where requests can go, by name'),
  rules: z.array(ruleSchema).max(MAX_RULES).optional().describe('In order; for every request, before its route acts'),
  routes: z
    .array(routeSchema)
    .max(MAX_ROUTES)
    .optional()
    .describe('HTTPRoute rules of the Gateway API; the most specific match wins, not the first'),
});

export const nameSchemas = { lists: listName, backends: name } as const;

export type Match = z.output<typeof match>;
export type Route = z.output<typeof routeSchema>;
export type Rule = z.output<typeof ruleSchema>;
export type Backend = z.output<typeof backendSchema>;
export type AgentsPolicy = z.output<typeof agentsSchema>;
export type Inspect = z.output<typeof inspect>;
export type Settings = { readonly [Name in keyof typeof settingSchemas]: z.output<(typeof settingSchemas)[Name]> };

/** The text of schema/sallyport.schema.json: a policy document for editors. */
export function schemaText(): string {
  const schema = z.toJSONSchema(policySchema, { io: 'input', target: 'draft-7' });
  return `${JSON.stringify({ title: 'Sallyport policy', ...schema }, null, 2)}\n`;
}
