/** HTTP on a unix socket that is its owner's alone. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/**
 * Opens a unix socket of mode 0600 at `path`, over what was left there, and answers by `answer`; what that throws is a 500
 * with its message, or a broken answer once it has begun. Does not keep the process alive. The result closes the socket,
 * connections included, and removes it.
 */
export async function openPrivateSocket(
  path: string,
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<() => void> {
  rmSync(path, { force: true });
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { ok: false, reason: error instanceof Error ? error.message : String(error) });
    });
  });
  // SAFETY: the socket is created under this mask, so it is never open to others, not even for a moment.
  const mask = process.umask(0o177);
  try {
    await listening(server, path);
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
  server.unref();
  return () => {
    server.close();
    server.closeAllConnections();
    rmSync(path, { force: true });
  };
}

/** Answers with a line of JSON. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
}
