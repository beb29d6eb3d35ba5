/** Who may dial, who may reach, and how soon that ends: over real processes, with parties that try what they may not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { spawn } from 'node:child_process';
import { connect as openTcp, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { unixRequest } from '../../src/cli/http.ts';
import { accessDialer, type AccessResult } from '../../src/tunnel/connector/access.ts';
import { ACCESS_PATH, type Dial, generateConnectorKey, HANDSHAKE_HEADER } from '../../src/tunnel/capability.ts';
import type { Connector, Credentials } from '../../src/tunnel/connector/connector.ts';
import { issued, type PrivateJwk } from '../../src/tunnel/connector/credentials.ts';
import type { Shown, ShownSocket, ShownWhole } from '../../src/tunnel/shown.ts';
import { readWelcome, type Resume, RESUME_HEADER, writeResume } from '../../src/tunnel/welcome.ts';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { BIN, startGateway, type Gateway, type GatewayEvent } from '../gateway.ts';
import {
  closeOf,
  connect,
  dialAs,
  dialWith,
  headersFor,
  party,
  rightsOf,
  streamOf,
  told,
  tunnel,
  type Dialled,
  type Party,
  type Rights,
} from '../support/tunnels.ts';

describe('rights to tunnels [workerd]', { skip: process.env['SALLYPORT_TARGET'] === 'cloudflare' }, () => {
  let folder = '';
  let state = '';
  let own: Party;
  let partner: Party;
  let stranger: Party;
  let echo: Echo;
  let gateway: Gateway;
  let database: Server;
  const connectors: Connector[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-rights-'));
    state = join(folder, 'state');
    own = await party(folder, 'own');
    partner = await party(folder, 'partner');
    stranger = await party(folder, 'stranger');
    echo = await startEcho('behind');
    database = createServer((socket) => void socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
    await once(database, 'listening');
    gateway = await startGateway({
      policy: `app: edge
tunnels:
  names: { hidden: { access: private }, keyed: { restricted: { keys: [{ secret: KEY }], basic: { ann: { secret: ANN } } } } }
  edges: [127.0.0.1]
  projects: { partner: ${partner.jwk.x} }
  networks: [{ from: ["*"], to: [office, "db.*"] }]
`,
      args: ['--state', state, '--secret', 'KEY=env:KEY', '--secret', 'ANN=env:ANN'],
      env: { XDG_CONFIG_HOME: own.home, KEY: 'a-key-for-programs', ANN: 'correct horse battery' },
    });
  });
  after(async () => {
    for (const one of connectors) await one.close(0);
    await gateway?.stop();
    await echo?.stop();
    database?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const databasePort = (): number => (database.address() as AddressInfo).port;
  const get = (host: string, headers: Record<string, string> = {}) =>
    ask(`${gateway.url}/`, { host: `${host}.localhost:${gateway.port}`, headers, agent: gateway.agent });
  async function serve(name: string, who = own, services: Record<string, number> = { '': echo.port }) {
    const made = await connect(gateway, who, { name, services });
    connectors.push(made);
    return made;
  }
  const refused = (dialled: Dialled, status: number, detail: RegExp): void => {
    dialled.socket?.close();
    assert.deepEqual([dialled.status, detail.test(dialled.detail)], [status, true], dialled.detail);
  };
  const objects = async (): Promise<number> => {
    const all = await readdir(join(state, 'objects'), { recursive: true });
    return all.filter((file) => file.endsWith('.sqlite')).length;
  };

  test('a dial that proves nothing is refused, and no object comes of it', async () => {
    const before = await objects();
    const expired = { generation: Date.now() - 2000, expires: Date.now() - 1000 };
    const good = await rightsOf(own, { names: ['forged'] });
    refused(await dialWith(gateway, {}), 401, /needs the headers/);
    refused(await dialAs(gateway, await rightsOf(stranger, { names: ['forged'] }), 'forged'), 403, /project/);
    refused(
      await dialAs(gateway, await rightsOf({ ...stranger, project: own.project }, { names: ['forged'] }), 'forged'),
      401,
      /signature/,
    );
    refused(await dialAs(gateway, { ...good, key: await generateConnectorKey() }, 'forged'), 401, /signature/);
    refused(await dialAs(gateway, await rightsOf(own, { names: ['forged'], ...expired }), 'forged'), 401, /expired/);
    refused(await dialAs(gateway, good, 'forged', undefined, Date.now() - 61_500), 401, /clock/);
    refused(await dialAs(gateway, good, 'another'), 403, /does not cover/);
    refused(await dialAs(gateway, good, 'forged', 'db'), 403, /does not cover/);
    refused(
      await dialWith(gateway, await headersFor(gateway, good, { name: 'forged', host: 'a:1' })),
      401,
      /another host/,
    );
    // Another edge that was dialled by this connector passes on what was signed for it, with its own Host.
    const relayed = {
      ...(await headersFor(gateway, good, { name: 'forged', host: 'evil.example' })),
      host: 'evil.example',
    };
    refused(await dialWith(gateway, relayed), 403, /not dialled by that host/);
    const proof = (await headersFor(gateway, good, { name: 'forged' }))[HANDSHAKE_HEADER]!;
    const other = await rightsOf(own, { names: ['forged'], reach: ['x'] }, good.key);
    const swapped = { ...(await headersFor(gateway, other, { name: 'forged' })), [HANDSHAKE_HEADER]: proof };
    refused(await dialWith(gateway, swapped), 401, /another capability/);
    assert.equal(await objects(), before);
  });

  test('hosts that nobody has make no objects either', async () => {
    const before = await objects();
    for (let index = 0; index < 5; index++) assert.equal((await get(`nobody-${index}`)).status, 502);
    assert.equal((await get('a.b.c')).status, 404);
    assert.equal(await objects(), before);
  });

  test('a handshake works once', async () => {
    const rights = await rightsOf(own, { names: ['replayed'] });
    const headers = await headersFor(gateway, rights, { name: 'replayed' });
    const first = await dialWith(gateway, headers);
    assert.equal(first.status, 101);
    refused(await dialWith(gateway, headers), 401, /used before/);
    first.socket?.close();
  });

  test('who dialled, and who was refused and why, is in the log', async () => {
    const since = gateway.events.length;
    const said = async (test: (dial: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> => {
      const read = ({ message }: GatewayEvent): Record<string, unknown> => {
        const text = String(message);
        return text.includes('"dial":') ? (JSON.parse(text) as Record<string, unknown>) : {};
      };
      const found = await gateway.event('log', (event) => 'dial' in read(event) && test(read(event)), since);
      const { time, peer, ...dial } = read(found);
      assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000, String(time));
      assert.match(String(peer), /^127\.0\.0\.1/);
      return dial;
    };
    const rights = await rightsOf(own, { names: ['noted'], reach: ['db.noted'] });
    const headers = await headersFor(gateway, rights, { name: 'noted' });
    const first = await dialWith(gateway, headers);
    const { project } = own;
    const known = { dial: 'serve', tunnel: 'noted', service: '', project };
    assert.deepEqual(await said(({ status, tunnel }) => tunnel === 'noted' && status === 101), {
      ...known,
      status: 101,
    });
    await dialWith(gateway, headers);
    const reason = 'the handshake was used before';
    assert.deepEqual(await said(({ tunnel, status }) => tunnel === 'noted' && status === 401), {
      ...known,
      status: 401,
      reason,
    });
    await dialWith(gateway, { ...headers, [HANDSHAKE_HEADER]: 'v1.x.y' });
    const unproven = await said(({ tunnel, status }) => tunnel === '' && status === 401);
    assert.deepEqual([unproven['dial'], unproven['project']], ['serve', '']);
    (await dialAs(gateway, rights, 'noted', 'db')).socket?.close();
    assert.equal((await said(({ dial }) => dial === 'access'))['service'], 'db');
    first.socket?.close();
  });

  test('a name that another project has cannot be taken over, before or after', async () => {
    await told(gateway, own, 'create', 'reserved');
    refused(
      await dialAs(gateway, await rightsOf(partner, { names: ['reserved'] }), 'reserved'),
      409,
      /another project/,
    );
    const theirs = await serve('theirs', partner);
    assert.equal((await get('theirs')).status, 200);
    refused(await dialAs(gateway, await rightsOf(own, { names: ['theirs'] }), 'theirs'), 409, /another project/);
    const taken = await tunnel(gateway, own, 'create', 'theirs');
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /another project/);
    await theirs.close(0);
    // Nobody is connected, and it is theirs all the same.
    refused(await dialAs(gateway, await rightsOf(own, { names: ['theirs'] }), 'theirs'), 409, /another project/);
  });

  test('what is revoked is closed at once with 4403, and what is issued later is taken', async () => {
    const rights = await rightsOf(own, { names: ['revoked'] });
    const { socket } = await dialAs(gateway, rights, 'revoked');
    assert.ok(socket !== null);
    const connector = await serve('revoked');
    assert.equal((await get('revoked')).status, 200);
    const closed = closeOf(socket);
    const ended = once(connector, 'closed');
    const result = await told<{ closed: number }>(gateway, own, 'revoke', 'revoked');
    assert.equal(result.closed, 2);
    assert.equal(await closed, 4403);
    const [{ reason }] = (await ended) as [{ reason: string }];
    assert.match(reason, /revoked/);
    refused(await dialAs(gateway, rights, 'revoked'), 403, /revoked/);
    await serve('revoked');
    assert.equal((await get('revoked')).status, 200);
  });

  test('what is deleted is closed, its rights are worth nothing, and its name is free', async () => {
    const rights = await rightsOf(own, { names: ['deleted'] });
    const { socket } = await dialAs(gateway, rights, 'deleted');
    const closed = closeOf(socket!);
    await told(gateway, own, 'delete', 'deleted');
    assert.equal(await closed, 4403);
    refused(await dialAs(gateway, rights, 'deleted'), 403, /revoked/);
    const listed = await told<{ tunnels: { name: string }[] }>(gateway, own, 'list');
    assert.ok(!listed.tunnels.some(({ name }) => name === 'deleted'));
    const theirs = await dialAs(gateway, await rightsOf(partner, { names: ['deleted'] }), 'deleted');
    assert.equal(theirs.status, 101);
    theirs.socket?.close();
  });

  test('the file that create writes is its user’s alone, and serves', async () => {
    const { file } = await told<{ file: string }>(gateway, own, 'create', 'filed', '--days', '1');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const rights = JSON.parse(await readFile(file, 'utf8')) as { capability: string; key: PrivateJwk };
    connectors.push(await connect(gateway, own, { name: 'filed', services: { '': echo.port }, rights }));
    assert.equal((await get('filed')).status, 200);
    const status = await told<{ status: { lanes: { attached: boolean }[] }[] }>(gateway, own, 'status', 'filed');
    assert.deepEqual(
      status.status.map(({ lanes }) => lanes.map(({ attached }) => attached)),
      [[true]],
    );
    const again = await tunnel(gateway, own, 'create', 'filed');
    assert.match(again.stderr, /exists; --renew/);
    await told(gateway, own, 'create', 'filed', '--renew');
    const renewed = JSON.parse(await readFile(file, 'utf8')) as typeof rights;
    assert.deepEqual(renewed.key, rights.key);
    assert.notEqual(renewed.capability, rights.capability);
    await chmod(file, 0o644);
  });

  test('rights of seconds: sockets are replaced before they end, and what is open goes on', async () => {
    const mine = issued(own.jwk, ['brief'], [], null, 4000);
    const used = new Set<string>();
    const credentials: Credentials = async (now) => {
      const made = await mine(now);
      used.add(made.capability);
      return made;
    };
    const services = { '': echo.port };
    const connector = await connect(gateway, own, { name: 'brief', sockets: 2, services, credentials });
    connectors.push(connector);
    while (connector.sockets < 2) await sleep(20);
    type Told = { status: { lanes: { lane: string; streams: number }[] }[] };
    const lanes = async (): Promise<Told['status'][number]['lanes']> => {
      const { status } = await told<Told>(gateway, own, 'status', 'brief');
      return status.flatMap((session) => session.lanes);
    };
    const names = async (): Promise<string[]> => (await lanes()).map(({ lane }) => lane).toSorted();
    const headers = { host: `brief.localhost:${gateway.port}` };
    const open: ClientRequest[] = [];
    const bodies: Promise<string>[] = [];
    // Of each lane, both: what is open holds them. The second one takes requests once the edge has heard of its connector.
    for (let held: { streams: number }[] = []; held.length < 2 || held.some(({ streams }) => streams === 0);) {
      assert.ok(open.length < 64, 'one of the lanes takes no request');
      const one = request(`${gateway.url}/stream`, { method: 'POST', headers });
      one.write('begin;');
      open.push(one);
      bodies.push(once(one, 'response').then(([response]) => text(response as IncomingMessage)));
      held = await lanes();
    }
    const before = await names();
    let chunks = 0;
    for (; used.size < 4; chunks++) {
      for (const one of open) one.write(`${chunks};`);
      await sleep(20);
    }
    for (const one of open) one.end('end');
    const whole = `begin;${Array.from({ length: chunks }, (_, index) => `${index};`).join('')}end`;
    for (const body of await Promise.all(bodies)) assert.equal(body, whole);
    assert.deepEqual(await names(), before);
  });

  test('logs of a connector elsewhere: what ends while somebody looks, for its operator alone', async () => {
    await serve('watched');
    const from = async (
      after: string,
      inspect = '',
    ): Promise<{ requests: ShownWhole[]; next: string; missed: number }> => {
      const path = `/v1/tunnels/watched/requests?after=${after}${inspect}`;
      const { status, body } = await unixRequest(gateway.control, 'GET', path, undefined, 5000);
      assert.equal(status, 200, body);
      return JSON.parse(body) as Awaited<ReturnType<typeof from>>;
    };
    // The last byte may be with the client before its end is at the edge.
    const ended = async (after: string): Promise<Awaited<ReturnType<typeof from>>> => {
      for (;;) {
        const noted = await from(after, '&inspect=1');
        if (noted.requests.length > 0) return noted;
      }
    };
    await get('watched');
    const first = await from('');
    assert.deepEqual([first.requests, first.missed], [[], 0]);
    const headers = { host: `watched.localhost:${gateway.port}`, cookie: 'c=1' };
    const asked = await ask(`${gateway.url}/a?token=t`, { host: headers.host, headers, agent: gateway.agent });
    const second = await ended(first.next);
    assert.equal(second.requests.length, 1);
    const [line] = second.requests;
    assert.deepEqual(
      [line!.kind, line!.method, line!.target, line!.status, line!.bytesOut, line!.requestFields],
      ['http', 'GET', '/a?token=(hidden)', 200, asked.body.length, []],
    );
    await ask(`${gateway.url}/b`, {
      host: headers.host,
      headers,
      method: 'POST',
      body: 'the body',
      agent: gateway.agent,
    });
    const third = await ended(second.next);
    const [whole] = third.requests;
    assert.ok(whole!.requestFields.some(([name, value]) => name === 'cookie' && value === '(hidden)'));
    assert.deepEqual(whole!.requestBody, { bytes: 8, truncated: false, text: 'the body' });
    assert.deepEqual((await from(third.next)).requests, []);
    // A name that is not the operator's of this edge.
    await serve('watched-partner', partner);
    const refusal = await tunnel(gateway, own, 'logs', 'watched-partner');
    assert.match(refusal.stderr, /there is no tunnel watched-partner/);

    const place = ['--control', gateway.control, '--json'];
    const command = spawn(process.execPath, [BIN, 'tunnel', 'logs', 'watched', ...place], {
      cwd: own.home,
      env: { ...process.env, XDG_CONFIG_HOME: own.home, XDG_STATE_HOME: own.home },
    });
    try {
      const lines = createInterface({ input: command.stdout })[Symbol.asyncIterator]();
      await once(command.stderr, 'data');
      await get('watched');
      const { value } = (await lines.next()) as { value: string };
      const { target, status } = JSON.parse(value) as Shown;
      assert.deepEqual([target, status], ['/', 200]);
    } finally {
      command.kill();
    }
  });

  test('logs of a connector elsewhere list what is open, also when its object slept', { timeout: 40_000 }, async () => {
    await serve('listening');
    const headers = { host: `listening.localhost:${gateway.port}` };
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/socket?token=t&a=${'b'.repeat(999)}`, { headers });
    await once(socket, 'open');
    const open = async (after = ''): Promise<[ShownSocket[], string]> => {
      const path = `/v1/tunnels/listening/requests?after=${after}`;
      const { status, body } = await unixRequest(gateway.control, 'GET', path, undefined, 5000);
      assert.equal(status, 200, body);
      const told = JSON.parse(body) as { open: ShownSocket[]; next: string };
      return [told.open, told.next];
    };
    const [[one, ...more], next] = await open();
    assert.deepEqual([one!.kind, one!.service, one!.host, more], ['websocket', '', headers.host, []]);
    assert.match(one!.target, /^\/socket\?token=\(hidden\)&a=b+$/);
    assert.equal(one!.target.length, 256);
    assert.deepEqual((await open(next))[0], []);
    // Longer than it takes until an object with nothing to do is evicted.
    await sleep(14_000);
    assert.deepEqual((await open())[0], [one]);
    const command = spawn(process.execPath, [BIN, 'tunnel', 'logs', 'listening', '--control', gateway.control], {
      cwd: own.home,
      env: { ...process.env, XDG_CONFIG_HOME: own.home, XDG_STATE_HOME: own.home, NO_COLOR: '1' },
    });
    try {
      for await (const line of createInterface({ input: command.stderr }))
        if (line.startsWith('open since')) {
          assert.ok(
            line.startsWith(`open since ${one!.started}  WebSocket ${headers.host}/socket?token=(hidden)`),
            line,
          );
          break;
        }
    } finally {
      command.kill();
    }
    socket.close();
    // Until the origin has closed its side too.
    while ((await open())[0].length > 0) await sleep(20);
  });

  test('private: not by the host, by the policy’s word or by the registry’s', async () => {
    await serve('hidden');
    assert.equal((await get('hidden')).status, 403);
    await told(gateway, own, 'create', 'secluded', '--access', 'private');
    await serve('secluded');
    assert.equal((await get('secluded')).status, 403);
    await told(gateway, own, 'create', 'secluded', '--renew', '--access', 'public');
    const shy = await rightsOf(own, { names: ['shy'], exposure: 'private' });
    const { socket } = await dialAs(gateway, shy, 'shy');
    assert.equal((await get('shy')).status, 403);
    socket?.close();
    await sleep(2100); // EXPOSED_MS
    assert.equal((await get('secluded')).status, 200);
  });

  test('restricted: by key, by user and by address', async () => {
    const basic = (user: string, password: string) => ({
      authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
    });
    await serve('keyed');
    const challenged = await get('keyed');
    assert.equal(challenged.status, 401);
    assert.match(challenged.headers['www-authenticate'] ?? '', /Basic .*Bearer/);
    assert.equal((await get('keyed', { authorization: 'Bearer wrong-key-for-it' })).status, 401);
    assert.equal((await get('keyed', basic('ann', 'wrong'))).status, 401);
    for (const headers of [{ authorization: 'Bearer a-key-for-programs' }, basic('ann', 'correct horse battery')]) {
      const answer = await get('keyed', headers);
      assert.equal(answer.status, 200);
      assert.equal(answer.echo().headers['authorization'], undefined);
    }
    const { secrets } = await told<{ secrets: { user: string; secret: string }[] }>(
      ...([gateway, own, 'create', 'guarded', '--basic', 'bob', '--access-key', '--allow', '127.0.0.0/8'] as const),
    );
    await serve('guarded');
    assert.equal((await get('guarded')).status, 401);
    const [bob, key] = secrets;
    assert.equal((await get('guarded', basic('bob', bob!.secret))).status, 200);
    assert.equal((await get('guarded', { authorization: `Bearer ${key!.secret}` })).status, 200);
    await told(gateway, own, 'create', 'elsewhere', '--allow', '192.0.2.0/24');
    await serve('elsewhere');
    assert.equal((await get('elsewhere')).status, 403);
  });

  test('a service is reached by name from another connector, as far as the policy goes', async () => {
    await serve('office', own, { db: databasePort(), web: echo.port });
    assert.equal(await through(own, 'office', 'db', 'SELECT 1'), 'SELECT 1');
    const rights = await rightsOf(own, { reach: ['*'] });
    const web = await dialAs(gateway, rights, 'office', 'web');
    assert.equal(web.status, 101);
    web.socket?.close();
    await serve('home', own, { web: echo.port });
    refused(await dialAs(gateway, rights, 'home', 'web'), 403, /policy/);
    refused(await dialAs(gateway, rights, 'nowhere', 'db'), 404, /no such tunnel/);
    const narrow = await rightsOf(own, { reach: ['db.home'] });
    refused(await dialAs(gateway, narrow, 'office', 'db'), 403, /does not cover/);
  });

  test('a guest with rights of seconds: its connection goes on under the next ones', async () => {
    await serve('rooms', own, { db: databasePort() });
    const mine = issued(own.jwk, [], ['rooms'], null, 4000);
    const used = new Set<string>();
    const credentials: Credentials = async (now) => {
      const made = await mine(now);
      used.add(made.capability);
      return made;
    };
    const { client, over, lost } = await visit('rooms', 'db', credentials);
    for (let round = 0; used.size < 4; round++) {
      assert.equal(await said(client, `${round};`), `${round};`);
      await sleep(20);
    }
    client.end();
    await over;
    assert.deepEqual(lost, []);
  });

  test('a guest whose right ends has its connection ended at once, and is told why', async () => {
    await serve('hall', own, { db: databasePort() });
    const brief = await rightsOf(own, { reach: ['hall'], expires: Date.now() + 2500 });
    const first = await visit('hall', 'db', async () => brief);
    assert.equal(await said(first.client, 'one'), 'one');
    await assert.rejects(first.over, /expired/);
    await gone(first.client);
    const second = await visit('hall', 'db', issued(own.jwk, [], ['hall']));
    assert.equal(await said(second.client, 'two'), 'two');
    await told(gateway, own, 'revoke', 'hall');
    await assert.rejects(second.over, /revoked/);
    await gone(second.client);
  });

  test('nobody goes on with the connection of another guest', async () => {
    await serve('vault', own, { db: databasePort() });
    const rights = await rightsOf(own, { reach: ['vault'] });
    const { socket } = await dialAs(gateway, rights, 'vault', 'db');
    const welcome = readWelcome(String(((await once(socket!, 'message')) as [Buffer])[0]));
    const place = { name: 'vault', service: 'db', path: ACCESS_PATH };
    const attempt = async (who: Rights, more: Partial<Dial>, resume: Partial<Resume>): Promise<Dialled> => {
      const text = writeResume({ ...welcome, received: 0, ...resume });
      const headers = await headersFor(gateway, who, { ...place, resume: welcome.token, ...more });
      return dialWith(gateway, { ...headers, [RESUME_HEADER]: text }, ACCESS_PATH);
    };
    const stranger = await rightsOf(own, { reach: ['vault'] });
    refused(await attempt(stranger, {}, {}), 410, /has not kept/);
    refused(await attempt(rights, {}, { token: 'another' }), 401, /another lane/);
    refused(await attempt(rights, { resume: 'another' }, { token: 'another' }), 410, /has not kept/);
    refused(await attempt(rights, { resume: '' }, {}), 401, /another lane/);
    refused(await attempt(rights, { service: 'web' }, {}), 403, /policy/);
    refused(await attempt(rights, {}, { lane: '63-another' }), 410, /has not kept/);
    refused(await attempt(rights, {}, { lane: 'another' }), 410, /has not kept/);
    const again = await attempt(rights, {}, {});
    assert.equal(again.status, 101, again.detail);
    again.socket!.close();
  });

  test('another project reaches what is offered and accepted, until either side says no, and that at once', async () => {
    const reach = { reach: ['db.office'] };
    const attempt = async (): Promise<Dialled> => dialAs(gateway, await rightsOf(partner, reach), 'office', 'db');
    refused(await attempt(), 403, /does not offer/);
    await told(gateway, own, 'offer', 'db.office', '--to', partner.jwk.x);
    refused(await attempt(), 403, /does not offer/);
    await told(gateway, partner, 'accept', 'db.office', '--from', own.jwk.x);
    for (const [who, ...withdrawal] of [
      [own, '--to', partner.jwk.x],
      [partner, '--from', own.jwk.x],
    ] as const) {
      const { socket, status, detail } = await attempt();
      assert.equal(status, 101, detail);
      const stream = await streamOf(socket!);
      const echoed = new Promise<Uint8Array>((resolve) => (stream.onData = resolve));
      await stream.write(Buffer.from('SELECT 1'));
      assert.equal(Buffer.from(await echoed).toString(), 'SELECT 1');
      const closed = closeOf(socket!);
      const ended = await told<{ holds: boolean; closed: number }>(
        gateway,
        who,
        'withdraw',
        'db.office',
        ...withdrawal,
      );
      assert.deepEqual([ended.holds, ended.closed], [false, 1]);
      assert.equal(await closed, 4403);
      refused(await attempt(), 403, /does not offer/);
      const yes =
        who === own ? ['offer', 'db.office', '--to', partner.jwk.x] : ['accept', 'db.office', '--from', own.jwk.x];
      await told(gateway, who, ...yes);
    }
    // Of that service only, and for that project only.
    refused(await dialAs(gateway, await rightsOf(partner, { reach: ['*'] }), 'office', ''), 403, /does not offer/);
    const intruder = await tunnel(gateway, stranger, 'accept', 'db.office', '--from', own.jwk.x);
    assert.match(intruder.stderr, /not one that this edge serves/);
  });

  test('a project that a policy trusts no more: what it has open ends with the reload', async () => {
    const policy = (projects: string): string => `app: edge\ntunnels:\n  projects: { ${projects} }\n`;
    const both = `partner: ${partner.jwk.x}, stranger: ${stranger.jwk.x}`;
    const environment = { XDG_CONFIG_HOME: own.home };
    const other = await startGateway({ policy: policy(both), env: environment });
    const services = { db: databasePort() };
    const ends: Connector[] = [];
    try {
      const mine = await connect(other, own, { name: 'mine', services });
      const theirs = await connect(other, partner, { name: 'theirs', services });
      const kept = await connect(other, stranger, { name: 'kept', services });
      ends.push(mine, theirs, kept);
      await told(other, own, 'create', 'mine');
      await told(other, own, 'offer', 'db.mine', '--to', partner.jwk.x);
      await told(other, partner, 'accept', 'db.mine', '--from', own.jwk.x);
      const guest = await dialAs(other, await rightsOf(partner, { reach: ['db.mine'] }), 'mine', 'db');
      assert.equal(guest.status, 101, guest.detail);
      const [left, cut] = [once(theirs, 'closed'), closeOf(guest.socket!)];
      await other.write(policy(`stranger: ${stranger.jwk.x}`));
      const { status, body } = await unixRequest(other.control, 'POST', '/v1/reload', undefined, 20_000);
      assert.equal(status, 200, body);
      const [{ reason }] = (await left) as [{ reason: string }];
      assert.match(reason, /does not serve the project any more/);
      assert.equal(await cut, 4403);
      assert.deepEqual([mine.sockets, kept.sockets], [1, 1]);
      refused(await dialAs(other, await rightsOf(partner, { names: ['theirs'] }), 'theirs'), 403, /project/);
    } finally {
      for (const one of ends) await one.close(0);
      await other.stop();
    }
  });

  test('a network that a policy takes away: what goes over it ends with the reload, and nothing else', async () => {
    const policy = (to: string): string => `app: edge\ntunnels:\n  networks: [{ from: ["*"], to: [${to}] }]\n`;
    const other = await startGateway({ policy: policy('mine, theirs'), env: { XDG_CONFIG_HOME: own.home } });
    const ends: Connector[] = [];
    try {
      for (const name of ['mine', 'theirs'])
        ends.push(await connect(other, own, { name, services: { db: databasePort() } }));
      const [kept, cut] = [
        await visit('mine', 'db', issued(own.jwk, [], ['mine']), other),
        await visit('theirs', 'db', issued(own.jwk, [], ['theirs']), other),
      ];
      for (const { client } of [kept, cut]) assert.equal(await said(client, 'one'), 'one');
      await other.write(policy('mine'));
      const { status, body } = await unixRequest(other.control, 'POST', '/v1/reload', undefined, 20_000);
      assert.equal(status, 200, body);
      await assert.rejects(cut.over, /does not let this connector reach/);
      await gone(cut.client);
      assert.equal(await said(kept.client, 'two'), 'two');
      kept.client.destroy();
      assert.deepEqual(
        ends.map(({ sockets }) => sockets),
        [1, 1],
      );
    } finally {
      for (const one of ends) await one.close(0);
      await other.stop();
    }
  });

  /** What comes back of a text that was sent through `access`. */
  async function through(who: Party, name: string, service: string, text: string): Promise<string> {
    const { client } = await visit(name, service, issued(who.jwk, [], [name]));
    const answer = await said(client, text);
    client.destroy();
    return answer;
  }

  async function gone(client: Socket): Promise<void> {
    while (!client.destroyed) await sleep(5);
  }

  interface Visiting {
    readonly client: Socket;
    readonly over: Promise<AccessResult>;
    /** The connection to the edge was lost so often. */
    readonly lost: string[];
  }

  /** One connection to a service, through `access`. */
  async function visit(name: string, service: string, credentials: Credentials, edge = gateway): Promise<Visiting> {
    const dial = accessDialer({ edge: new URL(edge.url), name, service, credentials });
    const lost: string[] = [];
    const over = Promise.withResolvers<AccessResult>();
    over.promise.catch(() => {});
    const local = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      local.close();
      dial(
        socket.on('error', () => {}),
        (reason) => lost.push(reason),
      ).then(over.resolve, over.reject);
    }).listen(0, '127.0.0.1');
    await once(local, 'listening');
    const client = openTcp((local.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
    return { client, over: over.promise, lost };
  }

  async function said(client: Socket, text: string): Promise<string> {
    const answer = once(client, 'data') as Promise<[Buffer]>;
    client.write(text);
    return String((await answer)[0]);
  }
});
