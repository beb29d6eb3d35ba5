/** `payments:` of an app, and whether what its rules charge can be paid by it. */
import type { PaymentsPlan } from '../../plan.ts';
import type { Document } from '../document.ts';
import type { PaymentsFields } from './payments-schema.ts';
import { parseDuration } from './quantity.ts';
import type { Reading } from './reading.ts';
import type { ReadRule } from './rule.ts';

const AT = 'payments';

export function readPayments({ crawler, x402 }: PaymentsFields, reading: Reading): PaymentsPlan {
  const { reporter } = reading;
  if (crawler === undefined && x402 === undefined)
    reporter.report('error', [AT], 'missing-field', '`payments` names no way to pay', {
      at: 'key',
      fix: 'give it `crawler`, `x402`, or both',
    });
  if (crawler !== undefined && crawler.credit === undefined && Object.keys(crawler.accounts ?? {}).length === 0)
    reporter.report('error', [AT, 'crawler'], 'no-effect', 'nobody may owe anything, so nobody can pay', {
      at: 'key',
      fix: 'give it `credit`, or `accounts`',
    });
  if (x402?.authorization !== undefined) reading.secrets.add(x402.authorization.secret);
  return {
    crawler: crawler === undefined ? null : { credit: crawler.credit ?? '', accounts: crawler.accounts ?? {} },
    x402:
      x402 === undefined
        ? null
        : {
            facilitator: x402.facilitator.replace(/\/+$/, ''),
            authorization: x402.authorization?.secret ?? '',
            accepts: x402.accepts.map(({ timeout, ...terms }) => ({
              ...terms,
              maxTimeoutSeconds: Math.max(1, Math.round(parseDuration(timeout)! / 1000)),
            })),
          },
  };
}

/** Reports every rule with a charge that nobody could pay. */
export function checkCharges(
  rules: readonly ReadRule[],
  payments: PaymentsFields | undefined,
  document: Document,
): void {
  for (const { source, plan } of rules) {
    if (plan.charge === undefined || document.full) continue;
    const { price } = plan.charge;
    const [currency = '', amount = ''] = price.split(' ');
    if (payments === undefined) {
      document.report('error', source.path, 'missing-field', `\`${plan.name}\` charges, and there is no \`payments\``, {
        fix: 'add `payments: { crawler: { credit: USD 10 } }`, or `x402`',
      });
      continue;
    }
    const credits = [payments.crawler?.credit ?? '', ...Object.values(payments.crawler?.accounts ?? {})];
    const onAccount = credits.some((credit) => credit.startsWith(`${currency} `));
    const digits = (/\.([0-9]*?)0*$/.exec(amount)?.[1] ?? '').length;
    const terms = (payments.x402?.accepts ?? []).filter((one) => one.currency === currency);
    if (!onAccount && terms.length === 0)
      document.report('error', source.path, 'unpayable', `${price} can not be paid: nothing takes ${currency}`, {
        cause: 'currencies are never converted',
        fix: `give \`payments\` a credit or a token in ${currency}`,
      });
    const coarse = terms.find(({ decimals }) => decimals < digits);
    if (coarse !== undefined)
      document.report('error', source.path, 'unpayable', `${price} is finer than the token of ${coarse.network}`, {
        cause: `that has ${coarse.decimals} digits after the point`,
        fix: 'charge a rounder price',
      });
  }
}
