/**
 * The folder of Durable Objects of a deployment. Each process has a folder of its own in it, `worker-N`, with the objects
 * of its shards (src/tunnel/shard.ts); with another number of processes than the last time files move to where their
 * shard is now. That is safe only while no process runs, so one deployment at a time has the folder.
 *
 * What does not move is the schedule of alarms, which the runtime keeps beside the objects: whoever sets an alarm must
 * live with losing it, once, when the number of processes changes.
 */
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownerOf, shardOf } from '../tunnel/shard.ts';
import { Failure } from './failure.ts';

/** `ID.sqlite` and what SQLite puts beside it. */
const FILE = /^([0-9a-f]{64})\.sqlite(-wal|-shm)?$/;

interface Deployment {
  readonly workers: number;
  readonly port: number; // 0: any free one
  /** Of `--state`; null: the default folder. */
  readonly state: string | null;
}

/**
 * Takes a state folder for this process and puts every object where its shard is. The answer gives it back: nothing stays
 * of a default folder but objects, which the next deployment on that port wants to find again.
 */
export function takeState(state: string, { workers, port, state: named }: Deployment): () => void {
  const folder = join(state, 'objects');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = join(folder, 'lock');
  takeLock(lock, folder);
  try {
    arrange(folder, workers);
  } catch (error) {
    rmSync(lock, { force: true });
    throw error;
  }
  return () => {
    const held = !objectFiles(folder).next().done;
    const names =
      named !== null
        ? ['serve.json', 'control.sock', 'config.capnp']
        : readdirSync(state).filter((name) => name !== 'objects');
    for (const name of names) rmSync(join(state, name), { recursive: true, force: true });
    rmSync(lock, { force: true });
    // A free port is another one the next time: nobody would find the objects again.
    if (named === null && (!held || port === 0)) rmSync(state, { recursive: true, force: true });
  };
}

interface ObjectFile {
  readonly worker: string;
  readonly key: string; // of the namespace
  readonly file: string;
  readonly id: string;
  readonly suffix: string;
}

function* objectFiles(folder: string): Generator<ObjectFile> {
  if (!existsSync(folder)) return;
  for (const worker of readdirSync(folder)) {
    if (!/^worker-\d{1,3}$/.test(worker)) continue;
    for (const key of readdirSync(join(folder, worker)))
      for (const file of readdirSync(join(folder, worker, key))) {
        const [, id, suffix = ''] = FILE.exec(file) ?? [];
        if (id !== undefined) yield { worker, key, file, id, suffix };
      }
  }
}

/** Can be broken off at any moment: what has moved stays, and the next time does the rest. */
function arrange(folder: string, processes: number): void {
  for (const { worker, key, file, id, suffix } of objectFiles(folder)) {
    const owner = `worker-${ownerOf(shardOf(id), processes)}`;
    if (owner === worker) continue;
    const from = join(folder, worker, key, file);
    const to = join(folder, owner, key, file);
    // An index of the log, in memory that processes would share: SQLite makes it again.
    if (suffix === '-shm') {
      rmSync(from);
      continue;
    }
    if (existsSync(to))
      throw new Failure(`${from} and ${to} are the same object twice; move the older one out of ${folder}`);
    mkdirSync(join(folder, owner, key), { recursive: true, mode: 0o700 });
    renameSync(from, to);
  }
}

function takeLock(lock: string, folder: string): void {
  const own = JSON.stringify({ pid: process.pid, started: startOf(process.pid) });
  const [mine, dead] = [`${lock}.${process.pid}`, `${lock}.${process.pid}.dead`];
  try {
    // Written first and linked then: nobody reads a lock that is not whole, and takes it for one of a dead process.
    writeFileSync(mine, own, { mode: 0o600 });
    for (let attempt = 0; attempt < 2; attempt++) {
      if (linked(mine, lock)) return;
      const found = contentOf(lock);
      const holder = found === null ? null : holderOf(found);
      if (holder !== null)
        throw new Failure(`${folder} is in use by process ${holder}: two deployments cannot share --state`);
      // Of one that was killed. Moved and not removed: another start may have taken its place since it was read.
      if (!moved(lock, dead)) continue;
      if (contentOf(dead) !== found) {
        linked(dead, lock);
        break;
      }
    }
    throw new Failure(`${folder} is being taken by another deployment`);
  } finally {
    rmSync(mine, { force: true });
    rmSync(dead, { force: true });
  }
}

/** False: there is one. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}

/** False: it is gone. */
function moved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return false;
  }
}

function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return null;
  }
}

/** The process that holds a lock; null when it is gone. */
function holderOf(content: string): number | null {
  try {
    const { pid, started } = JSON.parse(content) as { pid: number; started: string };
    if (pid === process.pid) return null;
    process.kill(pid, 0);
    // The id may be another process's by now.
    return started === startOf(pid) ? pid : null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? -1 : null;
  }
}

/** When a process began, in the system's ticks; '' where the system does not say. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
