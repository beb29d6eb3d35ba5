/**
 * The host half of the engine's interface (assembly/abi.ts): writes a head into the one memory, makes one call, and
 * reads the answer out before anything else can run. The engine keeps nothing between calls.
 */
import type { Plan } from '../plan.ts';

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
}

export interface StageResult {
  readonly outcome: number;
  readonly terminal: number;
  readonly rule: number;
  readonly effects: readonly Effect[];
  readonly truncated: boolean;
  readonly steps: number;
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
  body(generation: Generation, app: number, head: Head, client: string, body: Uint8Array, size: number, truncated: boolean, seed: number, now: number): StageResult;
  response(generation: Generation, app: number, head: Head, client: string, response: Head, seed: number, now: number): StageResult;
}

export interface Loaded {
  readonly hash: string;
  readonly bytes: Uint8Array;
}

export class ImageError extends Error {
  override readonly name = 'ImageError';
}
