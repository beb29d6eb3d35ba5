/**
 * Raw TCP on-prem: each connection that a socket of the configuration accepts is one stream to a service of a tunnel. The
 * bytes are nobody's business here; who may connect is the business of where the socket listens.
 */
import type { Env } from '../platform/bindings.ts';
import { FAILURE_HEADER, sessionName, type TunnelSessionNamespace, type TunnelSessionStub } from '../tunnel/objects.ts';

/** An accepted connection, as far as it is used here. */
export interface TcpSocket {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  close(): Promise<void>;
}

/** What `props` of the socket's service says. */
export interface TcpTarget {
  readonly tunnel: string;
  readonly service: string;
}

/** One with a connector, from any on; where none has, session 0, which may wait for it. Bytes can be given once only. */
async function sessionOf(namespace: TunnelSessionNamespace, tunnel: string): Promise<TunnelSessionStub> {
  const zero = namespace.getByName(sessionName(tunnel, 0));
  const known = await zero.status();
  const first = Math.floor(Math.random() * known.sessions);
  for (let turn = 0; turn < known.sessions; turn++) {
    const index = (first + turn) % known.sessions;
    const session = index === 0 ? zero : namespace.getByName(sessionName(tunnel, index));
    const { lanes } = index === 0 ? known : await session.status();
    if (lanes.some(({ attached, draining }) => attached && !draining)) return session;
  }
  return zero;
}

/** Never rejects: a connection that has nowhere to go is closed, and a line says why. */
export async function tcpConnection(socket: TcpSocket, env: Env, { tunnel, service }: TcpTarget): Promise<void> {
  try {
    if (env.TUNNEL_SESSION === undefined) throw new Error('this deployment holds no tunnels');
    const session = await sessionOf(env.TUNNEL_SESSION, tunnel);
    // Request and response body are the two directions: the runtime moves the bytes, with backpressure and both ends.
    const answer = await session.fetch(`http://session/t:${service}`, { method: 'POST', body: socket.readable });
    const reason = answer.headers.get(FAILURE_HEADER);
    if (reason !== null || answer.body === null) throw new Error(reason ?? 'no answer');
    await answer.body.pipeTo(socket.writable);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.log(JSON.stringify({ level: 'warning', message: `TCP to ${service}.${tunnel}: ${message.slice(0, 300)}` }));
    await socket.close().catch(() => {});
  }
}
