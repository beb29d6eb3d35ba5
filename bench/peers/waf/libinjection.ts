/**
 * libinjection, the detector behind `@detectSQLi` and `@detectXSS` of ModSecurity and Coraza, to compare ours with. It is
 * called in the libmodsecurity of the system (Debian: libmodsecurity-dev); nothing of it is in the repository.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { installed } from '../../harness/processes.ts';

const run = promisify(execFile);
const source = fileURLToPath(new URL('libinjection/harness.cpp', import.meta.url));
const folder = fileURLToPath(new URL('../../../build/peers/', import.meta.url));
const program = `${folder}libinjection`;
const LIBRARIES = ['/usr/lib', '/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/local/lib'];

export interface PeerVerdict {
  readonly sql: boolean;
  readonly xss: boolean;
  /** Nanoseconds of one call, 0 when they were not asked for. */
  readonly sqlTime: number;
  readonly xssTime: number;
}

/** Why it cannot be asked, '' when it can; builds it. */
export async function libinjectionLacks(): Promise<string> {
  if (!installed('g++')) return 'libinjection is not built: this machine lacks a C++ compiler (g++)';
  const library = LIBRARIES.find((place) => existsSync(place) && readdirSync(place).includes('libmodsecurity.so'));
  if (library === undefined) return 'libinjection is not built: this machine lacks libmodsecurity-dev';
  mkdirSync(folder, { recursive: true });
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return '';
  try {
    await run('g++', ['-std=c++17', '-O2', '-o', program, source, '-lmodsecurity']);
    return '';
  } catch (error) {
    return `libinjection could not be built: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Its verdicts on texts, in their order. `count` repeats each call so often and takes the time. */
export async function askLibinjection(texts: readonly Uint8Array[], count = 0): Promise<PeerVerdict[]> {
  const child = spawn(program, count > 0 ? [String(count)] : [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  for (const text of texts) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    child.stdin.write(length);
    child.stdin.write(text);
  }
  child.stdin.end();
  const status = await ended;
  const lines = Buffer.concat(chunks).toString('latin1').split('\n').slice(0, -1);
  if (status !== 0 || lines.length !== texts.length) throw new Error(`libinjection's harness ended with ${status}`);
  return lines.map((line) => {
    const [sql, xss, sqlTime, xssTime] = line.split(' ');
    return { sql: sql === '1', xss: xss === '1', sqlTime: Number(sqlTime), xssTime: Number(xssTime) };
  });
}
