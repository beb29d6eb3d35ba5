/**
 * Images with wrong bytes. Each round takes a valid image, changes it, and asks the engine to open it. It is refused, or
 * every call with it runs to its end: no trap, no byte of another image changed, no byte read behind the image (it stands
 * at the very end of the memory, so such a read traps).
 */
import assert from 'node:assert/strict';
import {
  BODY_AT,
  FAULT_NONE,
  HEAD_AT,
  IMAGES_AT,
  KIND_AGENTS,
  KIND_HOSTS,
  MAX_RULESETS,
  PAGE_BYTES,
  RESPONSE_HEAD_AT,
  RESULT_AT,
  RESULT_STATE_LENGTH,
  RESULT_WORDS,
  SECTION_COUNT,
  SECTION_PLAN,
} from '../../assembly/abi.ts';
import { withAddresses } from '../../src/compiler/agents/addresses.ts';
import { engineModule } from '../support/engine.ts';
import { policyImage, routeSources } from '../support/image.ts';
import {
  compiledImages,
  pick,
  random,
  randomBody,
  randomHead,
  randomResponse,
  REFERENCE,
  type Random,
} from '../support/policies.ts';

export interface FuzzResult {
  readonly rounds: number;
  readonly opened: number;
  readonly refused: number;
  /** The slowest call. */
  readonly slowest: number; // ms
}

interface Exports {
  open(at: number, length: number, room: number, all: number): number;
  head(...words: number[]): number;
  body(...words: number[]): number;
  response(...words: number[]): number;
}

/** What requests of `randomHead` come from, and what not, in both versions. */
const LISTS = [
  { id: 'google-common', prefixes: ['192.0.2.0/28', '203.0.113.0/24', 'fd00::/64'], fetched: 1_799_000_000 },
  { id: 'google-special', prefixes: ['192.0.2.4/30', '198.51.100.7', '2600::/32'], fetched: 1_799_000_000 },
];
const CALLS = 6; // heads for each image that opens
const MAX_SUBJECT = 1 << 20; // bytes of an image under test
const HANG = 5000; // ms; the step budget ends a call long before

/** The number of images tried. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  // From the first round on: what is compiled before takes longer than a short share.
  let until = 0;
  const more = (): boolean => performance.now() < (until ||= performance.now() + seconds * 1000);
  return (await run(seed, more)).rounds;
}

export async function fuzzRounds(rounds: number, seed: number): Promise<FuzzResult> {
  return run(seed, (round) => round < rounds);
}

async function run(seed: number, more: (round: number) => boolean): Promise<FuzzResult> {
  const next = random(seed);
  const module = await engineModule();
  const { hosts, agents: table, apps } = await compiledImages([REFERENCE]);
  const agents = { ...table, bytes: withAddresses(table.bytes, LISTS) };
  const sets = policyImage(
    routeSources([
      {
        hostnames: ['*'],
        matches: Array.from({ length: 12 }, (_, i) => ({ regex: `/(tea|v)${i}?/.*`, method: 'GET' })),
      },
    ]),
  );
  const originals = [apps[0]!.bytes, apps[0]!.bytes, sets, hosts.bytes];
  const encoder = new TextEncoder();
  const memory = new Memory(module, [hosts.bytes, apps[0]!.bytes, agents.bytes]);
  let rounds = 0;
  let opened = 0;
  let slowest = 0;
  for (; more(rounds); rounds++) {
    const image = mutate(next() % 16 === 0 ? agents.bytes : pick(next, originals), next); // the largest is the slowest;
    memory.set(image);
    const { exports, subject } = memory;
    const timed = (call: () => number): number => {
      const started = performance.now();
      const result = call();
      slowest = Math.max(slowest, performance.now() - started);
      return result;
    };
    try {
      if (timed(() => exports.open(subject, image.length, image.length, 1)) !== FAULT_NONE) continue;
      opened++;
      const kind = new DataView(image.buffer).getUint32(8, true);
      const generation = memory.generation(kind);
      for (let i = 0; i < CALLS; i++) {
        const head = randomHead(next);
        const length = memory.write(HEAD_AT, encoder.encode(head.text));
        timed(() => exports.head(generation, length, head.fields, next() & 1, next() | 0, 1_800_000_000));
        const body = memory.write(BODY_AT, randomBody(next));
        memory.write(HEAD_AT, encoder.encode(head.text));
        timed(() =>
          exports.body(generation, 0, length, head.fields, body, body, next() & 1, 0, memory.stateLength(), 1, 1),
        );
        const response = randomResponse(next);
        const bytes = memory.write(RESPONSE_HEAD_AT, encoder.encode(response.text));
        memory.write(HEAD_AT, encoder.encode(head.text));
        timed(() =>
          exports.response(
            generation,
            0,
            length,
            head.fields,
            bytes,
            response.fields,
            0,
            next() & 1,
            memory.stateLength(),
            1,
            1,
          ),
        );
      }
    } catch (error) {
      throw new Error(`round ${rounds} of seed ${seed} trapped: ${String(error)}`, { cause: error });
    }
    memory.checkUnchanged(`round ${rounds} of seed ${seed}`);
  }
  assert.ok(slowest < HANG, `a call took ${slowest} ms`);
  return { rounds, opened, refused: rounds - opened, slowest };
}

/** One memory: valid images, generation words, and the image under test at the end. */
class Memory {
  readonly exports: Exports;
  subject = 0;
  readonly #bytes: Uint8Array;
  readonly #valid: { at: number; bytes: Uint8Array }[] = [];
  #image = new Uint8Array();
  readonly #words = IMAGES_AT;

  /** `valid`: hosts, policy and agents. */
  constructor(module: WebAssembly.Module, valid: readonly Uint8Array[]) {
    let at = IMAGES_AT + 4096;
    for (const bytes of valid) {
      this.#valid.push({ at, bytes });
      at += (bytes.length + 3) & ~3;
    }
    const memory = new WebAssembly.Memory({ initial: Math.ceil((at + MAX_SUBJECT) / PAGE_BYTES) });
    this.#bytes = new Uint8Array(memory.buffer);
    for (const { at, bytes } of this.#valid) this.#bytes.set(bytes, at);
    this.exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
  }

  set(image: Uint8Array<ArrayBuffer>): void {
    assert.ok(image.length <= MAX_SUBJECT && image.length % 4 === 0);
    this.#image = image;
    this.subject = this.#bytes.length - image.length;
    this.#bytes.set(image, this.subject);
  }

  /** Generation words with the image under test in the place of its kind. */
  generation(kind: number): number {
    const [hosts, policy, agents] = this.#valid;
    const words = [
      kind === KIND_HOSTS ? this.subject : hosts!.at,
      kind === KIND_AGENTS ? this.subject : agents!.at,
      1,
      kind === KIND_HOSTS || kind === KIND_AGENTS ? policy!.at : this.subject,
      ...new Array<number>(MAX_RULESETS).fill(0),
    ];
    new Uint32Array(this.#bytes.buffer, this.#words, words.length).set(words);
    return this.#words;
  }

  write(at: number, bytes: Uint8Array): number {
    this.#bytes.set(bytes, at);
    return bytes.length;
  }

  stateLength(): number {
    return new Uint32Array(this.#bytes.buffer, RESULT_AT, RESULT_WORDS)[RESULT_STATE_LENGTH]!;
  }

  checkUnchanged(where: string): void {
    for (const { at, bytes } of [...this.#valid, { at: this.subject, bytes: this.#image }]) {
      assert.ok(
        Buffer.compare(this.#bytes.subarray(at, at + bytes.length), bytes) === 0,
        `${where} wrote to an image at ${at}`,
      );
    }
  }
}

/** Words that are often wrong in an interesting way. */
const WORDS = [0, 1, 2, 3, 4, 7, 8, 16, 255, 256, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff];

function mutate(original: Uint8Array, next: Random): Uint8Array<ArrayBuffer> {
  let image = new Uint8Array(original);
  const view = new DataView(image.buffer);
  // Most of an image is the plan, which the engine does not read: choose a section first, then a place in it.
  const sections: [at: number, length: number][] = [[0, 24 + SECTION_COUNT * 8]];
  for (let id = 0; id < SECTION_COUNT; id++) {
    const at = view.getUint32(24 + id * 8, true);
    const length = view.getUint32(28 + id * 8, true);
    if (length >= 4 && id !== SECTION_PLAN) sections.push([at, length]);
  }
  for (let changes = 1 + (next() % 3); changes > 0; changes--) {
    const [start, length] = pick(next, next() % 12 === 0 ? [sections[0]!] : sections.slice(1));
    const at = start + (next() % (length - 3));
    const word = start + (next() % (length >> 2)) * 4;
    switch (next() % 6) {
      case 0:
        image[at]! ^= 1 << (next() % 8);
        break;
      case 1:
        image[at] = next();
        break;
      case 2:
        view.setUint32(word, pick(next, WORDS), true);
        break;
      case 3:
        view.setUint32(word, view.getUint32(word, true) + (next() % 9) - 4, true);
        break;
      case 4:
        view.setUint32(word, next() % (image.length + 8), true);
        break;
      default: {
        const [from, size] = pick(next, sections);
        view.setUint32(word, view.getUint32(from + (next() % (size >> 2)) * 4, true), true);
      }
    }
  }
  if (next() % 50 === 0) {
    image = image.slice(0, (next() % image.length) & ~3);
    if (image.length >= 16 && next() % 2 === 0) new DataView(image.buffer).setUint32(12, image.length, true);
  }
  return image;
}
