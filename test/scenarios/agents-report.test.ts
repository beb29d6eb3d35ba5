/** What agents did, told by `sallyport agents report`: of two processes on-prem, and of the isolate on Cloudflare. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AgentsReport } from '../../src/agents/agent-report.ts';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { run, startGateway, TARGETS, type Gateway } from '../gateway.ts';

const GPTBOT = 'Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot';
const BINGBOT = 'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)';
const CHROME =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36';
const HOST = 'control.localhost';

const chosen = TARGETS.filter((target) => (process.env['SALLYPORT_TARGET'] ?? target) === target);
for (const target of chosen)
  describe(`the report about agents [${target}]`, () => {
    let folder = '';
    let echo: Echo;
    let gateway: Gateway;
    const env = () => ({ XDG_CONFIG_HOME: join(folder, 'operator') });

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'sallyport-report-'));
      echo = await startEcho('origin');
      const policy = `app: shop
hostnames: [shop.localhost]
backends: { o: { url: "${echo.url}" } }
agents: { GPTBot: block }
robots: { managed: { groups: [{ agents: ["*"], disallow: [/private/] }] }, origin: replace }
routes: [{ backend: o }]
`;
      if (target === 'workerd') gateway = await startGateway({ policy, args: ['--workers', '2'] });
      else {
        const made = await run(['init', '--operator-key', '--json'], folder, env());
        const { x } = (JSON.parse(made.stdout) as { operatorKey: { x: string } }).operatorKey;
        gateway = await startGateway({ policy, target, deploy: ['--control-host', HOST, `--operator-key=${x}`] });
      }
    });
    after(async () => {
      await gateway?.stop();
      await echo?.stop();
      await rm(folder, { recursive: true, force: true });
    });

    const report = (...args: string[]): ReturnType<typeof run> => {
      const place = target === 'workerd' ? ['--control', gateway.control] : [`http://${HOST}:${gateway.port}`];
      return run(['agents', 'report', ...place, ...args], folder, env());
    };
    const get = async (path: string, agent: string): Promise<number> =>
      (
        await ask(`${gateway.url}${path}`, {
          host: 'shop.localhost',
          headers: { host: 'shop.localhost', 'user-agent': agent },
        })
      ).status;
    /** Until so many requests are in it: isolates write once a second. */
    const until = async (requests: number): Promise<AgentsReport> => {
      const late = Date.now() + 20_000;
      for (;;) {
        const { stdout, stderr, code } = await report('--json');
        assert.equal(code, 0, stderr);
        const told = JSON.parse(stdout) as AgentsReport;
        const sum = told.agents.reduce((total, agent) => total + agent.requests, 0);
        if (sum >= requests || Date.now() > late) return told;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    };

    test('nobody came', async () => {
      const { stdout, code } = await report();
      assert.equal(code, 0);
      assert.match(stdout, /^no agents came \(\d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d\)\n$/);
    });

    test('who came, what was refused and why, who does not keep to robots.txt', async () => {
      for (let index = 0; index < 12; index++) {
        assert.equal(await get(`/a${index}`, GPTBOT), 403);
        assert.equal(await get(index % 2 === 0 ? '/b' : '/private/b', BINGBOT), 200);
        assert.equal(await get('/c', CHROME), 200);
      }
      const { agents, since, until: to } = await until(24);
      assert.ok(since < to);
      const [gpt, bing, ...more] = agents.toSorted((a, b) => b.refused - a.refused);
      assert.deepEqual(more, []);
      assert.deepEqual(gpt, {
        ...{ app: 'shop', agent: 'GPTBot', operator: 'OpenAI', category: 'training', identity: 'claimed' },
        ...{ requests: 12, robotsViolations: 12, refused: 12, tokens: { input: 0, output: 0, estimated: 0 } },
        refusals: [{ phase: 'rules', rule: 'agents GPTBot', reason: 'this agent may not do this here', requests: 12 }],
        charges: [],
      });
      assert.deepEqual(
        [bing!.agent, bing!.operator, bing!.category, bing!.requests, bing!.robotsViolations, bing!.refused],
        ['bingbot', 'Microsoft', 'search', 12, 6, 0],
      );
    });

    test('in words, and since when', async () => {
      const { stdout } = await report('--since', '1d');
      assert.match(stdout, /^agent +operator +category +identity +requests +refused +robots/);
      assert.match(
        stdout,
        /\nGPTBot +OpenAI +training +claimed +12 +12 +12\n {4}12 refused by rules agents GPTBot: this agent may not do this here\n/,
      );
      const wrong = await report('--since', 'yesterday');
      assert.equal(wrong.code, 1);
      assert.match(wrong.stderr, /since takes a day/);
    });
  });
