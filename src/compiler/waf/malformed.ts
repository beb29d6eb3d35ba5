/**
 * `waf.body.malformed`: what happens to a body that cannot be read for sure, as rules before those of any rule set.
 *
 * Installations of ModSecurity have such rules in their recommended configuration (200002 to 200004, after which these are
 * numbered), and rule sets rely on it: what a parser has not understood, no rule has seen as the application will.
 */
import { RULE_BODY_DOUBTFUL, RULE_BODY_MALFORMED, RULE_BODY_UNMATCHED_BOUNDARY } from '../../../assembly/waf/abi.ts';
import { readRuleSet, type RuleSet } from '../seclang/index.ts';
import type { WafSource } from '../sources.ts';

/** File name of these rules in places. */
const FILE = 'malformed.conf';
const ACTIONS = { reject: 'deny,status:400', log: 'pass' };

/**
 * MULTIPART_STRICT_ERROR also stands for a quoted boundary, which .NET always sends and every reader undoes; where the
 * body makes use of the quotes, that is an error of its own. So the flags are asked one by one.
 */
const rulesOf = (action: string): string => `
SecRule REQBODY_ERROR "!@eq 0" "id:${RULE_BODY_MALFORMED},phase:2,${action},log,t:none,\\
    msg:'Body is malformed: %{REQBODY_ERROR_MSG}',tag:'malformed-body',severity:'CRITICAL'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:${RULE_BODY_DOUBTFUL},phase:2,${action},log,t:none,\\
    msg:'Multipart body that parsers read differently',tag:'malformed-body',severity:'CRITICAL',chain"
  SecRule MULTIPART_BOUNDARY_WHITESPACE|MULTIPART_DATA_BEFORE|MULTIPART_DATA_AFTER|MULTIPART_HEADER_FOLDING|\\
MULTIPART_LF_LINE|MULTIPART_MISSING_SEMICOLON|MULTIPART_INVALID_QUOTING|MULTIPART_INVALID_PART|\\
MULTIPART_INVALID_HEADER_FOLDING|MULTIPART_FILE_LIMIT_EXCEEDED "!@eq 0" "t:none"
SecRule MULTIPART_UNMATCHED_BOUNDARY "@eq 1" "id:${RULE_BODY_UNMATCHED_BOUNDARY},phase:2,${action},log,t:none,\\
    msg:'Multipart boundary where none belongs',tag:'malformed-body',severity:'CRITICAL'"
`;

/** A rule set with these rules before its own. They have no matchers, so those of the rule set stay what they are. */
export function guardBodies(ruleSet: RuleSet, malformed: WafSource['malformed']): RuleSet {
  if (malformed === 'pass') return ruleSet;
  const own = readRuleSet({ name: FILE, entry: [FILE], readFile: () => rulesOf(ACTIONS[malformed]) }).ruleSet;
  return { ...ruleSet, entries: [...own.entries, ...ruleSet.entries] };
}
