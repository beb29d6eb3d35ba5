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
  KIND_AGENTS,
  KIND_POLICY,
  MAX_IMAGES,
  MAX_IMAGE_BYTES,
  RESULT_AT,
  RESULT_ERROR_AT,
  ROUTES_COUNT,
  SECTION_PLAN,
  SECTION_ROUTES,
} from '../../assembly/abi.ts';
import type { Plan } from '../plan.ts';
import type { SlotMemory } from './memory.ts';

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

export class OpenImages {
  /** By hash, least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #memory: SlotMemory;
  readonly #open: (at: number, length: number) => number;

  /** `open` is the engine's check of an image in memory. */
  constructor(memory: SlotMemory, open: (at: number, length: number) => number) {
    this.#memory = memory;
    this.#open = open;
  }

  /** Opens an image, or finds it open, and pins it; throws ImageError when it is refused or there is no room. */
  pin(image: Loaded, kind: number): OpenImage {
    let entry = this.#entries.get(image.hash);
    if (entry !== undefined) this.#entries.delete(image.hash);
    else entry = this.#load(image);
    this.#entries.set(image.hash, entry);
    if (entry.kind !== kind) {
      throw new ImageError(`image ${image.hash} is of kind ${entry.kind} where ${kind} is needed`);
    }
    entry.pins++;
    return entry;
  }

  unpin(hash: string): void {
    const entry = this.#entries.get(hash);
    if (entry !== undefined && entry.pins > 0) entry.pins--;
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
      this.#entries.delete(entry.hash);
      this.#memory.give(entry.at);
      return true;
    }
    return false;
  }

  #load({ hash, bytes }: Loaded): Entry {
    const refuse = (why: string): ImageError => new ImageError(`image ${hash} is refused: ${why}`);
    if (bytes.length > MAX_IMAGE_BYTES) throw refuse(`it has more than ${MAX_IMAGE_BYTES} bytes`);
    if (this.#entries.size >= MAX_IMAGES && !this.#evict()) throw refuse(`${MAX_IMAGES} images are in use`);
    const at = this.room(bytes.length);
    try {
      const { buffer } = this.#memory.memory;
      new Uint8Array(buffer, at, bytes.length).set(bytes);
      let fault: number;
      try {
        fault = this.#open(at, bytes.length);
      } catch {
        throw refuse('the engine failed on it');
      }
      if (fault !== FAULT_NONE) {
        const where = new Uint32Array(buffer, RESULT_AT, RESULT_ERROR_AT + 1)[RESULT_ERROR_AT]!;
        throw refuse(`${FAULTS[fault] ?? `fault ${fault}`} (at byte ${where})`);
      }
      const kind = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
      const agents = kind === KIND_AGENTS ? readAgents(bytes, refuse) : null;
      const plan = kind === KIND_POLICY ? readPlan(bytes, refuse) : null;
      return { hash, at, length: bytes.length, kind, plan, agents, pins: 0 };
    } catch (error) {
      this.#memory.give(at);
      throw error;
    }
  }
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

function readAgents(bytes: Uint8Array, refuse: Refuse): readonly AgentName[] {
  const agents = readJson(bytes, refuse);
  if (!Array.isArray(agents)) throw refuse('its agents are not a list');
  return agents as AgentName[];
}
