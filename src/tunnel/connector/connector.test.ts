import assert from 'node:assert/strict';
import { once } from 'node:events';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { TestEdge } from '../../../test/support/tunnel-edge.ts';
import {
  connectorTo,
  later,
  origin,
  pair,
  pause,
  rawOrigin,
  resetOf,
  until,
} from '../../../test/support/tunnel-pair.ts';
import { generateConnectorKey } from '../capability.ts';
import { LANE_WINDOW } from '../credit.ts';
import { CLOSE, frame, DATA, RESET_CODE } from '../frame.ts';
import { Backoff, MAX_BACKOFF, MIN_BACKOFF } from './backoff.ts';
import { Connector, MAX_CONNECTOR_SOCKETS } from './connector.ts';
import { issued } from './credentials.ts';
import { Targets } from './targets.ts';

const closedOf = (connector: Connector) =>
  new Promise<{ reason: string; code: number | null }>((resolve) =>
    connector.once('closed', ({ reason, error }) => resolve({ reason, code: error?.code ?? null })),
  );

test('waiting times grow, within their limits, with jitter', () => {
  const least = new Backoff(() => 0);
  const most = new Backoff(() => 1);
  assert.deepEqual(
    Array.from({ length: 5 }, () => least.next()),
    Array(5).fill(MIN_BACKOFF),
  );
  assert.deepEqual(
    Array.from({ length: 9 }, () => most.next()),
    [200, 400, 800, 1600, 3200, 6400, MAX_BACKOFF, MAX_BACKOFF, MAX_BACKOFF],
  );
  most.reset();
  assert.equal(most.next(), 200);
});

test('a download and an upload survive sockets that are cut again and again', async () => {
  const size = 6_000_000;
  const bytes = Buffer.alloc(size, 'a piece of a long text; ');
  const { edge, connector } = await origin(
    (request, response) => {
      if (request.method === 'GET') return response.end(bytes);
      request.pipe(response);
    },
    { sockets: 2 },
  );
  await until(() => connector.sockets === 2);
  const answers = [
    edge.request(),
    edge.request({ method: 'POST' }, bytes),
    edge.request(),
    edge.request({ method: 'POST' }, bytes),
  ];
  for (let cuts = 0; cuts < 5; cuts++) {
    await pause(15);
    connector.interrupt();
    await until(() => connector.sockets === 2);
  }
  for (const { body } of await Promise.all(answers)) assert.equal(Buffer.compare(body, bytes), 0);
  assert.ok(edge.resumed > 0, `${edge.resumed} resumed of ${edge.dials} dials`);
});

/** An origin that answers at once, but for one exchange that is under way. */
async function waitingOrigin() {
  const held: ServerResponse[] = [];
  const { edge, connector } = await origin((request, answer) => {
    if (request.url === '/wait') held.push(answer);
    else answer.end('ok');
  });
  const waiting = edge.exchange({ target: '/wait' });
  waiting.stream.end();
  await until(() => held.length === 1);
  return { edge, connector, waiting, response: held[0]! };
}

test('an edge that has forgotten the lane: streams are lost at once, new ones go on', async () => {
  const { edge, connector, response } = await waitingOrigin();
  edge.keeps = false;
  const gone = new Promise((resolve) => response.once('close', resolve));
  connector.interrupt();
  await gone;
  await until(() => connector.sockets === 1);
  assert.equal(connector.streams, 0);
  assert.equal((await edge.request()).status, 200);
});

test('silence is noticed, and the lane goes on over another socket', async () => {
  let response: ServerResponse | null = null;
  const { edge, connector } = await origin((_request, answer) => void (response = answer), {
    pings: { least: 20, most: 30, busy: 20 },
  });
  const waiting = edge.exchange();
  waiting.stream.end();
  await until(() => response !== null);
  await pause(150);
  assert.equal(edge.dials, 1, 'an edge that answers is not left');
  edge.responsive = false;
  await until(() => edge.dials > 1);
  edge.responsive = true;
  await until(() => connector.sockets === 1);
  response!.end('after all');
  assert.equal(String((await waiting.answer).body), 'after all');
});

test('GOAWAY of the edge: another lane first, and what is open goes on', async () => {
  const { edge, connector, waiting, response } = await waitingOrigin();
  edge.lanes[0]!.lane.goaway(CLOSE.draining, 'restart');
  await until(() => edge.lanes.length === 2 && edge.lanes[1]!.socket !== null);
  assert.equal((await edge.request()).status, 200);
  assert.notEqual(edge.lanes[0]!.socket, null);
  response.end('done');
  assert.equal(String((await waiting.answer).body), 'done');
  await until(() => edge.lanes[0]!.socket === null);
  assert.deepEqual(edge.closes.at(-1), { code: 1000, reason: 'drained' });
  assert.equal(connector.sockets, 1);
});

test('close: what is open may end, nothing new comes, and then the sockets close', async () => {
  let response: ServerResponse | null = null;
  const { edge, connector } = await origin((_request, answer) => void (response = answer));
  const waiting = edge.exchange();
  waiting.stream.end();
  await until(() => response !== null);
  const closed = closedOf(connector);
  const closing = connector.close();
  await until(() => edge.lanes[0]!.draining);
  assert.equal(edge.lanes[0]!.lane.accepting, false);
  response!.end('the last word');
  assert.equal(String((await waiting.answer).body), 'the last word');
  await closing;
  assert.deepEqual(await closed, { reason: 'closed', code: null });
  await until(() => edge.lanes[0]!.socket === null);
  assert.equal(edge.dials, 1);
});

for (const side of ['edge', 'connector'])
  test(`the ${side} drains: the socket stays until the last bytes have arrived`, async () => {
    const { edge, connector, waiting, response } = await waitingOrigin();
    const { lane } = edge.lanes[0]!;
    let over = false;
    if (side === 'edge') lane.goaway(CLOSE.draining, 'restart');
    else void connector.close().then(() => (over = true));
    await until(() => lane.draining);
    // A slow network: what the connector sends is on its way.
    const held: Uint8Array[] = [];
    lane.receive = (message) => held.push(new Uint8Array(message)) > 0;
    response.end('the last word');
    await until(() => held.length > 0 && connector.streams === 0);
    await pause(100);
    assert.deepEqual([over, edge.closes], [false, []]);
    Reflect.deleteProperty(lane, 'receive');
    for (const message of held) lane.receive(message);
    assert.equal(String((await waiting.answer).body), 'the last word');
    await until(() => edge.lanes[0]!.socket === null && (over || side === 'edge'));
    assert.equal(edge.closes.at(-1)!.code, 1000);
  });

test('close while the edge drains: what is open may end', async () => {
  let response: ServerResponse | null = null;
  const { edge, connector } = await origin((_request, answer) => void (response = answer));
  const waiting = edge.exchange();
  waiting.stream.end();
  await until(() => response !== null);
  // Before the next lane is dialled: the machine goes down, with both on it.
  const closing = new Promise<void>((resolve) => connector.once('reconnecting', () => connector.close().then(resolve)));
  edge.lanes[0]!.lane.goaway(CLOSE.draining, 'restart');
  await until(() => edge.lanes[0]!.draining);
  response!.end('the last word');
  assert.equal(String((await waiting.answer).body), 'the last word');
  await closing;
  assert.equal(edge.dials, 1);
});

test('close at once ends what is open, on both sides', async () => {
  let response: ServerResponse | null = null;
  const { edge, connector } = await origin((_request, answer) => void (response = answer));
  const waiting = edge.exchange();
  waiting.stream.end();
  await until(() => response !== null);
  const gone = new Promise((resolve) => response!.once('close', resolve));
  await connector.close(0);
  await gone;
  await until(() => edge.lanes[0]!.socket === null);
});

test('rights: the handshake is believed, refusals are final, and a wrong clock is put right', async () => {
  const { privateKey } = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const jwk = (await crypto.subtle.exportKey('jwk', privateKey)) as {
    kty: 'OKP';
    crv: 'Ed25519';
    x: string;
    d: string;
  };
  const edge = await TestEdge.open({ operator: jwk.x });
  later(() => edge.close());
  const make = (name: string, now = Date.now): Connector => {
    const credentials = issued(jwk, ['laptop']);
    const targets = new Targets(new Map());
    const connector = new Connector({ edge: new URL(edge.url), name, credentials, targets, sockets: 1, now });
    later(() => connector.close(0));
    return connector;
  };
  const good = make('laptop');
  const ready = new Promise<{ url: string }>((resolve) => good.once('ready', resolve));
  good.start();
  assert.equal((await ready).url, 'http://test.localhost/');
  await good.close(0);
  const other = make('desk');
  const refused = closedOf(other);
  other.start();
  assert.deepEqual(await refused, { reason: 'unnamed', code: 401 });

  // A laptop that slept, or a board without a clock: an hour behind.
  const dials = edge.dials;
  const late = make('laptop', () => Date.now() - 3_600_000);
  const again = new Promise((resolve) => late.once('ready', resolve));
  late.start();
  await again;
  assert.equal(edge.dials, dials + 2);
  await late.close(0);
});

test('close codes that mean never again; others are dialled again', async () => {
  for (const code of [CLOSE.revoked, CLOSE.taken]) {
    const { edge, connector } = await origin(() => {});
    const closed = closedOf(connector);
    edge.lanes[0]!.socket!.close(code, 'never again');
    assert.deepEqual(await closed, { reason: 'never again', code });
    assert.equal(edge.dials, 1);
  }
  const { edge, connector } = await origin(() => {});
  edge.lanes[0]!.socket!.close(CLOSE.draining, 'restart');
  await until(() => edge.dials === 2 && connector.sockets === 1);
});

test('rights that expire are replaced before, socket by socket, and what is open goes on', async () => {
  let ahead = 0;
  const key = await generateConnectorKey();
  const born: number[] = [];
  const { edge, connector } = await origin((request, response) => void request.pipe(response), {
    sockets: 2,
    now: () => Date.now() + ahead,
    credentials: async (now) => {
      if (now >= (born.at(-1) ?? -Infinity) + 900_000) born.push(now);
      return {
        capability: `capability ${born.length}`,
        key,
        renewAt: born.at(-1)! + 900_000,
        expires: born.at(-1)! + 1_000_000,
      };
    },
  });
  await until(() => connector.sockets === 2);
  const reconnecting: string[] = [];
  connector.on('reconnecting', ({ reason }) => reconnecting.push(reason));
  const [one, other] = [edge.exchange({ method: 'POST' }), edge.exchange({ method: 'POST' })];
  const upload = async ({ stream }: typeof one): Promise<void> => {
    while (edge.resumed < 2) {
      await stream.write(Buffer.alloc(10_000, 'a piece of a long text; '));
      await pause(1);
    }
    stream.end();
  };
  const uploads = Promise.all([upload(one), upload(other)]);
  const before = edge.lanes.map(({ socket }) => socket);
  ahead = 899_000;
  await pause(0);
  assert.equal(edge.dials, 2, 'not before it is time');
  ahead = 920_000;
  await until(() => edge.resumed === 1);
  assert.equal(edge.lanes.filter(({ socket }, index) => socket !== before[index]).length, 1);
  ahead = 980_000;
  await uploads;
  for (const { answer, stream } of [one, other]) {
    const { body } = await answer;
    assert.ok(!stream.open && body.length > 0 && body.length % 10_000 === 0, `${body.length}`);
    assert.equal(
      Buffer.compare(
        body,
        Buffer.concat(Array(body.length / 10_000).fill(Buffer.alloc(10_000, 'a piece of a long text; '))),
      ),
      0,
    );
  }
  assert.deepEqual([edge.dials, edge.lanes.length, reconnecting, born.length], [4, 2, [], 2]);
});

test('a renewal that fails costs a socket and no stream', async () => {
  let ahead = 0;
  let response: ServerResponse | null = null;
  const key = await generateConnectorKey();
  const { edge, connector } = await origin((_request, answer) => void (response = answer), {
    now: () => Date.now() + ahead,
    credentials: async (now) => ({ capability: 'any', key, renewAt: now + 900_000, expires: now + 1_000_000 }),
  });
  const waiting = edge.exchange();
  waiting.stream.end();
  await until(() => response !== null);
  edge.refuse = { status: 503, text: 'not now' };
  const failed = new Promise((resolve) => connector.once('reconnecting', resolve));
  ahead = 950_000;
  await failed;
  edge.refuse = null;
  await until(() => connector.sockets === 1 && edge.resumed === 1);
  response!.end('after all');
  assert.equal(String((await waiting.answer).body), 'after all');
});

test('rights that the edge says have expired are had anew, and what is open goes on', async () => {
  let response: ServerResponse | null = null;
  const { edge, connector } = await origin((_request, answer) => void (response = answer));
  const waiting = edge.exchange();
  waiting.stream.end();
  await until(() => response !== null);
  edge.lanes[0]!.socket!.close(CLOSE.unauthorised, 'the capability has expired');
  await until(() => connector.sockets === 1 && edge.resumed === 1);
  response!.end('after all');
  assert.equal(String((await waiting.answer).body), 'after all');
});

test('a lane that drains goes on over another socket, by the word of either end', async () => {
  for (const side of ['edge', 'connector'] as const) {
    let response: ServerResponse | null = null;
    const { edge, connector } = await origin((_request, answer) => void (response = answer));
    const waiting = edge.exchange();
    waiting.stream.end();
    await until(() => response !== null);
    const [old] = edge.lanes;
    const closing = side === 'edge' ? old!.lane.goaway(CLOSE.draining, 'restart') : connector.close();
    await until(() => (side === 'edge' ? edge.lanes.length === 2 && connector.sockets === 1 : old!.draining));
    old!.socket!.terminate();
    await until(() => edge.resumed === 1);
    response!.end('after all');
    assert.equal(String((await waiting.answer).body), 'after all');
    await until(() => old!.socket === null);
    await closing;
    assert.equal(connector.streams, 0);
  }
});

test('a lane that drains and that the edge has forgotten is over', async () => {
  let response: ServerResponse | null = null;
  const { edge, connector } = await origin((_request, answer) => void (response = answer));
  const waiting = edge.exchange();
  waiting.stream.end();
  await until(() => response !== null);
  edge.lanes[0]!.lane.goaway(CLOSE.draining, 'restart');
  await until(() => edge.lanes.length === 2 && connector.sockets === 1);
  edge.keeps = false;
  edge.lanes[0]!.socket!.terminate();
  // What was given instead of the lane is not wanted.
  await until(() => edge.lanes.length === 3 && edge.lanes[2]!.socket === null);
  assert.deepEqual([connector.streams, connector.sockets], [0, 1]);
  assert.equal(edge.closes.at(-1)!.reason, 'drained');
});

test('statuses that are final at the first dial only, and those that are not', async () => {
  const edge = await TestEdge.open();
  later(() => edge.close());
  for (const status of [400, 401, 403, 404, 409]) {
    edge.refuse = { status, text: `no, ${status}` };
    const connector = await connectorTo(edge, {});
    const closed = closedOf(connector);
    connector.start();
    assert.deepEqual(await closed, { reason: `no, ${status}`, code: status });
  }
  for (const status of [200, 302]) {
    edge.refuse = { status, text: 'a page', page: true };
    const connector = await connectorTo(edge, {});
    const closed = closedOf(connector);
    connector.start();
    assert.deepEqual(await closed, { reason: `status ${status}, which is no edge's: a page`, code: status });
  }
  edge.refuse = { status: 503, text: 'not now' };
  const connector = await connectorTo(edge, {});
  const reasons: string[] = [];
  connector.on('reconnecting', ({ reason }) => reasons.push(reason));
  connector.start();
  await until(() => reasons.length === 2);
  edge.refuse = null;
  await until(() => connector.sockets === 1);
  assert.deepEqual(reasons.slice(0, 2), ['not now', 'not now']);
  edge.refuse = { status: 404, text: 'being set up' };
  connector.interrupt();
  await until(() => reasons.includes('being set up'));
  edge.refuse = null;
  await until(() => connector.sockets === 1);
});

test('an edge that breaks the protocol is closed with its code, and dialled again', async () => {
  const { edge, connector } = await origin((_request, response) => response.end('ok'));
  for (const [wrong, code] of [
    [frame(DATA, 99), CLOSE.malformed],
    [new Uint8Array([1, 2, 3]), CLOSE.malformed],
    [frame(1, 7, new Uint8Array([9, 9])), CLOSE.malformed],
  ] as const) {
    const before = edge.closes.length;
    edge.lanes.at(-1)!.socket!.send(wrong);
    await until(() => edge.closes.length > before && connector.sockets === 1);
    assert.equal(edge.closes.at(-1)!.code, code);
    assert.equal((await edge.request()).status, 200);
  }
});

test('exchanges are told to who listens, with the beginning of bodies where asked', async () => {
  const { edge, connector } = await origin((request, response) => void request.pipe(response), { capture: 4 });
  assert.equal((await edge.request()).status, 200);
  const told: string[] = [];
  connector.on('request', ({ id, request }) => told.push(`request ${id > 0} ${request?.target}`));
  connector.on('response', ({ response }) => told.push(`response ${response?.status}`));
  connector.on('end', ({ bytesIn, bytesOut, requestBody, responseBody, error }) =>
    told.push(
      `end ${bytesIn} ${bytesOut} ${String(Buffer.from(requestBody!.bytes))} ${responseBody?.truncated} ${error}`,
    ),
  );
  await edge.request({ method: 'POST', target: '/x' }, 'abcdef');
  assert.deepEqual(told, ['request true /x', 'response 200', 'end 6 6 abcd true ']);
  const { answer, exchange } = await connector.ask(
    '',
    { method: 'PUT', target: '/y', fields: [['Host', 'a']] },
    Buffer.from('xyz'),
  );
  assert.deepEqual([answer.status, String(answer.body), exchange?.request?.target], [200, 'xyz', '/y']);
});

test('what a listener throws is its program’s, and costs no lane', async () => {
  const script = `
    import { origin } from './test/support/tunnel-pair.ts';
    const { edge, connector } = await origin((_request, response) => response.end('ok'));
    const thrown = [];
    // The test runner's own, which a support file brings.
    process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => thrown.push(error.message));
    for (const event of ['request', 'response', 'end'])
      connector.on(event, () => { throw new Error(event); });
    const statuses = [(await edge.request()).status, (await edge.request()).status];
    await new Promise((resolve) => setImmediate(resolve));
    console.log(JSON.stringify({ statuses, thrown: [...new Set(thrown)], dials: edge.dials }));
    process.exit(0);
  `;
  const root = new URL('../../../', import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd: root });
  assert.deepEqual(JSON.parse(stdout.split('\n').find((line) => line.startsWith('{'))!), {
    ...{ statuses: [200, 200], thrown: ['request', 'response', 'end'], dials: 1 },
  });
});

test('a request of our own ends with who waits for it', async () => {
  let response: ServerResponse | null = null;
  const { connector } = await origin((_request, answer) => {
    answer.write('the first of many');
    response = answer;
  });
  const gone = new AbortController();
  const asked = connector.ask(
    '',
    { method: 'GET', target: '/', fields: [['Host', 'a']] },
    Buffer.alloc(0),
    gone.signal,
  );
  const refused = resetOf(asked);
  await until(() => response !== null);
  const closed = new Promise((resolve) => response!.once('close', resolve));
  gone.abort();
  assert.equal((await refused).code, RESET_CODE.cancelled);
  await closed;
});

test('as many sockets as asked for, within the limit', async () => {
  const { edge, connector } = await origin((_request, response) => response.end(), { sockets: 4 });
  await until(() => connector.sockets === 4);
  assert.equal(edge.lanes.length, 4);
  const key = await generateConnectorKey();
  for (const sockets of [0, 1.5, MAX_CONNECTOR_SOCKETS + 1])
    assert.throws(
      () =>
        new Connector({
          edge: new URL('http://a'),
          name: 'a',
          credentials: async () => ({ capability: '', key }),
          targets: new Targets(new Map()),
          sockets,
        }),
      RangeError,
    );
});

test('an edge that takes nothing holds the origin, and nothing piles up here', async () => {
  let written = 0;
  const { edge, connector } = await rawOrigin((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n');
      const chunk = Buffer.alloc(65_536);
      const more = (): void => {
        while (socket.writable) {
          written += chunk.length;
          if (!socket.write(chunk)) return void socket.once('drain', more);
        }
      };
      more();
    });
  });
  const streams = Array.from({ length: 20 }, () => edge.exchange({}, '', false));
  for (const { stream } of streams) stream.end();
  let last = -1;
  await until(() => streams.some(({ chunks }) => chunks.length > 0));
  while (last !== written) {
    last = written;
    await pause(200);
  }
  const taken = streams.reduce(
    (sum, { chunks }) => sum + chunks.reduce((one, { byteLength }) => one + byteLength, 0),
    0,
  );
  assert.ok(taken <= LANE_WINDOW, `${taken} bytes`);
  assert.equal(connector.streams, 20);
});

test('an edge that closes and leaves its connection open is gone all the same', { timeout: 10_000 }, async () => {
  const { edge, connector } = await pair({ '': { protocol: 'tcp', host: '127.0.0.1', port: 1 } });
  const socket = edge.lanes[0]!.socket!;
  // As workerd does until it evicts the object.
  const { _socket: connection } = socket as unknown as { _socket: { end: () => void } };
  connection.end = () => {};
  const closed = once(connector, 'closed');
  socket.close(4403, 'the capability was revoked');
  const [{ reason }] = (await closed) as [{ reason: string }];
  assert.match(reason, /revoked/);
});
