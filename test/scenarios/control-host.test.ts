/** The control API on Cloudflare: a host of its own for whom the operator's key signs, and nothing on any other. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask as get } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { run, startGateway, type Gateway, type RunResult } from '../gateway.ts';

const HOST = 'control.localhost';

describe('control host [cloudflare]', { skip: process.env['SALLYPORT_TARGET'] === 'workerd' }, () => {
  let folder = '';
  let echo: Echo;
  let gateway: Gateway;
  let policy = '';
  let publicKey = '';
  const env = (name = 'operator') => ({ XDG_CONFIG_HOME: join(folder, name) });
  const ask = (args: readonly string[], who?: string): Promise<RunResult> =>
    run([...args, '--url', `http://${HOST}:${gateway.port}`], folder, env(who));

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-control-'));
    const made = await run(['init', '--operator-key', '--json'], folder, env());
    assert.equal(made.code, 0, made.stderr);
    publicKey = (JSON.parse(made.stdout) as { operatorKey: { x: string } }).operatorKey.x;
    echo = await startEcho('origin');
    policy = `app: shop\nhostnames: [shop.localhost, "*.apps.localhost"]\nbackends: { o: { url: "${echo.url}" } }\nroutes: [{ backend: o }]\n`;
    gateway = await startGateway({
      policy,
      target: 'cloudflare',
      deploy: ['--control-host', HOST, `--operator-key=${publicKey}`],
    });
  });
  after(async () => {
    await gateway?.stop();
    await echo?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('init makes the key once, private to the user', async () => {
    const file = join(folder, 'operator', 'sallyport', 'operator.jwk');
    const before = await readFile(file, 'utf8');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const again = await run(['init', '--operator-key'], folder, env());
    assert.equal(again.code, 0);
    assert.match(again.stdout, /was there already\npublic key /);
    assert.ok(again.stdout.includes(publicKey));
    assert.equal(await readFile(file, 'utf8'), before);
    assert.ok(!again.stdout.includes((JSON.parse(before) as { d: string }).d));
  });

  test('status, health and metrics for the operator', async () => {
    const status = await ask(['status', '--json']);
    assert.equal(status.code, 0, status.stderr);
    const told = JSON.parse(status.stdout) as { platform: string; manifest: { apps: { name: string }[] } };
    assert.equal(told.platform, 'cloudflare');
    assert.deepEqual(
      told.manifest.apps.map(({ name }) => name),
      ['shop'],
    );
    assert.match((await ask(['status'])).stdout, /cloudflare {2}generation [0-9a-f]{16}\napps shop\n/);
    assert.deepEqual(JSON.parse((await ask(['health', '--json'])).stdout), { ok: true, healthy: true, ready: true });
    assert.match((await ask(['metrics'])).stdout, /^sallyport_generation_info\{generation="[0-9a-f]{16}"\} 1$/m);
  });

  test('nothing but health without a signature, and an app never gets the host', async () => {
    const seen = echo.received.length;
    for (const host of [HOST, 'CONTROL.LOCALHOST', `${HOST}.`, `${HOST}:443`]) {
      const health = await get(`${gateway.url}/healthz`, { host });
      assert.deepEqual([health.status, health.text()], [200, 'ok\n'], host);
      for (const path of ['/', '/v1/status', '/readyz', '/metrics', '/healthz/../v1/status', '/anything']) {
        const answer = await get(`${gateway.url}${path}`, { host });
        assert.equal(answer.status, 401, `${host} ${path}`);
        assert.equal(answer.headers['content-type'], 'application/problem+json');
        assert.equal(answer.json()['detail'], 'the request is not signed');
      }
      assert.equal((await get(`${gateway.url}/v1/swap`, { host, method: 'POST', body: '{}' })).status, 401);
    }
    assert.equal(echo.received.length, seen);
  });

  test("an app's host never gets the control API", async () => {
    for (const host of ['shop.localhost', 'a.apps.localhost', 'control.apps.localhost']) {
      for (const path of ['/healthz', '/v1/status', '/metrics']) {
        const answer = await get(`${gateway.url}${path}`, { host });
        assert.equal(answer.status, 200);
        assert.equal(answer.echo().path, path, `${host} ${path} reaches the origin`);
      }
    }
    assert.equal((await get(`${gateway.url}/healthz`, { host: 'other.localhost' })).status, 404);
  });

  test('another key, no key and no deployment are one sentence each', async () => {
    const refusal = (result: RunResult): string => {
      assert.equal(result.code, 1);
      assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
      return result.stderr;
    };
    assert.match(refusal(await ask(['status'], 'nobody')), /there is no operator key .* init --operator-key/);
    await run(['init', '--operator-key'], folder, env('stranger'));
    assert.match(refusal(await ask(['status'], 'stranger')), /sallyport: the signature is not by the operator/);
    assert.match(
      refusal(await run(['status', '--url', 'http://control.localhost:1'], folder, env())),
      /nothing is running behind http:\/\/control\.localhost:1/,
    );
    assert.match(
      refusal(await run(['status', '--url', 'http://control.example.com'], folder, env())),
      /--url takes https/,
    );
    const app = await run(['status', '--url', `http://shop.localhost:${gateway.port}`], folder, env());
    assert.match(refusal(app), /does not speak the control API/);
  });

  test('deploy refuses a control host that an app has, and one without key', async () => {
    const file = join(folder, 'policy.yaml');
    await writeFile(file, policy);
    const deploy = (host: string, who: string) =>
      run(['deploy', file, '--dry-run', '--outdir', join(folder, 'out'), '--control-host', host], folder, env(who));
    for (const host of ['shop.localhost', 'control.apps.localhost', 'SHOP.localhost.'])
      assert.match((await deploy(host, 'operator')).stderr, /error\[control-host\]/, host);
    assert.match((await deploy(HOST, 'nobody')).stderr, /there is no operator key/);
    for (const host of ['a b', `${HOST}:443`, '*.localhost', '127.0.0.1'])
      assert.match((await deploy(host, 'operator')).stderr, /--control-host takes a host name/, host);
    const { code, stdout } = await deploy(HOST, 'operator');
    assert.equal(code, 0);
    assert.match(stdout, /control API: route control\.localhost to the worker/);
    const config = await readFile(join(folder, 'out', 'wrangler.json'), 'utf8');
    const { vars } = JSON.parse(config) as { vars: Record<string, string> };
    assert.deepEqual(vars, { PLATFORM: 'cloudflare', CONTROL_HOST: HOST, OPERATOR_KEY: publicKey });
  });
});
