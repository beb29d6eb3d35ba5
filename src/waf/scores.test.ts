import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_SCORES, scoresOf } from './scores.ts';

test('scores by the names of CRS 4 and of CRS 3; calls of one transaction add what they know', () => {
  assert.deepEqual(scoresOf({ scores: {} }, NO_SCORES), { inbound: 0, outbound: 0 });
  assert.deepEqual(scoresOf({ scores: { anomaly_score: 7 } }, NO_SCORES), { inbound: 7, outbound: 0 });
  const first = scoresOf(
    { scores: { blocking_inbound_anomaly_score: 5, anomaly_score: 9, detection_inbound_anomaly_score: 8 } },
    NO_SCORES,
  );
  assert.deepEqual(first, { inbound: 5, outbound: 0, detection: { inbound: 8, outbound: 0 } });
  assert.deepEqual(scoresOf({ scores: { outbound_anomaly_score: 4, detection_outbound_anomaly_score: 6 } }, first), {
    inbound: 5,
    outbound: 4,
    detection: { inbound: 8, outbound: 6 },
  });
});
