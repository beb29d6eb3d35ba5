/** A2A: cards and calls that were changed. No host of an agent is told, whatever its card holds; calls are read or refused. */
import assert from 'node:assert/strict';
import { rewriteCard } from '../../src/agents/a2a/card.ts';
import { callOf } from '../../src/agents/a2a/method.ts';
import { readRpc, versionOf } from '../../src/agents/a2a/request.ts';
import { TaskIds } from '../../src/agents/a2a/task-ids.ts';
import { random, type Random } from './random.ts';

const PIECES = ['"url":', '"inner.test"', '"http://inner.test/x"', '"transport":"GRPC"', '"JSONRPC"', '{', '}', '[', ']', ',', ':', '"', '\\', 'null', '5', '"skills":', '"__proto__":', '"supportedInterfaces":', '"additionalInterfaces":', '"method":"CancelTask"', '"taskId":"t"', 'é', '%2f', '/', '\n\n', 'data: ']; // prettier-ignore
const CARDS = [
  '{"name":"a","supportedInterfaces":[{"url":"http://inner.test/rpc","protocolBinding":"JSONRPC","protocolVersion":"1.0"},{"url":"inner.test:5","protocolBinding":"GRPC"}],"skills":[{"id":"a"}],"signatures":[{}]}',
  '{"url":"http://inner.test/x","preferredTransport":"JSONRPC","protocolVersion":"0.3.0","additionalInterfaces":[{"url":"http://inner.test/y","transport":"HTTP+JSON"}]}',
];
const CALL =
  '{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"t","message":{"taskId":"t","contextId":"c","metadata":{"skillId":"s"}}}}';

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) (cases % 2 === 0 ? judgeCard : judgeCall)(r);
  return Promise.resolve(cases);
}

function mutate(r: Random, text: string): string {
  for (let i = r.below(4); i > 0; i--) {
    const at = r.below(text.length + 1);
    text =
      text.slice(0, at) + r.pick(PIECES).repeat(r.below(80) === 0 ? r.below(2000) : 1) + text.slice(at + r.below(12));
  }
  return text;
}

function judgeCard(r: Random): void {
  const bytes = new TextEncoder().encode(mutate(r, r.pick(CARDS)));
  const url = (text: string): string | null =>
    URL.canParse(text) && text.startsWith('http') ? 'https://gateway.example/' : null;
  const skills = { allow: ['a*'], deny: ['ab'] };
  const text = rewriteCard(bytes, { url, versions: ['1.0', '0.3'], skills }, false);
  if (text === 'malformed' || text === 'no-interface') return;
  const card = JSON.parse(text) as Record<string, unknown>;
  for (const field of ['url', 'supportedInterfaces', 'additionalInterfaces'] as const)
    for (const found of JSON.stringify(card[field] ?? '').matchAll(/"url":"([^"]*)"/g))
      assert.equal(found[1], 'https://gateway.example/');
}

function judgeCall(r: Random): void {
  const text = mutate(r, CALL).toWellFormed();
  const bytes = new TextEncoder().encode(text);
  const call = readRpc(bytes);
  if (typeof call === 'string') assert.match(call, /^[a-z-]+$/);
  else assert.equal(call.method, (JSON.parse(text) as { method: string }).method);
  const path = mutate(r, r.pick(['/tasks/t:cancel', '/message:send', '/.well-known/agent-card.json']));
  const found = callOf(r.pick(['GET', 'POST', 'DELETE', 'PUT']), path);
  assert.ok(found === null || typeof found === 'string' || found.method.length > 0);
  const version = versionOf(mutate(r, '1.0'), `?A2A-Version=${mutate(r, '1.0')}`);
  assert.ok(version === null || /^[0-9]{1,4}\.[0-9]{1,4}$/.test(version), String(version));
  const learnt: string[][] = [];
  const ids = (chunks: readonly Uint8Array[]): void => {
    const at = learnt.push([]) - 1;
    const one = new TaskIds(text.includes('data'), (all) => (learnt[at] = [...all]));
    for (const chunk of chunks) one.push(chunk);
    one.end();
  };
  const cut = r.below(bytes.length + 1);
  ids([bytes]);
  ids([bytes.slice(0, cut), bytes.slice(cut)]);
  assert.deepEqual(learnt[0], learnt[1]);
}
