/** Which rules an exclusion means. SPEC: msre_ruleset_rule_matches_exception and rule_id_in_range of ModSecurity v2. */
import { shown } from '../spelling.ts';
import { writeMacro } from './macro.ts';
import { checkPattern, compilePattern, type Test } from './pattern.ts';
import type { Problems } from './problems.ts';
import type { RuleEntry, Selection } from './ruleset.ts';
import type { Text } from './text.ts';

export type Selector = (rule: Pick<RuleEntry, 'id' | 'tags' | 'msg'>) => boolean;

/**
 * Whether a rule is meant: by its own id, by one of its tags or by its message, as written, macros and all. Tags and
 * messages are searched with case. Throws RegexError for a pattern that was not read by `readSelection`.
 */
export function compileSelection(selection: Selection): Selector {
  if (selection.by === 'id') {
    const { ranges } = selection;
    return ({ id }) => ranges.some(([first, last]) => id >= first && id <= last);
  }
  const test: Test = compilePattern(selection.pattern);
  if (selection.by === 'tag') return ({ tags }) => tags.some(test);
  return ({ msg }) => msg !== null && test(writeMacro(msg));
}

/** Ids and ranges: `942100`, `942100-942190`, separated by commas or white space; null after reporting. */
export function readIds(text: Text, problems: Problems): Selection | null {
  const ranges: [number, number][] = [];
  let fine = true;
  for (const found of text.value.matchAll(/[^\s,]+/g)) {
    const range = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(found[0]);
    const first = Number(range?.[1]);
    const last = Number(range?.[2] ?? range?.[1]);
    if (range !== null && first <= last) ranges.push([first, last]);
    else {
      fine = false;
      problems.error('bad-id', text, `\`${shown(found[0])}\` is no id and no range`, {
        offset: found.index,
        length: found[0].length,
        fix: 'write 942100 or 942100-942190',
      });
    }
  }
  if (fine && ranges.length === 0) {
    problems.error('bad-id', text, 'no rule is named', { length: 1, fix: 'write 942100 or 942100-942190' });
    fine = false;
  }
  return fine ? { by: 'id', ranges } : null;
}

/** Null after reporting. */
export function readSelection(by: Selection['by'], text: Text, problems: Problems): Selection | null {
  if (by === 'id') return readIds(text, problems);
  return checkPattern(text, problems) ? { by, pattern: text.value } : null;
}

/** As it may be written behind `ruleRemoveById=` and its like. */
export function writeSelection(selection: Selection): string {
  if (selection.by !== 'id') return selection.pattern;
  return selection.ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',');
}
