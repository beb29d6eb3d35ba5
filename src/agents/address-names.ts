/**
 * Who has an address, by its names: those that the address has (PTR), where they are in a domain of the operator, and have this
 * address in turn. Never waited for: the first request of an address is answered without, later ones know.
 */
import { addressBytes, askDns, reverseName } from './dns.ts';
import {
  DNS_TIMEOUT_MS,
  MAX_ADDRESS_NAMES,
  MAX_DNS_FORWARD,
  MAX_DNS_LOOKUPS,
  NAME_RETRY_SECONDS,
  NAME_SECONDS,
} from './limits.ts';
import { isBelow } from './reverse-names.ts';

export type NameVerdict = 'confirmed' | 'refuted';

interface Entry {
  /** Null: it is being looked up, or could not be. */
  verdict: NameVerdict | null;
  /** Milliseconds since the epoch: until then nobody looks again. */
  until: number;
}

export interface AddressNamesOptions {
  readonly resolver: string;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Three questions, one after the other. A look-up whose request was dropped by the runtime is given up after that. */
const LOOKUP_MS = DNS_TIMEOUT_MS * (1 + MAX_DNS_FORWARD);

/** Of one isolate. */
export class AddressNames {
  readonly #options: AddressNamesOptions;
  /** By suffixes and address, least recently used first. */
  readonly #entries = new Map<string, Entry>();
  /** When look-ups that are under way will be over at the latest. */
  readonly #running = new Map<string, number>();

  constructor(options: AddressNamesOptions) {
    this.#options = options;
  }

  /** What is known; null: nothing yet, and then `background` is given the look-up, if there is to be one now. */
  verdict(address: string, suffixes: readonly string[], background: (work: Promise<void>) => void): NameVerdict | null {
    const now = this.#options.now();
    const key = `${suffixes.join()} ${address}`;
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key);
      if (known.until > now) {
        this.#entries.set(key, known);
        return known.verdict;
      }
    }
    const bytes = this.#mayRun(key, now) ? addressBytes(address) : null;
    if (bytes === null) return null;
    this.#running.set(key, now + LOOKUP_MS);
    background(this.#lookUp(key, bytes, suffixes));
    return null;
  }

  #mayRun(key: string, now: number): boolean {
    for (const [other, until] of this.#running) if (until <= now) this.#running.delete(other);
    return this.#running.size < MAX_DNS_LOOKUPS && !this.#running.has(key);
  }

  async #lookUp(key: string, address: Uint8Array, suffixes: readonly string[]): Promise<void> {
    const verdict = await this.#confirm(address, suffixes);
    this.#running.delete(key);
    const seconds = verdict === null ? NAME_RETRY_SECONDS : NAME_SECONDS;
    this.#entries.delete(key);
    this.#entries.set(key, { verdict, until: this.#options.now() + seconds * 1000 });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_ADDRESS_NAMES) break;
      this.#entries.delete(oldest);
    }
  }

  /** Null: the resolver could not say. */
  async #confirm(address: Uint8Array, suffixes: readonly string[]): Promise<NameVerdict | null> {
    const { fetch, resolver } = this.#options;
    const names = await askDns(fetch, resolver, reverseName(address), 'PTR');
    if (names === null) return null;
    let silent = false;
    for (const name of names.filter((one) => isBelow(one, suffixes)).slice(0, MAX_DNS_FORWARD)) {
      const found = await askDns(fetch, resolver, name, address.length === 4 ? 'A' : 'AAAA');
      if (found === null) silent = true;
      else if (found.some((one) => equal(addressBytes(one), address))) return 'confirmed';
    }
    return silent ? null : 'refuted';
  }
}

function equal(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && a.length === b.length && a.every((byte, index) => byte === b[index]);
}
