/**
 * Language models behind the gateway: the client of OpenAI against servers in its shape, streams that are cut on either
 * side, keys, models, fail-over, and budgets that trip.
 */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { test } from 'node:test';
import OpenAI from 'openai';
import { ask, type Answer } from '../client.ts';
import type { GatewayEvent, Target } from '../gateway.ts';
import { INPUT, type ModelServer, OUTPUT, startModelServer, WORDS } from '../support/model-server.ts';
import { onEachTarget } from './targets.ts';

let one: ModelServer;
let two: ModelServer;

async function policy(): Promise<string> {
  [one, two] = [await startModelServer('one'), await startModelServer('two')];
  return `app: models
backends:
  one: { url: ${one.url} }
  two: { url: ${two.url} }
  nobody: { url: http://127.0.0.1:9 }
rules:
  - { name: no secrets for the big one, when: 'llm.model == "gpt-4-big" and llm.stream == "false"', action: block }
routes:
  - name: chat
    matches: [{ path: { value: /v1 } }]
    backend: one
    timeouts: { request: 20s }
    llm:
      provider: openai
      models: [{ match: fast, backend: two, rewrite: gpt-4o-mini }, { match: lost, backend: nobody }, { match: "gpt-4*" }]
      failover: [{ backend: two, rewrite: spare }]
      firstByte: 1s
      keys: { one: { secret: KEY_ONE }, two: { secret: KEY_TWO } }
  - name: small
    matches: [{ path: { value: /small/v1 } }]
    backend: one
    llm:
      provider: openai
      budgets: [{ tokens: 100, per: 1h, by: [x-team] }]
  - name: anthropic
    matches: [{ path: { value: /anthropic } }]
    backend: one
    llm: { provider: anthropic, keys: { one: { secret: KEY_ONE } } }
  - name: gemini
    matches: [{ path: { value: /v1beta } }]
    backend: one
    llm: { provider: gemini, models: [{ match: "gemini-*", rewrite: gemini-flash }], keys: { one: { secret: KEY_ONE } } }
  - name: theirs
    matches: [{ path: { value: /theirs/v1 } }]
    backend: one
    llm: { provider: openai, clientKey: forward, others: pass, failover: [two], usage: leave }
`;
}

const teardown = (): Promise<void> => {
  one.stop();
  two.stop();
  return Promise.resolve();
};
const args = (target: Target): string[] =>
  target === 'workerd' ? ['--secret', 'KEY_ONE=env:KEY_ONE', '--secret', 'KEY_TWO=env:KEY_TWO'] : [];
const env = (target: Target): Record<string, string> => {
  const prefix = target === 'workerd' ? '' : 'SECRET_';
  return { [`${prefix}KEY_ONE`]: 'key-of-one', [`${prefix}KEY_TWO`]: 'key-of-two' };
};

const LIMIT = { timeout: 20_000 };

interface UsageLine {
  readonly provider: string;
  readonly model: string;
  readonly stream: string;
  readonly backend: string;
  readonly tokens: { input: number; output: number; cached: number; reasoning: number; estimated: boolean };
}

onEachTarget('language models', { policy, teardown, args, env }, (world) => {
  /** A place of its own for each test: lines of usage are told apart by their paths. */
  let turn = 0;
  const client = (path = '/v1', headers: Record<string, string> = {}): OpenAI =>
    new OpenAI({
      baseURL: `${world.url}${path}/${turn}`,
      apiKey: 'key-of-client',
      maxRetries: 0,
      defaultHeaders: headers,
    });
  const messages = [{ role: 'user' as const, content: 'hello' }];
  const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    ask(`${world.url}${path.replace('/v1/', `/v1/${turn}/`)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const usageSince = async (since: number): Promise<UsageLine> => {
    const line: GatewayEvent = await world.gateway.event(
      'access',
      (event) => event['method'] === 'USAGE' && String(event['path']).includes(`/${turn}/`),
      since,
    );
    return line['llm'] as UsageLine;
  };
  const marks = (): { since: number; one: number; two: number } => {
    turn++;
    return { since: world.gateway.events.length, one: one.asked.length, two: two.asked.length };
  };

  test('an answer in one piece: the key is ours, the model theirs, the tokens counted', LIMIT, async () => {
    const { since, one: before } = marks();
    const answer = await client().chat.completions.create({ model: 'gpt-4o', messages });
    assert.equal(answer.choices[0]?.message.content, WORDS.join(''));
    assert.equal(answer.usage?.total_tokens, INPUT + OUTPUT);
    const asked = one.asked[before]!;
    assert.equal(asked.headers['authorization'], 'Bearer key-of-one');
    assert.doesNotMatch(JSON.stringify(asked.headers), /key-of-client/);
    assert.deepEqual(await usageSince(since), {
      ...{ provider: 'openai', model: 'gpt-4o', stream: 'false', backend: 'one' },
      tokens: { input: INPUT, output: OUTPUT, cached: 4, reasoning: 3, estimated: false },
    });
    const line = await world.gateway.event(
      'access',
      (event) => event['method'] === 'POST' && String(event['path']).includes(`/${turn}/`),
      since,
    );
    assert.deepEqual(line['llm'], { provider: 'openai', model: 'gpt-4o', stream: 'false' });
  });

  test('a stream: usage is asked for, counted, and kept from a client that did not ask', LIMIT, async () => {
    const { since, one: before } = marks();
    const stream = await client().chat.completions.create({ model: 'gpt-4o', messages, stream: true });
    const words: string[] = [];
    for await (const chunk of stream) {
      assert.equal('usage' in chunk, false);
      assert.equal(chunk.choices.length, 1);
      words.push(chunk.choices[0]?.delta.content ?? '');
    }
    assert.equal(words.join(''), WORDS.join(''));
    assert.deepEqual(one.asked[before]!.body['stream_options'], { include_usage: true });
    assert.deepEqual((await usageSince(since)).tokens, {
      input: INPUT,
      output: OUTPUT,
      cached: 4,
      reasoning: 3,
      estimated: false,
    });
  });

  test('a stream whose client asks for usage has it', LIMIT, async () => {
    const options = { include_usage: true };
    const stream = await client().chat.completions.create({
      model: 'gpt-4o',
      messages,
      stream: true,
      stream_options: options,
    });
    let usage = 0;
    for await (const chunk of stream) usage += chunk.usage?.total_tokens ?? 0;
    assert.equal(usage, INPUT + OUTPUT);
  });

  test('models go where the policy says, by the name that they have there', LIMIT, async () => {
    const before = marks();
    const answer = await client().chat.completions.create({ model: 'fast', messages, seed: 7 });
    assert.equal(answer.model, 'gpt-4o-mini');
    assert.equal(one.asked.length, before.one);
    const asked = two.asked[before.two]!;
    assert.equal(asked.headers['authorization'], 'Bearer key-of-two');
    assert.deepEqual(asked.body, { model: 'gpt-4o-mini', messages, seed: 7 });
    assert.equal(asked.headers['content-length'], String(Buffer.byteLength(asked.text)));
    await assert.rejects(client().chat.completions.create({ model: 'o9', messages }), { status: 404 });
    await assert.rejects(client().images.generate({ model: 'gpt-4o', prompt: 'x' }), { status: 404 });
    assert.equal((await client().models.list()).data[0]?.id, 'gpt-4o');
  });

  test('a body that could name another model is refused, and nothing of it is sent', LIMIT, async () => {
    const before = marks();
    for (const [body, status] of [
      ['{"model":"gpt-4o","model":"o9"}', 400],
      ['{"model":"gpt-4o","MODEL":"o9"}', 400],
      ['{"model":"gpt-4o"', 400],
      ['{"messages":[]}', 400],
      [`{"model":"gpt-4o","x":"${'y'.repeat(1_048_576)}"}`, 413],
    ] as const) {
      const answer = await post('/v1/chat/completions', body);
      assert.equal(answer.status, status, answer.text());
      assert.match(answer.text(), /"requestId"/);
    }
    assert.equal((await post('/v1/chat/completions', 'a=b', { 'content-type': 'text/plain' })).status, 415);
    assert.deepEqual([one.asked.length, two.asked.length], [before.one, before.two]);
  });

  test('rules see the model', LIMIT, async () => {
    await assert.rejects(client().chat.completions.create({ model: 'gpt-4-big', messages }), { status: 403 });
    const stream = await client().chat.completions.create({ model: 'gpt-4-big', messages, stream: true });
    for await (const _ of stream);
  });

  for (const [how, what] of [
    ['one=429', 'a backend that has no more to give'],
    ['one=503', 'a backend that fails'],
    ['one=close', 'a connection that breaks'],
    ['one=silent', 'a backend that says nothing'],
    ['one=head', 'a backend that says no more than a head'],
  ] as const) {
    test(`${what}: another answers, with its own key and name`, LIMIT, async () => {
      const before = marks();
      const stream = await client('/v1', { 'x-behave': how }).chat.completions.create({
        model: 'gpt-4o',
        messages,
        stream: true,
      });
      let text = '';
      let model = '';
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        model = chunk.model;
      }
      assert.deepEqual([text, model], [WORDS.join(''), 'spare']);
      assert.equal(two.asked[before.two]!.headers['authorization'], 'Bearer key-of-two');
      assert.doesNotMatch(JSON.stringify(two.asked[before.two]!.headers), /key-of-(?:one|client)/);
      const { backend, tokens } = await usageSince(before.since);
      assert.deepEqual([backend, tokens.estimated], ['two', false]);
      const line = await world.gateway.event(
        'access',
        (event) => event['method'] === 'POST' && String(event['path']).includes(`/${turn}/`),
        before.since,
      );
      assert.deepEqual(
        [line['upstream'] as { backend: string; attempts: number }].map(({ backend: name, attempts }) => [
          name,
          attempts,
        ]),
        [['two', 2]],
      );
    });
  }

  test('a backend that nobody listens at', LIMIT, async () => {
    const answer = await client().chat.completions.create({ model: 'lost', messages });
    assert.equal(answer.model, 'spare');
  });

  test('when all fail, the last failure is the answer, and nothing was used', LIMIT, async () => {
    const before = marks();
    await assert.rejects(
      client('/v1', { 'x-behave': 'all=429' }).chat.completions.create({ model: 'gpt-4o', messages }),
      { status: 429 },
    );
    await assert.rejects(
      client('/v1', { 'x-behave': 'one=400' }).chat.completions.create({ model: 'gpt-4o', messages }),
      { status: 400 },
    );
    assert.equal(two.asked.length, before.two + 1);
    await client().chat.completions.create({ model: 'gpt-4o', messages });
    await usageSince(before.since);
    const lines = world.gateway.events.filter(
      (event) => event['method'] === 'USAGE' && String(event['path']).includes(`/${turn}/`),
    );
    assert.equal(lines.length, 1);
  });

  test(
    'a stream that its origin cuts in the middle is cut, not begun again, and counted by an estimate',
    LIMIT,
    async () => {
      const before = marks();
      const stream = await client('/v1', { 'x-behave': 'one=cut' }).chat.completions.create({
        model: 'gpt-4o',
        messages,
        stream: true,
      });
      let text = '';
      await assert.rejects(async () => {
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
      });
      assert.equal(text, WORDS[0]! + WORDS[1]!);
      assert.equal(two.asked.length, before.two);
      const { tokens } = await usageSince(before.since);
      assert.deepEqual([tokens.estimated, tokens.output > 0, tokens.input > 0], [true, true, true]);
    },
  );

  test('a client that leaves ends the stream of its origin, and what it had is estimated', LIMIT, async () => {
    const before = marks();
    const stream = await client('/v1', { 'x-behave': 'one=endless' }).chat.completions.create({
      model: 'gpt-4o',
      messages,
      stream: true,
    });
    let chunks = 0;
    for await (const chunk of stream) {
      assert.equal(chunk.choices[0]?.delta.content, 'more ');
      if (++chunks === 10) break; // the client aborts its request
    }
    await one.left();
    const { tokens } = await usageSince(before.since);
    assert.equal(tokens.estimated, true);
    assert.ok(tokens.output >= 10, String(tokens.output));
  });

  test('a client that leaves before the answer', LIMIT, async () => {
    const before = marks();
    const body = JSON.stringify({ model: 'gpt-4o', messages, stream: true });
    const gone = httpRequest(`${world.url}/v1/${turn}/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-behave': 'all=silent',
        'content-length': Buffer.byteLength(body),
      },
    });
    gone.on('error', () => {});
    gone.end(body);
    while (one.asked.length === before.one) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 150));
    // A reset, since the runtime does not look at a mere FIN before it writes.
    gone.socket?.resetAndDestroy();
    const { tokens } = await usageSince(before.since);
    assert.deepEqual([tokens.estimated, tokens.output, tokens.input > 0], [true, 0, true]);
  });

  test('an answer that is compressed passes as it is, and is counted', LIMIT, async () => {
    const { since } = marks();
    const answer = await post(
      '/v1/chat/completions',
      { model: 'gpt-4o', messages },
      { 'x-behave': 'all=gzip', 'accept-encoding': 'gzip, br' },
    );
    assert.equal(answer.headers['content-encoding'], 'gzip');
    assert.deepEqual((await usageSince(since)).tokens, {
      input: INPUT,
      output: OUTPUT,
      cached: 4,
      reasoning: 3,
      estimated: false,
    });
  });

  test('responses and embeddings', LIMIT, async () => {
    let { since } = marks();
    const stream = await client().responses.create({ model: 'gpt-4o', input: 'hello', stream: true });
    for await (const _ of stream);
    assert.deepEqual((await usageSince(since)).tokens, {
      input: 36,
      output: 87,
      cached: 0,
      reasoning: 64,
      estimated: false,
    });
    ({ since } = marks());
    await client().embeddings.create({ model: 'gpt-4o', input: 'hello' });
    assert.deepEqual((await usageSince(since)).tokens, {
      input: 8,
      output: 0,
      cached: 0,
      reasoning: 0,
      estimated: false,
    });
  });

  test('the shapes of Anthropic and Gemini', LIMIT, async () => {
    for (const stream of [true, false]) {
      const before = marks();
      const headers = { 'x-api-key': 'key-of-client', 'anthropic-version': '2023-06-01' };
      const answer = await post(
        '/anthropic/v1/messages',
        { model: 'claude-x', max_tokens: 9, stream, messages },
        headers,
      );
      assert.equal(answer.status, 200);
      assert.match(answer.text(), /"usage"/);
      assert.equal(one.asked[before.one]!.headers['x-api-key'], 'key-of-one');
      const { tokens, model } = await usageSince(before.since);
      assert.deepEqual(
        [tokens, model],
        [{ input: 15, output: 6, cached: 5, reasoning: 0, estimated: false }, 'claude-x'],
      );
    }
    for (const method of ['generateContent', 'streamGenerateContent']) {
      const before = marks();
      const answer = await post(`/v1beta/v1/models/gemini-2.5-pro:${method}?alt=sse&key=key-of-client`, {
        contents: [],
      });
      assert.equal(answer.status, 200, answer.text());
      const asked = one.asked[before.one]!;
      assert.equal(asked.url, `/v1beta/v1/${turn}/models/gemini-flash:${method}?alt=sse`);
      assert.equal(asked.headers['x-goog-api-key'], 'key-of-one');
      const { tokens, model } = await usageSince(before.since);
      assert.deepEqual(
        [tokens, model],
        [{ input: 8, output: 34, cached: 0, reasoning: 30, estimated: false }, 'gemini-2.5-pro'],
      );
    }
    assert.equal((await post('/v1beta/models/other:generateContent', { contents: [] })).status, 404);
  });

  test('a key of a client goes to the first backend where the policy says so, and to no other', LIMIT, async () => {
    const before = marks();
    await client('/theirs/v1').chat.completions.create({ model: 'any', messages });
    assert.equal(one.asked[before.one]!.headers['authorization'], 'Bearer key-of-client');
    await client('/theirs/v1', { 'x-behave': 'one=429' }).chat.completions.create({ model: 'any', messages });
    assert.equal(two.asked[before.two]!.headers['authorization'], undefined);
    const stream = await client('/theirs/v1').chat.completions.create({ model: 'any', messages, stream: true });
    for await (const _ of stream);
    assert.equal(one.asked.at(-1)!.body['stream_options'], undefined);
  });

  test('a budget trips exactly, says when it is there again, and is one for each', LIMIT, async () => {
    const spend = (team: string, most: number): Promise<Answer> =>
      post('/small/v1/chat/completions', { model: 'm', max_completion_tokens: most, messages: [] }, { 'x-team': team });
    // 18 tokens each, whatever was reserved.
    for (let i = 0; i < 5; i++) {
      const { since } = marks();
      assert.equal((await spend('a', 9)).status, 200, String(i));
      await usageSince(since);
      await new Promise((resolve) => setTimeout(resolve, 100)); // what was not used is given back
    }
    // 90 are spent. What needs more than ten is refused, what needs less is not.
    const refused = await spend('a', 10);
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers['retry-after']) > 3500);
    assert.equal((await spend('b', 10)).status, 200);
    assert.equal((await spend('a', 9)).status, 200);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal((await spend('a', 0)).status, 429, 'it is spent');
  });

  test('requests at once can not spend more than there is', LIMIT, async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () =>
        post(
          '/small/v1/chat/completions',
          { model: 'm', max_completion_tokens: 24, messages: [] },
          { 'x-team': 'c', 'x-behave': 'all=silent-not' },
        ),
      ),
    );
    const passed = answers.filter(({ status }) => status === 200).length;
    assert.ok(passed >= 3 && passed < 12, String(passed));
    assert.equal(answers.filter(({ status }) => status === 429).length, 12 - passed);
  });

  test('a failure gives back what was reserved', LIMIT, async () => {
    const body = { model: 'm', max_completion_tokens: 90, messages: [] };
    for (let i = 0; i < 3; i++) {
      assert.equal(
        (await post('/small/v1/chat/completions', body, { 'x-team': 'd', 'x-behave': 'one=500' })).status,
        500,
      );
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    assert.equal((await post('/small/v1/chat/completions', body, { 'x-team': 'd' })).status, 200);
  });

  test('streams are charged once they are over, also those that are cut', LIMIT, async () => {
    const { since } = marks();
    const stream = await client('/small/v1', { 'x-team': 'e', 'x-behave': 'one=cut' }).chat.completions.create({
      model: 'm',
      messages,
      stream: true,
      max_completion_tokens: 60,
    });
    await assert.rejects(async () => {
      for await (const _ of stream);
    });
    const { tokens } = await usageSince(since);
    assert.equal(tokens.estimated, true);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const rest = 100 - tokens.input - tokens.output;
    const body = (most: number): object => ({ model: 'm', max_completion_tokens: most, messages: [] });
    assert.equal((await post('/small/v1/chat/completions', body(rest), { 'x-team': 'e' })).status, 429);
  });
});
