import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lanePair, settle } from '../../test/support/lane-pair.ts';
import { RESET_CODE } from './frame.ts';
import { encodeResponse } from './head.ts';
import { SESSIONS_HEADER } from './objects.ts';
import { encodeOpening, HTTP } from './opening.ts';
import { type Ask, ask, noted } from './session-http.ts';
import type { EdgeLane } from './session-lanes.ts';
import { StreamReset } from './stream.ts';

/** A request on the edge's end of a lane, its stream on the connector's. */
async function asking(more: Partial<Ask> = {}) {
  const { edge, accepted } = lanePair();
  const opening = encodeOpening({ kind: HTTP, service: '', head: { method: 'POST', target: '/', fields: [] } });
  const question: Ask = {
    ...{
      kind: HTTP,
      opening,
      method: 'POST',
      body: null,
      notice: () => () => {},
      movable: false,
      join: null,
      watch: null,
      ...more,
    },
  };
  const kept: Promise<unknown>[] = [];
  const answer = ask({ lane: edge, movable: new Set() } as unknown as EdgeLane, question, (work) => kept.push(work));
  await settle();
  return { answer, far: accepted[0]! };
}

/** A body of which one chunk comes, and then an error when `broken` is called. */
function breaking(): { body: ReadableStream<Uint8Array>; broken: () => void } {
  let broken = (): void => {};
  const body = new ReadableStream({
    type: 'bytes',
    start(controller) {
      controller.enqueue(new Uint8Array([1, 2, 3]));
      broken = () => controller.error(new Error('reset'));
    },
  });
  return { body: body as ReadableStream<Uint8Array>, broken };
}

test('a dial is told the number of sessions, and nothing else of the answer changes', async () => {
  const headers = { 'content-type': 'text/plain' };
  const told = noted(new Response('gone', { status: 410, statusText: 'Gone', headers }), 3);
  assert.deepEqual([told.status, told.statusText, await told.text()], [410, 'Gone', 'gone']);
  assert.deepEqual([told.headers.get('content-type'), told.headers.get(SESSIONS_HEADER)], ['text/plain', '3']);
});

test('a request whose body breaks off before the answer has none', async () => {
  const { body, broken } = breaking();
  const { answer } = await asking({ body });
  broken();
  const reset = await answer;
  assert.ok(reset instanceof StreamReset);
  assert.equal(reset.code, RESET_CODE.cancelled);
});

test('an answer that goes on while the request breaks off breaks off too', async () => {
  const { body, broken } = breaking();
  const { answer, far } = await asking({ body });
  let reset: StreamReset | null = null;
  far.onReset = (one) => (reset = one);
  far.sendHead(encodeResponse({ status: 200, reason: 'OK', fields: [] }));
  const response = await answer;
  assert.ok(response instanceof Response);
  const text = response.text();
  broken();
  await assert.rejects(text);
  await settle();
  assert.equal((reset as StreamReset | null)?.code, RESET_CODE.cancelled);
});
