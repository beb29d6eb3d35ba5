import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { run, startGateway, type Target } from '../gateway.ts';
import { onEachTarget } from './targets.ts';

let echo: Echo;
const TOKEN = 'Bearer 0123456789-secret';

const text = (): string => `app: secrets
backends: { web: { url: ${echo.url} } }
routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { authorization: { secret: API_TOKEN } } } }] }]
`;
const policy = async (): Promise<string> => {
  echo = await startEcho('web');
  return text();
};
const args = (target: Target): string[] => (target === 'workerd' ? ['--secret', 'API_TOKEN=env:TEST_TOKEN'] : []);
const env = (target: Target): Record<string, string> =>
  target === 'workerd' ? { TEST_TOKEN: TOKEN } : { SECRET_API_TOKEN: TOKEN };

onEachTarget('secrets', { policy, args, env, teardown: () => echo.stop() }, (world) => {
  test('a named secret reaches the origin and nothing else', async () => {
    const since = world.gateway.events.length;
    const answer = await ask(`${world.url}/with-secret`, { headers: { authorization: 'Bearer of-the-client' } });
    assert.equal(answer.echo().headers['authorization'], TOKEN);
    await world.gateway.event('access', (event) => event['path'] === '/with-secret', since);
    assert.doesNotMatch(
      JSON.stringify(world.gateway.events) + world.gateway.stderr(),
      /0123456789-secret|of-the-client/,
    );
  });

  test(
    'without it nothing is served, and it is said which',
    { skip: world.target === 'cloudflare' ? 'secrets are bindings there' : false },
    async () => {
      await assert.rejects(startGateway({ policy: text() }), /API_TOKEN/);
    },
  );

  test('a literal in its place is a warning or an error with a place', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-secret-'));
    try {
      await writeFile(join(folder, 'x.yaml'), text().replace('{ secret: API_TOKEN }', `"${TOKEN}"`));
      const { stdout, stderr } = await run(['check', 'x.yaml'], folder);
      assert.match(stdout + stderr, /literal-secret[^]*x\.yaml:3:\d+/);
      assert.doesNotMatch(stdout + stderr, /0123456789-secret/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
