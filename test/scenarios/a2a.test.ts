/** The client and the server of A2A's own package, with the gateway between them; two servers, each with tasks of its own. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { AgentCard, Message, Role, Task, TaskState } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server';
import { ask, type Answer } from '../client.ts';
import { onEachTarget } from './targets.ts';

interface Agent {
  readonly name: string;
  readonly url: string;
  /** JSON-RPC methods that arrived. */
  readonly asked: string[];
  card: Record<string, unknown>;
  stop(): void;
}

const LIMIT = { timeout: 20_000 };

/** An agent that says who it is; its tasks are in its own memory. */
async function startAgent(name: string): Promise<Agent> {
  const executor: AgentExecutor = {
    async execute(context, bus) {
      const { taskId, contextId } = context;
      const state = (one: TaskState): Task =>
        Task.fromJSON({
          id: taskId,
          contextId,
          status: { state: one, timestamp: new Date().toISOString() },
          metadata: { by: name },
        });
      bus.publish(AgentEvent.task(state(TaskState.TASK_STATE_WORKING)));
      await new Promise((resolve) => setTimeout(resolve, 20));
      const { status } = state(TaskState.TASK_STATE_COMPLETED);
      bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status, metadata: undefined }));
      bus.finished();
    },
    cancelTask: () => Promise.resolve(),
  };
  const asked: string[] = [];
  const agent = { name, asked } as Agent & { url: string };
  let handler: JsonRpcTransportHandler;
  const server: Server = createServer((request, response) => {
    void answer(agent, handler, request, response).catch(
      (error: unknown) => void (response.headersSent ? response.destroy() : response.writeHead(500).end(String(error))),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const card = {
    name: `agent ${name}`,
    description: 'an agent',
    version: '1.0.0',
    supportedInterfaces: [
      { url: `${url}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
      { url: `${url}/grpc`, protocolBinding: 'GRPC', protocolVersion: '1.0' },
    ],
    capabilities: { streaming: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [
      { id: 'route', name: 'Route', description: 'r', tags: [] },
      { id: 'admin-reset', name: 'Reset', description: 'r', tags: [] },
    ],
    signatures: [{ protected: 'e30', signature: 'e30' }],
  };
  handler = new JsonRpcTransportHandler(
    new DefaultRequestHandler(AgentCard.fromJSON(card), new InMemoryTaskStore(), executor),
  );
  return Object.assign(agent, {
    ...{ url, card },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  });
}

async function answer(
  agent: Agent,
  handler: JsonRpcTransportHandler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method === 'GET' || request.method === 'HEAD') {
    if (request.url !== '/.well-known/agent-card.json') return void response.writeHead(404).end();
    const text = JSON.stringify(agent.card);
    return void response
      .writeHead(200, { 'content-type': 'application/json', etag: '"theirs"', 'content-length': text.length })
      .end(text);
  }
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = JSON.parse(Buffer.concat(chunks).toString()) as { method: string };
  agent.asked.push(body.method);
  const version = String(request.headers['a2a-version'] ?? '');
  const context = new ServerCallContext({ requestedVersion: version } as never);
  const result = await handler.handle(body, context);
  if (!(Symbol.asyncIterator in (result as object))) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for await (const one of result as AsyncIterable<unknown>) response.write(`data: ${JSON.stringify(one)}\n\n`);
  response.end();
}

let one: Agent;
let two: Agent;

async function policy(): Promise<string> {
  [one, two] = [await startAgent('one'), await startAgent('two')];
  return `app: agents
backends:
  both: { endpoints: [{ url: ${one.url} }, { url: ${two.url} }] }
rules:
  - { name: no lists, when: 'a2a.method == "ListTasks" and a2a.version == "1.0"', action: block }
  - { name: skill, when: 'a2a.skill == "secret"', action: block }
routes:
  - name: planner
    matches: [{ path: { value: /agents/planner } }]
    filters: [{ urlRewrite: { path: { replacePrefixMatch: / } } }]
    backend: both
    a2a: { versions: ["1.0"], methods: { deny: [CancelTask] }, skills: { deny: ["admin-*"] } }
`;
}

onEachTarget(
  'agents of A2A',
  {
    policy,
    teardown() {
      one.stop();
      two.stop();
      return Promise.resolve();
    },
  },
  (world) => {
    const base = (): string => `${world.url}/agents/planner`;
    const message = (more: object = {}) => ({
      message: Message.fromJSON({
        messageId: crypto.randomUUID(),
        role: Role.ROLE_USER,
        parts: [{ text: 'hello' }],
        ...more,
      }),
    });
    const client = () => new ClientFactory().createFromUrl(`${base()}/`, '.well-known/agent-card.json');
    const rpc = (body: unknown, headers: Record<string, string> = { 'a2a-version': '1.0' }): Promise<Answer> =>
      ask(`${base()}/rpc`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });

    test('the card is of this gateway, without what does not pass here', LIMIT, async () => {
      const answer = await ask(`${base()}/.well-known/agent-card.json`);
      const card = answer.json();
      assert.deepEqual(card['supportedInterfaces'], [
        { url: `${base()}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
      ]);
      assert.deepEqual(
        (card['skills'] as { id: string }[]).map(({ id }) => id),
        ['route'],
      );
      assert.equal(card['signatures'], undefined);
      assert.doesNotMatch(answer.text(), new RegExp(one.url.slice(7)));
      assert.equal(answer.headers['cache-control'], 'max-age=300');
      const { etag = '' } = answer.headers;
      assert.match(etag, /^"[\w-]{22}"$/);
      // The two agents have cards of their own, so a tag is good at one of them.
      const again = await Promise.all(
        Array.from({ length: 12 }, () =>
          ask(`${base()}/.well-known/agent-card.json`, { headers: { 'if-none-match': etag } }),
        ),
      );
      assert.ok(again.some(({ status, body }) => status === 304 && body.length === 0));
      const head = await ask(`${base()}/.well-known/agent-card.json`, { method: 'HEAD' });
      assert.deepEqual([head.status, head.headers['etag']], [200, undefined]);
    });

    test('a client finds the agent by its card, and its tasks stay where they were made', LIMIT, async () => {
      const agents = new Set<unknown>();
      for (let i = 0; i < 12; i++) {
        const to = await client();
        const made = (await to.sendMessage(message() as never)) as Task;
        const by = (made.metadata as Record<string, unknown> | undefined)?.['by'];
        agents.add(by);
        for (let again = 0; again < 3; again++) {
          const found = await to.getTask({ id: made.id, tenant: '' } as never);
          assert.deepEqual([found.id, (found.metadata as Record<string, unknown>)['by']], [made.id, by]);
        }
      }
      assert.deepEqual([...agents].sort(), ['one', 'two'], 'both agents make tasks');
    });

    test('a stream comes as it is made, and its task is known from its first event', LIMIT, async () => {
      for (let i = 0; i < 6; i++) {
        const to = await client();
        const states: string[] = [];
        let id = '';
        for await (const event of to.sendMessageStream(message() as never)) {
          const text = JSON.stringify(event);
          id ||= /"(?:id|taskId)":"([^"]+)"/.exec(text)?.[1] ?? '';
          states.push(text);
        }
        assert.ok(states.length >= 2, states.join());
        assert.equal((await to.getTask({ id, tenant: '' } as never)).id, id);
      }
    });

    test('versions, methods and skills that the policy does not have', LIMIT, async () => {
      const error = async (pending: Promise<Answer>): Promise<[number, number, unknown, string]> => {
        const answer = await pending;
        const { id, error: one } = answer.json() as {
          id: unknown;
          error: { code: number; data?: { reason: string }[] };
        };
        return [answer.status, one.code, id, one.data?.[0]?.reason ?? ''];
      };
      const get = { jsonrpc: '2.0', id: 5, method: 'GetTask', params: { id: 't' } };
      const before = one.asked.length + two.asked.length;
      assert.deepEqual(await error(rpc(get, {})), [400, -32009, 5, 'VERSION_NOT_SUPPORTED']);
      assert.deepEqual(await error(rpc(get, { 'a2a-version': '9.9' })), [400, -32009, 5, 'VERSION_NOT_SUPPORTED']);
      assert.deepEqual(await error(rpc({ ...get, method: 'CancelTask' })), [400, -32004, 5, 'UNSUPPORTED_OPERATION']);
      assert.deepEqual(await error(rpc({ ...get, method: 'tasks/cancel' })), [400, -32004, 5, 'UNSUPPORTED_OPERATION']);
      assert.deepEqual(await error(rpc({ ...get, params: { metadata: { skillId: 'admin-reset' } } })), [
        400,
        -32004,
        5,
        'UNSUPPORTED_OPERATION',
      ]);
      assert.deepEqual((await error(rpc('[]'))).slice(0, 2), [400, -32600]);
      assert.deepEqual((await error(rpc('{'))).slice(0, 2), [400, -32700]);
      assert.deepEqual(
        (await error(rpc('{"jsonrpc":"2.0","id":1,"method":"GetTask","method":"CancelTask"}'))).slice(0, 2),
        [400, -32600],
      );
      const rest = await ask(`${base()}/tasks/t:cancel`, { method: 'POST', headers: { 'a2a-version': '1.0' } });
      assert.deepEqual(
        [rest.status, (rest.json()['error'] as { status: string }).status],
        [400, 'FAILED_PRECONDITION'],
      );
      assert.equal((await ask(`${base()}/tasks`, { headers: {} })).status, 400);
      const unknown = await ask(`${base()}/tasks/a/b`, { headers: { 'a2a-version': '1.0' } });
      assert.deepEqual([unknown.status, unknown.headers['content-type']], [404, 'application/a2a+json']);
      assert.equal(one.asked.length + two.asked.length, before);
    });

    test('rules and the log see what is asked for', LIMIT, async () => {
      const since = world.gateway.events.length;
      assert.equal((await rpc({ jsonrpc: '2.0', id: 5, method: 'ListTasks', params: {} })).status, 403);
      assert.equal((await ask(`${base()}/tasks?A2A-Version=1.0`)).status, 403);
      assert.equal((await ask(`${base()}/tasks;x?A2A-Version=1.0`)).status, 403);
      const secret = {
        jsonrpc: '2.0',
        id: 5,
        method: 'SendMessage',
        params: { message: { metadata: { skillId: 'secret' } } },
      };
      assert.equal((await rpc(secret)).status, 403);
      const line = await world.gateway.event(
        'access',
        (event) => (event['a2a'] as { skill?: string } | undefined)?.skill === 'secret',
        since,
      );
      assert.deepEqual(line['a2a'], { method: 'SendMessage', version: '1.0', skill: 'secret' });
    });

    test('a card that leads around the gateway is not passed on', LIMIT, async () => {
      const cards = [one.card, two.card];
      for (const agent of [one, two])
        agent.card = {
          ...agent.card,
          supportedInterfaces: [{ url: `${agent.url}/grpc`, protocolBinding: 'GRPC', protocolVersion: '1.0' }],
        };
      assert.equal((await ask(`${base()}/.well-known/agent-card.json`)).status, 502);
      for (const agent of [one, two]) agent.card = { padding: 'x'.repeat(300_000) };
      assert.equal((await ask(`${base()}/.well-known/agent-card.json`)).status, 502);
      [one.card, two.card] = cards as [Record<string, unknown>, Record<string, unknown>];
    });
  },
);
