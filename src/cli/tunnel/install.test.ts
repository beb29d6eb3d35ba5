import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { unitText, type Unit } from './install.ts';
import { stateOf } from './journal.ts';

const unit: Unit = {
  name: 'office',
  program: [process.execPath, '/opt/sally port/bin/sallyport.mjs'],
  listen: ['3000', '--edge', 'https://edge.example.com', '--sockets', '2', '--json'],
  capability: '/etc/sallyport/office.json',
};
const lineOf = (text: string, name: string): string | undefined =>
  text
    .split('\n')
    .find((line) => line.startsWith(`${name}=`))
    ?.slice(name.length + 1);

test('the unit listens with its capability, and nothing of it is on the command line', () => {
  const text = unitText(unit);
  assert.equal(
    lineOf(text, 'ExecStart'),
    `${process.execPath} "/opt/sally port/bin/sallyport.mjs" tunnel listen 3000 office --edge https://edge.example.com --sockets 2 --json --capability \${CREDENTIALS_DIRECTORY}/capability`,
  );
  assert.equal(lineOf(text, 'LoadCredential'), 'capability:/etc/sallyport/office.json');
});

test('services alone leave the name in front', () => {
  const text = unitText({ ...unit, listen: ['--service', 'db=127.0.0.1:5432'] });
  assert.match(lineOf(text, 'ExecStart')!, / tunnel listen office --service db=127\.0\.0\.1:5432 --capability /);
});

test('what means something to systemd is quoted, and what cannot be said is refused', () => {
  const text = unitText({ ...unit, listen: ['3000', '--edge', 'https://a/%h/$HOME/"x"\\'] });
  assert.match(lineOf(text, 'ExecStart')!, /--edge "https:\/\/a\/%%h\/\$\$HOME\/\\"x\\"\\\\" --capability/);
  assert.equal(lineOf(unitText({ ...unit, capability: '/a%n' }), 'LoadCredential'), 'capability:/a%%n');
  assert.throws(() => unitText({ ...unit, listen: ['3000\nExecStartPre=/bin/sh'] }), /control characters/);
  assert.throws(() => unitText({ ...unit, capability: 'office.json' }), /absolute/);
});

test('systemd takes it, and calls it safe', (t) => {
  const { error } = spawnSync('systemd-analyze', ['--version']);
  if (error !== undefined) return t.skip('systemd-analyze is not installed');
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-unit-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'sallyport-tunnel-office.service');
  writeFileSync(file, unitText({ ...unit, program: [process.execPath, '/opt/sallyport.mjs'] }));
  const verified = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
  assert.doesNotMatch(
    verified.stderr,
    /sallyport-tunnel-office\.service:\d+:|Unknown|Failed to parse/,
    verified.stderr,
  );
  const { stdout } = spawnSync('systemd-analyze', ['security', '--offline=yes', '--no-pager', file], {
    encoding: 'utf8',
  });
  const exposure = Number(/exposure level for .*: ([0-9.]+)/.exec(stdout)?.[1]);
  assert.ok(exposure <= 2, stdout);
});

test('the last word of a connector in its journal says whether the tunnel is up', () => {
  const connecting = '{"event":"connecting","name":"office"}';
  const ready = '{"event":"ready","name":"office","url":"https://office.example.com"}';
  const away = '{"event":"reconnecting","socket":0,"reason":"connect ECONNREFUSED 192.0.2.1:443","delay":100}';
  const refused = '{"ok":false,"error":"the edge refuses the tunnel office: the capability was revoked"}';
  const cases: [string[], string, string][] = [
    [[], 'waiting', ''],
    [['Started sallyport-tunnel-office.service.', connecting, ''], 'waiting', ''],
    [[connecting, away], 'waiting', 'connect ECONNREFUSED 192.0.2.1:443'],
    [[connecting, away, ready, '{"event":"request","id":1}'], 'ready', 'https://office.example.com'],
    [
      [connecting, 'sallyport: the edge refuses', refused],
      'failed',
      'the edge refuses the tunnel office: the capability was revoked',
    ],
    [['null', '[]', '7', '"x"'], 'waiting', ''],
  ];
  for (const [lines, state, detail] of cases) assert.deepEqual(stateOf(lines), { state, detail }, lines.join());
});
