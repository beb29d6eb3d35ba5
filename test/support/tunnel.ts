/**
 * A tunnel over real processes for a test: `sallyport serve`, `sallyport tunnel listen` in a process of its own, and
 * between the two a proxy that does what networks do.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, begin, type Answer, type Options } from '../client.ts';
import { startCommand, startGateway, type CommandProcess, type Gateway } from '../gateway.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';

/** The host that the policies of these tests serve, and their tunnel. */
export const HOST = 'app.example.com';
export const TUNNEL = 'laptop';

/** A policy whose only backend is the tunnel; `more` is put at its end. */
export const tunnelPolicy = (more = '', backend = `{ tunnel: ${TUNNEL} }`): string =>
  `app: tunnelled\nhostnames: [${HOST}]\nbackends: { origin: ${backend} }\nroutes: [{ backend: origin }]\n${more}`;

export interface Tunnel {
  readonly gateway: Gateway;
  /** Between the connectors and the edge. */
  readonly wire: FaultProxy;
  readonly connectors: CommandProcess[];
  /** Another connector of the same tunnel; ready when it resolves. */
  connect(options?: ConnectOptions): Promise<CommandProcess>;
  /** Another command that runs until it is stopped, with the same keys, at the same edge, not through the proxy but where `port` is. */
  run(words: readonly string[], port?: number): Promise<CommandProcess>;
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
  const connectors: CommandProcess[] = [];
  const others: CommandProcess[] = [];
  const tunnel: Tunnel = {
    gateway,
    wire,
    connectors,
    connect: async ({ target = origin, args = [], env: more = {}, straight = false } = {}) => {
      const edge = `${gateway.url.split(':')[0]}://127.0.0.1:${straight ? gateway.port : wire.port}`;
      const words = ['tunnel', 'listen', String(target), TUNNEL, '--edge', edge, '--json', ...args];
      const connector = startCommand(words, home, { ...env, ...more });
      connectors.push(connector);
      await connector.event('ready');
      return connector;
    },
    run: async (words, port) => {
      const edge = port === undefined ? gateway.url : `http://127.0.0.1:${port}`;
      const command = startCommand([...words, '--edge', edge, '--json'], home, env);
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
