/**
 * Messages of the Model Context Protocol and the headers that repeat them. What is read is what JSON.parse reads, whichever
 * of two equal names a reader would take; what is admitted of a stateless version says the same in both places.
 */
import assert from 'node:assert/strict';
import { admitMessages } from '../../src/agents/mcp/admission.ts';
import { readHeaderValue, writeHeaderValue } from '../../src/agents/mcp/header-value.ts';
import { cutEvent, cutText, type Listing } from '../../src/agents/mcp/listing.ts';
import { type McpBody, readMcpBody, VERSION_KEY } from '../../src/agents/mcp/message.ts';
import { allows } from '../../src/agents/name-pattern.ts';
import { random, type Random } from './random.ts';

const PIECES = ['"method"', '"Method"', '"m\\u0065thod"', '"params"', '"name"', '"uri"', '"__proto__"', '"id"', '"jsonrpc"', '"2.0"', '"tools/call"', '"tools/list"', ':', ',', '{', '}', '[', ']', 'null', '1', '1e999', '-0', '"', '\\', '\\u0000', '\\ud800', ' ', '\n', '\u0000', 'é', '\ufeff', `"${VERSION_KEY}"`, '"2026-07-28"', '"2025-03-26"']; // prettier-ignore
const META = { _meta: { [VERSION_KEY]: '2026-07-28' } };
const SEEDS = [
  { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'get_weather', arguments: { a: [1, { b: 'x' }] }, ...META } }, // prettier-ignore
  { jsonrpc: '2.0', id: 'a', method: 'resources/read', params: { uri: 'file:///é', ...META } },
  { jsonrpc: '2.0', id: 2, method: 'subscriptions/listen', params: { notifications: { resourceSubscriptions: ['a:'] }, ...META } }, // prettier-ignore
  { jsonrpc: '2.0', method: 'notifications/initialized' },
  { jsonrpc: '2.0', id: 3, result: { tools: [{ name: 'get' }, { name: 'put' }], resources: [{ uri: 'a:b' }] } },
  [
    { jsonrpc: '2.0', id: 4, method: 'ping' },
    { jsonrpc: '2.0', id: 5, method: 'completion/complete', params: { ref: { name: 'p' } } },
  ],
].map((seed) => JSON.stringify(seed));
const VERSIONS = ['2026-07-28', '2025-11-25', '2025-03-26'];
const LISTS = {
  methods: { allow: null, deny: ['tasks/*'] },
  tools: { allow: ['get*'], deny: ['*secret*'] },
  resources: { allow: ['a:*', 'file:*'], deny: [] },
  prompts: { allow: null, deny: ['p'] },
};
const LISTING: Listing = { lists: LISTS, refused: null, perCaller: false };

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) judge(mutate(r), r);
  return Promise.resolve(cases);
}

function mutate(r: Random): string {
  let text = r.pick(SEEDS);
  for (let i = r.below(5); i > 0; i--) {
    const at = r.below(text.length + 1);
    const piece = r.below(5) === 0 ? text.slice(at, at + r.below(60)) : r.pick(PIECES);
    text = text.slice(0, at) + piece + text.slice(at + r.below(8));
  }
  return text;
}

function judge(text: string, r: Random): void {
  const body = readMcpBody(new TextEncoder().encode(text));
  const spoiled = text.isWellFormed() ? text : '';
  if (!('code' in body) && spoiled !== '') {
    assert.deepEqual(body.batch ? body.messages.map(({ value }) => value) : body.messages[0]!.value, JSON.parse(text));
    sameEitherWay(text);
    for (const { kind, method } of body.messages) assert.equal(method === '', kind === 'response');
    admitted(body, r);
  }
  const cut = cutText(text, LISTING);
  if (cut !== null) shows(JSON.parse(cut) as unknown);
  const event = new TextEncoder().encode(`id: 1\ndata: ${text.replaceAll(/[\r\n]/g, ' ')}\n\n`);
  const after = new TextDecoder().decode(cutEvent(event, LISTING)).split('\n');
  assert.equal(after[0], 'id: 1');
  const value = r.pick(PIECES) + text.slice(r.below(text.length), r.below(text.length));
  if (value.isWellFormed()) assert.equal(readHeaderValue(writeHeaderValue(value)), value);
  const read = readHeaderValue(value);
  if (read !== null && read === value) assert.match(value, /^[\t -~]*$/);
}

/** A reader that keeps the first of equal names reads the same. */
function sameEitherWay(text: string): void {
  const seen: unknown[] = [];
  JSON.parse(text, function (this: object, key, value: unknown) {
    seen.push(key);
    return value;
  });
  // The reviver visits each member that is left once: of one that was written twice, one visit would be missing.
  const names = text.match(/"(?:[^"\\]|\\.)*"\s*:/g)?.length ?? 0;
  assert.ok(seen.filter((key) => typeof key === 'string').length >= names, text);
}

function admitted(body: McpBody, r: Random): void {
  const { method, name } = body.messages[0]!;
  const headers = new Map<string, string>();
  if (r.below(8) > 0) headers.set('mcp-protocol-version', r.pick(VERSIONS));
  if (r.below(8) > 0) headers.set('mcp-method', r.below(6) === 0 ? 'tools/list' : method);
  if (r.below(8) > 0 && name !== null) headers.set('mcp-name', r.below(6) === 0 ? 'get' : writeHeaderValue(name));
  const get = (key: string): string | null => headers.get(key.toLowerCase()) ?? null;
  const call = admitMessages({ ...LISTS, versions: VERSIONS, single: true }, { get, keys: () => headers.keys() }, body);
  if (!('fields' in call)) return assert.ok(call.status === 200 || call.status >= 400);
  const [message, ...others] = call.messages;
  assert.equal(others.length, 0);
  if (call.stateless && message!.kind === 'request') {
    assert.equal(get('mcp-method'), method);
    assert.equal(message!.version, get('mcp-protocol-version'));
    const named = ['tools/call', 'resources/read', 'prompts/get'].includes(method);
    if (named) assert.equal(readHeaderValue(get('mcp-name')!), name);
  }
  if (!call.stateless) for (const key of headers.keys()) assert.ok(key === 'mcp-protocol-version' || call.dropped.includes(key)); // prettier-ignore
  const { tool, prompt, resources } = message!;
  if (tool !== null) assert.ok(tool.startsWith('get') && !tool.includes('secret'));
  assert.notEqual(prompt, 'p');
  for (const uri of resources) assert.match(uri, /^(?:a|file):/);
}

function shows(message: unknown): void {
  for (const one of Array.isArray(message) ? message : [message]) {
    const tools = (one as { result?: { tools?: unknown } } | null)?.result?.tools;
    if (Array.isArray(tools)) for (const tool of tools) assert.ok(allows(LISTS.tools, (tool as { name: string }).name));
  }
}
