/**
 * The regression suite of the OWASP Core Rule Set, called in the process: paranoia level 4, nothing blocks, and what
 * counts is which rules fire. `crs` asks our engine, `crs-peers` others (bench/peers/waf/), to know what the harness is
 * worth: all get the same transactions.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildPeers } from '../../bench/peers/waf/build.ts';
import { Peer } from '../../bench/peers/waf/peer.ts';
import { peerConfiguration, SUITE_SETTINGS } from '../../bench/peers/waf/rules.ts';
import type { RawTransaction } from '../../src/waf/transaction.ts';
import { dataFolder } from '../data.ts';
import { assertsRules, faults, type Fired } from './crs/judgement.ts';
import { transactionOf } from './crs/request.ts';
import { loadSuite } from './crs/suite.ts';
import type { Outcome } from './gateway-api.ts';

type Report = (outcome: Outcome) => void;
type Ask = (transaction: RawTransaction) => Promise<readonly Fired[]> | readonly Fired[];

/** Stages whose id begins with one of `only`, or all. What passes is not reported: it would be thousands of lines. */
async function score(only: readonly string[], report: Report, ask: Ask, prefix = ''): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const stage of loadSuite()) {
    if (only.length > 0 && !only.some((start) => stage.id.startsWith(start))) continue;
    const id = `${prefix}${stage.id}`;
    let outcome: Outcome;
    if (!assertsRules(stage.expects)) {
      outcome = { id, result: 'skipped', detail: 'asserts an HTTP status only: `-- crs-http` does that' };
    } else {
      const fired = await ask(transactionOf(stage.input));
      const wrong = faults(stage, fired);
      const all = fired.map((rule) => rule.id).join(' ') || 'none';
      if (wrong.length === 0) outcome = { id, result: 'passed', detail: '' };
      else outcome = { id, result: 'failed', detail: `${wrong.join('; ')} (fired: ${all})` };
    }
    if (outcome.result !== 'passed') report(outcome);
    outcomes.push(outcome);
  }
  return outcomes;
}

export async function runCrsPeers(only: readonly string[], report: Report): Promise<Outcome[]> {
  const { built, missing } = await buildPeers();
  for (const sentence of missing) console.log(sentence);
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-crs-'));
  const rules = join(folder, 'rules.conf');
  writeFileSync(rules, peerConfiguration({ crs: dataFolder('crs'), mode: 'log', paranoia: 4, extra: SUITE_SETTINGS }));
  const outcomes: Outcome[] = [];
  try {
    for (const [name, command] of Object.entries(built)) {
      const peer = await Peer.start(command, rules);
      try {
        const ask: Ask = async (transaction) => (await peer.run(transaction)).hits;
        const own = await score(only, report, ask, `${name} `);
        const asserting = own.filter(({ result }) => result !== 'skipped');
        const passed = asserting.filter(({ result }) => result === 'passed').length;
        console.log(`${peer.name}: ${passed} of ${asserting.length} stages`);
        outcomes.push(...own);
      } finally {
        peer.stop();
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return outcomes;
}
