/**
 * Generations: the set of images that serves now, and how it is replaced. State of the isolate, shared by all
 * entrypoints, so a swap through `control` is seen by the next request of the default entrypoint.
 *
 * A new generation is built beside the old one and becomes current by one assignment. What replaced generations hold is
 * freed when the last exchange that uses them ends, and at the latest MAX_GENERATION_SECONDS after the swap: an exchange
 * whose client vanished is cancelled by the runtime without running its `finally`, so a count alone would leak.
 */
import { MAX_GENERATION_SECONDS } from '../../assembly/abi.ts';
import type { Manifest } from '../plan.ts';
import type { ImageStore } from '../platform/platform.ts';
import type { Engine, Generation, Loaded, LoadedApp } from '../waf/engine.ts';

/** A generation in use; exchanges hold it until they end. */
export interface Lease {
  readonly generation: Generation;
  readonly manifest: Manifest;
  readonly loadedAt: number; // ms since the epoch
  users: number;
  replacedAt: number; // 0 while current
  released: boolean;
}

/** Milliseconds after which another request takes over a first load that does not come back (its client may be gone). */
const LOAD_PATIENCE = 10_000;
const LOAD_POLL = 10;

export class Generations {
  current: Lease | null = null;
  /** Number of swaps since the isolate started, the first load included. */
  swaps = 0;
  readonly #engine: Engine;
  #replaced: Lease[] = [];
  #loadingSince = 0;
  #started = 0;
  #committed = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * The current generation, loaded from the store on first use; null when nothing was published. Concurrent first
   * requests wait by polling: in workerd one request may not await a promise whose I/O belongs to another.
   */
  async first(images: ImageStore): Promise<Lease | null> {
    while (this.current === null && this.#loadingSince !== 0 && Date.now() - this.#loadingSince < LOAD_PATIENCE)
      await new Promise((resolve) => setTimeout(resolve, LOAD_POLL));
    if (this.current !== null) return this.current;
    this.#loadingSince = Date.now();
    const order = ++this.#started; // taken before reading what is published
    try {
      const manifest = await images.current();
      return manifest === null ? null : await this.#load(images, manifest, order);
    } catch (error) {
      if (this.current !== null) return this.current; // a swap came in between
      throw error;
    } finally {
      this.#loadingSince = 0;
    }
  }

  /**
   * Loads a manifest and makes it current. Throws, changing nothing, when an image is missing or refused, or when a swap
   * that began later was faster: what was published last is what serves.
   */
  swap(images: ImageStore, manifest: Manifest): Promise<Lease> {
    return this.#load(images, manifest, ++this.#started);
  }

  async #load(images: ImageStore, manifest: Manifest, order: number): Promise<Lease> {
    const rulesets = new Map<string, Loaded>();
    for (const hash of manifest.apps.flatMap((app) => app.rulesets))
      if (!rulesets.has(hash)) rulesets.set(hash, await load(images, hash));
    const apps: LoadedApp[] = [];
    for (const app of manifest.apps)
      apps.push({ ...(await load(images, app.image)), rulesets: app.rulesets.map((hash) => rulesets.get(hash)!) });
    const hosts = await load(images, manifest.hosts);
    const agents = manifest.agents === null ? null : await load(images, manifest.agents);
    if (order < this.#committed) throw new Error('a later swap has taken effect already');
    this.sweep(Date.now());
    const generation = this.#engine.load({ id: manifest.generation, hosts, agents, apps });
    const now = Date.now();
    const lease: Lease = { generation, manifest, loadedAt: now, users: 0, replacedAt: 0, released: false };
    const old = this.current;
    this.current = lease;
    this.#committed = order;
    this.swaps++;
    if (old !== null) {
      old.replacedAt = now;
      this.#replaced.push(old);
    }
    this.sweep(now);
    return lease;
  }

  /** How often the engine trapped since the isolate started; each time the request was refused. */
  get traps(): number {
    return this.#engine.traps;
  }

  /** Number of replaced generations that exchanges still use. */
  get draining(): number {
    return this.#replaced.length;
  }

  /** Frees what nobody uses any more, or has used for too long. Free of cost when nothing was replaced. */
  sweep(now: number): void {
    if (this.#replaced.length === 0) return;
    this.#replaced = this.#replaced.filter((lease) => {
      if (lease.users > 0 && now - lease.replacedAt < MAX_GENERATION_SECONDS * 1000) return true;
      lease.released = true;
      this.#engine.release(lease.generation);
      return false;
    });
  }
}

async function load(images: ImageStore, hash: string): Promise<Loaded> {
  return { hash, bytes: await images.get(hash) };
}
