/**
 * Starts a real gateway on a real socket for a test, on either target, and listens to what it says.
 *
 * `workerd`: `sallyport serve --json` in a process of its own, as an operator runs it.
 * `cloudflare`: the bundle of `sallyport deploy --dry-run --outdir`, as wrangler would upload it, run by Miniflare.
 */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent } from 'node:http';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const BIN = join(ROOT, 'bin/sallyport.mjs');

export type Target = 'workerd' | 'cloudflare';
export const TARGETS: readonly Target[] = ['workerd', 'cloudflare'];

/** One line that the gateway printed: `event` is ready, access, swapped, rejected, restarting, stopped ... */
export interface GatewayEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface Gateway {
  readonly target: Target;
  readonly url: string;
  readonly port: number;
  /** Unix socket of the control API; '' on Cloudflare. */
  readonly control: string;
  readonly events: readonly GatewayEvent[];
  readonly stderr: () => string;
  readonly pid: number;
  readonly folder: string;
  /** Keeps connections open between requests. */
  readonly agent: Agent;
  /** Resolves with the next event of that kind for which `test` holds, past ones from index `since` included. */
  event(kind: string, test?: (event: GatewayEvent) => boolean, since?: number): Promise<GatewayEvent>;
  /** Writes new policy texts over the old ones; `--watch` must be among the arguments. */
  write(...policies: string[]): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the exit code once the process is gone. */
  readonly exited: Promise<number | null>;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  policy: string | readonly string[];
  target?: Target;
  /** For `serve`. */
  args?: readonly string[];
  /** For `deploy`. */
  deploy?: readonly string[];
  env?: Record<string, string>;
  /** Default 127.0.0.1:0. */
  listen?: string;
  /** Puts what the policies need into their folder, before anything starts. */
  prepare?: (folder: string) => Promise<void>;
  /** Loopback origins are what tests have; false shows that they are refused. */
  allowLoopback?: boolean;
}

const PATIENCE = 30_000;

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const policies = typeof options.policy === 'string' ? [options.policy] : options.policy;
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-test-'));
  const files = policies.map((_, index) => join(folder, `app-${index}.yaml`));
  await Promise.all(policies.map((text, index) => writeFile(files[index] as string, text)));
  try {
    await options.prepare?.(folder);
    return await (options.target === 'cloudflare'
      ? startBundle(options, files, folder)
      : startServe(options, files, folder));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Collects lines of a stream; each JSON object with an `event` is emitted, the rest kept as text. */
export class Listener extends EventEmitter {
  readonly events: GatewayEvent[] = [];
  text = '';
  #rest = '';
  override readonly emit: (name: string, ...args: unknown[]) => boolean = super.emit.bind(this);

  constructor() {
    super();
    this.setMaxListeners(0);
  }

  feed(chunk: Buffer | string): void {
    this.#rest += chunk.toString();
    for (let eol = this.#rest.indexOf('\n'); eol >= 0; eol = this.#rest.indexOf('\n')) {
      this.line(this.#rest.slice(0, eol));
      this.#rest = this.#rest.slice(eol + 1);
    }
  }

  line(line: string): void {
    const at = line.indexOf('{');
    try {
      const value = JSON.parse(line.slice(Math.max(at, 0))) as GatewayEvent;
      // The worker's own lines say no kind; `serve` adds it.
      const event = typeof value.event === 'string' ? value.event : 'id' in value && 'path' in value ? 'access' : '';
      if (event === '') throw new Error('no event');
      this.events.push({ ...value, event });
      this.emit('event');
    } catch {
      this.text += `${line}\n`;
    }
  }

  async until(
    kind: string,
    test: (event: GatewayEvent) => boolean,
    since: number,
    gone: AbortSignal,
  ): Promise<GatewayEvent> {
    const late = AbortSignal.timeout(PATIENCE);
    for (;;) {
      const found = this.events.slice(since).find((event) => event.event === kind && test(event));
      if (found) return found;
      try {
        await once(this, 'event', { signal: AbortSignal.any([gone, late]) });
      } catch {
        throw new Error(
          `no event «${kind}» ${late.aborted ? `within ${PATIENCE} ms` : 'before the gateway ended'}\nevents: ${JSON.stringify(this.events.slice(-8))}\n${this.text.slice(-4000)}`,
        );
      }
    }
  }
}

/** One of our commands, in a process of its own. */
export interface CommandProcess {
  readonly pid: number;
  readonly events: readonly GatewayEvent[];
  readonly stderr: () => string;
  event(kind: string, test?: (event: GatewayEvent) => boolean, since?: number): Promise<GatewayEvent>;
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<number | null>;
  /** Ends it, at once by SIGKILL, and after ten seconds in any case. */
  kill(name?: NodeJS.Signals): Promise<void>;
}

export function startCommand(words: readonly string[], cwd: string, env: Record<string, string> = {}): CommandProcess {
  const child = spawn(process.execPath, [BIN, ...words], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'], // the channel ends it when the test process is gone
    env: { ...process.env, ...env },
  });
  child.channel?.unref();
  const [out, err] = [new Listener(), new Listener()];
  child.stdout?.on('data', (chunk: Buffer) => out.feed(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.feed(chunk));
  const gone = new AbortController();
  const exited = once(child, 'exit').then(([code]) => {
    gone.abort();
    return code as number | null;
  });
  return {
    pid: child.pid as number,
    events: out.events,
    stderr: () => err.text + out.text + JSON.stringify(err.events),
    event: async (kind, test = () => true, since = 0) => {
      try {
        return await out.until(kind, test, since, gone.signal);
      } catch (error) {
        throw new Error(`${(error as Error).message}\n${err.text}${JSON.stringify(err.events)}`, { cause: error });
      }
    },
    signal: (name) => void child.kill(name),
    exited,
    kill: async (name = 'SIGKILL') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(name);
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await exited;
      clearTimeout(late);
    },
  };
}

async function startServe(options: GatewayOptions, files: readonly string[], folder: string): Promise<Gateway> {
  const args = [
    'serve',
    ...files,
    '--listen',
    options.listen ?? '127.0.0.1:0',
    ...(options.allowLoopback === false ? [] : ['--allow-loopback']),
    '--json',
    ...(options.args ?? []),
  ];
  const command = startCommand(args, folder, options.env);
  let ready: GatewayEvent;
  try {
    ready = await command.event('ready');
  } catch (error) {
    await command.kill();
    throw error;
  }
  const url = String(ready['url']).replace(/\/$/, '').replace('[::]', '127.0.0.1');
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  return {
    target: 'workerd',
    url,
    port: Number(new URL(url).port),
    control: String(ready['control'] ?? ''),
    events: command.events,
    stderr: command.stderr,
    pid: command.pid,
    folder,
    agent,
    event: command.event,
    write: async (...policies) => {
      await Promise.all(policies.map((text, index) => writeFile(files[index] as string, text)));
    },
    signal: command.signal,
    exited: command.exited,
    stop: async () => {
      agent.destroy();
      await command.kill('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** `sallyport deploy --dry-run`, then the modules it wrote in Miniflare. */
async function startBundle(options: GatewayOptions, files: readonly string[], folder: string): Promise<Gateway> {
  const outdir = join(folder, 'bundle');
  const deployed = await run(
    ['deploy', ...files, '--dry-run', '--outdir', outdir, '--json', ...(options.deploy ?? [])],
    folder,
  );
  if (deployed.code !== 0)
    throw new Error(`deploy --dry-run failed (${deployed.code})\n${deployed.stdout}${deployed.stderr}`);
  const { Miniflare, convertV4MiniflareOptions } = await import('miniflare');
  const names = (await readdir(outdir, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(outdir, join(entry.parentPath, entry.name)));
  const main = names.find((name) => name === 'worker.js') ?? names.find((name) => name.endsWith('.js'));
  if (main === undefined) throw new Error(`no worker in the bundle: ${names.join(' ')}`);
  const kinds: Record<string, 'ESModule' | 'CompiledWasm' | 'Data'> = {
    js: 'ESModule',
    wasm: 'CompiledWasm',
    img: 'Data',
  };
  const config = JSON.parse(await readFile(join(outdir, 'wrangler.json'), 'utf8')) as {
    compatibility_date: string;
    compatibility_flags: string[];
    vars: Record<string, string>;
    durable_objects: { bindings: { name: string; class_name: string }[] };
  };
  const modules = [main, ...names.filter((name) => name !== main && /\.(js|wasm|img)$/.test(name))].map((name) => ({
    type: kinds[name.split('.').pop() ?? ''] ?? ('Data' as const),
    path: join(outdir, name),
  }));
  const listener = new Listener();
  const gone = new AbortController();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port: 0,
      modulesRoot: outdir,
      modules,
      compatibilityDate: config.compatibility_date,
      compatibilityFlags: config.compatibility_flags,
      bindings: { ...config.vars, ...options.env },
      durableObjects: Object.fromEntries(
        config.durable_objects.bindings.map(({ name, class_name: className }) => [
          name,
          { className, useSQLite: true },
        ]),
      ),
      handleStructuredLogs: ({ message }) => listener.feed(`${message}\n`),
    }),
  );
  const url = (await miniflare.ready).href.replace(/\/$/, '');
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  let finish: (code: number | null) => void = () => {};
  const exited = new Promise<number | null>((done) => (finish = done));
  return {
    target: 'cloudflare',
    url,
    port: Number(new URL(url).port),
    control: '',
    events: listener.events,
    stderr: () => listener.text,
    pid: 0,
    folder,
    agent,
    event: (kind, test = () => true, since = 0) => listener.until(kind, test, since, gone.signal),
    write: () => Promise.reject(new Error('a bundle is not reloaded')),
    signal: () => {},
    exited,
    stop: async () => {
      agent.destroy();
      await miniflare.dispose();
      gone.abort();
      finish(0);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface RunResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One command of the CLI, to its end. */
export async function run(
  args: readonly string[],
  cwd: string = ROOT,
  env: Record<string, string> = {},
): Promise<RunResult> {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false', NO_COLOR: '1', ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** A key and certificate for TLS tests, made with openssl for the names given. */
export async function certificate(
  folder: string,
  names: readonly string[],
): Promise<{ key: string; cert: string; keyFile: string; certFile: string }> {
  const [keyFile, certFile] = [resolve(folder, 'test-key.pem'), resolve(folder, 'test-cert.pem')];
  const san = names.map((name) => (/^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`)).join(',');
  const child = spawn(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-keyout',
      keyFile,
      '-out',
      certFile,
      '-subj',
      '/CN=sallyport-test',
      '-addext',
      `subjectAltName=${san}`,
    ],
    { stdio: 'ignore' },
  );
  const [code] = (await once(child, 'exit')) as [number];
  if (code !== 0) throw new Error(`openssl ended with ${code}`);
  return { key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8'), keyFile, certFile };
}
