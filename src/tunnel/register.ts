/**
 * What a project has: its tunnels, what it offers to other projects, what others offer to it. Plain data and what may be
 * done to it; registry.ts keeps it. Refusals are values, so that a caller learns them across any boundary.
 */
import { readAccessRule, type AccessRule } from './access.ts';
import { LABEL } from './capability.ts';

export const MAX_TUNNELS = 2048; // of one project
export const MAX_OFFERS = 1024; // of one project, in either direction
export const MAX_TUNNEL_SESSIONS = 64; // as objects.ts has it
export const MAX_REGISTER_BYTES = 1_572_864; // of all of it as JSON; a value of the storage has at most 2 MB
const SPOKEN_BEFORE = 60_000; // ms by which the clock of who speaks may be behind the edge's
const PROJECT = /^[A-Za-z0-9_-]{43}$/;

/** Times are milliseconds since the epoch. */
export interface TunnelRecord {
  readonly name: string;
  readonly created: number;
  /** `created` by the operator, or `claimed` by the first connector that dialled. */
  readonly origin: 'created' | 'claimed';
  /** Null: the policy and the capability decide alone. */
  readonly access: AccessRule | null;
  readonly sessions: number;
  /** Capabilities issued up to here are refused; 0: none was revoked. */
  readonly revoked: number;
}

/**
 * One service of one tunnel for one other project. It holds while each side's last word is yes: the times are those of
 * the last word, so that a word that comes late or twice changes nothing.
 */
export interface Offer {
  /** Thumbprint of the project that owns the tunnel. */
  readonly owner: string;
  /** Thumbprint of the project that may reach it. */
  readonly guest: string;
  readonly tunnel: string;
  /** '' for the service without a name. */
  readonly service: string;
  readonly offered: Word;
  readonly accepted: Word;
}

export interface Word {
  readonly yes: boolean;
  readonly time: number; // 0: never spoken
}

/** What is kept. */
export interface RegisterState {
  readonly tunnels: Readonly<Record<string, TunnelRecord>>;
  readonly offers: Readonly<Record<string, Offer>>;
  /** Of the offers that were forgotten, the time of the last word: no word up to then makes one of them again. */
  readonly forgotten?: number;
}

export const EMPTY: RegisterState = { tunnels: {}, offers: {} };

export interface Refused {
  readonly refused: 'unknown' | 'exists' | 'limit' | 'malformed' | 'stale';
  readonly reason: string;
}

export type Side = 'owner' | 'guest';

export function holds({ offered, accepted }: Offer): boolean {
  return offered.yes && accepted.yes;
}

export function isRefused(value: object): value is Refused {
  return 'refused' in value;
}

export class Register {
  #tunnels: Map<string, TunnelRecord>;
  #offers: Map<string, Offer>;
  #forgotten: number;

  /** Of what was kept; what is not of the form is left out rather than believed. */
  constructor(state: RegisterState = EMPTY) {
    this.#tunnels = new Map(Object.entries(state.tunnels ?? {}));
    this.#offers = new Map(Object.entries(state.offers ?? {}));
    this.#forgotten = state.forgotten ?? 0;
  }

  get state(): RegisterState {
    const [tunnels, offers] = [Object.fromEntries(this.#tunnels), Object.fromEntries(this.#offers)];
    return { tunnels, offers, forgotten: this.#forgotten };
  }

  /** A new tunnel; one that a connector has claimed becomes created. */
  create(name: string, access: unknown, sessions: unknown, now: number): TunnelRecord | Refused {
    if (!LABEL.test(name)) return malformed(`${JSON.stringify(name).slice(0, 80)} is no name of a tunnel`);
    const known = this.#tunnels.get(name);
    if (known?.origin === 'created') return { refused: 'exists', reason: `the tunnel ${name} exists` };
    const rule = access === null || access === undefined ? null : readAccessRule(access);
    if (typeof rule === 'string') return malformed(`the access of a tunnel: ${rule}`);
    const count = sessions ?? 1;
    if (!isCount(count)) return malformed(`sessions must be a whole number from 1 to ${MAX_TUNNEL_SESSIONS}`);
    const revoked = known?.revoked ?? 0;
    return this.#keep({ name, created: now, origin: 'created', access: rule, sessions: count, revoked });
  }

  /** A connector dialled with a name that nobody created. */
  claim(name: string, now: number): TunnelRecord | Refused {
    const known = this.#tunnels.get(name);
    if (known !== undefined) return known;
    if (!LABEL.test(name)) return malformed('no name of a tunnel');
    return this.#keep({ name, created: now, origin: 'claimed', access: null, sessions: 1, revoked: 0 });
  }

  /** What is given replaces what was; `undefined` leaves it. */
  change(name: string, access: unknown, sessions: unknown): TunnelRecord | Refused {
    const known = this.#tunnels.get(name);
    if (known === undefined) return unknown(name);
    const rule = access === undefined ? known.access : access === null ? null : readAccessRule(access);
    if (typeof rule === 'string') return malformed(`the access of a tunnel: ${rule}`);
    const count = sessions ?? known.sessions;
    if (!isCount(count)) return malformed(`sessions must be a whole number from 1 to ${MAX_TUNNEL_SESSIONS}`);
    return this.#keep({ ...known, access: rule, sessions: count });
  }

  read(name: string): TunnelRecord | Refused {
    return this.#tunnels.get(name) ?? unknown(name);
  }

  list(): readonly TunnelRecord[] {
    return [...this.#tunnels.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  revoke(name: string, until: number): TunnelRecord | Refused {
    const known = this.#tunnels.get(name);
    if (known === undefined) return unknown(name);
    if (!isTime(until)) return malformed('the time of a revocation must be milliseconds since the epoch');
    return this.#keep({ ...known, revoked: Math.max(known.revoked, until) });
  }

  /** The tunnel, and its offers with it: whoever gets the name next has offered nothing. */
  remove(name: string): TunnelRecord | Refused {
    const known = this.#tunnels.get(name);
    if (known === undefined) return unknown(name);
    this.#tunnels.delete(name);
    for (const [key, offer] of this.#offers) if (offer.tunnel === name) this.#offers.delete(key);
    return known;
  }

  /**
   * A word of one side about an offer, spoken at `time`. In the owner's register the two words meet, and only an owner's
   * word makes an offer there, of a tunnel that it has; a guest may answer what was offered.
   */
  speak(
    side: Side,
    place: Pick<Offer, 'owner' | 'guest' | 'tunnel' | 'service'>,
    yes: boolean,
    time: number,
  ): Offer | Refused {
    const { owner, guest, tunnel, service } = place;
    if (!PROJECT.test(owner) || !PROJECT.test(guest) || owner === guest)
      return malformed('an offer is made by one project to another');
    if (!LABEL.test(tunnel) || (service !== '' && !LABEL.test(service)) || !isTime(time))
      return malformed('no offer of a service');
    const key = `${guest} ${tunnel}/${service}`;
    const known = this.#offers.get(key);
    if (known === undefined) {
      const what = service === '' ? tunnel : `${service}.${tunnel}`;
      if (side === 'guest' || !yes) return { refused: 'unknown', reason: `${what} is not offered` };
      if (!this.#tunnels.has(tunnel)) return unknown(tunnel);
      if (time <= this.#forgotten)
        return { refused: 'stale', reason: 'the word may have been taken back since; speak it again' };
      if (this.#offers.size >= MAX_OFFERS && !this.#forgetOne())
        return { refused: 'limit', reason: `the project has ${MAX_OFFERS} offers already` };
    }
    // Its offers went with a tunnel of that name before it: what was said of that one can not be played back.
    const since = this.#tunnels.get(tunnel)?.created ?? 0;
    if (time < since - SPOKEN_BEFORE)
      return { refused: 'stale', reason: 'the word is older than the tunnel; speak it again' };
    const before = known ?? { owner, guest, tunnel, service, offered: SILENT, accepted: SILENT };
    const field = side === 'owner' ? 'offered' : 'accepted';
    if (time <= before[field].time) return { refused: 'stale', reason: 'a later word has been spoken' };
    const offer = { ...before, [field]: { yes, time } };
    this.#offers.set(key, offer);
    if (!this.#fits()) {
      if (known === undefined) this.#offers.delete(key);
      else this.#offers.set(key, known);
      return full();
    }
    return offer;
  }

  /** Makes room of the offer that its owner took back longest ago. False: there is none. */
  #forgetOne(): boolean {
    let oldest: readonly [key: string, offer: Offer] | null = null;
    for (const entry of this.#offers)
      if (!entry[1].offered.yes && (oldest === null || entry[1].offered.time < oldest[1].offered.time)) oldest = entry;
    if (oldest === null) return false;
    const [key, { offered, accepted }] = oldest;
    this.#offers.delete(key);
    this.#forgotten = Math.max(this.#forgotten, offered.time, accepted.time);
    return true;
  }

  offers(): readonly Offer[] {
    return [...this.#offers.values()];
  }

  /** Whether a guest may reach a service now. An offer of a tunnel's nameless service is for that one only. */
  allows(guest: string, tunnel: string, service: string): boolean {
    const offer = this.#offers.get(`${guest} ${tunnel}/${service}`);
    return offer !== undefined && holds(offer);
  }

  #keep(record: TunnelRecord): TunnelRecord | Refused {
    const known = this.#tunnels.get(record.name);
    if (known === undefined && this.#tunnels.size >= MAX_TUNNELS)
      return { refused: 'limit', reason: `the project has ${MAX_TUNNELS} tunnels already` };
    this.#tunnels.set(record.name, record);
    if (this.#fits()) return record;
    if (known === undefined) this.#tunnels.delete(record.name);
    else this.#tunnels.set(record.name, known);
    return full();
  }

  #fits(): boolean {
    return JSON.stringify(this.state).length <= MAX_REGISTER_BYTES;
  }
}

const SILENT: Word = { yes: false, time: 0 };

const full = (): Refused => ({
  refused: 'limit',
  reason: `a project's register has at most ${MAX_REGISTER_BYTES} bytes`,
});
const unknown = (name: string): Refused => ({
  refused: 'unknown',
  reason: `there is no tunnel ${String(name).slice(0, 63)}`,
});
const malformed = (reason: string): Refused => ({ refused: 'malformed', reason });

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_TUNNEL_SESSIONS;
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}
