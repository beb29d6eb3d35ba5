/** What the control API says of agents, in OpenAPI 3.1. */
import { count, list, object, problem, text, unsigned } from './openapi-words.ts';

const agent = object({
  app: text,
  agent: { ...text, description: 'Name; "other" where there were too many' },
  operator: text,
  category: text,
  identity: { enum: ['verified', 'claimed', 'spoofed', 'unknown', ''] },
  requests: count,
  robotsViolations: { ...count, description: 'Requests for paths that robots.txt disallows for this agent' },
  refused: count,
  tokens: object({
    input: count,
    output: count,
    estimated: { ...count, description: 'Of both: counted by the gateway' },
  }),
  refusals: list(object({ phase: text, rule: text, reason: text, requests: count })),
  charges: list(object({ currency: text, millionths: count, requests: count })),
});

export const AGENT_PATHS = {
  '/v1/agents': {
    get: {
      operationId: 'agentsReport',
      summary: 'What agents did, since a day: the most requests first',
      parameters: [
        {
          ...{ name: 'since', in: 'query', schema: { type: 'string', default: '7d' } },
          description: 'A day of UTC, as 2026-11-21, or a number of days, as 7d: today and those before it',
        },
      ],
      responses: {
        200: {
          description: 'the report',
          content: { 'application/json': { schema: object({ since: text, until: text, agents: list(agent) }) } },
        },
        400: problem,
        401: unsigned,
        501: { ...problem, description: 'Nothing is kept: the deployment looks at no agents' },
        503: problem,
      },
    },
  },
};
