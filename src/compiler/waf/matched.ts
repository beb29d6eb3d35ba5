/** Joins a rule set with the matchers that its operators became. */
import type { RuleSet } from '../seclang/ruleset.ts';
import { matcherKey } from './artefact.ts';
import type { MatchedRules } from './program.ts';

/**
 * `matchers`: matcher by `matcherKey`, of the IR or of `matchersOf`; `image`: index among the app's rule-set images, null
 * when the section is the policy's own.
 */
export function matchedRules(
  ruleSet: RuleSet,
  matchers: ReadonlyMap<string, number> | Readonly<Record<string, number>>,
  image: number | null,
): MatchedRules {
  const known = matchers instanceof Map ? (matchers as ReadonlyMap<string, number>) : new Map(Object.entries(matchers));
  let count = 0;
  for (const matcher of known.values()) count = Math.max(count, matcher + 1);
  return {
    ruleSet,
    image,
    matchers: count,
    matcher(entry, link) {
      const rule = ruleSet.entries[entry];
      const key = rule?.kind === 'rule' ? matcherKey(rule.links[link]!) : null;
      return key === null ? -1 : (known.get(key) ?? -1);
    },
  };
}
