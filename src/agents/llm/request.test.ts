import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CREDENTIAL_HEADERS, keyHeader, withoutKeys } from './credentials.ts';
import { MAX_MODEL, operationOf, type Operation, type Provider, withModel } from './operation.ts';
import { changedBody, type LlmRequest, readLlmRequest, type RequestFault } from './request.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const operation = (provider: Provider, path: string): Operation => {
  const found = operationOf(provider, 'POST', path);
  assert.ok(typeof found === 'object', path);
  return found;
};
const CHAT = operation('openai', '/v1/chat/completions');
const read = (body: object | string, of = CHAT, provider: Provider = 'openai'): LlmRequest | RequestFault =>
  readLlmRequest(provider, of, encode(typeof body === 'string' ? body : JSON.stringify(body)));
const good = (body: object | string, of = CHAT, provider: Provider = 'openai'): LlmRequest => {
  const found = read(body, of, provider);
  assert.ok(typeof found === 'object', String(found));
  return found;
};

describe('operations', () => {
  test('by method and path', () => {
    const kind = (provider: Provider, method: string, path: string): string => {
      const found = operationOf(provider, method, path);
      return typeof found === 'string' ? found : `${found.kind} ${found.model} ${found.stream}`;
    };
    assert.equal(kind('openai', 'POST', '/v1/chat/completions'), 'completion null null');
    assert.equal(kind('openai', 'POST', '/openai/v1/completions'), 'completion null null');
    assert.equal(kind('openai', 'POST', '/v1/responses'), 'responses null null');
    assert.equal(kind('openai', 'POST', '/v1/embeddings'), 'embeddings null null');
    assert.equal(kind('openai', 'GET', '/v1/models'), 'list');
    assert.equal(kind('openai', 'GET', '/v1/models/gpt-4o'), 'list');
    assert.equal(kind('anthropic', 'POST', '/v1/messages'), 'messages null null');
    assert.equal(kind('anthropic', 'POST', '/v1/messages/count_tokens'), 'counted null null');
    assert.equal(
      kind('gemini', 'POST', '/v1beta/models/gemini-2.5-pro:generateContent'),
      'generate gemini-2.5-pro false',
    );
    assert.equal(kind('gemini', 'POST', '/v1/publishers/google/models/g:streamGenerateContent'), 'generate g true');
    for (const [provider, method, path] of [
      ['openai', 'POST', '/v1/images/generations'],
      ['openai', 'POST', '/v1/chat/completions/'],
      ['openai', 'POST', '/v1/chat/completions;a=b'],
      ['openai', 'DELETE', '/v1/models/mine'],
      ['openai', 'GET', '/v1/responses/r'],
      ['anthropic', 'POST', '/v1/messages/batches'],
      ['anthropic', 'POST', '/v1/chat/completions'],
      ['gemini', 'POST', '/v1beta/models/gemini%3AgenerateContent'],
      ['gemini', 'POST', '/v1beta/models/a/b:generateContent'],
      ['gemini', 'POST', '/v1beta/models/..:generateContent'],
      ['gemini', 'POST', '/v1beta/models/g:constructor'],
      ['gemini', 'POST', `/v1beta/models/${'g'.repeat(MAX_MODEL + 1)}:generateContent`],
    ] as const)
      assert.equal(kind(provider, method, path), 'other', path);
  });

  test('another model in the path', () => {
    assert.equal(
      withModel('/v1beta/models/gemini-2.5-pro:generateContent', 'gemini-flash'),
      '/v1beta/models/gemini-flash:generateContent',
    );
  });
});

describe('requests', () => {
  test('what they ask for', () => {
    const { model, stream, asksUsage, most } = good({
      model: 'gpt-4o',
      stream: true,
      max_tokens: 5,
      n: 3,
      messages: [],
    });
    assert.deepEqual([model, stream, asksUsage, most], ['gpt-4o', true, false, 15]);
    assert.equal(good({ model: 'm', stream: true, stream_options: { include_usage: true } }).asksUsage, true);
    assert.equal(good({ model: 'm', stream: true, stream_options: null }).asksUsage, false);
    assert.equal(good({ model: 'm', max_completion_tokens: 7, max_tokens: 9 }).most, 9);
    assert.equal(good({ model: 'm', max_completion_tokens: 9, max_output_tokens: 1, max_tokens: -1 }).most, 9);
    assert.equal(good({ model: 'm' }).most, -1);
    const generate = operation('gemini', '/v1beta/models/g:streamGenerateContent');
    const gemini = good({ contents: [], generationConfig: { maxOutputTokens: 9 } }, generate, 'gemini');
    assert.deepEqual([gemini.model, gemini.stream, gemini.most], ['g', true, 9]);
  });

  test('the guess of their length leaves images out, and has tools', () => {
    const text = 'word '.repeat(80); // 400 bytes
    assert.equal(good({ model: 'm', messages: [{ role: '', content: text }] }).input, 101);
    const image = `data:image/png;base64,${'A'.repeat(100_000)}`;
    assert.equal(good({ model: 'm', messages: [{ content: [{ image_url: { url: image } }] }] }).input, 1);
    assert.equal(good({ model: 'm', messages: [{ content: [{ source: { data: 'A'.repeat(100_000) } }] }] }).input, 1);
    // Texts without blanks are texts, wherever they stand.
    const dense = '\u6f22\u5b57\u3002'.repeat(1000); // 9000 bytes
    assert.ok(good({ model: 'm', messages: [{ content: dense }] }).input >= 2250);
    assert.ok(good({ model: 'm', messages: [{ content: 'a,b;c_'.repeat(1000) }] }).input >= 1500);
    assert.ok(good({ model: 'm', messages: [{ content: [{ source: { data: dense } }] }] }).input >= 2250);
    assert.equal(good({ model: 'm', prompt: [[1, 2, 3]], seed: 5 }).input, 4);
    assert.ok(good({ model: 'm', tools: [{ function: { description: text } }] }).input >= 100);
  });

  test('what could be read as another model is refused', () => {
    assert.equal(read('{"model":"a","model":"b"}'), 'duplicate-key');
    assert.equal(read('{"model":"a","Model":"b"}'), 'ambiguous');
    assert.equal(read('{"model":"a","STREAM":true}'), 'ambiguous');
    assert.equal(read('{"model":"a","\u017ftream":true}'), 'ambiguous');
    assert.equal(read('{"model":["a"]}'), 'wrong-type');
    assert.equal(read('{"model":"a","stream":"true"}'), 'wrong-type');
    assert.equal(read('{"model":"a","stream_options":[]}'), 'wrong-type');
    assert.equal(read('{"model":"a\\u0000"}'), 'no-model');
    assert.equal(read('{"model":""}'), 'no-model');
    assert.equal(read({ model: 'x'.repeat(MAX_MODEL + 1) }), 'no-model');
    assert.equal(good({ model: 'x'.repeat(MAX_MODEL) }).model.length, MAX_MODEL);
    assert.equal(read('{"__proto__":{"model":"a"}}'), 'no-model');
    assert.equal(read('{}'), 'no-model');
    assert.equal(read('model=a'), 'malformed');
  });

  test('a body goes on as it came, unless something has to change', () => {
    const body = '{ "seed": 12345678901234567890, "model":"fast", "stream":true }';
    const text = (model: string, askUsage: boolean): string | null => {
      const changed = changedBody(good(body), { model, askUsage });
      return changed === null ? null : new TextDecoder().decode(changed);
    };
    assert.equal(text('', false), null);
    assert.equal(text('fast', false), null);
    assert.equal(text('gpt-4o', false), body.replace('fast', 'gpt-4o'));
    assert.equal(text('', true), body.replace('true }', 'true ,"stream_options":{"include_usage":true}}'));
    assert.equal(
      new TextDecoder().decode(
        changedBody(good('{"model":"m","stream":true,"stream_options":{"include_usage":false,"x":1}}'), {
          model: '',
          askUsage: true,
        })!,
      ),
      '{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}',
    );
    assert.equal(
      changedBody(good({ model: 'm', stream: true, stream_options: { include_usage: true } }), {
        model: '',
        askUsage: true,
      }),
      null,
    );
    assert.equal(changedBody(good({ model: 'm' }), { model: '', askUsage: true }), null);
    const generate = operation('gemini', '/v1beta/models/g:generateContent');
    assert.equal(changedBody(good({ contents: [] }, generate, 'gemini'), { model: 'h', askUsage: true }), null);
  });

  test('property: a change is the change and no other', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ minLength: 3 }), fc.jsonValue(), { maxKeys: 5 }),
        fc.integer({ min: 0, max: 3 }),
        (more, indent) => {
          const body = { ...more, model: 'a', stream: true };
          const request = read(JSON.stringify(body, null, indent));
          if (typeof request === 'string') return;
          const changed = JSON.parse(
            new TextDecoder().decode(changedBody(request, { model: 'b', askUsage: true })!),
          ) as object;
          const before = JSON.parse(JSON.stringify(body)) as Record<string, unknown>;
          assert.deepEqual(changed, {
            ...before,
            model: 'b',
            stream_options: { ...(before['stream_options'] as object), include_usage: true },
          });
        },
      ),
      { numRuns: 200 },
    );
  });
});

test('keys are where each provider wants them, and no key of a client is left in a query', () => {
  assert.deepEqual(keyHeader('openai', 's'), ['authorization', 'Bearer s']);
  assert.deepEqual(keyHeader('anthropic', 's'), ['x-api-key', 's']);
  assert.deepEqual(keyHeader('gemini', 's'), ['x-goog-api-key', 's']);
  for (const provider of ['openai', 'anthropic', 'gemini'] as const)
    assert.ok((CREDENTIAL_HEADERS as readonly string[]).includes(keyHeader(provider, 's')[0]));
  assert.equal(withoutKeys('?alt=sse&key=a&b=%zz'), '?alt=sse&b=%zz');
  assert.equal(withoutKeys('?k%65y=a&access_token=b'), '');
  assert.equal(withoutKeys(''), '');
});
