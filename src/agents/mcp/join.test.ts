import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { events, joined, type Joined, modern, rpc, rpcError, sessional } from '../../../test/support/mcp-join.ts';
import { MAX_CUT_NAMES, MAX_INITIALIZE, MAX_JOINED_MESSAGE } from './join-limits.ts';
import { joinedName } from './join-names.ts';

type Json = Record<string, any>; // oxlint-disable-line typescript/no-explicit-any

const namesOf = ({ result }: Json): string[] => (result.tools as Json[]).map(({ name }) => name as string);
const INITIALIZE = {
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: { sampling: {} }, clientInfo: { name: 'c', version: '1' } },
};

/** Begins a session; its id. */
async function begin(endpoint: Joined): Promise<string> {
  const answer = await endpoint.ask(INITIALIZE);
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.headers.get('mcp-session-id')!;
}

async function messages(response: Response): Promise<Json[]> {
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const text = await response.text();
  return [...text.matchAll(/^data: (.+)$/gm)].map(([, data]) => JSON.parse(data!) as Json);
}

describe('without sessions', () => {
  test('lists are one, under names with their server in front', async () => {
    const { stateless, asked } = joined({ git: modern(['search', 'read']), jira: modern(['search']) });
    const answer = (await (await stateless('tools/list', {}, 'id 7')).json()) as Json;
    assert.equal(answer['id'], 'id 7');
    assert.deepEqual(namesOf(answer), ['git_search', 'git_read', 'jira_search']);
    assert.deepEqual(
      [answer['result'].ttlMs, answer['result'].cacheScope, answer['result'].resultType],
      [1000, 'public', 'complete'],
    );
    assert.deepEqual(asked.map(({ server }) => server).sort(), ['git', 'jira']);
  });

  test('a call goes to its server alone, by the name it has there, and not a digit changes', async () => {
    const { asked } = await (async () => {
      const endpoint = joined({ git: modern(['search']), jira: modern(['search']) });
      const body =
        '{"jsonrpc":"2.0", "id":12345678901234567890,"method":"tools/call","params":{"name":"jira_se\\u0061rch","arguments":{"n":1.50,"big":98765432109876543210},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/clientCapabilities":{}}}}';
      const { answerJoined } = await import('./join.ts');
      const seen: { server: string; text: string; headers: Headers }[] = [];
      const answer = await answerJoined(
        {
          join: endpoint.join,
          headers: new Headers(),
          signal: new AbortController().signal,
          dial: async ({ name }, init) => {
            seen.push({ server: name, text: String(init.body), headers: new Headers(init.headers) });
            return {
              response: new Response('{"jsonrpc":"2.0","id":12345678901234567890,"result":{"content":[],"n":1.50}}', {
                headers: { 'content-type': 'application/json' },
              }),
              endpoint: '',
            };
          },
          note: () => {},
          later: () => {},
        },
        null,
        { method: 'POST', body, stateless: true, session: null, lastEvent: null, versions: [] },
      );
      assert.equal(await answer.text(), '{"jsonrpc":"2.0","id":12345678901234567890,"result":{"content":[],"n":1.50}}');
      assert.equal(seen.length, 1);
      assert.equal(seen[0]!.text, body.replace('"jira_se\\u0061rch"', '"search"'));
      return { asked: seen };
    })();
    assert.deepEqual(
      [asked[0]!.server, asked[0]!.headers.get('mcp-name'), asked[0]!.headers.get('mcp-method')],
      ['jira', 'search', 'tools/call'],
    );
  });

  test('a name that is no plain header is encoded for the server', async () => {
    const { stateless, asked } = joined({ git: modern([]) });
    await stateless('tools/call', { name: 'git_größe' });
    assert.equal(asked[0]!.headers.get('mcp-name'), `=?base64?${Buffer.from('größe').toString('base64')}?=`);
  });

  for (const [what, broken] of Object.entries({
    'is down': () => Promise.reject(new Error('refused')),
    'is slow': () => new Promise<Response>(() => {}),
    fails: () => new Response('oops', { status: 500 }),
    'answers nonsense': () => new Response('{', { headers: { 'content-type': 'application/json' } }),
    'answers with a key twice': () =>
      new Response('{"jsonrpc":"2.0","id":1,"result":{"tools":[],"tools":[]}}', {
        headers: { 'content-type': 'application/json' },
      }),
    'answers without an end': () => events([{ jsonrpc: '2.0', method: 'notifications/message' }]),
    'answers too much': () =>
      new Response(`{"jsonrpc":"2.0","id":1,"result":{"tools":[],"x":"${'x'.repeat(MAX_JOINED_MESSAGE)}"}}`, {
        headers: { 'content-type': 'application/json' },
      }),
  }))
    test(`a server that ${what} does not hide the others`, async () => {
      const { stateless, notes } = joined({ bad: broken, git: modern(['search']) }, 150);
      const answer = (await (await stateless('tools/list')).json()) as Json;
      assert.deepEqual(namesOf(answer), ['git_search']);
      assert.deepEqual(answer['result']._meta, { 'sallyport/unavailable': ['bad'] });
      assert.equal(answer['result'].ttlMs, 0, 'nobody keeps half a list');
      assert.equal(notes.length, 1);
      assert.match(notes[0]!, /^bad: /);
    });

  test('when nobody answers there is no answer', async () => {
    const { stateless } = joined({ bad: () => Promise.reject(new Error('refused')) });
    for (const method of ['tools/list', 'server/discover']) {
      const answer = await stateless(method);
      assert.deepEqual([answer.status, ((await answer.json()) as Json)['error'].code], [503, -32603]);
    }
  });

  test('a server without such a list has an empty one', async () => {
    const { stateless, notes } = joined({ git: modern(['search']) });
    const answer = (await (await stateless('prompts/list')).json()) as Json;
    assert.deepEqual([answer['result'].prompts, answer['result']._meta, notes], [[], undefined, []]);
  });

  test('pages go on for each server where it was', async () => {
    const pages = (all: readonly string[]) =>
      modern([], ({ body: { method, id, params } }) => {
        if (method !== 'tools/list') return;
        const at = Number(params?.['cursor'] ?? 0);
        return rpc(id, { tools: [{ name: all[at] }], ...(at + 1 < all.length && { nextCursor: String(at + 1) }) });
      });
    const { stateless, asked } = joined({ git: pages(['a', 'b', 'c']), jira: pages(['x']) });
    const names: string[][] = [];
    let cursor: string | undefined;
    do {
      const answer = (await (await stateless('tools/list', cursor === undefined ? {} : { cursor })).json()) as Json;
      names.push(namesOf(answer));
      cursor = answer['result'].nextCursor;
    } while (cursor !== undefined);
    assert.deepEqual(names, [['git_a', 'jira_x'], ['git_b'], ['git_c']]);
    assert.equal(asked.length, 4);
    assert.equal(((await (await stateless('tools/list', { cursor: 'mine' })).json()) as Json)['error'].code, -32602);
  });

  test('names beyond the length are cut, told apart, and lead back, also where nobody remembers them', async () => {
    const long = ['a', 'b'].map((end) => 'x'.repeat(80) + end);
    const { stateless, asked, join } = joined({ git: modern(long) });
    const shown = namesOf((await (await stateless('tools/list')).json()) as Json);
    assert.ok(shown.every((name) => name.length === 64));
    const called = async (name: string) =>
      JSON.parse(((await (await stateless('tools/call', { name })).json()) as Json)['result'].content[0].text) as Json;
    assert.deepEqual([(await called(shown[0]!))['name'], (await called(shown[1]!))['name']], long);
    assert.equal(asked.length, 3);
    for (let n = 0; n < MAX_CUT_NAMES; n++) joinedName(join.servers[0]!, `${'y'.repeat(80)}${n}`, 64);
    assert.equal((await called(shown[0]!))['name'], long[0]);
    // Its own name is none here: a list that denies the one that clients see would be passed by.
    const before = asked.length;
    const own = (await (await stateless('tools/call', { name: `git_${long[0]}` })).json()) as Json;
    assert.deepEqual([own['error'].code, asked.length], [-32602, before]);
    assert.equal(asked.at(-2)!.body.method, 'tools/list');
    const forgotten = joined({ hub: modern(['y'.repeat(100)]) });
    // What no tool is cut to stands for itself.
    const literal = `hub_${'z'.repeat(51)}-0123abcd`;
    const answer = (await (await forgotten.stateless('tools/call', { name: literal })).json()) as Json;
    assert.equal((JSON.parse(answer['result'].content[0].text) as Json)['name'], literal.slice(4));
  });

  test('what is not there is an error with the id of the request', async () => {
    const { stateless, asked } = joined({ git: modern([]) });
    const tool = (await (await stateless('tools/call', { name: 'nobody_x' }, 5)).json()) as Json;
    assert.deepEqual([tool['id'], tool['error'].code], [5, -32602]);
    const resource = (await (await stateless('resources/read', { uri: 'file:///a' })).json()) as Json;
    assert.deepEqual([resource['error'].code, resource['error'].data], [-32602, { uri: 'file:///a' }]);
    const method = await stateless('tasks/get', { taskId: '1' });
    assert.deepEqual([method.status, ((await method.json()) as Json)['error'].code], [404, -32601]);
    assert.deepEqual(asked, []);
  });

  test('URIs of results have their server in front, and lose it on the way in', async () => {
    const { stateless, asked } = joined({
      git: modern([], ({ body: { method, id, params } }) => {
        if (method === 'resources/read') return rpc(id, { contents: [{ uri: params?.['uri'], text: 'uri' }] });
        if (method === 'resources/templates/list')
          return rpc(id, { resourceTemplates: [{ name: 't', uriTemplate: '{+url}' }] });
        if (method === 'prompts/get')
          return rpc(id, { messages: [{ role: 'user', content: { type: 'resource', resource: { uri: 'a:b' } } }] });
        if (method !== 'tools/call') return;
        const link = { type: 'resource_link', uri: 'a:c', name: 'uri' };
        return rpc(id, {
          content: [link, { type: 'resource', resource: { uri: 'a:d' } }, { type: 'text', text: '{"uri":"a:e"}' }],
          structuredContent: { uri: 'a:f' },
        });
      }),
    });
    const result = async (method: string, params: object) =>
      ((await (await stateless(method, params)).json()) as Json)['result'] as Json;
    assert.equal((await result('resources/read', { uri: 'git+a:b' }))['contents'][0].uri, 'git+a:b');
    assert.deepEqual([asked[0]!.body.params?.['uri'], asked[0]!.headers.get('mcp-name')], ['a:b', 'a:b']);
    assert.equal((await result('resources/templates/list', {}))['resourceTemplates'][0].uriTemplate, 'git+{+url}');
    assert.equal((await result('prompts/get', { name: 'git_p' }))['messages'][0].content.resource.uri, 'git+a:b');
    const called = await result('tools/call', { name: 'git_t' });
    assert.deepEqual(called['content'], [
      { type: 'resource_link', uri: 'git+a:c', name: 'uri' },
      { type: 'resource', resource: { uri: 'git+a:d' } },
      { type: 'text', text: '{"uri":"a:e"}' },
    ]);
    assert.deepEqual(called['structuredContent'], { uri: 'a:f' });
  });

  test('progress comes as it is told, the answer last', async () => {
    const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: 1 } };
    const { stateless } = joined({
      git: modern([], ({ body: { method, id } }) =>
        method === 'tools/call' ? events([progress, { jsonrpc: '2.0', id, result: { content: [] } }]) : undefined,
      ),
    });
    const told = await messages(await stateless('tools/call', { name: 'git_x' }));
    assert.deepEqual(told, [progress, { jsonrpc: '2.0', id: 1, result: { content: [] } }]);
  });

  test('a client that leaves ends the stream of the server', async () => {
    let gone = 0;
    const { stateless } = joined({
      git: modern([], ({ body: { method } }) =>
        method === 'tools/call'
          ? events([{ jsonrpc: '2.0', method: 'notifications/message' }], { open: true, gone: () => gone++ })
          : undefined,
      ),
    });
    const reader = (await stateless('tools/call', { name: 'git_x' })).body!.getReader();
    await reader.read();
    await reader.cancel();
    assert.equal(gone, 1);
  });

  test('what servers can do and say is one answer', async () => {
    const { stateless } = joined({
      git: modern([], ({ body: { method, id } }) =>
        method === 'server/discover'
          ? rpc(id, {
              supportedVersions: ['2026-07-28'],
              capabilities: {
                resources: { subscribe: true },
                tasks: {},
                extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: ['a'] }, 'com.example/x': {} },
              },
              instructions: 'Be kind.',
              ttlMs: 5,
              cacheScope: 'private',
            })
          : undefined,
      ),
      jira: sessional([]),
    });
    const { result } = (await (await stateless('server/discover')).json()) as Json;
    assert.deepEqual(result.supportedVersions, ['2026-07-28']);
    assert.deepEqual(result.capabilities, {
      tools: {},
      resources: { subscribe: true },
      extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: ['a'] } },
    });
    assert.match(result.instructions, /^git .*git_.*: Be kind\.$/);
    assert.deepEqual(
      [result.ttlMs, result.cacheScope, result._meta['io.modelcontextprotocol/serverInfo'].name],
      [0, 'private', 'sallyport'],
    );
  });

  test('a request without its metadata is none', async () => {
    const { stateless, asked } = joined({ git: modern([]) });
    const answer = await stateless('tools/list', {
      _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' },
    });
    assert.deepEqual([answer.status, ((await answer.json()) as Json)['error'].code, asked.length], [400, -32602, 0]);
  });

  test('a server with sessions gets one for each request, and it is ended', async () => {
    const old = sessional(['search']);
    const { stateless, asked } = joined({ old, git: modern(['x']) });
    assert.deepEqual(namesOf((await (await stateless('tools/list')).json()) as Json), ['old_search', 'git_x']);
    const { result } = (await (
      await stateless('tools/call', { name: 'old_search', arguments: { a: 1 } })
    ).json()) as Json;
    assert.equal(result.resultType, 'complete');
    assert.equal((JSON.parse(result.content[0].text) as Json)['name'], 'search');
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(old.open.size, 0);
    const began = asked.filter(({ body }) => body.method === 'initialize');
    assert.deepEqual(
      began.map(({ body }) => body.params?.['capabilities']),
      [{}, {}],
      'nobody is there to be asked',
    );
    assert.equal(asked.filter(({ method }) => method === 'DELETE').length, 2);
    // Which era it is of was found out once.
    assert.equal(
      asked.filter(({ server, headers }) => server === 'old' && headers.get('mcp-protocol-version') === '2026-07-28')
        .length,
      1,
    );
  });

  test('who listens hears all servers on one stream', async () => {
    const listening = (uri: string) =>
      modern([], ({ body: { method, id, params } }) => {
        if (method !== 'subscriptions/listen') return;
        const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
        return events([
          {
            jsonrpc: '2.0',
            method: 'notifications/subscriptions/acknowledged',
            params: { _meta, notifications: params?.['notifications'] },
          },
          ':\n\n',
          { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { _meta, uri } },
          { jsonrpc: '2.0', id, result: { resultType: 'complete', _meta } },
        ]);
      });
    const { stateless, asked } = joined({ git: listening('a:b'), jira: listening('a:c') });
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['git+a:b', 'jira+a:c', 'nobody+a:d'] };
    const told = await messages(await stateless('subscriptions/listen', { notifications }, 9));
    assert.deepEqual(
      told.map(({ method, id }) => method ?? id),
      [
        'notifications/subscriptions/acknowledged',
        'notifications/resources/updated',
        'notifications/resources/updated',
        9,
      ],
    );
    assert.deepEqual(told[0]!['params'].notifications, {
      ...notifications,
      resourceSubscriptions: ['git+a:b', 'jira+a:c'],
    });
    assert.deepEqual(
      told
        .slice(1, 3)
        .map(({ params }) => params.uri as string)
        .sort(),
      ['git+a:b', 'jira+a:c'],
    );
    assert.deepEqual(
      asked.map(({ body }) => (body.params!['notifications'] as Json)['resourceSubscriptions']),
      [['a:b'], ['a:c']],
    );
  });
});

describe('with sessions', () => {
  test('a session of ours stands for one at each server', async () => {
    const [git, jira] = [sessional(['search']), sessional(['search'])];
    const endpoint = joined({ git, jira });
    const session = await begin(endpoint);
    assert.match(session, /^[A-Za-z0-9_-]{43}$/);
    assert.equal((await endpoint.ask({ method: 'notifications/initialized' }, { session })).status, 202);
    assert.deepEqual(
      namesOf((await (await endpoint.ask({ id: 1, method: 'tools/list' }, { session })).json()) as Json),
      ['git_search', 'jira_search'],
    );
    const { result } = (await (
      await endpoint.ask({ id: 2, method: 'tools/call', params: { name: 'jira_search' } }, { session })
    ).json()) as Json;
    assert.equal(JSON.parse(result.content[0].text).name, 'search');
    const last = endpoint.asked.at(-1)!;
    assert.deepEqual(
      [last.server, last.headers.get('mcp-session-id'), last.headers.get('mcp-protocol-version')],
      ['jira', '1', '2025-11-25'],
    );
    assert.deepEqual(
      ((await (await endpoint.ask({ id: 3, method: 'ping' }, { session })).json()) as Json)['result'],
      {},
    );
    assert.equal((await endpoint.ask(null, { method: 'DELETE', session })).status, 200);
    assert.deepEqual([git.open.size, jira.open.size, endpoint.sessions.size], [0, 0, 0]);
    assert.equal((await endpoint.ask({ id: 4, method: 'ping' }, { session })).status, 404);
  });

  test('without a session, or in another one, there is nothing', async () => {
    const endpoint = joined({ git: sessional([]) });
    assert.equal((await endpoint.ask({ id: 1, method: 'tools/list' })).status, 400);
    assert.equal((await endpoint.ask({ id: 1, method: 'tools/list' }, { session: '1' })).status, 404);
    assert.equal((await endpoint.ask(null, { session: 'x'.repeat(43) })).status, 404);
    assert.deepEqual(endpoint.asked, []);
  });

  test('all speak the newest version that each of them can', async () => {
    const endpoint = joined({ git: sessional([]), old: sessional([], () => undefined, '2025-03-26') });
    const { result } = (await (await endpoint.ask(INITIALIZE)).json()) as Json;
    assert.equal(result.protocolVersion, '2025-03-26');
    const asked = endpoint.asked.filter(({ server, body }) => server === 'git' && body.method === 'initialize');
    assert.deepEqual(
      asked.map(({ body }) => body.params?.['protocolVersion']),
      ['2025-11-25', '2025-03-26'],
    );
  });

  test('a session that a server made and nobody will use is ended', async () => {
    const made = { 'mcp-session-id': 'made' };
    for (const [answer, version] of [
      [(id: unknown) => rpc(id, { protocolVersion: '2024-11-05', capabilities: {} }, made), '2024-11-05'],
      [() => new Response('nonsense', { headers: { ...made, 'content-type': 'application/json' } }), null],
      [
        (id: unknown) => Response.json({ jsonrpc: '2.0', id, error: { code: 1, message: 'no' } }, { headers: made }),
        null,
      ],
    ] as const) {
      const { ask, asked } = joined({
        git: ({ method, body }) => (method === 'DELETE' ? new Response(null, { status: 204 }) : answer(body['id'])),
        jira: sessional(['search']),
      });
      const response = await ask({ id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25' } });
      assert.equal(response.status, 200);
      const ended = asked.filter(({ method }) => method === 'DELETE');
      assert.deepEqual(
        ended.map(({ server, headers }) => [
          server,
          headers.get('mcp-session-id'),
          headers.get('mcp-protocol-version'),
        ]),
        [['git', 'made', version]],
      );
    }
  });

  test('a server that is down is missing, and the others are there', async () => {
    const endpoint = joined({ bad: () => Promise.reject(new Error('refused')), git: sessional(['search']) });
    const answer = await endpoint.ask(INITIALIZE);
    assert.deepEqual(((await answer.json()) as Json)['result']._meta, { 'sallyport/unavailable': ['bad'] });
    const session = answer.headers.get('mcp-session-id')!;
    const { result } = (await (await endpoint.ask({ id: 1, method: 'tools/list' }, { session })).json()) as Json;
    assert.deepEqual([result.tools.length, result._meta], [1, { 'sallyport/unavailable': ['bad'] }]);
    const called = (await (
      await endpoint.ask({ id: 1, method: 'tools/call', params: { name: 'bad_x' } }, { session })
    ).json()) as Json;
    assert.equal(called['error'].code, -32603);
  });

  test('a session that a server lost is over, so that the client begins again', async () => {
    const [git, jira] = [sessional([]), sessional([])];
    const endpoint = joined({ git, jira });
    const session = await begin(endpoint);
    git.open.clear();
    assert.equal((await endpoint.ask({ id: 1, method: 'tools/list' }, { session })).status, 404);
    assert.equal(endpoint.sessions.size, 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(jira.open.size, 0);
  });

  test('what a server asks of the client comes back to it, by its own id', async () => {
    const question = {
      jsonrpc: '2.0',
      id: 0,
      method: 'sampling/createMessage',
      params: { _meta: { progressToken: 'p' }, messages: [] },
    };
    const asks = (asked: { body: Json }) =>
      asked.body['method'] === 'tools/call'
        ? events([
            question,
            { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 0 } },
            { jsonrpc: '2.0', id: asked.body['id'], result: { content: [] } },
          ])
        : undefined;
    const endpoint = joined({ git: sessional([], asks), jira: sessional([]) });
    const session = await begin(endpoint);
    const told = await messages(
      await endpoint.ask({ id: 'mine', method: 'tools/call', params: { name: 'git_x' } }, { session }),
    );
    const id = told[0]!['id'] as unknown;
    assert.equal(typeof id, 'string');
    assert.notEqual(id, 0);
    assert.equal(told[1]!['params'].requestId, id);
    assert.deepEqual(told[2], { jsonrpc: '2.0', id: 'mine', result: { content: [] } });
    assert.equal((await endpoint.ask({ id, result: { role: 'assistant' } }, { session })).status, 202);
    assert.deepEqual([endpoint.asked.at(-1)!.server, endpoint.asked.at(-1)!.body.id], ['git', 0]);
    const progressToken = told[0]!['params']._meta.progressToken as unknown;
    await endpoint.ask({ method: 'notifications/progress', params: { progressToken, progress: 1 } }, { session });
    assert.equal(endpoint.asked.at(-1)!.body.params?.['progressToken'], 'p');
    assert.equal((await endpoint.ask({ id: 'nobody:0', result: {} }, { session })).status, 400);
  });

  test('a server of 2026-07-28 is asked in its own words', async () => {
    const asking = modern(['search'], ({ body: { method, id, params } }) =>
      method === 'tools/call' && params?.['name'] === 'asks'
        ? rpc(id, { resultType: 'input_required', inputRequests: {} })
        : undefined,
    );
    const endpoint = joined({ git: asking, jira: sessional(['x']) });
    const session = await begin(endpoint);
    assert.deepEqual(
      namesOf((await (await endpoint.ask({ id: 1, method: 'tools/list' }, { session })).json()) as Json),
      ['git_search', 'jira_x'],
    );
    await endpoint.ask({ id: 2, method: 'tools/call', params: { name: 'git_search' } }, { session });
    const meta = endpoint.asked.at(-1)!.body.params?.['_meta'] as Json;
    assert.deepEqual(meta['io.modelcontextprotocol/clientCapabilities'], { sampling: {} });
    assert.equal(endpoint.asked.at(-1)!.headers.get('mcp-session-id'), null);
    const asks = (await (
      await endpoint.ask({ id: 3, method: 'tools/call', params: { name: 'git_asks' } }, { session })
    ).json()) as Json;
    assert.match(asks['error'].message, /asks for input/);
  });

  test('streams of servers are one, and go on where they broke', async () => {
    const stream = (name: string) =>
      sessional([], (asked) => {
        if (asked.method !== 'GET') return;
        const last = asked.headers.get('last-event-id');
        return events([
          `id: ${name}${last ?? ''}1\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${name} ${last}"}}\n\n`,
        ]);
      });
    const endpoint = joined({ git: stream('g'), jira: stream('j'), none: sessional([]) });
    const session = await begin(endpoint);
    const first = await endpoint.ask(null, { session });
    const text = await first.text();
    const ids = [...text.matchAll(/^id: (.+)$/gm)].map(([, id]) => id!);
    assert.ok(ids.length >= 1);
    // One stream's end ends all, so that the client comes back for both.
    const again = await (await endpoint.ask(null, { session, lastEvent: ids.at(-1)! })).text();
    assert.match(again, /"data":"[gj] [gj]1"/);
    assert.equal((await endpoint.ask(null, { session, lastEvent: 'mine' })).status, 400);
    const forged = Buffer.from('["session",["git","a\\nb"],["jira","j1"]]').toString('base64url');
    assert.match(await (await endpoint.ask(null, { session, lastEvent: forged })).text(), /"data":"j j1"/);
    const alone = joined({ none: sessional([]) });
    assert.equal((await alone.ask(null, { session: await begin(alone) })).status, 405);
  });

  test('the answer to a request goes on at the server that gave it', async () => {
    const server = sessional([], (asked) => {
      if (asked.body.method === 'tools/call') return events(['id: 5\ndata: \n\n']);
      if (asked.method === 'GET')
        return events([
          `data: {"jsonrpc":"2.0","id":7,"result":{"content":[],"last":"${asked.headers.get('last-event-id')}"}}\n\n`,
        ]);
      return;
    });
    const endpoint = joined({ git: server, jira: sessional([]) });
    const session = await begin(endpoint);
    const broke = await (
      await endpoint.ask({ id: 7, method: 'tools/call', params: { name: 'git_x' } }, { session })
    ).text();
    const lastEvent = /^id: (.+)$/m.exec(broke)![1]!;
    const told = await messages(await endpoint.ask(null, { session, lastEvent }));
    assert.equal(told[0]!['result'].last, '5');
    assert.deepEqual(
      endpoint.asked.filter(({ method }) => method === 'GET').map(({ server: of }) => of),
      ['git'],
    );
  });

  test('a client that says too much of itself begins no session', async () => {
    const endpoint = joined({ git: sessional([]) });
    const answer = await endpoint.ask({
      ...INITIALIZE,
      params: { ...INITIALIZE.params, clientInfo: { name: 'x'.repeat(MAX_INITIALIZE) } },
    });
    assert.deepEqual([answer.status, endpoint.asked.length], [400, 0]);
  });

  test('batches and nonsense are refused', async () => {
    const endpoint = joined({ git: sessional([]) });
    const session = await begin(endpoint);
    for (const [text, code] of [
      ['[]', -32600],
      ['{', -32700],
      ['{"a":1,"a":2}', -32600],
      ['"x"', -32600],
    ] as const) {
      const answer = await endpoint.ask(text, { session });
      assert.deepEqual([answer.status, ((await answer.json()) as Json)['error'].code], [400, code], text);
    }
    assert.equal((await endpoint.ask(null, { method: 'PUT', session })).status, 405);
  });

  test('an error of a server is the client’s', async () => {
    const endpoint = joined({
      git: sessional([], ({ body: { method, id } }) =>
        method === 'tools/call' ? rpcError(id, -32000, 200) : undefined,
      ),
    });
    const session = await begin(endpoint);
    const answer = (await (
      await endpoint.ask({ id: 1, method: 'tools/call', params: { name: 'git_x' } }, { session })
    ).json()) as Json;
    assert.deepEqual(answer, { jsonrpc: '2.0', id: 1, error: { code: -32000, message: 'no' } });
  });
});
