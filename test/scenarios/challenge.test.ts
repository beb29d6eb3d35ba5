/** The challenge, with a client that does what a browser does by itself: it keeps cookies, waits and follows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, type Answer } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { startGateway } from '../gateway.ts';
import { onEachTarget } from './targets.ts';

let echo: Echo;
const RULES = `rules:
  - { name: odd, when: 'starts_with(http.request.uri.path, "/odd") or starts_with(http.request.uri.path, "//")', action: challenge }
  - { name: odd body, when: 'http.request.uri.path == "/odd/both" and not has_value(http.request.body.form.names, "x")', action: challenge }
routes: [{ backend: web }]
`;
const policy = async (): Promise<string> => {
  echo = await startEcho('web');
  return `app: challenges\nbackends: { web: { url: ${echo.url} } }\n${RULES}`;
};

const NAME = 'sallyport-challenge';
const HTML = {
  accept: 'text/html,application/xhtml+xml;q=0.9',
  'user-agent': 'Mozilla/5.0 (X11) Test',
  'sec-fetch-mode': 'navigate',
};

/** Goes where it is sent until nothing sends it on; every answer on the way. */
class Browser {
  cookie = '';
  readonly answers: Answer[] = [];
  readonly base: string;
  headers: Record<string, string> = HTML;
  waits = true;
  keeps = true;
  constructor(base: string) {
    this.base = base;
  }
  get = async (path: string): Promise<Answer> => {
    const answer = await ask(this.base + path, {
      headers: { ...this.headers, ...(this.cookie === '' ? {} : { cookie: this.cookie }) },
    });
    this.answers.push(answer);
    const set = /^([^;]+)/.exec(answer.headers['set-cookie'] ?? '')?.[1];
    if (set !== undefined && this.keeps) this.cookie = set;
    return answer;
  };
  async open(path: string): Promise<Answer> {
    let place = path;
    for (let step = 0; step < 12; step++) {
      const answer = await this.get(place);
      const refresh = /http-equiv="refresh" content="([0-9]+); url=([^"]*)"/.exec(answer.text());
      const to = answer.headers['location'] ?? refresh?.[2]?.replaceAll('&amp;', '&');
      if (to === undefined) return answer;
      if (refresh !== null && this.waits)
        await new Promise((resolve) => setTimeout(resolve, Number(refresh[1]) * 1000));
      const next = new URL(to, this.base + place);
      assert.equal(next.origin, new URL(this.base).origin, to);
      place = next.pathname + next.search;
    }
    throw new Error('it loops');
  }
}

onEachTarget('challenge', { policy, teardown: () => echo.stop() }, (world) => {
  test('a browser comes to the page that it asked for, and stays known', { timeout: 60_000 }, async () => {
    const browser = new Browser(world.url);
    const before = echo.received.length;
    const answer = await browser.open('/odd/page?a=1&b=%22');
    assert.equal(answer.status, 200);
    assert.deepEqual(browser.answers.map(({ status }) => status), [403, 303, 303, 200]); // prettier-ignore
    assert.equal(echo.received.length, before + 1);
    assert.equal(answer.echo().path, '/odd/page?a=1&b=%22');
    assert.equal(answer.echo().headers['cookie'], undefined, 'the origin does not see the pass');
    const [page] = browser.answers;
    assert.equal(page?.headers['cache-control'], 'no-store');
    assert.match(
      page?.headers['set-cookie'] ?? '',
      /^sallyport-challenge=[^;]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/,
    );
    assert.match(page?.text() ?? '', new RegExp(page?.headers['x-request-id'] ?? 'none'));
    assert.equal((await browser.get('/odd/other')).status, 200);
    assert.equal((await browser.get('/odd/both')).status, 200, 'two rules are one challenge');
    browser.cookie = `a=b; ${browser.cookie}; c=d`;
    assert.equal((await browser.get('/odd/other')).echo().headers['cookie'], 'a=b; c=d');
    // What is no page passes with the same cookie.
    browser.headers = { accept: 'application/json', 'user-agent': HTML['user-agent'] };
    assert.equal((await browser.get('/odd/data')).status, 200);
    // The pass is of this browser.
    browser.headers = { ...HTML, 'user-agent': 'curl/8' };
    assert.equal((await browser.get('/odd/other')).status, 403);
  });

  test('programs get 403 with an id to ask about, and no page', async () => {
    for (const [headers, method] of [
      [{ accept: '*/*' }, 'GET'],
      [{ accept: 'application/json' }, 'GET'],
      [HTML, 'POST'],
      [{ ...HTML, 'sec-fetch-mode': 'cors' }, 'GET'],
    ] as const) {
      const answer = await ask(`${world.url}/odd`, { method, headers });
      assert.equal(answer.status, 403);
      assert.equal(answer.headers['set-cookie'], undefined);
      assert.doesNotMatch(answer.text(), /refresh/);
      assert.ok(answer.text().includes(answer.headers['x-request-id'] ?? 'none'));
    }
    const head = await ask(`${world.url}/odd`, { method: 'HEAD', headers: HTML });
    assert.deepEqual([head.status, head.text()], [403, '']);
    assert.equal((await ask(`${world.url}/even`, { headers: HTML })).status, 200);
  });

  test('without cookies or patience it ends in words', { timeout: 60_000 }, async () => {
    const forgetful = new Browser(world.url);
    forgetful.keeps = false;
    const told = await forgetful.open('/odd');
    assert.equal(told.status, 403);
    assert.match(told.text(), /allow cookies/);
    assert.equal(forgetful.answers.length, 2);
    const hasty = new Browser(world.url);
    hasty.waits = false;
    const refused = await hasty.open('/odd');
    assert.equal(refused.status, 403);
    assert.match(refused.text(), /could not be checked/);
    assert.ok(hasty.answers.length <= 4, String(hasty.answers.length));
  });

  test('no path leads to another host', { timeout: 60_000 }, async () => {
    // The browser itself checks every step.
    const answer = await new Browser(world.url).open('//evil.example/x');
    assert.equal(answer.status, 200);
    assert.equal(answer.echo().path, '//evil.example/x');
  });
});

test('several processes believe each other', { timeout: 90_000, skip: process.platform !== 'linux' }, async () => {
  const origin = await startEcho('web');
  const gateway = await startGateway({
    policy: `app: processes\nbackends: { web: { url: ${origin.url} } }\n${RULES}`,
    args: ['--workers', '3'],
  });
  try {
    const browser = new Browser(gateway.url);
    assert.equal((await browser.open('/odd')).status, 200);
    // Each on a connection of its own, which the kernel gives to any of them.
    for (let i = 0; i < 9; i++) assert.equal((await browser.get('/odd')).status, 200);
    assert.match(browser.cookie, new RegExp(`^${NAME}=1p`));
  } finally {
    await gateway.stop();
    await origin.stop();
  }
});
