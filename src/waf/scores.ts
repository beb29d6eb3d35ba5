/** The anomaly scores that a rule set leaves in TX, by the names of CRS 4 and of CRS 3. */
import type { WafVerdict } from './transaction.ts';

export interface Scores {
  /** What is compared with the thresholds. */
  readonly inbound: number;
  readonly outbound: number;
}

export interface AllScores extends Scores {
  /** The same with the rules of the levels that only detect; undefined where no level does. */
  readonly detection?: Scores;
}

export const NO_SCORES: AllScores = { inbound: 0, outbound: 0 };

/** `before`: of the calls before, which stand where this one leaves nothing. */
export function scoresOf({ scores }: Pick<WafVerdict, 'scores'>, before: AllScores): AllScores {
  const score = (...names: readonly string[]): number | undefined =>
    names.map((name) => scores[name]).find((value) => value !== undefined);
  const inbound = score('blocking_inbound_anomaly_score', 'inbound_anomaly_score', 'anomaly_score') ?? before.inbound;
  const outbound = score('blocking_outbound_anomaly_score', 'outbound_anomaly_score') ?? before.outbound;
  const detected = {
    inbound: score('detection_inbound_anomaly_score') ?? before.detection?.inbound,
    outbound: score('detection_outbound_anomaly_score') ?? before.detection?.outbound,
  };
  if (detected.inbound === undefined && detected.outbound === undefined) return { inbound, outbound };
  return { inbound, outbound, detection: { inbound: detected.inbound ?? 0, outbound: detected.outbound ?? 0 } };
}
