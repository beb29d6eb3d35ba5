/** The edge half of tunnels: what a session object does for requests, for sockets that sleep, and against dials. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { WebSocket } from 'ws';
import { unixRequest } from '../../src/cli/http.ts';
import { freePort } from '../../src/cli/sockets.ts';
import { ensureOperatorKey, readOperatorKey } from '../../src/cli/operator.ts';
import {
  CAPABILITY_HEADER,
  generateConnectorKey,
  HANDSHAKE_HEADER,
  issueCapability,
  signHandshake,
  TUNNEL_PATH,
  type ConnectorKey,
} from '../../src/tunnel/capability.ts';
import { Connector } from '../../src/tunnel/connector/connector.ts';
import { issued } from '../../src/tunnel/connector/credentials.ts';
import { Targets, type Target } from '../../src/tunnel/connector/targets.ts';
import { CLOSE, DATA, END, frame, GOAWAY, OPEN, SUBPROTOCOL, windowFrame } from '../../src/tunnel/frame.ts';
import { RESUME_HEADER, writeResume } from '../../src/tunnel/welcome.ts';
import { thumbprint } from '../../src/control/signature.ts';
import { ask, begin } from '../client.ts';
import { sha256, startEcho, TEXT, type Echo } from '../echo.ts';
import { startGateway, type Gateway } from '../gateway.ts';
import { answering, headFrame, RawConnector } from '../support/raw-connector.ts';

const HOST = 'app.example.com';
const policy = `app: tunnelled
hostnames: [${HOST}]
backends: { origin: { tunnel: laptop } }
routes: [{ backend: origin }]
---
app: wide
hostnames: [wide.example.com]
backends: { origin: { tunnel: wide } }
routes: [{ backend: origin }]
---
app: second
hostnames: [other.example.com]
backends: { origin: { tunnel: other } }
routes: [{ backend: origin }]
`.split('---\n');

let origin: Echo;
let gateway: Gateway;
let home: string;
let operator: string;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'sallyport-session-'));
  operator = join(home, 'sallyport', 'operator.jwk');
  await ensureOperatorKey(operator);
  origin = await startEcho('behind');
  gateway = await startGateway({ policy, env: { XDG_CONFIG_HOME: home } });
});
after(async () => {
  await gateway?.stop();
  await origin?.stop();
  await rm(home, { recursive: true, force: true });
});

async function connector(
  name = 'laptop',
  sockets = 1,
  edge = gateway,
  targets = new Map<string, Target>([['', { protocol: 'any', host: '127.0.0.1', port: origin.port }]]),
): Promise<Connector> {
  const made = new Connector({
    edge: new URL(edge.url),
    name,
    sockets,
    credentials: issued(readOperatorKey(operator), [name]),
    targets: new Targets(targets),
  });
  const ready = once(made, 'ready');
  made.start();
  await ready;
  return made;
}

const asked = (path: string, options: Parameters<typeof ask>[1] = {}) =>
  ask(`${gateway.url}${path}`, { host: HOST, agent: gateway.agent, ...options });

async function webSocket(path = '/socket', protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}`, protocols, { headers: { host: HOST } });
  socket.on('error', () => {});
  await once(socket, 'open');
  return socket;
}

async function said(socket: WebSocket, message: string): Promise<string> {
  const answer = once(socket, 'message');
  socket.send(message);
  return String(((await answer) as [Buffer])[0]);
}

describe('requests through a session', () => {
  let one: Connector;
  before(async () => {
    one = await connector();
  });
  after(() => one.close(0));

  test('small and large answers, with and without length, and none', { timeout: 20_000 }, async () => {
    const small = await asked('/bytes/100');
    assert.deepEqual([small.status, small.headers['content-length'], small.body.length], [200, '100', 100]);
    const large = await asked('/bytes/3000000');
    assert.deepEqual([large.headers['content-length'], large.body.length], ['3000000', 3_000_000]);
    const chunked = await asked('/bytes/3000000?chunked');
    assert.deepEqual([chunked.headers['content-length'], sha256(chunked.body)], [undefined, sha256(large.body)]);
    const head = await asked('/bytes/3000000', { method: 'HEAD' });
    assert.deepEqual([head.headers['content-length'], head.body.length], ['3000000', 0]);
    for (const status of [204, 304]) assert.equal((await asked(`/status/${status}`)).status, status);
    const packed = await asked('/gzip', { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(packed.headers['content-encoding'], 'gzip');
    assert.equal(String(gunzipSync(packed.body)), TEXT);
  });

  test('nothing between client and edge reaches the origin', { timeout: 20_000 }, async () => {
    const headers = {
      [CAPABILITY_HEADER]: 'v1.x.y',
      'x-sallyport-lane': '{}',
      'x-sallyport-sessions': '9',
      'keep-alive': 'timeout=5',
      'x-kept': 'yes',
      connection: 'x-mine, keep-alive',
      'x-mine': 'hop',
    };
    const got = (await asked('/anything', { headers })).echo();
    assert.equal(got.headers['x-kept'], 'yes');
    for (const name of [CAPABILITY_HEADER, 'x-sallyport-lane', 'x-sallyport-sessions', 'keep-alive', 'x-mine'])
      assert.equal(got.headers[name], undefined, name);
    const faked = await asked('/anything', { headers: { 'X-Echo-Set-Header': 'x-sallyport-tunnel-failure:lies' } });
    assert.equal(faked.status, 200);
    assert.equal(faked.headers['x-sallyport-tunnel-failure'], undefined);
  });

  test('a client that leaves ends the request at the origin', { timeout: 20_000 }, async () => {
    for (const path of ['/hang?leaves', '/drip?leaves', '/sse?leaves']) {
      const request = begin(`${gateway.url}${path}`, { host: HOST });
      request.on('error', () => {});
      request.end();
      if (path.startsWith('/hang')) await origin.arrival(({ path: got }) => got === path);
      else await once(((await once(request, 'response')) as [IncomingMessage])[0], 'data');
      const aborted = origin.abort(path);
      (request.socket as unknown as { resetAndDestroy(): void }).resetAndDestroy();
      await aborted;
    }
  });

  test('an origin that breaks off is a body that breaks off', { timeout: 20_000 }, async () => {
    await assert.rejects(asked('/cut', { agent: false }));
    assert.equal((await asked('/reset')).status, 502);
  });

  test('an upload arrives whole, and the answer may come before its end', { timeout: 20_000 }, async () => {
    const body = Buffer.alloc(2_000_000, 'abcdefgh');
    const whole = (await asked('/anything', { method: 'POST', body })).echo();
    assert.deepEqual(whole.body, { length: body.length, sha256: sha256(body) });
  });
});

describe('WebSockets through a session', () => {
  test('pass texts, bytes, closes, and sleep', { timeout: 60_000 }, async () => {
    const one = await connector();
    try {
      const socket = await webSocket();
      assert.equal(await said(socket, 'hello'), 'hello');
      const large = Buffer.alloc(1_500_000, 7);
      const echoed = once(socket, 'message');
      socket.send(large);
      const [got, binary] = (await echoed) as [Buffer, boolean];
      assert.deepEqual([binary, got.equals(large)], [true, true]);
      // Longer than it takes until an object with nothing to do is evicted.
      await sleep(14_000);
      assert.equal(await said(socket, 'still there'), 'still there');
      assert.equal((await asked('/bytes/10')).body.length, 10);
      const closed = once(socket, 'close');
      socket.send('close 4001 why');
      const [code, reason] = (await closed) as [number, Buffer];
      assert.deepEqual([code, String(reason)], [4001, 'why']);
      assert.deepEqual(await origin.closed(), { code: 4001, reason: 'why' });
      const other = await webSocket();
      other.close(4002, 'done');
      assert.deepEqual(await origin.closed(), { code: 4002, reason: 'done' });
    } finally {
      await one.close(0);
    }
  });
});

interface Rights {
  readonly key: ConnectorKey;
  readonly capability: string;
}

/** Rights of a project of its own, or of the operator's; `grant` overrides what an honest operator would write. */
async function rights(grant: { names?: string[]; generation?: number; expires?: number } = {}, stranger = false) {
  const file = stranger ? join(home, 'stranger', 'operator.jwk') : operator;
  if (stranger) await ensureOperatorKey(file);
  const { kty, crv, x, d } = readOperatorKey(file);
  const signer = await crypto.subtle.importKey('jwk', { kty, crv, x, d }, 'Ed25519', false, ['sign']);
  const key = await generateConnectorKey();
  const capability = await issueCapability(signer, {
    project: await thumbprint(x),
    connector: await thumbprint(key.x),
    names: grant.names ?? ['other'],
    reach: [],
    generation: grant.generation ?? Date.now(),
    expires: grant.expires ?? Date.now() + 60_000,
    exposure: null,
  });
  return { key, capability };
}

async function dialHeaders(
  { key, capability }: Rights,
  name = 'other',
  more: { resume?: string; host?: string; socket?: number } = {},
  edge = gateway,
) {
  const { host } = new URL(edge.url);
  const dial = {
    host: more.host ?? host,
    path: TUNNEL_PATH,
    name,
    service: '',
    socket: more.socket ?? 0,
    resume: more.resume ?? '',
  };
  return {
    [CAPABILITY_HEADER]: capability,
    [HANDSHAKE_HEADER]: await signHandshake(key, capability, dial, Date.now()),
  };
}

/** Status and body of an upgrade that is refused. */
async function refusedDial(headers: Record<string, string>): Promise<{ status: number; code: number; detail: string }> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${TUNNEL_PATH}`, [SUBPROTOCOL], { headers });
  socket.on('error', () => {});
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  const { code, detail } = JSON.parse(text) as { code: number; detail: string };
  return { status: response.statusCode!, code, detail };
}

async function controlled(method: string, path: string, body: unknown = {}): Promise<Record<string, unknown>> {
  const answer = await unixRequest(gateway.control, method, path, JSON.stringify(body), 10_000);
  assert.ok(answer.status < 300, answer.body);
  return JSON.parse(answer.body) as Record<string, unknown>;
}

describe('a tunnel of several sessions', () => {
  test(
    'spreads sockets and requests; each loss is survived; a revocation reaches all',
    { timeout: 30_000 },
    async () => {
      await controlled('POST', '/v1/tunnels', { name: 'wide', sessions: 3 });
      const mine = await rights({ names: ['wide'] });
      const raw: RawConnector[] = [];
      for (let socket = 0; socket < 3; socket++) {
        const one = new RawConnector(gateway, await dialHeaders(mine, 'wide', { socket }));
        await one.welcome();
        answering(one, `from ${socket}`);
        raw.push(one);
      }
      const wide = () => asked('/', { host: 'wide.example.com' });
      const texts = new Set<string>();
      for (let i = 0; i < 60; i++) texts.add((await wide()).text());
      assert.deepEqual([...texts].sort(), ['from 0', 'from 1', 'from 2']);

      raw[1]!.socket.terminate();
      await raw[1]!.closed;
      texts.clear();
      for (let i = 0; i < 40; i++) texts.add((await wide()).text());
      assert.deepEqual([...texts].sort(), ['from 0', 'from 2']);

      await controlled('PATCH', '/v1/tunnels/wide', { sessions: 2 });
      await raw[0]!.frame(GOAWAY);
      assert.equal((await raw[2]!.closed).code, CLOSE.draining);

      await controlled('POST', '/v1/tunnels/wide/revoke');
      assert.equal((await raw[0]!.closed).code, CLOSE.revoked);
      const again = await refusedDial(await dialHeaders(mine, 'wide'));
      assert.deepEqual([again.status, again.code], [403, CLOSE.revoked]);
    },
  );
});

describe('TCP through a session', () => {
  test('both directions, each with an end of its own; nowhere to go', { timeout: 30_000 }, async () => {
    // Says how much came, once the other side has ended.
    const counting = createServer({ allowHalfOpen: true }, (socket) => {
      let count = 0;
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => (count += chunk.length));
      socket.on('end', () => socket.end(`${count} bytes`));
    }).listen(0, '127.0.0.1');
    await once(counting, 'listening');
    const ports = [await freePort('127.0.0.1', 0), await freePort('127.0.0.1', 0)] as const;
    const args = ['--tcp', `127.0.0.1:${ports[0]}=laptop/db`, '--tcp', `127.0.0.1:${ports[1]}=laptop/none`];
    const edge = await startGateway({ policy, env: { XDG_CONFIG_HOME: home }, args });
    const { port } = counting.address() as AddressInfo;
    const one = await connector('laptop', 1, edge, new Map([['db', { protocol: 'tcp', host: '127.0.0.1', port }]]));
    try {
      const socket = connect({ port: ports[0], host: '127.0.0.1', allowHalfOpen: true });
      let said = '';
      socket.on('data', (chunk: Buffer) => (said += String(chunk)));
      socket.write('first');
      socket.end(Buffer.alloc(3_000_000));
      await once(socket, 'end');
      assert.equal(said, '3000005 bytes');
      const refused = connect({ port: ports[1], host: '127.0.0.1' });
      refused.on('error', () => {});
      await once(refused, 'close');
    } finally {
      await one.close(0);
      await edge.stop();
      counting.close();
    }
  });
});

describe('an edge that stops', () => {
  test('says GOAWAY first, and lets what is open end', { timeout: 30_000 }, async () => {
    const edge = await startGateway({ policy, env: { XDG_CONFIG_HOME: home } });
    try {
      const one = new RawConnector(edge, await dialHeaders(await rights(), 'other', {}, edge));
      await one.welcome();
      const answer = ask(`${edge.url}/last`, { host: 'other.example.com', agent: false });
      const { stream } = await one.frame(OPEN);
      edge.signal('SIGTERM');
      await one.frame(GOAWAY);
      one.send(headFrame(stream, 4), frame(DATA, stream, Buffer.from('last')), frame(END, stream));
      assert.equal((await answer).text(), 'last');
      one.socket.close();
      assert.equal(await edge.exited, 0);
    } finally {
      await edge.stop();
    }
  });
});

describe('dials of connectors', () => {
  test('without rights, or with those of somebody else', { timeout: 20_000 }, async () => {
    const mine = await rights();
    const good = await dialHeaders(mine);
    const cases: [string, Record<string, string>, number, RegExp][] = [
      ['none', {}, 401, /needs the headers/],
      ['half', { [CAPABILITY_HEADER]: mine.capability }, 401, /needs the headers/],
      ['of another project', await dialHeaders(await rights({}, true)), 403, /does not serve/],
      ['for another name', await dialHeaders(mine, 'laptop'), 403, /does not cover/],
      ['for another edge', await dialHeaders(mine, 'other', { host: 'edge.example' }), 401, /another host/],
      ['of another connector', { ...good, ...(await headersOfOther(mine)) }, 401, /by the key/],
      ['expired', await dialHeaders(await rights({ generation: 1, expires: 1000 })), 401, /expired/],
      ['for a resume that it does not name', { ...good, [RESUME_HEADER]: 'a.b.0' }, 401, /another lane/],
    ];
    for (const [what, headers, status, detail] of cases) {
      const answer = await refusedDial(headers);
      assert.equal(answer.status, status, what);
      assert.match(answer.detail, detail, what);
    }
  });

  async function headersOfOther(mine: Rights): Promise<Record<string, string>> {
    return dialHeaders({ capability: mine.capability, key: await generateConnectorKey() });
  }

  test('a handshake works once', { timeout: 20_000 }, async () => {
    const headers = await dialHeaders(await rights());
    const one = new RawConnector(gateway, headers);
    await one.welcome();
    const answer = await refusedDial(headers);
    assert.deepEqual([answer.status, answer.code], [401, CLOSE.unauthorised]);
    assert.match(answer.detail, /used before/);
    one.socket.close();
    await one.closed;
  });

  test('frames that break the protocol close the socket with their code', { timeout: 20_000 }, async () => {
    const cases: [string, (one: RawConnector) => void, number][] = [
      ['a text', (one) => one.socket.send('hello'), CLOSE.malformed],
      ['nothing', (one) => one.socket.send(Buffer.alloc(0)), CLOSE.malformed],
      ['half a frame', (one) => one.socket.send(Buffer.alloc(5)), CLOSE.malformed],
      ['a stream of its own', (one) => one.send(frame(OPEN, 2, Buffer.from([3, 0]))), CLOSE.malformed],
      ['a stream that nobody opened', (one) => one.send(frame(DATA, 99, Buffer.alloc(9))), CLOSE.malformed],
      ['too long a message', (one) => one.socket.send(Buffer.alloc(1_048_577)), CLOSE.limit],
      ['too much credit', (one) => one.send(windowFrame(0, 0x7fff_ffff)), CLOSE.malformed],
    ];
    for (const [what, act, code] of cases) {
      const one = new RawConnector(gateway, await dialHeaders(await rights()));
      await one.welcome();
      act(one);
      assert.equal((await one.closed).code, code, what);
    }
    assert.equal((await asked('/', { host: 'other.example.com' })).status, 503);
  });

  test('more bytes than were granted close the socket', { timeout: 20_000 }, async () => {
    const one = new RawConnector(gateway, await dialHeaders(await rights()));
    await one.welcome();
    const request = begin(`${gateway.url}/flood`, { host: 'other.example.com' });
    request.on('error', () => {});
    request.on('response', (response: IncomingMessage) => response.on('error', () => {}).pause());
    request.end();
    const { stream } = await one.frame(OPEN);
    one.send(headFrame(stream, 1e9));
    for (let sent = 0; sent < 400; sent++) one.send(frame(DATA, stream, Buffer.alloc(65_536)));
    const { code, reason } = await one.closed;
    assert.equal(code, CLOSE.limit);
    assert.match(reason, /beyond its credit/);
    request.destroy();
  });
});

describe('a socket that drops', () => {
  test('is resumed: the stream goes on where it was, under the same key only', { timeout: 30_000 }, async () => {
    const mine = await rights();
    const first = new RawConnector(gateway, await dialHeaders(mine));
    const { lane, token } = await first.welcome();
    const answer = asked('/resumed', { host: 'other.example.com', agent: false, method: 'POST', body: 'once' });
    const { stream } = await first.frame(OPEN);
    await first.frame(END);
    first.send(headFrame(stream, 20), frame(DATA, stream, Buffer.alloc(10, 'a')));
    await sleep(100);
    first.socket.terminate();
    await first.closed;

    // Somebody else of the project, who knows the token.
    const thief = new RawConnector(gateway, {
      ...(await dialHeaders(await rights(), 'other', { resume: token })),
      [RESUME_HEADER]: writeResume({ lane, token, received: first.received }),
    });
    assert.equal((await thief.welcome()).resumed, false);
    thief.socket.close();

    const second = new RawConnector(gateway, {
      ...(await dialHeaders(mine, 'other', { resume: token })),
      [RESUME_HEADER]: writeResume({ lane, token, received: first.received }),
    });
    const welcome = await second.welcome();
    const sent = headFrame(stream, 20).byteLength + frame(DATA, stream, Buffer.alloc(10)).byteLength;
    assert.deepEqual([welcome.resumed, welcome.lane, welcome.received], [true, lane, sent]);
    second.send(frame(DATA, stream, Buffer.alloc(10, 'b')), frame(END, stream));
    assert.equal((await answer).text(), 'aaaaaaaaaabbbbbbbbbb');
    second.socket.close();
  });

  test('an idempotent request goes to another connector; another ends', { timeout: 30_000 }, async () => {
    const first = new RawConnector(gateway, await dialHeaders(await rights()));
    await first.welcome();
    const idempotent = asked('/moves', { host: 'other.example.com', agent: false });
    await first.frame(OPEN);
    const second = new RawConnector(gateway, await dialHeaders(await rights()));
    await second.welcome();
    first.socket.terminate();
    const { stream } = await second.frame(OPEN);
    second.send(headFrame(stream, 2), frame(DATA, stream, Buffer.from('ok')), frame(END, stream));
    assert.equal((await idempotent).text(), 'ok');

    const posted = asked('/stays', { host: 'other.example.com', agent: false, method: 'POST', body: 'x' });
    await second.frame(OPEN, second.frames.length);
    const third = new RawConnector(gateway, await dialHeaders(await rights()));
    await third.welcome();
    second.socket.terminate();
    assert.equal((await posted).status, 502);
    assert.deepEqual(
      third.frames.filter(({ type }) => type === OPEN),
      [],
    );
    third.socket.close();
    await third.closed;
  });

  test('a request waits for a connector that was there a moment ago', { timeout: 30_000 }, async () => {
    const waiting = asked('/waits', { host: 'other.example.com', agent: false });
    const next = new RawConnector(gateway, await dialHeaders(await rights()));
    await next.welcome();
    const { stream } = await next.frame(OPEN);
    next.send(headFrame(stream, 2), frame(DATA, stream, Buffer.from('ok')), frame(END, stream));
    assert.equal((await waiting).text(), 'ok');
    next.socket.close();
  });
});
