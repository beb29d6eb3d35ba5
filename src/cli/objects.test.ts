import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { OBJECT_SHARDS, ownerOf, shardOf } from '../tunnel/shard.ts';
import { takeState } from './objects.ts';

const KEY = 'sallyport-tunnel-session-1';
const idOf = (shard: number): string => shard.toString(16).padStart(2, '0') + 'ab'.repeat(31);

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'sallyport-objects-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}
const options = (workers: number) => ({ workers, port: 8080, state: 'named' });
const put = (state: string, worker: number, file: string, content = file): void => {
  const at = join(state, 'objects', `worker-${worker}`, KEY);
  mkdirSync(at, { recursive: true });
  writeFileSync(join(at, file), content);
};
const filesOf = (state: string, worker: number): string[] => {
  const at = join(state, 'objects', `worker-${worker}`, KEY);
  return existsSync(at) ? readdirSync(at).sort() : [];
};

test('every shard has one owner, and owners have as many as each other, but for one', () => {
  for (const processes of [1, 2, 3, 7, 64]) {
    const counts = new Array<number>(processes).fill(0);
    for (let shard = 0; shard < OBJECT_SHARDS; shard++) counts[ownerOf(shard, processes)]!++;
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, counts.join());
  }
  assert.equal(shardOf(idOf(0xfe)), 0xfe);
});

test('objects move to where their shard is, with their log, and back', (t) => {
  const state = folder(t);
  for (let shard = 0; shard < OBJECT_SHARDS; shard += 15) {
    put(state, 0, `${idOf(shard)}.sqlite`);
    put(state, 0, `${idOf(shard)}.sqlite-wal`);
    put(state, 0, `${idOf(shard)}.sqlite-shm`);
  }
  put(state, 0, 'metadata.sqlite');
  const before = filesOf(state, 0).filter((file) => !file.endsWith('-shm'));
  takeState(state, options(4))();
  for (let worker = 0; worker < 4; worker++) {
    const files = filesOf(state, worker).filter((file) => file !== 'metadata.sqlite');
    assert.ok(files.length > 0);
    for (const file of files) assert.equal(ownerOf(shardOf(file), 4), worker, file);
    for (const file of files)
      if (worker > 0) assert.equal(readFileSync(join(state, 'objects', `worker-${worker}`, KEY, file), 'utf8'), file);
  }
  takeState(state, options(1))();
  assert.deepEqual(
    filesOf(state, 0).filter((file) => !file.endsWith('-shm')),
    before,
  );
  for (const worker of [1, 2, 3]) assert.deepEqual(filesOf(state, worker), []);
});

test('an object that is there twice is nobody’s to choose from', (t) => {
  const state = folder(t);
  const id = idOf(0xff);
  put(state, 0, `${id}.sqlite`);
  put(state, 1, `${id}.sqlite`, 'another');
  assert.throws(() => takeState(state, options(2)), /the same object twice/);
  assert.deepEqual(filesOf(state, 0), [`${id}.sqlite`]);
  assert.equal(existsSync(join(state, 'objects', 'lock')), false);
});

test('two deployments never have one folder; one that was killed leaves it', async (t) => {
  const state = folder(t);
  mkdirSync(join(state, 'objects'), { recursive: true });
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  t.after(() => other.kill('SIGKILL'));
  await once(other, 'spawn');
  const stat = readFileSync(`/proc/${other.pid}/stat`, 'utf8');
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  const lock = join(state, 'objects', 'lock');
  writeFileSync(lock, JSON.stringify({ pid: other.pid, started }));
  assert.throws(() => takeState(state, options(1)), new RegExp(`in use by process ${other.pid}`));
  // Another process that got the id of the first.
  writeFileSync(lock, JSON.stringify({ pid: other.pid, started: '1' }));
  takeState(state, options(1))();
  writeFileSync(lock, JSON.stringify({ pid: other.pid, started }));
  other.kill('SIGKILL');
  await once(other, 'exit');
  takeState(state, options(1))();
  assert.equal(existsSync(lock), false);
});

test('of many that start at once where one was killed, one has the folder', async (t) => {
  const script = `
    import { takeState } from ${JSON.stringify(new URL('./objects.ts', import.meta.url).href)};
    process.stdin.once('data', () => {
      try {
        takeState(process.argv[1], { workers: 1, port: 0, state: process.argv[1] });
        console.log('has it');
      } catch (error) {
        console.log(error.message);
      }
      process.stdin.on('data', () => process.exit());
    });
    console.log('ready');
  `;
  for (let round = 0; round < 3; round++) {
    const state = folder(t);
    mkdirSync(join(state, 'objects'), { recursive: true });
    writeFileSync(join(state, 'objects', 'lock'), JSON.stringify({ pid: 2 ** 22 + 1, started: '1' }));
    const starts = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', script, state], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    t.after(() => starts.forEach((one) => one.kill('SIGKILL')));
    const lines = starts.map((one) => createInterface({ input: one.stdout })[Symbol.asyncIterator]());
    for (const one of lines) assert.equal((await one.next()).value, 'ready');
    for (const one of starts) one.stdin.write('go\n');
    const said = await Promise.all(lines.map(async (one) => String((await one.next()).value)));
    assert.equal(said.filter((one) => one === 'has it').length, 1, said.join('\n'));
    for (const one of said) assert.match(one, /^has it$|is in use by process|is being taken/);
    for (const one of starts) one.stdin.end('bye\n');
    assert.deepEqual(
      readdirSync(join(state, 'objects')).filter((name) => name !== 'lock'),
      [],
    );
  }
});

test('a default folder keeps its objects and nothing else, unless its port was any', (t) => {
  const state = join(folder(t), 'here');
  const run = (port: number, objects: boolean): string[] => {
    mkdirSync(state, { recursive: true });
    const leave = takeState(state, { workers: 1, port, state: null });
    writeFileSync(join(state, 'config.capnp'), '');
    if (objects) put(state, 0, `${idOf(1)}.sqlite`);
    leave();
    return existsSync(state) ? readdirSync(state) : [];
  };
  assert.deepEqual(run(8080, false), []);
  assert.deepEqual(run(8080, true), ['objects']);
  assert.deepEqual(run(0, true), []);
});
