/**
 * `sallyport tunnel install`: a systemd unit that keeps a connector running from the start of the machine on. The unit
 * may read its capability, reach the network and nothing else: a connector that is taken over has no files, no devices,
 * no other processes and no rights to gain.
 */
import { defineCommand } from 'citty';
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync, writeFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { LABEL } from '../../tunnel/capability.ts';
import { parseTarget, TargetError } from '../../tunnel/connector/targets.ts';
import { printable } from '../accesslog.ts';
import { described } from '../described.ts';
import { Failure, sentence } from '../failure.ts';
import { every, integer } from '../options.ts';
import { edgeOf } from './edge-url.ts';
import { unitState } from './journal.ts';
import { rightsOf } from './rights.ts';

const UNITS = '/etc/systemd/system';
const PATIENCE = 10_000; // ms for the connector's first word

const installArguments = {
  name: { type: 'positional', description: 'of the tunnel', required: true },
  target: { type: 'positional', description: 'port or HOST:PORT to publish, such as 3000', required: false },
  tcp: { type: 'string', description: 'port or HOST:PORT to publish as raw TCP', valueHint: 'target' },
  service: {
    type: 'string',
    description: 'another server, reached as SERVICE of this tunnel; repeatable',
    valueHint: 'name=host:port',
  },
  capability: { type: 'string', description: 'file of tunnel create', valueHint: 'file', required: true },
  edge: { type: 'string', description: 'URL of the edge; default: SALLYPORT_EDGE', valueHint: 'URL' },
  sockets: { type: 'string', description: 'connections to the edge that are kept', valueHint: 'N', default: '2' },
  'dry-run': { type: 'boolean', description: 'print the unit and change nothing' },
  json: { type: 'boolean', description: 'print JSON' },
} as const;

export default defineCommand({
  meta: described({
    name: 'install',
    description: 'keep a connector running with systemd',
    examples: [
      'sallyport tunnel install office 3000 --capability office.json --edge https://edge.example.com --dry-run',
    ],
  }),
  args: installArguments,
  async run({ args, rawArgs }) {
    if (!LABEL.test(args.name))
      throw new Failure(`a tunnel has a name like laptop: letters, digits and - in lower case, not "${args.name}"`);
    const services = every(rawArgs, installArguments, 'service');
    const targets = targetsOf(args.target, args.tcp, services);
    const { url, guessed } = edgeOf(args.edge);
    if (guessed) throw new Failure('name the edge with --edge: a service runs in no directory of a deployment');
    const capability = resolve(args.capability);
    // systemd reads it whatever it is and whoever may read it; what is wrong with it is told now.
    await rightsOf(capability, [args.name]);
    const unit = unitText({
      name: args.name,
      program: [process.execPath, realpathSync(process.argv[1] ?? '')],
      listen: [
        ...targets,
        ...['--edge', url.origin === 'null' ? url.href : url.origin],
        ...['--sockets', String(integer(args.sockets, '--sockets', 1, 16)), '--json'],
      ],
      capability,
    });
    const name = `sallyport-tunnel-${args.name}.service`;
    const file = join(UNITS, name);
    if (args['dry-run'] === true)
      return void process.stdout.write(args.json ? `${JSON.stringify({ ok: true, file, unit, done: [] })}\n` : unit);
    const done = install(name, file, unit);
    const { state, detail } = await unitState(name, PATIENCE);
    const remove = `to remove it: systemctl disable --now ${name} && rm ${file}`;
    if (state === 'failed')
      throw new Failure(`${file} is written, but the tunnel is not up: ${detail}; systemd goes on trying; ${remove}`);
    if (args.json) {
      const told = state === 'ready' ? { ready: true, url: detail } : { ready: false, reason: detail };
      return void process.stdout.write(`${JSON.stringify({ ok: true, file, unit, done, ...told })}\n`);
    }
    const up =
      state === 'ready'
        ? `the tunnel is up${detail === '' ? '' : `: ${detail}`}`
        : `the tunnel is not up yet${detail === '' ? '' : ` (${printable(detail)})`}: the edge is dialled until it is`;
    process.stdout.write(`${file} is written, ${up}\nits log: journalctl -u ${name} -f\n${remove}\n`);
  },
});

/** What `listen` gets in front of its options; a wrong target is told now and not to a log later. */
function targetsOf(target: string | undefined, tcp: string | undefined, services: readonly string[]): string[] {
  try {
    if (target !== undefined) parseTarget(target, 'http');
    if (tcp !== undefined) parseTarget(tcp, 'tcp');
    for (const service of services) {
      const equals = service.indexOf('=');
      if (!LABEL.test(service.slice(0, Math.max(0, equals))))
        throw new Failure(`--service takes name=host:port, such as api=127.0.0.1:4000, not "${service}"`);
      parseTarget(service.slice(equals + 1));
    }
  } catch (error) {
    throw error instanceof TargetError ? new Failure(error.message) : error;
  }
  if (target === undefined && tcp === undefined && services.length === 0)
    throw new Failure('what is to be published? Such as sallyport tunnel install laptop 3000');
  return [
    ...(target === undefined ? [] : [target]),
    ...(tcp === undefined ? [] : ['--tcp', tcp]),
    ...services.flatMap((service) => ['--service', service]),
  ];
}

export interface Unit {
  readonly name: string;
  /** Node and the command, absolute. */
  readonly program: readonly [node: string, command: string];
  /** Target and options of `tunnel listen`. */
  readonly listen: readonly string[];
  /** Absolute. */
  readonly capability: string;
}

/** Throws a Failure for what a unit cannot say. */
export function unitText({ name, program, listen, capability }: Unit): string {
  const [node, command] = program;
  const [target, ...options] = listen;
  const positional = target === undefined || target.startsWith('--') ? [name] : [target, name];
  const rest = positional.length === 1 ? listen : options;
  const line = [node, command, 'tunnel', 'listen', ...positional, ...rest].map(quoted).join(' ');
  if (![node, command, capability].every(isAbsolute)) throw new Failure('a unit needs absolute paths');
  return `# Written by sallyport tunnel install.
[Unit]
Description=Sallyport tunnel ${name}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${line} --capability \${CREDENTIALS_DIRECTORY}/capability
LoadCredential=capability:${escaped(capability)}
Restart=always
RestartSec=2
TimeoutStopSec=15
KillSignal=SIGTERM

# Nobody: a user that exists while the unit runs, without home, files or rights.
DynamicUser=yes
StateDirectory=sallyport-tunnel-${name}
Environment=XDG_CONFIG_HOME=%S/sallyport-tunnel-${name} XDG_STATE_HOME=%S/sallyport-tunnel-${name} HOME=%S/sallyport-tunnel-${name}
WorkingDirectory=%S/sallyport-tunnel-${name}
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
PrivateIPC=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# V8 compiles at run time: MemoryDenyWriteExecute would end it.
MemoryMax=512M
TasksMax=64
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
`;
}

/** SPEC: systemd.service, Command lines: quotes, `\\`, `%` and `$` mean something. */
function quoted(word: string): string {
  const safe = escaped(word).replaceAll('$', '$$$$');
  return /^[A-Za-z0-9_@%+=:,./$-]+$/.test(safe) ? safe : `"${safe.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function escaped(word: string): string {
  if (/[\u0000-\u001f\u007f]/.test(word)) throw new Failure('a unit can hold no control characters');
  return word.replaceAll('%', '%%');
}

function install(name: string, file: string, unit: string): string[] {
  if (process.platform !== 'linux' || !existsSync('/run/systemd/system'))
    throw new Failure('systemd does not run here; --dry-run prints the unit');
  if (process.getuid?.() !== 0) throw new Failure(`${file} needs root: run it with sudo, or print it with --dry-run`);
  try {
    writeFileSync(file, unit, { mode: 0o644 });
  } catch (error) {
    throw new Failure(sentence(error));
  }
  const commands = [['daemon-reload'], ['enable', name], ['restart', name]];
  return commands.map((args) => {
    const { status, stderr } = spawnSync('systemctl', args, { encoding: 'utf8' });
    if (status !== 0) throw new Failure(`systemctl ${args.join(' ')} failed: ${stderr.trim()}`);
    return `systemctl ${args.join(' ')}`;
  });
}
