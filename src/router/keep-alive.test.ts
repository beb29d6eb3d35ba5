import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keptAlive } from './keep-alive.ts';

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

function source() {
  let out: ReadableStreamDefaultController<Uint8Array>;
  let gone = 0;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => void (out = controller),
    cancel: () => void gone++,
  });
  const reader = keptAlive(body, 20).getReader();
  return {
    reader,
    say: (one: string) => out.enqueue(new TextEncoder().encode(one)),
    end: () => out.close(),
    fail: () => out.error(new Error('broken')),
    gone: () => gone,
  };
}

test('a stream passes as it is, with comments where it is silent, at the beginning of lines', async () => {
  const { reader, say, end } = source();
  assert.equal(text((await reader.read()).value), ':\n');
  say('data: a\n');
  assert.equal(text((await reader.read()).value), 'data: a\n');
  assert.equal(text((await reader.read()).value), ':\n');
  say('data: half');
  assert.equal(text((await reader.read()).value), 'data: half');
  // Nothing comes into the middle of a line, nor between the two characters that end one.
  for (const rest of [' a line\r', '\ndata: b\n\n']) {
    const next = reader.read();
    await new Promise((resolve) => setTimeout(resolve, 60));
    say(rest);
    assert.equal(text((await next).value), rest);
  }
  assert.equal(text((await reader.read()).value), ':\n');
  end();
  let last = await reader.read();
  while (!last.done && text(last.value) === ':\n') last = await reader.read();
  assert.equal(last.done, true);
});

test('who leaves ends the stream behind, and what breaks behind breaks', async () => {
  const left = source();
  await left.reader.read();
  await left.reader.cancel();
  assert.equal(left.gone(), 1);
  const broken = source();
  broken.fail();
  await assert.rejects(broken.reader.read(), /broken/);
});
