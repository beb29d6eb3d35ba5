/** `sallyport/waf` in somebody else's worker: bundled by wrangler as any worker is, run by Miniflare. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask } from '../client.ts';
import { ROOT } from '../gateway.ts';

/** What README shows. */
const GUARD = `import { Hono } from 'hono';
import { waf } from 'sallyport/waf';
import engine from 'sallyport/engine.wasm';
import rules from 'sallyport/core.bin';
const app = new Hono().use(waf({ engine, rules }));
`;
const WORKER = `${GUARD}
app.get('/search', (c) => c.text('found ' + c.req.query('q')));
app.post('/form', async (c) => c.json(await c.req.parseBody()));
app.post('/echo', async (c) => c.body(await c.req.arrayBuffer()));
app.get('/leak', (c) => c.html('<pre>-----BEGIN RSA PRIVATE KEY-----\\nMIIEpAIBAAKCAQEA\\n</pre>'));
app.get('/page', (c) => c.html('<p>hello</p>', 200, { 'x-own': '1' }));
export default app;
`;

let folder = '';
let url = '';
let stop = async (): Promise<void> => {};
const reports: { waf: Record<string, unknown> }[] = [];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-middleware-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules/sallyport'), 'dir');
  symlinkSync(join(ROOT, 'node_modules/hono'), join(folder, 'node_modules/hono'), 'dir');
  writeFileSync(join(folder, 'worker.ts'), WORKER);
  const date = '2026-11-01';
  writeFileSync(
    join(folder, 'wrangler.json'),
    JSON.stringify({ name: 'guarded', main: 'worker.ts', compatibility_date: date }),
  );
  const wrangler = join(dirname(createRequire(import.meta.url).resolve('wrangler/package.json')), 'bin/wrangler.js');
  const outdir = join(folder, 'out');
  const bundled = spawnSync(process.execPath, [wrangler, 'deploy', '--dry-run', '--outdir', outdir], {
    cwd: folder,
    encoding: 'utf8',
    env: {
      ...process.env,
      WRANGLER_SEND_METRICS: 'false',
      CI: '1',
      NO_COLOR: '1',
      WRANGLER_LOG_PATH: join(folder, 'logs'),
    },
  });
  assert.equal(bundled.status, 0, bundled.stdout + bundled.stderr);
  const { Miniflare, convertV4MiniflareOptions } = await import('miniflare');
  const kinds: Record<string, 'ESModule' | 'CompiledWasm' | 'Data'> = {
    js: 'ESModule',
    wasm: 'CompiledWasm',
    bin: 'Data',
  };
  const names = readdirSync(outdir).filter((name) => /\.(js|wasm|bin)$/.test(name));
  assert.deepEqual(names.map((name) => name.split('.').pop()).sort(), ['bin', 'js', 'wasm']);
  const modules = names
    .sort((a) => (a.endsWith('.js') ? -1 : 1))
    .map((name) => ({ type: kinds[name.split('.').pop()!]!, path: join(outdir, name) }));
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...{ host: '127.0.0.1', port: 0, modulesRoot: outdir, modules, compatibilityDate: date },
      handleStructuredLogs: ({ message }) => {
        const text = String(message);
        if (text.startsWith('{"waf"')) reports.push(JSON.parse(text) as { waf: Record<string, unknown> });
      },
    }),
  );
  url = (await miniflare.ready).href.replace(/\/$/, '');
  stop = () => miniflare.dispose();
});
after(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Lines come through a pipe, after the answer. */
async function reported(id: string): Promise<Record<string, unknown>> {
  for (let tries = 0; tries < 500; tries++) {
    const found = reports.map(({ waf }) => waf).find((report) => report['id'] === id);
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`no line says why ${id} was refused: ${JSON.stringify(reports)}`);
}

test('five lines are enough', () => assert.equal(GUARD.trim().split('\n').length, 5));

test('handlers get what is harmless, and attacks get an answer of their own', async () => {
  const harmless = await ask(`${url}/search?q=lantern`);
  assert.deepEqual([harmless.status, harmless.text()], [200, 'found lantern']);
  const attack = await ask(`${url}/search?q=1%27%20UNION%20SELECT%20password%20FROM%20users--`);
  assert.equal(attack.status, 403);
  assert.match(attack.headers['content-type'] ?? '', /problem\+json/);
  const problem = attack.json();
  const report = await reported(String(problem['requestId']));
  assert.deepEqual([report['action'], report['status'], report['path']], ['block', 403, '/search']);
  assert.match(JSON.stringify(report['events']), /ARGS:q/);
});

test('bodies are judged, and handlers read them whole', async () => {
  const post = (path: string, body: string | Buffer, type: string) =>
    ask(url + path, { method: 'POST', body, headers: { 'content-type': type } });
  const form = 'application/x-www-form-urlencoded';
  const passed = await post('/form', 'name=ann&text=hello', form);
  assert.deepEqual([passed.status, passed.json()], [200, { name: 'ann', text: 'hello' }]);
  assert.equal((await post('/form', "name=1'+UNION+SELECT+password+FROM+users--", form)).status, 403);
  assert.equal((await post('/form', `name=${'x'.repeat(200_000)}`, form)).status, 413);
  const malformed = await post('/echo', '{"name":', 'application/json');
  assert.equal(malformed.status, 400);
  assert.match(malformed.text(), /the request body cannot be read for sure/);
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
  const echoed = await post('/echo', bytes, 'application/octet-stream');
  assert.deepEqual(echoed.body, bytes);
});

test('answers that leak are replaced as a whole', async () => {
  const page = await ask(`${url}/page`);
  assert.deepEqual([page.status, page.text(), page.headers['x-own']], [200, '<p>hello</p>', '1']);
  const leak = await ask(`${url}/leak`);
  assert.equal(leak.status, 403);
  assert.doesNotMatch(leak.text(), /MIIE/);
});
