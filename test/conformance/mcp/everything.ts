/**
 * What the scenarios of the MCP conformance suite ask of a server, once for both eras: tools, resources and prompts as data,
 * and what each tool does in terms of `Call`. The servers beside this file bring them onto the wire with the official SDKs.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** One pixel, and a WAV file of no samples. */
const IMAGE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const AUDIO = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=';

export type Json = Record<string, unknown>;

/** A tool call, whichever era it came by. */
export interface Call {
  readonly arguments: Json;
  readonly progressToken: string | number | undefined;
  notify(method: string, params: Json): Promise<void>;
  /** Sessions only: a request to the client, on the stream of this call. */
  ask(method: string, params: Json): Promise<Json>;
  /** Sessions only: ends the stream of this call; the client comes back for the rest. */
  closeStream(): void;
  /** Stateless only: what the client said to the requests of the round before; its state, verified. */
  readonly inputs: Record<string, Json> | undefined;
  readonly state: Json | undefined;
  /** Stateless only. */
  readonly capabilities: Json;
  /** Stateless only: a result that asks the client; `state` is sealed. */
  demand(requests: Record<string, { method: string; params: Json }>, state?: Json): Promise<Json>;
  /** Stateless only: what subscribers are told. */
  changed(what: 'tools' | 'prompts'): void;
}

export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema?: Json;
  /** Where there is such a tool; both without. */
  readonly era?: 'sessions' | 'stateless';
  run(call: Call): Json | Promise<Json>;
}

const NO_ARGUMENTS: Json = { type: 'object', properties: {} };
export const schemaOf = (tool: Tool): Json => tool.inputSchema ?? NO_ARGUMENTS;

const words = (text: string): Json => ({ type: 'text', text });
const said = (text: string): Json => ({ content: [words(text)] });
const image = { type: 'image', data: IMAGE, mimeType: 'image/png' };
const object = (properties: Json, required: readonly string[] = []): Json => ({ type: 'object', properties, required });
const oneText = (name: string): Json => object({ [name]: { type: 'string' } }, [name]);
const elicit = (message: string, requestedSchema: Json) => ({
  method: 'elicitation/create',
  params: { mode: 'form', message, requestedSchema },
});
const sample = (text: string) => ({
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: words(text) }], maxTokens: 64 },
});
const roots = { method: 'roots/list', params: {} };

/** The content of a form that was accepted. */
function accepted(call: Call, key: string): Json | undefined {
  const given = call.inputs?.[key];
  const content = given?.['content'];
  return given?.['action'] === 'accept' && typeof content === 'object' && content !== null
    ? (content as Json)
    : undefined;
}

/** Asks the client of a session by a form, and says what came back. */
const form = (message: string, requestedSchema: Json) => async (call: Call) => {
  const answer = await call.ask('elicitation/create', { mode: 'form', message, requestedSchema });
  return said(`Elicitation completed: action=${answer['action']}, content=${JSON.stringify(answer['content'] ?? {})}`);
};

const titled = (names: readonly string[]) =>
  names.map((name, index) => ({ const: name, title: `Choice ${index + 1}` }));

export const TOOLS: readonly Tool[] = [
  {
    name: 'test_simple_text',
    description: 'A line of text',
    run: () => said('This is a simple text response for testing.'),
  },
  { name: 'test_image_content', description: 'An image', run: () => ({ content: [image] }) },
  {
    name: 'test_audio_content',
    description: 'A sound',
    run: () => ({ content: [{ type: 'audio', data: AUDIO, mimeType: 'audio/wav' }] }),
  },
  {
    name: 'test_embedded_resource',
    description: 'A resource in the result',
    run: () => ({
      content: [
        {
          type: 'resource',
          resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'A resource inside of a result.' },
        },
      ],
    }),
  },
  {
    name: 'test_multiple_content_types',
    description: 'Text, an image and a resource',
    run: () => ({
      content: [
        words('Three kinds of content:'),
        image,
        {
          type: 'resource',
          resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data"}' },
        },
      ],
    }),
  },
  {
    name: 'test_tool_with_logging',
    description: 'Logs while it works',
    async run(call) {
      for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await call.notify('notifications/message', { level: 'info', data });
        await sleep(20);
      }
      return said('logged');
    },
  },
  {
    name: 'test_tool_with_progress',
    description: 'Says how far it is',
    async run(call) {
      const { progressToken } = call;
      for (const progress of [0, 50, 100]) {
        if (progressToken !== undefined)
          await call.notify('notifications/progress', { progressToken, progress, total: 100 });
        await sleep(20);
      }
      return said(String(progressToken));
    },
  },
  {
    name: 'test_error_handling',
    description: 'Fails',
    run: () => ({ ...said('This tool intentionally returns an error for testing'), isError: true }),
  },
  {
    name: 'test_reconnection',
    description: 'Ends its stream before it is done',
    era: 'sessions',
    async run(call) {
      call.closeStream();
      await sleep(100);
      return said('Reconnection test completed.');
    },
  },
  {
    name: 'test_sampling',
    description: 'Asks the model of the client',
    era: 'sessions',
    inputSchema: oneText('prompt'),
    async run(call) {
      const answer = await call.ask('sampling/createMessage', sample(String(call.arguments['prompt'])).params);
      return said(`LLM response: ${(answer['content'] as { text?: string } | undefined)?.text ?? 'none'}`);
    },
  },
  {
    name: 'test_elicitation',
    description: 'Asks the user',
    era: 'sessions',
    inputSchema: oneText('message'),
    async run(call) {
      const requestedSchema = oneText('response');
      const params = { mode: 'form', message: String(call.arguments['message']), requestedSchema };
      const answer = await call.ask('elicitation/create', params);
      return said(`User response: action=${answer['action']}, content=${JSON.stringify(answer['content'] ?? {})}`);
    },
  },
  {
    name: 'test_elicitation_sep1034_defaults',
    description: 'A form with defaults',
    era: 'sessions',
    run: form(
      'Please look these over',
      object({
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true },
      }),
    ),
  },
  {
    name: 'test_elicitation_sep1330_enums',
    description: 'A form with choices',
    era: 'sessions',
    run: form(
      'Please choose',
      object({
        untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
        titledSingle: { type: 'string', oneOf: titled(['value1', 'value2', 'value3']) },
        legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['First', 'Second', 'Third'] },
        untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
        titledMulti: { type: 'array', items: { anyOf: titled(['value1', 'value2', 'value3']) } },
      }),
    ),
  },
  {
    name: 'json_schema_2020_12_tool',
    description: 'Has a schema with all that JSON Schema 2020-12 knows',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          $anchor: 'addressDef',
          type: 'object',
          properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
      },
      properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
      },
      allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
      if: { properties: { contactMethod: { const: 'phone' } } },
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
      then: { required: ['phone'] },
      else: { required: ['email'] },
      additionalProperties: false,
    },
    run: (call) => said(JSON.stringify(call.arguments)),
  },
  {
    name: 'test_custom_header',
    description: 'Has a parameter that comes as a header too',
    era: 'stateless',
    inputSchema: object({ region: { type: 'string', 'x-mcp-header': 'Region' } }, ['region']),
    run: (call) => said(`region ${String(call.arguments['region'])}`),
  },
  {
    name: 'test_missing_capability',
    description: 'Needs a client with a model; the SDK refuses others',
    era: 'stateless',
    run: (call) => call.demand({ answer: sample('Anything') }),
  },
  {
    name: 'test_streaming_elicitation',
    description: 'Streams, then asks',
    era: 'stateless',
    async run(call) {
      const { progressToken } = call;
      if (progressToken !== undefined)
        await call.notify('notifications/progress', { progressToken, progress: 50, total: 100 });
      return call.demand({ user_name: elicit('What is your name?', oneText('name')) });
    },
  },
  {
    name: 'test_logging_tool',
    description: 'Logs for who wants to hear it',
    era: 'stateless',
    async run(call) {
      await call.notify('notifications/message', { level: 'info', data: 'looked at' });
      return said('logged');
    },
  },
  {
    name: 'test_trigger_tool_change',
    description: 'Tells that the tools changed',
    era: 'stateless',
    run: (call) => (call.changed('tools'), said('told')),
  },
  {
    name: 'test_trigger_prompt_change',
    description: 'Tells that the prompts changed',
    era: 'stateless',
    run: (call) => (call.changed('prompts'), said('told')),
  },
  {
    name: 'test_input_required_result_elicitation',
    description: 'Asks for a name',
    era: 'stateless',
    run(call) {
      const name = accepted(call, 'user_name')?.['name'];
      if (typeof name === 'string') return said(`Hello, ${name}!`);
      return call.demand({ user_name: elicit('What is your name?', oneText('name')) });
    },
  },
  {
    name: 'test_input_required_result_sampling',
    description: 'Asks a model',
    era: 'stateless',
    run(call) {
      const given = call.inputs?.['capital_question'];
      if (given === undefined) return call.demand({ capital_question: sample('What is the capital of France?') });
      return said(`The model says: ${(given['content'] as { text?: string } | undefined)?.text ?? ''}`);
    },
  },
  {
    name: 'test_input_required_result_list_roots',
    description: 'Asks for roots',
    era: 'stateless',
    run(call) {
      const given = call.inputs?.['client_roots']?.['roots'];
      if (!Array.isArray(given)) return call.demand({ client_roots: roots });
      return said(`${given.length} roots: ${given.map(({ uri }: { uri: string }) => uri).join()}`);
    },
  },
  {
    name: 'test_input_required_result_request_state',
    description: 'Asks, and wants its state back',
    era: 'stateless',
    run(call) {
      if (call.state !== undefined && accepted(call, 'confirm') !== undefined) return said('state-ok');
      return call.demand({ confirm: elicit('Sure?', object({ ok: { type: 'boolean' } }, ['ok'])) }, { of: 'state' });
    },
  },
  {
    name: 'test_input_required_result_multiple_inputs',
    description: 'Asks three things at once',
    era: 'stateless',
    run(call) {
      const name = accepted(call, 'user_name')?.['name'];
      const greeting = (call.inputs?.['greeting']?.['content'] as { text?: string } | undefined)?.text;
      const given = call.inputs?.['client_roots']?.['roots'];
      if (typeof name === 'string' && typeof greeting === 'string' && Array.isArray(given))
        return said(`${greeting} ${name}, with ${given.length} roots`);
      return call.demand(
        {
          user_name: elicit('What is your name?', oneText('name')),
          greeting: sample('Write a greeting'),
          client_roots: roots,
        },
        { of: 'several' },
      );
    },
  },
  {
    name: 'test_input_required_result_multi_round',
    description: 'Asks twice',
    era: 'stateless',
    run(call) {
      const name = accepted(call, 'step1')?.['name'];
      if (call.state?.['round'] === 2) {
        const color = accepted(call, 'step2')?.['color'];
        return said(`${String(call.state['name'])} likes ${String(color)}`);
      }
      if (call.state?.['round'] === 1)
        return call.demand({ step2: elicit('Which color?', oneText('color')) }, { round: 2, name: String(name) });
      return call.demand({ step1: elicit('What is your name?', oneText('name')) }, { round: 1 });
    },
  },
  {
    name: 'test_input_required_result_tampered_state',
    description: 'Wants its state back as it was',
    era: 'stateless',
    run(call) {
      if (call.state !== undefined && accepted(call, 'confirm') !== undefined) return said('integrity-ok');
      return call.demand({ confirm: elicit('Sure?', object({ ok: { type: 'boolean' } }, ['ok'])) }, { of: 'tampered' });
    },
  },
  {
    name: 'test_input_required_result_capabilities',
    description: 'Asks only what the client can be asked',
    era: 'stateless',
    run(call) {
      if (call.inputs !== undefined) return said('capabilities-ok');
      const able = call.capabilities;
      const requests = {
        ...(able['elicitation'] !== undefined && { user_name: elicit('What is your name?', oneText('name')) }),
        ...(able['sampling'] !== undefined && { greeting: sample('Write a greeting') }),
        ...(able['roots'] !== undefined && { client_roots: roots }),
      };
      return Object.keys(requests).length === 0 ? said('nothing can be asked') : call.demand(requests);
    },
  },
];

export const RESOURCES: readonly { uri: string; name: string; mimeType: string; text?: string; blob?: string }[] = [
  {
    uri: 'test://static-text',
    name: 'static-text',
    mimeType: 'text/plain',
    text: 'This is the content of the static text resource.',
  },
  { uri: 'test://static-binary', name: 'static-binary', mimeType: 'image/png', blob: IMAGE },
  { uri: 'test://watched-resource', name: 'watched-resource', mimeType: 'text/plain', text: 'Watched.' },
];

export const TEMPLATES = [
  { uriTemplate: 'test://template/{id}/data', name: 'template', mimeType: 'application/json' },
] as const;

/** What is read at a URI; null for nothing. */
export function readResource(uri: string): Json | null {
  const found = RESOURCES.find((resource) => resource.uri === uri);
  if (found !== undefined) {
    const { mimeType, text, blob } = found;
    return { uri, mimeType, ...(text === undefined ? { blob } : { text }) };
  }
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id === undefined) return null;
  return {
    uri,
    mimeType: 'application/json',
    text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
  };
}

export interface Prompt {
  readonly name: string;
  readonly description: string;
  readonly arguments?: readonly string[];
  readonly era?: 'stateless';
  run(call: Call): Json | Promise<Json>;
}

const message = (content: Json): Json => ({ role: 'user', content });

export const PROMPTS: readonly Prompt[] = [
  {
    name: 'test_simple_prompt',
    description: 'Words',
    run: () => ({ messages: [message(words('This is a simple prompt for testing.'))] }),
  },
  {
    name: 'test_prompt_with_arguments',
    description: 'Words with arguments in them',
    arguments: ['arg1', 'arg2'],
    run: ({ arguments: { arg1, arg2 } }) => ({
      messages: [message(words(`Prompt with arguments: arg1='${String(arg1)}', arg2='${String(arg2)}'`))],
    }),
  },
  {
    name: 'test_prompt_with_embedded_resource',
    description: 'A resource and words',
    arguments: ['resourceUri'],
    run: ({ arguments: { resourceUri } }) => ({
      messages: [
        message({ type: 'resource', resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded.' } }),
        message(words('Please look at the resource above.')),
      ],
    }),
  },
  {
    name: 'test_prompt_with_image',
    description: 'An image and words',
    run: () => ({ messages: [message(image), message(words('Please look at the image above.'))] }),
  },
  {
    name: 'test_input_required_result_prompt',
    description: 'Asks before it can be had',
    era: 'stateless',
    run(call) {
      const context = accepted(call, 'user_context')?.['context'];
      if (typeof context === 'string') return { messages: [message(words(`In the context of ${context}`))] };
      return call.demand({ user_context: elicit('In which context?', oneText('context')) });
    },
  },
];
