/**
 * Hostile transactions through the WAF: never a trap, always a verdict within the step budget, the same one each time
 * whatever came between, and evidence within its bounds. And what is around an attack never hides it: with any noise of
 * parameters, cookies, headers and parts it is denied, or the verdict is `limit`.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  EVIDENCE_BYTES,
  MAX_BODY_BYTES,
  MAX_EVIDENCE_VALUE,
  MAX_STEPS,
  STEPS_PER_BODY_BYTE,
} from '../../assembly/abi.ts';
import { MAX_EVENT_TEXT, MAX_WAF_EVENTS } from '../../assembly/waf/abi.ts';
import type { RawTransaction, Waf, WafVerdict } from '../../src/waf/transaction.ts';
import { ROOT } from '../gateway.ts';
import { EVERYTHING, randomTransaction, randomValue } from '../support/transactions.ts';
import { openRules } from '../support/waf.ts';
import { random, type Random } from './random.ts';

const HANG = 5000; // ms; the step budget ends a call long before
const CALLS = 3; // of one transaction

export interface WafFuzzResult {
  readonly rounds: number;
  /** Verdicts by action. */
  readonly actions: Readonly<Record<string, number>>;
  readonly slowest: number; // ms
}

/** The number of transactions tried. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const until = performance.now() + seconds * 1000;
  return (await run(seed, () => performance.now() < until)).rounds;
}

export async function fuzzRounds(rounds: number, seed: number): Promise<WafFuzzResult> {
  return run(seed, (round) => round < rounds);
}

async function run(seed: number, more: (round: number) => boolean): Promise<WafFuzzResult> {
  const next = random(seed);
  const core = `Include ${join(ROOT, 'rules/main.conf')}\n`;
  const wafs = [
    (await openRules(core, { paranoia: { blocking: 2, detection: 2 } })).waf,
    (await openRules(EVERYTHING)).waf,
  ];
  const blocking = (await openRules(core, { paranoia: { blocking: 1, detection: 1 } })).waf;
  const actions: Record<string, number> = {};
  let slowest = 0;
  let rounds = 0;
  for (; more(rounds); rounds++) {
    const where = `round ${rounds} of seed ${seed}`;
    const waf = wafs[rounds % 2]!;
    const transaction = randomTransaction(next);
    const started = performance.now();
    const verdict = waf.inspect(transaction);
    slowest = Math.max(slowest, performance.now() - started);
    check(verdict, waf, where);
    actions[verdict.action] = (actions[verdict.action] ?? 0) + 1;
    if (rounds % 4 === 0) {
      waf.inspect(randomTransaction(next));
      // Steps may differ by a few: the bytes behind a text may look like the start of a literal.
      const again = { ...waf.inspect(transaction), steps: verdict.steps };
      assert.deepEqual(again, verdict, `${where} depends on what came before`);
    }
    if (rounds % 2 === 0) {
      const { action, events } = blocking.inspect(hidden(next));
      const seen = events.map(({ rule }) => rule).join();
      assert.ok(action === 'deny' || action === 'limit', `${where}: an attack behind noise: ${action}, by ${seen}`);
    }
  }
  assert.ok(slowest < HANG, `a transaction took ${slowest} ms`);
  return { rounds, actions, slowest };
}

function check(verdict: WafVerdict, waf: Waf, where: string): void {
  assert.equal(waf.traps, 0, `${where} trapped`);
  assert.ok(verdict.steps <= MAX_STEPS * CALLS + STEPS_PER_BODY_BYTE * MAX_BODY_BYTES, where);
  assert.ok(verdict.events.length <= MAX_WAF_EVENTS * CALLS, where);
  assert.equal(verdict.action === 'limit', verdict.reason !== 0, where);
  let evidence = 0;
  for (const { rule, target, matched, message, logdata } of verdict.events) {
    assert.ok(rule > 0 && matched.length <= MAX_EVIDENCE_VALUE, where);
    assert.ok(
      target.length <= MAX_EVIDENCE_VALUE && message.length <= MAX_EVENT_TEXT && logdata.length <= MAX_EVENT_TEXT,
      where,
    );
    evidence += matched.length;
  }
  assert.ok(evidence <= EVIDENCE_BYTES * CALLS, where);
}

const ATTACKS = [
  "1' UNION SELECT password FROM users -- ",
  '<script>alert(document.cookie)</script>',
  '../../../../etc/passwd',
];
const BOUNDARY = 'nOnSeNsE';

/** An attack in one value of a request that is well formed, between others. */
function hidden(next: Random): RawTransaction {
  const attack = next.pick(ATTACKS);
  const noise = (): string[] => {
    const most = next.pick([3, 30, 300, 9000]);
    return Array.from({ length: next.below(most) }, () =>
      next.below(4) === 0 ? randomValue(next).slice(0, 200) : `v${next.below(99)}`,
    );
  };
  const values = [...noise(), attack, ...noise()];
  const named = values.map((value, index) => [`n${index}`, value] as const);
  const encode = (text: string): string =>
    [...text].map((one) => `%${one.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
  const form = named
    .map(([name, value]) => `${name}=${value === attack || next.below(2) === 0 ? encode(latin(value)) : 'v'}`)
    .join('&');
  const base = { method: 'POST', uri: '/', protocol: 'HTTP/1.1', peer: '192.0.2.9' };
  const headers = (type: string): [string, string][] => [
    ['Host', 'shop.example'],
    ['User-Agent', 'Mozilla/5.0'],
    ['Accept', '*/*'],
    ['Content-Type', type],
  ];
  switch (next.below(4)) {
    case 0:
      return { ...base, method: 'GET', uri: `/?${form}`, headers: headers('text/plain').slice(0, 3), body: '' };
    case 1:
      return { ...base, headers: headers('application/x-www-form-urlencoded'), body: cut(form) };
    case 2:
      return {
        ...base,
        headers: headers('application/json'),
        body: cut(JSON.stringify(Object.fromEntries(named)), true),
      };
    default: {
      const parts = named.map(
        ([name, value]) =>
          `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${latin(value).replaceAll(BOUNDARY, '')}\r\n`,
      );
      return {
        ...base,
        headers: headers(`multipart/form-data; boundary=${BOUNDARY}`),
        body: cut(`${parts.join('')}--${BOUNDARY}--\r\n`),
      };
    }
  }
}

const latin = (text: string): string => text.replaceAll(/[^\0-\xff]/g, '?');

/** What is over the limit of bodies is the host's affair: shorter bodies only, or the attack alone. */
function cut(body: string, utf8 = false): string {
  const bytes = utf8 ? Buffer.from(body, 'utf8').toString('latin1') : body;
  if (bytes.length <= 131_072) return bytes;
  if (utf8) return JSON.stringify({ a: ATTACKS[0] });
  return bytes.startsWith('--')
    ? `--${BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\n${ATTACKS[0]!}\r\n--${BOUNDARY}--\r\n`
    : `a=${encodeURIComponent(ATTACKS[0]!)}`;
}
