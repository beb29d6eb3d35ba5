/** `sallyport payments`: what agents were charged, what they owe, and what has been paid. */
import { defineCommand } from 'citty';
import pc from 'picocolors';
import type { Account } from '../agents/ledger.ts';
import { formatAmount, parsePrice } from '../agents/price.ts';
import { printable } from './accesslog.ts';
import { Failure } from './failure.ts';
import { askControl, jsonOf, placeArguments, requireOk } from './running.ts';

export default defineCommand({
  meta: { name: 'payments', description: 'what agents were charged and have paid' },
  args: {
    action: { type: 'positional', description: 'list (the default) or paid', required: false },
    account: { type: 'positional', description: 'paid: of whom, such as crawler:agent.example', required: false },
    amount: { type: 'positional', description: 'paid: how much, such as "USD 5.00"', required: false },
    ...placeArguments,
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args }) {
    const { action = 'list', account, amount, json } = args;
    if (action === 'list') {
      const { accounts } = jsonOf(requireOk(await askControl(args, 'GET', '/v1/payments'))) as { accounts: Account[] };
      process.stdout.write(json === true ? `${JSON.stringify({ accounts })}\n` : accountsText(accounts));
    } else if (action === 'paid') {
      if (account === undefined || amount === undefined || parsePrice(amount) === null)
        throw new Failure(
          'payments paid takes an account and a price, such as: payments paid crawler:agent.example "USD 5.00"',
        );
      requireOk(await askControl(args, 'POST', '/v1/payments', { account, amount }));
      process.stdout.write(
        json === true ? `${JSON.stringify({ account, amount })}\n` : `${account} has paid ${amount}\n`,
      );
    } else throw new Failure(`payments takes list or paid, not "${action}"`);
  },
});

/** Accounts carry names that agents chose, so nothing of them reaches the terminal but printable text. */
export function accountsText(accounts: readonly Account[]): string {
  if (accounts.length === 0) return 'nothing was charged\n';
  const rows = [
    ['account', 'charges', 'charged', 'paid', 'owed'],
    ...accounts.map(({ account, currency, charges, charged, paid }) => {
      const amount = (micros: number): string => `${printable(currency)} ${formatAmount(micros)}`;
      return [printable(account), String(charges), amount(charged), amount(paid), amount(charged - paid)];
    }),
  ];
  const widths = rows[0]!.map((_, at) => Math.min(60, Math.max(...rows.map((row) => row[at]!.length))));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  );
  return [pc.dim(lines[0]!), ...lines.slice(1), ''].join('\n');
}
