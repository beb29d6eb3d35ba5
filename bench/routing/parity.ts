/**
 * The goal compares like with like only while the copying worker sends the origin what Sallyport sends, and logs what
 * Sallyport logs. This asks both the same question in front of an origin that tells what it got, and refuses to measure
 * when the answers differ.
 */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import { join } from 'node:path';
import { workerdBinary } from '../../src/cli/workerd.ts';
import { freePort, type Processes } from '../harness/processes.ts';
import { BROWSER_HEADERS } from '../harness/table.ts';

interface Trace {
  readonly origin: readonly string[]; // header lines, as received
  readonly response: readonly string[];
  readonly log: string;
}

export async function compareWithCopying(
  host: string,
  configs: { readonly copying: (port: number) => string; readonly sallyport: (port: number) => string },
  processes: Processes,
): Promise<void> {
  const copying = await trace('copying', host, configs.copying, processes);
  const sallyport = await trace('sallyport', host, configs.sallyport, processes);
  for (const part of ['origin', 'response', 'log'] as const) {
    const [a, b] = [JSON.stringify(copying[part]), JSON.stringify(sallyport[part])];
    if (a !== b)
      throw new Error(
        `the copying worker of the benchmark has to follow Sallyport again, ${part} differs:\n  copying   ${a}\n  sallyport ${b}`,
      );
  }
}

async function trace(id: string, host: string, config: (port: number) => string, processes: Processes): Promise<Trace> {
  let seen: string[] = [];
  const origin = createServer((request, response) => {
    seen = pairs(request.rawHeaders);
    response.setHeader('content-type', 'text/plain').end('ok\n');
  });
  const originPort = await freePort();
  await new Promise<void>((done) => origin.listen(originPort, '127.0.0.1', done));
  const port = await freePort();
  const logFile = join(processes.folder, `${id}.log`);
  const output = openSync(logFile, 'w');
  const conf = processes.write(`${id}-parity.capnp`, config(port));
  const server = await processes.start(
    workerdBinary(),
    ['serve', conf, '-e', `origin-0=127.0.0.1:${originPort}`],
    port,
    output,
  );
  try {
    const response = await new Promise<string[]>((done, fail) => {
      const headers = { ...Object.fromEntries(BROWSER_HEADERS), host };
      send(
        { port, host: '127.0.0.1', path: '/billing-0/api/v1/orders/7/lines?page=2', headers, agent: false },
        (answer) => {
          answer.resume().once('end', () => done(pairs(answer.rawHeaders)));
        },
      )
        .once('error', fail)
        .end();
    });
    // The line is written when the answer is complete, so it may follow the answer.
    let lines: string[] = [];
    for (let wait = 0; wait < 100 && lines.length < 2; wait++) {
      await new Promise((done) => setTimeout(done, 10));
      lines = readFileSync(logFile, 'utf8').split('\n').filter(Boolean);
    }
    return {
      origin: seen.map(generic).sort(),
      response: response.map(generic).sort(),
      log: generic(lines.at(-1) ?? ''),
    };
  } finally {
    await processes.end(server);
    closeSync(output);
    origin.closeAllConnections();
    origin.close();
  }
}

function pairs(raw: readonly string[]): string[] {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [`${name.toLowerCase()}: ${raw[index + 1]}`] : []));
}

/** What differs from request to request by nature: ids, dates, durations, ports of the machine. */
function generic(text: string): string {
  return text
    .replace(/\b[0-9a-f]{16}-[0-9a-z]+\b/g, 'ID')
    .replace(/"route-\d+"/g, '"ROUTE"') // which the copying worker has no way to know
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/"ms":\d+/g, '"ms":N')
    .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
    .replace(/^date: .*/, 'date: DATE');
}
