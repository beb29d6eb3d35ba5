/** Two ends of a lane, and the sockets of a session object, without any network: for units of the tunnel. */
import assert from 'node:assert/strict';
import { Lane } from '../../src/tunnel/lane.ts';
import type { EdgeLanes, HibernatingSocket, SocketContext } from '../../src/tunnel/session-lanes.ts';
import type { TunnelStream } from '../../src/tunnel/stream.ts';

/** `accepted`: streams that the edge opened, as the connector's end has them. */
export function lanePair(): { edge: Lane; accepted: TunnelStream[] } {
  const accepted: TunnelStream[] = [];
  const options = { now: Date.now, onGoaway: () => {} };
  const edge = new Lane({ ...options, role: 'edge', onStream: () => assert.fail() });
  const connector = new Lane({ ...options, role: 'connector', onStream: (stream) => void accepted.push(stream) });
  edge.attach((message) => connector.receive(message));
  connector.attach((message) => edge.receive(message));
  return { edge, accepted };
}

/** Until everything that was under way has come to rest. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

export class FakeSocket implements HibernatingSocket {
  readonly sent: (string | Uint8Array)[] = [];
  closed: [code: number | undefined, reason: string | undefined] | null = null;
  attachment: unknown = null;
  pinged = 0;
  bufferedAmount = 0;
  get readyState(): number {
    return this.closed === null ? 1 : 2;
  }
  send(message: string | Uint8Array): void {
    if (this.closed !== null) throw new Error('closed');
    this.sent.push(message);
  }
  close(code?: number, reason?: string): void {
    this.closed ??= [code, reason];
  }
  serializeAttachment(value: unknown): void {
    this.attachment = structuredClone(value);
  }
  deserializeAttachment(): unknown {
    return this.attachment;
  }
}

/** A session object's sockets, and the lanes of its connectors: one, `lane`, with `accepted` at its connector's end. */
export function sessionParts(): { context: SocketContext; lanes: EdgeLanes; edge: Lane; accepted: TunnelStream[] } {
  const sockets: FakeSocket[] = [];
  const context: SocketContext = {
    acceptWebSocket: (socket) => void sockets.push(socket as FakeSocket),
    getWebSockets: () => sockets, // also those whose peers have not answered a close, as the runtime does
    getWebSocketAutoResponseTimestamp: () => null,
  };
  const { edge, accepted } = lanePair();
  const lanes = { get: (id: string) => (id === 'lane' ? { lane: edge } : null) } as unknown as EdgeLanes;
  return { context, lanes, edge, accepted };
}
