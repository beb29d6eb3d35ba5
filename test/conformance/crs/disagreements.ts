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
  /** All rules that fired. */
  readonly mine: ReadonlySet<number>;
  readonly theirs: ReadonlySet<number>;
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

const DETECTOR_RULES = new Set([941100, 941101, 942100, 942101]);

export const CAUSES: readonly Cause[] = [
  {
    id: 'detectors',
    others: ['libmodsecurity', 'coraza', 'apache'],
    right: 'ours',
    why:
      '@detectSQLi and @detectXSS are our own detectors, not libinjection: they judge structure and are measured by ' +
      '`conformance -- detectors` on attacks and on harmless text.',
    covers: ({ rule }) => DETECTOR_RULES.has(rule),
  },
  {
    id: 'malformed-body',
    others: ['apache', 'libmodsecurity', 'coraza'],
    right: 'ours',
    why:
      'The body cannot be parsed as its Content-Type says. ModSecurity stops there and leaves the request to a rule on ' +
      'REQBODY_ERROR; we set REQBODY_ERROR too, and still look at the whole body as it came.',
    covers: ({ side, mine }) => side === 'ours' && mine.has(200002),
  },
];

export function causeOf(disagreement: Disagreement): Cause | undefined {
  return CAUSES.find((cause) => cause.others.includes(disagreement.other) && cause.covers(disagreement));
}
void headerOf;
