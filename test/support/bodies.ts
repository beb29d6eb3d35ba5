/** The body processors on their own: what they leave in the collections, for unit tests. */
import * as waf from '../../assembly/waf/abi.ts';
import { compileAssembly } from './assembly.ts';

const entry = `
import { reset } from './arena';
import { startCollections, addValue, firstValue, nextValue, nameAt, nameLength, valueAt, valueLength } from './waf/collections';
import { startBody, parseQuery, processBody, processorOf, setProcessor } from './waf/body/body';
import { parseCookies } from './waf/body/cookies';
import { setElided } from './waf/body/multipart';
export { failure, stepsUsed, mark } from './arena';
export { addValue, firstValue, nextValue, nameAt, nameLength, valueAt, valueLength,
  parseQuery, processBody, processorOf, setProcessor, parseCookies, setElided };
export function start(): void {
  reset();
  startCollections();
  startBody();
}
`;

interface Exports {
  start(): void;
  failure(): number;
  stepsUsed(): number;
  mark(): number;
  addValue(variable: number, nameAt: number, nameLength: number, at: number, length: number): number;
  firstValue(variable: number): number;
  nextValue(record: number): number;
  nameAt(record: number): number;
  nameLength(record: number): number;
  valueAt(record: number): number;
  valueLength(record: number): number;
  parseQuery(at: number, length: number): number;
  parseCookies(at: number, length: number): number;
  setElided(at: number, count: number): void;
  processorOf(at: number, length: number): number;
  setProcessor(processor: number): number;
  processBody(...values: number[]): number;
}

/** Name and value, one character a byte. */
export type Pair = readonly [name: string, value: string];

export interface Read {
  /** False when a limit was reached. */
  readonly complete: boolean;
  /** REASON_* of the limit, 0 for none. */
  readonly reason: number;
  readonly steps: number;
  /** Values of a variable in order. */
  pairs(variable: number): Pair[];
  /** The one value of a variable, undefined when it has none. */
  text(variable: number): string | undefined;
}

export interface BodyOptions {
  readonly processor?: number;
  readonly contentType?: string;
  readonly force?: boolean;
  /** False: only the first part of the body. */
  readonly whole?: boolean;
  readonly elided?: readonly (readonly [offset: number, bytes: number])[];
  /** Length of the body as it came; default: of the text. */
  readonly size?: number;
  /** Values that are there already. */
  readonly taken?: number;
}

export type Octets = string | Uint8Array;
export const octets = (text: Octets): Uint8Array =>
  typeof text === 'string' ? Uint8Array.from(text, (c) => c.charCodeAt(0)) : text;
export const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

export async function compileBodies() {
  const engine = await compileAssembly<Exports>(entry);
  const { exports, memory } = engine;
  const text = (at: number, length: number): string => latin1(new Uint8Array(memory.buffer, at, length));
  const pairs = (variable: number): Pair[] => {
    const found: Pair[] = [];
    for (let record = exports.firstValue(variable); record !== 0; record = exports.nextValue(record)) {
      found.push([
        text(exports.nameAt(record), exports.nameLength(record)),
        text(exports.valueAt(record), exports.valueLength(record)),
      ]);
    }
    return found;
  };
  const result = (complete: number): Read => ({
    complete: complete !== 0,
    reason: exports.failure(),
    steps: exports.stepsUsed(),
    pairs,
    text: (variable) => pairs(variable)[0]?.[1],
  });
  const start = (): void => {
    engine.clear();
    exports.start();
  };
  return {
    engine,
    query(text: Octets, taken = 0): Read {
      start();
      for (let i = 0; i < taken; i++) exports.addValue(waf.VARIABLE_TX, 0, 0, 0, 0);
      const at = engine.place(octets(text));
      return result(exports.parseQuery(at, text.length));
    },
    cookies(...lines: readonly Octets[]): Read {
      start();
      let complete = 1;
      for (const line of lines) complete &= exports.parseCookies(engine.place(octets(line)), line.length);
      return result(complete);
    },
    processorOf(contentType: string): number {
      start();
      return exports.processorOf(engine.place(octets(contentType)), contentType.length);
    },
    body(text: Octets, options: BodyOptions = {}): Read {
      start();
      for (let i = 0; i < (options.taken ?? 0); i++) exports.addValue(waf.VARIABLE_TX, 0, 0, 0, 0);
      const type = options.contentType ?? '';
      const typeAt = engine.place(octets(type));
      if (options.elided !== undefined) {
        const table = new Uint8Array(Uint32Array.from(options.elided.flat()).buffer);
        exports.setElided(engine.place(table), options.elided.length);
      }
      const at = engine.place(octets(text));
      const processor = options.processor ?? exports.processorOf(typeAt, type.length);
      exports.setProcessor(processor);
      const whole = options.whole === false ? 0 : 1;
      const force = options.force === true ? 1 : 0;
      return result(
        exports.processBody(processor, at, text.length, options.size ?? text.length, whole, force, typeAt, type.length),
      );
    },
  };
}
export type Bodies = Awaited<ReturnType<typeof compileBodies>>;
