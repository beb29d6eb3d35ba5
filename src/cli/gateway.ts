/**
 * An on-prem deployment that is running: policies compiled into a state directory, workerd supervised, policies
 * swapped in, and one control socket for all of it. `serve`, `dev` and `npm start` differ in its options only.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Diagnostic } from '../compiler/diagnostics.ts';
import type { Manifest } from '../plan.ts';
import { isAccessLine } from './accesslog.ts';
import { LISTS_FILE, tellOfLists } from './agent-lists.ts';
import { openControl } from './control.ts';
import { compileHere, type Deployment } from './deployment.ts';
import { takeState } from './objects.ts';
import { pinAll, type EgressPolicy, type Pinned } from './egress.ts';
import { Failure, sentence } from './failure.ts';
import { operatorFor } from './operator.ts';
import { writePrivate } from './private.ts';
import { missingSecret } from './secrets.ts';
import { freePort } from './sockets.ts';
import { Supervisor, type ProcessEvent, type ProcessStatus } from './supervisor.ts';
import { watchFiles, type Watcher } from './watch.ts';
import { type TcpListener, copyWorker, workerdBinary, workerdConfig, type WorkerdOptions } from './workerd.ts';

export const RESOLVE_INTERVAL = 60_000; // ms between two lookups of an origin's name
/** State of deployments, one folder each; `status` and `reload` find them here. */
export const STATE_FOLDER = '.sallyport';
const SWAP_TIMEOUT = 30_000; // ms for a worker to load and validate images
const MAX_SOCKET_PATH = 90; // bytes: the system's limit is 107, and file names are added

export interface GatewayOptions {
  readonly files: readonly string[];
  readonly host: string;
  readonly port: number; // 0: any free one
  readonly workers: number;
  /** Sockets whose connections go to a service of a tunnel. */
  readonly tcp?: readonly (TcpListener & { readonly host: string; readonly port: number })[];
  readonly tls: { readonly cert: string; readonly key: string } | null; // paths
  readonly authorities: readonly string[]; // PEM
  readonly egress: EgressPolicy;
  readonly secrets: ReadonlyMap<string, string>; // by name
  readonly grace: number; // ms
  readonly maxMemory: number; // bytes, 0 = no limit
  readonly v8Flags: readonly string[];
  /** Where images, configuration and sockets live; null: `.sallyport/HOST-PORT` in the working directory. */
  readonly state: string | null;
  readonly watch: boolean;
  /** False: there are no tunnels, whatever a policy says. */
  readonly tunnels?: boolean;
  readonly agents?: WorkerdOptions['agents'];
  readonly report: (event: GatewayEvent) => void;
  /** One line of the access log, JSON as src/observe/access-log.ts writes it. */
  readonly access: (line: string) => void;
}

export type GatewayEvent =
  | {
      readonly event: 'ready';
      readonly url: string;
      readonly control: string;
      readonly pid: number;
      readonly generation: string;
      readonly workers: number;
      readonly apps: readonly string[];
      /** The wildcard of the hosts that are tunnels, or null. */
      readonly tunnels: string | null;
    }
  | {
      readonly event: 'swapped';
      readonly generation: string;
      readonly apps: readonly string[];
      readonly milliseconds: number;
    }
  | { readonly event: 'rejected'; readonly diagnostics: readonly Diagnostic[]; readonly reason: string }
  | { readonly event: 'restarting'; readonly reason: string }
  | { readonly event: 'stopped' }
  | { readonly event: 'diagnostics'; readonly diagnostics: readonly Diagnostic[] } // warnings of what is served
  | { readonly event: 'notice'; readonly message: string }
  | { readonly event: 'log'; readonly worker: number; readonly message: string }
  | ProcessEvent;

export interface ReloadResult {
  readonly ok: boolean;
  readonly generation: string;
  readonly reason: string;
  readonly diagnostics: readonly Diagnostic[];
}

export interface GatewayStatus {
  readonly url: string;
  readonly pid: number;
  readonly generation: string;
  readonly apps: Manifest['apps'];
  readonly files: readonly string[];
  /** Connections that the running processes have; a policy with another one restarts them. */
  readonly dials: readonly string[];
  readonly state: string;
  readonly workers: readonly ProcessStatus[];
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #state: string;
  readonly #sockets: string;
  readonly #supervisor: Supervisor;
  readonly #port: number;
  /** `x` of the public key of whose tunnels there may be; null: there are none. */
  readonly #operator: string | null;
  #deployment: Deployment;
  #origins: Map<string, Pinned>;
  #closeControl: () => void = () => {};
  /** Gives the state folder back; null: another deployment has it. */
  #leave: (() => void) | null = null;
  #watcher: Watcher | null = null;
  #resolver: NodeJS.Timeout | null = null;
  #stopping = false;
  /** Reloads happen one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(
    options: GatewayOptions,
    port: number,
    deployment: Deployment,
    origins: Map<string, Pinned>,
    operator: string | null,
  ) {
    this.#options = options;
    this.#operator = operator;
    this.#port = port;
    this.#deployment = deployment;
    this.#origins = origins;
    // SAFETY: private from the start, whoever else may write to the directory above.
    this.#sockets = mkdtempSync(join(tmpdir(), 'sallyport-'));
    const place = `${options.host}-${port}`.replaceAll(':', '_');
    this.#state = resolve(options.state ?? join(STATE_FOLDER, place));
    this.#supervisor = new Supervisor({
      workerd: workerdBinary(),
      config: join(this.#state, 'config.capnp'),
      sockets: this.#sockets,
      objects: join(this.#state, 'objects'),
      listeners: options.tcp ?? [],
      workers: options.workers,
      host: options.host,
      port,
      grace: options.grace,
      maxMemory: options.maxMemory,
      environment: Object.fromEntries([...options.secrets].map(([name, value]) => [variableOf(name), value])),
      onLine: (line, worker) => this.#line(line, worker),
      onError: (line, worker) => options.report({ event: 'log', worker, message: line }),
      onEvent: options.report,
    });
  }

  /** Compiles, starts and waits until requests are served. Errors of the policy are reported, then thrown as a Failure. */
  static async open(options: GatewayOptions): Promise<Gateway> {
    const port = await freePort(options.host, options.port);
    const operator = options.tunnels === false ? null : await operatorFor(options.report);
    const { diagnostics, deployment } = await compileHere(options.files, operator);
    if (deployment === null) {
      options.report({ event: 'rejected', diagnostics, reason: 'the policy has errors' });
      throw new Failure('nothing is served: the policy has errors');
    }
    if (diagnostics.length > 0) options.report({ event: 'diagnostics', diagnostics });
    const missing = missingSecret(deployment, options.secrets);
    if (missing !== null) throw new Failure(missing);
    const origins = await pinAll(deployment.dials, options.egress, new Map());
    for (const { problem } of origins.values()) {
      if (problem === null) continue;
      if (problem.includes(' is denied: ')) throw new Failure(problem);
      options.report({ event: 'notice', message: `${problem}; it is looked up again every minute` });
    }
    tellOfLists(options.report);
    const gateway = new Gateway(options, port, deployment, origins, operator);
    try {
      await gateway.#start(deployment);
    } catch (error) {
      gateway.#clean();
      throw error;
    }
    return gateway;
  }

  get url(): string {
    const { host, tls } = this.#options;
    return `${tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${this.#port}`;
  }

  get #control(): string {
    const inState = join(this.#state, 'control.sock');
    return Buffer.byteLength(inState) <= MAX_SOCKET_PATH ? inState : join(this.#sockets, 'control.sock');
  }

  async #start(deployment: Deployment): Promise<void> {
    const [options, state] = [this.#options, this.#state];
    this.#leave = takeState(state, options);
    mkdirSync(join(state, 'images'), { recursive: true, mode: 0o700 });
    chmodSync(state, 0o700);
    // Copies, so that a rebuild of the worker while this runs cannot change what a restarted process loads.
    copyWorker(state);
    this.#writeConfig();
    this.#publish(deployment);
    await this.#supervisor.start();
    this.#closeControl = await openControl(this.#control, { gateway: this, supervisor: this.#supervisor });
    writePrivate(
      join(state, 'serve.json'),
      JSON.stringify({ pid: process.pid, url: this.url, control: this.#control }),
    );
    const files = (): string[] => [...options.files, LISTS_FILE, ...this.#deployment.texts];
    if (options.watch) this.#watcher = watchFiles(files, () => this.reload());
    this.#resolver = setInterval(() => void this.resolveAgain(), RESOLVE_INTERVAL);
    this.#resolver.unref();
    options.report({
      event: 'ready',
      url: this.url,
      control: this.#control,
      pid: process.pid,
      generation: deployment.manifest.generation,
      workers: options.workers,
      apps: deployment.apps,
      tunnels: deployment.tunnels,
    });
  }

  /** Compiles the files again. Good: served from now on. Bad: said, and the last good policy goes on serving. */
  reload(): Promise<ReloadResult> {
    // Whatever goes wrong, a full disk included: it is a refusal, and what is served goes on.
    const result = this.#queue.then(() => this.#reload()).catch((error: unknown) => this.#reject([], sentence(error)));
    this.#queue = result;
    return result;
  }

  async #reload(): Promise<ReloadResult> {
    const startedAt = performance.now();
    const { diagnostics, deployment } = await compileHere(this.#options.files, this.#operator);
    if (deployment === null) return this.#reject(diagnostics, 'the policy has errors');
    const missing = missingSecret(deployment, this.#options.secrets);
    if (missing !== null) return this.#reject(diagnostics, missing);
    const origins = await pinAll(deployment.dials, this.#options.egress, this.#origins);
    const denied = [...origins.values()].find(({ problem }) => problem?.includes(' is denied: '));
    if (denied !== undefined) return this.#reject(diagnostics, denied.problem ?? '');

    const fresh = [...origins.values()].filter(({ key, address }) => this.#origins.get(key)?.address !== address);
    if (fresh.length > 0) {
      const refused = await this.#replace(deployment, origins, `new address ${fresh.map(({ key }) => key).join(', ')}`);
      if (refused !== null) return this.#reject(diagnostics, refused);
    } else {
      const refused = await this.#swap(deployment);
      if (refused !== null) return this.#reject(diagnostics, refused);
    }
    if (diagnostics.length > 0) this.#options.report({ event: 'diagnostics', diagnostics });
    const { generation } = deployment.manifest;
    this.#options.report({
      event: 'swapped',
      generation,
      apps: deployment.apps,
      milliseconds: Math.round(performance.now() - startedAt),
    });
    return { ok: true, generation, reason: '', diagnostics };
  }

  #reject(diagnostics: readonly Diagnostic[], reason: string): ReloadResult {
    this.#options.report({ event: 'rejected', diagnostics, reason });
    return { ok: false, generation: this.#deployment.manifest.generation, reason, diagnostics };
  }

  /** Asks every process to load the images; null, or why one refused, in which case all are back on the last good ones. */
  async #swap(deployment: Deployment): Promise<string | null> {
    const before = this.#deployment;
    this.#publish(deployment);
    const swap = async (target: Deployment) => {
      const answers = await Promise.allSettled(
        this.#supervisor.workers.map((worker) =>
          worker.request('POST', '/v1/swap', JSON.stringify(target.manifest), SWAP_TIMEOUT),
        ),
      );
      for (const answer of answers) {
        if (answer.status === 'rejected') continue; // down: it reads current.json when it is back
        if (answer.value.status !== 200) return `a worker refused the images: ${answer.value.body.slice(0, 500)}`;
      }
      return null;
    };
    const refused = await swap(deployment);
    if (refused === null) return null;
    this.#publish(before);
    await swap(before);
    return refused;
  }

  /** Restarts every process with other connections; null, or why one did not come up, in which case all is as before. */
  async #replace(deployment: Deployment, origins: Map<string, Pinned>, reason: string): Promise<string | null> {
    const config = join(this.#state, 'config.capnp');
    const before = { deployment: this.#deployment, origins: this.#origins, config: readFileSync(config) };
    try {
      this.#writeConfig(origins);
      this.#publish(deployment);
      this.#origins = origins;
      await this.#restart(reason);
      return null;
    } catch (error) {
      const begun = this.#origins === origins;
      this.#origins = before.origins;
      writePrivate(config, before.config); // as it was, whatever became of certificates since
      this.#publish(before.deployment);
      if (begun && !this.#stopping) await this.#restart('back to what was served before');
      return sentence(error);
    }
  }

  async #restart(reason: string): Promise<void> {
    this.#options.report({ event: 'restarting', reason });
    await this.#supervisor.restart();
  }

  /** Writes images and then, in one step, the manifest that names them; drops images that nothing names any more. */
  #publish(deployment: Deployment): void {
    const folder = join(this.#state, 'images');
    for (const [hash, bytes] of deployment.images) writePrivate(join(folder, `${hash}.img`), bytes);
    writePrivate(join(folder, 'current.json'), JSON.stringify(deployment.manifest));
    // A process that starts while this happens may still read the manifest before.
    const kept = new Set([...deployment.images.keys(), ...this.#deployment.images.keys()].map((hash) => `${hash}.img`));
    for (const name of readdirSync(folder))
      if (name.endsWith('.img') && !kept.has(name)) rmSync(join(folder, name), { force: true });
    this.#deployment = deployment;
  }

  #writeConfig(connections = this.#origins): void {
    const { secrets, tls, authorities, v8Flags, agents = null } = this.#options;
    const text = workerdConfig({
      origins: [...connections.values()],
      secrets: new Map([...secrets.keys()].map((name) => [name, variableOf(name)])),
      tls: tls === null ? null : { cert: readFileSync(tls.cert, 'utf8'), key: readFileSync(tls.key, 'utf8') },
      ...{ authorities, v8Flags, agents },
      images: { directory: join(this.#state, 'images') },
      operator: this.#operator,
      limits: true,
      shards: this.#supervisor.workers.map(({ shard }) => shard),
      tcp: this.#options.tcp ?? [],
    });
    writePrivate(join(this.#state, 'config.capnp'), text);
  }

  /** Names are pinned to addresses when a process starts; a name that moved means a new configuration. */
  async resolveAgain(): Promise<void> {
    const run = async () => {
      const origins = await pinAll([...this.#origins.keys()], this.#options.egress, this.#origins);
      const moved: string[] = [];
      for (const [key, pinned] of origins) {
        const before = this.#origins.get(key)?.address ?? null;
        const unresolved = pinned.address === null && pinned.problem?.includes(' is denied: ') !== true;
        if (pinned.address === before || unresolved) continue; // a name server that is down takes nothing away
        this.#origins.set(key, pinned);
        moved.push(`${key} is now ${pinned.address ?? `nowhere (${pinned.problem})`}`);
      }
      if (moved.length === 0 || this.#stopping) return;
      this.#writeConfig();
      await this.#restart(moved.join('; '));
    };
    this.#queue = this.#queue.then(run).catch(() => {});
    await this.#queue;
  }

  #line(line: string, worker: number): void {
    if (isAccessLine(line)) this.#options.access(line);
    else this.#options.report({ event: 'log', worker, message: line });
  }

  status(): GatewayStatus {
    const { manifest, dials } = this.#deployment;
    return {
      url: this.url,
      pid: process.pid,
      generation: manifest.generation,
      apps: manifest.apps,
      files: this.#options.files,
      dials,
      state: this.#state,
      workers: this.#supervisor.status(),
    };
  }

  /** Drains and stops; a second call with a grace of 0 ends at once. */
  async stop(grace = this.#options.grace): Promise<void> {
    const first = !this.#stopping;
    this.#stopping = true;
    this.#watcher?.close();
    if (this.#resolver !== null) clearInterval(this.#resolver);
    await this.#supervisor.stop(grace);
    if (!first) return;
    this.#closeControl();
    this.#clean();
    this.#options.report({ event: 'stopped' });
  }

  #clean(): void {
    this.#leave?.();
    rmSync(this.#sockets, { recursive: true, force: true });
  }
}

const variableOf = (secret: string): string => `SALLYPORT_SECRET_${secret}`;
