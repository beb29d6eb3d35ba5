/**
 * What an operator sees of the requests of a session while it looks (`tunnel logs` of a connector elsewhere). Nothing is
 * noted unless somebody has asked within WATCH_MS; what is noted lies in memory, within limits, and secrets are hidden
 * before it leaves.
 */
import { type Exchange, type Observer, Watch } from './exchange.ts';
import type { RequestHead } from './head.ts';
import type { NotedRequests } from './objects.ts';
import { type Shown, shown, type ShownWhole, shownWhole } from './shown.ts';

export const WATCH_MS = 15_000; // ms after a question for which exchanges are noted
export const MAX_NOTED = 200; // exchanges that are over
export const MAX_NOTED_LENGTH = 2_097_152; // characters of them as JSON
export const MAX_OPEN_NOTED = 64; // exchanges under way; others are counted
export const NOTED_BODY = 16_384; // bytes of each body

interface Noted {
  readonly at: number;
  readonly line: Shown;
  /** Null where nobody asked for heads and bodies when it began. */
  readonly whole: ShownWhole | null;
  readonly length: number;
}

export class SessionWatch {
  #until = 0; // ms since the epoch
  #inspectUntil = 0;
  #open = 0;
  /** Place of the next one. It begins with the time, so that one of an object that slept is never that of another. */
  #next: number;
  #seen = 0; // since somebody looks
  #noted: Noted[] = [];
  #length = 0;
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.#next = now();
  }

  /** What is over since `after`, where the last answer said `next`; -1: from now on. Keeps watching. */
  read(after: number, inspect: boolean): Omit<NotedRequests, 'open'> {
    const now = this.#now();
    if (now >= this.#until) this.stop();
    this.#until = now + WATCH_MS;
    if (inspect) this.#inspectUntil = this.#until;
    const from = after < 0 ? this.#next : after;
    const noted = this.#noted.filter(({ at }) => at >= from);
    const requests = noted.map(({ line, whole }) => (inspect ? (whole ?? { ...line, ...UNKNOWN }) : line));
    // From before this object woke nothing is known, not even how much it was.
    const missed = Math.max(0, Math.min(this.#next - from, this.#seen) - noted.length);
    return { requests, next: this.#next, missed };
  }

  /** Null while nobody looks. */
  begin(kind: Exchange['kind'], service: string, request: RequestHead | null): Watch | null {
    const now = this.#now();
    if (now >= this.#until) {
      if (this.#until > 0) this.stop();
      return null;
    }
    if (this.#open >= MAX_OPEN_NOTED) {
      this.#next++;
      this.#seen++;
      return null;
    }
    this.#open++;
    const inspected = now < this.#inspectUntil;
    const observer: Observer = {
      capture: inspected ? NOTED_BODY : 0,
      began: () => {},
      answered: () => {},
      ended: (exchange) => this.#ended(exchange, inspected),
    };
    return new Watch(observer, kind, service, request);
  }

  #ended(exchange: Exchange, inspected: boolean): void {
    this.#open--;
    if (this.#now() >= this.#until) return this.stop();
    const line = shown(exchange);
    const whole = inspected ? shownWhole(exchange, 'bodies') : null;
    const { length } = JSON.stringify(whole ?? line);
    this.#noted.push({ at: this.#next++, line, whole, length });
    this.#seen++;
    this.#length += length;
    while (this.#noted.length > MAX_NOTED || this.#length > MAX_NOTED_LENGTH)
      this.#length -= this.#noted.shift()!.length;
  }

  /** Forgets what was noted. */
  stop(): void {
    this.#until = this.#inspectUntil = 0;
    this.#noted = [];
    this.#length = 0;
    this.#seen = 0;
  }
}

const UNKNOWN = { requestFields: [], reason: '', responseFields: [], requestBody: null, responseBody: null } as const;
