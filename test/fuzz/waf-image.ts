/**
 * Rule sets and WAF programs with wrong bytes. Each round changes one of two images that belong together and has it opened:
 * it is refused, or every transaction with it runs to its end: no trap, no hang, nothing written where it must not be, no
 * byte read behind the image (it stands at the very end of the memory, so such a read traps).
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  BODY_AT,
  EFFECT_WORDS,
  EFFECTS_AT,
  EVIDENCE_AT,
  EVIDENCE_BYTES,
  FAULT_NONE,
  HEAD_AT,
  IMAGES_AT,
  MAX_EFFECTS,
  MAX_RULESETS,
  PAGE_BYTES,
  RESPONSE_HEAD_AT,
  RESULT_AT,
  RESULT_EFFECT_COUNT,
  RESULT_STATE_LENGTH,
  SECTION_LISTS,
  SECTION_MATCHERS,
  SECTION_REGEXES,
  SECTION_STRINGS,
  SECTION_WAF,
  STATE_AT,
  STATE_BYTES,
} from '../../assembly/abi.ts';
import {
  MATCHERS_BIN_COUNT,
  MATCHERS_BINS,
  MATCHERS_PACKED,
  MATCHERS_COUNT,
  MATCHERS_PREFILTER_COUNT,
  MATCHERS_PREFILTERS,
  MATCHERS_RECORDS,
  MATCHER_BYTES,
  MATCHER_POSITIONS,
  MATCHER_SET_BYTES,
  RAW_HEADER_BYTES,
  WAF_PHASE_1,
  WAF_PHASE_2,
  WAF_PHASE_3,
  WAF_PHASE_4,
  WAF_PHASE_5,
} from '../../assembly/waf/abi.ts';
import { unpackedBytes } from '../../src/waf/images.ts';
import type { Octets, RawTransaction } from '../../src/waf/transaction.ts';
import { ROOT } from '../gateway.ts';
import { engineModule } from '../support/engine.ts';
import { EVERYTHING, randomTransaction } from '../support/transactions.ts';
import { openRules } from '../support/waf.ts';
import { random, type Random } from './random.ts';

export interface FuzzResult {
  readonly rounds: number;
  readonly opened: number;
  readonly refused: number;
  /** The slowest call. */
  readonly slowest: number; // ms
}

type Call = (...words: number[]) => number;
interface Exports {
  readonly open: Call;
  readonly inspect: Call;
}
interface Pair {
  readonly policy: Uint8Array;
  readonly ruleSet: Uint8Array;
}

const TRANSACTIONS = 4; // for each image that opens
const HANG = 5000; // ms; the step budget ends a call long before
const LONGEST = 200_000; // bytes of a body or head here: whether it is slow is another fuzzer's question

/** The number of images tried. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const until = performance.now() + seconds * 1000;
  return (await run(seed, () => performance.now() < until)).rounds;
}

export async function fuzzRounds(rounds: number, seed: number): Promise<FuzzResult> {
  return run(seed, (round) => round < rounds);
}

async function run(seed: number, more: (round: number) => boolean): Promise<FuzzResult> {
  const next = random(seed);
  const module = await engineModule();
  const all = await openRules(EVERYTHING);
  const core = await openRules(`Include ${join(ROOT, 'rules/main.conf')}\n`, {
    paranoia: { blocking: 2, detection: 2 },
  });
  // The small one is opened faster and holds one of everything.
  const pairs: Memory[] = [all, all, all, core].map(({ images }) => new Memory(module, images));
  let rounds = 0;
  let opened = 0;
  let slowest = 0;
  for (; more(rounds); rounds++) {
    const where = `round ${rounds} of seed ${seed}`;
    const memory = next.pick(pairs);
    const ofPolicy = next.below(2) === 0;
    const image = ofPolicy ? mutatePolicy(memory.pair.policy, next) : mutateRuleSet(memory.pair.ruleSet, next);
    memory.set(image, ofPolicy, next);
    const timed = (call: () => number): number => {
      const started = performance.now();
      const result = call();
      slowest = Math.max(slowest, performance.now() - started);
      return result;
    };
    try {
      if (timed(() => memory.open(next)) !== FAULT_NONE) continue;
      opened++;
      for (let i = 0; i < TRANSACTIONS; i++) {
        const transaction = randomTransaction(next);
        for (const phases of [WAF_PHASE_1, WAF_PHASE_2, WAF_PHASE_3 | WAF_PHASE_4 | WAF_PHASE_5]) {
          timed(() => memory.inspect(transaction, phases, next));
          memory.check(where);
        }
      }
    } catch (error) {
      throw new Error(`${where} trapped: ${String(error)}`, { cause: error });
    }
  }
  assert.ok(slowest < HANG, `a call took ${slowest} ms`);
  return { rounds, opened, refused: rounds - opened, slowest };
}

/** One memory: two valid images, opened, generation words, and the image under test at the end. */
class Memory {
  readonly exports: Exports;
  readonly pair: Pair;
  subject = 0;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #valid: { at: number; bytes: Uint8Array }[] = [];
  #length = 0;
  /** What stood from the subject on once it was open. */
  #image: Uint8Array = new Uint8Array();
  #inputs: { at: number; bytes: Uint8Array }[] = [];

  constructor(module: WebAssembly.Module, pair: Pair) {
    this.pair = pair;
    let at = IMAGES_AT + 4096;
    const rooms = [pair.policy, pair.ruleSet].map((bytes) => (bytes.length + unpackedBytes(bytes, null) + 3) & ~3);
    const memory = new WebAssembly.Memory({
      initial: Math.ceil((at + rooms[0]! + rooms[1]! + Math.max(...rooms)) / PAGE_BYTES),
    });
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
    for (const [index, bytes] of [pair.policy, pair.ruleSet].entries()) {
      this.#bytes.set(bytes, at);
      assert.equal(this.exports.open(at, bytes.length, rooms[index]!, 1), FAULT_NONE);
      this.#valid.push({ at, bytes: this.#bytes.slice(at, at + rooms[index]!) });
      at += rooms[index]!;
    }
  }

  /** Opens the subject, now and then with too little room, or with bins for some of the matchers only. */
  open(next: Random): number {
    const room = this.#bytes.length - this.subject;
    const all = next.below(4) > 0 ? 1 : 0;
    for (let i = 0; i < MATCHER_SET_BYTES; i++) this.#bytes[STATE_AT + i] = next.below(256);
    const fault = this.exports.open(this.subject, this.#length, room, all);
    this.#image = this.#bytes.slice(this.subject);
    return fault;
  }

  set(image: Uint8Array, ofPolicy: boolean, next: Random): void {
    this.#length = image.length;
    const unpacked = Math.min(
      unpackedBytes(image, null),
      unpackedBytes(ofPolicy ? this.pair.policy : this.pair.ruleSet, null),
    );
    const room = image.length + (next.below(8) > 0 ? unpacked : next.below(unpacked + 1));
    this.subject = (this.#bytes.length - room) & ~3;
    this.#bytes.set(image, this.subject);
    const [policy, ruleSet] = this.#valid;
    const words = [0, 0, 1, ofPolicy ? this.subject : policy!.at];
    for (let i = 0; i < MAX_RULESETS; i++) words.push(ofPolicy ? ruleSet!.at : this.subject);
    this.#words.set(words, IMAGES_AT >> 2);
  }

  /** Runs the phases with the state that the call before has left, or, now and then, with any. */
  inspect(
    { method, uri, protocol, peer, headers, body, response }: RawTransaction,
    phases: number,
    next: Random,
  ): number {
    this.#inputs = [];
    const head = this.#head(HEAD_AT, [method, uri, protocol, peer], headers);
    const answers = phases >= WAF_PHASE_3 && response !== undefined;
    const answer = answers
      ? this.#head(RESPONSE_HEAD_AT, [String(response.status), '', response.protocol, ''], response.headers)
      : 0;
    const content = this.#write(BODY_AT, answers ? response.body : body);
    let state = phases === WAF_PHASE_1 ? 0 : Math.min(this.#word(RESULT_STATE_LENGTH), STATE_BYTES);
    if (next.below(8) === 0) state = next.below(STATE_BYTES + 1);
    const hasBody = phases === WAF_PHASE_2 && content > 0 ? 1 : 0;
    return this.exports.inspect(IMAGES_AT, 0, 0, phases, head, content, hasBody, answer, state, next.bits(), 0);
  }

  #word(index: number): number {
    return this.#words[(RESULT_AT >> 2) + index]!;
  }

  #head(at: number, fixed: readonly Octets[], headers: RawTransaction['headers']): number {
    const fields = [...fixed, ...headers.flat()].map((text) => text.slice(0, LONGEST / 2));
    const start = at + RAW_HEADER_BYTES;
    const most = 262_144 - RAW_HEADER_BYTES - fields.length * 4;
    let to = start + fields.length * 4;
    this.#words.set([fields.length, 0], at >> 2);
    fields.forEach((field, index) => {
      const text = field.slice(0, Math.max(0, most - (to - start)));
      this.#words[(start >> 2) + index] = text.length;
      to += this.#write(to, text);
    });
    return to - at;
  }

  #write(at: number, octets: Octets): number {
    const bytes = typeof octets === 'string' ? Buffer.from(octets.slice(0, LONGEST), 'latin1') : octets;
    this.#bytes.set(bytes, at);
    this.#inputs.push({ at, bytes });
    return bytes.length;
  }

  /** What the call has left is within its bounds, and it wrote nowhere else. */
  check(where: string): void {
    for (const { at, bytes } of [...this.#valid, ...this.#inputs, { at: this.subject, bytes: this.#image }])
      assert.ok(Buffer.compare(this.#bytes.subarray(at, at + bytes.length), bytes) === 0, `${where} wrote at ${at}`);
    const effects = this.#word(RESULT_EFFECT_COUNT);
    assert.ok(effects <= MAX_EFFECTS && this.#word(RESULT_STATE_LENGTH) <= STATE_BYTES, where);
    for (let i = 0; i < effects; i++) {
      const record = (EFFECTS_AT >> 2) + i * EFFECT_WORDS;
      const [at, length] = [this.#words[record + 5]!, this.#words[record + 6]!];
      assert.ok(at >= EVIDENCE_AT && at + length <= EVIDENCE_AT + EVIDENCE_BYTES, `${where}: evidence at ${at}`);
    }
  }
}

/** Words that are often wrong in an interesting way. */
const WORDS = [0, 1, 2, 3, 4, 7, 8, 16, 32, 33, 96, 255, 256, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff];

function mutatePolicy(original: Uint8Array, next: Random): Uint8Array {
  const image = new Uint8Array(original);
  const view = new DataView(image.buffer);
  const sections = [SECTION_WAF, SECTION_WAF, SECTION_WAF, SECTION_REGEXES, SECTION_LISTS, SECTION_STRINGS];
  for (let changes = 1 + next.below(3); changes > 0; changes--) {
    const [at, length] = sectionOf(view, next.pick(sections));
    if (length >= 4) change(view, at, length, next);
  }
  return image;
}

function mutateRuleSet(original: Uint8Array, next: Random): Uint8Array {
  const image = new Uint8Array(original);
  const view = new DataView(image.buffer);
  const [section, length] = sectionOf(view, SECTION_MATCHERS);
  // By the image as it was: a change may have made nonsense of where things are.
  const whole = new DataView(original.buffer, original.byteOffset, original.length);
  const word = (offset: number): number => whole.getUint32(section + offset, true);
  const entry = (directory: number, count: number, bytes = 4): number =>
    word(count) === 0 ? 0 : word(word(directory) + next.below(word(count)) * bytes);
  for (let changes = 1 + next.below(3); changes > 0; changes--) {
    const record = word(MATCHERS_RECORDS) + next.below(word(MATCHERS_COUNT)) * MATCHER_BYTES;
    // Most of it is cells: choose a structure first, then a place in it.
    const [from, size] = next.pick([
      [0, 64],
      [word(MATCHERS_RECORDS), word(MATCHERS_COUNT) * MATCHER_BYTES],
      [word(MATCHERS_PREFILTERS), word(MATCHERS_PREFILTER_COUNT) * 4],
      [word(MATCHERS_BINS), word(MATCHERS_BIN_COUNT) * 4],
      [word(MATCHERS_PACKED), word(MATCHERS_BIN_COUNT) * 8],
      [entry(MATCHERS_PACKED, MATCHERS_BIN_COUNT, 8), 44],
      [entry(MATCHERS_PACKED, MATCHERS_BIN_COUNT, 8), 4096],
      [entry(MATCHERS_PREFILTERS, MATCHERS_PREFILTER_COUNT), 64],
      [entry(MATCHERS_PREFILTERS, MATCHERS_PREFILTER_COUNT) + 32_768, 20_000],
      [word(record + MATCHER_POSITIONS), 400],
      [0, length],
    ] as const);
    const bytes = Math.min(size, length - from);
    if (bytes >= 4) change(view, section + from, bytes, next);
  }
  return image;
}

function sectionOf(view: DataView, id: number): [at: number, length: number] {
  return [view.getUint32(24 + id * 8, true), view.getUint32(28 + id * 8, true)];
}

function change(view: DataView, start: number, length: number, next: Random): void {
  const at = start + next.below(length);
  const word = start + next.below(length >> 2) * 4;
  switch (next.below(5)) {
    case 0:
      return view.setUint8(at, view.getUint8(at) ^ (1 << next.below(8)));
    case 1:
      return view.setUint8(at, next.below(256));
    case 2:
      return view.setUint32(word, next.pick(WORDS), true);
    case 3:
      return view.setUint32(word, view.getUint32(word, true) + next.below(9) - 4, true);
    default:
      return view.setUint32(word, view.getUint32(start + next.below(length >> 2) * 4, true), true);
  }
}
