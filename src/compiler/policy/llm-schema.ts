/** The shape of `llm:` of a route: which API of language models it speaks, and what holds there. */
import { z } from 'zod';
import { MAX_RATE_KEYS } from '../../../assembly/abi.ts';
import { duration, expected, mode, name, secret, size, text } from './primitives.ts';

export const MAX_LLM_MODELS = 256;
export const MAX_LLM_FAILOVERS = 8;
export const MAX_LLM_BUDGETS = 8;

const modelError = expected('must be the name of a model', 'use visible ASCII characters without spaces, at most 256');
const model = z.string(modelError).regex(/^[\x21-\x7e]{1,256}$/, modelError);
const tokensError = expected('must be a number of tokens', 'write it as 500000, `500k` or `1.5M`');
const keyError = expected(
  'must say what tokens are counted by',
  'write `ip.src`, `agent.operator`, `agent.name`, `agent.domain`, `llm.model`, or the name of a header',
);

const budget = z.strictObject({
  name: name.optional().describe('For the log; default: the route’s, with a number'),
  tokens: z
    .union([
      z.number().int().min(1).max(1e12),
      z.string(tokensError).regex(/^[0-9]{1,9}(?:\.[0-9]{1,6})?[kMG]$/, tokensError),
    ])
    .describe('Input and output together, that a window takes'),
  per: duration.describe('Length of the window, from 1s to 744h; it begins with the first request'),
  by: z
    .array(
      z
        .string(keyError)
        .regex(/^(?:ip\.src|agent\.(?:operator|name|domain)|llm\.model|[!#$%&'*+^_`|~0-9A-Za-z-]{1,256})$/, keyError),
    )
    .max(MAX_RATE_KEYS)
    .default(['ip.src'])
    .describe('What tokens are counted by: ip.src, agent.operator, llm.model or headers. []: all together'),
  onError: z
    .enum(['closed', 'open'])
    .default('closed')
    .describe('Where the count can not be asked for: closed answers 503, open lets pass'),
});

export const llmSchema = z.strictObject({
  provider: z.enum(['openai', 'anthropic', 'gemini']).describe('Whose API clients and backends speak'),
  mode: mode.default('enforce'),
  models: z
    .array(
      z.strictObject({
        match: model.describe('Name in the request; * stands for any characters'),
        backend: text.optional().describe('A name under `backends`; default: that of the route'),
        rewrite: model.optional().describe('Name of the model at that backend; default: as it is'),
      }),
    )
    .min(1)
    .max(MAX_LLM_MODELS)
    .optional()
    .describe('The first that matches holds, and a model that none matches is refused. Default: every model'),
  failover: z
    .array(
      z.union([
        text,
        z.strictObject({
          backend: text.describe('A name under `backends`'),
          rewrite: model.optional().describe('Name of the model at that backend; default: as it is'),
        }),
      ]),
    )
    .min(1)
    .max(MAX_LLM_FAILOVERS)
    .optional()
    .describe('Backends to turn to, in this order, where one failed before the first byte of its answer'),
  failoverCodes: z
    .array(z.number().int().min(400).max(599))
    .max(64)
    .default([429, 500, 502, 503, 504, 529])
    .describe('Statuses that count as failures beside lost connections'),
  firstByte: duration.default('0s').describe('How long a backend may take to the first byte; 0s: as `timeouts` say'),
  keys: z
    .record(name, secret)
    .optional()
    .describe('Key that is sent to each backend, by its name, in the header that the provider wants'),
  clientKey: z
    .enum(['drop', 'forward'])
    .default('drop')
    .describe('Credentials of clients: dropped, or forwarded to the first backend where it has no key of its own'),
  others: z
    .enum(['refuse', 'pass'])
    .default('refuse')
    .describe('Requests that are none for a model, apart from lists of models'),
  usage: z
    .enum(['ask', 'leave'])
    .default('ask')
    .describe('ask: for the usage of streams where the client does not, and keep it from the client (OpenAI)'),
  budgets: z.array(budget).max(MAX_LLM_BUDGETS).optional().describe('Tokens that may be spent; over it, 429'),
  bodyLimit: size.default('1MB').describe('Longest request, at most 16MB'),
});

export type LlmFields = z.output<typeof llmSchema>;
