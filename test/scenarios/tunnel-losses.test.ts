/** Sockets that are lost while a request waits for its answer to begin: where it goes, and when it is given up. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { unixRequest } from '../../src/cli/http.ts';
import { CLOSE, DATA, END, frame, GOAWAY, OPEN, PING, PONG, reasonFrame } from '../../src/tunnel/frame.ts';
import { sessionOfLane } from '../../src/tunnel/objects.ts';
import { RESUME_HEADER, type Welcome, writeResume } from '../../src/tunnel/welcome.ts';
import { ask, type Answer } from '../client.ts';
import { startGateway, type Gateway } from '../gateway.ts';
import { headFrame, RawConnector } from '../support/raw-connector.ts';
import { headersFor, party, rightsOf, type Party, type Rights } from '../support/tunnels.ts';

const app = (name: string): string =>
  `app: ${name}\nhostnames: [${name}.example.com]\nbackends: { origin: { tunnel: ${name} } }\nroutes: [{ backend: origin }]\n`;

describe('a request that waits for its answer', { skip: process.env['SALLYPORT_TARGET'] === 'cloudflare' }, () => {
  let folder = '';
  let own: Party;
  let gateway: Gateway;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-losses-'));
    own = await party(folder, 'own');
    gateway = await startGateway({
      policy: ['twice', 'late', 'next', 'leaves', 'grown', 'early'].map(app),
      env: { XDG_CONFIG_HOME: own.home },
    });
  });
  after(async () => {
    await gateway?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  interface Lane {
    readonly raw: RawConnector;
    readonly welcome: Welcome;
    readonly rights: Rights;
    readonly socket: number;
  }

  /** A connector's socket, the first of its lane or the next. */
  async function dial(name: string, last?: Lane, socket = last?.socket ?? 0): Promise<Lane> {
    const rights = last?.rights ?? (await rightsOf(own, { names: [name] }));
    const headers = await headersFor(gateway, rights, { name, socket, resume: last?.welcome.token ?? '' });
    const resume =
      last === undefined ? {} : { [RESUME_HEADER]: writeResume({ ...last.welcome, received: last.raw.received }) };
    const raw = new RawConnector(gateway, { ...headers, ...resume });
    raw.received = last?.raw.received ?? 0;
    return { raw, welcome: await raw.welcome(), rights, socket };
  }
  const get = (name: string): Promise<Answer> =>
    ask(`${gateway.url}/`, { host: `${name}.example.com`, agent: gateway.agent });
  const answer = (raw: RawConnector, stream: number): void =>
    raw.send(headFrame(stream, 2), frame(DATA, stream, Buffer.from('ok')), frame(END, stream));
  async function drop({ raw }: Lane): Promise<void> {
    raw.socket.terminate();
    await raw.closed;
  }

  test('lost twice: the lane that was lost first has come back, and is asked again', { timeout: 30_000 }, async () => {
    const lanes = [await dial('twice'), await dial('twice')] as const;
    const asked = get('twice');
    const first = await Promise.any(lanes.map(({ raw }, index) => raw.frame(OPEN).then(() => index)));
    const [one, other] = [lanes[first]!, lanes[1 - first]!];
    await drop(one);
    await other.raw.frame(OPEN);
    const back = await dial('twice', one);
    assert.equal(back.welcome.resumed, true);
    await drop(other);
    const { stream } = await back.raw.frame(OPEN);
    answer(back.raw, stream);
    assert.equal((await asked).text(), 'ok');
    await drop(back);
  });

  test(
    'its lane is closed after longer than it would wait for one: it waits all the same',
    { timeout: 30_000 },
    async () => {
      const one = await dial('late');
      const asked = get('late');
      await one.raw.frame(OPEN);
      await sleep(5500);
      one.raw.socket.send('no frame');
      await one.raw.closed;
      const next = await dial('late');
      const { stream } = await next.raw.frame(OPEN);
      answer(next.raw, stream);
      assert.equal((await asked).text(), 'ok');
      await drop(next);
    },
  );

  test(
    'the only socket is lost: the next connector is asked, and not after the grace',
    { timeout: 30_000 },
    async () => {
      const one = await dial('next');
      const asked = get('next');
      await one.raw.frame(OPEN);
      await drop(one);
      await sleep(1000);
      const next = await dial('next');
      const { stream } = await next.raw.frame(OPEN);
      // Within the grace, that is.
      const back = await dial('next', one);
      assert.equal(back.welcome.resumed, true);
      answer(next.raw, stream);
      assert.equal((await asked).text(), 'ok');
      await drop(next);
      await drop(back);
    },
  );

  test('the only connector says GOAWAY: it waits for the next one', { timeout: 30_000 }, async () => {
    const one = await dial('leaves');
    one.raw.send(reasonFrame(GOAWAY, 0, CLOSE.draining, 'restarts'));
    one.raw.send(frame(PING, 0, new Uint8Array(8)));
    await one.raw.frame(PONG);
    const asked = get('leaves');
    await sleep(500);
    const next = await dial('leaves');
    const { stream } = await next.raw.frame(OPEN);
    answer(next.raw, stream);
    assert.equal((await asked).text(), 'ok');
    await drop(next);
    await drop(one);
  });

  test('a tunnel gets more sessions: a lane is resumed where it was', { timeout: 30_000 }, async () => {
    const change = async (method: string, path: string, body: object): Promise<void> => {
      const { status, body: text } = await unixRequest(gateway.control, method, path, JSON.stringify(body), 10_000);
      assert.ok(status < 300, text);
    };
    await change('POST', '/v1/tunnels', { name: 'grown', sessions: 1 });
    const one = await dial('grown', undefined, 1);
    const asked = ask(`${gateway.url}/`, { host: 'grown.example.com', method: 'POST', body: 'once', agent: false });
    const { stream } = await one.raw.frame(OPEN);
    await one.raw.frame(END);
    await change('PATCH', '/v1/tunnels/grown', { sessions: 3 });
    await one.raw.frame(GOAWAY);
    await drop(one);
    // Socket 1 is another session's by now, and so is what begins there.
    const back = await dial('grown', one);
    const next = await dial('grown', undefined, 1);
    assert.deepEqual([back.welcome.resumed, back.welcome.lane], [true, one.welcome.lane]);
    assert.notEqual(sessionOfLane(next.welcome.lane), sessionOfLane(back.welcome.lane));
    answer(back.raw, stream);
    assert.equal((await asked).text(), 'ok');
    await drop(back);
    // It is gone with its last stream: its place is that of the socket again.
    const last = await dial('grown', back);
    assert.deepEqual([last.welcome.resumed, sessionOfLane(last.welcome.lane)], [false, 1]);
    await drop(last);
    await drop(next);
  });

  test('sockets that are lost before their connectors speak are no tries', { timeout: 30_000 }, async () => {
    const one = await dial('early');
    await drop(one);
    const asked = get('early');
    for (let lost = 0; lost < 6; lost++) {
      const raw = new RawConnector(gateway, await headersFor(gateway, one.rights, { name: 'early' }));
      await raw.frame(OPEN);
      raw.socket.terminate();
      await raw.closed;
    }
    const last = await dial('early');
    const { stream } = await last.raw.frame(OPEN);
    answer(last.raw, stream);
    assert.equal((await asked).text(), 'ok');
    await drop(last);
  });
});
