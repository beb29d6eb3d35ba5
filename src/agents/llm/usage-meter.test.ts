import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Ending, UsageMeter } from './usage-meter.ts';
import type { Usage } from './usage.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const events = (...data: readonly (object | string)[]): string =>
  data.map((one) => `data: ${typeof one === 'string' ? one : JSON.stringify(one)}\n\n`).join('');

function meter(text: string | readonly Uint8Array[], ending: Ending = 'complete', stream = true, input = 99): Usage {
  const one = new UsageMeter(stream, input);
  for (const chunk of typeof text === 'string' ? [encode(text)] : text) one.push(chunk);
  return one.usage(ending);
}

const said = (input: number, output: number, cached = 0, reasoning = 0): Usage => ({
  ...{ input, output, cached, reasoning },
  estimated: false,
});

const openai = (usage: object | null, choices: object[] = []): object => ({
  object: 'chat.completion.chunk',
  choices,
  usage,
});
const word = (content: string): object => ({ choices: [{ index: 0, delta: { content } }], usage: null });
const USAGE = {
  prompt_tokens: 11,
  completion_tokens: 7,
  total_tokens: 18,
  prompt_tokens_details: { cached_tokens: 4 },
  completion_tokens_details: { reasoning_tokens: 3 },
};

const STREAMS: Readonly<Record<string, { text: string; usage: Usage }>> = {
  'OpenAI, usage in a chunk without choices': {
    text: events(word('Hé'), word('llo 🦀'), openai(USAGE), '[DONE]'),
    usage: said(11, 7, 4, 3),
  },
  'usage in the last chunk with choices': {
    text: events(word('Hi'), openai(USAGE, [{ index: 0, delta: {}, finish_reason: 'stop' }]), '[DONE]'),
    usage: said(11, 7, 4, 3),
  },
  'usage in every chunk, growing': {
    text: events(
      openai({ prompt_tokens: 11, completion_tokens: 1 }, [{ delta: { content: 'a' } }]),
      openai({ prompt_tokens: 11, completion_tokens: 2 }, [{ delta: { content: 'b' } }]),
      '[DONE]',
    ),
    usage: said(11, 2),
  },
  'usage twice': { text: events(openai(USAGE), openai(USAGE), '[DONE]'), usage: said(11, 7, 4, 3) },
  'usage, then zeros': {
    text: events(openai(USAGE), openai({ prompt_tokens: 0, completion_tokens: 0 }), '[DONE]'),
    usage: said(11, 7, 4, 3),
  },
  'usage inside a choice': {
    text: events(
      { choices: [{ index: 0, delta: {}, usage: { prompt_tokens: 5, completion_tokens: 6, cached_tokens: 2 } }] },
      '[DONE]',
    ),
    usage: said(5, 6, 2),
  },
  'usage of x_groq': {
    text: events({ choices: [], x_groq: { id: 'r', usage: { prompt_tokens: 5, completion_tokens: 6 } } }, '[DONE]'),
    usage: said(5, 6),
  },
  'keys in another order, with escapes, blanks and numbers of another form': {
    text: 'data: { "usage" : {"completion_tokens"\t: 7e0 , "prompt\\u005ftokens":11.0},"choices":[]}\n\ndata: [DONE]\n\n',
    usage: said(11, 7),
  },
  'an event of several lines, with comments, names and ids': {
    text: ': keep-alive\n\nevent: x\nid: 1\ndata: {"usage":\ndata: {"prompt_tokens":11,\r\ndata:"completion_tokens":7}}\nretry: 1\n\n:\ndata: [DONE]\n\n',
    usage: said(11, 7),
  },
  'CR alone': { text: events(openai(USAGE), '[DONE]').replaceAll('\n', '\r'), usage: said(11, 7, 4, 3) },
  'CR LF': { text: events(openai(USAGE), '[DONE]').replaceAll('\n', '\r\n'), usage: said(11, 7, 4, 3) },
  'a byte order mark': { text: '\ufeff' + events(openai(USAGE), '[DONE]'), usage: said(11, 7, 4, 3) },
  'no blank line after the last event': { text: events(openai(USAGE)).trimEnd(), usage: said(11, 7, 4, 3) },
  Anthropic: {
    text: events(
      {
        type: 'message_start',
        message: {
          id: 'm',
          content: [],
          usage: { input_tokens: 10, cache_creation_input_tokens: 20, cache_read_input_tokens: 300, output_tokens: 1 },
        },
      },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } },
      { type: 'ping' },
      { type: 'message_delta', delta: { stop_reason: null }, usage: { output_tokens: 9 } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 15 } },
      { type: 'message_stop' },
    ),
    usage: said(330, 15, 300),
  },
  'Anthropic, whose message_delta tells the input again': {
    text: events(
      { type: 'message_start', message: { usage: { input_tokens: 10, output_tokens: 1 } } },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn' },
        usage: { input_tokens: 0, cache_read_input_tokens: 5, output_tokens: 15 },
      },
      { type: 'message_stop' },
    ),
    usage: said(15, 15, 5),
  },
  Gemini: {
    text: events(
      {
        candidates: [{ content: { parts: [{ text: 'Hel' }] } }],
        usageMetadata: { promptTokenCount: 8, totalTokenCount: 8 },
      },
      {
        candidates: [{ content: { parts: [{ text: 'lo' }] }, finishReason: 'STOP' }],
        usageMetadata: {
          promptTokenCount: 8,
          candidatesTokenCount: 4,
          thoughtsTokenCount: 30,
          cachedContentTokenCount: 6,
          toolUsePromptTokenCount: 2,
          totalTokenCount: 44,
        },
      },
    ),
    usage: said(10, 34, 6, 30),
  },
  'OpenAI responses': {
    text: events(
      { type: 'response.created', response: { id: 'r', usage: null } },
      { type: 'response.output_text.delta', delta: 'Hello' },
      { type: 'response.output_text.done', text: 'Hello' },
      {
        type: 'response.completed',
        response: {
          output: [{ content: [{ text: 'Hello' }] }],
          usage: {
            input_tokens: 36,
            input_tokens_details: { cached_tokens: 30 },
            output_tokens: 87,
            output_tokens_details: { reasoning_tokens: 64 },
            total_tokens: 123,
          },
        },
      },
    ),
    usage: said(36, 87, 30, 64),
  },
};

describe('streams', () => {
  for (const [name, { text, usage }] of Object.entries(STREAMS)) {
    test(name, () => assert.deepEqual(meter(text), usage));

    test(`${name}: the same when it is cut at any byte`, () => {
      const bytes = encode(text);
      for (let at = 0; at <= bytes.length; at++)
        assert.deepEqual(meter([bytes.subarray(0, at), bytes.subarray(at)]), usage, `at ${at}`);
      assert.deepEqual(meter([...bytes].map((byte) => new Uint8Array([byte]))), usage, 'a byte at a time');
    });
  }

  test('property: the same however it is cut', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(STREAMS)),
        fc.array(fc.nat(2000), { maxLength: 12 }),
        ({ text, usage }, cuts) => {
          const bytes = encode(text);
          const places = [0, ...cuts.filter((at) => at < bytes.length).sort((a, b) => a - b), bytes.length];
          assert.deepEqual(meter(places.slice(1).map((to, index) => bytes.subarray(places[index], to))), usage);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('what a model writes is no usage', () => {
    const fake = { prompt_tokens: 0, completion_tokens: 0, usage: { completion_tokens: 1e6, output_tokens: 1e6 } };
    const text = events(
      word(JSON.stringify({ usage: { completion_tokens: 1e6 } })),
      { choices: [{ delta: { tool_calls: [{ function: { arguments: fake } }], usage_: { completion_tokens: 5e5 } } }] },
      { type: 'content_block_start', content_block: { input: fake, usage: { output_tokens: 1e6 } } },
      {
        candidates: [
          { content: { parts: [{ functionCall: { args: { usageMetadata: { candidatesTokenCount: 1e6 } } } }] } },
        ],
      },
      openai(USAGE),
      '[DONE]',
    );
    assert.deepEqual(meter(text), said(11, 7, 4, 3));
  });

  test('numbers that count nothing are left out', () => {
    for (const value of ['-5', '1.5', 'null', '"7"', '1e400', '99999999999999999999999', '[7]x', 'true', '{"a":7}'])
      assert.equal(
        meter(`data: {"usage":{"completion_tokens":${value},"prompt_tokens":3}}\n\ndata: [DONE]\n\n`).output,
        value === '[7]x' ? 7 : 0,
        value,
      );
  });

  test('depth is bounded and harmless', () => {
    const deep = '{"a":'.repeat(5000) + '{"usage":{"completion_tokens":9}}' + '}'.repeat(5000);
    assert.deepEqual(meter(`data: ${deep}\n\n${events(openai(USAGE), '[DONE]')}`), said(11, 7, 4, 3));
    assert.deepEqual(meter(`data: ${'['.repeat(5000)}\n\n${events(openai(USAGE), '[DONE]')}`), said(11, 7, 4, 3));
  });
});

describe('streams that are cut', () => {
  const written = 'x'.repeat(40); // ten tokens, by length

  test('before usage: an estimate', () => {
    const text = events(word(written), word(written));
    assert.deepEqual(meter(text, 'cut'), { input: 99, output: 20, cached: 0, reasoning: 0, estimated: true });
    // Its origin never said a number, though it came to its end.
    assert.deepEqual(meter(text + events('[DONE]')), {
      input: 99,
      output: 20,
      cached: 0,
      reasoning: 0,
      estimated: true,
    });
  });

  test('inside the usage: what is not there whole does not count', () => {
    const text = events(word(written), openai(USAGE));
    for (let at = text.indexOf('{"object"') + 1; at < text.lastIndexOf('}'); at++) {
      const usage = meter(text.slice(0, at), 'cut');
      assert.deepEqual(usage, { input: 99, output: 10, cached: 0, reasoning: 0, estimated: true }, text.slice(0, at));
    }
  });

  test('after the end: no estimate', () => {
    assert.deepEqual(meter(events(word(written), openai(USAGE), '[DONE]'), 'cut'), said(11, 7, 4, 3));
    assert.deepEqual(meter(STREAMS['Anthropic']!.text, 'cut'), said(330, 15, 300));
    assert.deepEqual(meter(STREAMS['Gemini']!.text, 'cut'), said(10, 34, 6, 30));
    assert.deepEqual(meter(STREAMS['OpenAI responses']!.text, 'cut'), said(36, 87, 30, 64));
  });

  test('Anthropic knows its input from the start', () => {
    const text = events(
      { type: 'message_start', message: { usage: { input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 1 } } },
      { type: 'content_block_delta', delta: { text: written } },
    );
    assert.deepEqual(meter(text, 'cut'), { input: 15, output: 10, cached: 5, reasoning: 0, estimated: true });
  });

  test('what is told twice is counted once', () => {
    const text = events(
      { type: 'response.output_text.delta', delta: written },
      { type: 'response.output_text.done', text: written },
    );
    assert.equal(meter(text, 'cut').output, 10);
  });

  test('property: a cut stream never counts more than it would have, and is flagged', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(STREAMS)), fc.nat(3000), ({ text, usage }, at) => {
        const cut = meter([encode(text).subarray(0, at)], 'cut', true, 0);
        assert.ok(cut.input <= usage.input && cut.cached <= usage.cached, JSON.stringify(cut));
        if (!cut.estimated) assert.ok(cut.output <= usage.output);
      }),
      { numRuns: 500 },
    );
  });
});

describe('documents', () => {
  const answer = { id: 'c', choices: [{ message: { content: 'Hello' } }], usage: USAGE };

  test('a JSON answer, cut at any byte', () => {
    const bytes = encode(JSON.stringify(answer, null, 2));
    for (let at = 0; at <= bytes.length; at++)
      assert.deepEqual(meter([bytes.subarray(0, at), bytes.subarray(at)], 'complete', false), said(11, 7, 4, 3));
  });

  test('embeddings, whose usage stands behind megabytes', () => {
    const data = Array.from({ length: 20 }, (_, index) => ({
      embedding: Array.from({ length: 3000 }, (_, at) => at / 7),
      index,
    }));
    assert.deepEqual(
      meter(JSON.stringify({ data, usage: { prompt_tokens: 8, total_tokens: 8 } }), 'complete', false),
      said(8, 0),
    );
  });

  test('Anthropic and Gemini', () => {
    assert.deepEqual(
      meter(
        JSON.stringify({
          type: 'message',
          content: [{ type: 'text', text: 'x' }],
          usage: { input_tokens: 3, output_tokens: 4 },
        }),
        'complete',
        false,
      ),
      said(3, 4),
    );
    assert.deepEqual(
      meter(
        JSON.stringify({ candidates: [], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 4 } }),
        'complete',
        false,
      ),
      said(3, 4),
    );
  });

  test('an array that is streamed', () => {
    const text = JSON.stringify([
      {
        candidates: [{ content: { parts: [{ text: 'a' }] } }],
        usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 1 },
      },
      { candidates: [{ finishReason: 'STOP' }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 4 } },
    ]);
    assert.deepEqual(meter(text, 'complete', false), said(3, 4));
    assert.deepEqual(meter(text.slice(0, -1), 'cut', false), said(3, 4));
    assert.deepEqual(meter(text.slice(0, text.indexOf('},{')), 'cut', false), {
      input: 99,
      output: 1,
      cached: 0,
      reasoning: 0,
      estimated: true,
    });
  });

  test('one without a number is an estimate', () => {
    assert.deepEqual(meter('{"choices":[{"message":{"content":"12345"}}]}', 'complete', false), {
      input: 99,
      output: 2,
      cached: 0,
      reasoning: 0,
      estimated: true,
    });
    assert.deepEqual(meter('', 'complete'), { input: 99, output: 0, cached: 0, reasoning: 0, estimated: true });
  });
});
