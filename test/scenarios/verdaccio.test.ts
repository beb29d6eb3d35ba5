/**
 * A real application from npm that nobody here wrote runs behind Sallyport unchanged: Verdaccio, a package registry.
 * `npm publish` and `npm install` go through the gateway, and every tarball that is fetched is in its access log. And all of
 * it once more with the registry behind a tunnel.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask } from '../client.ts';
import { ROOT, startGateway, type Gateway } from '../gateway.ts';
import { startTunnel, TUNNEL, type Tunnel } from '../support/tunnel.ts';

let folder: string;
let registry: ChildProcess;
let gateway: Gateway;
let tunnel: Tunnel | null = null;
let npmEnv: Record<string, string>;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function npm(args: string[], cwd: string): Promise<{ code: number; output: string }> {
  const cli = process.env['npm_execpath'];
  const command = cli ? [process.execPath, cli] : ['npm'];
  const child = spawn(command[0] as string, [...command.slice(1), ...args], {
    cwd,
    env: npmEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}

for (const way of ['the gateway', 'a tunnel'] as const)
  describe(`Verdaccio behind ${way}`, () => {
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'sallyport-verdaccio-'));
      const port = await freePort();
      await mkdir(join(folder, 'storage'));
      await writeFile(join(folder, 'htpasswd'), '');
      await writeFile(
        join(folder, 'config.yaml'),
        `storage: ${folder}/storage
auth: { htpasswd: { file: ${folder}/htpasswd, max_users: 10, algorithm: bcrypt, rounds: 4 } }
uplinks: {}
packages: { '**': { access: $all, publish: $authenticated } }
web: { enable: true }
log: { type: stdout, format: json, level: warn }
`,
      );
      const require = createRequire(join(ROOT, 'package.json'));
      const bin = join(dirname(require.resolve('verdaccio/package.json')), 'bin/verdaccio');
      registry = spawn(
        process.execPath,
        [bin, '--config', join(folder, 'config.yaml'), '--listen', `http://127.0.0.1:${port}`],
        { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] ?? '', HOME: folder } },
      );
      let said = '';
      registry.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
      registry.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
      for (let up = false; !up;) {
        if (registry.exitCode !== null) throw new Error(`verdaccio ended: ${said}`);
        up = await ask(`http://127.0.0.1:${port}/-/ping`).then(
          ({ status }) => status === 200,
          () => false,
        );
        if (!up) await new Promise((resolve) => setTimeout(resolve, 100));
      }
      const backend = way === 'a tunnel' ? `{ tunnel: ${TUNNEL} }` : `{ url: "http://127.0.0.1:${port}" }`;
      const policy = `app: registry
body: { limit: 1MB }
backends: { verdaccio: ${backend} }
rules:
  - { name: sqli, when: 'http.request.uri.query matches "(?i)union.{1,20}select"', action: block }
routes: [{ name: registry, backend: verdaccio }]
`;
      tunnel = way === 'a tunnel' ? await startTunnel(port, { policy }) : null;
      gateway = tunnel?.gateway ?? (await startGateway({ policy }));
      npmEnv = {
        PATH: process.env['PATH'] ?? '',
        HOME: folder,
        npm_config_userconfig: join(folder, 'npmrc'),
        npm_config_globalconfig: join(folder, 'global-npmrc'),
        npm_config_cache: join(folder, 'cache'),
        npm_config_registry: `${gateway.url}/`,
        npm_config_update_notifier: 'false',
        npm_config_audit: 'false',
        npm_config_fund: 'false',
        npm_config_fetch_retries: '0',
      };
      await writeFile(join(folder, 'global-npmrc'), '');
    });
    after(async () => {
      await (tunnel ?? gateway)?.stop();
      if (registry && registry.exitCode === null) {
        registry.kill('SIGTERM');
        await once(registry, 'exit');
      }
      await rm(folder, { recursive: true, force: true });
    });

    test('publish two packages and install one that needs the other', { timeout: 120_000 }, async () => {
      // A user is made through the gateway as `npm adduser` does it.
      const user = await ask(`${gateway.url}/-/user/org.couchdb.user:tester`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'tester', password: 'a-long-password' }),
      });
      assert.equal(user.status, 201, user.text());
      const { token } = user.json() as { token: string };
      await writeFile(
        join(folder, 'npmrc'),
        `registry=${gateway.url}/\n//127.0.0.1:${gateway.port}/:_authToken=${token}\n`,
      );

      const payload = Array.from({ length: 4000 }, (_, i) => `line ${i} of something that is published\n`).join('');
      const packages = [
        { name: '@gate/hinge', version: '1.0.0', main: 'index.js', files: ['index.js', 'data.txt'] },
        {
          name: 'portcullis',
          version: '2.1.0',
          main: 'index.js',
          files: ['index.js', 'data.txt'],
          dependencies: { '@gate/hinge': '^1.0.0' },
        },
      ];
      for (const manifest of packages) {
        const place = join(folder, manifest.name.replace('/', '-'));
        await mkdir(place);
        await writeFile(join(place, 'package.json'), JSON.stringify(manifest));
        await writeFile(
          join(place, 'index.js'),
          `module.exports = ${JSON.stringify(manifest.name)}${manifest.dependencies ? " + ' on ' + require('@gate/hinge')" : ''};\n`,
        );
        await writeFile(join(place, 'data.txt'), payload);
        const published = await npm(['publish', '--access', 'public', '--provenance=false'], place);
        assert.equal(published.code, 0, published.output);
      }

      const since = gateway.events.length;
      const place = join(folder, 'consumer');
      await mkdir(place);
      await writeFile(join(place, 'package.json'), '{ "name": "consumer", "version": "1.0.0", "private": true }');
      // A cache of its own, as on another machine: publishing leaves the packed files in the first one.
      const installed = await npm(['install', 'portcullis', '--cache', join(folder, 'other-cache')], place);
      assert.equal(installed.code, 0, installed.output);
      assert.equal(createRequire(join(place, 'x.js'))('portcullis'), 'portcullis on @gate/hinge');
      assert.equal(await readFile(join(place, 'node_modules/portcullis/data.txt'), 'utf8'), payload);

      // Every tarball that the lock file names was fetched through us: a GET of its path, answered 200, in the log.
      const lock = JSON.parse(await readFile(join(place, 'package-lock.json'), 'utf8')) as {
        packages: Record<string, { resolved?: string }>;
      };
      const tarballs = Object.values(lock.packages).flatMap(({ resolved }) =>
        resolved === undefined ? [] : [resolved],
      );
      assert.equal(tarballs.length, 2, JSON.stringify(lock.packages));
      for (const tarball of tarballs) {
        assert.ok(tarball.startsWith(gateway.url), `${tarball} is not behind the gateway`);
        const path = new URL(tarball).pathname;
        const line = await gateway.event(
          'access',
          (event) => event['method'] === 'GET' && event['path'] === path,
          since,
        );
        assert.equal(line['status'], 200);
        assert.equal(line['app'], 'registry');
      }
      const logged = gateway.events
        .slice(since)
        .filter((event) => event.event === 'access' && String(event['path']).endsWith('.tgz'));
      assert.equal(logged.length, tarballs.length, JSON.stringify(logged));
    });

    test('its pages work through the gateway, and the attack does not', { timeout: 30_000 }, async () => {
      const page = await ask(`${gateway.url}/`, { headers: { accept: 'text/html', 'accept-encoding': 'gzip' } });
      assert.equal(page.status, 200);
      assert.match(page.headers['content-type'] ?? '', /text\/html/);
      assert.equal((await ask(`${gateway.url}/-/v1/search?text=a%27+union+all+select+1`)).status, 403);
      const search = await ask(`${gateway.url}/-/v1/search?text=portcullis`);
      assert.equal(search.status, 200);
      const missing = await ask(`${gateway.url}/no-such-package`);
      assert.equal(missing.status, 404);
    });

    test('no token and no password is in the log', () => {
      assert.doesNotMatch(JSON.stringify(gateway.events), /a-long-password|_authToken|Bearer [A-Za-z0-9]/);
    });
  });
