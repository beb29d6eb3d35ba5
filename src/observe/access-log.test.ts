import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PROOF_CLAIMED, PROOF_SPOOFED, PROOF_VERIFIED } from '../../assembly/abi.ts';
import {
  IDENTITY_BY_ADDRESS,
  IDENTITY_BY_NAME,
  SIGNAL_LANGUAGE_ABSENT,
  SIGNAL_LIBRARY,
} from '../../assembly/agents/abi.ts';
import { action, backend, plan, run } from '../router/testing.ts';

const source = plan({ '/': action() }, [backend('web', ['http://10.0.0.1'])]);
const entry = async (target: string, init: RequestInit = {}): Promise<Record<string, unknown>> => {
  const { lines } = await run(source, target, init);
  assert.equal(lines.length, 1);
  return JSON.parse(lines[0] as string) as Record<string, unknown>;
};

test('one line with who, what and how it went', async () => {
  const { lines, exchange } = await run(
    source,
    '/a?token=1',
    {},
    {},
    { origin: () => new Response('x', { headers: { 'content-length': '1' } }) },
  );
  const { ms, time, ...rest } = JSON.parse(lines[0] as string) as Record<string, unknown>;
  assert.ok(typeof ms === 'number' && ms >= 0);
  assert.equal(new Date(time as string).getTime(), exchange.startedAt);
  assert.deepEqual(rest, {
    ...{ id: exchange.id, app: 'test', route: 'route /', method: 'GET', host: 'shop.example', path: '/a', status: 200 },
    ...{ bytes: 1, client: '192.0.2.1', verdict: [] },
    upstream: { backend: 'web', endpoint: 'http://10.0.0.1', attempts: 1, status: 200 },
  });
});

test('neither query nor credentials are logged', async () => {
  const { lines } = await run(source, '/?token=s3cret', { headers: { authorization: 's3cret', cookie: 'a=s3cret' } });
  assert.doesNotMatch(lines.join(), /s3cret/);
});

test('no path or host can break out of its line', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
      const { lines } = await run(
        source,
        '/',
        {},
        { head: (result) => ({ ...result, path: '/' + text, client: text }) },
      );
      assert.equal(lines.length, 1);
      const line = lines[0] as string;
      assert.equal(/[\n\r]/.test(line), false);
      assert.equal((JSON.parse(line) as { path: string }).path, ('/' + text).slice(0, 2048));
    }),
    { numRuns: 100 },
  );
});

test('who it was by its address, and what speaks for automation, where that was worked out', async () => {
  const line = async (part: object): Promise<Record<string, unknown>> => {
    const { lines } = await run(source, '/', {}, { head: (result) => ({ ...result, ...part }) });
    return JSON.parse(lines[0] as string) as Record<string, unknown>;
  };
  const listed = await line({ agent: 0, identity: PROOF_VERIFIED | IDENTITY_BY_ADDRESS });
  assert.deepEqual([listed['agent'], listed['identity']], ['GPTBot', { is: 'verified', by: 'address' }]);
  const named = await line({ agent: 0, identity: PROOF_SPOOFED | IDENTITY_BY_NAME });
  assert.deepEqual([named['agent'], named['identity']], ['GPTBot', { is: 'spoofed', by: 'dns' }]);
  const claimed = await line({ agent: 0, identity: PROOF_CLAIMED });
  assert.deepEqual([claimed['agent'], 'identity' in claimed], ['GPTBot', false]);
  const scored = await line({ score: 60, signals: (1 << SIGNAL_LIBRARY) | (1 << SIGNAL_LANGUAGE_ABSENT) });
  assert.deepEqual([scored['score'], scored['signals']], [60, ['library', 'language-absent']]);
  const plain = await line({});
  assert.ok(!('score' in plain) && !('signals' in plain) && !('identity' in plain));
});

test('a Content-Length that is no number is not written as one', async () => {
  assert.equal((await entry('/'))['bytes'], null);
  const { lines } = await run(
    source,
    '/',
    {},
    {},
    { origin: () => new Response('x', { headers: { 'content-length': '1,"a":2' } }) },
  );
  assert.equal((JSON.parse(lines[0] as string) as { bytes: unknown }).bytes, null);
});

test('what a client writes into Host is logged to its longest lawful length', async () => {
  const { host } = await entry('/', { headers: { host: 'a'.repeat(100_000) } });
  assert.equal((host as string).length, 300);
});
