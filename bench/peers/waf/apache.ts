/**
 * ModSecurity 2 in Apache, the engine that CRS is written for: not fast, but the judge where engines disagree. It has no
 * form without its server, so requests go over a socket and what fires is read from the error log. Apache refuses some
 * requests before ModSecurity sees them, and answers 500 itself where a body cannot be parsed; then `refused` is its
 * status.
 *
 * Debian: libapache2-mod-security2, apache2-bin.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../../harness/processes.ts';
import type { Octets, RawTransaction } from '../../../src/waf/transaction.ts';
import type { Hit, Outcome } from './peer.ts';

const PROGRAM = '/usr/sbin/apache2';
const MODULES = '/usr/lib/apache2/modules';
const END = 'END OF TRANSACTION';
/** The ends of transactions that nobody asked for: Apache's own requests, connections that it times out. */
const PATIENCE = 5000;

export interface ApacheOutcome extends Outcome {
  /** Status where Apache answered on its own account, so that not all rules ran, or cut its log; 0 otherwise. */
  readonly refused: number;
}

export function apacheInstalled(): boolean {
  return existsSync(PROGRAM) && existsSync(join(MODULES, 'mod_security2.so'));
}

/** What the origin behind Apache answers. */
export type Origin = (
  method: string,
  target: string,
  body: Uint8Array,
) => {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
};

export class Apache {
  readonly name = 'ModSecurity 2 in Apache';
  readonly #folder = mkdtempSync(join(tmpdir(), 'sallyport-apache-'));
  readonly #origin: Server;
  #child: ChildProcess | null = null;
  #port = 0;
  #lines: string[] = [];
  #ended: ((status: number) => void) | null = null;

  private constructor(origin: Origin) {
    this.#origin = createServer({ insecureHTTPParser: true }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { status, headers, body } = origin(request.method ?? '', request.url ?? '', Buffer.concat(chunks));
        response.writeHead(status, headers.flat());
        response.end(body);
      });
    });
  }

  /** `rules` as peerConfiguration writes them. */
  static async start(rules: string, origin: Origin): Promise<Apache> {
    const apache = new Apache(origin);
    await new Promise<void>((done) => apache.#origin.listen(0, '127.0.0.1', done));
    apache.#port = await freePort();
    const rulesFile = join(apache.#folder, 'rules.conf');
    writeFileSync(rulesFile, rules);
    const configuration = join(apache.#folder, 'apache.conf');
    writeFileSync(configuration, apache.#configuration(rulesFile));
    // Apache opens its logs by name, so they cannot be the pipe that Node would give it.
    const log = join(apache.#folder, 'log');
    execFileSync('mkfifo', ['-m', '666', log]);
    const reader = spawn('cat', [log], { stdio: ['ignore', 'pipe', 'ignore'] });
    createInterface({ input: reader.stdout }).on('line', (line) => apache.#hear(line));
    const child = spawn(PROGRAM, ['-X', '-f', configuration], { stdio: ['ignore', 'ignore', 'pipe'] });
    apache.#child = child;
    createInterface({ input: child.stderr }).on('line', (line) => apache.#lines.push(line));
    child.once('exit', () => reader.kill());
    for (let waited = 0; !(await answers(apache.#port)); waited += 20) {
      if (child.exitCode !== null || waited > 20_000)
        throw new Error(`Apache did not start: ${apache.#lines.join(' ')}`);
      await new Promise((done) => setTimeout(done, 20));
    }
    return apache;
  }

  async run(transaction: RawTransaction): Promise<ApacheOutcome> {
    // Such a request has no headers on the wire.
    if (transaction.protocol === 'HTTP/0.9') return { status: 0, refused: 1, hits: [] };
    this.#lines = [];
    const status = await new Promise<number>((done) => {
      const socket = connect(this.#port, '127.0.0.1');
      const timer = setTimeout(() => this.#ended?.(0), PATIENCE);
      this.#ended = (code) => {
        clearTimeout(timer);
        this.#ended = null;
        socket.destroy();
        done(code);
      };
      socket.on('error', () => {}).on('data', () => {});
      // The half-close tells Apache that no more of the body comes.
      socket.end(wire(transaction));
    });
    // "Execution error" names a rule that could not be run, not one that matched.
    const lines = this.#lines.filter((line) => line.includes('ModSecurity: ') && !line.includes('Execution error'));
    const hits = lines.map(hitOf);
    // Apache cuts lines of 8 KB, and the id comes late.
    const cut = lines.some((line) => line.includes('ModSecurity: Warning') && !/\[id "\d+"\]/.test(line));
    const seen = this.#lines.some((line) => line.includes('[id "999000"]'));
    const due = transaction.response?.status ?? status;
    return {
      status: 0,
      refused: seen && status === due && !cut ? 0 : status || 1,
      hits: hits.filter(({ id }) => id !== 999000),
    };
  }

  stop(): void {
    this.#child?.kill();
    this.#origin.close();
    this.#origin.closeAllConnections();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #hear(line: string): void {
    if (line.startsWith(END)) this.#ended?.(Number(line.slice(END.length)));
    else this.#lines.push(line);
  }

  #configuration(rules: string): string {
    const modules = ['mpm_prefork', 'authz_core', 'unique_id', 'proxy', 'proxy_http', 'security2'];
    return `ServerRoot ${this.#folder}
ServerName localhost
PidFile ${this.#folder}/pid
DefaultRuntimeDir ${this.#folder}
Listen 127.0.0.1:${this.#port}
${modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
User www-data
Group www-data
KeepAlive Off
Timeout 2
LimitRequestLine 100000
LimitRequestFieldSize 100000
HttpProtocolOptions Unsafe LenientMethods Allow0.9
AllowEncodedSlashes NoDecode
TraceEnable extended
# Both logs go through one pipe, so that the end of a transaction comes after all that it logged.
ErrorLog ${this.#folder}/log
ErrorLogFormat "%M"
LogLevel error
LogFormat "${END} %>s" end
CustomLog ${this.#folder}/log end
ProxyPass / http://127.0.0.1:${(this.#origin.address() as AddressInfo).port}/ nocanon
ProxyPreserveHost On
SecDataDir ${this.#folder}
SecTmpDir ${this.#folder}
# With the limits that Debian sets, long values count as no match.
SecPcreMatchLimit 10000000
SecPcreMatchLimitRecursion 10000000
# Tells that ModSecurity has seen the request.
SecAction "id:999000,phase:1,pass,log,t:none"
Include ${rules}
`;
  }
}

function hitOf(line: string): Hit {
  const field = (name: string): string =>
    (new RegExp(`\\[${name} "((?:[^"\\\\]|\\\\.)*)"\\]`).exec(line)?.[1] ?? '').replaceAll(/\\(["\\])/g, '$1');
  const id = Number(field('id'));
  return { id, phase: 0, disruptive: false, message: id > 0 ? field('msg') : line, data: field('data') };
}

const bytes = (octets: Octets): Uint8Array => (typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets);

function wire({ method, uri, protocol, headers, body }: RawTransaction): Uint8Array {
  const crlf = Buffer.from('\r\n');
  const lines = headers.flatMap(([name, value]) => [bytes(name), Buffer.from(': '), bytes(value), crlf]);
  const version = protocol === 'HTTP/0.9' ? [] : [Buffer.from(' '), bytes(protocol)];
  return Buffer.concat([bytes(method), Buffer.from(' '), bytes(uri), ...version, crlf, ...lines, crlf, bytes(body)]);
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}
