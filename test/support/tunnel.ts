/**
 * A tunnel over real processes for a test: `sallyport serve`, `sallyport tunnel listen` in a process of its own, and
 * between the two a proxy that does what networks do.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, begin, type Answer, type Options } from '../client.ts';
import { BIN, Listener, startGateway, type Gateway, type GatewayEvent } from '../gateway.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';

/** The host that the policies of these tests serve, and their tunnel. */
export const HOST = 'app.example.com';
export const TUNNEL = 'laptop';

/** A policy whose only backend is the tunnel; `more` is put at its end. */
export const tunnelPolicy = (more = '', backend = `{ tunnel: ${TUNNEL} }`): string =>
  `app: tunnelled\nhostnames: [${HOST}]\nbackends: { origin: ${backend} }\nroutes: [{ backend: origin }]\n${more}`;

export interface ListenProcess {
  readonly pid: number;
  readonly events: readonly GatewayEvent[];
  readonly stderr: () => string;
  event(kind: string, test?: (event: GatewayEvent) => boolean, since?: number): Promise<GatewayEvent>;
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<number | null>;
  /** Ends it at once. */
  kill(): Promise<void>;
}

export interface Tunnel {
  readonly gateway: Gateway;
  /** Between the connectors and the edge. */
  readonly wire: FaultProxy;
  readonly connectors: ListenProcess[];
  /** Another connector of the same tunnel; ready when it resolves. */
  connect(options?: ConnectOptions): Promise<ListenProcess>;
  /** Another command that runs until it is stopped, with the same keys, at the same edge, not through the proxy. */
  run(words: readonly string[]): Promise<ListenProcess>;
  /** A whole request at the public end. */
  ask(path: string, options?: Options): Promise<Answer>;
  /** Begins one: the caller writes and reads. */
  begin(path: string, options?: Options): ReturnType<typeof begin>;
  /** Asks until the answer is no failure of the gateway: after something came back. */
  works(path?: string): Promise<Answer>;
  stop(): Promise<void>;
}

export interface ConnectOptions {
  /** What is exposed: a port, or the CLI's words. */
  readonly target?: number | string;
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  /** Dials the edge itself and not the proxy. */
  readonly straight?: boolean;
}

export interface TunnelOptions extends ConnectOptions {
  readonly policy?: string;
  readonly serve?: readonly string[];
}

const PATIENCE = 20_000;

export async function startTunnel(origin: number, options: TunnelOptions = {}): Promise<Tunnel> {
  const home = await mkdtemp(join(tmpdir(), 'sallyport-tunnel-'));
  // The operator's key of this test: edge and connector find the same one, and nobody else's.
  const env = { XDG_CONFIG_HOME: join(home, 'config'), XDG_STATE_HOME: join(home, 'state'), HOME: home };
  const gateway = await startGateway({
    policy: options.policy ?? tunnelPolicy(),
    env,
    ...(options.serve ? { args: options.serve } : {}),
  });
  const wire = await startFaultProxy(gateway.port);
  const connectors: ListenProcess[] = [];
  const others: ListenProcess[] = [];
  const tunnel: Tunnel = {
    gateway,
    wire,
    connectors,
    connect: async ({ target = origin, args = [], env: more = {}, straight = false } = {}) => {
      const edge = `${gateway.url.split(':')[0]}://127.0.0.1:${straight ? gateway.port : wire.port}`;
      const words = ['tunnel', 'listen', String(target), TUNNEL, '--edge', edge, '--json', ...args];
      const connector = listen(words, { ...env, ...more }, home);
      connectors.push(connector);
      await connector.event('ready');
      return connector;
    },
    run: async (words) => {
      const command = listen([...words, '--edge', gateway.url, '--json'], env, home);
      others.push(command);
      return command;
    },
    ask: (path, more = {}) => ask(`${gateway.url}${path}`, { host: HOST, agent: gateway.agent, ...more }),
    begin: (path, more = {}) => begin(`${gateway.url}${path}`, { host: HOST, ...more }),
    works: async (path = '/') => {
      for (const late = performance.now() + PATIENCE; ;) {
        const answer = await tunnel.ask(path, { agent: false }).catch(() => null);
        if (answer !== null && answer.status < 500) return answer;
        if (performance.now() > late)
          throw new Error(
            `the tunnel does not work: ${answer?.status} ${answer?.text()}\n${connectors.map((one) => one.stderr()).join('\n')}${gateway.stderr()}`,
          );
        await new Promise((done) => setTimeout(done, 50));
      }
    },
    stop: async () => {
      await Promise.all([...connectors, ...others].map((one) => one.kill()));
      await wire.stop();
      await gateway.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
  try {
    await tunnel.connect(options);
    return tunnel;
  } catch (error) {
    await tunnel.stop();
    throw error;
  }
}

function listen(words: readonly string[], env: Record<string, string>, cwd: string): ListenProcess {
  const child: ChildProcess = spawn(process.execPath, [BIN, ...words], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
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
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
}
