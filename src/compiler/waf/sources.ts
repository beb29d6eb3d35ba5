/** The operators of a rule set that are matchers, in the order of its rules. */
import { OPERATOR_CONTAINS_WORD, OPERATOR_PM, OPERATOR_RX, OPERATOR_STR_MATCH } from '../../../assembly/waf/abi.ts';
import type { Link, RuleEntry, RuleSet } from '../seclang/ruleset.ts';
import type { MatcherGroup, MatcherSource } from './matchers.ts';

export interface LinkSource {
  /** Index in `entries` of the rule set, and of the link in its rule. */
  readonly entry: number;
  readonly link: number;
  readonly source: MatcherSource;
}

/** detectSQLi and detectXSS are matchers too, but need no automaton: they are not here. */
export function matcherSources(ruleSet: RuleSet): LinkSource[] {
  const found: LinkSource[] = [];
  ruleSet.entries.forEach((rule, entry) => {
    if (rule.kind !== 'rule') return;
    rule.links.forEach((link, index) => {
      const source = sourceOf(rule, link);
      if (source) found.push({ entry, link: index, source });
    });
  });
  return found;
}

function sourceOf(rule: RuleEntry, link: Link): MatcherSource | null {
  const { operator, argument, phrases } = link.operator;
  const group: MatcherGroup = {
    paranoia: paranoiaOf(rule.tags),
    direction: rule.phase >= 3 ? 'response' : 'request',
    pipeline: link.transformations.join(),
  };
  const text = argument.every((part) => typeof part === 'string') ? argument.join('') : null;
  if (operator === OPERATOR_PM) return { kind: 'pm', phrases, group };
  if (text === null) return null; // with macros it is known only when a request is here
  if (operator === OPERATOR_RX) return { kind: 'rx', pattern: text, captures: link.capture, group };
  if (operator === OPERATOR_STR_MATCH) return { kind: 'strmatch', text, group };
  return operator === OPERATOR_CONTAINS_WORD ? { kind: 'containsWord', text, group } : null;
}

function paranoiaOf(tags: readonly string[]): number {
  for (const tag of tags) {
    const level = /^paranoia-level\/([1-4])$/.exec(tag);
    if (level) return Number(level[1]);
  }
  return 1;
}
