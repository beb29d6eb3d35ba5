/** An own app in one minute: init, check, explain, serve, status, reload, build and the executable, as a user types them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { BIN, run, startGateway } from '../gateway.ts';

let folder: string;
let echo: Echo;
let file: string;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('commands', () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-commands-'));
    echo = await startEcho('own');
    file = join(folder, 'sallyport.yaml');
  });
  after(async () => {
    await echo.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('init writes a commented policy for an upstream; check finds nothing wrong; it is not written over', async () => {
    const made = await run(['init', '--upstream', echo.url, '--yes', '--json'], folder);
    assert.equal(made.code, 0, made.stderr);
    assert.equal((JSON.parse(made.stdout) as { ok: boolean }).ok, true);
    const text = await readFile(file, 'utf8');
    assert.ok(text.includes(echo.url) && (text.match(/#/g) ?? []).length > 5, text);
    const checked = await run(['check', 'sallyport.yaml', '--json'], folder);
    assert.equal(checked.code, 0, checked.stdout);
    assert.notEqual((await run(['init', '--upstream', echo.url, '--yes'], folder)).code, 0);
    assert.equal(await readFile(file, 'utf8'), text);
    const other = await run(['init', echo.url, '--out', 'other.yaml', '--json'], folder);
    assert.equal(other.code, 0, other.stdout);
    assert.equal(await readFile(join(folder, 'other.yaml'), 'utf8'), text);
  });

  test('what init wrote serves', { timeout: 30_000 }, async () => {
    const gateway = await startGateway({ policy: await readFile(file, 'utf8') });
    try {
      assert.equal((await ask(`${gateway.url}/hello`, { host: 'localhost' })).echo().backend, 'own');
    } finally {
      await gateway.stop();
    }
  });

  test('dev without a policy has tunnels, and says so; serve, or a file that is named, has to be there', async () => {
    const bare = join(folder, 'bare');
    await mkdir(bare);
    const child = spawn(process.execPath, [BIN, 'dev', '--listen', '127.0.0.1:0', '--json'], {
      cwd: bare,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, XDG_CONFIG_HOME: join(folder, 'config') },
    });
    const ended = once(child, 'exit');
    let text = '';
    for await (const chunk of child.stdout) {
      text += String(chunk);
      if (/"event":"ready".*\n/.test(text)) child.kill('SIGTERM');
    }
    assert.deepEqual(await ended, [0, null]);
    assert.match(text, /there is no sallyport\.yaml, so there are tunnels only/);
    const ready = text.split('\n').find((line) => line.includes('"event":"ready"')) ?? '{}';
    const { apps, tunnels } = JSON.parse(ready) as { apps: string[]; tunnels: string };
    assert.deepEqual([apps, tunnels], [[], '*.localhost']);
    for (const args of [['serve'], ['dev', 'sallyport.yaml'], ['dev', '--no-tunnels']]) {
      const { code, stderr } = await run([...args, '--listen', '127.0.0.1:0'], bare);
      assert.deepEqual(
        [code, /there is no file sallyport\.yaml/.test(stderr)],
        [1, true],
        `${args.join(' ')}: ${stderr}`,
      );
    }
  });

  test('explain runs a request offline and says every decision', async () => {
    await writeFile(
      join(folder, 'explained.yaml'),
      `app: explained
backends: { web: { url: "http://127.0.0.1:1" } }
rules:
  - { name: sqli, when: 'http.request.uri.query contains "union"', action: block }
  - { name: watched, when: 'http.request.method eq "POST"', action: log }
  - { name: bad-body, when: 'http.request.body.raw contains "attack"', action: block, status: 422 }
routes:
  - { name: api, matches: [{ path: { type: PathPrefix, value: /api } }], filters: [{ urlRewrite: { path: { replacePrefixMatch: / } } }], backend: web }
  - { name: rest, backend: web }
`,
    );
    const allowed = await run(
      ['explain', 'explained.yaml', 'POST https://shop.test/api/cart?x=1', '-H', 'x-a: 1', '-d', 'calm'],
      folder,
    );
    assert.equal(allowed.code, 0, allowed.stderr);
    assert.match(allowed.stdout, /api/);
    assert.match(allowed.stdout, /watched/);
    const json = await run(['explain', 'explained.yaml', 'GET https://shop.test/?q=union', '--json'], folder);
    const told = JSON.stringify(JSON.parse(json.stdout));
    assert.match(told, /"rule":"sqli"/);
    assert.match(told, /403/);
    const body = await run(
      ['explain', 'explained.yaml', 'POST https://shop.test/', '-d', 'an attack', '--json'],
      folder,
    );
    assert.match(body.stdout, /"rule":\s*"bad-body"/);
    assert.match(body.stdout, /422/);
    await writeFile(
      join(folder, 'guarded.yaml'),
      'app: guarded\nbackends: { web: { url: "http://127.0.0.1:1" } }\nwaf: { ruleset: none }\nroutes: [{ backend: web }]\n',
    );
    const header = 'content-type: application/json';
    const broken = await run(['explain', 'guarded.yaml', 'POST https://a.test/', '-H', header, '-d', '{"a":'], folder);
    assert.match(broken.stdout, /block 400 by 9000002/);
    assert.match(broken.stdout, /Body is malformed: JSON parsing error: the document ends too early/);
    assert.match(broken.stdout, /- \{ rule: 9000002, target: 'REQBODY_ERROR', when: /);
  });

  test('status and reload talk to a running deployment by its control socket', { timeout: 30_000 }, async () => {
    const direct = (body: string): string =>
      `app: told\nbackends: { web: { url: ${echo.url} } }\nroutes: [{ filters: [{ directResponse: { status: 200, body: "${body}", contentType: text/plain } }] }]\n`;
    const gateway = await startGateway({ policy: direct('first') });
    try {
      const status = await run(['status', '--control', gateway.control, '--json'], folder);
      assert.equal(status.code, 0, status.stderr);
      assert.match(status.stdout, /"told"/);
      await gateway.write(direct('second'));
      assert.equal((await ask(gateway.url)).text(), 'first');
      const reloaded = await run(['reload', '--control', gateway.control, '--json'], folder);
      assert.equal(reloaded.code, 0, reloaded.stdout);
      assert.equal((await ask(gateway.url)).text(), 'second');
      await gateway.write('app: [');
      assert.notEqual((await run(['reload', '--control', gateway.control, '--json'], folder)).code, 0);
      assert.equal((await ask(gateway.url)).text(), 'second');
    } finally {
      await gateway.stop();
    }
  });

  test('build writes images that are named by their hash, and tells what they say', async () => {
    const built = await run(['build', 'sallyport.yaml', '--outdir', 'out', '--json'], folder);
    assert.equal(built.code, 0, built.stdout + built.stderr);
    const told = await run(['build', 'sallyport.yaml', '--outdir', 'out', '--disassemble'], folder);
    assert.equal(told.code, 0, told.stderr);
    assert.match(told.stdout, /route|path/i);
    // The same policy gives the same bytes.
    const again = await run(['build', 'sallyport.yaml', '--outdir', 'out2', '--json'], folder);
    const generation = (text: string): unknown => (JSON.parse(text) as { generation: unknown }).generation;
    assert.equal(generation(again.stdout), generation(built.stdout));
  });

  test('build --binary: nothing that would have to count and can not', async () => {
    const rule = `{ name: few, when: 'true', action: rate, rate: { requests: 1, per: 1m } }`;
    await writeFile(join(folder, 'rates.yaml'), `app: rates\nroutes: []\nrules: [${rule}]\n`);
    const { code, stderr } = await run(['build', 'rates.yaml', '--binary', '--outdir', 'rates'], folder);
    assert.equal(code, 1);
    assert.match(stderr, /rates need objects/);
  });

  test('build --binary: one executable that serves by itself', { timeout: 60_000 }, async () => {
    const port = await freePort();
    const built = await run(
      [
        'build',
        'sallyport.yaml',
        '--binary',
        '--outdir',
        'bin',
        '--listen',
        `127.0.0.1:${port}`,
        '--allow-loopback',
        '--json',
      ],
      folder,
    );
    assert.equal(built.code, 0, built.stdout + built.stderr);
    const binary = join(folder, 'bin/sallyport');
    assert.ok(((await stat(binary)).mode & 0o100) !== 0);
    const child = spawn(binary, [], { cwd: tmpdir(), stdio: ['ignore', 'pipe', 'pipe'], env: {} });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    try {
      let backend = '';
      for (const late = Date.now() + 20_000; backend === '';) {
        assert.ok(Date.now() < late && child.exitCode === null, `it does not serve: ${said}`);
        backend = await ask(`http://127.0.0.1:${port}/binary`, { host: 'localhost' }).then(
          (answer) => answer.echo().backend,
          () => '',
        );
        if (backend === '') await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert.equal(backend, 'own');
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  test('what --json prints of a mistake is one document', async () => {
    await writeFile(join(folder, 'mistaken.yaml'), 'app: mistaken\nroutse: []\n');
    const commands = [
      ['build', 'mistaken.yaml', '--outdir', 'mistaken'],
      ['deploy', 'mistaken.yaml', '--dry-run'],
      ['explain', 'mistaken.yaml', 'GET http://shop.test/'],
    ];
    for (const args of commands) {
      const { code, stdout } = await run([...args, '--json'], folder);
      assert.equal(code, 1);
      const answer = JSON.parse(stdout) as { ok: boolean; error: string; diagnostics: { line: number }[] };
      assert.equal(answer.ok, false);
      assert.equal(answer.error, 'the policy has errors');
      assert.ok(
        answer.diagnostics.some(({ line }) => line === 2),
        stdout,
      );
    }
    const peer = await run(
      ['explain', 'sallyport.yaml', 'GET http://shop.test/', '--peer', 'nobody', '--json'],
      folder,
    );
    assert.deepEqual(JSON.parse(peer.stdout), { ok: false, error: '--peer takes an IP address, not "nobody"' });
  });

  test('build leaves no image of an earlier build behind', async () => {
    const images = async (): Promise<string[]> => (await readdir(join(folder, 'again/images'))).sort();
    const policy = (body: string): Promise<void> =>
      writeFile(
        join(folder, 'again.yaml'),
        `app: again\nroutes: [{ filters: [{ directResponse: { status: 200, body: ${body} } }] }]\n`,
      );
    await policy('one');
    assert.equal((await run(['build', 'again.yaml', '--outdir', 'again'], folder)).code, 0);
    const before = await images();
    await policy('two');
    assert.equal((await run(['build', 'again.yaml', '--outdir', 'again'], folder)).code, 0);
    const after = await images();
    assert.notDeepEqual(after, before);
    assert.equal(after.length, before.length);
  });

  test('a reader that has read enough is no error: help, and a log that is read no further', async () => {
    const help = await run(['serve', '--help'], folder);
    assert.ok(!help.stdout.includes('\u001b'), 'no colours where no terminal is');
    const args = [BIN, 'serve', 'sallyport.yaml', '--listen', '127.0.0.1:0', '--allow-loopback', '--json'];
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const ended = once(child, 'exit');
    let text = '';
    for await (const chunk of child.stdout) if ((text += String(chunk)).includes('"ready"')) break; // closes the pipe
    const { url } = JSON.parse(text.split('\n').find((line) => line.includes('"ready"')) ?? '{}') as { url: string };
    await ask(`${url}/`, { host: 'localhost' }).catch(() => null);
    assert.deepEqual(await ended, [0, null]);
    assert.equal(said, '');
  });

  test('a directory in place of a policy is said, with what to write', async () => {
    const { code, stderr } = await run(['check', '.'], folder);
    assert.equal(code, 1);
    assert.equal(stderr, 'sallyport: . is a directory; name the files in it, such as *.yaml\n');
  });

  test('an unknown command, option or request is one sentence', async () => {
    for (const args of [
      ['serv'],
      ['check', 'sallyport.yaml', '--jsn'],
      ['explain', 'sallyport.yaml', 'nonsense'],
      ['serve', 'sallyport.yaml', '--listen', 'x'],
      ['check', 'nowhere.yaml'],
    ]) {
      const { code, stdout, stderr } = await run(args, folder);
      assert.notEqual(code, 0, args.join(' '));
      assert.doesNotMatch(stdout + stderr, /\n\s+at .*:\d+|TypeError|undefined/, args.join(' '));
      assert.ok((stdout + stderr).trim() !== '', args.join(' '));
    }
  });
});
