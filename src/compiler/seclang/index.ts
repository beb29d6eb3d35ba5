/** SecLang, the language of ModSecurity and the Core Rule Set, to the typed rules of ruleset.ts. */
import { type Diagnostic, sortDiagnostics } from '../diagnostics.ts';
import { Problems } from './problems.ts';
import type { RuleSet, Target } from './ruleset.ts';
import { Source, Text } from './text.ts';
import { resolveTarget } from './variables.ts';
import { Reader } from './reader.ts';

export { compileSelection } from './selection.ts';
export { nameOf } from './variables.ts';
export { operatorName } from './operators.ts';
export { severityName } from './actions.ts';
export { transformationName } from './transformations.ts';
export { writeMacro } from './macro.ts';
export { writeRule, writeTarget } from './writer.ts';
export type * from './ruleset.ts';

export interface RuleSetInput {
  readonly name: string;
  /** Paths of files, read in this order as one; patterns too where `listFolder` is given. */
  readonly entry: readonly string[];
  /** The file as text or as UTF-8; null when there is none. What it throws is reported as a file that cannot be read. */
  readonly readFile: (path: string) => string | Uint8Array | null;
  /** Names of what is in a folder, for `Include rules/*.conf`; null when there is no such folder. */
  readonly listFolder?: (path: string) => readonly string[] | null;
  /**
   * A rule set that these files add to: they may remove and update its rules and skip to its markers. Their rules run
   * after it (the default) or before, as settings do.
   */
  readonly base?: RuleSet;
  readonly position?: 'before' | 'after';
  /** A regex that needs backtracking: an error (the default), or a warning with its rule left out. */
  readonly onUnsupportedPattern?: 'error' | 'leave-out';
}

export interface RuleSetReading {
  /** Of use only when no diagnostic is an error. */
  readonly ruleSet: RuleSet;
  /** By place. Never stops at the first. */
  readonly diagnostics: readonly Diagnostic[];
  /** Everything that was read, data files included, in the order of reading: what the rule set depends on. */
  readonly files: readonly string[];
}

/** Never throws for what is in a file. Linear in the size of the files. */
export function readRuleSet(input: RuleSetInput): RuleSetReading {
  const reader = new Reader(input);
  for (const path of input.entry) reader.readEntry(path);
  const ruleSet = reader.finish();
  return { ruleSet, diagnostics: sortDiagnostics(reader.problems.finish(), reader.files), files: reader.files };
}

/**
 * What an exclusion leaves out: a variable, and the name or pattern behind its colon, '' for none. Columns count from the
 * beginning of the variable; null: at least one diagnostic is an error.
 */
export function readExcluded(
  variable: string,
  selector: string,
): { readonly target: Target | null; readonly diagnostics: readonly Diagnostic[] } {
  const problems = new Problems();
  const source = new Source('', `${variable}:${selector}`);
  const text = new Text(source, source.text, [0], [0]);
  const name = text.slice(0, variable.length);
  const behind = selector === '' ? null : text.slice(variable.length + 1);
  const target = resolveTarget(name, behind, true, problems, 'warning');
  return { target, diagnostics: problems.finish() };
}
