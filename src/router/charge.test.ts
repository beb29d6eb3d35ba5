import type { ObjectNamespace } from '../durable-object.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACTION_CHARGE, EFFECT_RULE, MODE_ENFORCE } from '../../assembly/abi.ts';
import { objectStorage } from '../../test/support/object-storage.ts';
import { Books, type Charge, Ledger } from '../agents/ledger.ts';
import { CHARGED_HEADER } from '../agents/pay-per-crawl.ts';
import type { Requirement } from '../agents/x402.ts';
import type { PaymentsPlan, PaymentTerms, RulePlan } from '../plan.ts';
import type { AgentPlatform } from '../platform/platform.ts';
import type { Effect } from '../waf/engine.ts';
import type { PendingCharge } from './charge.ts';
import type { Exchange } from './exchange.ts';
import { payment } from './payment.ts';
import { action, backend, plan, run } from './testing.ts';

function ledger(): ObjectNamespace {
  const objects = new Map<string, Ledger>();
  return {
    idFromName: (name) => name,
    get(name: string) {
      let found = objects.get(name);
      if (found === undefined) objects.set(name, (found = new Ledger({ storage: objectStorage() })));
      const object = found;
      return { fetch: (url: string, init?: RequestInit) => object.fetch(new Request(url, init)) };
    },
  };
}
const agents = (namespace = ledger()): AgentPlatform => ({
  fetch: () => Promise.reject(new Error('nobody is asked')),
  ...{ guard: null, ledger: namespace, options: {} },
});

const token = (currency: string): PaymentTerms => ({
  ...{ network: 'eip155:8453', asset: `0x${currency}`, payTo: '0xshop', decimals: 6, currency },
  ...{ maxTimeoutSeconds: 60, extra: {} },
});
const PAYMENTS: PaymentsPlan = {
  crawler: null,
  x402: { facilitator: 'https://pay.example', authorization: '', accepts: [token('USD'), token('EUR')] },
};
const charging = (price: string): RulePlan => ({
  ...{ name: price, action: 'charge', mode: 'enforce', status: 403, reason: '', backend: -1, headers: [] },
  ...{ removeHeaders: [], preserveQuery: false, charge: { price } },
});
const policy = plan({ '/': action() }, [backend('web', ['http://10.0.0.1:81'])], {
  payments: PAYMENTS,
  rules: [charging('USD 0.01'), charging('EUR 0.01')],
});
async function visit(path: string, rule = 0) {
  const effect = { kind: EFFECT_RULE, index: rule, mode: MODE_ENFORCE, a: ACTION_CHARGE, b: 0, value: '' } as Effect;
  const { response } = await run(policy, path, {}, { head: (result) => ({ ...result, effects: [effect] }) }, { agents: agents() }); // prettier-ignore
  return response;
}

test('the same amount of two currencies is paid in the tokens of each', async () => {
  for (const [rule, asset] of [
    [0, '0xUSD'],
    [1, '0xEUR'],
    [0, '0xUSD'],
  ] as const) {
    const told = JSON.parse(atob((await visit('/a', rule)).headers.get('payment-required') ?? '')) as {
      accepts: Requirement[];
    };
    assert.deepEqual(told.accepts.map((one) => one.asset), [asset]); // prettier-ignore
  }
});

test('what is free stays free, and no path leads out of it', async () => {
  for (const path of ['/robots.txt', '/sitemap.xml', '/.well-known/agent-card.json', '/.well-known/a/b~c_d'])
    assert.equal((await visit(path)).status, 200, path);
  // Origins read these as paths of their own.
  for (const path of ['/.well-known/..%2fa', '/.well-known/..;/a', '/.well-known/%2e%2e/a', '/.well-known/..%5ca', '/robots.txt/a'])
    assert.equal((await visit(path)).status, 402, path); // prettier-ignore
});

const CHARGE: Charge = {
  ...{ id: 'x', account: 'crawler:a.example', currency: 'USD', micros: 10_000, until: 0, credit: 1_000_000 },
};
async function answered(status: number, books: Books, more: Partial<PendingCharge> = {}, of: object = {}) {
  const charge = { ...CHARGE, id: `${status}`, until: Math.floor(Date.now() / 1000) + 60 };
  assert.equal(await books.reserve(charge), 'reserved');
  const pending: PendingCharge = {
    ...{ rule: charging('USD 0.01'), price: { currency: 'USD', micros: 10_000 }, charge, books, x402: null },
    ...{ state: 'reserved', ...more },
  };
  const waiting: Promise<unknown>[] = [];
  const response = { status, headers: new Headers(), body: null, ...of };
  const exchange = {
    ...{ charge: pending, response, owned: true, agentEvents: null, answer: null, id: '1', rpc: null, plan: null },
    ...{ request: { method: 'GET' }, seen: { accept: '' }, verdicts: [], scheme: 'https', authority: 'a', target: {} },
    context: { waitUntil: (work: Promise<unknown>) => void waiting.push(work) },
  } as unknown as Exchange;
  return { pending, response, waiting, exchange, running: payment.run(exchange) };
}

test('a WebSocket that opens is an answer that is paid for; what is not delivered is given back', async () => {
  const books = new Books(ledger() as never);
  for (const [status, state] of [[101, 'charged'], [206, 'charged'], [304, 'released'], [404, 'released'], [500, 'released']] as const) {
    const { pending, response, running, waiting } = await answered(status, books);
    await running;
    await Promise.all(waiting);
    assert.deepEqual([status, pending.state, response.headers.has(CHARGED_HEADER)], [status, state, state === 'charged']); // prettier-ignore
  } // prettier-ignore
  assert.equal((await books.accounts())[0]?.charged, 20_000);
});

test('what was settled is written down though the client leaves', async () => {
  const books = new Books(ledger() as never);
  const settle = () => Promise.resolve({ success: true, transaction: '0x1', network: '', payer: '', reason: '' });
  const x402 = { payment: {}, facilitator: { settle }, accepts: [] } as unknown as PendingCharge['x402'];
  const { waiting } = await answered(200, books, { x402 });
  // The runtime drops what nobody waits for any more; what it was told of goes on.
  await Promise.all(waiting);
  assert.equal((await books.accounts())[0]?.charged, 10_000);
  assert.equal(waiting.length, 1);
});

test('a WebSocket that is not settled is closed on both sides', async () => {
  const done: unknown[] = [];
  const webSocket = { accept: () => done.push('accept'), close: (code: number) => done.push(code) };
  const settle = () => Promise.resolve({ success: false, transaction: '', network: '', payer: '', reason: 'no' });
  const x402 = { payment: {}, facilitator: { settle }, accepts: [] } as unknown as PendingCharge['x402'];
  const { running, exchange } = await answered(101, new Books(ledger() as never), { x402 }, { webSocket });
  await running;
  assert.deepEqual([done, exchange.response?.status], [['accept', 1000], 402]);
});

test('no cache in front keeps what was paid for', async () => {
  const books = new Books(ledger() as never);
  for (const [status, given, kept] of [
    ...[[200, 'public, max-age=60', 'private'] as const, [201, 'max-age=60, Private', 'max-age=60, Private'] as const],
    ...[[202, 'no-store', 'no-store'] as const, [203, 'private="set-cookie", max-age=60', 'private'] as const],
  ]) {
    const { running, response } = await answered(
      status,
      books,
      {},
      { headers: new Headers({ 'cache-control': given }) },
    );
    await running;
    assert.equal(response.headers.get('cache-control'), kept, given);
  }
});
