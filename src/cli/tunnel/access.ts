/**
 * `sallyport tunnel access tcp SERVICE.TUNNEL --listen 5432`: a local port for a published TCP service. Each connection is
 * carried to the edge by itself, and goes on when the network between breaks for less than ten seconds.
 */
import { defineCommand } from 'citty';
import { createServer } from 'node:net';
import pc from 'picocolors';
import { accessDialer } from '../../tunnel/connector/access.ts';
import { SERVICE } from '../../tunnel/opening.ts';
import { printable } from '../accesslog.ts';
import { described } from '../described.ts';
import { Failure, sentence } from '../failure.ts';
import { listenAddress } from '../options.ts';
import { edgeOf } from './edge-url.ts';
import { rightsOf } from './rights.ts';

export default defineCommand({
  meta: described({
    name: 'access',
    description: 'reach a published TCP service: a local port for it',
    examples: [
      'sallyport tunnel access tcp db.office --listen 5432   # psql -h 127.0.0.1',
      'sallyport tunnel access tcp ssh.office --listen 2222  # ssh -p 2222 127.0.0.1',
    ],
  }),
  args: {
    kind: { type: 'positional', description: 'tcp', required: true },
    service: { type: 'positional', description: 'SERVICE.TUNNEL, such as db.office, or TUNNEL', required: true },
    listen: { type: 'string', description: 'local port, or host:port', valueHint: 'host:port', required: true },
    edge: {
      type: 'string',
      description: 'URL of the edge; default: SALLYPORT_EDGE, or the deployment of this directory',
      valueHint: 'URL',
    },
    capability: { type: 'string', description: 'file of tunnel create; default: your operator key', valueHint: 'file' },
    json: { type: 'boolean', description: 'print one event a line' },
  },
  async run({ args }) {
    if (args.kind !== 'tcp') throw new Failure(`access takes tcp, not "${args.kind}"`);
    const [first = '', second, ...more] = args.service.split('.');
    const [service, name] = second === undefined ? ['', first] : [first, second];
    if (more.length > 0 || !SERVICE.test(name) || (service !== '' && !SERVICE.test(service)))
      throw new Failure(`access takes SERVICE.TUNNEL, such as db.office, not "${args.service}"`);
    const { host, port } = listenAddress(args.listen);
    const { url } = edgeOf(args.edge);
    const tell = (event: string, fields: Record<string, unknown>, text: string): void =>
      void process.stdout.write(args.json ? `${JSON.stringify({ event, ...fields })}\n` : `${text}\n`);
    const dial = accessDialer({ edge: url, name, service, credentials: await rightsOf(args.capability, [], [name]) });
    let connections = 0;
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
      const id = ++connections;
      tell('connection', { id }, pc.dim(`#${id} opened`));
      const reconnecting = (reason: string, delay: number): void =>
        tell(
          ...(['reconnecting', { id, reason, delay }] as const),
          `${pc.yellow('reconnecting')} #${id} ${printable(reason)}; dialling again in ${delay} ms`,
        );
      dial(socket, reconnecting).then(
        ({ bytesIn, bytesOut }) =>
          tell('end', { id, bytesIn, bytesOut }, pc.dim(`#${id} ended  ${bytesOut} B sent, ${bytesIn} B received`)),
        (error: Error) => {
          const reason = printable(error.message);
          tell('error', { id, reason }, `${pc.red(`#${id} failed`)} ${reason}`);
        },
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new Failure(sentence(error))));
      server.listen(port, host, resolve);
    });
    const address = server.address() as { address: string; port: number };
    const at = `${host.includes(':') ? `[${host}]` : host}:${address.port}`;
    tell(
      'ready',
      { listen: at, service: args.service, edge: url.origin },
      `${pc.green('ready')} ${at}  ->  ${args.service} at ${url.origin}`,
    );
    await new Promise<void>((resolve) => {
      process.once('SIGINT', resolve);
      process.once('SIGTERM', resolve);
    });
    server.close();
    process.exit(0);
  },
});
