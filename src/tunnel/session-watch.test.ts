import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_NOTED, MAX_NOTED_LENGTH, MAX_OPEN_NOTED, NOTED_BODY, SessionWatch, WATCH_MS } from './session-watch.ts';
import type { ShownWhole } from './shown.ts';

const head = (target: string, fields: readonly (readonly [string, string])[] = []) => ({
  method: 'GET',
  target,
  fields,
});
const targets = (requests: readonly { readonly target: string }[]) => requests.map(({ target }) => target);

test('nothing is noted unless somebody looks, and not for long after', () => {
  let now = 1_000_000;
  const watch = new SessionWatch(() => now);
  assert.equal(watch.begin('http', '', head('/before')), null);
  const first = watch.read(-1, false);
  assert.deepEqual([first.requests, first.missed], [[], 0]);
  watch.begin('http', '', head('/seen?token=t'))!.ended();
  now += WATCH_MS - 1;
  const second = watch.read(first.next, false);
  assert.deepEqual([targets(second.requests), second.missed], [['/seen?token=(hidden)'], 0]);
  assert.deepEqual(watch.read(second.next, false).requests, []);
  const late = watch.begin('http', '', head('/late'))!;
  now += WATCH_MS;
  assert.equal(watch.begin('http', '', head('/unseen')), null);
  late.ended();
  const third = watch.read(second.next, false);
  assert.deepEqual([third.requests, third.missed], [[], 0]);
});

test('heads and bodies only for who asks for them, secrets for nobody', () => {
  const watch = new SessionWatch(() => 1);
  const { next } = watch.read(-1, false);
  watch.begin('http', '', head('/line', [['Accept', 'a/b']]))!.ended();
  watch.read(next, true);
  const one = watch.begin(
    'http',
    'api',
    head('/whole', [
      ['Cookie', 'c=1'],
      ['Accept', 'a/b'],
    ]),
  )!;
  one.in(new TextEncoder().encode('asked'));
  one.answered({ status: 201, reason: 'Made', fields: [['Set-Cookie', 'c=2']] });
  one.out(new Uint8Array(NOTED_BODY + 1));
  one.ended('broken off');
  const [line, whole] = watch.read(next, true).requests as ShownWhole[];
  assert.deepEqual([line!.target, line!.requestFields, line!.requestBody], ['/line', [], null]);
  assert.deepEqual(whole!.requestFields, [
    ['Cookie', '(hidden)'],
    ['Accept', 'a/b'],
  ]);
  assert.deepEqual(whole!.responseFields, [['Set-Cookie', '(hidden)']]);
  assert.deepEqual([whole!.status, whole!.reason, whole!.service, whole!.error], [201, 'Made', 'api', 'broken off']);
  assert.deepEqual(whole!.requestBody, { bytes: 5, truncated: false, text: 'asked' });
  assert.deepEqual([whole!.responseBody!.bytes, whole!.responseBody!.truncated], [NOTED_BODY + 1, true]);
  for (const bare of watch.read(next, false).requests) assert.ok(!('requestFields' in bare));
});

test('what does not fit is counted', () => {
  const watch = new SessionWatch(() => 1);
  const { next } = watch.read(-1, false);
  const open = Array.from({ length: MAX_OPEN_NOTED }, (_, i) => watch.begin('http', '', head(`/${i}`))!);
  assert.equal(watch.begin('http', '', head('/too-many')), null);
  for (const one of open) one.ended();
  const first = watch.read(next, false);
  assert.deepEqual([first.requests.length, first.missed], [MAX_OPEN_NOTED, 1]);
  for (let i = 0; i < MAX_NOTED + 3; i++) watch.begin('http', '', head(`/${i}`))!.ended();
  const second = watch.read(first.next, false);
  assert.deepEqual([second.requests.length, second.missed, second.requests[0]!.target], [MAX_NOTED, 3, '/3']);
  const long = `/${'a'.repeat(60_000)}`;
  for (let i = 0; i < 100; i++) watch.begin('http', '', head(long))!.ended();
  const third = watch.read(second.next, false);
  assert.ok(JSON.stringify(third.requests).length <= MAX_NOTED_LENGTH + MAX_NOTED);
  assert.equal(third.requests.length + third.missed, 100);
});

test('an object that slept knows of nothing before, and of no miss', () => {
  const { next } = new SessionWatch(() => 1).read(-1, false);
  const woken = new SessionWatch(() => 50_000);
  assert.deepEqual(woken.read(next, false), { requests: [], next: 50_000, missed: 0 });
});
