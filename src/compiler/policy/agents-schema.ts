/** The shape of `agents`: who may do what, by what they are. */
import { z } from 'zod';

const action = z.enum(['allow', 'log', 'block']);

export const agentsSchema = z
  .object({
    spoofed: action
      .optional()
      .describe('Requests that say who they are, where that is checked and wrong; default: block'),
    require: z.literal('verified').optional().describe('Whoever says that it is an agent has to prove it'),
    signals: z
      .literal('log')
      .optional()
      .describe('Signals of automation in the access log, whether a rule asks for them or not'),
  })
  .catchall(action.describe('An agent, an operator, the domain of its keys, or a category such as training or search'));
