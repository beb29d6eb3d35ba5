/** Images in the engine's memory: opened once, pinned by generations, evicted least recently used first. */
import {
  FAULT_AGENT,
  FAULT_CODE,
  FAULT_INSPECTION,
  FAULT_KIND,
  FAULT_LENGTH,
  FAULT_LIST,
  FAULT_MAGIC,
  FAULT_MATCHERS,
  FAULT_NONE,
  FAULT_PREDICATE,
  FAULT_REGEX,
  FAULT_ROUTE,
  FAULT_RULE,
  FAULT_SECTION,
  FAULT_SETTING,
  FAULT_TABLE,
  FAULT_VERSION,
  FAULT_WAF,
  KIND_POLICY,
  MAX_IMAGES,
  MAX_IMAGE_BYTES,
  RESULT_AT,
  RESULT_ERROR_AT,
  ROUTES_COUNT,
  SECTION_MATCHERS,
  SECTION_PLAN,
  SECTION_ROUTES,
  STATE_AT,
} from '../../assembly/abi.ts';
import {
  BIN_ALIGNMENT,
  MATCHERS_BIN_COUNT,
  MATCHERS_COUNT,
  MATCHERS_PACKED,
  MATCHERS_RECORDS,
  MATCHER_BIN,
  MATCHER_BYTES,
  MATCHER_SET_BYTES,
  MAX_MATCHERS,
} from '../../assembly/waf/abi.ts';
import type { Plan } from '../plan.ts';
import type { SlotMemory } from './memory.ts';

/** An opened image: its place in the engine's memory. Pinned while a generation refers to it. */
export interface OpenImage {
  /** What `unpin` knows it by. */
  readonly key: string;
  readonly hash: string;
  readonly at: number;
  readonly length: number;
  /** Matchers whose bins are there, a bit for each (KIND_RULESET); null: all. */
  readonly wanted: Uint8Array | null;
  /** Parsed SECTION_PLAN of KIND_POLICY. */
  readonly plan: Plan | null;
}

export interface AgentName {
  readonly name: string;
  readonly operator: string;
  readonly category: string;
}

export interface Loaded {
  readonly hash: string;
  readonly bytes: Uint8Array;
}

/** An app's image, with the rule-set images that its plan names, in that order. */
export interface LoadedApp extends Loaded {
  readonly rulesets?: readonly Loaded[];
}

export class ImageError extends Error {
  override readonly name = 'ImageError';
}

const FAULTS: Readonly<Record<number, string>> = {
  [FAULT_LENGTH]: 'its length is wrong',
  [FAULT_MAGIC]: 'it is not a Sallyport image',
  [FAULT_VERSION]: 'it was built for another version of the engine',
  [FAULT_KIND]: 'its kind is unknown',
  [FAULT_SECTION]: 'its section table is wrong',
  [FAULT_TABLE]: 'a hash table is wrong',
  [FAULT_LIST]: 'a list is wrong',
  [FAULT_SETTING]: 'a setting is wrong',
  [FAULT_ROUTE]: 'the route tables are wrong',
  [FAULT_PREDICATE]: 'a predicate is wrong',
  [FAULT_REGEX]: 'a regular expression is wrong',
  [FAULT_RULE]: 'a rule is wrong',
  [FAULT_INSPECTION]: 'a header inspection is wrong',
  [FAULT_AGENT]: 'the agent table is wrong',
  [FAULT_CODE]: 'the code of an expression is wrong',
  [FAULT_WAF]: 'a WAF program is wrong',
  [FAULT_MATCHERS]: 'the matchers of a rule set are wrong',
};

interface Entry extends OpenImage {
  readonly kind: number;
  pins: number;
}

/** Calls of the engine: see assembly/index.ts. */
export interface ImageCalls {
  /** Checks an image in memory, and unpacks bins of matchers behind it. */
  open(at: number, length: number, room: number, all: number): number;
  /** Adds the matchers that a policy looks for to those at STATE_AT. */
  want(policy: number, index: number): void;
}

export class OpenImages {
  /** By hash and what is wanted of it, least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #memory: SlotMemory;
  readonly #calls: ImageCalls;

  constructor(memory: SlotMemory, calls: ImageCalls) {
    this.#memory = memory;
    this.#calls = calls;
  }

  /**
   * Opens an image, or finds it open, and pins it; throws ImageError when it is refused or there is no room. `wanted`: bits of
   * the matchers that are looked for, all of them without; one that is open with more is found too.
   */
  pin(image: Loaded, kind: number, wanted: Uint8Array | null = null): OpenImage {
    let entry = this.#find(image.hash, wanted);
    if (entry !== undefined) this.#entries.delete(entry.key);
    else entry = this.#load(image, wanted);
    this.#entries.set(entry.key, entry);
    if (entry.kind !== kind) {
      throw new ImageError(`image ${image.hash} is of kind ${entry.kind} where ${kind} is needed`);
    }
    entry.pins++;
    return entry;
  }

  /** By rule set, the matchers that any of the policies, opened, looks for: a bit for each. */
  wanted(
    policies: readonly { readonly at: number; readonly rulesets: readonly Pick<Loaded, 'hash'>[] }[],
  ): ReadonlyMap<string, Uint8Array> {
    const wanted = new Map<string, Uint8Array>();
    const bits = new Uint8Array(this.#memory.memory.buffer, STATE_AT, MATCHER_SET_BYTES);
    for (const { at, rulesets } of policies)
      for (const [index, { hash }] of rulesets.entries()) {
        const known = wanted.get(hash);
        if (known === undefined) bits.fill(0);
        else bits.set(known);
        this.#calls.want(at, index);
        wanted.set(hash, bits.slice());
      }
    return wanted;
  }

  #find(hash: string, wanted: Uint8Array | null): Entry | undefined {
    for (const entry of this.#entries.values())
      if (entry.hash === hash && (entry.wanted === null || (wanted !== null && covers(entry.wanted, wanted))))
        return entry;
    return undefined;
  }

  /** True when nobody refers to the image any more. */
  unpin({ key }: OpenImage): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.pins === 0) return false;
    return --entry.pins === 0;
  }

  /** A slot, after evicting what has to go; throws ImageError when pinned images fill the memory. */
  room(bytes: number): number {
    for (;;) {
      const at = this.#memory.take(bytes);
      if (at !== 0) return at;
      if (!this.#evict()) throw new ImageError('the images in use leave no room in memory');
    }
  }

  #evict(): boolean {
    for (const entry of this.#entries.values()) {
      if (entry.pins > 0) continue;
      this.#entries.delete(entry.key);
      this.#memory.give(entry.at);
      return true;
    }
    return false;
  }

  #load({ hash, bytes }: Loaded, wanted: Uint8Array | null): Entry {
    const refuse = (why: string): ImageError => new ImageError(`image ${hash} is refused: ${why}`);
    const room = bytes.length + unpackedBytes(bytes, wanted);
    if (room > MAX_IMAGE_BYTES) throw refuse(`it has more than ${MAX_IMAGE_BYTES} bytes`);
    if (this.#entries.size >= MAX_IMAGES && !this.#evict()) throw refuse(`${MAX_IMAGES} images are in use`);
    const at = this.room(room);
    try {
      const { buffer } = this.#memory.memory;
      new Uint8Array(buffer, at, bytes.length).set(bytes);
      let fault: number;
      if (wanted !== null) new Uint8Array(buffer, STATE_AT, MATCHER_SET_BYTES).set(wanted);
      try {
        fault = this.#calls.open(at, bytes.length, room, wanted === null ? 1 : 0);
      } catch {
        throw refuse('the engine failed on it');
      }
      if (fault !== FAULT_NONE) {
        const where = new Uint32Array(buffer, RESULT_AT, RESULT_ERROR_AT + 1)[RESULT_ERROR_AT]!;
        throw refuse(`${FAULTS[fault] ?? `fault ${fault}`} (at byte ${where})`);
      }
      const kind = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
      const plan = kind === KIND_POLICY ? readPlan(bytes, refuse) : null;
      const key = wanted === null ? hash : `${hash} ${wanted.join()}`;
      return { key, hash, at, length: bytes.length, wanted, kind, plan, pins: 0 };
    } catch (error) {
      this.#memory.give(at);
      throw error;
    }
  }
}

function covers(more: Uint8Array, wanted: Uint8Array): boolean {
  return wanted.every((byte, index) => (byte & ~more[index]!) === 0);
}

/** Bytes that the bins of matchers take when they are unpacked. Of an image that nobody has checked yet: any number. */
export function unpackedBytes(bytes: Uint8Array, wanted: Uint8Array | null): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const word = (at: number): number => (at + 4 <= bytes.length ? view.getUint32(at, true) : 0);
  const section = word(24 + SECTION_MATCHERS * 8);
  if (section === 0) return 0;
  const bins = new Set<number>();
  const records = section + word(section + MATCHERS_RECORDS);
  for (let i = Math.min(word(section + MATCHERS_COUNT), MAX_MATCHERS) - 1; i >= 0; i--)
    if (wanted === null || ((wanted[i >> 3]! >> (i & 7)) & 1) === 1)
      bins.add(word(records + i * MATCHER_BYTES + MATCHER_BIN));
  const count = word(section + MATCHERS_BIN_COUNT);
  const packed = section + word(section + MATCHERS_PACKED);
  let sum = 0;
  for (const bin of bins) if (bin < count) sum += word(packed + bin * 8 + 4) + BIN_ALIGNMENT;
  return sum;
}

type Refuse = (why: string) => ImageError;

function sectionOf(bytes: Uint8Array, id: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const at = view.getUint32(24 + id * 8, true);
  return bytes.subarray(at, at + view.getUint32(28 + id * 8, true));
}

function readJson(bytes: Uint8Array, refuse: Refuse): unknown {
  try {
    return JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(sectionOf(bytes, SECTION_PLAN)),
    );
  } catch {
    throw refuse('its plan is not JSON');
  }
}

/** The compiler wrote the plan and a digest guards it; what is checked is that engine and plan speak of the same routes. */
function readPlan(bytes: Uint8Array, refuse: Refuse): Plan {
  const plan = readJson(bytes, refuse) as Plan | null;
  if (plan === null || typeof plan !== 'object' || !Array.isArray(plan.routeActions) || !Array.isArray(plan.actions)) {
    throw refuse('its plan is not one');
  }
  const routes = sectionOf(bytes, SECTION_ROUTES);
  const count =
    routes.length === 0 ? 0 : new DataView(routes.buffer, routes.byteOffset).getUint32(ROUTES_COUNT * 4, true);
  const sound =
    plan.routeActions.length >= count && plan.routeActions.every((action) => plan.actions[action] !== undefined);
  if (!sound) throw refuse('its plan lacks an action for a route');
  return plan;
}

/**
 * The names of an agent table in memory, which the compiler wrote and a digest guards. PERF: parsed when the first of them is
 * asked for: half a millisecond of a start.
 */
export function agentReader(memory: WebAssembly.Memory, image: OpenImage | null): () => readonly AgentName[] {
  let names: readonly AgentName[] | null = image === null ? [] : null;
  return () => {
    names ??= readJson(
      new Uint8Array(memory.buffer, image!.at, image!.length),
      (why) => new ImageError(why),
    ) as AgentName[];
    return names;
  };
}
