import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CHALLENGE_NAME,
  type ChallengeInput,
  type ChallengeOutcome,
  judgeChallenge,
  networkOf,
  parseCookie,
  parseToken,
  splitToken,
} from './challenge.ts';
import {
  CHALLENGE_TRIES,
  CHALLENGE_WAIT_SECONDS,
  MAX_PASSES,
  PASS_SECONDS,
  PASS_WINDOW_SECONDS,
  TOKEN_SECONDS,
} from './limits.ts';

const NOW = 1_800_000_000;
const keyOf = (byte: number) =>
  crypto.subtle.importKey('raw', new Uint8Array(32).fill(byte), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
    'verify',
  ]);
const key = await keyOf(1);

const BASE: ChallengeInput = {
  ...{ now: NOW, cookie: '', token: '', client: '192.0.2 browser', scope: 'app', place: 'h /a?b', navigates: true },
};
const judge = (more: Partial<ChallengeInput> = {}, by = key) => judgeChallenge(by, { ...BASE, ...more });

type Page = Extract<ChallengeOutcome, { is: 'page' }>;
type Done = Extract<ChallengeOutcome, { is: 'done' }>;
async function page(more: Partial<ChallengeInput> = {}): Promise<Page> {
  const outcome = await judge(more);
  assert.equal(outcome.is, 'page');
  return outcome as Page;
}
const later = (seconds = CHALLENGE_WAIT_SECONDS) => ({ now: NOW + seconds });

async function done(): Promise<Done> {
  const first = await page();
  const outcome = await judge({ ...later(), cookie: first.cookie, token: first.token });
  assert.equal(outcome.is, 'done');
  return outcome as Done;
}

test('a browser waits, comes back, is sent on, and passes until its pass ends', async () => {
  const { token, cookie } = await done();
  assert.deepEqual(await judge({ ...later(3), cookie, token }), { is: 'return' });
  assert.deepEqual(await judge({ ...later(3), cookie }), { is: 'passed' });
  assert.deepEqual(
    await judge({ ...later(3), cookie, navigates: false }),
    { is: 'passed' },
    'the parts of the page too',
  );
  assert.deepEqual(await judge({ ...later(3), cookie, place: 'h /other' }), { is: 'passed' });
  const end = NOW + CHALLENGE_WAIT_SECONDS + PASS_SECONDS;
  assert.equal((await judge({ now: end - 1, cookie })).is, 'passed');
  assert.equal((await judge({ now: end, cookie })).is, 'page');
});

test('what is no page is refused at once, and gets no token', async () => {
  assert.deepEqual(await judge({ navigates: false }), { is: 'refused', why: 'not-a-page' });
  const first = await page();
  assert.deepEqual(await judge({ ...later(), ...first, navigates: false }), { is: 'refused', why: 'not-a-page' });
});

test('who does not wait is asked again, so many times, and then told', async () => {
  let { token, cookie } = await page();
  for (let tries = 2; tries <= CHALLENGE_TRIES; tries++) {
    const again = await page({ ...later(CHALLENGE_WAIT_SECONDS - 1), cookie, token });
    assert.equal(again.cookie, '', 'it keeps its cookie');
    token = again.token;
  }
  assert.deepEqual(await judge({ ...later(1), cookie, token }), { is: 'refused', why: 'tries' });
  // Who waited since the first of these pages has waited.
  assert.equal((await judge({ ...later(), cookie, token })).is, 'done');
});

test('without cookies there is no second page', async () => {
  const { token } = await page();
  assert.deepEqual(await judge({ ...later(), token }), { is: 'refused', why: 'cookies' });
  const { token: last } = await done();
  assert.deepEqual(await judge({ ...later(), token: last }), { is: 'refused', why: 'cookies' });
  // The first cookie was kept, the pass was not.
  const { cookie } = await page();
  const again = await page({ ...later(), token: last, cookie });
  assert.equal(parseToken(again.token)?.tries, 2);
});

test('cookie and token are of one client, one place and one application', async () => {
  const { cookie, token } = await page();
  const pass = (await done()).cookie;
  const other = { client: '198.51.100 browser' };
  assert.equal((await judge({ ...later(), ...other, cookie: pass })).is, 'page');
  assert.equal((await judge({ ...later(), scope: 'b', cookie: pass })).is, 'page');
  assert.equal((await judge({ ...later(), cookie: pass }, await keyOf(2))).is, 'page');
  const moved = await page({ ...later(), ...other, cookie, token });
  assert.equal(parseToken(moved.token)?.tries, 2);
  const elsewhere = await page({ ...later(), place: 'h /b', cookie, token });
  assert.equal(parseToken(elsewhere.token)?.tries, 1, 'a token of another place is none');
  const old = await page({ ...later(TOKEN_SECONDS + 1), cookie, token });
  assert.equal(parseToken(old.token)?.tries, 1);
});

test('a client that passes and is not known again is told so, and forgotten after a while', async () => {
  let kept = '';
  const clients = Array.from({ length: MAX_PASSES + 1 }, (_, i) => `192.0.${i} browser`);
  for (const client of clients.slice(0, MAX_PASSES)) {
    const first = await page({ client, cookie: kept });
    const outcome = (await judge({ ...later(), client, cookie: first.cookie, token: first.token })) as Done;
    assert.equal(outcome.is, 'done');
    kept = outcome.cookie;
  }
  const client = clients.at(-1)!;
  assert.deepEqual(await judge({ ...later(), client, cookie: kept }), { is: 'refused', why: 'changes' });
  assert.equal(
    (await judge({ ...later(PASS_WINDOW_SECONDS + CHALLENGE_WAIT_SECONDS + 1), client, cookie: kept })).is,
    'page',
  );
});

test('no change of a byte of cookie or token is believed', async () => {
  const first = await page();
  const pass = (await done()).cookie;
  const changed = (text: string): string[] =>
    [...text].flatMap((c, at) =>
      [...'0aZ_.'].filter((d) => d !== c).map((d) => text.slice(0, at) + d + text.slice(at + 1)),
    );
  // The last character of base64url has bits that mean nothing.
  for (const cookie of changed(pass.slice(0, -1)).map((one) => one + pass.at(-1)))
    assert.notEqual((await judge({ ...later(), cookie })).is, 'passed', cookie);
  for (const token of changed(first.token.slice(0, -1)).map((one) => one + first.token.at(-1)))
    assert.notEqual((await judge({ ...later(), cookie: first.cookie, token })).is, 'done', token);
});

/**
 * A browser that follows whatever it is told, that takes cookies or does not, all of them or the first alone, and has any
 * patience and addresses: it comes to an end within a bounded number of steps, with the page or with words.
 */
test('it cannot loop', async () => {
  const step = fc.record({
    waits: fc.constantFrom(0, 1, 3, 3, 3, 400),
    client: fc.constantFrom('192.0.2 browser', '192.0.2 browser', '198.51.100 browser'),
  });
  const browser = fc.record({
    keeps: fc.constantFrom('all', 'none', 'first', 'w'),
    sends: fc.boolean(),
    steps: fc.array(step, { minLength: 1, maxLength: 24 }),
  });
  await fc.assert(
    fc.asyncProperty(browser, async ({ keeps, sends, steps }) => {
      let [cookie, token, now] = ['', '', NOW];
      let old = 0;
      for (let count = 0; ; count++) {
        const { waits, client } = steps[count % steps.length]!;
        const outcome = await judge({ now, client, token, cookie: sends ? cookie : '' });
        if (outcome.is === 'passed' || outcome.is === 'refused') return;
        // A page that lies in a tab for minutes begins anew: that is the user's doing, not the page's.
        if (waits === 400) old++;
        assert.ok(count < 12 * (old + MAX_PASSES + 1), `${count} steps`);
        if (old > 8) return;
        const given = outcome.is === 'return' ? '' : outcome.cookie;
        if (
          given !== '' &&
          (keeps === 'all' || (keeps === 'first' && cookie === '') || (keeps === 'w' && given.startsWith('1w')))
        )
          cookie = given;
        token = outcome.is === 'return' ? '' : outcome.token;
        if (outcome.is === 'page') now += waits;
      }
    }),
  );
});

test('a token stands last in the query', () => {
  const cases: [string, string, string][] = [
    [`?${CHALLENGE_NAME}=x`, '', 'x'],
    [`?a=b&${CHALLENGE_NAME}=x`, '?a=b', 'x'],
    [`?a=b&${CHALLENGE_NAME}=x&c=d`, `?a=b&${CHALLENGE_NAME}=x&c=d`, ''],
    [`?${CHALLENGE_NAME}=x&${CHALLENGE_NAME}=y`, `?${CHALLENGE_NAME}=x`, 'y'],
    [`?z${CHALLENGE_NAME}=x`, `?z${CHALLENGE_NAME}=x`, ''],
    ['?a', '?a', ''],
    ['', '', ''],
  ];
  for (const [query, rest, token] of cases) assert.deepEqual(splitToken(query), { query: rest, token }, query);
});

test('anything else is no cookie and no token', async () => {
  const { cookie, token } = await page();
  assert.ok(parseCookie(cookie));
  assert.ok(parseToken(token));
  for (const text of [
    '',
    '1',
    cookie.slice(1),
    `${cookie}a`,
    cookie.slice(0, -1),
    ` ${cookie}`,
    `${cookie}\n`,
    cookie.replace('1w', '2w'),
  ])
    assert.equal(parseCookie(text), null, text);
  for (const text of ['', token.slice(1), `${token}a`, token.slice(0, -1), token.replace('1w', '1p')])
    assert.equal(parseToken(text), null, text);
});

test('networks', () => {
  const cases: [string, string][] = [
    ['192.0.2.77', '192.0.2'],
    ['2001:db8:1:2::3', '2001:db8:1'],
    ['2001:0DB8:0001:ffff:1:2:3:4', '2001:db8:1'],
    ['2001:db8::1', '2001:db8:0'],
    ['::1', '0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0'],
    ['', ''],
  ];
  for (const [address, network] of cases) assert.equal(networkOf(address), network, address);
});
