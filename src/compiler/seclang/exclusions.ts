/** Directives that change rules which were read before them: SecRuleRemove*, SecRuleUpdateTarget*, SecRuleUpdateActionById. */
import { nameOf, readTargets } from './variables.ts';
import { readActions } from './actions.ts';
import { MAX_RULE_UPDATES } from './limits.ts';
import type { Directive } from './lexer.ts';
import type { Problems } from './problems.ts';
import { applyActions, applyLinkActions, type Draft } from './rule.ts';
import type { Selection, Target } from './ruleset.ts';
import { compileSelection, readIds, readSelection, writeSelection } from './selection.ts';
import type { Text } from './text.ts';

interface Update {
  readonly by: Selection['by'];
  readonly apply: 'remove' | 'target';
}

const UPDATES: ReadonlyMap<string, Update> = new Map([
  ['secruleremovebyid', { by: 'id', apply: 'remove' }],
  ['secruleremovebytag', { by: 'tag', apply: 'remove' }],
  ['secruleremovebymsg', { by: 'message', apply: 'remove' }],
  ['secruleupdatetargetbyid', { by: 'id', apply: 'target' }],
  ['secruleupdatetargetbytag', { by: 'tag', apply: 'target' }],
  ['secruleupdatetargetbymsg', { by: 'message', apply: 'target' }],
]);

export const UPDATE_NAMES = [
  ...['SecRuleRemoveById', 'SecRuleRemoveByTag', 'SecRuleRemoveByMsg', 'SecRuleUpdateTargetById'],
  ...['SecRuleUpdateTargetByTag', 'SecRuleUpdateTargetByMsg', 'SecRuleUpdateActionById'],
];

/** What the directives work on: the rules so far. */
export interface Rules {
  readonly rules: readonly Draft[];
  remove(rule: Draft): void;
  /** How many directives with this one. */
  countUpdate(): number;
  /** The directive meant nothing so far: to be told whether it was too early, when all is read. */
  missed(selection: Selection, name: Text): void;
}

/** False when the directive is none of these. */
export function readUpdate(directive: Directive, rules: Rules, problems: Problems): boolean {
  const { name, words } = directive;
  const key = name.value.toLowerCase();
  if (!UPDATES.has(key) && key !== 'secruleupdateactionbyid') return false;
  if (rules.countUpdate() > MAX_RULE_UPDATES) {
    if (!problems.first('limit updates')) return true;
    problems.error('limit', name, `more than ${MAX_RULE_UPDATES} directives update rules`, {
      fix: 'name ranges of ids, or tags',
    });
    return true;
  }
  if (key === 'secruleupdateactionbyid') {
    updateActions(directive, rules, problems);
    return true;
  }
  const update = UPDATES.get(key)!;
  if (directive.broken) return true;
  const [first, second, third] = words;
  if (first === undefined || (update.apply === 'target' && second === undefined)) {
    const what = first === undefined ? 'which rules it means' : 'a target';
    problems.error('missing-argument', directive.end, `${name.value} needs ${what}`, { fix: 'add it' });
    return true;
  }
  if (update.apply === 'remove') {
    // SPEC: an ITERATE directive: every word is a selection of its own.
    for (const word of words) {
      const selection = readSelection(update.by, word, problems);
      if (selection !== null) for (const rule of select(selection, rules, word)) rules.remove(rule);
    }
    return true;
  }
  const selection = readSelection(update.by, first, problems);
  const added = readTargets(second!, problems, 'warning');
  const replaced = third === undefined ? null : readTargets(third, problems, 'warning');
  if (selection === null) return true;
  for (const rule of select(selection, rules, first)) updateTargets(rule, added, replaced, third, problems);
  return true;
}

function select(selection: Selection, rules: Rules, written: Text): Draft[] {
  const found = rules.rules.filter(compileSelection(selection));
  if (found.length === 0) rules.missed(selection, written);
  return found;
}

const same = (a: Target, b: Target): boolean =>
  a.variable === b.variable &&
  a.count === b.count &&
  a.exclude === b.exclude &&
  JSON.stringify(a.selector) === JSON.stringify(b.selector);

/** SPEC: msre_ruleset_phase_rule_update_target_matching_exception: all rules of the chain. */
function updateTargets(
  rule: Draft,
  added: readonly Target[],
  replaced: readonly Target[] | null,
  written: Text | undefined,
  problems: Problems,
): void {
  let matched = false;
  for (const link of rule.links) {
    if (link.targets.length === 0) continue; // a SecAction looks at nothing
    if (replaced === null) {
      const fresh = added.filter((target) => !link.targets.some((other) => same(target, other)));
      link.targets = [...link.targets, ...fresh];
      continue;
    }
    const kept = link.targets.filter((target) => !replaced.some((other) => same(target, other)));
    if (kept.length === link.targets.length) continue;
    matched = true;
    link.targets = [...kept, ...added];
  }
  if (replaced === null || matched || written === undefined) return;
  const names = replaced.map(({ variable }) => nameOf(variable)).join(', ');
  problems.error('nothing-to-replace', written, `rule ${rule.id} does not look at ${names}`, {
    fix: 'name a target of the rule as it is written there',
  });
}

/** `SecRuleUpdateActionById 1000 "deny"`, and `1000:1` for the second rule of a chain. */
function updateActions(directive: Directive, rules: Rules, problems: Problems): void {
  const [first, second] = directive.words;
  if (directive.broken) return;
  if (first === undefined || second === undefined) {
    const what = first === undefined ? 'the id of a rule' : 'actions';
    problems.error('missing-argument', directive.end, `${directive.name.value} needs ${what}`, { fix: 'add it' });
    return;
  }
  const colon = first.value.indexOf(':');
  const id = colon < 0 ? first : first.slice(0, colon);
  const offset = colon < 0 ? 0 : Number(/^\d{1,3}$/.exec(first.value.slice(colon + 1))?.[0] ?? -1);
  const selection = readIds(id, problems);
  const actions = readActions(second, problems);
  if (selection === null) return;
  for (const rule of select(selection, rules, id)) {
    const link = rule.links[offset];
    if (link === undefined) {
      problems.error('unknown-rule', first, `rule ${rule.id} is a chain of ${rule.links.length}`, {
        offset: Math.max(0, colon),
        fix: `write ${rule.id}:0 to ${rule.id}:${rule.links.length - 1}`,
      });
      continue;
    }
    for (const key of ['id', 'phase'] as const) {
      const place = actions.places.get(key);
      if (place === undefined || actions[key] === rule[key]) continue;
      problems.error('fixed-action', place, `the ${key} of a rule cannot be changed`, { fix: 'remove it' });
    }
    // ModSecurity v2 would take a chain apart that is updated without `chain`; a rule that then matches more than it
    // says is no one's wish, so chains stay whole.
    if (offset === 0) applyActions(rule, actions);
    applyLinkActions(link, actions);
  }
}

/** Warns of directives that meant no rule: too early, or none at all. */
export function reportMissed(
  missed: readonly { readonly selection: Selection; readonly written: Text }[],
  rules: readonly Draft[],
  problems: Problems,
): void {
  for (const { selection, written } of missed) {
    const later = rules.find(compileSelection(selection));
    const what = `\`${writeSelection(selection)}\``;
    if (later === undefined) {
      problems.warning('unknown-rule', written, `${what} means no rule`, { fix: 'correct or remove it' });
    } else {
      problems.warning('early-exclusion', written, `${what} means no rule that stands above`, {
        cause: `rule ${later.id} follows it, in ${later.place.file}:${later.place.line}`,
        fix: 'move the directive below the rules',
      });
    }
  }
}
