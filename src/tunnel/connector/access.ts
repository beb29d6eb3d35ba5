/**
 * The client side of a raw TCP service: a local connection joined to a WebSocket at the edge, which joins it to a stream of
 * the connector that publishes the service. Binary messages are bytes; an empty one ends a direction; texts of the edge
 * are credit.
 */
import type { Socket } from 'node:net';
import WebSocket from 'ws';
import { ACCESS_PATH, CAPABILITY_HEADER, HANDSHAKE_HEADER, signHandshake } from '../capability.ts';
import { ACCESS_WINDOW } from '../credit.ts';
import { MAX_PAYLOAD, SUBPROTOCOL } from '../frame.ts';
import { MAX_SOCKET_MESSAGE } from '../message.ts';
import { Backoff } from './backoff.ts';
import type { Credentials } from './connector.ts';
import { DialError } from './dial-error.ts';
import { edgeSocketOptions, refusalOf } from './socket.ts';

const HIGH_WATER = 1_048_576; // bytes to the edge that wait above which the local side is not read
const DRAIN_POLL = 5; // ms
const PING = 20_000; // ms; a connection of which nothing is heard for two of them is gone
/** Dials of one connection: an edge that is restarting is worth waiting for, a refusal is not. */
const MAX_DIALS = 4;

export interface AccessOptions {
  readonly edge: URL;
  readonly name: string;
  readonly service: string; // '' for the default one
  readonly credentials: Credentials;
  /** ms between pings; default 20 s. */
  readonly ping?: number;
}

export interface AccessResult {
  readonly bytesIn: number; // from the service
  readonly bytesOut: number;
}

/** The function carries one local connection, to its end. Rejects when the service could not be reached or broke off. */
export function accessDialer(options: AccessOptions): (socket: Socket) => Promise<AccessResult> {
  return async (socket) => {
    const backoff = new Backoff();
    for (let tries = 1; ; tries++) {
      try {
        const remote = await dial(options);
        return await join(socket, remote, options.ping ?? PING);
      } catch (error) {
        const again = error instanceof DialError && (error.code === 0 || error.code >= 500) && tries < MAX_DIALS;
        if (!again || socket.destroyed) {
          socket.resetAndDestroy();
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, backoff.next()));
      }
    }
  };
}

/** Resolves with a socket that is open, paused. */
async function dial({ edge, name, service, credentials }: AccessOptions): Promise<WebSocket> {
  const now = Date.now();
  const { capability, key } = await credentials(now);
  const url = new URL(ACCESS_PATH, edge);
  url.protocol = /^(https|wss):$/.test(edge.protocol) ? 'wss:' : 'ws:';
  const to = { host: url.host, path: ACCESS_PATH, name, service, socket: 0, resume: '' };
  const headers = {
    [CAPABILITY_HEADER]: capability,
    [HANDSHAKE_HEADER]: await signHandshake(key, capability, to, now),
  };
  const remote = new WebSocket(url, SUBPROTOCOL, {
    ...edgeSocketOptions(url, headers),
    maxPayload: MAX_SOCKET_MESSAGE,
  });
  return await new Promise((resolve, reject) => {
    remote.once('open', () => {
      remote.removeAllListeners('error');
      remote.pause();
      resolve(remote);
    });
    remote.once('unexpected-response', (request, response) => {
      void refusalOf(response).then((error) => {
        request.destroy();
        reject(error);
      });
    });
    remote.on('error', (error) => reject(new DialError(0, error.message)));
  });
}

function join(socket: Socket, remote: WebSocket, interval: number): Promise<AccessResult> {
  return new Promise((resolve, reject) => {
    let [bytesIn, bytesOut] = [0, 0];
    let credit = ACCESS_WINDOW;
    let [localEnded, remoteEnded, heard] = [false, false, true];
    const ping = setInterval(() => {
      // Answers lie behind what the local side has not taken yet.
      if (remote.isPaused) return void (heard = true);
      if (!heard) return remote.terminate();
      heard = false;
      remote.ping();
    }, interval);
    const over = (error: Error | null): void => {
      clearInterval(ping);
      if (error === null) {
        socket.destroySoon();
        remote.close(1000);
        resolve({ bytesIn, bytesOut });
      } else {
        // As if the service itself had broken off.
        if (!socket.destroyed) socket.resetAndDestroy();
        remote.terminate();
        reject(error);
      }
    };
    remote.on('pong', () => (heard = true));
    remote.on('message', (data, binary) => {
      heard = true;
      const bytes = data as Buffer;
      if (!binary) {
        credit += /^[0-9]{1,9}$/.test(String(bytes)) ? Number(bytes) : Number.NaN;
        if (!(credit <= ACCESS_WINDOW)) return over(new Error('the edge sends texts where bytes belong'));
        return flow();
      }
      if (bytes.length === 0) {
        remoteEnded = true;
        socket.end();
        if (localEnded) over(null);
        return;
      }
      bytesIn += bytes.length;
      if (socket.write(bytes)) return;
      remote.pause();
      socket.once('drain', () => remote.resume());
    });
    remote.on('close', (code, reason) => {
      if (localEnded && remoteEnded) over(null);
      else over(new Error(reason.toString() || `the edge closed the connection (${code})`));
    });
    remote.on('error', () => {}); // a close follows
    // Read from the local side as the edge gives credit and the network takes what is sent.
    const flow = (): void => {
      if (credit <= 0) return void socket.pause();
      if (remote.bufferedAmount < HIGH_WATER) return void socket.resume();
      socket.pause();
      const look = (): void => {
        if (remote.bufferedAmount < HIGH_WATER / 2) flow();
        else if (!socket.destroyed) setTimeout(look, DRAIN_POLL);
      };
      setTimeout(look, DRAIN_POLL);
    };
    socket.on('data', (chunk: Buffer) => {
      // A chunk may go beyond the credit: the edge has room for one.
      credit -= chunk.length;
      bytesOut += chunk.length;
      for (let at = 0; at < chunk.length; at += MAX_PAYLOAD) remote.send(chunk.subarray(at, at + MAX_PAYLOAD));
      flow();
    });
    socket.on('end', () => {
      localEnded = true;
      remote.send(Buffer.alloc(0));
      if (remoteEnded) over(null);
    });
    socket.on('error', (error) => over(error));
    socket.on('close', () => {
      if (!(localEnded && remoteEnded)) over(new Error('the local side has gone'));
    });
    remote.resume();
    socket.resume();
  });
}
