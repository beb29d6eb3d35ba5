/**
 * Text with `%{...}`.
 *
 * SPEC: ModSecurity v2, expand_macros: `%{` up to the next `}`; the name ends at the first dot, what follows is the
 * entry of a collection. There, a name that nobody knows expands to nothing; here it is an error, since it is a typo.
 */
import type { Macro, Reference } from './ruleset.ts';
import type { Problems } from './problems.ts';
import type { Text } from './text.ts';
import { nameOf, resolveReference, type Loss } from './variables.ts';

/** Adjacent strings are one; no empty strings. */
export function readMacro(text: Text, problems: Problems, loss: Loss): Macro {
  const { value } = text;
  const parts: (string | Reference)[] = [];
  let from = 0;
  for (let at = value.indexOf('%{'); at >= 0; at = value.indexOf('%{', from)) {
    const close = value.indexOf('}', at);
    if (close < 0) {
      problems.warning('unterminated-macro', text, '`%{` is not closed', {
        offset: at,
        length: 2,
        cause: 'it is taken as text',
        fix: 'add }',
      });
      break;
    }
    if (at > from) parts.push(value.slice(from, at));
    const reference = resolveReference(text.slice(at + 2, close), problems, loss);
    if (reference !== null) parts.push(reference);
    from = close + 1;
  }
  if (from < value.length) parts.push(value.slice(from));
  return parts;
}

/** As it may be written: `%{tx.0}` is `%{TX.0}`. */
export function writeMacro(macro: Macro): string {
  return macro
    .map((part) => {
      if (typeof part === 'string') return part;
      const name = nameOf(part.variable);
      return `%{${part.name === '' ? name : `${name}.${part.name}`}}`;
    })
    .join('');
}

/** The text when there is no reference in it. */
export function plainText(macro: Macro): string | null {
  if (macro.length === 0) return '';
  const [only] = macro;
  return macro.length === 1 && typeof only === 'string' ? only : null;
}
