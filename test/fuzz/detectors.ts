/** Hostile texts: neither detector traps, hangs, or lets its ways out change a verdict. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hostileTexts, loadDetectors } from '../support/detectors.ts';

export async function fuzz(seconds: number, seed: number): Promise<number> {
  const detectors = await loadDetectors();
  const end = Date.now() + seconds * 1000;
  let cases = 0;
  for (let round = seed; Date.now() < end; round++) {
    fc.assert(
      fc.property(hostileTexts([], 200), (text) => {
        cases++;
        assert.equal(detectors.sql(text), detectors.sqlSlowly(text));
        assert.equal(detectors.xss(text), detectors.xssSlowly(text));
      }),
      { seed: round, numRuns: 2000 },
    );
  }
  return cases;
}
