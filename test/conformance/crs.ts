/**
 * The regression suite of the OWASP Core Rule Set, called in the process: paranoia level 4, nothing blocks, and what
 * counts is which rules fire. `crs` asks our engine, `crs-peers` others (bench/peers/waf/), to know what the harness is
 * worth: all get the same transactions.
 */
import { buildPeers } from '../../bench/peers/waf/build.ts';
import { Apache, apacheInstalled } from '../../bench/peers/waf/apache.ts';
import { Peer } from '../../bench/peers/waf/peer.ts';
import type { RawTransaction } from '../../src/waf/transaction.ts';
import { assertsRules, faults, type Fired } from './crs/judgement.ts';
import { reflect } from './crs/reflection.ts';
import { transactionOf } from './crs/request.ts';
import { Sallyport, suiteRules } from './crs/sallyport.ts';
import { loadSuite } from './crs/suite.ts';
import type { Outcome } from './gateway-api.ts';

type Report = (outcome: Outcome) => void;
interface Engine {
  readonly name: string;
  run(transaction: RawTransaction): Promise<{ readonly hits: readonly Fired[]; readonly limit?: number }>;
  stop(): void;
}

/** Stages whose id begins with one of `only`, or all. What passes is not reported: it would be thousands of lines. */
async function score(only: readonly string[], report: Report, engine: Engine, prefix = ''): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const stage of loadSuite()) {
    if (only.length > 0 && !only.some((start) => stage.id.startsWith(start))) continue;
    const id = `${prefix}${stage.id}`;
    let outcome: Outcome;
    if (!assertsRules(stage.expects)) {
      outcome = { id, result: 'skipped', detail: 'asserts an HTTP status only: `-- crs-http` does that' };
    } else {
      const { hits: fired, limit = 0 } = await engine.run(transactionOf(stage.input));
      const wrong = faults(stage, fired);
      // Rules that did not run cannot fire: that is no proof that they would not.
      if (limit !== 0 && stage.expects.ids.length === 0) wrong.push(`the engine gave up for reason ${limit}`);
      const all = fired.map((rule) => rule.id).join(' ') || 'none';
      if (wrong.length === 0) outcome = { id, result: 'passed', detail: '' };
      else outcome = { id, result: 'failed', detail: `${wrong.join('; ')} (fired: ${all})` };
    }
    if (outcome.result !== 'passed') report(outcome);
    outcomes.push(outcome);
  }
  return outcomes;
}

export async function runCrs(only: readonly string[], report: Report): Promise<Outcome[]> {
  return await score(only, report, await Sallyport.start());
}

/** Words of `only` that name an engine choose engines, others are beginnings of stage ids. */
export async function runCrsPeers(only: readonly string[], report: Report): Promise<Outcome[]> {
  const names = ['libmodsecurity', 'coraza', 'apache'];
  const ids = only.filter((word) => !names.includes(word));
  const chosen = ids.length < only.length ? only : names;
  const rules = suiteRules();
  const outcomes: Outcome[] = [];
  const ask = async (name: string, engine: Engine): Promise<void> => {
    try {
      const own = await score(ids, report, engine, `${name} `);
      const asserting = own.filter(({ result }) => result !== 'skipped');
      const passed = asserting.filter(({ result }) => result === 'passed').length;
      console.log(`${engine.name}: ${passed} of ${asserting.length} stages`);
      outcomes.push(...own);
    } finally {
      engine.stop();
    }
  };
  const { built, missing } = await buildPeers();
  for (const sentence of missing) console.log(sentence);
  for (const [name, command] of Object.entries(built))
    if (chosen.includes(name)) await ask(name, await Peer.start(command, rules));
  if (chosen.includes('apache')) {
    if (apacheInstalled()) await ask('apache', await Apache.start(rules, reflect));
    else console.log('ModSecurity 2 is not asked: Debian has it as apache2-bin and libapache2-mod-security2');
  }
  return outcomes;
}
