/** Rules in the making: actions merged as ModSecurity merges them (msre_actionset_merge), what was written last wins. */
import type { Actions } from './actions.ts';
import type { Problems } from './problems.ts';
import type { Link, Macro, Operator, Place, RuleEntry, Target } from './ruleset.ts';
import { applySteps } from './transformations.ts';
import { reportLate } from './variables.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type DraftLink = Mutable<Link>;
export type Draft = Mutable<Omit<RuleEntry, 'links'>> & { links: DraftLink[] };

/** SPEC: msre_actionset_create_default: `phase:2,log,auditlog,pass`. */
export function startRule(id: number, phase: RuleEntry['phase'], place: Place, defaults: Actions | null): Draft {
  const rule: Draft = {
    kind: 'rule',
    id,
    phase,
    place,
    links: [],
    disruptive: 'pass',
    blocks: false,
    blockMeans: 'pass',
    status: 0,
    redirect: '',
    allow: '',
    skipAfter: '',
    skip: 0,
    msg: null,
    severity: -1,
    tags: [],
    ver: '',
    rev: '',
    maturity: -1,
    accuracy: -1,
    log: true,
    auditlog: true,
  };
  if (defaults !== null) {
    applyActions(rule, defaults);
    rule.blockMeans = rule.disruptive;
  }
  return rule;
}

/** What concerns the rule as a whole; the rest is `applyLinkActions`. */
export function applyActions(rule: Draft, actions: Actions): void {
  const keys = ['msg', 'severity', 'rev', 'ver', 'maturity', 'accuracy', 'skip', 'skipAfter'] as const;
  for (const key of [...keys, 'redirect', 'allow', 'status', 'log', 'auditlog'] as const) {
    if (actions[key] !== undefined) Object.assign(rule, { [key]: actions[key] });
  }
  if (actions.disruptive !== undefined) {
    rule.blocks = actions.disruptive === 'block';
    rule.disruptive = rule.blocks ? rule.blockMeans : actions.disruptive;
  }
  rule.tags = [...rule.tags, ...actions.tags];
}

export function startLink(
  place: Place,
  targets: readonly Target[],
  operator: Operator,
  defaults: Actions | null,
): DraftLink {
  const link: DraftLink = {
    place,
    targets,
    operator,
    transformations: [],
    multiMatch: false,
    capture: false,
    logdata: null,
    setvars: [],
    ctls: [],
  };
  if (defaults !== null) applyLinkActions(link, defaults);
  return link;
}

export function applyLinkActions(link: DraftLink, actions: Actions): void {
  link.transformations = applySteps(link.transformations, actions.steps);
  if (actions.multiMatch === true) link.multiMatch = true;
  if (actions.capture === true) link.capture = true;
  if (actions.logdata !== undefined) link.logdata = actions.logdata;
  link.setvars = [...link.setvars, ...actions.setvars];
  link.ctls = [...link.ctls, ...actions.ctls];
}

const OF_HEAD = new Set(['id', 'phase', 'msg', 'severity', 'rev', 'ver', 'maturity', 'accuracy', 'skip', 'skipafter']);
const DISRUPTIVE = new Set(['allow', 'block', 'deny', 'drop', 'pass', 'redirect']);

/** SPEC: add_rule: these belong to the first rule of a chain. */
export function checkLinkActions({ places }: Actions, problems: Problems): void {
  for (const [name, place] of places) {
    if (OF_HEAD.has(name) || DISRUPTIVE.has(name)) {
      problems.error('action-in-chain', place, `${place.value} belongs to the first rule of the chain`, {
        fix: 'move it there',
      });
    } else if (name === 'tag') {
      problems.warning('action-in-chain', place, 'a tag behind the first rule of a chain has no effect', {
        fix: 'move it to the first rule',
      });
    }
  }
}

/** SPEC: cmd_default_action. */
export function checkDefaultActions(actions: Actions, problems: Problems): boolean {
  let fine = true;
  for (const [name, place] of actions.places) {
    const metadata = OF_HEAD.has(name) && name !== 'phase' && name !== 'severity';
    if (!metadata && name !== 'chain' && name !== 'block') continue;
    fine = false;
    problems.error('action-in-default', place, `${place.value} cannot be a default`, {
      fix: name === 'block' ? 'write deny or pass, which block then stands for' : 'remove it',
    });
  }
  return fine;
}

/** Macros of a rule that expand to nothing in its phase. */
export function reportLateMacros(phase: number, actions: Actions, problems: Problems): void {
  const { places, msg, logdata, setvars } = actions;
  const written: (readonly [string, Macro | undefined])[] = [
    ['msg', msg],
    ['logdata', logdata],
    ...setvars.flatMap(({ name, value }) => [['setvar', name] as const, ['setvar', value] as const]),
  ];
  for (const [action, macro] of written)
    for (const part of macro ?? [])
      if (typeof part !== 'string') reportLate(part.variable, places.get(action)!, phase, problems, 'warning');
}
