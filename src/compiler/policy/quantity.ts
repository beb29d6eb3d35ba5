/**
 * Durations, sizes and percentages as people write them.
 *
 * SPEC: durations are those of the Gateway API (GEP-2257): one to four of `<1-5 digits><h|m|s|ms>`, nothing else; no
 * fractions, no signs, no `0` without a unit. Sizes are powers of 1024 whichever way they are spelled (`128KB`, `128KiB`),
 * as nginx and Envoy Gateway read them.
 */
const DURATION = /^(?:[0-9]{1,5}(?:h|m|s|ms)){1,4}$/;
const DURATION_PART = /([0-9]{1,5})(h|ms|m|s)/g;
const DURATION_UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

const SIZE = /^([0-9]{1,9})(B|KB|KiB|MB|MiB)$/;
const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1024, KiB: 1024, MB: 1_048_576, MiB: 1_048_576 };

const PERCENT = /^([0-9]{1,3}(?:\.[0-9]{1,4})?)%$/;

/** Milliseconds, or null when `text` is no duration. */
export function parseDuration(text: string): number | null {
  if (!DURATION.test(text)) return null;
  let total = 0;
  for (const [, digits, unit] of text.matchAll(DURATION_PART)) total += Number(digits) * DURATION_UNITS[unit!]!;
  return total;
}

/** Bytes, or null when `text` is no size. */
export function parseSize(text: string): number | null {
  const match = SIZE.exec(text);
  return match ? Number(match[1]) * SIZE_UNITS[match[2]!]! : null;
}

/** 0 to 100, or null when `text` is no percentage. */
export function parsePercent(text: string): number | null {
  const match = PERCENT.exec(text);
  const value = match ? Number(match[1]) : Number.NaN;
  return value <= 100 ? value : null;
}
