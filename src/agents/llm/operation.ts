/** What a request asks of an LLM API, by its method and path; the body comes after. */

export type Provider = 'openai' | 'anthropic' | 'gemini';

export interface Operation {
  /** `completion`: OpenAI's chat and text; `counted`: tokens of a request are counted, nothing is written. */
  readonly kind: 'completion' | 'responses' | 'embeddings' | 'messages' | 'generate' | 'counted';
  /** Of Gemini: the model is in the path, and so is whether the answer streams. */
  readonly model: string | null;
  readonly stream: boolean | null;
}

/** `list`: of models, which costs nothing; `other`: anything else, among it what would cost. */
export type Other = 'list' | 'other';

const OPENAI: readonly (readonly [end: string, kind: Operation['kind']])[] = [
  ['/completions', 'completion'],
  ['/responses', 'responses'],
  ['/embeddings', 'embeddings'],
];
const ANTHROPIC: readonly (readonly [end: string, kind: Operation['kind']])[] = [
  ['/messages', 'messages'],
  ['/messages/count_tokens', 'counted'],
];

const GEMINI: Readonly<Record<string, { readonly kind: Operation['kind']; readonly stream: boolean }>> = {
  __proto__: null as never,
  generateContent: { kind: 'generate', stream: false },
  streamGenerateContent: { kind: 'generate', stream: true },
  embedContent: { kind: 'embeddings', stream: false },
  batchEmbedContents: { kind: 'embeddings', stream: false },
  countTokens: { kind: 'counted', stream: false },
};

/** Longer names are no model's. */
export const MAX_MODEL = 256;

const GEMINI_PATH = /\/models\/([A-Za-z0-9][A-Za-z0-9._@-]{0,255}):([A-Za-z]+)$/;
const LIST = /\/models(?:\/[^/]+)?$/;

/** `path` is canonical: dot segments resolved, unreserved characters decoded, as it will reach the provider. */
export function operationOf(provider: Provider, method: string, path: string): Operation | Other {
  if (method === 'GET' || method === 'HEAD') return LIST.test(path) ? 'list' : 'other';
  if (method !== 'POST') return 'other';
  if (provider === 'gemini') {
    const [, model, name] = GEMINI_PATH.exec(path) ?? [];
    const known = name === undefined ? undefined : GEMINI[name];
    return model === undefined || known === undefined ? 'other' : { ...known, model };
  }
  const ends = provider === 'openai' ? OPENAI : ANTHROPIC;
  for (const [end, kind] of ends) if (path.endsWith(end)) return { kind, model: null, stream: null };
  return 'other';
}

/** The path with another model in it, of Gemini; as it is where there is none any more. */
export function withModel(path: string, model: string): string {
  const start = path.lastIndexOf('/') + 1;
  const end = path.indexOf(':', start);
  return end < 0 ? path : `${path.slice(0, start)}${model}${path.slice(end)}`;
}
