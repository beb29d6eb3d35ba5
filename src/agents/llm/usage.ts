/** Tokens of one exchange with a model, in the words of all providers. */

export interface Usage {
  /** All that was read, what came out of a cache included. */
  readonly input: number;
  /** All that was written, reasoning included. */
  readonly output: number;
  /** Of `input`, what came out of the provider's cache. */
  readonly cached: number;
  /** Of `output`, what the client never sees. */
  readonly reasoning: number;
  /** True where the provider did not say it (to the end), so that at least one number is a guess from lengths. */
  readonly estimated: boolean;
}

export const NO_USAGE: Usage = { input: 0, output: 0, cached: 0, reasoning: 0, estimated: false };

/** Bytes that stand for a token where nobody says how many there are: what English comes to, and less than code does. */
export const BYTES_PER_TOKEN = 4;

export function estimateTokens(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}

export function totalOf(usage: Usage): number {
  return usage.input + usage.output;
}

/** Names of numbers that answers hold, as UsageScanner finds them; indices into `Counts`. */
export const INPUT = 0;
export const OUTPUT = 1;
export const CACHED = 2;
export const REASONING = 3;
/** Of Anthropic: input that is not in `input_tokens`. */
export const CACHE_READ = 4;
export const CACHE_WRITTEN = 5;
/** Of Gemini: output that is not in `candidatesTokenCount`, and input that is not in `promptTokenCount`. */
export const THOUGHTS = 6;
export const TOOL_INPUT = 7;
export const COUNTS = 8;

/** The numbers as they were found, -1 for none. */
export type Counts = Int32Array | Float64Array;

export function usageOf(counts: Counts): Omit<Usage, 'estimated'> {
  const n = (index: number): number => Math.max(0, counts[index] ?? 0);
  return {
    input: n(INPUT) + n(CACHE_READ) + n(CACHE_WRITTEN) + n(TOOL_INPUT),
    output: n(OUTPUT) + n(THOUGHTS),
    cached: n(CACHED) + n(CACHE_READ),
    reasoning: n(REASONING) + n(THOUGHTS),
  };
}
