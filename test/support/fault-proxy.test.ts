import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { bytes } from '../echo.ts';
import { either, startFaultProxy, type FaultProxy } from './fault-proxy.ts';

let server: Server;
let proxy: FaultProxy;
/** The target's ends of connections, in order. */
let ends: Socket[];

beforeEach(async () => {
  ends = [];
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    ends.push(socket);
    server.emit('end of');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await startFaultProxy((server.address() as AddressInfo).port);
});
afterEach(async () => {
  await proxy.stop();
  for (const socket of ends) socket.destroy();
  server.close();
});

/** A connection through the proxy, both its ends. */
async function pair(): Promise<[near: Socket, far: Socket]> {
  const count = ends.length;
  const near = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
  await once(near, 'connect');
  while (ends.length === count) await once(server, 'end of');
  return [near, ends[count] as Socket];
}
/** Reads until that many bytes, or the end, have come. */
async function take(socket: Socket, count: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let got = 0; got < count;) {
    const part = socket.read() as Buffer | null;
    if (part !== null) {
      parts.push(part);
      got += part.length;
    } else if (socket.readableEnded || socket.destroyed) break;
    else await either(socket, 'readable', 'end', 'close');
  }
  return Buffer.concat(parts);
}

describe('fault proxy', () => {
  test('passes all bytes of both directions, and the ends of each', { timeout: 10_000 }, async () => {
    const [near, far] = await pair();
    const [there, back] = [bytes(3_000_000), Buffer.from(bytes(2_000_000).toReversed())];
    near.end(there);
    far.write(back);
    const [arrived, answered] = await Promise.all([take(far, there.length), take(near, back.length)]);
    assert.ok(arrived.equals(there));
    assert.ok(answered.equals(back));
    assert.deepEqual(proxy.passed, { up: there.length, down: back.length });
    await take(far, 1); // the end
    // The other direction is still open.
    far.end('last words');
    assert.equal(String(await take(near, 10)), 'last words');
    await proxy.until(() => proxy.open === 0);
    assert.equal(proxy.accepted, 1);
  });

  test('latency holds each byte back, narrow links take their time', { timeout: 10_000 }, async () => {
    const [near, far] = await pair();
    proxy.up.latency = 60;
    let began = performance.now();
    near.write('x');
    await take(far, 1);
    assert.ok(performance.now() - began >= 59, 'a lower bound: a slow machine is no matter');
    proxy.up.latency = 0;
    proxy.up.bytesPerSecond = 1_000_000;
    began = performance.now();
    near.write(bytes(100_000));
    await take(far, 100_000);
    assert.ok(performance.now() - began >= 85);
  });

  test('segments of one byte', { timeout: 10_000 }, async () => {
    const [near, far] = await pair();
    proxy.down.segment = 1;
    far.write('abcdefgh');
    let text = '';
    near.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await proxy.until(() => proxy.passed.down === 8);
    while (text.length < 8) await once(near, 'data');
    assert.equal(text, 'abcdefgh');
  });

  test('a stalled direction passes nothing, no end either, and loses nothing', { timeout: 10_000 }, async () => {
    const [near, far] = await pair();
    proxy.up.stalled = true;
    near.end('held back');
    far.write('not concerned');
    assert.equal(String(await take(near, 13)), 'not concerned');
    await new Promise((done) => setTimeout(done, 30));
    assert.equal(proxy.passed.up, 0);
    assert.equal(far.readableEnded, false);
    proxy.up.stalled = false;
    assert.equal(String(await take(far, 100)), 'held back');
  });

  test('a cut comes after exactly that many bytes', { timeout: 10_000 }, async () => {
    proxy.up.cutAfter = 70_000;
    const [near, far] = await pair();
    let got = 0;
    far.on('data', (chunk: Buffer) => (got += chunk.length));
    const gone = Promise.all([either(near, 'close'), either(far, 'close')]);
    near.write(bytes(100_000));
    await gone;
    assert.equal(proxy.passed.up, 70_000);
    assert.ok(got <= 70_000);
  });

  test('resets reach both ends; abandoned connections tell neither', { timeout: 10_000 }, async () => {
    const [near, far] = await pair();
    const gone = Promise.all([either(near, 'close'), either(far, 'close')]);
    proxy.reset();
    await gone;
    const [left, right] = await pair();
    proxy.abandon();
    left.destroy();
    right.write('into the void');
    await new Promise((done) => setTimeout(done, 30));
    assert.equal(right.destroyed || right.readableEnded, false);
    const [again, other] = await pair();
    again.write('new ones work');
    assert.equal(String(await take(other, 13)), 'new ones work');
  });

  test('a reset of one end is a reset at the other', { timeout: 10_000 }, async () => {
    const [near, far] = await pair();
    const failed = once(far, 'error');
    near.resetAndDestroy();
    assert.equal(((await failed)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
  });

  test('connections can be refused, or taken and left alone', { timeout: 10_000 }, async () => {
    proxy.accept = 'refuse';
    const refused = connect(proxy.port, '127.0.0.1').on('error', () => {});
    await either(refused, 'close');
    proxy.accept = 'hang';
    const hung = connect(proxy.port, '127.0.0.1').on('error', () => {});
    await once(hung, 'connect');
    await proxy.until(() => proxy.accepted === 2);
    assert.equal(ends.length, 0);
    hung.destroy();
    proxy.heal();
    await pair();
  });
});
