/** Listening sockets that are opened here and handed to workerd. */
import { createServer, type Server } from 'node:net';
import { Failure } from './failure.ts';

/** `port`, or any when it is 0, if nobody listens there; else a Failure. Without SO_REUSEPORT first: with it, a second deployment would silently share the port. */
export async function freePort(host: string, port: number): Promise<number> {
  const probe = await listen(host, port, false);
  const { port: free } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return free;
}

export const openSocket = (host: string, port: number): Promise<Server> =>
  listen(host, port, process.platform === 'linux');

function listen(host: string, port: number, reusePort: boolean): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      if (error.code === 'EADDRINUSE')
        reject(
          new Failure(`${where} is already in use; stop what listens there or choose another address with --listen`),
        );
      else if (error.code === 'EACCES') reject(new Failure(`${where} may not be opened by this user`));
      else if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND')
        reject(new Failure(`${host} is not an address of this machine`));
      else reject(error);
    });
    server.listen({ host, port, reusePort, backlog: 1024 }, () => resolve(server));
  });
}
