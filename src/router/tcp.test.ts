import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Env } from '../platform/bindings.ts';
import { tcpConnection } from './tcp.ts';

/** A tunnel whose sessions have that many lanes each; `asked` gets the session that a connection came to. */
function tunnelOf(lanes: readonly number[], asked: string[]): Env {
  const getByName = (name: string) => ({
    status: () => {
      const attached = { attached: true, draining: false };
      const own = Array.from({ length: lanes[Number(name.split('#')[1])]! }, () => attached);
      return Promise.resolve({ sessions: name === 'db#0' ? lanes.length : 1, lanes: own });
    },
    fetch: () => {
      asked.push(name);
      return Promise.resolve(new Response('hello'));
    },
  });
  return { TUNNEL_SESSION: { getByName } } as unknown as Env;
}

async function connection(env: Env): Promise<string> {
  let text = '';
  const writable = new WritableStream<Uint8Array>({ write: (chunk) => void (text += new TextDecoder().decode(chunk)) });
  const readable = new ReadableStream<Uint8Array>();
  await tcpConnection({ readable, writable, close: () => Promise.resolve() }, env, { tunnel: 'db', service: '' });
  return text;
}

test('a connection goes to a session that has a connector', async () => {
  const asked: string[] = [];
  for (let i = 0; i < 20; i++) assert.equal(await connection(tunnelOf([0, 0, 1, 0], asked)), 'hello');
  assert.deepEqual([...new Set(asked)], ['db#2']);
});

test('where none has a connector, session 0 is asked: it may wait for one', async () => {
  const asked: string[] = [];
  await connection(tunnelOf([0, 0], asked));
  assert.deepEqual(asked, ['db#0']);
});
