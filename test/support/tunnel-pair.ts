/** A connector and the smallest edge, joined, for tests of what one does to the other. */
import { createServer as createRawServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { generateConnectorKey } from '../../src/tunnel/capability.ts';
import { Connector, type ConnectorOptions } from '../../src/tunnel/connector/connector.ts';
import { Targets, type Target } from '../../src/tunnel/connector/targets.ts';
import type { StreamReset } from '../../src/tunnel/stream.ts';
import { TestEdge } from './tunnel-edge.ts';

const cleanup: (() => unknown)[] = [];
after(async () => {
  for (const one of cleanup.toReversed()) await one();
});
export const later = (run: () => unknown): void => void cleanup.push(run);

/** The port of a server that is closed after the tests. */
export async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  later(() => {
    server.close();
    (server as Partial<{ closeAllConnections(): void }>).closeAllConnections?.();
  });
  return (server.address() as AddressInfo).port;
}

export interface Pair {
  readonly edge: TestEdge;
  readonly connector: Connector;
}

export async function pair(targets: Record<string, Target>, options: Partial<ConnectorOptions> = {}): Promise<Pair> {
  const edge = await TestEdge.open();
  later(() => edge.close());
  const connector = await connectorTo(edge, targets, options);
  await new Promise((resolve) => connector.once('ready', resolve).start());
  return { edge, connector };
}

/** Not started. */
export async function connectorTo(
  edge: TestEdge,
  targets: Record<string, Target>,
  options: Partial<ConnectorOptions> = {},
): Promise<Connector> {
  const key = await generateConnectorKey();
  const connector = new Connector({
    edge: new URL(edge.url),
    name: 'test',
    credentials: async () => ({ capability: 'none', key }),
    targets: new Targets(new Map(Object.entries(targets))),
    sockets: 1,
    ...options,
  });
  later(() => connector.close(0));
  return connector;
}

/** Before an HTTP server. */
export async function origin(listener: RequestListener, options: Partial<ConnectorOptions> = {}): Promise<Pair> {
  const port = await listening(createServer(listener));
  return await pair({ '': { protocol: 'http', host: '127.0.0.1', port } }, options);
}

/** Before whatever `onConnection` speaks. */
export async function rawOrigin(
  onConnection: (socket: Socket) => void,
  protocol: 'http' | 'tcp' = 'http',
  options: Partial<ConnectorOptions> = {},
): Promise<Pair> {
  const port = await listening(createRawServer({ allowHalfOpen: true }, onConnection));
  return await pair({ '': { protocol, host: '127.0.0.1', port } }, options);
}

/** Waits for what must come to be. */
export async function until(test: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !test(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(test());
}

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** What an answer that must not come was refused with. */
export function resetOf(answer: Promise<unknown>): Promise<StreamReset> {
  return answer.then(
    () => assert.fail('it was answered'),
    (error: StreamReset) => error,
  );
}
