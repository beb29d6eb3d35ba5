/**
 * The third word of a rule: its actions, not yet merged with those of SecDefaultAction.
 * SPEC: msre_parse_generic for the form, msre_register_default_actions of re_actions.c for names and parameters.
 */
import { nearest, shown } from '../spelling.ts';
import { readControl } from './control.ts';
import { readMacro } from './macro.ts';
import type { Problems } from './problems.ts';
import type { Control, Disruptive, Macro, SetVariable } from './ruleset.ts';
import { readSetVariable } from './set-variable.ts';
import type { Text } from './text.ts';
import { readTransformation, type TransformationStep } from './transformations.ts';
import { lossOf, type Loss } from './variables.ts';

/** What was written; undefined where it was not. */
export interface Actions {
  id?: number;
  phase?: 1 | 2 | 3 | 4 | 5;
  msg?: Macro;
  logdata?: Macro;
  severity?: number;
  rev?: string;
  ver?: string;
  maturity?: number;
  accuracy?: number;
  chain?: boolean;
  skip?: number;
  skipAfter?: string;
  disruptive?: Disruptive;
  redirect?: string;
  allow?: '' | 'request' | 'phase';
  status?: number;
  log?: boolean;
  auditlog?: boolean;
  capture?: boolean;
  multiMatch?: boolean;
  tags: string[];
  steps: TransformationStep[];
  setvars: SetVariable[];
  ctls: Control[];
  /** Where each action was named last, by its name in lower case. */
  places: Map<string, Text>;
}

export const noActions = (): Actions => ({ tags: [], steps: [], setvars: [], ctls: [], places: new Map() });

interface Written {
  readonly name: Text;
  readonly value: Text | null;
}

/** Null after reporting what stands where a comma or a name should. */
function* split(text: Text, problems: Problems): Generator<Written> {
  const { value } = text;
  const space = (at: number): number => {
    while (at < value.length && /\s/.test(value[at]!)) at++;
    return at;
  };
  for (let at = space(0); at < value.length; at = space(at)) {
    const from = at;
    while (at < value.length && !/[\s|,:]/.test(value[at]!)) at++;
    const name = text.slice(from, at);
    if (at === from) {
      problems.error('missing-action', text, `an action is missing before \`${value[at]}\``, {
        offset: at++,
        length: 1,
        fix: 'remove it',
      });
      continue;
    }
    let found: Text | null = null;
    const quoted = value[at] === ':' && value[at + 1] === "'";
    if (quoted) ({ text: found, at } = unquote(text, at + 1, problems));
    else if (value[at] === ':') {
      const begin = ++at;
      while (at < value.length && !/[\s|,]/.test(value[at]!)) at++;
      if (at > begin) found = text.slice(begin, at);
    }
    yield { name, value: found };
    const end = at;
    at = space(at);
    if (at >= value.length) return;
    if (value[at] === ',' || value[at] === '|') at++;
    else {
      problems.error('missing-comma', text, `a comma is missing before \`${shown(value.slice(at, at + 20))}\``, {
        offset: at,
        length: 1,
        fix: quoted && at === end ? "write \\' for a quote inside" : `add a comma, or ' around a value with spaces`,
      });
      // What follows is rather the rest of this value than another action.
      while (at < value.length && value[at] !== ',') at++;
      at++;
    }
  }
}

/** From the opening quote at `from`; `\'` and `\\` are characters, any other backslash stands for itself. */
function unquote(text: Text, from: number, problems: Problems): { text: Text; at: number } {
  const { value } = text;
  let at = from + 1;
  let escaped = false;
  for (; at < value.length && value[at] !== "'"; at++) {
    if (value[at] !== '\\' || (value[at + 1] !== "'" && value[at + 1] !== '\\')) continue;
    escaped = true;
    at++;
  }
  if (at >= value.length) {
    problems.error('unterminated-quote', text, "the ' is not closed", {
      offset: from,
      length: 1,
      fix: "add ', and write \\' for a quote inside",
    });
  }
  const inside = text.slice(from + 1, Math.min(at, value.length));
  return { text: escaped ? inside.unescaped(/\\['\\]/g) : inside, at: Math.min(at + 1, value.length) };
}

/** `id` decides how much it weighs that something is not honoured; a link of a chain takes that of its head. */
export function readActions(text: Text, problems: Problems, head: Loss | null = null): Actions {
  const actions = noActions();
  const written = [...split(text, problems)];
  const id = written.find(({ name }) => name.value.toLowerCase() === 'id')?.value?.value ?? '';
  const loss = head ?? lossOf(Number(id));
  for (const { name, value } of written) {
    const key = name.value.toLowerCase();
    const known = ACTIONS.get(key);
    if (known === undefined) {
      const like = nearest(name.value, NAMES);
      const fix = like === null ? {} : { fix: `did you mean ${like}?` };
      problems.error('unknown-action', name, `unknown action \`${shown(name.value)}\``, fix);
      continue;
    }
    actions.places.set(key, name);
    if (known.value === 'required' && (value === null || value.value === '')) {
      problems.error('missing-argument', name, `${name.value} needs a value`, { fix: `write ${known.example}` });
    } else if (known.value === 'none' && value !== null) {
      problems.error('unexpected-argument', value, `${name.value} takes no value`, { fix: `write ${name.value}` });
    } else known.read({ actions, name, value: value ?? name.slice(name.value.length), problems, loss });
  }
  return actions;
}

interface Reading {
  readonly actions: Actions;
  readonly name: Text;
  readonly value: Text; // empty when there is none
  readonly problems: Problems;
  readonly loss: Loss;
}

interface Action {
  readonly value: 'none' | 'optional' | 'required';
  readonly example: string;
  readonly read: (reading: Reading) => void;
}

const flag = (read: (actions: Actions) => void): Action => ({
  value: 'none',
  example: '',
  read: ({ actions }) => read(actions),
});
const valued = (example: string, read: (reading: Reading) => void): Action => ({ value: 'required', example, read });

/** Digits within bounds; undefined after reporting. */
function integer({ value, problems }: Reading, first: number, last: number): number | undefined {
  const number = /^\d{1,10}$/.test(value.value) ? Number(value.value) : -1;
  if (number >= first && number <= last) return number;
  problems.error('bad-number', value, `\`${shown(value.value)}\` is no number from ${first} to ${last}`, {
    fix: 'write it in digits',
  });
  return undefined;
}

const SEVERITIES = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug'];
/** `CRITICAL` for 2; '' for -1. */
export const severityName = (severity: number): string => (SEVERITIES[severity] ?? '').toUpperCase();
const PHASES: ReadonlyMap<string, 2 | 4 | 5> = new Map([
  ['request', 2],
  ['response', 4],
  ['logging', 5],
]);

function readSeverity(reading: Reading): void {
  const { actions, value, problems } = reading;
  const index = SEVERITIES.indexOf(value.value.toLowerCase());
  if (index >= 0) actions.severity = index;
  else if (/^[0-7]$/.test(value.value)) actions.severity = Number(value.value);
  else {
    const like = nearest(value.value, SEVERITIES)?.toUpperCase();
    problems.error('bad-severity', value, `unknown severity \`${shown(value.value)}\``, {
      fix: like === undefined ? 'write a name from EMERGENCY to DEBUG' : `did you mean ${like}?`,
    });
  }
}

function readPhase(reading: Reading): void {
  const { actions, value } = reading;
  const phase = PHASES.get(value.value.toLowerCase()) ?? integer(reading, 1, 5);
  if (phase !== undefined) actions.phase = phase as 1 | 2 | 3 | 4 | 5;
}

function readAllow({ actions, value, problems }: Reading): void {
  const scope = value.value.toLowerCase();
  if (scope === '' || scope === 'request' || scope === 'phase') {
    actions.disruptive = 'allow';
    actions.allow = scope;
  } else {
    problems.error('bad-scope', value, `unknown scope \`${shown(value.value)}\` of allow`, {
      fix: 'write allow, allow:phase or allow:request',
    });
  }
}

const set =
  <K extends 'rev' | 'ver' | 'skipAfter' | 'redirect'>(key: K) =>
  ({ actions, value }: Reading): void => {
    actions[key] = value.value;
  };
const number =
  <K extends 'id' | 'maturity' | 'accuracy' | 'skip' | 'status'>(key: K, first: number, last: number) =>
  (reading: Reading): void => {
    const found = integer(reading, first, last);
    if (found !== undefined) reading.actions[key] = found;
  };

/** Without effect here, which loses nothing that a rule would stop. */
const ignored =
  (cause: string) =>
  ({ name, problems }: Reading): void => {
    if (!problems.first(`action ${name.value.toLowerCase()}`)) return;
    problems.warning('no-effect', name, `${name.value} has no effect`, { cause });
  };
/** What a rule is written for is not done: an error outside the Core Rule Set. */
const lost =
  (cause: string, fix = 'remove it') =>
  ({ name, problems, loss }: Reading): void => {
    problems.at(loss, 'unsupported-action', name, `${name.value} is not supported`, { cause, fix });
  };

const PERSISTENT = 'nothing persists between requests here';
const REDACTED = 'what is recorded is redacted as the policy says';

const ENTRIES: readonly (readonly [string, Action])[] = [
  ['id', valued('id:1000', number('id', 1, 2 ** 31 - 1))],
  ['phase', valued('phase:2', readPhase)],
  ['severity', valued("severity:'CRITICAL'", readSeverity)],
  ['rev', valued("rev:'1'", set('rev'))],
  ['ver', valued("ver:'mine/1.0.0'", set('ver'))],
  ['maturity', valued('maturity:9', number('maturity', 0, 9))],
  ['accuracy', valued('accuracy:9', number('accuracy', 0, 9))],
  ['skip', valued('skip:1', number('skip', 1, 65535))],
  ['status', valued('status:403', number('status', 100, 599))],
  ['skipAfter', valued('skipAfter:END', set('skipAfter'))],
  ['tag', valued("tag:'attack'", ({ actions, value }) => void actions.tags.push(value.value))],
  [
    'msg',
    valued("msg:'text'", ({ actions, value, problems }) => {
      actions.msg = readMacro(value, problems, 'warning');
    }),
  ],
  [
    'logdata',
    valued("logdata:'%{MATCHED_VAR}'", ({ actions, value, problems }) => {
      actions.logdata = readMacro(value, problems, 'warning');
    }),
  ],
  ['chain', flag((actions) => void (actions.chain = true))],
  ['capture', flag((actions) => void (actions.capture = true))],
  ['multiMatch', flag((actions) => void (actions.multiMatch = true))],
  ['log', flag((actions) => void (actions.log = true))],
  [
    'nolog',
    flag((actions) => {
      actions.log = false;
      actions.auditlog = false;
    }),
  ],
  ['auditlog', flag((actions) => void (actions.auditlog = true))],
  ['noauditlog', flag((actions) => void (actions.auditlog = false))],
  ...(['block', 'deny', 'drop', 'pass'] as const).map(
    (name) => [name, flag((actions) => void (actions.disruptive = name))] as const,
  ),
  ['allow', { value: 'optional', example: '', read: readAllow }],
  [
    'redirect',
    valued('redirect:https://example.com/', (reading) => {
      reading.actions.disruptive = 'redirect';
      set('redirect')(reading);
    }),
  ],
  [
    't',
    valued('t:lowercase', ({ actions, value, problems }) => {
      const step = readTransformation(value, problems);
      if (step !== null) actions.steps.push(step);
    }),
  ],
  [
    'setvar',
    valued("setvar:'tx.name=value'", ({ actions, value, problems, loss }) => {
      const setvar = readSetVariable(value, problems, loss);
      if (setvar !== null) actions.setvars.push(setvar);
    }),
  ],
  [
    'ctl',
    valued('ctl:ruleRemoveById=1000', ({ actions, value, problems, loss }) => {
      actions.ctls.push(...readControl(value, problems, loss));
    }),
  ],
  ...['initcol', 'setsid', 'setuid', 'setrsc', 'expirevar', 'deprecatevar'].map(
    (name) => [name, valued(`${name}:value`, ignored(PERSISTENT))] as const,
  ),
  ['setenv', valued('setenv:name=value', ignored('there is no environment of a process here'))],
  ['xmlns', valued('xmlns:x=uri', ignored('XPath is not evaluated'))],
  ['exec', valued('exec:value', lost('there are no processes here'))],
  ['proxy', valued('proxy:value', lost('a rule cannot choose the origin', 'write a route in the policy'))],
  ['pause', valued('pause:1000', lost('requests are not delayed', 'write deny or drop'))],
  ['append', valued("append:'text'", lost('responses are not rewritten'))],
  ['prepend', valued("prepend:'text'", lost('responses are not rewritten'))],
  ...['Arg', 'RequestHeader', 'ResponseHeader'].flatMap((what) =>
    ['sanitise', 'sanitize'].map((verb) => [verb + what, valued(`${verb}${what}:name`, ignored(REDACTED))] as const),
  ),
  ...['Matched', 'MatchedBytes'].flatMap((what) =>
    ['sanitise', 'sanitize'].map(
      (verb) => [verb + what, { value: 'optional', example: '', read: ignored(REDACTED) } satisfies Action] as const,
    ),
  ),
];
const NAMES = ENTRIES.map(([name]) => name);
const ACTIONS: ReadonlyMap<string, Action> = new Map(ENTRIES.map(([name, action]) => [name.toLowerCase(), action]));
