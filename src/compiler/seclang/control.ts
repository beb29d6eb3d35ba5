/** `ctl:` of all forms. SPEC: msre_action_ctl_validate and _execute. */
import { nearest, shown } from '../spelling.ts';
import type { Problems } from './problems.ts';
import type { Control, Selection } from './ruleset.ts';
import { readSelection } from './selection.ts';
import type { Text } from './text.ts';
import { readTargets, type Loss } from './variables.ts';

interface Reading {
  readonly value: Text;
  readonly problems: Problems;
  readonly loss: Loss;
}
type Reader = (reading: Reading) => readonly Control[];

function oneOfThese<T extends string>({ value, problems }: Reading, values: readonly T[]): T | null {
  const found = values.find((known) => known.toLowerCase() === value.value.toLowerCase());
  if (found !== undefined) return found;
  problems.error('bad-control', value, `unexpected value \`${shown(value.value)}\``, {
    fix: `write ${values.join(' or ')}`,
  });
  return null;
}

const boolean =
  (ctl: 'requestBodyAccess' | 'responseBodyAccess' | 'forceRequestBodyVariable'): Reader =>
  (reading) => {
    const value = oneOfThese(reading, ['On', 'Off']);
    return value === null ? [] : [{ ctl, value: value === 'On' }];
  };

const kept =
  (ctl: 'auditEngine' | 'auditLogParts' | 'debugLogLevel'): Reader =>
  ({ value }) => [{ ctl, value: value.value }];

const remove =
  (by: Selection['by']): Reader =>
  ({ value, problems }) => {
    const rules = readSelection(by, value, problems);
    return rules === null ? [] : [{ ctl: 'ruleRemove', rules }];
  };

/** `942100;ARGS:q`, and several targets with commas between them where the whole is quoted. */
const removeTarget =
  (by: Selection['by'], example: string): Reader =>
  ({ value, problems }) => {
    const semicolon = value.value.lastIndexOf(';');
    if (semicolon < 0) {
      problems.error('missing-target', value, 'no target is named', { fix: `write ${example};ARGS:q` });
      return [];
    }
    const rules = readSelection(by, value.slice(0, semicolon), problems);
    const written = value.slice(semicolon + 1);
    if (/^\s*[!&]/.test(written.value)) {
      problems.error('bad-control', written, 'the target is what is not looked at', { fix: 'remove the sign' });
      return [];
    }
    const targets = readTargets(written, problems, 'warning');
    if (rules === null) return [];
    return targets.map((target) => ({ ctl: 'ruleRemoveTarget', rules, target: { ...target, exclude: true } }));
  };

const limit =
  (name: string): Reader =>
  ({ value, problems, loss }) => {
    problems.at(loss, 'unsupported-control', value, `${name} cannot change while a request runs`, {
      cause: 'bodies are held before rules see them',
      fix: 'set the limit in the policy',
    });
    return [];
  };

const READERS: readonly (readonly [string, Reader])[] = [
  [
    'ruleEngine',
    (reading) => {
      const value = oneOfThese(reading, ['on', 'off', 'detectionOnly'] as const);
      return value === null ? [] : [{ ctl: 'ruleEngine', value }];
    },
  ],
  ['requestBodyAccess', boolean('requestBodyAccess')],
  ['responseBodyAccess', boolean('responseBodyAccess')],
  ['forceRequestBodyVariable', boolean('forceRequestBodyVariable')],
  [
    'requestBodyProcessor',
    (reading) => {
      // SNIFF is ours: what the bytes look like.
      const value = oneOfThese(reading, ['URLENCODED', 'MULTIPART', 'JSON', 'XML', 'RAW', 'SNIFF'] as const);
      return value === null ? [] : [{ ctl: 'requestBodyProcessor', value }];
    },
  ],
  ['auditEngine', kept('auditEngine')],
  ['auditLogParts', kept('auditLogParts')],
  ['debugLogLevel', kept('debugLogLevel')],
  ['requestBodyLimit', limit('requestBodyLimit')],
  ['responseBodyLimit', limit('responseBodyLimit')],
  ['ruleRemoveById', remove('id')],
  ['ruleRemoveByTag', remove('tag')],
  ['ruleRemoveByMsg', remove('message')],
  ['ruleRemoveTargetById', removeTarget('id', '942100')],
  ['ruleRemoveTargetByTag', removeTarget('tag', 'attack-sqli')],
  ['ruleRemoveTargetByMsg', removeTarget('message', 'SQL')],
];
const BY_NAME: ReadonlyMap<string, Reader> = new Map(READERS.map(([name, reader]) => [name.toLowerCase(), reader]));

/** Empty after reporting. */
export function readControl(text: Text, problems: Problems, loss: Loss): readonly Control[] {
  const equals = text.value.indexOf('=');
  const name = (equals < 0 ? text : text.slice(0, equals)).trim();
  const reader = BY_NAME.get(name.value.toLowerCase());
  if (reader === undefined) {
    const like = nearest(
      name.value,
      READERS.map(([known]) => known),
    );
    const fix = like === null ? {} : { fix: `did you mean ${like}?` };
    problems.error('unknown-control', name, `unknown control \`${shown(name.value)}\``, fix);
    return [];
  }
  const value = equals < 0 ? text.slice(text.value.length) : text.slice(equals + 1).trim();
  if (value.value === '') {
    problems.error('missing-argument', name, `${name.value} needs a value`, { fix: `write ctl:${name.value}=value` });
    return [];
  }
  const macro = value.value.indexOf('%{');
  if (macro >= 0) {
    // SPEC: ModSecurity v2 does not expand macros here either.
    problems.error('unsupported-control', value, 'a control cannot hold a macro', {
      offset: macro,
      length: 2,
      cause: 'controls are compiled before any request',
      fix: 'write one rule for each value',
    });
    return [];
  }
  return reader({ value, problems, loss });
}
