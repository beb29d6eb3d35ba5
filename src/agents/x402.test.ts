import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FacilitatorError,
  HttpFacilitator,
  MAX_FACILITATOR_BYTES,
  MAX_PAYMENT_LENGTH,
  type Payment,
  paymentRequired,
  paymentResponse,
  readPayment,
  type Requirement,
} from './x402.ts';

const TERMS: Requirement = {
  scheme: 'exact',
  network: 'eip155:84532',
  amount: '10000',
  asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
  payTo: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
  maxTimeoutSeconds: 60,
  extra: { name: 'USDC', version: '2' },
};
const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
const payment = (more: object = {}, accepted: object = {}): string =>
  base64({ x402Version: 2, accepted: { ...TERMS, ...accepted }, payload: { signature: '0x1', nonce: 'n' }, ...more });

test('what is asked for says the price and where it goes', () => {
  const value = JSON.parse(Buffer.from(paymentRequired('https://a.example/é', [TERMS], 'why'), 'base64').toString());
  assert.deepEqual(value, { x402Version: 2, error: 'why', resource: { url: 'https://a.example/é' }, accepts: [TERMS] });
});

test('a payment is read when it says our terms, and is ours when the facilitator is asked', () => {
  const read = readPayment(payment({}, { maxTimeoutSeconds: 9, extra: { name: 'Other' } }), [TERMS]) as Payment;
  assert.equal(read.requirement, TERMS);
  assert.deepEqual((read.message['payload'] as object | undefined) ?? null, { signature: '0x1', nonce: 'n' });
  const reordered = readPayment(payment({ payload: { nonce: 'n', signature: '0x1' } }), [TERMS]) as Payment;
  assert.equal(reordered.payload, read.payload);
  const nested = (value: unknown) => (readPayment(payment({ payload: { value } }), [TERMS]) as Payment).payload;
  assert.notEqual(nested({ a: 1 }), nested([['a', 1]].concat([['b', 1]])));
});

test('a payment is another one only by what was signed', () => {
  const FROM = TERMS.payTo;
  const nonce = `0x${'0a'.repeat(32)}`;
  const authorization = { from: FROM, to: FROM, value: '10000', validAfter: '0', validBefore: '9', nonce };
  const of = (payload: object, network = TERMS.network): string => {
    const terms = { ...TERMS, network };
    const read = readPayment(payment({ payload }, { network }), [terms]);
    return typeof read === 'string' ? read : read.payload;
  };
  const signed = of({ signature: '0x1', authorization });
  for (const same of [
    { signature: '0x2', authorization, more: 1 },
    {
      signature: '0x1',
      authorization: { ...authorization, from: FROM.toLowerCase(), nonce: nonce.toUpperCase().replace('X', 'x') },
    },
    { signature: '0x1', authorization: { ...authorization, more: 1 } },
  ])
    assert.equal(of(same), signed);
  for (const other of [
    { signature: '0x1', authorization: { ...authorization, from: FROM.replace('2', '3') } },
    { signature: '0x1', authorization: { ...authorization, nonce: nonce.replace('0a', '0b') } },
    { signature: '0x1', permit2Authorization: authorization },
  ])
    assert.notEqual(of(other), signed);
  assert.notEqual(of({ signature: '0x1', authorization }, 'eip155:1'), signed);
  const permit = { from: FROM, nonce: '17' };
  assert.equal(
    of({ signature: '0x1', permit2Authorization: permit }),
    of({ signature: '0x1', permit2Authorization: { ...permit, nonce: '0x11' }, more: 1 }),
  );
  const solana = 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp';
  assert.equal(of({ transaction: 'AQ==' }, solana), of({ transaction: 'AR==', more: 1 }, solana));
  assert.notEqual(of({ transaction: 'AQ==' }, solana), of({ transaction: 'Ag==' }, solana));
  // Who verifies may take either, or read it in another way.
  for (const two of [
    { authorization, permit2Authorization: permit },
    { authorization, Authorization: authorization },
    { authorization: { ...authorization, Nonce: '0x1' } },
    { authorization: { ...authorization, nonce: 17 } },
    { authorization: { ...authorization, from: ` ${FROM}` } },
    { authorization: 'x' },
  ])
    assert.equal(of({ signature: '0x1', ...two }), 'payment-malformed');
  assert.equal(of({ transaction: '%' }, solana), 'payment-malformed');
  // Of what is not known all counts.
  assert.notEqual(of({ signature: '0x1', more: 1 }, 'sui:mainnet'), of({ signature: '0x1' }, 'sui:mainnet'));
});

test('what is no payment, of another version or on other terms is not read', () => {
  for (const [field, value] of [
    ['scheme', 'upto'],
    ['network', 'eip155:1'],
    ['amount', '1'],
    ['asset', '0x'],
    ['payTo', '0x'],
  ])
    assert.equal(readPayment(payment({}, { [field as string]: value }), [TERMS]), 'payment-mismatch', field);
  assert.equal(readPayment(payment({}, { amount: 10000 }), [TERMS]), 'payment-mismatch');
  for (const x402Version of [1, '2', null])
    assert.equal(readPayment(payment({ x402Version }), [TERMS]), 'payment-version');
  const malformed = ['', 'a', '====', 'bm8=', base64([]), base64(null), base64({ x402Version: 2 }), `${payment()}\n`];
  const long = payment({ payload: { padding: 'x'.repeat(MAX_PAYMENT_LENGTH) } });
  const deep = Buffer.from(`{"x402Version":2,"payload":${'['.repeat(6000)}${']'.repeat(6000)}}`).toString('base64');
  const noText = Buffer.from([0x7b, 0xff, 0x7d]).toString('base64');
  for (const text of [...malformed, long, deep, noText, payment({ payload: 'x' }), payment({ accepted: [] })])
    assert.equal(readPayment(text, [TERMS]), 'payment-malformed', text.slice(0, 60));
});

test('a payment of the longest length is read', () => {
  const room = (MAX_PAYMENT_LENGTH / 4) * 3 - Buffer.from(payment({ payload: { padding: '' } }), 'base64').byteLength;
  const text = payment({ payload: { padding: 'x'.repeat(room) } });
  assert.equal(text.length, MAX_PAYMENT_LENGTH);
  assert.equal(typeof readPayment(text, [TERMS]), 'object');
  assert.equal(readPayment(payment({ payload: { padding: 'x'.repeat(room + 1) } }), [TERMS]), 'payment-malformed');
});

test('the facilitator is asked about our terms, and believed', async () => {
  const asked: { url: string; init: RequestInit }[] = [];
  const answers = [
    { isValid: true, payer: '0xabc' },
    { success: true, transaction: '0x1\r\nx: y', network: 'of the facilitator', payer: '0xabc' },
  ];
  const facilitator = new HttpFacilitator('https://pay.example', 'Bearer s3cret', (url, init) => {
    asked.push({ url, init });
    return Promise.resolve(Response.json(answers.shift()));
  });
  const read = readPayment(payment({}, { maxTimeoutSeconds: 9 }), [TERMS]) as Payment;
  assert.deepEqual(await facilitator.verify(read), { valid: true, payer: '0xabc', reason: '' });
  const settlement = await facilitator.settle(read);
  assert.equal(settlement.transaction, '0x1x: y');
  assert.deepEqual(
    asked.map(({ url }) => url),
    ['https://pay.example/verify', 'https://pay.example/settle'],
  );
  const body = JSON.parse(String(asked[0]!.init.body));
  assert.deepEqual([body.x402Version, body.paymentRequirements, body.paymentPayload], [2, TERMS, read.message]);
  assert.equal(new Headers(asked[0]!.init.headers).get('authorization'), 'Bearer s3cret');
  assert.equal(asked[0]!.init.redirect, 'manual');
  const told = JSON.parse(Buffer.from(paymentResponse(settlement), 'base64').toString());
  assert.deepEqual(told, { success: true, transaction: '0x1x: y', network: 'eip155:84532', payer: '0xabc' });
});

test('a refusal is one whatever its status; what is no answer is an error', async () => {
  const asking = (response: Response) => {
    const facilitator = new HttpFacilitator('https://pay.example', '', () => Promise.resolve(response));
    return facilitator.verify(readPayment(payment(), [TERMS]) as Payment);
  };
  const refusal = { isValid: false, invalidReason: 'insufficient_funds' };
  for (const status of [200, 400, 402])
    assert.deepEqual(await asking(Response.json(refusal, { status })), {
      ...{ valid: false, payer: '', reason: 'insufficient_funds' },
    });
  const none = [
    Response.json(refusal, { status: 500 }),
    new Response(null, { status: 302, headers: { location: 'https://elsewhere.example/' } }),
    new Response('{'),
    Response.json([]),
    Response.json({ isValid: 'true' }),
    new Response('x'.repeat(MAX_FACILITATOR_BYTES + 1)),
  ];
  for (const response of none) await assert.rejects(asking(response), FacilitatorError);
  const gone = new HttpFacilitator('https://pay.example', '', () => Promise.reject(new Error('refused')));
  await assert.rejects(gone.settle(readPayment(payment(), [TERMS]) as Payment), FacilitatorError);
});
