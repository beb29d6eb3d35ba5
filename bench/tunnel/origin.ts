/** The origin behind all tunnels: nginx, with a process of Node that takes uploads (nginx has nothing that only reads). */
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { freePort, type Processes } from '../harness/processes.ts';

export const BULK = 67_108_864; // bytes of /bulk
/** Bytes of /endless: more than any buffer holds. */
const ENDLESS = 1_073_741_824;

export interface Origin {
  readonly port: number;
  stop(): void;
}

/** `/` answers `ok`, `/bulk` and `/endless` are files, `/sink` answers 200 once it has the whole body. */
export async function startOrigin(processes: Processes): Promise<Origin> {
  const { folder } = processes;
  // Bytes that nothing can compress.
  const block = randomBytes(1 << 20);
  for (const [name, size] of [
    ['bulk', BULK],
    ['endless', ENDLESS],
  ] as const) {
    const file = createWriteStream(join(folder, name));
    for (let at = 0; at < size; at += block.length) if (!file.write(block)) await once(file, 'drain');
    await new Promise<void>((done) => file.end(done));
  }
  const sink = createServer((request, response) => {
    request.on('end', () => response.writeHead(200).end('ok')).resume();
  });
  const socket = join(folder, 'sink.sock');
  await new Promise<void>((done) => sink.listen(socket, done));
  const port = await freePort();
  const config = processes.write(
    'origin.conf',
    `daemon off; master_process off; worker_processes 1; pid origin.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; keepalive_requests 1000000000; keepalive_timeout 3600s; client_max_body_size 0;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    default_type application/octet-stream; root ${folder};
    location = / { default_type text/plain; return 200 "ok\\n"; }
    location = /bulk { }
    location = /endless { }
    location = /sink { proxy_pass http://unix:${socket}; proxy_http_version 1.1; proxy_request_buffering off; }
  }
}
`,
  );
  await processes.start('nginx', ['-p', folder, '-c', config, '-e', 'stderr'], port);
  return { port, stop: () => void sink.close() };
}
