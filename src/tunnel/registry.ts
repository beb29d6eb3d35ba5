/**
 * The registry of one project, in a Durable Object of itty-durable: names, settings and offers, asked for seldom. Tunnels
 * themselves never pass here.
 *
 * itty-durable 2.4.1 as it is would let anybody who reaches its `fetch` call any method and set any property, and knows
 * its state only after a first `fetch`. What stands around it here:
 * - state is loaded in the constructor, before anything else may run: an alarm is often the first thing after a start;
 * - only METHODS may be called, by POST, and of a request nothing goes further but its body: no header of a caller;
 * - it is given no bindings, which it would turn into proxies;
 * - what changed is persisted before the answer is given, never by itself. Writes that are not awaited by name are held
 *   back with the answer by the runtime's output gate.
 */
import { createDurable } from 'itty-durable';
import {
  isRefused,
  Register,
  type Offer,
  type Refused,
  type RegisterState,
  type Side,
  type TunnelRecord,
} from './register.ts';

export const REGISTRY_METHODS = [
  ...(['create', 'claim', 'change', 'read', 'list', 'revoke', 'remove', 'speak', 'offers', 'allows', 'spend'] as const),
];
export type RegistryMethod = (typeof REGISTRY_METHODS)[number];

const MAX_CALL_BYTES = 65_536; // of arguments as JSON
/** Of control requests that change something, within two minutes. */
export const MAX_SPENT = 4096;

interface Storage {
  put(key: string, value: unknown): Promise<void>;
  getAlarm(): Promise<number | null>;
  setAlarm(time: number): Promise<void>;
}

interface State {
  readonly storage: Storage;
  blockConcurrencyWhile<T>(callback: () => Promise<T>): Promise<T>;
  defaultState?: string;
}

/** What is used of the class that the library makes. */
interface Base {
  readonly state: State;
  loadFromStorage(): Promise<void>;
  persist(): Promise<void>;
  getPersistable(): object;
  fetch(request: Request): Promise<Response>;
}

const Durable = createDurable() as unknown as new (state: object, env: object) => Base;

export class TunnelRegistry extends Durable {
  /** Kept: the only properties that the library finds to persist. */
  register: RegisterState | null = null;
  spent: Record<string, number> = {};

  constructor(state: object) {
    super(state, {});
    this.state.defaultState = JSON.stringify(this.getPersistable());
    void this.state.blockConcurrencyWhile(() => this.loadFromStorage());
  }

  override async fetch(request: Request): Promise<Response> {
    const method = new URL(request.url).pathname.slice(1);
    if (request.method !== 'POST' || !(REGISTRY_METHODS as readonly string[]).includes(method))
      return new Response(null, { status: 404 });
    const text = await request.text();
    if (text.length > MAX_CALL_BYTES) return new Response(null, { status: 413 });
    // Arguments travel in a header there, which takes one byte a character.
    const content = text.replaceAll(/[^ -~]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
    return await super.fetch(new Request(`http://registry/do/call/${method}`, { headers: { 'do-content': content } }));
  }

  async create(name: string, access: unknown, sessions: unknown, now: number): Promise<TunnelRecord | Refused> {
    return await this.#change((register) => register.create(name, access, sessions, now));
  }
  async claim(name: string, now: number): Promise<TunnelRecord | Refused> {
    const known = this.#read().read(name);
    return isRefused(known) ? await this.#change((register) => register.claim(name, now)) : known;
  }
  async change(name: string, access: unknown, sessions: unknown): Promise<TunnelRecord | Refused> {
    // JSON has no `undefined`: what is to be left is left out by `false`.
    const left = <T>(value: T | false): T | undefined => (value === false ? undefined : value);
    return await this.#change((register) => register.change(name, left(access), left(sessions)));
  }
  async revoke(name: string, until: number): Promise<TunnelRecord | Refused> {
    return await this.#change((register) => register.revoke(name, until));
  }
  async remove(name: string): Promise<TunnelRecord | Refused> {
    return await this.#change((register) => register.remove(name));
  }
  async speak(
    side: Side,
    place: Pick<Offer, 'owner' | 'guest' | 'tunnel' | 'service'>,
    yes: boolean,
    time: number,
  ): Promise<Offer | Refused> {
    return await this.#change((register) => register.speak(side, place, yes, time));
  }
  read(name: string): TunnelRecord | Refused {
    return this.#read().read(name);
  }
  list(): readonly TunnelRecord[] {
    return this.#read().list();
  }
  offers(): readonly Offer[] {
    return this.#read().offers();
  }
  allows(guest: string, tunnel: string, service: string): { readonly allowed: boolean } {
    return { allowed: this.#read().allows(guest, tunnel, service) };
  }

  /** Uses up the nonce of a signed request; both in ms since the epoch. */
  async spend(nonce: string, expires: number, now: number): Promise<{ readonly fresh: boolean }> {
    if (Object.hasOwn(this.spent, nonce)) return { fresh: false };
    if (Object.keys(this.spent).length >= MAX_SPENT) this.#forget(now);
    if (Object.keys(this.spent).length >= MAX_SPENT) return { fresh: false };
    this.spent = { ...this.spent, [nonce]: expires };
    await this.persist();
    if ((await this.state.storage.getAlarm()) === null) await this.state.storage.setAlarm(expires + 1000);
    return { fresh: true };
  }

  /** Forgets nonces that can't be used any more. */
  async alarm(): Promise<void> {
    this.#forget(Date.now());
    await this.persist();
    const next = Math.min(...Object.values(this.spent));
    if (next !== Infinity) await this.state.storage.setAlarm(next + 1000);
  }

  #forget(now: number): void {
    this.spent = Object.fromEntries(Object.entries(this.spent).filter(([, expires]) => expires > now));
  }

  #read(): Register {
    return new Register(this.register ?? undefined);
  }

  async #change<T extends object>(act: (register: Register) => T | Refused): Promise<T | Refused> {
    const register = this.#read();
    const result = act(register);
    if (isRefused(result)) return result;
    this.register = register.state;
    await this.persist();
    return result;
  }
}
