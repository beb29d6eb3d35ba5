/**
 * The host half of the engine's interface (assembly/abi.ts): writes a head into the one memory, makes one call, and
 * reads the answer out before anything else can run. What the engine keeps between calls changes no answer, and is nobody's
 * secret (assembly/waf/kept.ts).
 */
import {
  BODY_AT,
  HEAD_AT,
  KIND_AGENTS,
  KIND_HOSTS,
  KIND_POLICY,
  KIND_RULESET,
  MAX_BODY_BYTES,
  MAX_HEAD_BYTES,
  MAX_RESPONSE_HEAD_BYTES,
  MAX_RULESETS,
  OUTCOME_LIMIT,
  OUTCOME_REJECT,
  REASON_HEADERS,
  REASON_TRAP,
  RESPONSE_HEAD_AT,
  RESULT_APP,
  RESULT_AT,
  RESULT_WAF_PROGRAM,
  RESULT_WAF_RUNNING,
  STATE_AT,
  STATE_BYTES,
} from '../../assembly/abi.ts';
import { BODY_UNREADABLE, MAX_PARTS } from '../../assembly/waf/abi.ts';
import { agentReader, ImageError, OpenImages } from './images.ts';
import type { ImageCalls, Loaded, LoadedApp, OpenImage } from './images.ts';
import { LoadedGeneration, type Generation } from './loaded-generation.ts';
import { SlotMemory } from './memory.ts';
import { ProofWriter, type Proof } from './proof.ts';
import { ProtocolWriter, type ProtocolFields } from './protocol-fields.ts';
import { Quarantine, tellSwitchedOff, type SwitchedOff } from './quarantine.ts';
import { readInfos, type ProgramInfo } from './verdict.ts';
import { Answers, refused, refusedStage, type HeadResult, type StageResult } from './result.ts';

export { ImageError, type AgentName, type Loaded, type LoadedApp, type OpenImage } from './images.ts';
export type { Effect, HeadResult, StageResult } from './result.ts';
export type { Generation } from './loaded-generation.ts';
export type { WafEvent, WafVerdict } from './transaction.ts';

/** Joined request head in the ABI's form, with the number of fields in it. */
export interface Head {
  readonly text: string;
  readonly fields: number;
  /** Who sent it, where that was looked at. */
  readonly proof?: Proof;
  /** What it asks for, where a phase has read that from the body. */
  readonly protocol?: ProtocolFields;
}

export interface Engine {
  /** Opens the images of a manifest that are not open yet and builds a generation; throws ImageError, changing nothing. */
  load(images: { id: string; hosts: Loaded; agents: Loaded | null; apps: readonly LoadedApp[] }): Generation;
  /** Frees a generation and the images that only it used. */
  release(generation: Generation): void;
  /**
   * `seed` is 32 random bits, `now` seconds since the epoch: the engine has neither randomness nor a clock. `hasBody`: a
   * body call may follow (the default); without, the WAF judges the whole request in this call.
   */
  head(generation: Generation, head: Head, seed: number, now: number, hasBody?: boolean): HeadResult;
  /**
   * `size` is the whole body's length as far as known; `truncated` says that `body` is the first part of it, or
   * `unreadable` that its encoding cannot be undone, which makes it malformed for the WAF; `state` is what the call of the stage before left; `elided` says
   * what was left out of a multipart body: { offset in `body`, bytes } for each.
   */
  body(
    generation: Generation,
    app: number,
    head: Head,
    body: Uint8Array,
    size: number,
    truncated: boolean | 'unreadable',
    seed: number,
    now: number,
    state?: Uint8Array | null,
    elided?: Uint32Array,
  ): StageResult;
  /** `body`: the answer's, decoded, as far as it is held, for the WAF; `truncated`: there is more of it. */
  response(
    generation: Generation,
    app: number,
    head: Head,
    response: Head,
    seed: number,
    now: number,
    state?: Uint8Array | null,
    body?: Uint8Array,
    truncated?: boolean,
  ): StageResult;
  /** How often the engine trapped; each time its instance was replaced and the call was answered with OUTCOME_LIMIT. */
  readonly traps: number;
}

/** Exports of assembly/index.ts. */
interface Exports extends ImageCalls {
  head(generation: number, length: number, fields: number, hasBody: number, seed: number, now: number): number;
  body(
    generation: number,
    app: number,
    length: number,
    fields: number,
    bodyLength: number,
    size: number,
    truncated: number,
    elided: number,
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
    bodyLength: number,
    truncated: number,
    stateLength: number,
    seed: number,
    now: number,
  ): number;
}

const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array(0);
const NOTHING_ELIDED = new Uint32Array(0);

/**
 * The engine over a compiled assembly/; it has its own memory, so one per isolate is enough. `onSwitchedOff` is told of
 * rules on which it traps too often.
 */
export function createEngine(
  module: WebAssembly.Module,
  onSwitchedOff: (what: SwitchedOff) => void = tellSwitchedOff,
): Engine {
  return new WasmEngine(module, onSwitchedOff);
}

class WasmEngine implements Engine {
  traps = 0;
  readonly #module: WebAssembly.Module;
  readonly #onSwitchedOff: (what: SwitchedOff) => void;
  readonly #quarantine: Quarantine;
  readonly #slots: SlotMemory;
  readonly #images: OpenImages;
  #exports: Exports;
  // Views over the memory, made anew when it grows. PERF: making them for each call costs more than the call.
  #bytes!: Uint8Array;
  #headBytes!: Uint8Array;
  #proofs!: ProofWriter;
  #protocols!: ProtocolWriter;
  #responseBytes!: Uint8Array;
  #answers!: Answers;

  constructor(module: WebAssembly.Module, onSwitchedOff: (what: SwitchedOff) => void) {
    this.#module = module;
    this.#onSwitchedOff = onSwitchedOff;
    this.#slots = new SlotMemory(() => this.#view());
    this.#quarantine = new Quarantine(this.#slots.memory);
    this.#view();
    this.#exports = this.#instantiate();
    this.#images = new OpenImages(this.#slots, {
      open: (at, length, room, all) => this.#guard(() => this.#exports.open(at, length, room, all)),
      want: (policy, index) => this.#exports.want(policy, index),
    });
  }

  #instantiate(): Exports {
    const { memory } = this.#slots;
    return new WebAssembly.Instance(this.#module, { env: { memory } }).exports as unknown as Exports;
  }

  #view(): void {
    const { buffer } = this.#slots.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#headBytes = new Uint8Array(buffer, HEAD_AT, MAX_HEAD_BYTES);
    this.#proofs = new ProofWriter(buffer);
    this.#protocols = new ProtocolWriter(buffer);
    this.#responseBytes = new Uint8Array(buffer, RESPONSE_HEAD_AT, MAX_RESPONSE_HEAD_BYTES);
    this.#answers = new Answers(buffer);
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

  /** A trap within a call: memory stands as it did, and says which rule was being evaluated. */
  #trappedIn(generation: Generation, given: number, now: number): void {
    const words = new Int32Array(this.#slots.memory.buffer, RESULT_AT, RESULT_WAF_RUNNING + 1);
    const app = given < 0 ? words[RESULT_APP]! : given;
    const [program, rule] = [words[RESULT_WAF_PROGRAM]!, words[RESULT_WAF_RUNNING]!];
    this.#trapped();
    const { policies, apps } = generation as LoadedGeneration;
    const policy = policies[app];
    if (policy === undefined || program < 0) return;
    const plan = apps[app]!;
    // Several settings may share a program; the strictest decides.
    const closed = plan.wafs.some((waf) => waf.program === program && waf.onError === 'closed');
    if (!this.#quarantine.add({ policy: policy.at, program, rule }, closed, now)) return;
    const id = rule < 0 ? 0 : (this.#infos(generation, app)[program]?.rules[rule]?.id ?? 0);
    this.#onSwitchedOff({ app: plan.app, rule: id, onError: closed ? 'closed' : 'open' });
  }

  load(images: { id: string; hosts: Loaded; agents: Loaded | null; apps: readonly LoadedApp[] }): Generation {
    const pinned: OpenImage[] = [];
    const pin = (image: Loaded, kind: number, wanted: Uint8Array | null = null): OpenImage => {
      const open = this.#images.pin(image, kind, wanted);
      pinned.push(open);
      return open;
    };
    try {
      const hosts = pin(images.hosts, KIND_HOSTS);
      const agents = images.agents === null ? null : pin(images.agents, KIND_AGENTS);
      const apps = images.apps.map((app) => pin(app, KIND_POLICY));
      const policies = images.apps.map(({ rulesets = [] }, index) => ({ at: apps[index]!.at, rulesets }));
      const wanted = this.#images.wanted(policies);
      // One image is in memory once, whichever apps use it.
      const rulesets = images.apps.map((app, index) => {
        const given = app.rulesets ?? [];
        if (given.map(({ hash }) => hash).join() !== (apps[index]!.plan!.rulesets ?? []).join())
          throw new ImageError(`image ${app.hash} is refused: its plan names other rule sets than the manifest`);
        return given.map((one) => pin(one, KIND_RULESET, wanted.get(one.hash)).at);
      });
      const words = [hosts.at, agents?.at ?? 0, apps.length, ...apps.map((app) => app.at)];
      for (const ats of rulesets) for (let i = 0; i < MAX_RULESETS; i++) words.push(ats[i] ?? 0);
      const at = this.#images.room(words.length * 4);
      new Uint32Array(this.#slots.memory.buffer, at, words.length).set(words);
      return new LoadedGeneration(
        images.id,
        at,
        apps.map((app) => app.plan!),
        agentReader(this.#slots.memory, agents),
        pinned,
        apps,
      );
    } catch (error) {
      for (const open of pinned) this.#images.unpin(open);
      throw error;
    }
  }

  release(generation: Generation): void {
    if (!(generation instanceof LoadedGeneration) || generation.released) return;
    generation.released = true;
    // What is switched off in an image stays so as long as any generation has it.
    for (const image of generation.images) if (this.#images.unpin(image)) this.#quarantine.forget(image.at);
    this.#slots.give(generation.at);
  }

  head(generation: Generation, head: Head, seed: number, now: number, hasBody = true): HeadResult {
    refuseReleased(generation);
    const written = this.#writeHead(head);
    if (written < 0) return refused(OUTCOME_REJECT, REASON_HEADERS);
    try {
      this.#exports.head(generation.at, written, head.fields, hasBody ? 1 : 0, seed, now);
    } catch {
      this.#trappedIn(generation, -1, now);
      return refused(OUTCOME_LIMIT, REASON_TRAP);
    }
    return this.#answers.head(written === head.text.length ? head.text : null, (app) => this.#infos(generation, app));
  }

  body(
    generation: Generation,
    app: number,
    head: Head,
    body: Uint8Array,
    size: number,
    truncated: boolean | 'unreadable',
    seed: number,
    now: number,
    state: Uint8Array | null = null,
    elided: Uint32Array = NOTHING_ELIDED,
  ): StageResult {
    refuseReleased(generation);
    const length = this.#writeHead(head);
    if (length < 0) return refusedStage(OUTCOME_REJECT, REASON_HEADERS);
    const left = Math.min(elided.length >> 1, MAX_PARTS);
    if (left > 0) new Uint32Array(this.#bytes.buffer, RESPONSE_HEAD_AT, left * 2).set(elided.subarray(0, left * 2));
    const window = body.length > MAX_BODY_BYTES ? body.subarray(0, MAX_BODY_BYTES) : body;
    const cut = truncated === 'unreadable' ? BODY_UNREADABLE : truncated || window.length < body.length ? 1 : 0;
    const total = Math.min(size, 0x7fffffff);
    this.#bytes.set(window, BODY_AT);
    const kept = this.#writeState(state);
    return this.#stage(generation, app, now, () =>
      this.#exports.body(generation.at, app, length, head.fields, window.length, total, cut, left, kept, seed, now),
    );
  }

  response(
    generation: Generation,
    app: number,
    head: Head,
    response: Head,
    seed: number,
    now: number,
    state: Uint8Array | null = null,
    body: Uint8Array = NO_BYTES,
    truncated = false, // it is judged by what there is; rules see OUTBOUND_DATA_ERROR
  ): StageResult {
    refuseReleased(generation);
    const length = this.#writeHead(head);
    const { read, written } = encoder.encodeInto(response.text, this.#responseBytes);
    if (length < 0 || read < response.text.length) return refusedStage(OUTCOME_REJECT, REASON_HEADERS);
    const window = body.length > MAX_BODY_BYTES ? body.subarray(0, MAX_BODY_BYTES) : body;
    const cut = Number(truncated || window.length < body.length);
    this.#bytes.set(window, BODY_AT);
    const kept = this.#writeState(state);
    const [{ at }, { fields }] = [generation, response];
    return this.#stage(generation, app, now, () =>
      this.#exports.response(at, app, length, head.fields, written, fields, window.length, cut, kept, seed, now),
    );
  }

  /** What the WAF's events of an app are told with, read when the first of them has to be. */
  #infos(generation: Generation, app: number): readonly ProgramInfo[] {
    const { infos, policies } = generation as LoadedGeneration;
    let found = infos[app];
    if (found === undefined) {
      found = readInfos(this.#bytes, policies[app]!.at);
      infos[app] = found;
    }
    return found;
  }

  #stage(generation: Generation, app: number, now: number, call: () => number): StageResult {
    try {
      call();
    } catch {
      this.#trappedIn(generation, app, now);
      return refusedStage(OUTCOME_LIMIT, REASON_TRAP);
    }
    return this.#answers.stage((app) => this.#infos(generation, app));
  }

  /** Bytes written, or -1 when the head is too long. */
  #writeHead(head: Head): number {
    this.#proofs.write(head.proof);
    this.#protocols.write(head.protocol);
    const { read, written } = encoder.encodeInto(head.text, this.#headBytes);
    return read < head.text.length ? -1 : written;
  }

  #writeState(state: Uint8Array | null): number {
    if (state === null) return 0;
    if (state.length > STATE_BYTES) throw new RangeError('the transaction state is too long');
    this.#bytes.set(state, STATE_AT);
    return state.length;
  }
}

/** Its memory may hold something else by now: whoever still asks has missed the end of its lease. */
function refuseReleased(generation: Generation): void {
  if ((generation as LoadedGeneration).released) throw new Error(`generation ${generation.id} was released`);
}
