import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_PAYMENT_ACCOUNTS, MAX_PAYMENT_TERMS } from '../../../assembly/abi.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { readDocument } from '../document.ts';
import { readPolicy } from './policy.ts';

function read(text: string) {
  const diagnostics: Diagnostic[] = [];
  const document = readDocument('a.yaml', `app: shop\n${text}`, diagnostics);
  const policy = document && readPolicy(document, 'workerd');
  assert.ok(policy);
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  return { policy, errors: errors.map(({ line, message, fix }) => `${line}: ${message}; ${fix ?? ''}`) };
}
const charges = (price: string) => `rules: [{ name: paid, when: ssl, action: charge, charge: { price: ${price} } }]\n`;
const token = (more = '') =>
  `{ network: 'eip155:8453', asset: '0xa', payTo: '0xb', decimals: 6, currency: USD${more && `, ${more}`} }`;
const x402 = (accepts = token(), more = '') =>
  `payments: { x402: { facilitator: 'https://pay.example/', accepts: [${accepts}]${more} } }`;

test('payments come out with their defaults, secrets by name', () => {
  const { policy, errors } = read(
    `${charges('USD 0.01')}${x402(token('timeout: 90s, extra: { name: USDC }'), ', authorization: { secret: PAY }')}`,
  );
  assert.deepEqual(errors, []);
  assert.deepEqual(policy.payments?.x402, {
    ...{ facilitator: 'https://pay.example', authorization: 'PAY' },
    accepts: [
      {
        ...{ network: 'eip155:8453', asset: '0xa', payTo: '0xb', decimals: 6, currency: 'USD' },
        ...{ maxTimeoutSeconds: 90, extra: { name: 'USDC' } },
      },
    ],
  });
  assert.deepEqual(policy.secrets, ['PAY']);
  assert.deepEqual(policy.rules[0]?.plan.charge, { price: 'USD 0.01' });
  const accounts = read(`${charges('EUR 1')}payments: { crawler: { accounts: { agent.example: EUR 10 } } }`);
  assert.deepEqual(accounts.errors, []);
  assert.deepEqual(accounts.policy.payments?.crawler, { credit: '', accounts: { 'agent.example': 'EUR 10' } });
});

test('a charge that nobody could pay is an error where it stands', () => {
  const rows: [string, RegExp][] = [
    [charges('USD 0.01'), /^2: `paid` charges, and there is no `payments`/],
    [`${charges('EUR 0.01')}${x402()}`, /^2: EUR 0\.01 can not be paid: nothing takes EUR/],
    [`${charges('EUR 1')}payments: { crawler: { credit: USD 1 } }`, /nothing takes EUR/],
    [`${charges('USD 0.001')}${x402(token().replace('6', '2'))}`, /USD 0\.001 is finer than the token of eip155:8453/],
  ];
  for (const [text, message] of rows) assert.match(read(text).errors.join('\n'), message, text);
  assert.deepEqual(read(`${charges('USD 0.010')}${x402(token().replace('6', '2'))}`).errors, []);
});

test('what can not be meant is refused with what to write', () => {
  const rows: [string, RegExp][] = [
    ['payments: {}', /^2: `payments` names no way to pay; give it `crawler`/],
    ['payments: { crawler: {} }', /nobody may owe anything/],
    ['payments: { crawler: { credit: 5 } }', /price/],
    ['payments: { crawler: { credit: USD 0.0000001 } }', /must be a price.*write it as `USD 0\.01`/],
    ['payments: { crawler: { accounts: { "https://a.example": USD 1 } } }', /domain/],
    [x402().replace('https:', 'http:'), /must be an https URL/],
    [x402().replace('https://', 'https://user@'), /must be an https URL/],
    [x402(token().replace('eip155:8453', 'base')), /CAIP-2/],
    [x402(token().replace('6', '19')), /decimals/],
    [x402(Array.from({ length: MAX_PAYMENT_TERMS + 1 }, () => token()).join(', ')), /accepts/],
    [x402(token(), ', authorization: Bearer-x'), /authorization/],
    [charges('free'), /must be a price/],
    ['rules: [{ name: paid, when: ssl, action: charge }]', /`action: charge` needs `charge`/],
  ];
  for (const [text, message] of rows) assert.match(read(text).errors.join('\n'), message, text);
  const many = (count: number) =>
    `payments: { crawler: { accounts: { ${Array.from({ length: count }, (_, n) => `a${n}.example: USD 1`).join(', ')} } } }`;
  assert.deepEqual(read(many(MAX_PAYMENT_ACCOUNTS)).errors, []);
  assert.match(read(many(MAX_PAYMENT_ACCOUNTS + 1)).errors.join(), /at most 256/);
});
