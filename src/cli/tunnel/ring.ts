/**
 * The last exchanges of a connector, for those who look at it live: a bounded ring in memory, and never on disk. Secrets
 * are shown as such only where the one who started the connector said `--inspect=all`; a replay sends what came.
 */
import type { Exchange } from '../../tunnel/exchange.ts';
import type { Inspection } from '../../tunnel/shown.ts';

export const MAX_EXCHANGES = 200;
export const MAX_CAPTURE = 65_536; // bytes of each body

export class Ring {
  readonly inspection: Inspection;
  readonly #exchanges: Exchange[] = [];
  readonly #listeners = new Set<(exchange: Exchange) => void>();

  constructor(inspection: Inspection) {
    this.inspection = inspection;
  }

  get size(): number {
    return this.#exchanges.length;
  }

  begin(exchange: Exchange): void {
    this.#exchanges.push(exchange);
    if (this.#exchanges.length > MAX_EXCHANGES) this.#exchanges.shift();
  }

  /** It is over. */
  end(exchange: Exchange): void {
    for (const listener of this.#listeners) listener(exchange);
  }

  all(): readonly Exchange[] {
    return this.#exchanges;
  }

  find(id: number): Exchange | null {
    return this.#exchanges.find((exchange) => exchange.id === id) ?? null;
  }

  /** Calls back with each exchange that ends from now on; the answer stops it. */
  follow(listener: (exchange: Exchange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
