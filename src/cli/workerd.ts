/** The workerd configuration of a deployment: what src/platform/bindings.ts says the worker expects around it. */
import { copyFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { capnpConfig, Embed, type CapnpValue } from './capnp.ts';
import { parseDial } from '../compiler/policy/backend.ts';
import { connectAddress, type Pinned } from './egress.ts';
import type { AgentOptions } from '../platform/platform.ts';
import { publicNetwork } from './agent-options.ts';
import { Failure, sentence } from './failure.ts';

export const COMPATIBILITY_DATE = '2026-11-01';
/** The same everywhere: no Node APIs, so that one bundle runs on any target; and clients that leave are noticed. */
export const COMPATIBILITY_FLAGS = [
  'no_nodejs_compat',
  'no_nodejs_compat_v2',
  'enable_request_signal',
  'request_signal_passthrough',
];

/**
 * PERF: workerd 1.20261117.1 ends a collection of young objects by taking apart every request, answer and list of headers
 * that died, and marks nothing of all that as its pause: 10 to 20 ms each time, by the size of the young generation (16 MB
 * by default). With 2 MB it is 1 to 2 ms. p99 at 500 requests a second through a tunnel 19.7 ms before, 5.0 with it;
 * requests a second and CPU for one are the same (1 % apart), resident memory after load 290 MB in place of 420.
 */
const V8_FLAGS = ['--max-semi-space-size=2'] as const;

/** The service that holds the objects; `-d objects=FOLDER` says where. */
export const OBJECTS = 'objects';
/** The same, for looking up only. */
export const KNOWN = 'known-objects';
/** Tells a process which of several it is. */
export const SHARD_VARIABLE = 'SALLYPORT_SHARD';

/** Durable Objects of the worker. A key names a folder and is part of every object's id: it never changes. */
export const OBJECT_CLASSES = [
  { part: 'tunnels', binding: 'TUNNEL_SESSION', className: 'TunnelSession', uniqueKey: 'sallyport-tunnel-session-1' },
  {
    part: 'tunnels',
    binding: 'TUNNEL_REGISTRY',
    className: 'TunnelRegistry',
    uniqueKey: 'sallyport-tunnel-registry-1',
  },
  { part: 'agents', binding: 'REPLAY_GUARD', className: 'ReplayGuard', uniqueKey: 'sallyport-replay-guard-1' },
  { part: 'limits', binding: 'RATE_LIMITER', className: 'RateLimiter', uniqueKey: 'sallyport-rate-limiter-1' },
  { part: 'mcp', binding: 'MCP_SESSIONS', className: 'McpSessions', uniqueKey: 'sallyport-mcp-sessions-1' },
  { part: 'payments', binding: 'LEDGER', className: 'Ledger', uniqueKey: 'sallyport-ledger-1' },
  { part: 'report', binding: 'AGENT_REPORT', className: 'AgentReport', uniqueKey: 'sallyport-agent-report-1' },
] as const;

/** TCP connections that go to a service of a tunnel as they are. */
export interface TcpListener {
  readonly name: string;
  readonly tunnel: string;
  readonly service: string; // '' for the connector's default one
}

export interface WorkerdOptions {
  readonly origins: readonly Pinned[];
  /** Names of the secrets that are given, by the environment variable that holds each. */
  readonly secrets: ReadonlyMap<string, string>;
  readonly tls: { readonly cert: string; readonly key: string } | null; // PEM
  /** PEM certificates that origins may be signed by, beside those that browsers trust. */
  readonly authorities: readonly string[];
  /** They come after our own, so that theirs is the last word. */
  readonly v8Flags: readonly string[];
  /** A directory of images, or a list of image files (beside the configuration) that become part of it. */
  readonly images: { readonly directory: string } | { readonly embedded: readonly string[] };
  /** `x` of the public key of whose tunnels there may be; without, there are none. */
  readonly operator?: string | null;
  /** Unix sockets over which the processes reach the objects of each other, one of each; none for one process. */
  readonly shards?: readonly string[];
  /** null, or absent: signatures of agents are not looked at. */
  readonly agents?: AgentOptions | null;
  /** Whether there are objects that count: they need a folder. */
  readonly limits?: boolean;
  /** Sockets whose connections are streams of a tunnel, by name; their addresses come from the command line. */
  readonly tcp?: readonly TcpListener[];
  /** Addresses to listen on; without, they come from the command line. */
  readonly listen?: string;
  /** null: none; without, its address comes from the command line. */
  readonly control?: string | null;
}

/** WORKER_FILES are expected beside the configuration. */
export function workerdConfig(options: WorkerdOptions): string {
  const dials: Record<string, string> = {};
  const bindings: CapnpValue[] = [{ name: 'PLATFORM', text: 'workerd' }];
  const services: CapnpValue[] = [];
  options.origins.forEach((pinned, index) => {
    const service = `origin-${index}`;
    dials[pinned.key] = `ORIGIN_${index}`;
    bindings.push({ name: `ORIGIN_${index}`, service });
    services.push({ name: service, external: external(pinned, options.authorities) });
  });
  bindings.push({ name: 'DIALS', json: JSON.stringify(dials) });
  for (const [name, variable] of options.secrets) bindings.push({ name: `SECRET_${name}`, fromEnvironment: variable });

  const modules: CapnpValue[] = [
    { name: 'worker.js', esModule: new Embed('worker.js') },
    { name: './markdown.js', esModule: new Embed('markdown.js') },
    { name: './engine.wasm', wasm: new Embed('engine.wasm') },
  ];
  services.push({
    name: 'images',
    ...('directory' in options.images
      ? { disk: { path: options.images.directory } }
      : embedded(options.images.embedded)),
  });
  bindings.push({ name: 'IMAGES', service: 'images' });
  modules.push({ name: './images.js', esModule: 'export default null;\n' });

  const { operator = null, agents = null } = options;
  const parts = {
    tunnels: operator !== null,
    agents: agents !== null,
    mcp: options.limits === true,
    report: agents !== null,
    limits: options.limits === true,
    payments: agents !== null,
  };
  const classes = OBJECT_CLASSES.filter(({ part }) => parts[part]);
  if (operator !== null) bindings.push({ name: 'OPERATOR_KEY', text: operator });
  bindings.push(agents === null ? { name: 'AGENTS', text: 'off' } : { name: 'AGENTS', json: JSON.stringify(agents) });
  if (agents !== null) {
    // Enforced when a connection is made, whatever a name resolves to by then.
    const tlsOptions = { trustBrowserCas: true, trustedCertificates: options.authorities };
    services.push({ name: 'public', network: { allow: publicNetwork(agents), tlsOptions } });
    bindings.push({ name: 'PUBLIC', service: 'public' });
  }
  if (classes.length > 0) {
    for (const { binding, className } of classes) bindings.push({ name: binding, durableObjectNamespace: className });
    // The folder comes from the command line: each process has one of its own.
    services.push({ name: OBJECTS, disk: { writable: true } });
    // The same folder, for looking only.
    services.push({ name: KNOWN, disk: {} });
    bindings.push({ name: 'OBJECTS', service: KNOWN }, { name: 'SESSION_KEY', text: OBJECT_CLASSES[0].uniqueKey });
    const { shards = [] } = options;
    if (shards.length > 1) {
      bindings.push(
        { name: 'SHARD', fromEnvironment: SHARD_VARIABLE },
        { name: 'SHARDS', text: String(shards.length) },
      );
      shards.forEach((socket, index) => {
        services.push({ name: `shard-${index}`, external: { address: `unix:${socket}`, http: {} } });
        bindings.push({ name: `SHARD_${index}`, service: `shard-${index}` });
      });
    }
  }

  // Nothing of the worker may reach a network but through the services above: a fetch that names no dial fails here.
  services.push({ name: 'internet', network: { allow: [] } });
  services.push({
    name: 'main',
    worker: {
      modules,
      compatibilityDate: COMPATIBILITY_DATE,
      compatibilityFlags: COMPATIBILITY_FLAGS,
      bindings,
      globalOutbound: 'internet',
      ...(classes.length === 0
        ? {}
        : {
            durableObjectNamespaces: classes.map(({ className, uniqueKey }) => ({
              className,
              uniqueKey,
              enableSql: true,
            })),
            durableObjectStorage: { localDisk: OBJECTS },
          }),
    },
  });
  // A null value strips the header. Only Cloudflare's own edge may set it; here it would be the client's word.
  const http: CapnpValue = { injectRequestHeaders: [{ name: 'cf-connecting-ip' }] };
  const { tls } = options;
  const secured =
    tls === null
      ? { http }
      : { https: { options: http, tlsOptions: { keypair: { privateKey: tls.key, certificateChain: tls.cert } } } };
  return capnpConfig({
    services,
    sockets: [
      { name: 'http', address: options.listen, ...secured, service: 'main' },
      ...(options.tcp ?? []).map(({ name, tunnel, service }) => ({
        name,
        tcp: {},
        service: { name: 'main', entrypoint: 'tcp', props: { json: JSON.stringify({ tunnel, service }) } },
      })),
      ...(classes.length === 0 || (options.shards ?? []).length < 2
        ? []
        : [{ name: 'shard', http: {}, service: { name: 'main', entrypoint: 'shard' } }]),
      ...(options.control === null
        ? []
        : [{ name: 'control', address: options.control, http: {}, service: { name: 'main', entrypoint: 'control' } }]),
    ],
    v8Flags: [...V8_FLAGS, ...options.v8Flags],
  });
}

/** A worker that answers as the disk service does, from modules of its own: for a binary that carries its images. */
function embedded(files: readonly string[]): { worker: CapnpValue } {
  const modules: CapnpValue[] = files.map((file, index) => ({ name: `file-${index}`, data: new Embed(file) }));
  const lines = files.map(
    (file, index) =>
      `import file${index} from 'file-${index}'; files.set(${JSON.stringify(`/${basename(file)}`)}, file${index});`,
  );
  const source = `const files = new Map();
${lines.join('\n')}
export default { fetch(request) {
  const file = files.get(new URL(request.url).pathname);
  return file === undefined ? new Response(null, { status: 404 }) : new Response(file);
} };
`;
  const worker = {
    modules: [{ name: 'images.js', esModule: source }, ...modules],
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: COMPATIBILITY_FLAGS,
  };
  return { worker };
}

function external(pinned: Pinned, authorities: readonly string[]): CapnpValue {
  // A socket file that never exists: connecting fails at once, and the client gets 502.
  const address = connectAddress(pinned) ?? 'unix:/nonexistent/sallyport-denied.sock';
  const { scheme, host, tlsName } = parseDial(pinned.key);
  if (scheme === 'http') return { address, http: {} };
  const tlsOptions = { trustBrowserCas: true, trustedCertificates: authorities };
  return { address, https: { options: {}, tlsOptions, certificateHost: tlsName ?? host.replace(/^\[|\]$/g, '') } };
}

/** The workerd binary of the installed package. */
export function workerdBinary(): string {
  try {
    const found = createRequire(import.meta.url)('workerd') as { default: string };
    return found.default;
  } catch (error) {
    throw new Failure(
      `workerd is not installed for ${process.platform} ${process.arch} (${sentence(error)}); README says what to change in package.json`,
    );
  }
}

/** What the worker is made of; beside its configuration. */
export const WORKER_FILES = ['worker.js', 'markdown.js', 'engine.wasm'] as const;

export type Artefact = (typeof WORKER_FILES)[number] | 'explain.js' | 'agents.img' | 'core.img' | 'stamp.json';

/** Puts WORKER_FILES into a folder. */
export function copyWorker(folder: string): void {
  for (const name of WORKER_FILES) copyFileSync(artefact(name), join(folder, name));
}

/** Where `npm run build` puts the worker, the engine and explain.js; beside the command in an installed package. */
export function artefact(name: Artefact): string {
  const here = import.meta.dirname;
  return here.endsWith(join('src', 'cli')) ? join(here, '..', '..', 'dist', name) : join(here, name);
}
