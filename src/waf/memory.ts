/**
 * The engine's one memory: images and generations in page-aligned slots behind the fixed regions of the memory map.
 * Whole instances are never thrown away (replaced memories leak for minutes); space is reused instead.
 */
import { IMAGES_AT, MAX_MEMORY_PAGES, PAGE_BYTES } from '../../assembly/abi.ts';

interface Slot {
  readonly page: number;
  readonly pages: number;
}

export class SlotMemory {
  readonly memory: WebAssembly.Memory;
  /** Free slots, sorted by page, no two adjacent. */
  #free: Slot[] = [];
  readonly #used = new Map<number, Slot>();
  readonly #grown: () => void;

  /** `grown` is called after the memory grew: views over its old buffer are dead by then. */
  constructor(grown: () => void) {
    this.memory = new WebAssembly.Memory({ initial: IMAGES_AT / PAGE_BYTES, maximum: MAX_MEMORY_PAGES });
    this.#grown = grown;
  }

  /** Address of a slot of at least `bytes` bytes, or 0 when there is no room. */
  take(bytes: number): number {
    const pages = Math.max(1, Math.ceil(bytes / PAGE_BYTES));
    const index = this.#free.findIndex((slot) => slot.pages >= pages);
    if (index >= 0) {
      const { page, pages: size } = this.#free[index]!;
      const rest = size === pages ? [] : [{ page: page + pages, pages: size - pages }];
      this.#free.splice(index, 1, ...rest);
      return this.#use(page, pages);
    }
    const end = this.memory.buffer.byteLength / PAGE_BYTES;
    const last = this.#free.at(-1);
    // A free slot at the end of the memory is part of what is needed.
    const page = last !== undefined && last.page + last.pages === end ? last.page : end;
    if (page + pages > MAX_MEMORY_PAGES) return 0;
    try {
      this.memory.grow(page + pages - end);
    } catch {
      return 0; // the machine has less than our own limit
    }
    if (page !== end) this.#free.pop();
    this.#grown();
    return this.#use(page, pages);
  }

  #use(page: number, pages: number): number {
    this.#used.set(page, { page, pages });
    return page * PAGE_BYTES;
  }

  /** Gives a slot back; `at` is what `take` returned. */
  give(at: number): void {
    const slot = this.#used.get(at / PAGE_BYTES);
    if (slot === undefined) throw new RangeError(`no slot at ${at}`);
    this.#used.delete(slot.page);
    const sorted = [...this.#free, slot].sort((a, b) => a.page - b.page);
    this.#free = [];
    for (const next of sorted) {
      const last = this.#free.at(-1);
      if (last !== undefined && last.page + last.pages === next.page) {
        this.#free[this.#free.length - 1] = { page: last.page, pages: last.pages + next.pages };
      } else this.#free.push(next);
    }
  }
}
