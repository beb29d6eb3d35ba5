/**
 * Tunnels behind one interface: each has a public end, where requests come in, and a private end, which dials it and goes
 * on to the origin. All run on this machine and speak over loopback.
 *
 * Settings are the defaults but for what would make the comparison unfair: frp's own encryption is off as that of our
 * socket is on loopback (`transport.tls.enable`), and its proxy is of type tcp, the fastest it has. chisel and ssh cannot
 * be told not to encrypt.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { family, freePort, installed, listens, type Processes, type Server } from '../../harness/processes.ts';
import type { GoProgram } from './build.ts';

export interface RunningTunnel {
  /** Where the public end takes requests, on loopback. */
  readonly port: number;
  /** Processes of the public end, and of the private one: all that it started. */
  edge(): number[];
  connector(): number[];
  /** Milliseconds from the start of the private end to the first answer through the tunnel. */
  readonly firstByte: number;
  /** Ends the private end and starts it again; milliseconds as above. */
  again(): Promise<number>;
  stop(): Promise<void>;
}

export interface TunnelPeer {
  readonly id: string;
  readonly name: string;
  /** `through` puts something between the private end and the public one: it takes a port and gives the one to dial. */
  start(processes: Processes, originPort: number, through?: Through): Promise<RunningTunnel>;
}
export type Through = (port: number) => Promise<number>;
export const straight: Through = (port) => Promise.resolve(port);

/** A public end that runs, and how to start a private one; the other parts are the same for all. */
export async function runTunnel(
  processes: Processes,
  edge: Server,
  port: number,
  startConnector: () => Promise<Server & { firstResponse: number }>,
): Promise<RunningTunnel> {
  let connector = await startConnector();
  return {
    port,
    edge: () => family(edge.pid),
    connector: () => family(connector.pid),
    firstByte: connector.firstResponse,
    again: async () => {
      await processes.end(connector);
      // The public end may need a moment until it takes the name, or the port, again.
      for (let tries = 0; tries < 200 && (await answersAnything(port)); tries++) await pause(10);
      connector = await startConnector();
      return connector.firstResponse;
    },
    stop: async () => {
      await processes.end(connector);
      await processes.end(edge);
    },
  };
}

const pause = (milliseconds: number): Promise<void> => new Promise((done) => setTimeout(done, milliseconds));
async function answersAnything(port: number): Promise<boolean> {
  try {
    const { ok } = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(500) });
    return ok;
  } catch {
    return false;
  }
}

export function chisel(path: (program: GoProgram) => string): TunnelPeer {
  return {
    id: 'chisel',
    name: 'chisel',
    start: async (processes, originPort, through = straight) => {
      const [control, port] = [await freePort(), await freePort()];
      const serve = ['server', '--reverse', '--host', '127.0.0.1', '--port', String(control)];
      const edge = await processes.start(path('chisel'), serve, control, undefined, listens);
      const words = ['client', `127.0.0.1:${await through(control)}`, `R:127.0.0.1:${port}:127.0.0.1:${originPort}`];
      return await runTunnel(processes, edge, port, () => processes.start(path('chisel'), words, port));
    },
  };
}

export function frp(path: (program: GoProgram) => string): TunnelPeer {
  return {
    id: 'frp',
    name: 'frp',
    start: async (processes, originPort, through = straight) => {
      const [control, port] = [await freePort(), await freePort()];
      const quiet = 'log.to = "console"\nlog.level = "error"\n';
      const server = processes.write(
        `frps-${control}.toml`,
        `bindAddr = "127.0.0.1"\nbindPort = ${control}\nproxyBindAddr = "127.0.0.1"\n${quiet}`,
      );
      const client = processes.write(
        `frpc-${control}.toml`,
        `serverAddr = "127.0.0.1"\nserverPort = ${await through(control)}\ntransport.tls.enable = false\n${quiet}
[[proxies]]\nname = "bench"\ntype = "tcp"\nlocalIP = "127.0.0.1"\nlocalPort = ${originPort}\nremotePort = ${port}\n`,
      );
      const edge = await processes.start(path('frps'), ['-c', server], control, undefined, listens);
      return await runTunnel(processes, edge, port, () => processes.start(path('frpc'), ['-c', client], port));
    },
  };
}

const SSHD = '/usr/sbin/sshd';

/** What is missing for `ssh -R`, '' when nothing is. */
export function sshLacks(): string {
  if (!existsSync(SSHD)) return 'ssh -R is not measured: this machine lacks sshd (Debian: openssh-server)';
  if (!installed('ssh') || !installed('ssh-keygen')) return 'ssh -R is not measured: this machine lacks openssh-client';
  return '';
}

/** sshd as a process of this user, with keys that nobody keeps. */
export async function startSshd(
  processes: Processes,
  through: Through = straight,
): Promise<{ edge: Server; words: readonly string[] }> {
  const control = await freePort();
  // As root it wants a folder for the part that runs without rights; the service would make it.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  const [host, user] = ['host', 'user'].map((name) => join(processes.folder, `ssh-${name}-${control}`)) as [
    string,
    string,
  ];
  for (const file of [host, user])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file], { stdio: 'ignore' });
  const config = processes.write(
    `sshd-${control}`,
    `ListenAddress 127.0.0.1:${control}\nHostKey ${host}\nAuthorizedKeysFile ${user}.pub\nStrictModes no\nUsePAM no
PasswordAuthentication no\nKbdInteractiveAuthentication no\nAllowTcpForwarding yes\nPidFile none\nLogLevel ERROR\n`,
  );
  const edge = await processes.start(SSHD, ['-D', '-e', '-f', config], control, undefined, listens);
  const words = [
    '-F',
    'none',
    '-p',
    String(await through(control)),
    '-i',
    user,
    '-o',
    'IdentitiesOnly=yes',
    '-o',
    'BatchMode=yes',
  ].concat(['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR']);
  return { edge, words };
}

export const ssh: TunnelPeer = {
  id: 'ssh',
  name: 'ssh -R',
  start: async (processes, originPort, through = straight) => {
    const { edge, words } = await startSshd(processes, through);
    const port = await freePort();
    const forward = ['-N', '-o', 'ExitOnForwardFailure=yes', '-R', `127.0.0.1:${port}:127.0.0.1:${originPort}`];
    return await runTunnel(processes, edge, port, () =>
      processes.start('ssh', [...words, ...forward, '127.0.0.1'], port),
    );
  },
};
