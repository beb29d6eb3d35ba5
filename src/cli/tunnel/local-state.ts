/**
 * What connectors of this user keep on this machine: a unix socket each, mode 0600, and the names that were made up for
 * folders. SPEC: XDG Base Directory: a relative path in XDG_STATE_HOME is ignored.
 */
import { createHash, randomInt } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { Failure, sentence } from '../failure.ts';

const MAX_SOCKET_PATH = 104; // bytes; the system's limit is 107

export function stateFolder(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_STATE_HOME'] ?? '';
  return join(isAbsolute(base) ? base : join(homedir(), '.local', 'state'), 'sallyport', 'tunnels');
}

function ownFolder(): string {
  const folder = stateFolder();
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
  } catch (error) {
    throw new Failure(sentence(error));
  }
  return folder;
}

/** Where the connector of this process listens for `ps`, `logs` and `replay`. */
export function inspectionSocket(name: string): string {
  const path = join(ownFolder(), `${name}.${process.pid}.sock`);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
    throw new Failure(`${path} is too long for a socket; set XDG_STATE_HOME to a shorter folder`);
  return path;
}

export interface Found {
  readonly name: string;
  readonly pid: number;
  readonly socket: string;
}

/** Connectors of this user that are running; what is left of those that are not is removed. */
export function runningConnectors(): Found[] {
  const folder = stateFolder();
  let files: string[];
  try {
    files = readdirSync(folder);
  } catch {
    return [];
  }
  return files.sort().flatMap((file) => {
    const [, name, pid] = /^([a-z0-9-]{1,63})\.(\d{1,10})\.sock$/.exec(file) ?? [];
    if (name === undefined) return [];
    const socket = join(folder, file);
    if (alive(Number(pid))) return [{ name, pid: Number(pid), socket }];
    rmSync(socket, { force: true });
    return [];
  });
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The name that this folder's tunnel to `target` has; made up the first time. */
export function keptName(target: string, folder = process.cwd()): string {
  const names = join(ownFolder(), 'names');
  mkdirSync(names, { recursive: true, mode: 0o700 });
  const file = join(names, createHash('sha256').update(`${folder}\0${target}`).digest('hex').slice(0, 32));
  try {
    const kept = readFileSync(file, 'utf8').trim();
    if (/^[a-z0-9-]{1,63}$/.test(kept)) return kept;
  } catch {
    // the first time
  }
  const name = madeUpName();
  writeFileSync(file, `${name}\n`, { mode: 0o600 });
  return name;
}

const FIRST =
  'amber brass calm clear coral dawn deep dusk early fair fern gold green grey high ivory jade keen late linen'
    .concat(
      ' lofty long mild misty north oak opal pale pine plain quiet rapid reed ripe river rose round sage salt sandy',
    )
    .concat(
      ' silver slate snowy south spring steady stone summer sunny swift teal tidal timber umber warm west wide wild',
    )
    .split(' ');
const SECOND = 'anchor arch bay beacon berth bridge brook buoy canal cape causeway chart cliff coast compass cove creek'
  .concat(
    ' current dock dune estuary ferry field fjord ford gate gull harbor haven hill inlet island jetty keel lagoon',
  )
  .concat(' landing lantern ledge lock marsh mast meadow mill moor oar pass path pier point pond port quay reef ridge')
  .concat(' sail shoal shore sound spit strait tide tower trail vale wharf')
  .split(' ');
const LETTERS = '23456789abcdefghjkmnpqrstvwxyz';

/** Two words for people and five characters against meeting another one: 10^11 in all. */
export function madeUpName(): string {
  const pick = <T>(items: ArrayLike<T>): T => items[randomInt(items.length)]!;
  const tail = Array.from({ length: 5 }, () => pick(LETTERS)).join('');
  return `${pick(FIRST)}-${pick(SECOND)}-${tail}`;
}
