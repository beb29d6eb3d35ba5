/** `sallyport serve`: runs policies on this machine until told to stop. */
import { defineCommand, type ArgsDef } from 'citty';
import { readFileSync } from 'node:fs';
import { readAgentOptions } from './agent-options.ts';
import { egressPolicy } from './egress.ts';
import { Failure, sentence } from './failure.ts';
import { Gateway, type GatewayOptions } from './gateway.ts';
import { every, integer, listenAddress, policyFiles } from './options.ts';
import { humanAccess, humanReport, jsonAccess, jsonReport } from './report.ts';
import { readSecrets } from './secrets.ts';

export const serveArguments = {
  files: { type: 'positional', description: 'policy files, one app each', valueHint: 'FILE...', required: false },
  listen: {
    type: 'string',
    description: 'address to listen on; port 0 takes a free one',
    valueHint: 'host:port',
    default: '127.0.0.1:8080',
  },
  workers: { type: 'string', description: 'number of workerd processes', valueHint: 'N', default: '1' },
  tcp: {
    type: 'string',
    description: 'address whose TCP connections go to a tunnel as they are; repeatable',
    valueHint: 'host:port=TUNNEL[/SERVICE]',
  },
  'tls-cert': { type: 'string', description: 'certificate chain, PEM', valueHint: 'file' },
  'tls-key': { type: 'string', description: 'private key, PEM', valueHint: 'file' },
  'origin-ca': {
    type: 'string',
    description: 'PEM certificates that origins may be signed by, beside public ones; repeatable',
    valueHint: 'file',
  },
  tunnels: { type: 'boolean', description: 'private origins may dial in', default: true },
  agents: {
    type: 'string',
    description: 'proof of who agents are: off, wire=compat, nonce=required, dns=URL, ...; repeatable',
    valueHint: 'NAME[=VALUE]',
  },
  watch: { type: 'boolean', description: 'swap the policy in when a file changes' },
  'allow-loopback': { type: 'boolean', description: 'origins may have loopback addresses' },
  'egress-allow': {
    type: 'string',
    description: 'an address or CIDR block that origins may have although denied by default; repeatable',
    valueHint: 'cidr',
  },
  secret: { type: 'string', description: 'a named secret; repeatable', valueHint: 'NAME=env:VAR|file:PATH' },
  grace: {
    type: 'string',
    description: 'seconds to drain before a process is killed',
    valueHint: 'seconds',
    default: '10',
  },
  'max-memory': {
    type: 'string',
    description: 'MiB of one process above which it is replaced; 0: no limit',
    valueHint: 'MiB',
    default: '1024',
  },
  'v8-flag': {
    type: 'string',
    description: 'a V8 flag, such as --max-semi-space-size=16; repeatable',
    valueHint: 'flag',
  },
  state: { type: 'string', description: 'directory for images and sockets', valueHint: 'directory' },
  json: { type: 'boolean', description: 'print JSON lines' },
} satisfies ArgsDef;

interface Parsed {
  readonly _: readonly string[];
  readonly listen: string;
  readonly workers: string;
  readonly 'tls-cert'?: string | undefined;
  readonly 'tls-key'?: string | undefined;
  readonly watch?: boolean | undefined;
  readonly tunnels?: boolean | undefined;
  readonly 'allow-loopback'?: boolean | undefined;
  readonly grace: string;
  readonly 'max-memory': string;
  readonly state?: string | undefined;
  readonly json?: boolean | undefined;
}

export default defineCommand({
  meta: { name: 'serve', description: 'run policies on this machine under workerd' },
  args: serveArguments,
  run: ({ args, rawArgs }) => runGateway(gatewayOptions(args, rawArgs)),
});

export function gatewayOptions(args: Parsed, rawArgs: readonly string[]): GatewayOptions {
  const files = policyFiles(args._);
  const all = (name: string) => every(rawArgs, serveArguments, name);
  const workers = integer(args.workers, '--workers', 1, 64);
  if (workers > 1 && process.platform !== 'linux')
    throw new Failure('--workers above 1 needs Linux, where each process can have its own socket on one port');
  return {
    files,
    ...listenAddress(args.listen),
    workers,
    tcp: all('tcp').map(tcpListener),
    tls: tlsFiles(args['tls-cert'], args['tls-key']),
    authorities: all('origin-ca').map((path) => pem(path, 'CERTIFICATE')),
    egress: egressPolicy(all('egress-allow'), args['allow-loopback'] === true),
    secrets: readSecrets(all('secret')),
    grace: integer(args.grace, '--grace', 0, 3600) * 1000,
    maxMemory: integer(args['max-memory'], '--max-memory', 0, 1048576) * 1048576,
    v8Flags: all('v8-flag'),
    state: args.state ?? null,
    watch: args.watch === true,
    tunnels: args.tunnels !== false,
    agents: readAgentOptions(all('agents')),
    report: args.json === true ? jsonReport : humanReport,
    access: args.json === true ? jsonAccess : humanAccess,
  };
}

/** `host:port=TUNNEL` or `host:port=TUNNEL/SERVICE`. */
export function tcpListener(text: string, index: number): NonNullable<GatewayOptions['tcp']>[number] {
  const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
  const [, address = '', tunnel, service = ''] = new RegExp(`^(.+)=(${label})(?:/(${label}))?$`).exec(text) ?? [];
  if (tunnel === undefined)
    throw new Failure(`--tcp takes host:port=TUNNEL or host:port=TUNNEL/SERVICE, not "${text}"`);
  const { host, port } = listenAddress(address, '--tcp');
  if (port === 0) throw new Failure('--tcp needs a port: nobody could learn which one was taken');
  return { name: `tcp-${index}`, tunnel, service, host, port };
}

function tlsFiles(cert: string | undefined, key: string | undefined): GatewayOptions['tls'] {
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined) throw new Failure('--tls-cert and --tls-key belong together');
  pem(cert, 'CERTIFICATE');
  pem(key, 'PRIVATE KEY');
  return { cert, key };
}

/** The text of a PEM file, or a Failure that says what is wrong with it. */
function pem(path: string, label: 'CERTIFICATE' | 'PRIVATE KEY'): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Failure(sentence(error));
  }
  if (!text.includes(`${label}-----`)) throw new Failure(`${path} holds no PEM ${label.toLowerCase()}`);
  return text;
}

/** Signals closer together than this are one: Ctrl-C reaches a process through its group and through who started it. */
const SAME_SIGNAL = 1000; // ms
const ORPHAN_INTERVAL = 500; // ms

/** Runs until SIGINT or SIGTERM; a second one ends the drain at once. SIGHUP compiles the policies again. */
export async function runGateway(options: GatewayOptions): Promise<void> {
  let gateway: Gateway | null = null;
  let asked = 0;
  const ended = Promise.withResolvers<void>();
  const stop = () => {
    if (asked !== 0 && Date.now() - asked < SAME_SIGNAL) return;
    const again = asked !== 0;
    asked = Date.now();
    gateway?.stop(again ? 0 : undefined).then(ended.resolve, ended.reject);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', () => void gateway?.reload());
  whenAbandoned(stop);
  // Who read the log is gone: nothing is served unseen.
  process.stdout.on('error', () => asked === 0 && stop());
  if (options.egress.loopback)
    options.report({ event: 'notice', message: 'origins may have loopback addresses (--allow-loopback)' });
  gateway = await Gateway.open(options);
  if (asked !== 0) gateway.stop(0).then(ended.resolve, ended.reject); // asked to while it was starting
  await ended.promise;
  process.exit(0);
}

/** Calls back when the process that this one was started by is gone: the one of scripts or bin/, or npm. */
function whenAbandoned(stop: () => void): void {
  if (process.connected) {
    process.on('disconnect', stop);
    process.channel?.unref(); // the channel alone must not keep a command alive that has failed
  }
  // npm that is killed leaves its children running; elsewhere an orphan is what nohup and daemons are.
  if (process.env['npm_command'] === undefined) return;
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && stop(), ORPHAN_INTERVAL).unref();
}
