/**
 * Keeps workerd processes running: opens their sockets, starts them, restarts them when they crash or go wrong, and
 * drains them. Knows processes, sockets and time; nothing of policies.
 *
 * Every process has its own listening socket, opened here with SO_REUSEPORT and handed over as descriptor 3, so that
 * one can be replaced while the others serve. Rejected: one socket shared by all. It would have to stay open in this
 * process to be handed to a replacement, and an open one accepts connections that nobody here answers.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from './failure.ts';
import { unixRequest, type Answer } from './http.ts';
import { readLines } from './lines.ts';
import { openSocket } from './sockets.ts';
import { processUsage } from './usage.ts';

export const READY_TIMEOUT = 15_000; // ms from start to the first healthy answer
export const BACKOFF_MIN = 100; // ms before the first restart after a crash, doubled each time
export const BACKOFF_MAX = 10_000;
export const STEADY_AFTER = 30_000; // ms of life after which a crash counts as the first again
export const WATCH_INTERVAL = 2_000; // ms between looks at memory, CPU and health
export const HEALTH_TIMEOUT = 5_000; // ms for one health answer
export const DRAIN_TIMEOUT = 1000; // ms for a process to tell connectors that it will end
export const HEALTH_MISSES = 3; // unanswered in a row until a process is killed
export const RECYCLE_INTERVAL = 60_000; // ms at least between two restarts for memory

export interface SupervisorOptions {
  readonly workerd: string;
  readonly config: string; // path of the configuration file
  /** Folder of the objects of all processes, each in one of its own, where the configuration has objects. */
  readonly objects?: string | null;
  readonly sockets: string; // directory of the private control sockets, mode 0700
  readonly workers: number;
  readonly host: string;
  readonly port: number; // a free one, see freePort
  /** Beside it: sockets of the configuration, by name. */
  readonly listeners?: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  readonly grace: number; // ms between SIGTERM and SIGKILL
  readonly maxMemory: number; // bytes of resident memory of one process, 0 = no limit
  /** Secrets, by the name of the environment variable that the configuration refers to. */
  readonly environment: Readonly<Record<string, string>>;
  readonly onLine: (line: string, worker: number) => void; // standard output: one line
  readonly onError: (line: string, worker: number) => void; // standard error: one line
  readonly onEvent: (event: ProcessEvent) => void;
}

export type ProcessEvent =
  | {
      readonly event: 'crashed';
      readonly worker: number;
      readonly pid: number;
      readonly cause: string;
      readonly restartIn: number;
    }
  | { readonly event: 'restarted'; readonly worker: number; readonly pid: number }
  | { readonly event: 'recycling'; readonly worker: number; readonly pid: number; readonly cause: string };

export interface ProcessStatus {
  readonly worker: number;
  readonly pid: number;
  readonly state: 'starting' | 'ready' | 'draining' | 'down';
  readonly restarts: number;
  readonly uptime: number; // seconds
  readonly memory: number; // bytes resident, 0 where the platform does not say
  readonly cpu: number; // percent of one core over the last interval
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #workers: Worker[];
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#workers = Array.from({ length: options.workers }, (_, index) => new Worker(index, options));
  }

  get workers(): readonly Worker[] {
    return this.#workers;
  }

  /** Starts every process; rejects with a Failure when one does not come up. */
  async start(): Promise<void> {
    try {
      await Promise.all(this.#workers.map((worker) => worker.start()));
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /**
   * Replaces the processes one after the other, each drained first: for a configuration that cannot be swapped in.
   * Rejects with a Failure when one does not come up with it; those after it are left as they are.
   */
  async restart(): Promise<void> {
    for (const worker of this.#workers) {
      if (this.#stopping) return;
      await worker.restart(this.#options.grace);
    }
  }

  /** SIGTERM, grace, SIGKILL. Calling it again with a shorter grace shortens the wait. */
  async stop(grace = this.#options.grace): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#workers.map((worker) => worker.stop(grace)));
  }

  status(): ProcessStatus[] {
    return this.#workers.map((worker) => worker.status());
  }
}

export class Worker {
  readonly index: number;
  readonly control: string;
  /** Where other processes reach the objects of this one. */
  readonly shard: string;
  readonly #options: SupervisorOptions;
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();
  #state: ProcessStatus['state'] = 'down';
  #wanted = false;
  /** Counts starts and stops asked for: a restart after a crash that they overtake gives way. */
  #turn = 0;
  #restarts = 0;
  #crashes = 0;
  #startedAt = 0;
  #recycledAt = 0;
  #memory = 0;
  #cpu = 0;
  #ticks = 0;
  #ticksAt = 0;
  #misses = 0;
  #watch: NodeJS.Timeout | null = null;
  #kill: NodeJS.Timeout | null = null;

  constructor(index: number, options: SupervisorOptions) {
    this.index = index;
    this.control = join(options.sockets, `worker-${index}.sock`);
    this.shard = join(options.sockets, `shard-${index}.sock`);
    this.#options = options;
  }

  /** Starts the process and waits until it answers. */
  async start(): Promise<void> {
    this.#wanted = true;
    await this.#launch(++this.#turn);
  }

  /** Ends the process; it stays down until `start`. */
  async stop(grace: number): Promise<void> {
    this.#wanted = false;
    this.#turn++;
    await this.#drain(grace);
  }

  /** Drains and starts again. When it does not come up, that rejects, and is tried again like after a crash. */
  async restart(grace: number): Promise<void> {
    const stopped = this.stop(grace);
    const turn = this.#turn;
    await stopped;
    if (turn !== this.#turn) return; // somebody else stopped it meanwhile, for good
    try {
      await this.start();
    } catch (error) {
      if (turn + 1 === this.#turn) this.#crashed(0, error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  async #drain(grace: number): Promise<void> {
    const child = this.#child;
    if (child === null) return this.#exited;
    this.#state = 'draining';
    if (this.#kill !== null) clearTimeout(this.#kill);
    this.#kill = setTimeout(() => child.kill('SIGKILL'), grace);
    // Connectors of tunnels go elsewhere before nobody answers here any more.
    if (grace > 0) await this.request('POST', '/v1/drain', undefined, DRAIN_TIMEOUT).catch(() => {});
    child.kill('SIGTERM');
    await this.#exited;
  }

  request(method: string, path: string, body?: string, timeout = HEALTH_TIMEOUT): Promise<Answer> {
    return unixRequest(this.control, method, path, body, timeout);
  }

  status(): ProcessStatus {
    const pid = this.#child?.pid ?? 0;
    return {
      worker: this.index,
      pid,
      state: this.#state,
      restarts: this.#restarts,
      uptime: this.#child === null ? 0 : Math.round((Date.now() - this.#startedAt) / 1000),
      // Before the first look there is no figure yet.
      memory: this.#memory > 0 || pid === 0 ? this.#memory : (processUsage(pid)?.memory ?? 0),
      cpu: this.#cpu,
    };
  }

  /** Only for the latest turn: where a later one began meanwhile, nothing is started. */
  async #launch(turn: number): Promise<void> {
    const sockets = await this.#open();
    if (turn !== this.#turn) return sockets.forEach((socket) => void socket.close());
    // What cleans temporary directories may have taken it.
    mkdirSync(dirname(this.control), { recursive: true, mode: 0o700 });
    // workerd refuses to start on a socket file that a killed predecessor left behind.
    rmSync(this.control, { force: true });
    this.#state = 'starting';
    this.#startedAt = Date.now();
    this.#misses = 0;
    this.#ticksAt = 0;
    const child = this.#spawn(sockets);
    // SAFETY: in the same turn as the spawn, before this process can accept a connection on its copy.
    for (const socket of sockets) socket.close();
    this.#child = child;

    const errors: string[] = [];
    readLines(child.stdout!, (line) => this.#options.onLine(line, this.index));
    readLines(child.stderr!, (line) => {
      if (errors.length < 20) errors.push(line);
      this.#options.onError(line, this.index);
    });
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        errors.push(error.message);
        if (child.pid !== undefined) return; // it runs, and a signal could not be sent
        this.#child = null;
        this.#state = 'down';
        resolve();
      });
      child.once('exit', (code, signal) => {
        this.#child = null;
        this.#exit(child.pid ?? 0, code, signal);
      });
      // After the exit, and after its last lines were read.
      child.once('close', () => resolve());
    });
    const early = this.#exited.then(() => {
      // Its first words are often a heading only.
      const said = errors.find((line) => !line.startsWith('***')) ?? errors[0];
      throw new Failure(`workerd did not start: ${said ?? 'it ended without a word'}`);
    });
    early.catch(() => {}); // it also rejects after an ordinary end, when nobody waits any more
    try {
      await Promise.race([this.#healthy(child), early]);
    } catch (error) {
      child.kill('SIGKILL');
      await this.#exited;
      throw error;
    }
    if (turn !== this.#turn) return; // who stops it meanwhile drains it
    this.#state = 'ready';
    this.#watch = setInterval(() => void this.#look(child), WATCH_INTERVAL);
    this.#watch.unref();
  }

  /** The one of apps, then the others; all or none. */
  async #open(): Promise<Server[]> {
    const { host, port, listeners = [] } = this.#options;
    const sockets: Server[] = [];
    try {
      for (const at of [{ host, port }, ...listeners]) sockets.push(await openSocket(at.host, at.port));
      return sockets;
    } catch (error) {
      for (const socket of sockets) socket.close();
      throw error;
    }
  }

  #spawn(sockets: readonly Server[]): ChildProcess {
    const { workerd, config, objects, listeners = [] } = this.#options;
    const args = ['serve', config, '-s', `control=unix:${this.control}`];
    for (const [index, name] of ['http', ...listeners.map((one) => one.name)].entries())
      args.push('-S', `${name}=${3 + index}`);
    if (objects !== undefined && objects !== null) {
      const folder = join(objects, `worker-${this.index}`);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      args.push('-d', `objects=${folder}`, '-d', `known-objects=${folder}`);
      if (this.#options.workers > 1) {
        rmSync(this.shard, { force: true });
        args.push('-s', `shard=unix:${this.shard}`);
      }
    }
    // Its own process group: Ctrl-C in a terminal must reach the supervisor alone, which drains the others. And where
    // the kernel can be told to, it ends them should the supervisor be killed.
    const [command, ...prefix] = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', '--', workerd] : [workerd];
    const descriptors = sockets.map((socket) => (socket as unknown as { _handle: { fd: number } })._handle.fd);
    return spawn(command!, [...prefix, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', ...descriptors],
      detached: true,
      env: { ...inheritedEnvironment(), ...this.#options.environment, SALLYPORT_SHARD: String(this.index) },
    });
  }

  async #healthy(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + READY_TIMEOUT;
    let last = '';
    while (Date.now() < deadline) {
      if (this.#child !== child) return this.#exited; // #launch knows what it said at its end
      try {
        const answer = await this.request('GET', '/readyz', undefined, 1000);
        if (answer.status === 200) return;
        last = answer.body.slice(0, 500);
      } catch {
        // not listening yet
      }
      await sleep(10);
    }
    throw new Failure(`workerd was not ready within ${READY_TIMEOUT / 1000} s${last === '' ? '' : `: ${last}`}`);
  }

  #exit(pid: number, code: number | null, signal: NodeJS.Signals | null): void {
    const serving = this.#state === 'ready'; // starting: #launch reports it; draining: who drains it goes on
    this.#state = 'down';
    this.#memory = 0;
    this.#cpu = 0;
    if (this.#watch !== null) clearInterval(this.#watch);
    if (this.#kill !== null) clearTimeout(this.#kill);
    this.#watch = this.#kill = null;
    if (!this.#wanted || !serving) return;
    if (Date.now() - this.#startedAt > STEADY_AFTER) this.#crashes = 0;
    this.#crashed(pid, signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`);
  }

  #crashed(pid: number, cause: string): void {
    const restartIn = Math.min(BACKOFF_MAX, BACKOFF_MIN * 2 ** this.#crashes++);
    this.#options.onEvent({ event: 'crashed', worker: this.index, pid, cause, restartIn });
    void this.#respawn(restartIn, this.#turn);
  }

  async #respawn(delay: number, turn: number): Promise<void> {
    await sleep(delay);
    if (turn !== this.#turn || this.#child !== null) return;
    this.#restarts++;
    try {
      await this.#launch(turn);
      const { pid } = this.status();
      if (turn === this.#turn) this.#options.onEvent({ event: 'restarted', worker: this.index, pid });
    } catch (error) {
      if (turn !== this.#turn) return; // stopped while it was starting
      this.#crashed(0, error instanceof Error ? error.message : String(error));
    }
  }

  /** workerd has no memory or CPU limit of its own: one runaway loop stalls every request of the process. */
  async #look(child: ChildProcess): Promise<void> {
    if (this.#state !== 'ready' || this.#child !== child) return;
    const usage = processUsage(child.pid!);
    if (usage !== null) {
      const now = Date.now();
      if (this.#ticksAt > 0) this.#cpu = Math.round(((usage.cpu - this.#ticks) / (now - this.#ticksAt)) * 100);
      this.#ticks = usage.cpu;
      this.#ticksAt = now;
      this.#memory = usage.memory;
      const { maxMemory, grace } = this.#options;
      if (maxMemory > 0 && usage.memory > maxMemory && now - this.#recycledAt > RECYCLE_INTERVAL) {
        this.#recycledAt = now;
        const cause = `${Math.round(usage.memory / 1048576)} MiB resident, the limit is ${Math.round(maxMemory / 1048576)}`;
        this.#options.onEvent({ event: 'recycling', worker: this.index, pid: child.pid!, cause });
        const turn = this.#turn;
        await this.#drain(grace);
        return this.#respawn(0, turn);
      }
    }
    try {
      await this.request('GET', '/healthz');
      this.#misses = 0;
    } catch {
      if (this.#child !== child || this.#state !== 'ready') return;
      if (++this.#misses !== HEALTH_MISSES) return; // checks that were sent meanwhile go unanswered too
      this.#options.onEvent({
        event: 'recycling',
        worker: this.index,
        pid: child.pid!,
        cause: `no answer to ${HEALTH_MISSES} health checks`,
      });
      child.kill('SIGKILL'); // a stalled event loop does not see SIGTERM; the exit handler starts the next one
    }
  }
}

const SETPRIV = '/usr/bin/setpriv';

/** What workerd needs of the environment: nothing of ours may leak into it, names of secrets apart. */
function inheritedEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TZ', 'LANG', 'SSL_CERT_FILE', 'SSL_CERT_DIR'];
  return Object.fromEntries(
    kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}
