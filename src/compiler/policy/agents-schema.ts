/** The shape of `agents`: who may do what, by what they are. */
import { z } from 'zod';
import { chargeSchema, rateSchema } from './demand-schema.ts';

const action = z.union([
  z.enum(['allow', 'log', 'rate', 'challenge', 'charge', 'block']),
  z.strictObject({ rate: rateSchema.describe('How many requests pass; 429 for those beyond') }),
  z.strictObject({ charge: chargeSchema.describe('What a request costs') }),
]);

const fields = {
  spoofed: action
    .optional()
    .describe('Requests that say who they are, where that is checked and wrong; default: block'),
  require: z
    .enum(['verified', 'none'])
    .optional()
    .describe('verified: whoever says that it is an agent has to prove it. Default: none'),
  rate: rateSchema.optional().describe('What `rate` without more means in the entries'),
  charge: chargeSchema.optional().describe('What `charge` without more means in the entries'),
};
const entry = action.describe(
  'An agent, an operator, the domain of its keys, or a category such as training or search',
);

export const agentsSchema = z
  .object({
    ...fields,
    signals: z
      .literal('log')
      .optional()
      .describe('Signals of automation in the access log, whether a rule asks for them or not'),
  })
  .catchall(entry);

/** Of a route: signals are the app's. */
export const routeAgentsSchema = z.object(fields).catchall(entry);

export type AgentAction = z.output<typeof action>;
export type RouteAgents = z.output<typeof routeAgentsSchema>;
