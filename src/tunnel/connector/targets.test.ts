import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { listening } from '../../../test/support/tunnel-pair.ts';
import {
  checkedLookup,
  CONNECT_TIMEOUT,
  isForbidden,
  MAX_SERVICES,
  parseTarget,
  TargetError,
  Targets,
  type Target,
} from './targets.ts';

test('targets are read', () => {
  assert.deepEqual(parseTarget('3000'), { protocol: 'any', host: 'localhost', port: 3000 });
  assert.deepEqual(parseTarget('3000', 'http'), { protocol: 'http', host: 'localhost', port: 3000 });
  assert.deepEqual(parseTarget('db.internal:5432', 'tcp'), { protocol: 'tcp', host: 'db.internal', port: 5432 });
  assert.deepEqual(parseTarget('[::1]:80'), { protocol: 'any', host: '::1', port: 80 });
  assert.deepEqual(parseTarget('https://127.0.0.1:8443/', 'http'), {
    protocol: 'https',
    host: '127.0.0.1',
    port: 8443,
  });
  for (const wrong of [
    '',
    '0',
    '65536',
    'a',
    'a:',
    ':80',
    '[zz]:80',
    'http://a',
    'ftp://a:1',
    'a b:1',
    'a:1/x',
    'u@a:1',
  ])
    assert.throws(() => parseTarget(wrong), TargetError, wrong);
  assert.throws(() => parseTarget('http://a:1', 'tcp'), TargetError);
});

test('addresses that a name may not stand for', () => {
  const yes = ['169.254.169.254', '169.254.0.1', '0.0.0.0', '100.100.100.200', '168.63.129.16', '224.0.0.1']
    .concat(['fe80::1', 'fe80::1%eth0', 'febf::1', '::', 'ff02::1', 'fd00:ec2::254', '::ffff:169.254.169.254'])
    .concat([
      '::ffff:a9fe:a9fe',
      '64:ff9b::a9fe:a9fe',
      '2002:a9fe:a9fe::',
      '2002:a9fe:a9fe::1',
      'no address',
      '::1%lo',
    ]);
  for (const address of yes) assert.equal(isForbidden(address), true, address);
  for (const address of ['127.0.0.1', '10.0.0.1', '192.168.1.1', '::1', 'fd00::1', '::ffff:10.0.0.1', '2001:db8::1'])
    assert.equal(isForbidden(address), false, address);
});

test('names under localhost are this machine, whatever a resolver says', async () => {
  const found = await new Promise((resolve, reject) =>
    checkedLookup('anything.localhost', { all: true }, (error, address) => (error ? reject(error) : resolve(address))),
  );
  assert.ok((found as { address: string }[]).every(({ address }) => ['127.0.0.1', '::1'].includes(address)));
});

test('services are found by name and have a limit', () => {
  const target: Target = { protocol: 'tcp', host: 'localhost', port: 1 };
  const targets = new Targets(new Map([['db', target]]));
  assert.equal(targets.find('db')?.carriesHttp, false);
  assert.equal(targets.find(''), null);
  assert.throws(() => new Targets(new Map([['DB', target]])), TargetError);
  const many = (count: number) => new Targets(new Map(Array.from({ length: count }, (_, i) => [`s${i}`, target])));
  many(MAX_SERVICES);
  assert.throws(() => many(MAX_SERVICES + 1), TargetError);
});

test('a target that takes the connection and never begins TLS has no longer than one that takes none', async (context) => {
  const server = createServer((socket) => void socket.on('error', () => {}));
  const port = await listening(server);
  const targets = new Targets(new Map([['', { protocol: 'https', host: '127.0.0.1', port }]]));
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const socket = targets.find('')!.dial();
  const failed = once(socket, 'error');
  failed.catch(() => {});
  await Promise.all([once(server, 'connection'), once(socket, 'connect')]);
  context.mock.timers.tick(CONNECT_TIMEOUT);
  assert.equal(socket.destroyed, true);
  socket.destroy();
  assert.equal(((await failed)[0] as NodeJS.ErrnoException).code, 'ETIMEDOUT');
});
