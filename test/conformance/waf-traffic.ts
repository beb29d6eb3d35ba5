/**
 * False alarms: ordinary traffic of our own making (test/core-rules/) through the embedded rule set and through the Core
 * Rule Set, both at paranoia level 1 and with bodies in doubt refused, side by side. An alarm of the embedded rules on
 * what is ordinary is a failure. Those of the Core Rule Set are its own, and told: a policy that uses it has to exclude them.
 */
import { join } from 'node:path';
import type { Waf } from '../../src/waf/transaction.ts';
import { inForm, inJson, inQuery } from '../core-rules/attacks.ts';
import { BENIGN } from '../core-rules/benign.ts';
import { ORDINARY_BODIES } from '../core-rules/bodies.ts';
import { ORDINARY, SUSPICIOUS, type Traffic } from '../core-rules/traffic.ts';
import { dataFolder } from '../data.ts';
import { ROOT } from '../gateway.ts';
import { openRules } from '../support/waf.ts';
import type { Outcome } from './gateway-api.ts';

const VALUES: Traffic = BENIGN.flatMap((value) => [
  [`query ${value}`, inQuery(value)] as const,
  [`form ${value}`, inForm(value)] as const,
  [`JSON ${value}`, inJson({ text: value })] as const,
]);
const TABLES: readonly (readonly [name: string, traffic: Traffic, ordinary: boolean])[] = [
  ['requests', ORDINARY, true],
  ['bodies', ORDINARY_BODIES.filter(([, { method }]) => method !== 'PROPFIND'), true],
  ['values', VALUES, true],
  ['what looks like an attack', SUSPICIOUS, false],
];

export async function runWafTraffic(_only: readonly string[], report: (outcome: Outcome) => void): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const open = async (rules: string): Promise<Waf> =>
    (await openRules(rules, { paranoia: { blocking: 1, detection: 1 } }, 'reject')).waf;
  const core = await open(`Include ${join(ROOT, 'rules/main.conf')}\n`);
  const crs = await coreRuleSet(open);
  for (const [table, traffic, ordinary] of TABLES) {
    const alarms = { core: 0, crs: 0 };
    for (const [name, transaction] of traffic) {
      const ours = rulesOf(core, transaction);
      const theirs = crs === null ? [] : rulesOf(crs, transaction);
      if (ours.length > 0) alarms.core++;
      if (theirs.length > 0) alarms.crs++;
      const id = `${table}: ${name.slice(0, 80).replaceAll(/\s+/g, ' ')}`;
      const said = [`core: ${ours.join(' ') || 'none'}`, `crs: ${theirs.join(' ') || 'none'}`].join(', ');
      const outcome: Outcome = { id, result: ordinary && ours.length > 0 ? 'failed' : 'passed', detail: said };
      if (ours.length > 0 || theirs.length > 0) report(outcome);
      outcomes.push(outcome);
    }
    console.log(
      `${table}: ${traffic.length}, alarms of core ${alarms.core}, of crs ${crs === null ? '-' : alarms.crs}`,
    );
  }
  return outcomes;
}

/** Null where its data is not to be had. */
async function coreRuleSet(open: (rules: string) => Promise<Waf>): Promise<Waf | null> {
  let folder: string;
  try {
    folder = dataFolder('crs');
  } catch (error) {
    console.log(`without the Core Rule Set: ${String(error)}`);
    return null;
  }
  return await open(`Include ${folder}/crs-setup.conf.example\nInclude ${folder}/rules/*.conf\n`);
}

/** Rules that spoke up, without those that only compare or tell the score. */
function rulesOf(waf: Waf, transaction: Traffic[number][1]): number[] {
  const rules = waf
    .inspect(transaction)
    .events.filter(
      ({ log, tags, rule }) => log && !tags.includes('anomaly-evaluation') && !/^(?:949|959|980)/.test(String(rule)),
    );
  return [...new Set(rules.map(({ rule }) => rule))];
}
