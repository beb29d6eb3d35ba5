/** What a stage asserts of the rules that fired, and whether an engine keeps it. */
import type { Expectation, Stage } from './suite.ts';

/** A rule that fired and logs. */
export interface Fired {
  readonly id: number;
  readonly message: string;
  readonly data: string;
}

/** Whether the stage says anything of rules; else it asserts an HTTP status alone. */
export function assertsRules({ ids, noIds, matches, matchesNot }: Expectation): boolean {
  return ids.length > 0 || noIds.length > 0 || matches !== null || matchesNot !== null;
}

/** What does not hold, one sentence each. */
export function faults({ expects }: Stage, fired: readonly Fired[]): string[] {
  const ids = new Set(fired.map(({ id }) => id));
  const lines = fired.map(lineOf);
  const line = (regex: RegExp): string | undefined => lines.find((text) => regex.test(text));
  const found: string[] = [];
  for (const id of expects.ids) if (!ids.has(id)) found.push(`${id} did not fire`);
  for (const id of expects.noIds) if (ids.has(id)) found.push(`${id} fired`);
  if (expects.matches && !line(expects.matches)) found.push(`no line of the log matches ${expects.matches}`);
  if (expects.matchesNot && line(expects.matchesNot)) found.push(`in the log is ${line(expects.matchesNot)}`);
  return found;
}

/** In the form of ModSecurity's error log, which the suite's patterns are written for. */
function lineOf({ id, message, data }: Fired): string {
  const escaped = (text: string): string =>
    text.replaceAll(/[^ -~]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `[id "${id}"] [msg "${escaped(message)}"] [data "${escaped(data)}"]`;
}
