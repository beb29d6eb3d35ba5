import assert from 'node:assert/strict';
import { test } from 'node:test';
import { laneName, MAX_SESSIONS, readTunnelDial, sessionOfLane, tunnelOfHost } from './objects.ts';

test('a host names a tunnel, or a service of one', () => {
  const cases: readonly (readonly [host: string, expected: string | null])[] = [
    ['laptop.t.example.com', 'laptop/'],
    ['laptop.t.example.com:8080', 'laptop/'],
    ['LapTop.T.example.com.', 'laptop/'],
    ['api.laptop.t.example.com', 'laptop/api'],
    ['a.api.laptop.t.example.com', null],
    ['t.example.com', null],
    ['.t.example.com', null],
    ['.laptop.t.example.com', null],
    ['laptopt.example.com', null],
    ['laptop.example.com', null],
    ['-a.t.example.com', null],
    ['_a.laptop.t.example.com', null],
    [`${'a'.repeat(63)}.t.example.com`, `${'a'.repeat(63)}/`],
    [`${'a'.repeat(64)}.t.example.com`, null],
    ['', null],
  ];
  for (const [host, expected] of cases) {
    const place = tunnelOfHost(host, 't.example.com');
    assert.equal(place === null ? null : `${place.tunnel}/${place.service}`, expected, host);
  }
});

test('a dial names a tunnel itself, or leaves it to the host', () => {
  assert.deepEqual(readTunnelDial('tunnel:laptop', 'x.localhost'), { tunnel: 'laptop', service: '' });
  assert.deepEqual(readTunnelDial('tunnel:laptop/api', ''), { tunnel: 'laptop', service: 'api' });
  assert.deepEqual(readTunnelDial('tunnel:*.localhost', 'x.localhost:1'), { tunnel: 'x', service: '' });
  assert.equal(readTunnelDial('tunnel:*.localhost', 'localhost'), null);
  assert.equal(readTunnelDial('http://127.0.0.1:80', 'x.localhost'), null);
  assert.throws(() => readTunnelDial('tunnel:a/b/c', ''), /names no tunnel/);
});

test('the id of a lane says in which session it is', () => {
  for (const session of [0, 7, MAX_SESSIONS - 1]) assert.equal(sessionOfLane(laneName(session, 'a_-9')), session);
  for (const id of ['', 'abc', '_1', `${MAX_SESSIONS}_x`, '-1_x', '123_x', '1.x'])
    assert.equal(sessionOfLane(id), null);
});
