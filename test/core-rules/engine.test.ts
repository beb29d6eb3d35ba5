/** The embedded rule set on the engine: attacks are seen and stopped, what people send all day scores nothing. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { RawTransaction } from '../../src/waf/transaction.ts';
import { ROOT } from '../gateway.ts';
import { openRules } from '../support/waf.ts';
import {
  answer,
  ATTACKS,
  type Attack,
  inForm,
  inHeader,
  inJson,
  inQuery,
  LEVEL_2,
  octets,
  request,
  VALUES,
} from './attacks.ts';
import { BENIGN, BENIGN_ANSWERS, BENIGN_PATHS } from './benign.ts';

const MAIN = `Include ${join(ROOT, 'rules/main.conf')}\n`;
const open = async (level: number) =>
  (await openRules(MAIN, { paranoia: { blocking: level, detection: level }, response: true })).waf;
const level1 = await open(1);
const level2 = await open(2);

function stopped(waf: typeof level1, attacks: readonly Attack[]): string[] {
  const wrong: string[] = [];
  for (const { name, rules, transaction, blocked } of attacks) {
    const { action, events } = waf.inspect(transaction);
    const seen = events.map(({ rule }) => rule);
    const missing = rules.filter((rule) => !seen.includes(rule));
    if (missing.length > 0) wrong.push(`${name}: not ${missing.join()}, but ${seen.join()}`);
    if ((action === 'deny') !== blocked) wrong.push(`${name}: ${action} by ${seen.join()}`);
  }
  return wrong;
}

/** What scored, with the reason. */
function alarms(waf: typeof level1, transactions: readonly (readonly [string, RawTransaction])[]): string[] {
  return transactions.flatMap(([name, transaction]) => {
    const { action, events } = waf.inspect(transaction);
    if (action === 'pass' && events.length === 0) return [];
    const why = events.map(({ rule, target, logdata }) => `${rule} ${target} ${logdata}`).join('; ');
    return [`${JSON.stringify(name.slice(0, 80))}: ${action} by ${why}`];
  });
}

describe('at level 1', () => {
  test('attacks are stopped by the rules that are meant for them', () => {
    assert.deepEqual(stopped(level1, ATTACKS), []);
  });

  test('what is for level 2 passes', () => {
    const seen = LEVEL_2.filter(({ transaction }) => level1.inspect(transaction).events.length > 0);
    assert.deepEqual(
      seen.map(({ name }) => name),
      [],
    );
  });

  for (const [where, make] of [
    ['a query', inQuery],
    ['a form', inForm],
    ['JSON', (value: string) => inJson({ item: { text: value, list: [value, 1, null] } })],
  ] as const) {
    test(`ordinary values pass in ${where}`, () => {
      assert.deepEqual(
        alarms(
          level1,
          BENIGN.map((value) => [value, make(value)]),
        ),
        [],
      );
    });
  }

  test('ordinary paths, headers and answers pass', () => {
    assert.deepEqual(
      alarms(
        level1,
        BENIGN_PATHS.map((uri) => [uri, request({ uri })]),
      ),
      [],
    );
    assert.deepEqual(
      alarms(
        level1,
        BENIGN_ANSWERS.map(([status, type, body]) => [body, answer(status, type, body)]),
      ),
      [],
    );
    const headers = [
      ['Referer', 'https://shop.example/search?q=select+a+gift&next=/a/../b'],
      ['Authorization', 'Basic YWxhZGRpbjpvcGVuc2VzYW1l'],
      ['If-None-Match', 'W/"4f1c-5e0"'],
      ['Range', 'bytes=0-1023'],
      ['X-Forwarded-For', '192.0.2.1, 10.0.0.1'],
      ['User-Agent', 'curl/8.5.0'],
      ['User-Agent', "Mozilla/5.0 (compatible; O'Bot/1.0; +https://example.com/bot?a=1&b=2)"],
      ['Cookie', 'a=%7B%22id%22%3A1%2C%22name%22%3A%22O%27Brien%22%7D; b="quoted"; c=a|b|c; _fbp=fb.1.1700000000.1'],
      ['Traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
    ] as const;
    assert.deepEqual(
      alarms(
        level1,
        headers.map(([name, value]) => [value, inHeader(name, value)]),
      ),
      [],
    );
  });
});

describe('bodies of another type than the application reads, at level 1', () => {
  const bodyOf = (type: string, body: string): RawTransaction =>
    request({
      ...{ method: 'POST', uri: '/api/items', body },
      headers: [...(type === '' ? [] : [['Content-Type', type] as const]), ['Content-Length', String(body.length)]],
    });
  const note = (value: string): string => JSON.stringify({ item: { note: value } });
  const utf16 = (text: string): string => Buffer.from(text, 'utf16le').toString('latin1');
  for (const [where, make] of [
    ...['', 'text/plain', 'text/html', 'application/csp-report', 'application/octet-stream', 'image/png', 'x'].map(
      (type) => [`JSON as \`${type}\``, (value: string) => bodyOf(type, octets(note(value)))] as const,
    ),
    ['lines of JSON', (value) => bodyOf('application/x-ndjson', octets(`{"a":1}\n${note(value)}\n`))],
    ['JSON in UTF-16', (value) => bodyOf('application/json', utf16(note(value)))],
    ['JSON in UTF-16 as text', (value) => bodyOf('text/plain', utf16(note(value)))],
    ['a form without a type', (value) => bodyOf('', `a=1&text=${encodeURIComponent(value)}`)],
    ['an attribute in a drawing', (value) => bodyOf('image/svg+xml', octets(`<svg a="${escaped(value)}"/>`))],
  ] as readonly (readonly [string, (value: string) => RawTransaction])[]) {
    test(where, () => {
      const attacks = VALUES.map(([rule, value]) => ({
        ...{ name: value, rules: [rule], blocked: true },
        transaction: make(value),
      }));
      assert.deepEqual(stopped(level1, attacks), []);
    });
  }

  test('the value itself', () => {
    for (const type of ['', 'text/plain', 'application/graphql']) {
      const attacks = VALUES.map(([rule, value]) => ({
        ...{ name: value, rules: [rule], blocked: true },
        transaction: bodyOf(type, octets(value)),
      }));
      assert.deepEqual(stopped(level1, attacks), [], type);
    }
  });

  test('ordinary values pass in text, and in JSON as text', () => {
    for (const make of [(value: string) => value, note])
      for (const type of ['', 'text/plain', 'application/octet-stream'])
        assert.deepEqual(
          alarms(
            level1,
            BENIGN.map((value) => [value, bodyOf(type, octets(make(value)))]),
          ),
          [],
        );
  });
});

/** Text as the value of an attribute. */
function escaped(text: string): string {
  return text.replaceAll(/[&<"\0-\x1f]/g, (character) => `&#${character.charCodeAt(0)};`);
}

test('at level 2, what only it sees is seen', () => {
  assert.deepEqual(stopped(level2, LEVEL_2), []);
});

describe('scores', () => {
  const attack = inQuery("1' or '1'='1");
  const score = (transaction: RawTransaction, waf = level1): number | undefined =>
    waf.inspect(transaction).scores['blocking_inbound_anomaly_score'];

  test('add up by severity; the threshold is the first that blocks', async () => {
    const warning = inHeader('Range', `bytes=${'0-1,'.repeat(13)}2-3`);
    assert.equal(score(warning), 3);
    for (const [inbound, action] of [
      [2, 'deny'],
      [3, 'deny'],
      [4, 'pass'],
    ] as const) {
      const { waf } = await openRules(MAIN, {
        paranoia: { blocking: 1, detection: 1 },
        thresholds: { inbound, outbound: 4 },
      });
      assert.equal(waf.inspect(warning).action, action, String(inbound));
    }
  });

  test('a level that is detected and not blocked only counts', async () => {
    const { waf } = await openRules(MAIN, { paranoia: { blocking: 1, detection: 2 } });
    const { action, events, scores } = waf.inspect(inQuery('../index'));
    assert.equal(action, 'pass');
    assert.deepEqual(
      events.map(({ rule }) => rule),
      [9040110],
    );
    assert.equal(scores['blocking_inbound_anomaly_score'], 0);
    assert.equal(scores['detection_inbound_anomaly_score'], 5);
  });

  test('early blocking answers in phase 1 what is known there', async () => {
    const { waf } = await openRules(MAIN, { paranoia: { blocking: 1, detection: 1 }, earlyBlocking: true });
    const early = waf.inspect(request({ uri: '/.git/config' }));
    assert.deepEqual([early.action, early.phase, early.status], ['deny', 1, 403]);
    const late = waf.inspect(attack);
    assert.deepEqual([late.action, late.phase], ['deny', 2]);
    assert.equal(level1.inspect(request({ uri: '/.git/config' })).phase, 2);
  });

  test('nothing is stopped where rules only detect', async () => {
    const { waf } = await openRules(MAIN, { mode: 'detect' });
    const { action, events } = waf.inspect(attack);
    assert.equal(action, 'pass');
    assert.ok(events.some(({ rule }) => rule === 9020010));
  });

  test('limits that a policy sets hold', async () => {
    const variables = [
      { name: 'max_num_args', value: '2' },
      { name: 'arg_length', value: '5' },
    ];
    const { waf } = await openRules(MAIN, { variables });
    const rules = (uri: string) => waf.inspect(request({ uri })).events.map(({ rule }) => rule);
    assert.deepEqual(rules('/?a=12345&b=1'), []);
    assert.ok(rules('/?a=1&b=1&c=1').includes(9010210));
    assert.ok(rules('/?a=123456').includes(9010220));
  });
});
