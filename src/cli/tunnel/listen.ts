/**
 * `sallyport tunnel listen`: publishes a server of this network and stays until it is told to stop. The first Ctrl-C lets
 * open requests end, the second does not.
 */
import { defineCommand } from 'citty';
import { Connector, DEFAULT_SOCKETS, DRAIN, MAX_CONNECTOR_SOCKETS } from '../../tunnel/connector/connector.ts';
import { MAX_SERVICES, parseTarget, TargetError, Targets, type AddressTarget } from '../../tunnel/connector/targets.ts';
import { DENIALS } from '../../tunnel/capability.ts';
import { SERVICE } from '../../tunnel/opening.ts';
import { described } from '../described.ts';
import { Failure } from '../failure.ts';
import { readOperatorKey } from '../operator.ts';
import { every, integer } from '../options.ts';
import { edgeOf } from './edge-url.ts';
import { openInspector } from './inspector.ts';
import { inspectionSocket, keptName } from './local-state.ts';
import { humanListener, jsonListener, type Listener } from './listener.ts';
import { coveredName, rightsOf } from './rights.ts';
import type { Inspection } from '../../tunnel/shown.ts';
import { MAX_CAPTURE, Ring } from './ring.ts';

const listenArguments = {
  target: { type: 'positional', description: 'port or HOST:PORT to publish, such as 3000', required: false },
  name: {
    type: 'positional',
    description: 'of the tunnel; default: that of --capability, or made up and kept for this folder',
    required: false,
  },
  tcp: { type: 'string', description: 'port or HOST:PORT to publish as raw TCP', valueHint: 'target' },
  service: {
    type: 'string',
    description: 'another server, reached as SERVICE of this tunnel; repeatable',
    valueHint: 'name=host:port',
  },
  edge: {
    type: 'string',
    description: 'URL of the edge; default: SALLYPORT_EDGE, or the deployment of this directory',
    valueHint: 'URL',
  },
  capability: { type: 'string', description: 'file of tunnel create; default: your operator key', valueHint: 'file' },
  private: { type: 'boolean', description: 'no public URL: reached by tunnel access only' },
  sockets: {
    type: 'string',
    description: 'connections to the edge that are kept',
    valueHint: 'N',
    default: String(DEFAULT_SOCKETS),
  },
  inspect: {
    type: 'boolean',
    description: 'keep bodies of the last requests for logs --inspect and replay; --inspect=all shows secrets too',
  },
  json: { type: 'boolean', description: 'print one event a line' },
} as const;

export default defineCommand({
  meta: described({
    name: 'listen',
    description: 'publish a server of this network; runs until it is stopped',
    examples: [
      'sallyport tunnel listen 3000                  # a name is made up, and kept for this folder',
      'sallyport tunnel listen 127.0.0.1:3000 laptop --inspect',
      'sallyport tunnel listen --tcp 5432 db         # raw TCP, for sallyport tunnel access',
      'sallyport tunnel listen 3000 office --service db=localhost:5432 --capability office.json --edge https://edge.example.com',
    ],
  }),
  args: listenArguments,
  async run({ args, rawArgs }) {
    const { targets, name } = destination(args, every(rawArgs, listenArguments, 'service'), args.capability);
    const inspection = inspectionOf(rawArgs, args.inspect === true);
    const edge = edgeOf(args.edge);
    const listener = args.json === true ? jsonListener(inspection) : humanListener(inspection);
    listener.connecting(name, edge.url);
    const connector = new Connector({
      edge: edge.url,
      name,
      credentials: await rightsOf(args.capability, [name], [], args.private === true ? 'private' : null),
      targets: new Targets(targets),
      sockets: integer(args.sockets, '--sockets', 1, MAX_CONNECTOR_SOCKETS),
      capture: inspection === 'heads' ? 0 : MAX_CAPTURE,
    });
    const services = Object.fromEntries([...targets].map(([service, { host, port }]) => [service, `${host}:${port}`]));
    await run(connector, {
      edge: edge.url,
      guessed: edge.guessed,
      own: args.capability === undefined,
      services,
      inspection,
      listener,
    });
  },
});

/** What can be done about a refusal; `own`: a capability was made from this user's key. */
function advice(reason: string, own: boolean): string {
  return reason === DENIALS.foreign && own
    ? `; your key is ${readOperatorKey().x}: its operator can name it under tunnels.projects of a policy, or give you a capability of his`
    : '';
}

interface Running {
  readonly edge: URL;
  readonly guessed: boolean;
  /** Rights are issued by this user's key. */
  readonly own: boolean;
  readonly services: Readonly<Record<string, string>>;
  readonly inspection: Inspection;
  readonly listener: Listener;
}

async function run(
  connector: Connector,
  { edge, guessed, own, services, inspection, listener }: Running,
): Promise<void> {
  const ring = new Ring(inspection);
  const since = new Date().toISOString();
  let everReady = false;
  connector.on('request', (exchange) => {
    ring.begin(exchange);
    listener.request(exchange);
  });
  connector.on('response', (exchange) => listener.response(exchange));
  connector.on('end', (exchange) => {
    ring.end(exchange);
    listener.end(exchange);
  });
  connector.on('ready', (event) => {
    everReady = true;
    listener.ready({ ...event, edge, services });
  });
  const over = new Promise<Failure | null>((resolve) => {
    connector.on('reconnecting', (event) => {
      if (guessed && !everReady && /ECONNREFUSED/.test(event.reason))
        return resolve(
          new Failure(`no edge answers at ${edge.origin}; start one with sallyport dev, or name one with --edge URL`),
        );
      listener.reconnecting(event);
    });
    connector.on('closed', ({ reason, error }) => {
      resolve(
        error === null
          ? null
          : new Failure(`the edge refuses the tunnel ${connector.name}: ${reason}${advice(reason, own)}`),
      );
    });
  });
  const stop = (): void => stopOnSignal(connector, listener);
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', stop);
  // Nobody reads what is printed any more. Each line fails then, and none of them is a second Ctrl-C.
  let unread = false;
  process.stdout.on('error', () => {
    if (!unread) stop();
    unread = true;
  });
  const socket = inspectionSocket(connector.name);
  // Signs and dials while the inspector is opened.
  connector.start();
  const closeInspector = await openInspector(socket, {
    connector,
    ring,
    status: () => ({
      name: connector.name,
      url: connector.url,
      edge: edge.origin,
      pid: process.pid,
      since,
      sockets: connector.sockets,
      streams: connector.streams,
      roundTrip: connector.roundTrip,
      services,
      inspection,
      exchanges: ring.size,
    }),
  }).catch(async (error: unknown) => {
    await connector.close(0);
    throw error;
  });
  const failure = await over;
  closeInspector();
  listener.closed(failure === null ? '' : failure.message);
  await connector.close(0);
  if (failure !== null) throw failure;
  process.exit(0);
}

/** Signals closer together than this are one: Ctrl-C reaches a process through its group and through who started it. */
const SAME_SIGNAL = 500; // ms
let asked = 0;

function stopOnSignal(connector: Connector, listener: Listener): void {
  const now = performance.now();
  if (asked !== 0 && now - asked < SAME_SIGNAL) return;
  if (asked !== 0) process.exit(130);
  asked = now;
  if (connector.streams > 0) listener.draining(connector.streams, DRAIN);
  void connector.close();
}

/** What is published under which name. */
function destination(
  args: { readonly target?: string | undefined; readonly name?: string | undefined; readonly tcp?: string | undefined },
  services: readonly string[],
  capability: string | undefined,
): { targets: Map<string, AddressTarget>; name: string } {
  const targets = new Map<string, AddressTarget>();
  const positional = [args.target, args.name].filter((one) => one !== undefined);
  try {
    for (const service of services) {
      const equals = service.indexOf('=');
      const name = service.slice(0, Math.max(0, equals));
      if (!SERVICE.test(name))
        throw new Failure(`--service takes name=host:port, such as api=127.0.0.1:4000, not "${service}"`);
      if (targets.has(name)) throw new Failure(`--service ${name} is given twice`);
      targets.set(name, parseTarget(service.slice(equals + 1)));
    }
    if (args.tcp !== undefined) targets.set('', parseTarget(args.tcp, 'tcp'));
    // `listen laptop --service ...` publishes services only.
    else if (
      positional.length > 0 &&
      !(positional.length === 1 && services.length > 0 && SERVICE.test(positional[0]!) && !/^\d+$/.test(positional[0]!))
    )
      targets.set('', parseTarget(positional.shift()!, 'http'));
  } catch (error) {
    throw error instanceof TargetError ? new Failure(error.message) : error;
  }
  if (targets.size > MAX_SERVICES) throw new Failure(`${targets.size} services; the limit is ${MAX_SERVICES}`);
  if (targets.size === 0) throw new Failure('what is to be published? Such as sallyport tunnel listen 3000');
  if (positional.length > 1) throw new Failure(`one name is enough; "${positional[1]}" is another one`);
  const [given] = positional;
  if (given !== undefined && !SERVICE.test(given))
    throw new Failure(
      `a tunnel has a name like laptop: letters, digits and - in lower case, at most 63, not "${given}"`,
    );
  const described = [...targets].map(([service, { host, port }]) => `${service}=${host}:${port}`).join(' ');
  if (capability !== undefined) return { targets, name: coveredName(capability, given) };
  return { targets, name: given ?? keptName(described) };
}

function inspectionOf(rawArgs: readonly string[], asked: boolean): Inspection {
  const written = rawArgs.find((argument) => argument.startsWith('--inspect='));
  if (written === undefined) return asked ? 'bodies' : 'heads';
  if (written === '--inspect=all') return 'all';
  throw new Failure(`--inspect takes nothing or =all, not "${written.slice('--inspect='.length)}"`);
}
