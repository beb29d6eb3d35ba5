/** What the control API says of payments, in OpenAPI 3.1. */
import { content, count, object, problem, text, unsigned } from './openapi-words.ts';

const account = object({
  account: { ...text, description: 'crawler:DOMAIN or x402:NETWORK' },
  currency: text,
  charges: { ...count, description: 'How many' },
  charged: { ...count, description: 'Millionths of the currency' },
  paid: { ...count, description: 'Millionths of the currency' },
});
const paid = object({ account: text, amount: { ...text, description: 'Such as USD 5.00' } });

export const PAYMENT_PATHS = {
  '/v1/payments': {
    get: {
      operationId: 'payments',
      summary: 'Accounts of agents: what was charged and what is paid',
      responses: {
        200: {
          description: 'all accounts',
          content: content(object({ accounts: { type: 'array', items: account } })),
        },
        ...{ 401: unsigned, 501: problem, 503: problem },
      },
    },
    post: {
      operationId: 'paid',
      summary: 'Records what an agent has paid',
      requestBody: { required: true, content: content(paid) },
      responses: {
        200: { description: 'recorded', content: content(paid) },
        ...{ 400: problem, 401: unsigned, 404: problem, 413: problem, 501: problem, 503: problem },
      },
    },
  },
};
