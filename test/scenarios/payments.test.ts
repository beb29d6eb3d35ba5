/** Agents that pay, over sockets: on account as pay per crawl has it, and by x402 through a facilitator. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { type AgentKey, createAgentKey, keyDirectory, readAgentKey } from '../../src/agents/agent-key.ts';
import { DIRECTORY_TYPE } from '../../src/agents/key-directory.ts';
import { component } from '../../src/agents/message-signature.ts';
import type { Requirement } from '../../src/agents/x402.ts';
import { type Answer, ask, type Options } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { startCommand, type Target } from '../gateway.ts';
import { newSigner, signedHeaders, type Signer } from '../support/signed-request.ts';
import { onEachTarget } from './targets.ts';

let key: AgentKey;
let stranger: Signer;
let echo: Echo;
let peer: Server;
let host = '';
/** What the facilitator says next, and what it was asked. */
let says: Record<string, unknown> = {};
let asked: { path: string; body: { paymentRequirements: Requirement }; authorization: string | undefined }[] = [];

async function peerAnswer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '';
  const json = (value: unknown, type = 'application/json') =>
    response.writeHead(200, { 'content-type': type }).end(JSON.stringify(value));
  if (path === '/.well-known/http-message-signatures-directory') json(keyDirectory([key]), DIRECTORY_TYPE);
  else if (path === '/stranger.json') json({ keys: [stranger.publicJwk] });
  else if (path === '/pay/verify' || path === '/pay/settle') {
    const { authorization } = request.headers;
    asked.push({ path, body: JSON.parse(await text(request)), authorization });
    if (says['status'] !== undefined) response.writeHead(Number(says['status'])).end();
    else json(path === '/pay/verify' ? says['verify'] : says['settle']);
  } else response.writeHead(404).end();
}

async function setUp(): Promise<string> {
  key = await readAgentKey(await createAgentKey());
  stranger = await newSigner();
  peer = createServer((request, response) => void peerAnswer(request, response)).listen(0, '127.0.0.1');
  await once(peer, 'listening');
  host = `127.0.0.1:${(peer.address() as AddressInfo).port}`;
  echo = await startEcho('web');
  return `app: shop
backends: { web: { url: ${echo.url} } }
routes:
  - { name: all, backend: web }
rules:
  - { name: crawled, when: 'starts_with(http.request.uri.path, "/crawl")', action: charge, charge: { price: USD 0.25 } }
  - { name: bought, when: 'starts_with(http.request.uri.path, "/buy")', action: charge, charge: { price: USDC 0.01 } }
  - { name: missing, when: 'http.request.uri.path eq "/robots.txt"', action: charge, charge: { price: USD 0.25 } }
payments:
  crawler: { accounts: { "${host}": USD 1 } }
  x402:
    facilitator: http://${host}/pay/
    authorization: { secret: FACILITATOR }
    accepts:
      - { network: 'eip155:84532', asset: '0xtoken', payTo: '0xshop', decimals: 6, currency: USDC, extra: { name: USDC, version: '2' } }
`;
}

async function tearDown(): Promise<void> {
  await echo.stop();
  peer.closeAllConnections();
  peer.close();
}

const args = (target: Target): string[] =>
  target === 'workerd'
    ? ['--agents', 'insecure', '--agents', `trusted-host=${host}`, '--secret', 'FACILITATOR=env:PAYMENT_SECRET']
    : [];
const env = (target: Target): Record<string, string> => ({
  PAYMENT_SECRET: 'Bearer s3cret',
  ...(target === 'cloudflare' && {
    SECRET_FACILITATOR: 'Bearer s3cret',
    AGENTS: JSON.stringify({ insecure: true, trustedHosts: [host] }),
  }),
});

onEachTarget('payments', { policy: setUp, args, env, teardown: tearDown }, (world) => {
  const visit = (path: string, headers: Record<string, string> = {}, options: Options = {}): Promise<Answer> =>
    ask(`${world.url}${path}`, { host: 'shop.example', ...options, headers });
  const error = (answer: Answer): [number, unknown, unknown] =>
    [...[answer.status, answer.headers['crawler-error'], answer.headers['crawler-price']]] as [
      number,
      unknown,
      unknown,
    ];

  /** A request signed by the known agent, price covered. */
  async function signed(path: string, headers: Record<string, string>, covers = Object.keys(headers), by?: Signer) {
    const now = Math.floor(Date.now() / 1000);
    const agent = by === undefined ? `"http://${host}"` : `"http://${host}/stranger.json"`;
    return await signedHeaders(by ?? { ...stranger, sign: key.sign, keyid: key.keyid }, {
      ...{ url: `http://shop.example${path}`, agent, headers, parameters: { created: now, expires: now + 60 } },
      components: [component('@authority'), component('signature-agent'), ...covers.map((name) => component(name))],
    });
  }
  /** Of a request that was paid for: the line of the one before it, for the same path, may come late. */
  const line = (path: string, since: number) =>
    world.gateway.event('access', (event) => event['path'] === path && event['payment'] !== undefined, since);

  test('who offers nothing is told the price', async () => {
    const answer = await visit('/crawl/1');
    assert.deepEqual(error(answer), [402, 'MissingCrawlerPrice', 'USD 0.25']);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.match(String(JSON.parse(answer.text()).detail), /USD 0\.25/);
    assert.equal((await visit('/free')).status, 200);
    assert.notEqual((await visit('/robots.txt')).status, 402);
  });

  test('who pays proves who it is, by a signature that covers the price', async () => {
    const price = { 'crawler-exact-price': 'USD 0.25' };
    assert.deepEqual(error(await visit('/crawl/2', price)), [400, 'StrongAuthRequired', 'USD 0.25']);
    assert.deepEqual(error(await visit('/crawl/2', await signed('/crawl/2', price, []))).slice(0, 2), [
      400,
      'InvalidSignature',
    ]);
    const low = await signed('/crawl/2', { 'crawler-max-price': 'USD 0.2' });
    assert.deepEqual(error(await visit('/crawl/2', low)).slice(0, 2), [402, 'InvalidCrawlerMaxPrice']);
    const both = await signed('/crawl/2', { ...price, 'crawler-max-price': 'USD 1' });
    assert.deepEqual(error(await visit('/crawl/2', both)).slice(0, 2), [400, 'ConflictingPriceHeaders']);
    const unknown = await signed('/crawl/2', price, undefined, stranger);
    assert.deepEqual(error(await visit('/crawl/2', unknown)).slice(0, 2), [403, 'PaymentFailed']);
  });

  test('what is delivered is charged, once, up to what the agent may owe', async () => {
    const since = world.gateway.events.length;
    const headers = await signed('/crawl/3', { 'crawler-exact-price': 'USD 0.25' });
    const paid = await visit('/crawl/3', headers);
    assert.deepEqual([paid.status, paid.headers['crawler-charged']], [200, 'USD 0.25']);
    assert.equal(paid.headers['cache-control'], 'private');
    const { payment } = await line('/crawl/3', since);
    assert.deepEqual(payment, { state: 'charged', price: 'USD 0.25', account: `crawler:${host}` });
    // A copy of it is a replay: whoever took it down on the way gets nothing, and nobody pays.
    assert.equal((await visit('/crawl/3', headers)).headers['crawler-charged'], undefined);
    const head = await visit('/crawl/3', await signed('/crawl/3', { 'crawler-exact-price': 'USD 0.25' }), {
      method: 'HEAD',
    });
    assert.deepEqual([head.status, head.headers['crawler-charged']], [200, undefined]);
    // What the origin does not deliver costs nothing.
    const failed = await visit(
      '/crawl/4/status/404',
      await signed('/crawl/4/status/404', { 'crawler-max-price': 'USD 5' }),
    );
    assert.deepEqual([failed.status, failed.headers['crawler-charged']], [404, undefined]);
    for (let n = 0; n < 3; n++) {
      const more = await visit('/crawl/5', await signed('/crawl/5', { 'crawler-max-price': 'USD 5' }));
      assert.deepEqual([more.status, more.headers['crawler-charged']], [200, 'USD 0.25'], String(n));
    }
    const beyond = await visit('/crawl/6', await signed('/crawl/6', { 'crawler-exact-price': 'USD 0.25' }));
    assert.deepEqual(error(beyond).slice(0, 2), [403, 'PaymentFailed']);
  });

  // Where the control API is a socket; the same API on a control host has a scenario of its own.
  if (world.target === 'workerd')
    test('an operator sees what is owed, and writes down what was paid', async () => {
      const run = async (...words: string[]) => {
        const command = startCommand(['payments', ...words, '--control', world.gateway.control], world.gateway.folder);
        return { code: await command.exited, said: command.stderr() };
      };
      const account = `crawler:${host}`;
      assert.match((await run('list')).said, /crawler:\S+ +4 +USD 1\.00 +USD 0\.00 +USD 1\.00/);
      assert.match((await run('paid', account, 'USD 0.5')).said, /has paid USD 0\.5/);
      assert.match((await run()).said, /crawler:\S+ +4 +USD 1\.00 +USD 0\.50 +USD 0\.50/);
      const wrong = await run('paid', account, 'EUR 1');
      assert.equal(wrong.code, 1);
      assert.match(wrong.said, /no account of that name in EUR/);
      assert.match((await run('paid', account)).said, /takes an account and a price/);
      const answer = await visit('/crawl/7', await signed('/crawl/7', { 'crawler-exact-price': 'USD 0.25' }));
      assert.equal(answer.headers['crawler-charged'], 'USD 0.25');
    });

  const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
  const decoded = (answer: Answer, name: string) =>
    JSON.parse(Buffer.from(String(answer.headers[name]), 'base64').toString());
  let transfers = 0;
  const payment = (terms: Requirement) =>
    base64({
      x402Version: 2,
      accepted: terms,
      payload: { signature: '0x1', authorization: { from: `0x${'ab'.repeat(20)}`, nonce: `0x${transfers++}` } },
    });
  const good = {
    verify: { isValid: true, payer: '0xabc' },
    settle: { success: true, transaction: '0xdone', payer: '0xabc' },
  };

  test('x402: the terms are told, a payment is verified before the origin is asked, and settled before it answers', async () => {
    const refused = await visit('/buy/1');
    assert.deepEqual([refused.status, refused.headers['crawler-error']], [402, 'MissingCrawlerPrice']);
    const told = decoded(refused, 'payment-required');
    assert.deepEqual([told.x402Version, told.resource.url], [2, 'http://shop.example/buy/1']);
    const [terms] = told.accepts as [Requirement];
    assert.deepEqual([terms.amount, terms.payTo, terms.network], ['10000', '0xshop', 'eip155:84532']);
    [says, asked] = [good, []];
    const since = world.gateway.events.length;
    const header = payment(terms);
    const bought = await visit('/buy/1', { 'payment-signature': header });
    assert.equal(bought.status, 200, bought.text());
    assert.equal(decoded(bought, 'payment-response').transaction, '0xdone');
    assert.equal(bought.echo().headers['payment-signature'], undefined, 'money goes to no origin');
    assert.deepEqual(
      asked.map(({ path }) => path),
      ['/pay/verify', '/pay/settle'],
    );
    assert.deepEqual(asked[0]!.body.paymentRequirements, terms);
    assert.equal(asked[0]!.authorization, 'Bearer s3cret');
    const { payment: logged } = await line('/buy/1', since);
    assert.deepEqual(logged, { state: 'charged', price: 'USDC 0.01', account: 'x402:eip155:84532' });
    // The same again is no payment, whatever the facilitator says.
    const again = await visit('/buy/1', { 'payment-signature': header });
    assert.deepEqual([again.status, decoded(again, 'payment-required').error], [402, 'the payment was used before']);
    assert.equal(asked.length, 2);
  });

  test('x402: what is not delivered is not settled; what is not settled is not delivered', async () => {
    const [terms] = decoded(await visit('/buy/2'), 'payment-required').accepts as [Requirement];
    [says, asked] = [good, []];
    const failed = await visit('/buy/2/status/500', { 'payment-signature': payment(terms) });
    assert.deepEqual([failed.status, asked.map(({ path }) => path)], [500, ['/pay/verify']]);
    says = { ...good, settle: { success: false, errorReason: 'insufficient_funds', transaction: '' } };
    const header = payment(terms);
    const unsettled = await visit('/buy/2', { 'payment-signature': header });
    assert.equal(unsettled.status, 402);
    assert.deepEqual(decoded(unsettled, 'payment-response'), {
      ...{ success: false, errorReason: 'insufficient_funds', transaction: '', network: 'eip155:84532' },
    });
    says = { ...good, verify: { isValid: false, invalidReason: 'expired' } };
    const invalid = await visit('/buy/2', { 'payment-signature': payment(terms) });
    assert.deepEqual(
      [invalid.status, decoded(invalid, 'payment-required').error],
      [402, 'the payment is not valid: expired'],
    );
    // Nothing came of it, so it may be tried again.
    says = good;
    assert.equal((await visit('/buy/2', { 'payment-signature': header })).status, 200);
  });

  test('x402: other terms, malformed payments and a facilitator that fails are told apart, and nobody passes', async () => {
    const [terms] = decoded(await visit('/buy/3'), 'payment-required').accepts as [Requirement];
    [says, asked] = [good, []];
    const status = async (header: string) => (await visit('/buy/3', { 'payment-signature': header })).status;
    assert.equal(await status(payment({ ...terms, amount: '1' })), 402);
    assert.equal(await status(payment({ ...terms, payTo: '0xthief' })), 402);
    assert.equal(await status('nonsense'), 400);
    assert.equal(await status(base64({ x402Version: 1, accepted: terms, payload: {} })), 400);
    assert.equal(asked.length, 0);
    says = { status: 500 };
    assert.equal(await status(payment(terms)), 503);
  });
});
