/**
 * Agents that are known by the addresses which their operators publish, behind a proxy that is trusted to tell them: one that
 * is who its user agent says, one that is spoofed, one of whom no list is there; and lists that come while a gateway runs.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LISTS_FILE, writeLists, type StoredLists } from '../../src/cli/agent-lists.ts';
import { ask, type Answer } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { startGateway, type Gateway } from '../gateway.ts';
import { onEachTarget } from './targets.ts';

const list = (...prefixes: string[]): StoredLists[string] => ({
  ...{ source: 'test', fetched: new Date().toISOString(), sha256: '0'.repeat(64) },
  prefixes,
});
/** OpenAI's crawlers share a block. */
const LISTS: StoredLists = {
  'openai-gptbot': list('20.42.10.0/25', '74.7.175.128/25'),
  'openai-searchbot': list('20.42.10.128/25', '74.7.175.128/25'),
  anthropic: list('160.79.104.0/23', '2607:6bc0::/48'),
};
const GPTBOT = 'Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)';
const SEARCH = 'Mozilla/5.0 (compatible; OAI-SearchBot/1.0; +https://openai.com/searchbot)';
const CLAUDE = 'Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)';
const CLAUDE_USER = 'Mozilla/5.0 (compatible; Claude-User/1.0; +Claude-User@anthropic.com)';
const APPLE = 'Mozilla/5.0 (compatible; Applebot/0.1; +http://www.apple.com/go/applebot)';
const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36';

let echo: Echo;

const policy = async (): Promise<string> => {
  echo = await startEcho('web');
  return `app: listed
clientAddress: { from: xff, trustedCIDRs: [127.0.0.0/8, "::1/128"], failClosed: false }
backends: { web: { url: ${echo.url} } }
routes:
  - { name: all, backend: web }
agents: { training: block, GPTBot: allow, ClaudeBot: allow }
rules:
  - { name: only the proven, when: 'http.request.uri.path == "/orders" and not agent.verified', action: block }
  - { name: show, when: 'true', action: rewrite, rewrite: { headers: { set: { x-identity: agent.identity } } } }
`;
};

onEachTarget(
  'addresses of agents',
  {
    policy,
    prepare: async (folder) => writeLists(folder, LISTS),
    teardown: () => echo.stop(),
  },
  (world) => {
    let paths = 0;
    /** What came of it, and who it was by the log. */
    async function seen(userAgent: string, from: string, path = `/p${++paths}`) {
      const since = world.gateway.events.length;
      const answer: Answer = await ask(`${world.url}${path}`, {
        headers: { 'user-agent': userAgent, 'x-forwarded-for': from },
      });
      const line = await world.gateway.event('access', (event) => event['path'] === path, since);
      const told = answer.status === 200 ? answer.echo().headers['x-identity'] : undefined;
      return [answer.status, told, line['identity'] ?? null];
    }
    const verified = { is: 'verified', by: 'address' };
    const spoofed = { is: 'spoofed', by: 'address' };

    test('one that comes from its list is who it says', async () => {
      assert.deepEqual(await seen(GPTBOT, '20.42.10.7'), [200, 'verified', verified]);
      assert.deepEqual(await seen(GPTBOT, '20.42.10.7', '/orders'), [200, 'verified', verified]);
      assert.deepEqual(await seen(CLAUDE, '2607:6bc0::7'), [200, 'verified', verified]);
    });

    test('one that does not is spoofed, and blocked where nothing else is said', async () => {
      assert.deepEqual(await seen(GPTBOT, '20.42.11.7'), [403, undefined, spoofed]);
      assert.deepEqual(await seen(CLAUDE, '20.42.10.7'), [403, undefined, spoofed]);
      assert.deepEqual(await seen(CLAUDE, '2607:6bc1::7'), [403, undefined, spoofed]);
    });

    test('a block that two agents share proves either; what only one has, that one', async () => {
      assert.deepEqual(await seen(GPTBOT, '74.7.175.200'), [200, 'verified', verified]);
      assert.deepEqual(await seen(SEARCH, '74.7.175.200'), [200, 'verified', verified]);
      assert.deepEqual(await seen(SEARCH, '20.42.10.200'), [200, 'verified', verified]);
      assert.deepEqual(await seen(SEARCH, '20.42.10.7'), [403, undefined, spoofed]);
    });

    test('one list for all agents of an operator proves the one that the user agent names', async () => {
      assert.deepEqual(await seen(CLAUDE, '160.79.105.255'), [200, 'verified', verified]);
      assert.deepEqual(await seen(CLAUDE_USER, '160.79.104.0'), [200, 'verified', verified]);
    });

    test('without its list it is claimed, and a browser at an agent’s address is a browser', async () => {
      assert.deepEqual(await seen(APPLE, '20.42.10.7'), [200, 'claimed', null]);
      assert.deepEqual(await seen(APPLE, '20.42.10.7', '/orders'), [403, undefined, null]);
      assert.deepEqual(await seen(CHROME, '20.42.10.7'), [200, 'unknown', null]);
    });
  },
);

describe('address lists and a gateway that runs', () => {
  let gateway: Gateway;
  before(async () => {
    gateway = await startGateway({ policy: await policy(), args: ['--watch'] });
  });
  after(async () => {
    await gateway.stop();
    await echo.stop();
  });
  const told = async (): Promise<string | undefined> => {
    const answer = await ask(`${gateway.url}/`, {
      headers: { 'user-agent': SEARCH, 'x-forwarded-for': '20.42.10.200' },
    });
    return answer.echo().headers['x-identity'] as string | undefined;
  };

  test('it says that there are none, and takes them when they come', async () => {
    await gateway.event('notice', ({ message }) => /no address lists of agents.*claimed/.test(String(message)));
    assert.equal(await told(), 'claimed');
    const since = gateway.events.length;
    writeLists(gateway.folder, LISTS);
    await gateway.event('swapped', undefined, since);
    assert.equal(await told(), 'verified');
  });

  test('a file that is damaged takes nothing away', async () => {
    const since = gateway.events.length;
    writeFileSync(join(gateway.folder, LISTS_FILE), '{"lists":{"openai-gptbot":{}}}');
    const { reason } = await gateway.event('rejected', undefined, since);
    assert.match(String(reason), /agents\.lists\.json is damaged at "openai-gptbot"; remove it/);
    assert.equal(await told(), 'verified');
  });
});
