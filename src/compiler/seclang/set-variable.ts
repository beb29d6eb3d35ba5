/** `setvar:` of all forms. SPEC: msre_action_setvar_parse and _execute. */
import { shown } from '../spelling.ts';
import { readMacro, writeMacro } from './macro.ts';
import type { Problems } from './problems.ts';
import type { Macro, SetVariable } from './ruleset.ts';
import type { Text } from './text.ts';
import { isPersistent, type Loss } from './variables.ts';

/** Null after reporting, or where the collection would persist. */
export function readSetVariable(text: Text, problems: Problems, loss: Loss): SetVariable | null {
  const whole = text.trim();
  const unset = whole.value.startsWith('!');
  const name = unset ? whole.slice(1) : whole;
  const found = /^([A-Za-z_]+)\./.exec(name.value);
  if (found === null) {
    problems.error('bad-setvar', name, `\`${shown(name.value)}\` names no variable`, {
      fix: "write setvar:'tx.name=value'",
    });
    return null;
  }
  const collection = found[1]!.toLowerCase();
  const rest = name.slice(found[0].length);
  if (collection !== 'tx') return other(name.slice(0, collection.length), problems);
  const equals = rest.value.indexOf('=');
  const key = equals < 0 ? rest : rest.slice(0, equals);
  if (key.value.trim() === '') {
    problems.error('bad-setvar', name, 'the variable has no name', { fix: "write setvar:'tx.name=value'" });
    return null;
  }
  const variable = { collection: 'tx', name: lower(readMacro(key.trim(), problems, loss)) } as const;
  if (unset) {
    if (equals >= 0) {
      problems.error('bad-setvar', rest, 'a variable is either unset or given a value', {
        offset: equals,
        fix: 'remove the ! or the value',
      });
      return null;
    }
    return { ...variable, operation: 'unset', value: [] };
  }
  if (equals < 0) return { ...variable, operation: 'set', value: ['1'] };
  const value = rest.slice(equals + 1 + (/^\s*/.exec(rest.value.slice(equals + 1))?.[0].length ?? 0));
  const sign = value.value[0];
  if (sign !== '+' && sign !== '-') return { ...variable, operation: 'set', value: readMacro(value, problems, loss) };
  // SPEC: the sign belongs to the number: atoi reads `+5` and `-5`, and counts what is no number as 0.
  const amount = value.slice(1);
  if (!/^\s*(?:\d+\s*$|%\{)/.test(amount.value)) {
    problems.error('bad-setvar', value, `\`${shown(amount.value)}\` is no amount`, {
      fix: 'write a number or a macro',
    });
    return null;
  }
  const operation = sign === '+' ? 'add' : 'subtract';
  return { ...variable, operation, value: readMacro(amount.trim(), problems, loss) };
}

/** Counting in a collection that does not persist stops nothing by itself: the rule that reads it is the loss. */
function other(collection: Text, problems: Problems): null {
  if (!isPersistent(collection.value)) {
    problems.error('bad-setvar', collection, `there is no collection \`${shown(collection.value)}\``, {
      fix: 'write tx',
    });
  } else if (problems.first(`setvar ${collection.value.toLowerCase()}`)) {
    problems.warning('no-effect', collection, `variables of ${collection.value} are not kept`, {
      cause: 'nothing persists between requests here',
    });
  }
  return null;
}

const lower = (macro: Macro): Macro => macro.map((part) => (typeof part === 'string' ? part.toLowerCase() : part));

/** As it may be written behind `setvar:`. */
export function writeSetVariable({ name, operation, value }: SetVariable): string {
  const variable = `tx.${writeMacro(name)}`;
  if (operation === 'unset') return `!${variable}`;
  const sign = operation === 'add' ? '+' : operation === 'subtract' ? '-' : '';
  return `${variable}=${sign}${writeMacro(value)}`;
}
