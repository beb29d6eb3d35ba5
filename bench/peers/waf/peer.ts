/**
 * Other engines that run SecLang, each a process behind one protocol, so that they get the same transactions and the
 * same rules in one run, in turns.
 *
 * Standard input takes commands, little-endian u32 and byte strings with a u32 length before them:
 *   1, EXCHANGE                               run it; answers {status, hits: [{id, phase, disruptive, message, data}]}
 *   2, warm, passes, count, EXCHANGE * count  time it; answers {mean, p50, p99, rss}: nanoseconds, bytes
 *   EXCHANGE: client, method, uri, MESSAGE, status or 0, and unless 0 MESSAGE
 *   MESSAGE: protocol, count, (name, value) * count, body
 * Standard output gives one line of JSON at the start, {ready, loadMs, rss}, and one for each command; texts in it hold
 * one character a byte.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Octets, RawResponse, RawTransaction } from '../../../src/waf/transaction.ts';

export interface Hit {
  readonly id: number;
  readonly phase: number;
  readonly disruptive: boolean;
  readonly message: string;
  readonly data: string;
}
export interface Outcome {
  readonly status: number; // of a disruptive action, 0 when there was none
  readonly hits: readonly Hit[]; // rules that log, in order
}
export interface Timing {
  readonly mean: number; // nanoseconds of one transaction
  readonly p50: number;
  readonly p99: number;
  readonly rss: number; // bytes
  /** Linear memory, where the engine has one. */
  readonly linear?: number;
  /** Transactions that the engine gave up, so that their time means nothing. */
  readonly limits?: number;
}

export class Peer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: { done(line: string): void; fail(error: Error): void }[] = [];
  #said = '';
  /** Name and version, as it says itself. */
  name = '';
  /** Time it took to read the rules, in milliseconds. */
  loadMs = 0;

  private constructor(command: string, words: readonly string[]) {
    this.#child = spawn(command, words, { stdio: ['pipe', 'pipe', 'pipe'] });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#waiting.shift()?.done(line));
    this.#child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (this.#said = (this.#said + text).slice(-2000)));
    const end = (): void => {
      for (const { fail } of this.#waiting.splice(0)) fail(new Error(`${command} ended: ${this.#said.trim()}`));
    };
    this.#child.once('error', (error) => ((this.#said += error.message), end()));
    this.#child.once('close', end);
    this.#child.stdin.on('error', () => {}); // told by `close`
  }

  /** Starts a peer, `command WORDS RULES`, with rules as peerConfiguration writes them. */
  static async start(command: string, rules: string, words: readonly string[] = []): Promise<Peer> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-peer-'));
    try {
      const file = join(folder, 'rules.conf');
      writeFileSync(file, rules);
      const peer = new Peer(command, [...words, file]);
      const { ready, loadMs } = JSON.parse(await peer.#answer()) as { ready: string; loadMs: number };
      peer.name = ready;
      peer.loadMs = loadMs;
      return peer;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async run(transaction: RawTransaction): Promise<Outcome> {
    this.#child.stdin.write(Buffer.concat([u32(1), ...frames(transaction)]));
    return JSON.parse(await this.#answer()) as Outcome;
  }

  /** Passes over a list, after `warm` passes that do not count. */
  async time(transactions: readonly RawTransaction[], warm: number, passes: number): Promise<Timing> {
    this.#child.stdin.write(
      Buffer.concat([u32(2), u32(warm), u32(passes), u32(transactions.length), ...transactions.flatMap(frames)]),
    );
    return JSON.parse(await this.#answer()) as Timing;
  }

  stop(): void {
    this.#child.stdin.end();
    this.#child.kill();
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  #answer(): Promise<string> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null)
      return Promise.reject(new Error(`the peer has ended: ${this.#said.trim()}`));
    return new Promise((done, fail) => this.#waiting.push({ done, fail }));
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
function frame(octets: Octets): Uint8Array[] {
  const bytes = typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets;
  return [u32(bytes.length), bytes];
}
function messageFrames({ protocol, headers, body }: Pick<RawResponse, 'protocol' | 'headers' | 'body'>): Uint8Array[] {
  const pairs = headers.flatMap(([name, value]) => [...frame(name), ...frame(value)]);
  return [...frame(protocol), u32(headers.length), ...pairs, ...frame(body)];
}
function frames(transaction: RawTransaction): Uint8Array[] {
  const { peer, method, uri, response } = transaction;
  return [
    ...frame(peer),
    ...frame(method),
    ...frame(uri),
    ...messageFrames(transaction),
    u32(response?.status ?? 0),
    ...(response ? messageFrames(response) : []),
  ];
}
