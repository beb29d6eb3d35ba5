/**
 * MCP clients of the official SDKs, of both eras, at servers of the official SDKs, through the gateway: two endpoints with
 * sessions, one without, and both joined. On-prem two processes share the work.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as NewClient, StreamableHTTPClientTransport as NewTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { type Tool, TOOLS } from '../conformance/mcp/everything.ts';
import { type ReferenceServer, startSessionsServer } from '../conformance/mcp/sessions-server.ts';
import { startStatelessServer } from '../conformance/mcp/stateless-server.ts';
import { onEachTarget } from './targets.ts';

/** Tells that it began, and never ends by itself. */
const WAIT: Tool = {
  name: 'wait',
  description: 'Waits',
  async run(call) {
    const { progressToken } = call;
    if (progressToken !== undefined) await call.notify('notifications/progress', { progressToken, progress: 1 });
    return await new Promise(() => {});
  },
};
const LONG = 'x'.repeat(80);
const own = (era: 'sessions' | 'stateless'): Tool[] => [
  WAIT,
  { name: LONG, description: 'Has a long name', run: () => ({ content: [{ type: 'text', text: 'long' }] }) },
  ...TOOLS.filter((tool) => tool.era === undefined || tool.era === era),
];

let one: ReferenceServer;
let two: ReferenceServer;
let stateless: ReferenceServer;

async function setUp(): Promise<string> {
  [one, two, stateless] = await Promise.all([
    startSessionsServer({ tools: own('sessions') }),
    startSessionsServer({ tools: own('sessions') }),
    startStatelessServer({ tools: own('stateless') }),
  ]);
  const route = (name: string, more: object): object => ({
    ...{ name, matches: [{ path: { value: `/${name}` } }] },
    filters: [{ urlRewrite: { path: { replacePrefixMatch: '/mcp' } } }],
    ...more,
  });
  const servers = { old: { backend: 'sessions' }, new: { backend: 'stateless' } };
  return JSON.stringify({
    app: 'mcp',
    hostnames: ['127.0.0.1', 'localhost'],
    backends: {
      sessions: { endpoints: [{ url: one.url }, { url: two.url }] },
      stateless: { url: stateless.url },
      nobody: { url: 'http://127.0.0.1:9' },
    },
    routes: [
      route('sessions', { backend: 'sessions', mcp: {} }),
      route('stateless', { backend: 'stateless', mcp: { versions: ['2026-07-28'] } }),
      route('joined', { mcp: { servers, tools: { deny: ['*_test_audio_content'] } } }),
      route('partly', { mcp: { servers: { ...servers, gone: { backend: 'nobody', timeout: '2s' } } } }),
    ],
    rules: [
      { name: 'no-images', when: 'mcp.server eq "new" and mcp.tool wildcard "*_test_image_content"', action: 'block' },
    ],
  });
}

async function tearDown(): Promise<void> {
  await Promise.all([one, two, stateless].map((server) => server.stop()));
}

const soon = async (what: string, holds: () => boolean): Promise<void> => {
  for (let waited = 0; !holds(); waited += 20) {
    assert.ok(waited < 10_000, what);
    await sleep(20);
  }
};
const streams = (): number => one.open.streams + two.open.streams + stateless.open.streams;
const calls = (): number => one.open.calls + two.open.calls + stateless.open.calls;
type Result = {
  content: { type: string; text?: string; uri?: string; resource?: { uri: string } }[];
  isError?: boolean;
};

onEachTarget(
  'mcp clients',
  { policy: setUp, args: (target) => (target === 'workerd' ? ['--workers', '2'] : []), teardown: tearDown },
  (world) => {
    const oldClient = async (path: string) => {
      const client = new OldClient({ name: 'old', version: '1' }, { capabilities: { sampling: {}, elicitation: {} } });
      const transport = new OldTransport(new URL(world.url + path));
      await client.connect(transport as never);
      return { client, transport, [Symbol.asyncDispose]: () => client.close() };
    };
    const newClient = async (path: string) => {
      const client = new NewClient(
        { name: 'new', version: '1' },
        { versionNegotiation: { mode: { pin: '2026-07-28' } } },
      );
      await client.connect(new NewTransport(new URL(world.url + path)));
      return { client, [Symbol.asyncDispose]: () => client.close() };
    };

    for (const { path, prefix, of } of [
      { path: '/sessions', prefix: '', of: 'old' },
      { path: '/joined', prefix: 'old_', of: 'old' },
      { path: '/joined', prefix: 'new_', of: 'old' },
      { path: '/stateless', prefix: '', of: 'new' },
      { path: '/joined', prefix: 'new_', of: 'new' },
      { path: '/joined', prefix: 'old_', of: 'new' },
    ] as const)
      test(`a client of the ${of} era at ${path}: lists, calls ${prefix}*, progress, cancel`, async () => {
        await using made = of === 'old' ? await oldClient(path) : await newClient(path);
        const client = made.client as OldClient;
        const { tools } = await client.listTools();
        assert.ok(
          tools.some(({ name }) => name === `${prefix}test_simple_text`),
          tools.map(({ name }) => name).join(),
        );
        const called = (await client.callTool({ name: `${prefix}test_simple_text`, arguments: {} })) as Result;
        assert.match(called.content[0]?.text ?? '', /simple text/);
        // The two clients take the options of a call in other places.
        const call = (name: string, options: object): Promise<unknown> =>
          of === 'old'
            ? client.callTool({ name, arguments: {} }, undefined, options)
            : (made.client as unknown as NewClient).callTool({ name, arguments: {} }, options);
        const progress: number[] = [];
        const onprogress = (told: { progress: number }) => void progress.push(told.progress);
        await call(`${prefix}test_tool_with_progress`, { onprogress });
        assert.deepEqual(progress, [0, 50, 100]);
        const long = tools.find(({ name }) => name.startsWith(`${prefix}xxx`))!;
        assert.equal(((await client.callTool({ name: long.name, arguments: {} })) as Result).content[0]?.text, 'long');
        const before = calls();
        const abort = new AbortController();
        let began = false;
        const waiting = call(`${prefix}wait`, {
          onprogress: () => (began = true),
          signal: abort.signal,
        });
        waiting.catch(() => {});
        await soon('the call has begun', () => began);
        assert.equal(calls(), before + 1);
        abort.abort();
        await assert.rejects(waiting);
        // The old era cancels by a message, which a server of the new one does not know: there the call ends with its stream.
        if (of === 'old' && prefix === 'new_') await client.close();
        // A session server is not told by the end of a stream that its call is not wanted any more.
        if (of === 'old' || prefix !== 'old_') await soon('the call is over at the server', () => calls() === before);
      });

    test('a stream that breaks is resumed at the server that it came from', async () => {
      for (const [path, prefix] of [
        ['/sessions', ''],
        ['/joined', 'old_'],
      ] as const) {
        await using made = await oldClient(path);
        const called = (await made.client.callTool({ name: `${prefix}test_reconnection`, arguments: {} })) as Result;
        assert.match(called.content[0]?.text ?? '', /Reconnection/);
      }
    });

    test('what a server asks, the client answers', async () => {
      for (const [path, prefix] of [
        ['/sessions', ''],
        ['/joined', 'old_'],
      ] as const) {
        await using made = await oldClient(path);
        const content = { type: 'text', text: 'Paris' } as const;
        made.client.setRequestHandler(CreateMessageRequestSchema, () => ({ role: 'assistant', content, model: 'm' }));
        made.client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'decline' }));
        const sampled = (await made.client.callTool({
          name: `${prefix}test_sampling`,
          arguments: { prompt: 'Where?' },
        })) as Result;
        assert.match(sampled.content[0]?.text ?? '', /Paris/);
        const asked = (await made.client.callTool({
          name: `${prefix}test_elicitation`,
          arguments: { message: 'Who?' },
        })) as Result;
        assert.match(asked.content[0]?.text ?? '', /decline/);
      }
    });

    test('a client that leaves ends the stream at the server', async () => {
      const meta = {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': {},
      };
      for (const [path, name] of [
        ['/stateless', 'wait'],
        ['/joined', 'new_wait'],
      ] as const) {
        const before = { streams: streams(), calls: stateless.open.calls };
        const sent = request(world.url + path, {
          method: 'POST',
          headers: {
            ...{ 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
            ...{ 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name },
          },
        });
        sent.on('error', () => {});
        sent.end(
          JSON.stringify({
            jsonrpc: '2.0',
            id: 1,
            method: 'tools/call',
            params: { name, arguments: {}, _meta: { ...meta, progressToken: 1 } },
          }),
        );
        const [response] = (await once(sent, 'response')) as [NodeJS.ReadableStream];
        await once(response, 'data');
        assert.equal(stateless.open.calls, before.calls + 1);
        sent.destroy();
        await soon(`${path}: the server has heard of it`, () => stateless.open.calls === before.calls);
      }
    });

    test('sessions of many clients stay where they began, whoever of the gateway they meet', async () => {
      const clients = await Promise.all(Array.from({ length: 12 }, () => oldClient('/sessions')));
      for (const { transport } of clients) assert.match(transport.sessionId ?? '', /^[\w-]{43}$/);
      await Promise.all(
        Array.from({ length: 4 }).flatMap(() =>
          clients.map(async ({ client }) => assert.ok((await client.listTools()).tools.length > 5)),
        ),
      );
      assert.ok(one.open.sessions > 0 && two.open.sessions > 0, 'both endpoints have some');
      await Promise.all(clients.map(({ transport }) => transport.terminateSession()));
      await assert.rejects(clients[0]!.client.listTools());
      for (const { client } of clients) await client.close();
    });

    test('names of a joined endpoint are what lists, rules and logs go by', async () => {
      await using made = await newClient('/joined');
      const { client } = made;
      const { tools } = await client.listTools();
      const names = tools.map(({ name }) => name);
      assert.ok(
        names.includes('old_test_image_content') && !names.includes('new_test_image_content'),
        'rules cut lists',
      );
      assert.ok(!names.some((name) => name.endsWith('_test_audio_content')), 'so does the policy');
      await assert.rejects(client.callTool({ name: 'old_test_audio_content', arguments: {} }));
      await assert.rejects(client.callTool({ name: 'new_test_image_content', arguments: {} }));
      await client.callTool({ name: 'new_test_simple_text', arguments: {} });
      const line = await world.gateway.event('access', (event) => {
        const mcp = event['mcp'] as Record<string, string> | undefined;
        return mcp?.['tool'] === 'new_test_simple_text';
      });
      assert.equal((line['mcp'] as Record<string, string>)['server'], 'new');
      const resources = await client.listResources();
      const uri = resources.resources.find((one_) => one_.uri.startsWith('new+'))!.uri;
      const read = await client.readResource({ uri });
      assert.equal(read.contents[0]?.uri, uri);
      const prompts = await client.listPrompts();
      assert.ok(prompts.prompts.some(({ name }) => name === 'old_test_simple_prompt'));
      assert.equal((await client.getPrompt({ name: 'old_test_simple_prompt' })).messages.length, 1);
    });

    test('a server that is down does not hide the others', async () => {
      for (const made of [await newClient('/partly'), await oldClient('/partly')]) {
        const list = await (made.client as OldClient).listTools();
        assert.ok(
          list.tools.some(({ name }) => name.startsWith('old_')) &&
            list.tools.some(({ name }) => name.startsWith('new_')),
        );
        assert.deepEqual(list._meta?.['sallyport/unavailable'], ['gone']);
        await made.client.close();
      }
      await world.gateway.event('access', (event) => JSON.stringify(event).includes('MCP server gone'));
    });

    test('sessions of an endpoint that died are told 404, and a new one is begun elsewhere', async () => {
      const clients = await Promise.all(Array.from({ length: 8 }, () => oldClient('/sessions')));
      await two.stop();
      const outcomes = await Promise.allSettled(clients.map(({ client }) => client.listTools()));
      const failed = outcomes.flatMap((outcome) =>
        outcome.status === 'rejected' ? [outcome.reason as { code?: number }] : [],
      );
      assert.ok(failed.length > 0 && failed.length < 8, `${failed.length} of 8`);
      for (const error of failed) assert.equal(error.code, 404);
      // What begins a session may meet the dead one too, until a policy's `health` has it left out.
      for (let tries = 0; ; tries++) {
        const again = await oldClient('/sessions').catch(() => null);
        if (again !== null) {
          assert.ok((await again.client.listTools()).tools.length > 5);
          await again.client.close();
          break;
        }
        assert.ok(tries < 40);
      }
      for (const { client } of clients) await client.close();
    });
  },
);
