/** The origin where nginx is not installed: `origin.ts PORT` answers everything with a small text. */
import { createServer } from 'node:http';

createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => {
  request.resume();
  response.setHeader('content-type', 'text/plain').end('ok\n');
}).listen(Number(process.argv[2]), '127.0.0.1');
