/** Answers of the engine: what it wrote as RESULT words, effects and evidence, as plain objects that the caller owns. */
import {
  EFFECTS_AT,
  EFFECT_WAF,
  EFFECT_WORDS,
  HEAD_AT,
  RESULT_AGENT,
  RESULT_APP,
  RESULT_AT,
  RESULT_CLIENT_AT,
  RESULT_CLIENT_LENGTH,
  RESULT_EFFECT_COUNT,
  RESULT_HOST_AT,
  RESULT_HOST_LENGTH,
  RESULT_IDENTITY,
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
  RESULT_SCORE,
  RESULT_SIGNALS,
  RESULT_STATE_LENGTH,
  RESULT_STEPS,
  RESULT_TERMINAL,
  RESULT_TRUNCATED,
  RESULT_TRUSTED,
  RESULT_WAF_PROGRAM,
  STATE_AT,
} from '../../assembly/abi.ts';

import type { WafVerdict } from './transaction.ts';
import { readVerdict, type ProgramInfo } from './verdict.ts';

/** Programs of an app; asked for only where something matched. */
type Infos = (app: number) => readonly ProgramInfo[];

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
  /** Who it is, as IDENTITY of assembly/agents/abi.ts: PROOF_* | IDENTITY_BY_*. */
  readonly identity: number;
  /** As `agent.score`, and SIGNAL_* bits, where something asked for them; else 0. */
  readonly score: number;
  readonly signals: number;
  readonly terminal: number; // ACTION_*
  readonly rule: number;
  readonly effects: readonly Effect[];
  readonly truncated: boolean;
  readonly steps: number;
  /** Index of the match within the route, or -1. */
  readonly match: number;
  /** Transaction state for the calls of later stages; null when there is none. */
  readonly state: Uint8Array | null;
  /** What the route's WAF program said in this call: phase 1, and phase 2 of a request without a body. Null: none ran. */
  readonly waf: WafVerdict | null;
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
  readonly waf: WafVerdict | null;
}

const NO_EFFECTS: readonly Effect[] = [];
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** Reads the answer of the last call out of the engine's memory. */
export class Answers {
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;

  constructor(buffer: ArrayBuffer) {
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Int32Array(buffer, RESULT_AT);
  }

  /**
   * `source` is the head as the caller has it, if its bytes are its characters.
   * PERF: text that stands in the head as it is gets cut out of that string, without decoding.
   */
  head(source: string | null, infos: Infos): HeadResult {
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
      identity: words[RESULT_IDENTITY]!,
      score: words[RESULT_SCORE]!,
      signals: words[RESULT_SIGNALS]!,
      terminal: words[RESULT_TERMINAL]!,
      rule: words[RESULT_RULE]!,
      effects: this.#effects(),
      truncated: words[RESULT_TRUNCATED] === 1,
      steps: words[RESULT_STEPS]!,
      match: words[RESULT_MATCH]!,
      state: this.#state(),
      waf: this.#waf(infos),
    };
  }

  stage(infos: Infos): StageResult {
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
      waf: this.#waf(infos),
    };
  }

  #waf(infos: Infos): WafVerdict | null {
    const words = this.#words;
    return words[RESULT_WAF_PROGRAM]! < 0 ? null : readVerdict(this.#bytes, words, () => infos(words[RESULT_APP]!));
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
      if (words[word] === EFFECT_WAF) continue; // told in the verdict
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

/** The answer to a head that did not reach the engine, or on which it failed. */
export function refused(outcome: number, reason: number): HeadResult {
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
    identity: 0,
    score: 0,
    signals: 0,
    match: -1,
  };
}

export function refusedStage(outcome: number, reason: number): StageResult {
  return {
    outcome,
    reason,
    terminal: 0,
    rule: -1,
    effects: NO_EFFECTS,
    truncated: false,
    steps: 0,
    state: null,
    waf: null,
  };
}
