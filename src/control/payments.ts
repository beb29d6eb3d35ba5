/** Payments in the control API: which accounts there are, what they owe, and what an operator has seen paid. */
import { Hono } from 'hono';
import { readJsonObject } from '../agents/json-text.ts';
import { Books } from '../agents/ledger.ts';
import { parsePrice } from '../agents/price.ts';
import type { Env } from '../platform/bindings.ts';
import { log, readBody, refuse, type ControlContext } from './call.ts';

const MAX_BODY = 4096;
const UNANSWERED = 'not all of the objects that keep the ledger answer';

export const payments = new Hono<{ Bindings: ControlContext }>();

payments.get('/v1/payments', async (c) => {
  const books = booksOf(c.env.env);
  if (books === null) return refuse(c.req.raw, 501, 'this deployment keeps no ledger');
  try {
    return c.json({ accounts: await books.accounts() });
  } catch {
    return refuse(c.req.raw, 503, UNANSWERED);
  }
});

payments.post('/v1/payments', async (c) => {
  const books = booksOf(c.env.env);
  if (books === null) return refuse(c.req.raw, 501, 'this deployment keeps no ledger');
  const bytes = await readBody(c.req.raw, MAX_BODY);
  if (bytes === null) return refuse(c.req.raw, 413, 'the body is too large');
  const body = readJsonObject(bytes);
  const { account, amount } = typeof body === 'string' ? {} : (body.value as { account?: unknown; amount?: unknown });
  const price = typeof amount === 'string' ? parsePrice(amount) : null;
  if (typeof account !== 'string' || price === null)
    return refuse(c.req.raw, 400, 'the body is { "account": "crawler:agent.example", "amount": "USD 5.00" }');
  try {
    if (!(await books.pay(account, price.currency, price.micros)))
      return refuse(c.req.raw, 404, `there is no account of that name in ${price.currency}`);
  } catch {
    return refuse(c.req.raw, 503, UNANSWERED);
  }
  log('paid', { account, amount });
  return c.json({ account, amount });
});

function booksOf({ LEDGER: namespace }: Env): Books | null {
  return namespace === undefined ? null : new Books(namespace);
}
