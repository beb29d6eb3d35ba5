import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const main = join(import.meta.dirname, 'main.ts');
const folder = mkdtempSync(join(tmpdir(), 'sallyport-check-'));
after(() => rmSync(folder, { recursive: true }));

function sallyport(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { status, stdout, stderr };
}

const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return name;
};

const GOOD = 'app: a\nbackends: { b: { url: "http://127.0.0.1:1" } }\nroutes: [{ backend: b }]\n';

test('check: a good policy is one line and exit code 0', () => {
  assert.deepEqual(sallyport('check', write('good.yaml', GOOD)), {
    status: 0,
    stdout: 'ok a: 1 route, 0 rules, 1 backend\n',
    stderr: '',
  });
});

test('check: a bad policy is shown with its place, and exit code 1', () => {
  const { status, stdout } = sallyport('check', write('bad.yaml', GOOD.replace('backend: b', 'backend: c')));
  assert.equal(status, 1);
  assert.match(stdout, /^error\[unknown-backend\]: there is no backend `c`\n --> bad\.yaml:3:21\n/);
  assert.match(stdout, /\n3 \| routes: \[\{ backend: c \}\]\n {2}\| {21}\^\n/);
  assert.match(stdout, /fix: did you mean `b`\?\n\n1 error\n$/);
});

test('check --json: the same for programs, in both cases', () => {
  const good = JSON.parse(sallyport('check', '--json', 'good.yaml').stdout);
  assert.deepEqual([good.ok, good.dials, good.diagnostics, good.restart], [true, ['http://127.0.0.1:1'], [], null]);
  const { status, stdout } = sallyport('check', '--json', 'bad.yaml');
  const bad = JSON.parse(stdout);
  assert.deepEqual([status, bad.ok, bad.diagnostics[0].line, bad.diagnostics[0].column], [1, false, 3, 21]);
});

test('check: a policy that asks who agents are says when there are no address lists', () => {
  const { status, stdout } = sallyport('check', write('agents.yaml', `${GOOD}agents: { training: block }\n`));
  assert.equal(status, 0);
  assert.match(
    stdout,
    /^ok a: .*\nnote there are no address lists of agents, .*`claimed` at best: run sallyport agents update\n$/,
  );
  assert.match(JSON.parse(sallyport('check', '--json', 'agents.yaml').stdout).notice, /^there are no address lists/);
});

test('check: a missing file, an unknown target', () => {
  assert.match(sallyport('check', 'none.yaml').stderr, /^sallyport: there is no file none\.yaml\n$/);
  assert.match(
    sallyport('check', 'good.yaml', '--target', 'mars').stderr,
    /^sallyport: --target is workerd or cloudflare, not "mars"\n$/,
  );
});

test('init: what it writes passes check, and is never written over', () => {
  for (const [upstream, url] of [
    ['https://example.com/base/', 'https://example.com/base'],
    ['127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['http://[::1]:99', 'http://[::1]:99'],
  ] as const) {
    assert.equal(sallyport('init', '--upstream', upstream, '--out', 'new.yaml', '--force').status, 0);
    assert.ok(readFileSync(join(folder, 'new.yaml'), 'utf8').includes(`url: "${url}"`));
    assert.deepEqual(sallyport('check', 'new.yaml').stdout, 'ok app: 1 route, 2 rules, 1 backend\n');
  }
  const { status, stderr } = sallyport('init', '--upstream', 'http://other', '--out', 'new.yaml');
  assert.deepEqual([status, stderr], [1, 'sallyport: new.yaml exists; --force writes over it\n']);
  assert.ok(readFileSync(join(folder, 'new.yaml'), 'utf8').includes('http://[::1]:99'));
});

test('init: what is no origin is refused, and nothing is written', () => {
  for (const upstream of ['ftp://a', 'http://u:p@a', 'http://a?b', 'http://', 'a b', 'http://a/#x', '"\n']) {
    const { status, stderr } = sallyport('init', '--upstream', upstream, '--out', 'refused.yaml');
    assert.equal(status, 1, upstream);
    assert.match(stderr, /^sallyport: (--upstream takes a URL|no policy can be written for)/, upstream);
  }
  assert.throws(() => readFileSync(join(folder, 'refused.yaml')), { code: 'ENOENT' });
  assert.match(sallyport('init').stderr, /the URL of an origin is needed, such as sallyport init http:/);
});
