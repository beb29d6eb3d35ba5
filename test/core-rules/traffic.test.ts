/** The embedded rule set over a day of ordinary traffic at level 1, as a policy has it: bodies in doubt are refused. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../gateway.ts';
import { openRules } from '../support/waf.ts';
import { ORDINARY_BODIES } from './bodies.ts';
import { ORDINARY, SUSPICIOUS, type Traffic } from './traffic.ts';

const { waf } = await openRules(
  `Include ${join(ROOT, 'rules/main.conf')}\n`,
  { paranoia: { blocking: 1, detection: 1 } },
  'reject',
);

/** Rules of each request on which some rule speaks up, without those that only compare the score. */
function alarms(traffic: Traffic): Record<string, number[]> {
  const found: Record<string, number[]> = {};
  for (const [name, transaction] of traffic) {
    const rules = waf
      .inspect(transaction)
      .events.filter(({ log, tags }) => log && !tags.includes('anomaly-evaluation'))
      .map(({ rule }) => rule);
    if (rules.length > 0) found[name] = [...new Set(rules)];
  }
  return found;
}

test('nothing is said of ordinary requests', () => {
  assert.deepEqual(alarms(ORDINARY), {});
});

test('nor of ordinary bodies, but for a method that a policy has to allow', () => {
  assert.deepEqual(alarms(ORDINARY_BODIES), { PROPFIND: [9010010] });
});

test('what looks like an attack without being one: each alarm is known', () => {
  assert.deepEqual(alarms(SUSPICIOUS), {
    'a post with SQL': [9020010],
    'a post with an SQL injection, explained': [9020010],
    'a post with JavaScript': [9030010],
    'a post with PHP': [9050100, 9050110],
    'a post with Python': [9050110, 9050140],
    'a post with Java': [9050110, 9055030],
    'a post with a log line': [9040040],
    PROPFIND: [9010010],
    MKCOL: [9010010],
    MOVE: [9010010],
    LOCK: [9010010],
    REPORT: [9010010],
  });
});

test('WebDAV passes where the policy allows its methods', async () => {
  const variables = [{ name: 'allowed_methods', value: 'GET PROPFIND MKCOL MOVE LOCK REPORT' }];
  const { waf: dav } = await openRules(`Include ${join(ROOT, 'rules/main.conf')}\n`, { variables }, 'reject');
  for (const [name, transaction] of SUSPICIOUS)
    if (/^[A-Z]+$/.test(name)) assert.deepEqual([name, dav.inspect(transaction).events], [name, []]);
});
