/** Names of the signals of automation by their bit in the ABI, as `agent.signals` has them; a test holds the two together. */
import { SIGNAL_COUNT } from '../../assembly/agents/abi.ts';

/** By SIGNAL_*. */
export const SIGNAL_NAMES = [
  'crawler',
  'library',
  'headless',
  'user-agent-absent',
  'hints-absent',
  'hints-foreign',
  'hints-version',
  'hints-platform',
  'hints-mobile',
  'fetch-absent',
  'fetch-contradicts',
  'accept-any',
  'language-absent',
  'encoding-absent',
] as const;

/** The names of the signals whose bits are set. */
export function signalNames(bits: number): string[] {
  const names: string[] = [];
  for (let signal = 0; signal < SIGNAL_COUNT; signal++) if ((bits >>> signal) & 1) names.push(SIGNAL_NAMES[signal]!);
  return names;
}
