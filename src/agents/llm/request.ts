/** A request to a language model: what its body says, and the body as it goes on. */
import {
  editMembers,
  hasLookalike,
  type JsonEdit,
  type JsonFault,
  type JsonText,
  memberOf,
  readJsonObject,
  readJsonText,
} from '../json-text.ts';
import { MAX_MODEL, type Operation, type Provider } from './operation.ts';
import { BYTES_PER_TOKEN, estimateTokens } from './usage.ts';

export interface LlmRequest {
  readonly operation: Operation;
  readonly model: string;
  readonly stream: boolean;
  /** OpenAI: its client asked for `usage` at the end of the stream. */
  readonly asksUsage: boolean;
  /** Tokens that the request is guessed to have. */
  readonly input: number;
  /** Most tokens that the answer may have by the word of the client, -1 when it sets no limit. */
  readonly most: number;
  /** Answered before it is worked on: what it uses is told to who asks for it later. */
  readonly background: boolean;
  readonly json: JsonText;
}

export type RequestFault = JsonFault | 'no-model' | 'ambiguous' | 'wrong-type';

/** What a client is told of each. */
export const REQUEST_FAULTS: Readonly<Record<RequestFault, string>> = {
  malformed: 'the body is not JSON in UTF-8',
  'not-an-object': 'the body is not a JSON object',
  'duplicate-key': 'the body has a key twice in one object',
  'too-deep': 'the body is nested too deeply',
  'no-model': 'the body names no model',
  ambiguous: 'the body has a member whose name differs from a known one in case only',
  'wrong-type': 'a member of the body has the wrong type',
};

/** Members that decide here. Some readers of JSON take names in any case, and would read another one. */
const KNOWN = new Set([
  'model',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
  'n',
  'background',
]);

/** SAFETY: `bytes` are bounded by who held them. */
export function readLlmRequest(provider: Provider, operation: Operation, bytes: Uint8Array): LlmRequest | RequestFault {
  const json = readJsonObject(bytes);
  if (typeof json === 'string') return json;
  const { value } = json;
  if (hasLookalike(value, KNOWN)) return 'ambiguous';
  const input = estimateTokens(textBytes(value));
  if (provider === 'gemini') {
    const { model, stream } = operation;
    if (model === null) return 'no-model';
    const most = limitOf(memberOf(value, 'generationConfig') ?? memberOf(value, 'generation_config'), [
      'maxOutputTokens',
      'max_output_tokens',
    ]);
    return { operation, model, stream: stream === true, asksUsage: true, input, most, background: false, json };
  }
  const model = memberOf(value, 'model');
  if (model === undefined) return 'no-model';
  const stream = memberOf(value, 'stream') ?? false;
  if (typeof model !== 'string' || typeof stream !== 'boolean') return 'wrong-type';
  if (model === '' || model.length > MAX_MODEL || !/^[\x21-\x7e]+$/.test(model)) return 'no-model';
  const options = memberOf(value, 'stream_options') ?? null;
  if (options !== null && (typeof options !== 'object' || Array.isArray(options))) return 'wrong-type';
  const asksUsage = operation.kind !== 'completion' || memberOf(options, 'include_usage') === true;
  const most = limitOf(value, ['max_completion_tokens', 'max_output_tokens', 'max_tokens']);
  const choices = memberOf(value, 'n');
  const times = typeof choices === 'number' && Number.isInteger(choices) && choices > 1 ? choices : 1;
  const background = operation.kind === 'responses' && memberOf(value, 'background') === true;
  return {
    operation,
    model,
    stream,
    asksUsage,
    input,
    most: most < 0 ? -1 : most * Math.min(times, 128),
    background,
    json,
  };
}

/** The largest of these members that is a number of tokens: backends take one of them, and pass over the others. */
function limitOf(value: unknown, names: readonly string[]): number {
  let most = -1;
  for (const name of names) {
    const one = memberOf(value, name);
    if (typeof one === 'number' && Number.isSafeInteger(one)) most = Math.max(most, one);
  }
  return most;
}

/** Where data stands, an image in Base64, say, which is not billed by its length; shorter is text all the same. */
const DATA = new Set(['data', 'url', 'image_url', 'file_data']);
const MAX_WORD = 512;
const BASE64 = /^(?:data:[^,\s]*,)?[A-Za-z0-9+/_=-]*$/;
/** Where numbers are tokens. */
const TOKENS = new Set(['input', 'prompt']);

/**
 * Bytes of all texts in it, about: tools and schemas are read by a model as well. What is data is told by its place, since
 * clients write texts as they like, and many languages without blanks.
 */
function textBytes(value: unknown): number {
  let bytes = 0;
  const open: [name: string, value: unknown][] = [['', value]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [name, one] = next;
    if (typeof one === 'string')
      bytes += DATA.has(name) && one.length > MAX_WORD && BASE64.test(one.slice(0, MAX_WORD)) ? 0 : utf8Length(one);
    else if (typeof one === 'number') bytes += TOKENS.has(name) ? BYTES_PER_TOKEN : 0;
    else if (Array.isArray(one)) for (const item of one) open.push([name, item]);
    else if (typeof one === 'object' && one !== null) for (const entry of Object.entries(one)) open.push(entry);
  }
  return bytes;
}

// Annotated: the types of two platforms differ here.
const encoder: { encode(text: string): Uint8Array<ArrayBuffer> } = new TextEncoder() as never;

function utf8Length(text: string): number {
  return encoder.encode(text).length;
}

/** What changes on the way. */
export interface LlmChange {
  /** Name of the model, '' as it is. Of Gemini it is in the path, and nothing changes here. */
  readonly model: string;
  /** Ask for `usage` where the client did not. */
  readonly askUsage: boolean;
}

/** The body as it goes on; null: as it came. */
export function changedBody(request: LlmRequest, change: LlmChange): Uint8Array<ArrayBuffer> | null {
  const { json, operation } = request;
  const edits: JsonEdit[] = [];
  if (change.model !== '' && operation.model === null && change.model !== request.model)
    edits.push({ name: 'model', value: JSON.stringify(change.model) });
  if (change.askUsage && asksInPlace(request)) edits.push({ name: 'stream_options', value: withIncludeUsage(json) });
  return edits.length === 0 ? null : encoder.encode(editMembers(json, edits));
}

/** True where the gateway has to ask for `usage` to get it, and its client must not see it then. */
export function asksInPlace({ operation, stream, asksUsage }: LlmRequest): boolean {
  return operation.kind === 'completion' && stream && !asksUsage;
}

function withIncludeUsage(json: JsonText): string {
  const member = json.members.find(({ name }) => name === 'stream_options');
  const options = member === undefined ? 'not-an-object' : readJsonText(json.text.slice(member.from, member.to));
  if (typeof options === 'string') return '{"include_usage":true}'; // none, or null
  return editMembers(options, [{ name: 'include_usage', value: 'true' }]);
}
