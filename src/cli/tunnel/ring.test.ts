import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Watch } from '../../tunnel/exchange.ts';
import { redactedFields, redactedTarget } from '../../tunnel/redact.ts';
import { shown, shownWhole } from '../../tunnel/shown.ts';
import { MAX_EXCHANGES, Ring } from './ring.ts';

const quiet = { capture: 0, began: () => {}, answered: () => {}, ended: () => {} };
const exchange = (target: string, fields: readonly (readonly [string, string])[] = []) =>
  new Watch(quiet, 'http', '', { method: 'GET', target, fields }).exchange;

test('values of parameters that are named like a secret are hidden, others are not', () => {
  for (const [target, seen] of [
    ['/a?q=1&access_token=abc&x=2', '/a?q=1&access_token=(hidden)&x=2'],
    ['/a?API-Key=k&%74oken=t;password=p', '/a?API-Key=(hidden)&%74oken=(hidden);password=(hidden)'],
    ['/cb?code=4/0Ab&state=s', '/cb?code=(hidden)&state=s'],
    ['/f?X-Amz-Signature=00&X-Amz-Date=1', '/f?X-Amz-Signature=(hidden)&X-Amz-Date=1'],
    ['https://app.test/#id_token=j.w.t&n=1', 'https://app.test/#id_token=(hidden)&n=1'],
    ['/a?token=a=b&zip_code=1&author=ann&monkeys=3', '/a?token=(hidden)&zip_code=1&author=ann&monkeys=3'],
    ['/token=not-a-parameter', '/token=not-a-parameter'],
    ['/a?%zz=1&token=', '/a?%zz=1&token='],
  ] as const)
    assert.equal(redactedTarget(target), seen);
});

test('so are fields, and parameters of the URLs in them', () => {
  const fields = [
    ['Authorization', 'Basic x'],
    ['X-Functions-Key', 'k'],
    ['Cf-Access-Jwt-Assertion', 'j'],
    ['Set-Cookie', 's=1'],
    ['Referer', 'https://a/?token=t&p=1'],
    ['Accept', 'a/b'],
    ['Sec-WebSocket-Key', 'none'],
  ] as const;
  assert.deepEqual(
    redactedFields(fields).map(([, value]) => value),
    ['(hidden)', '(hidden)', '(hidden)', '(hidden)', 'https://a/?token=(hidden)&p=1', 'a/b', 'none'],
  );
});

test('who started the connector with --inspect=all sees all, others do not', () => {
  const one = exchange('/?token=t', [['Cookie', 'c=1']]);
  assert.equal(shown(one).target, '/?token=(hidden)');
  for (const [inspection, target, cookie] of [
    ['heads', '/?token=(hidden)', '(hidden)'],
    ['bodies', '/?token=(hidden)', '(hidden)'],
    ['all', '/?token=t', 'c=1'],
  ] as const) {
    assert.equal(shown(one, inspection).target, target);
    const whole = shownWhole(one, inspection);
    assert.deepEqual([whole.target, whole.requestFields], [target, [['Cookie', cookie]]]);
  }
});

test('the ring keeps the last ones', () => {
  const ring = new Ring('heads');
  const all = Array.from({ length: MAX_EXCHANGES + 1 }, (_, i) => exchange(`/${i}`));
  for (const one of all) ring.begin(one);
  assert.equal(ring.size, MAX_EXCHANGES);
  assert.equal(ring.find(all[0]!.id), null);
  assert.equal(ring.find(all[1]!.id), all[1]);
});
