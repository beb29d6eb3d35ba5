/**
 * Finds the numbers of tokens in JSON as it passes, a byte at a time: nothing of an answer is held, however long it is and
 * wherever it is cut. Only the places where providers put them are looked at: what a model writes into its answer, as
 * arguments of a tool, say, may look the same.
 *
 * What comes is not checked to be JSON. From nonsense come numbers that are nonsense, of which an origin could send any.
 */
import { CACHE_READ, CACHE_WRITTEN, CACHED, COUNTS, INPUT, OUTPUT, REASONING, THOUGHTS, TOOL_INPUT } from './usage.ts';

/** A place of which something is known: what is below it by key, which number it is, what a text there says. */
interface Place {
  readonly below: ReadonlyMap<string, Place> | null;
  /** Index of the number, -1: none is looked for here. */
  readonly count: number;
  /** `type`: the kind of event; `end`: any text says that the answer is whole. */
  readonly text: 'type' | 'end' | null;
}

const at = (below: Record<string, Place>): Place => ({ below: new Map(Object.entries(below)), count: -1, text: null });
const count = (index: number): Place => ({ below: null, count: index, text: null });
const text = (kind: 'type' | 'end'): Place => ({ below: null, count: -1, text: kind });

const cached = at({ cached_tokens: count(CACHED) });
const reasoning = at({ reasoning_tokens: count(REASONING) });

/** OpenAI (both), those who do as it does, and Anthropic. */
const USAGE = at({
  prompt_tokens: count(INPUT),
  input_tokens: count(INPUT),
  completion_tokens: count(OUTPUT),
  output_tokens: count(OUTPUT),
  prompt_tokens_details: cached,
  input_tokens_details: cached,
  completion_tokens_details: reasoning,
  output_tokens_details: reasoning,
  prompt_cache_hit_tokens: count(CACHED), // DeepSeek
  cached_tokens: count(CACHED), // Moonshot
  cache_read_input_tokens: count(CACHE_READ),
  cache_creation_input_tokens: count(CACHE_WRITTEN),
});

/** Elements of an array stand where the array does. */
const ROOT = at({
  usage: USAGE,
  choices: at({ usage: USAGE }), // Moonshot
  x_groq: at({ usage: USAGE }),
  message: at({ usage: USAGE }), // Anthropic's message_start
  delta: at({ stop_reason: text('end') }), // and its message_delta
  response: at({ usage: USAGE }), // OpenAI's response.completed
  type: text('type'),
  usageMetadata: at({
    promptTokenCount: count(INPUT),
    candidatesTokenCount: count(OUTPUT),
    cachedContentTokenCount: count(CACHED),
    thoughtsTokenCount: count(THOUGHTS),
    toolUsePromptTokenCount: count(TOOL_INPUT),
  }),
  candidates: at({ finishReason: text('end') }),
});

/** Events after which nothing comes. */
const LAST = new Set(['message_stop', 'response.completed', 'response.incomplete', 'response.failed']);

/** Keys whose texts are what the model wrote, for an estimate. */
const WRITTEN = new Set([
  ...['content', 'text', 'delta', 'arguments', 'partial_json', 'thinking', 'reasoning', 'reasoning_content', 'refusal'],
]);

/** A longer key is none that is looked for. */
const MAX_KEY = 64;
/** A longer number is none that counts tokens. */
const MAX_NUMBER = 20;
/** How deep numbers of tokens stand, with arrays. */
const MAX_PLACES = 8;
/** Beyond this depth keys are not told from other strings, which an estimate may be the worse for. */
const MAX_DEPTH = 256;

const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const QUOTE = 0x22;
const BIG_E = 0x45;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const SMALL_E = 0x65;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

export class UsageScanner {
  /** The largest numbers of the documents that ended, -1 for none: counts of a stream grow, and may come again as 0. */
  readonly counts = new Float64Array(COUNTS).fill(-1);
  /** True once a document with a number of tokens ended. */
  found = false;
  /** True once a document said that the answer is whole. */
  whole = false;

  readonly #pending = new Float64Array(COUNTS).fill(-1);
  #pendingWhole = false;
  /** Bytes of text that the model wrote, as JSON has them: in documents before, and in this one. */
  #written = 0;
  #pendingWritten = 0;
  /** This document tells again what others told. */
  #again = false;

  #depth = 0;
  /** 1 for each object that is open, 0 for each array. */
  readonly #objects = new Uint8Array(MAX_DEPTH);
  readonly #places: (Place | null)[] = Array.from({ length: MAX_PLACES }, () => null);

  #inString = false;
  #escaped = false;
  #isKey = false;
  #awaitsKey = false;
  #key = '';
  #text = '';
  #number = '';

  /** Bytes of text that the model has written so far, as JSON has them. */
  get written(): number {
    return this.#written + (this.#again ? 0 : this.#pendingWritten);
  }

  /** Bytes of the document at hand. */
  push(bytes: Uint8Array, from: number, to: number): void {
    for (let index = from; index < to; index++) {
      if (this.#inString) {
        index = this.#string(bytes, index, to);
        continue;
      }
      const byte = bytes[index]!;
      if (this.#number !== '') {
        if (isNumeric(byte)) {
          if (this.#number.length <= MAX_NUMBER) this.#number += String.fromCharCode(byte);
          continue;
        }
        this.#endNumber();
      }
      if (byte === QUOTE) {
        this.#inString = true;
        this.#escaped = false;
        this.#isKey = this.#awaitsKey;
        this.#text = '';
      } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#open(byte === OPEN_OBJECT);
      else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) this.#close();
      else if (byte === COMMA) this.#awaitsKey = this.#inObject();
      else if (byte === COLON) this.#awaitsKey = false;
      else if ((byte >= ZERO || byte === MINUS) && byte <= NINE && (this.#place()?.count ?? -1) >= 0)
        this.#number = String.fromCharCode(byte);
    }
  }

  /** The document at hand is over, whole or not; what follows is another. */
  end(): void {
    this.#depth = 0;
    this.#inString = false;
    this.#awaitsKey = false;
    this.#key = '';
    this.#number = '';
    this.#forget();
  }

  /** The rest of a string from `index` on, or what there is of it; the place of the last byte that was taken. */
  #string(bytes: Uint8Array, index: number, to: number): number {
    const kept = this.#isKey || (this.#place()?.text ?? null) !== null;
    const start = index;
    let ended = false;
    for (; index < to; index++) {
      const byte = bytes[index]!;
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) {
        ended = true;
        break;
      }
      if (kept && this.#text.length <= MAX_KEY) this.#text += String.fromCharCode(byte);
    }
    if (!this.#isKey && WRITTEN.has(this.#key)) this.#pendingWritten += index - start;
    if (!ended) return to - 1;
    this.#inString = false;
    if (kept) this.#endText();
    return index;
  }

  #endText(): void {
    const said = this.#text.length > MAX_KEY ? '' : this.#text.includes('\\') ? unescaped(this.#text) : this.#text;
    if (this.#isKey) {
      this.#key = said;
      this.#awaitsKey = false;
      return;
    }
    const place = this.#place();
    if (place?.text === 'end') this.#pendingWhole ||= said !== '';
    else if (place?.text === 'type') {
      this.#pendingWhole ||= LAST.has(said);
      this.#again = said.endsWith('.done') || LAST.has(said);
    }
  }

  /** The place of what comes next, null where nothing is looked for. */
  #place(): Place | null {
    if (this.#depth === 0) return ROOT;
    if (this.#depth > MAX_PLACES) return null;
    const around = this.#places[this.#depth - 1] ?? null;
    return this.#inObject() ? (around?.below?.get(this.#key) ?? null) : around;
  }

  #inObject(): boolean {
    return this.#depth > 0 && this.#objects[this.#depth - 1] === 1;
  }

  #open(object: boolean): void {
    if (this.#depth < MAX_PLACES) this.#places[this.#depth] = this.#place();
    if (this.#depth < MAX_DEPTH) this.#objects[this.#depth] = object ? 1 : 0;
    this.#depth++;
    this.#awaitsKey = object;
    if (object) this.#key = '';
  }

  #close(): void {
    if (this.#depth === 0) return;
    this.#depth--;
    this.#awaitsKey = false;
    this.#key = '';
    // Elements of an outermost array are documents of their own: so Gemini streams where it is not asked for events.
    if (this.#depth === 0 || (this.#depth === 1 && !this.#inObject())) this.#commit();
  }

  #endNumber(): void {
    const value = this.#number.length > MAX_NUMBER ? NaN : Number(this.#number);
    const index = this.#place()?.count ?? -1;
    this.#number = '';
    if (index >= 0 && Number.isSafeInteger(value) && value >= 0) this.#pending[index] = value;
  }

  /** Only what stands in a document that came to its end counts: one that was cut may lack the other half. */
  #commit(): void {
    if (this.#pending[INPUT]! >= 0 || this.#pending[OUTPUT]! >= 0) this.found = true;
    for (let index = 0; index < COUNTS; index++)
      this.counts[index] = Math.max(this.counts[index]!, this.#pending[index]!);
    this.whole ||= this.#pendingWhole;
    this.#forget();
  }

  #forget(): void {
    if (!this.#again) this.#written += this.#pendingWritten;
    this.#pendingWritten = 0;
    this.#again = false;
    this.#pendingWhole = false;
    this.#pending.fill(-1);
  }
}

function isNumeric(byte: number): boolean {
  if (byte >= ZERO && byte <= NINE) return true;
  return byte === MINUS || byte === PLUS || byte === POINT || byte === SMALL_E || byte === BIG_E;
}

function unescaped(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return '';
  }
}
