/**
 * Why engines disagree about a rule, and who is right by the reference: ModSecurity 2, which CRS is written for. A
 * disagreement that no cause covers is a failure of `-- waf-differential`.
 */
import type { Octets, RawTransaction } from '../../../src/waf/transaction.ts';

export type Other = 'libmodsecurity' | 'coraza' | 'apache';

/** One rule that fired on one side only. */
export interface Disagreement {
  readonly other: Other;
  readonly rule: number;
  /** Whose rule fired. */
  readonly side: 'ours' | 'theirs';
  readonly transaction: RawTransaction;
}

export interface Cause {
  readonly id: string;
  readonly others: readonly Other[];
  readonly right: 'ours' | 'theirs';
  /** What differs, and where the reference says so. */
  readonly why: string;
  covers(disagreement: Disagreement): boolean;
}

const text = (octets: Octets): string => (typeof octets === 'string' ? octets : Buffer.from(octets).toString('latin1'));
const headerOf = ({ headers }: RawTransaction, name: string): string =>
  headers.filter(([other]) => text(other).toLowerCase() === name).map(([, value]) => text(value))[0] ?? '';

export const CAUSES: readonly Cause[] = [];

export function causeOf(disagreement: Disagreement): Cause | undefined {
  return CAUSES.find((cause) => cause.others.includes(disagreement.other) && cause.covers(disagreement));
}
void headerOf;
