/**
 * The host half of the engine's interface (assembly/abi.ts): writes a head into the one memory, makes one call, and
 * reads the answer out before anything else can run. The engine keeps nothing between calls.
 */
import {
  EFFECTS_AT,
  EFFECT_WORDS,
  BODY_AT,
  GENERATION_WORDS,
  HEAD_AT,
  KIND_AGENTS,
  KIND_HOSTS,
  KIND_POLICY,
  MAX_BODY_BYTES,
  MAX_HEAD_BYTES,
  MAX_RESPONSE_HEAD_BYTES,
  OUTCOME_LIMIT,
  OUTCOME_REJECT,
  REASON_HEADERS,
  REASON_TRAP,
  RESPONSE_HEAD_AT,
  RESULT_AGENT,
  RESULT_APP,
  RESULT_AT,
  RESULT_CLIENT_AT,
  RESULT_CLIENT_LENGTH,
  RESULT_EFFECT_COUNT,
  RESULT_HOST_AT,
  RESULT_HOST_LENGTH,
  RESULT_MATCH,
  RESULT_OUTCOME,
  RESULT_PATH_AT,
  RESULT_PATH_CHANGED,
  RESULT_PATH_LENGTH,
  RESULT_PREFIX_LENGTH,
  RESULT_QUERY_AT,
  RESULT_QUERY_LENGTH,
  RESULT_REASON,
  RESULT_ROUTE,
  RESULT_RULE,
  RESULT_STATE_LENGTH,
  RESULT_STEPS,
  RESULT_TERMINAL,
  RESULT_TRUNCATED,
  RESULT_TRUSTED,
  STATE_AT,
  STATE_BYTES,
} from '../../assembly/abi.ts';
import type { Plan } from '../plan.ts';
import { OpenImages } from './images.ts';
import { SlotMemory } from './memory.ts';

/** An opened image: its place in the engine's memory. Pinned while a generation refers to it. */
export interface OpenImage {
  readonly hash: string;
  readonly at: number;
  readonly length: number;
  /** Parsed SECTION_PLAN (KIND_POLICY), or the names of the agent table (KIND_AGENTS), or null. */
  readonly plan: Plan | null;
  readonly agents: readonly AgentName[] | null;
}

export interface AgentName {
  readonly name: string;
  readonly operator: string;
  readonly category: string;
}

/** What can be asked of a loaded set of images. Built beside the old one, then swapped by one assignment. */
export interface Generation {
  readonly id: string;
  /** Address of the generation words in the engine's memory. */
  readonly at: number;
  readonly apps: readonly Plan[];
  readonly agents: readonly AgentName[];
}

/** A rule, inspection or computed value that came out of a call. Text is decoded already. */
export interface Effect {
  readonly kind: number; // EFFECT_*
  readonly index: number; // rule or inspection profile
  readonly mode: number; // MODE_*
  readonly a: number;
  readonly b: number;
  readonly value: string;
}

/** Answer of the head call; field meanings as RESULT_* of the ABI. A plain object, owned by the exchange. */
export interface HeadResult {
  readonly outcome: number;
  readonly reason: number;
  readonly app: number;
  readonly route: number;
  readonly path: string; // canonical
  readonly pathChanged: boolean;
  readonly query: string; // with '?', or ''
  readonly prefixLength: number; // characters of `path`
  readonly host: string; // canonical, without port
  readonly client: string;
  readonly trusted: boolean;
  readonly agent: number;
  readonly terminal: number; // ACTION_*
  readonly rule: number;
  readonly effects: readonly Effect[];
  readonly truncated: boolean;
  readonly steps: number;
  /** Index of the match within the route, or -1. */
  readonly match: number;
  /** Transaction state for the calls of later stages; null when there is none. */
  readonly state: Uint8Array | null;
}

export interface StageResult {
  readonly outcome: number;
  readonly reason: number;
  readonly terminal: number;
  readonly rule: number;
  readonly effects: readonly Effect[];
  readonly truncated: boolean;
  readonly steps: number;
  readonly state: Uint8Array | null;
}

/** Joined request head in the ABI's form, with the number of fields in it. */
export interface Head {
  readonly text: string;
  readonly fields: number;
}

export interface Engine {
  /** Opens the images of a manifest that are not open yet and builds a generation; throws ImageError, changing nothing. */
  load(images: { id: string; hosts: Loaded; agents: Loaded | null; apps: readonly Loaded[] }): Generation;
  /** Frees a generation and the images that only it used. */
  release(generation: Generation): void;
  /** `seed` is 32 random bits, `now` seconds since the epoch: the engine has neither randomness nor a clock. */
  head(generation: Generation, head: Head, seed: number, now: number): HeadResult;
  /** `size` is the whole body's length as far as known; `state` is what the call of the stage before left. */
  body(
    generation: Generation,
    app: number,
    head: Head,
    client: string,
    body: Uint8Array,
    size: number,
    truncated: boolean,
    seed: number,
    now: number,
    state?: Uint8Array | null,
  ): StageResult;
  response(
    generation: Generation,
    app: number,
    head: Head,
    client: string,
    response: Head,
    seed: number,
    now: number,
    state?: Uint8Array | null,
  ): StageResult;
  /** How often the engine trapped; each time its instance was replaced and the call was answered with OUTCOME_LIMIT. */
  readonly traps: number;
}

export interface Loaded {
  readonly hash: string;
  readonly bytes: Uint8Array;
}

export class ImageError extends Error {
  override readonly name = 'ImageError';
}

/** Exports of assembly/index.ts. */
interface Exports {
  open(at: number, length: number): number;
  head(generation: number, length: number, fields: number, seed: number, now: number): number;
  body(
    generation: number,
    app: number,
    length: number,
    fields: number,
    bodyLength: number,
    size: number,
    truncated: number,
    stateLength: number,
    seed: number,
    now: number,
  ): number;
  response(
    generation: number,
    app: number,
    length: number,
    fields: number,
    responseLength: number,
    responseFields: number,
    stateLength: number,
    seed: number,
    now: number,
  ): number;
}

const NO_EFFECTS: readonly Effect[] = [];
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** The engine over a compiled assembly/; it has its own memory, so one per isolate is enough. */
export function createEngine(module: WebAssembly.Module): Engine {
  return new WasmEngine(module);
}

class WasmEngine implements Engine {
  traps = 0;
  readonly #module: WebAssembly.Module;
  readonly #slots: SlotMemory;
  readonly #images: OpenImages;
  #exports: Exports;
  // Views over the memory, made anew when it grows. PERF: making them for each call costs more than the call.
  #bytes!: Uint8Array;
  #headBytes!: Uint8Array;
  #responseBytes!: Uint8Array;
  #words!: Int32Array;

  constructor(module: WebAssembly.Module) {
    this.#module = module;
    this.#slots = new SlotMemory(() => this.#view());
    this.#view();
    this.#exports = this.#instantiate();
    this.#images = new OpenImages(this.#slots, (at, length) => this.#guard(() => this.#exports.open(at, length)));
  }

  #instantiate(): Exports {
    const { memory } = this.#slots;
    return new WebAssembly.Instance(this.#module, { env: { memory } }).exports as unknown as Exports;
  }

  #view(): void {
    const { buffer } = this.#slots.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#headBytes = new Uint8Array(buffer, HEAD_AT, MAX_HEAD_BYTES);
    this.#responseBytes = new Uint8Array(buffer, RESPONSE_HEAD_AT, MAX_RESPONSE_HEAD_BYTES);
    this.#words = new Int32Array(buffer, RESULT_AT);
  }

  /** Runs a call; after a trap the instance, whose state is unknown then, is replaced over the same memory. */
  #guard(call: () => number): number {
    try {
      return call();
    } catch (error) {
      this.#trapped();
      throw error;
    }
  }

  #trapped(): void {
    this.traps++;
    this.#exports = this.#instantiate();
  }

  load(images: { id: string; hosts: Loaded; agents: Loaded | null; apps: readonly Loaded[] }): Generation {
    const pinned: OpenImage[] = [];
    const pin = (image: Loaded, kind: number): OpenImage => {
      const open = this.#images.pin(image, kind);
      pinned.push(open);
      return open;
    };
    try {
      const hosts = pin(images.hosts, KIND_HOSTS);
      const agents = images.agents === null ? null : pin(images.agents, KIND_AGENTS);
      const apps = images.apps.map((app) => pin(app, KIND_POLICY));
      const words = [hosts.at, agents?.at ?? 0, apps.length, ...apps.map((app) => app.at)];
      const at = this.#images.room((GENERATION_WORDS + apps.length) * 4);
      new Uint32Array(this.#slots.memory.buffer, at, words.length).set(words);
      return new LoadedGeneration(
        images.id,
        at,
        apps.map((app) => app.plan!),
        agents?.agents ?? [],
        pinned,
      );
    } catch (error) {
      for (const { hash } of pinned) this.#images.unpin(hash);
      throw error;
    }
  }

  release(generation: Generation): void {
    if (!(generation instanceof LoadedGeneration) || generation.released) return;
    generation.released = true;
    for (const { hash } of generation.images) this.#images.unpin(hash);
    this.#slots.give(generation.at);
  }

  head(generation: Generation, head: Head, seed: number, now: number): HeadResult {
    const { text } = head;
    const { read, written } = encoder.encodeInto(text, this.#headBytes);
    if (read < text.length) return refused(OUTCOME_REJECT, REASON_HEADERS);
    try {
      this.#exports.head(generation.at, written, head.fields, seed, now);
    } catch {
      this.#trapped();
      return refused(OUTCOME_LIMIT, REASON_TRAP);
    }
    // PERF: text that stands in the head as it is gets cut out of the string the caller has, without decoding.
    const source = written === text.length ? text : null;
    const words = this.#words;
    return {
      outcome: words[RESULT_OUTCOME]!,
      reason: words[RESULT_REASON]!,
      app: words[RESULT_APP]!,
      route: words[RESULT_ROUTE]!,
      path: this.#text(source, words[RESULT_PATH_AT]!, words[RESULT_PATH_LENGTH]!),
      pathChanged: words[RESULT_PATH_CHANGED] === 1,
      query: this.#text(source, words[RESULT_QUERY_AT]!, words[RESULT_QUERY_LENGTH]!),
      prefixLength: words[RESULT_PREFIX_LENGTH]!,
      host: this.#text(source, words[RESULT_HOST_AT]!, words[RESULT_HOST_LENGTH]!),
      client: this.#text(source, words[RESULT_CLIENT_AT]!, words[RESULT_CLIENT_LENGTH]!),
      trusted: words[RESULT_TRUSTED] === 1,
      agent: words[RESULT_AGENT]!,
      terminal: words[RESULT_TERMINAL]!,
      rule: words[RESULT_RULE]!,
      effects: this.#effects(),
      truncated: words[RESULT_TRUNCATED] === 1,
      steps: words[RESULT_STEPS]!,
      match: words[RESULT_MATCH]!,
      state: this.#state(),
    };
  }

  body(
    generation: Generation,
    app: number,
    head: Head,
    _client: string, // the engine derives it again from the head
    body: Uint8Array,
    size: number,
    truncated: boolean,
    seed: number,
    now: number,
    state: Uint8Array | null = null,
  ): StageResult {
    const length = this.#writeHead(head);
    if (length < 0) return refusedStage(OUTCOME_REJECT, REASON_HEADERS);
    const window = body.length > MAX_BODY_BYTES ? body.subarray(0, MAX_BODY_BYTES) : body;
    const cut = truncated || window.length < body.length ? 1 : 0;
    const total = Math.min(size, 0x7fffffff);
    this.#bytes.set(window, BODY_AT);
    const kept = this.#writeState(state);
    return this.#stage(() =>
      this.#exports.body(generation.at, app, length, head.fields, window.length, total, cut, kept, seed, now),
    );
  }

  response(
    generation: Generation,
    app: number,
    head: Head,
    _client: string,
    response: Head,
    seed: number,
    now: number,
    state: Uint8Array | null = null,
  ): StageResult {
    const length = this.#writeHead(head);
    const { read, written } = encoder.encodeInto(response.text, this.#responseBytes);
    if (length < 0 || read < response.text.length) return refusedStage(OUTCOME_REJECT, REASON_HEADERS);
    const kept = this.#writeState(state);
    return this.#stage(() =>
      this.#exports.response(generation.at, app, length, head.fields, written, response.fields, kept, seed, now),
    );
  }

  #stage(call: () => number): StageResult {
    try {
      call();
    } catch {
      this.#trapped();
      return refusedStage(OUTCOME_LIMIT, REASON_TRAP);
    }
    const words = this.#words;
    return {
      outcome: words[RESULT_OUTCOME]!,
      reason: words[RESULT_REASON]!,
      terminal: words[RESULT_TERMINAL]!,
      rule: words[RESULT_RULE]!,
      effects: this.#effects(),
      truncated: words[RESULT_TRUNCATED] === 1,
      steps: words[RESULT_STEPS]!,
      state: this.#state(),
    };
  }

  /** Bytes written, or -1 when the head is too long. */
  #writeHead(head: Head): number {
    const { read, written } = encoder.encodeInto(head.text, this.#headBytes);
    return read < head.text.length ? -1 : written;
  }

  #writeState(state: Uint8Array | null): number {
    if (state === null) return 0;
    if (state.length > STATE_BYTES) throw new RangeError('the transaction state is too long');
    this.#bytes.set(state, STATE_AT);
    return state.length;
  }

  #state(): Uint8Array | null {
    const length = this.#words[RESULT_STATE_LENGTH]!;
    return length === 0 ? null : this.#bytes.slice(STATE_AT, STATE_AT + length);
  }

  #text(source: string | null, at: number, length: number): string {
    if (length === 0) return '';
    const from = at - HEAD_AT;
    if (source !== null && from >= 0 && from + length <= source.length) return source.substring(from, from + length);
    return decoder.decode(this.#bytes.subarray(at, at + length));
  }

  #effects(): readonly Effect[] {
    const words = this.#words;
    const count = words[RESULT_EFFECT_COUNT]!;
    if (count === 0) return NO_EFFECTS;
    const effects: Effect[] = [];
    let word = (EFFECTS_AT - RESULT_AT) / 4;
    for (let i = 0; i < count; i++, word += EFFECT_WORDS) {
      effects.push({
        kind: words[word]!,
        index: words[word + 1]!,
        mode: words[word + 2]!,
        a: words[word + 3]!,
        b: words[word + 4]!,
        value: this.#text(null, words[word + 5]!, words[word + 6]!),
      });
    }
    return effects;
  }
}

class LoadedGeneration implements Generation {
  readonly id: string;
  readonly at: number;
  readonly apps: readonly Plan[];
  readonly agents: readonly AgentName[];
  readonly images: readonly OpenImage[];
  released = false;

  constructor(
    id: string,
    at: number,
    apps: readonly Plan[],
    agents: readonly AgentName[],
    images: readonly OpenImage[],
  ) {
    this.id = id;
    this.at = at;
    this.apps = apps;
    this.agents = agents;
    this.images = images;
  }
}

/** The answer to a head that did not reach the engine, or on which it failed. */
function refused(outcome: number, reason: number): HeadResult {
  return {
    ...refusedStage(outcome, reason),
    app: -1,
    route: -1,
    path: '',
    pathChanged: false,
    query: '',
    prefixLength: 0,
    host: '',
    client: '',
    trusted: false,
    agent: -1,
    match: -1,
  };
}

function refusedStage(outcome: number, reason: number): StageResult {
  return { outcome, reason, terminal: 0, rule: -1, effects: NO_EFFECTS, truncated: false, steps: 0, state: null };
}
