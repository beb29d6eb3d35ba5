/**
 * The WAF on its own, in this process: one transaction in, one verdict out, byte for byte, with no HTTP layer between.
 * Conformance, differential tests, benchmarks, fuzzing and `sallyport/waf` use it; the gateway itself goes through
 * `Engine`, which judges the same programs.
 */
import {
  BODY_AT,
  HEAD_AT,
  KIND_POLICY,
  KIND_RULESET,
  MAX_BODY_BYTES,
  MAX_HEAD_BYTES,
  MAX_RESPONSE_HEAD_BYTES,
  MAX_RULESETS,
  REASON_HEADERS,
  REASON_TRAP,
  REASON_WAF,
  RESPONSE_HEAD_AT,
  RESULT_AT,
  RESULT_STATE_LENGTH,
} from '../../assembly/abi.ts';
import {
  RAW_HEADER_BYTES,
  WAF_PHASE_1,
  WAF_PHASE_2,
  WAF_PHASE_3,
  WAF_PHASE_4,
  WAF_PHASE_5,
} from '../../assembly/waf/abi.ts';
import { OpenImages, type ImageCalls, type OpenImage } from './images.ts';
import { SlotMemory } from './memory.ts';
import { readInfos, readVerdict, type ProgramInfo } from './verdict.ts';

/** Bytes, or text of which each character is one byte (Latin-1). */
export type Octets = Uint8Array | string;

/** A request as it came over the wire, and the answer to it where that is to be judged too. */
export interface RawTransaction {
  readonly method: Octets;
  /** Request target as written: `/a?b=c`, or absolute, or `*`. */
  readonly uri: Octets;
  /** `HTTP/1.1` */
  readonly protocol: Octets;
  /** In order, names as written; a name may occur several times. */
  readonly headers: readonly (readonly [name: Octets, value: Octets])[];
  readonly body: Octets;
  /** Address of the client, text; a port may follow. */
  readonly peer: string;
  /** Left out: phases 3 and 4 do not run. */
  readonly response?: RawResponse;
  /** 32 random bits: unique id, sampling. Default 0. */
  readonly seed?: number;
  /** Seconds since the epoch. Default 0. */
  readonly now?: number;
}

export interface RawResponse {
  readonly status: number;
  readonly protocol: Octets;
  readonly headers: readonly (readonly [name: Octets, value: Octets])[];
  readonly body: Octets;
}

export interface WafVerdict {
  /** What a rule in blocking mode decided; `limit`: the engine ran out of a limit, and `reason` says of which. */
  readonly action: 'pass' | 'deny' | 'drop' | 'redirect' | 'allow' | 'limit';
  /** Of deny and redirect; 0 otherwise. */
  readonly status: number;
  /** Of redirect: where to. */
  readonly location: string;
  /** Id of the rule that decided, 0 for none, and its phase. */
  readonly rule: number;
  readonly phase: number;
  /** REASON_* of a limit, else 0. */
  readonly reason: number;
  /** TX variables by name as the transaction left them, those with a number as value: the anomaly scores are among them. */
  readonly scores: Readonly<Record<string, number>>;
  /** In the order in which rules matched; one for each value that matched. */
  readonly events: readonly WafEvent[];
  /** More events than MAX_WAF_EVENTS, or more evidence than EVIDENCE_BYTES: the rest only counts. */
  readonly truncated: boolean;
  /** Events in all. */
  readonly matches: number;
  readonly steps: number;
}

/** A rule, with all its chain, that matched a value. */
export interface WafEvent {
  readonly rule: number; // id
  readonly phase: number; // 1 to 5
  readonly message: string; // macros expanded
  /** The message as the rule has it, where it holds macros: these may bring in values that the target does not name. */
  readonly template?: string;
  readonly severity: number; // 0 EMERGENCY to 7 DEBUG, -1 unset
  readonly tags: readonly string[];
  /** Name of the value: `ARGS:q`, `REQUEST_HEADERS:user-agent`, `&ARGS`. */
  readonly target: string;
  /** The bytes that matched, at most MAX_EVIDENCE_VALUE. */
  readonly matched: Uint8Array;
  /** Names of the transformations that the value went through. */
  readonly transformations: readonly string[];
  readonly logdata: string; // macros expanded
  /** False for `nolog`. */
  readonly log: boolean;
  /** What the rule asked for: `deny`, `pass` ... */
  readonly action: string;
}

/** A WAF program with its rule sets, loaded. One call at a time; nothing of a transaction is kept between calls. */
export interface Waf {
  inspect(transaction: RawTransaction): WafVerdict;
  /** Bytes of linear memory. */
  readonly memory: number;
  /** How often the engine trapped; it has been replaced each time, and the verdict was `limit`. */
  readonly traps: number;
}

/** Images of a program: that of the policy, and the rule sets that it refers to, in the order of its plan. */
export interface WafImages {
  readonly policy: Uint8Array;
  readonly ruleSets?: readonly Uint8Array[];
  /** Which of the policy's programs; default 0. */
  readonly program?: number;
}

interface Exports extends ImageCalls {
  inspect(
    generation: number,
    app: number,
    program: number,
    phases: number,
    length: number,
    bodyLength: number,
    hasBody: number,
    responseLength: number,
    stateLength: number,
    seed: number,
    now: number,
  ): number;
}

/** Loads a program; throws ImageError when an image is refused. */
export function createWaf(module: WebAssembly.Module, images: WafImages): Waf {
  return new WasmWaf(module, images);
}

class WasmWaf implements Waf {
  traps = 0;
  readonly #module: WebAssembly.Module;
  readonly #slots: SlotMemory;
  readonly #program: number;
  readonly #generation: number;
  readonly #policy: OpenImage;
  #exports: Exports;
  #bytes!: Uint8Array;
  #view!: DataView;
  #words!: Int32Array;
  #infos: readonly ProgramInfo[] | null = null;

  constructor(module: WebAssembly.Module, { policy, ruleSets = [], program = 0 }: WafImages) {
    this.#module = module;
    this.#program = program;
    this.#slots = new SlotMemory(() => this.#look());
    this.#look();
    this.#exports = this.#instantiate();
    const open = new OpenImages(this.#slots, this.#exports);
    this.#policy = open.pin({ hash: 'policy', bytes: policy }, KIND_POLICY);
    const rulesets = ruleSets.map((bytes, index) => ({ hash: `rule set ${index}`, bytes }));
    const wanted = open.wanted([{ at: this.#policy.at, rulesets }]);
    const sets = rulesets.map((one) => open.pin(one, KIND_RULESET, wanted.get(one.hash)));
    const words = [0, 0, 1, this.#policy.at];
    for (let i = 0; i < MAX_RULESETS; i++) words.push(sets[i]?.at ?? 0);
    this.#generation = open.room(words.length * 4);
    new Uint32Array(this.#slots.memory.buffer, this.#generation, words.length).set(words);
  }

  #instantiate(): Exports {
    const { memory } = this.#slots;
    return new WebAssembly.Instance(this.#module, { env: { memory } }).exports as unknown as Exports;
  }

  #look(): void {
    const { buffer } = this.#slots.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#words = new Int32Array(buffer, RESULT_AT);
  }

  get memory(): number {
    return this.#bytes.length;
  }

  inspect(transaction: RawTransaction): WafVerdict {
    const { method, uri, protocol, peer, headers, response } = transaction;
    const head = this.#writeHead(HEAD_AT, MAX_HEAD_BYTES, [method, uri, protocol, peer], headers);
    if (head < 0) return limit(REASON_HEADERS);
    const body = lengthOf(transaction.body);
    if (body > MAX_BODY_BYTES) throw new RangeError(`a body has at most ${MAX_BODY_BYTES} bytes here`);
    const ends = response === undefined ? WAF_PHASE_5 : 0;
    const { seed = 0, now = 0 } = transaction;
    let verdict: WafVerdict;
    if (body === 0) {
      verdict = this.#call(WAF_PHASE_1 | WAF_PHASE_2 | ends, head, 0, false, 0, 0, seed, now);
    } else {
      verdict = this.#call(WAF_PHASE_1, head, 0, false, 0, 0, seed, now);
      if (isOver(verdict)) return verdict;
      this.#write(BODY_AT, transaction.body);
      verdict = join(verdict, this.#call(WAF_PHASE_2 | ends, head, body, true, 0, this.#stateLength(), seed, now));
    }
    if (response === undefined || isOver(verdict)) return verdict;
    const fields = [String(response.status), '', response.protocol, ''];
    const answer = this.#writeHead(RESPONSE_HEAD_AT, MAX_RESPONSE_HEAD_BYTES, fields, response.headers);
    if (answer < 0) return limit(REASON_HEADERS);
    const held = Math.min(lengthOf(response.body), MAX_BODY_BYTES);
    this.#write(
      BODY_AT,
      typeof response.body === 'string' ? response.body.slice(0, held) : response.body.subarray(0, held),
    );
    const phases = WAF_PHASE_3 | WAF_PHASE_4 | WAF_PHASE_5;
    return join(verdict, this.#call(phases, head, held, false, answer, this.#stateLength(), seed, now));
  }

  #call(
    phases: number,
    head: number,
    body: number,
    hasBody: boolean,
    response: number,
    state: number,
    seed: number,
    now: number,
  ): WafVerdict {
    const generation = this.#generation;
    try {
      this.#exports.inspect(
        generation,
        0,
        this.#program,
        phases,
        head,
        body,
        Number(hasBody),
        response,
        state,
        seed,
        now,
      );
    } catch {
      this.traps++;
      this.#exports = this.#instantiate();
      return limit(REASON_TRAP);
    }
    const verdict = readVerdict(this.#bytes, this.#words, () => this.#rules());
    if (verdict === null || verdict.reason === REASON_WAF) {
      throw new RangeError(`there is no program ${this.#program}, or a rule set of it is missing`);
    }
    return verdict;
  }

  #rules(): readonly ProgramInfo[] {
    this.#infos ??= readInfos(this.#bytes, this.#policy.at);
    return this.#infos;
  }

  #stateLength(): number {
    return this.#words[RESULT_STATE_LENGTH]!;
  }

  /** Bytes written, -1 when they are too many. */
  #writeHead(
    at: number,
    most: number,
    fixed: readonly Octets[],
    headers: readonly (readonly [Octets, Octets])[],
  ): number {
    const fields = fixed.length + headers.length * 2;
    let length = RAW_HEADER_BYTES + fields * 4;
    for (const field of fixed) length += lengthOf(field);
    for (const [name, value] of headers) length += lengthOf(name) + lengthOf(value);
    if (length > most) return -1;
    this.#view.setUint32(at, fields, true);
    this.#view.setUint32(at + 4, 0, true);
    let size = at + RAW_HEADER_BYTES;
    let to = size + fields * 4;
    const put = (field: Octets): void => {
      this.#view.setUint32(size, lengthOf(field), true);
      size += 4;
      to = this.#write(to, field);
    };
    for (const field of fixed) put(field);
    for (const [name, value] of headers) {
      put(name);
      put(value);
    }
    return to - at;
  }

  #write(at: number, octets: Octets): number {
    if (typeof octets !== 'string') this.#bytes.set(octets, at);
    else for (let i = 0; i < octets.length; i++) this.#bytes[at + i] = octets.charCodeAt(i);
    return at + octets.length;
  }
}

function lengthOf(octets: Octets): number {
  return octets.length;
}

function isOver({ action }: WafVerdict): boolean {
  return action !== 'pass' && action !== 'allow';
}

/** Two calls of one transaction as one. */
function join(first: WafVerdict, second: WafVerdict): WafVerdict {
  return {
    ...second,
    scores: { ...first.scores, ...second.scores },
    events: first.events.length === 0 ? second.events : [...first.events, ...second.events],
    truncated: first.truncated || second.truncated,
    matches: first.matches + second.matches,
    steps: first.steps + second.steps,
  };
}

function limit(reason: number): WafVerdict {
  return {
    action: 'limit',
    status: 0,
    location: '',
    rule: 0,
    phase: 0,
    reason,
    scores: {},
    events: [],
    truncated: false,
    matches: 0,
    steps: 0,
  };
}
