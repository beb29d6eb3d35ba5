/**
 * The processes of a benchmark: servers that are measured, the origin behind them, the load in front.
 * Everything lives in one temporary folder and ends with `stop`.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bursts } from './bursts.ts';

/** USER_HZ, the unit of /proc/PID/stat; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Server {
  readonly pid: number;
  readonly port: number;
}
export interface Load {
  /** Raw requests, sent in rotation over keep-alive connections. */
  readonly requests: readonly string[];
  readonly connections: number;
  readonly seconds: number;
}
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Connection failures, timeouts and answers of 400 and above. */
  readonly errors: number;
}

export class Processes {
  /** Raw request that a started server must answer with 200 before it counts as up. */
  readonly #probe: string;
  readonly folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  readonly #children: ChildProcess[] = [];
  readonly #null = openSync('/dev/null', 'w');

  constructor(probe: string) {
    this.#probe = probe;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, this.#interrupted);
  }

  /** Whoever interrupts a run wants no servers and no folder left behind. */
  readonly #interrupted = (signal: NodeJS.Signals): void => {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
    process.kill(process.pid, signal); // the default way to end, now that nobody handles it
  };

  /**
   * Starts a server and waits until it is up: until it answers the probe, unless `up` says otherwise. Its standard output
   * goes to `output` or nowhere.
   */
  async start(
    command: string,
    args: readonly string[],
    port: number,
    output = this.#null,
    up: (port: number) => Promise<boolean> = (one) => answers(one, this.#probe),
  ): Promise<Server & { firstResponse: number }> {
    const begun = performance.now();
    const child = spawn(command, args, { cwd: this.folder, stdio: ['ignore', output, 'pipe'] });
    this.#children.push(child);
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-1000)));
    let ended = false;
    child.once('exit', () => (ended = true));
    child.once('error', (error) => ((ended = true), (said += error.message)));
    while (!(await up(port))) {
      if (ended || performance.now() - begun > 30_000)
        throw new Error(`${command} did not answer on port ${port}: ${said}`);
      await new Promise((done) => setTimeout(done, 1));
    }
    return { pid: child.pid!, port, firstResponse: performance.now() - begun };
  }

  async end(server: Server): Promise<void> {
    const child = this.#children.find((candidate) => candidate.pid === server.pid);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await gone;
  }

  async stop(): Promise<void> {
    for (const child of this.#children) if (child.pid) await this.end({ pid: child.pid, port: 0 });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, this.#interrupted);
    closeSync(this.#null);
    rmSync(this.folder, { recursive: true, force: true });
  }

  write(name: string, content: string | Uint8Array): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }
}

function answers(port: number, probe: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(probe));
    socket.once('data', (data) => {
      done(data.toString('latin1').startsWith('HTTP/1.1 200 '));
      socket.destroy();
    });
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
  });
}

/** Whether somebody takes connections, whatever they speak. */
export function listens(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => {
      done(true);
      socket.destroy();
    });
    socket.once('error', () => done(false));
  });
}

export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

/**
 * CPU time that a process has used so far, user and system, all threads, in microseconds. From the scheduler's own
 * account in nanoseconds, where the kernel keeps it: the ticks of /proc/PID/stat are 10 ms, too coarse for short rounds.
 */
export function cpuMicros(pid: number): number {
  try {
    let nanoseconds = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    }
    if (nanoseconds > 0) return nanoseconds / 1000;
  } catch {
    // No schedstat in this kernel.
  }
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The command name, field 2, may hold spaces and parentheses: count fields from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / TICKS_PER_SECOND;
}

/** A process and all that it started, as long as those live. */
export function family(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // Gone in the meantime.
    }
  }
  const found = [pid];
  for (const parent of found) for (const [child, of] of parents) if (of === parent) found.push(child);
  return found;
}

export function residentMB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024;
}

export function installed(command: string): boolean {
  try {
    execFileSync('/bin/sh', ['-c', `command -v ${command}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Load by `wrk` where it is installed, else by this process. */
export function loader(processes: Processes): { name: string; run(port: number, load: Load): Promise<LoadResult> } {
  if (!installed('wrk')) return { name: 'node', run: loadFromNode };
  let scripts = 0;
  const written = new Map<readonly string[], string>();
  return {
    name: 'wrk',
    run: (port, load) => {
      let script = written.get(load.requests);
      if (!script) {
        // JSON's escapes of ASCII text are Lua's as well.
        const lines = load.requests.map((request) => JSON.stringify(request));
        script = processes.write(
          `load-${scripts++}.lua`,
          `local requests = {\n${lines.join(',\n')}\n}\nlocal turn = 0\nfunction request()\n  turn = turn % #requests + 1\n  return requests[turn]\nend\n` +
            'function done(summary)\n  local e = summary.errors\n' +
            '  io.write(string.format(\'RESULT {"requests":%d,"micros":%d,"errors":%d}\\n\', summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout))\nend\n',
        );
        written.set(load.requests, script);
      }
      const args = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '-s', script, `http://127.0.0.1:${port}/`];
      return new Promise((done, fail) => {
        const child = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'inherit'] });
        let out = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
        child.once('error', fail).once('close', () => {
          const found = /^RESULT (.*)$/m.exec(out);
          if (!found) return fail(new Error(`wrk gave no result: ${out}`));
          const { requests, micros, errors } = JSON.parse(found[1]!) as {
            requests: number;
            micros: number;
            errors: number;
          };
          done({ requests, seconds: micros / 1e6, errors });
        });
      });
    },
  };
}

async function loadFromNode(port: number, load: Load): Promise<LoadResult> {
  const bursts = new Bursts(port, load.connections, load.requests);
  const begun = performance.now();
  let requests = 0;
  let errors = 0;
  while (performance.now() - begun < load.seconds * 1000) {
    errors += await bursts.send(load.connections * 10);
    requests += load.connections * 10;
  }
  bursts.close();
  return { requests, seconds: (performance.now() - begun) / 1000, errors };
}

/**
 * Waits, at most `seconds`, until nobody else keeps the machine busy; the share of it that is in use then. Whoever shares
 * the caches makes everything dearer, what works in native code most, and so bends ratios as well.
 */
export async function quiet(seconds: number): Promise<number> {
  const until = performance.now() + seconds * 1000;
  for (;;) {
    const before = cpuTicks();
    await new Promise((done) => setTimeout(done, 500));
    const after = cpuTicks();
    const busy = 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all);
    if (busy < QUIET || performance.now() > until) return busy;
  }
}

/** Share of all cores. */
export const QUIET = 0.1;

function cpuTicks(): { all: number; idle: number } {
  const ticks = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.trim().split(/\s+/).slice(1, 9).map(Number);
  return { all: ticks.reduce((sum, value) => sum + value, 0), idle: ticks[3]! + ticks[4]! };
}
