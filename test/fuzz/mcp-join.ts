/**
 * What servers and clients of a joined endpoint send. Messages: what is read is rewritten into what is read the same, but for
 * the places that are meant. Events: however chunks are cut, the same events. Tokens: read or refused. A whole endpoint in
 * front of servers that answer anything: it answers, and never with what no JSON is.
 */
import assert from 'node:assert/strict';
import { EventReader, EventTooLong, writeEvent } from '../../src/agents/mcp/event-reader.ts';
import { splitId, splitName, splitPlaces, splitUri } from '../../src/agents/mcp/join-names.ts';
import { fromServer, joinedEntry, readMessage } from '../../src/agents/mcp/join-rewrite.ts';
import { readJsonText } from '../../src/agents/json-text.ts';
import { events, joined, META } from '../support/mcp-join.ts';
import { random, type Random } from './random.ts';

const PIECES = ['"', '\\"', '\\', '\\u005f', '{', '}', '[', ']', ',', ':', 'null', '1e5', '-0', '12345678901234567890', '"uri":', '"__proto__":', '"name":"git_a"', '"id":0', '\n', '\r\n', '\r', '\n\n', 'data: ', 'id: ', 'event: ', 'retry: 1', ': ', '\0', 'é', '\ud800', '😀', '\ufeff', 'git_', 'jira+', '"content":[', '"method":"tools/list"']; // prettier-ignore
const MESSAGES = [
  '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"resource_link","uri":"a:b"},{"type":"resource","resource":{"uri":"a:c"}}]}}',
  '{"jsonrpc":"2.0","id":"x","result":{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a:b"}}}],"contents":[{"uri":"x:y"}]}}',
  '{"jsonrpc":"2.0","id":0,"method":"sampling/createMessage","params":{"_meta":{"progressToken":7},"messages":[]}}',
  '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}}',
  '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}',
  '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://a"}}}],"nextCursor":"2"}}',
  '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}',
];
const STREAMS = [
  `id: 1\nevent: message\ndata: ${MESSAGES[0]}\n\n: alive\n\nretry: 5\ndata:\n\n`,
  `\ufeffdata: ${MESSAGES[2]}\r\n\r\ndata: a\r\rdata: b\n\n`,
];

const { join } = joined({ git: () => new Response(), jira: () => new Response() });
const [git] = join.servers;

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) {
    const kind = r.below(8);
    if (kind < 3) judgeMessage(mutate(r, r.pick(MESSAGES)));
    else if (kind < 6) judgeEvents(mutate(r, r.pick(STREAMS)), r);
    else if (kind < 7) judgeTokens(mutate(r, r.pick(['git_a', 'git+a:b', '"git:0"', 'WyJsaXN0IixbImdpdCIsImEiXV0'])));
    else await judgeEndpoint(r);
  }
  return cases;
}

function mutate(r: Random, seed: string): string {
  let text = seed;
  for (let i = r.below(4); i > 0; i--) {
    const at = r.below(text.length + 1);
    const piece = r.below(4) === 0 ? String.fromCharCode(r.below(300)) : r.pick(PIECES);
    text = text.slice(0, at) + piece.repeat(r.below(80) === 0 ? r.below(500) : 1) + text.slice(at + r.below(6));
  }
  return text;
}

function judgeMessage(text: string): void {
  if (typeof readJsonText(text) === 'string') return;
  const message = readMessage(text);
  const shown = fromServer(git!, message);
  assert.notEqual(typeof readJsonText(shown), 'string', `rewritten into what is no message: ${text}`);
  // What is no place to be changed is the same in both.
  const blank = (json: string): string =>
    json.replaceAll(/"(?:uri|id|requestId|progressToken)"\s*:\s*(?:"(?:[^"\\]|\\.)*"|[^\s,}\]]*)/g, '');
  if (!/\\u00/.test(text)) assert.equal(blank(shown).length, blank(text).length, text);
  joinedEntry(join, git!, 'tools/list', text);
}

function judgeEvents(text: string, r: Random): void {
  const bytes = new TextEncoder().encode(text);
  const limit = 20 + r.below(2000);
  const whole = read([bytes], limit);
  const cuts = Array.from({ length: r.below(6) }, () => r.below(bytes.length + 1)).sort((a, b) => a - b);
  const parts = [...cuts, bytes.length].map((end, index) => bytes.subarray(cuts[index - 1] ?? 0, end));
  assert.deepEqual(read(parts, limit), whole, `cut at ${cuts.join()}: ${JSON.stringify(text)}`);
  if (whole.at(-1) === 'too long') return;
  const again = read([Buffer.concat(whole.map((event) => writeEvent(event as never)))], 1_000_000);
  assert.deepEqual(again, whole, `written again: ${JSON.stringify(text)}`);
}

function read(chunks: readonly Uint8Array[], limit: number): unknown[] {
  const reader = new EventReader(limit);
  const found: unknown[] = [];
  try {
    for (const chunk of chunks) for (const event of reader.push(chunk)) found.push(event);
  } catch (error) {
    assert.ok(error instanceof EventTooLong);
    found.push('too long');
  }
  return found;
}

function judgeTokens(text: string): void {
  for (const split of [splitName, splitUri]) {
    const found = split(join, text);
    if (found !== null) assert.ok(text.startsWith(found.server.name) && text.endsWith(found.name));
  }
  for (const kind of ['list', 'answer', 'session']) splitPlaces(join, kind, text);
  const id = JSON.stringify(text);
  const found = splitId(join, id);
  if (found !== null) assert.ok(['string', 'number'].includes(typeof JSON.parse(found.id)));
}

/** Servers whose every answer is anything. */
async function judgeEndpoint(r: Random): Promise<void> {
  const anything = (): Response => {
    if (r.below(12) === 0) throw new Error('refused');
    const status = r.pick([200, 200, 200, 202, 400, 404, 405, 500]);
    if (r.below(3) === 0) return events([mutate(r, r.pick(STREAMS))]);
    const headers = {
      'content-type': r.pick(['application/json', 'application/json', 'text/html']),
      'mcp-session-id': '1',
    };
    return new Response(r.below(8) === 0 ? null : mutate(r, r.pick(MESSAGES)), { status, headers });
  };
  const endpoint = joined({ git: anything, jira: anything }, 1000);
  const method = r.pick([
    'tools/list',
    'tools/call',
    'resources/read',
    'server/discover',
    'subscriptions/listen',
    'initialize',
    'x',
  ]);
  const params = {
    name: r.pick(['git_a', 'jira_b', 'x']),
    uri: r.pick(['git+a:b', 'x']),
    cursor: undefined,
    notifications: {},
  };
  const body = mutate(
    r,
    JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method,
      params: { ...params, protocolVersion: '2025-11-25', _meta: META },
    }),
  );
  let answer: Response;
  try {
    const sent = r.below(2) === 0 ? endpoint.ask(body) : endpoint.stateless(method, params);
    answer = await sent;
  } catch (error) {
    // A dial that was refused, for who answers with 502.
    assert.equal((error as Error).message, 'refused', (error as Error).stack);
    return;
  }
  const text = await answer.text();
  if ((answer.headers.get('content-type') ?? '').startsWith('application/json'))
    assert.notEqual(typeof readJsonText(text), 'string', `${method} ${answer.status}: ${text}`);
}
