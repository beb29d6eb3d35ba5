/**
 * Rules on which the engine traps. A trap refuses one request and nothing more, but one that a client can bring about at
 * will costs a new instance each time: a rule that trapped more than MAX_TRAPS_A_MINUTE times in a minute is switched off,
 * and what then happens where it would run is for `onError` to say.
 */
import { QUARANTINE_AT } from '../../assembly/abi.ts';
import { MAX_QUARANTINED, MAX_TRAPS_A_MINUTE, QUARANTINE_WORDS } from '../../assembly/waf/abi.ts';

/** A rule, by where its policy image is in the engine's memory; rule -1: the program as a whole. */
export interface Suspect {
  readonly policy: number;
  readonly program: number;
  readonly rule: number;
}

/** A WAF rule that was switched off; rule 0: what comes before rules are evaluated, so all of the app's program. */
export interface SwitchedOff {
  readonly app: string;
  readonly rule: number; // id
  readonly onError: 'closed' | 'open';
}

export function tellSwitchedOff({ app, rule, onError }: SwitchedOff): void {
  const what = rule === 0 ? 'the WAF program' : `the WAF rule ${rule}`;
  const then = onError === 'open' ? 'it is left out' : 'requests that reach it are refused';
  const message = `${what} of ${app} made the engine fail more than ${MAX_TRAPS_A_MINUTE} times in a minute: ${then}`;
  console.error(JSON.stringify({ level: 'error', message }));
}

interface Entry extends Suspect {
  readonly closed: boolean;
}

const WINDOW = 60; // seconds

export class Quarantine {
  readonly #memory: WebAssembly.Memory;
  readonly #traps = new Map<string, number[]>(); // seconds at which they happened
  #entries: Entry[] = [];

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  /** Counts a trap; true when it is the one that switches the rule off. `closed`: no verdict without it. */
  add(suspect: Suspect, closed: boolean, now: number): boolean {
    const key = keyOf(suspect);
    const recent = (this.#traps.get(key) ?? []).filter((at) => now - at < WINDOW);
    recent.push(now);
    this.#traps.set(key, recent);
    if (recent.length <= MAX_TRAPS_A_MINUTE || this.#entries.length === MAX_QUARANTINED) return false;
    if (this.#entries.some((entry) => keyOf(entry) === key)) return false;
    this.#entries.push({ ...suspect, closed });
    this.#write();
    return true;
  }

  /** The image at this address is given up: another one may stand there next. */
  forget(policy: number): void {
    for (const key of this.#traps.keys()) if (key.startsWith(`${policy} `)) this.#traps.delete(key);
    const kept = this.#entries.filter((entry) => entry.policy !== policy);
    if (kept.length === this.#entries.length) return;
    this.#entries = kept;
    this.#write();
  }

  #write(): void {
    const words = new Uint32Array(this.#memory.buffer, QUARANTINE_AT, 1 + MAX_QUARANTINED * QUARANTINE_WORDS);
    words[0] = this.#entries.length;
    this.#entries.forEach(({ policy, program, rule, closed }, i) => {
      words.set([policy, program, rule, closed ? 1 : 0], 1 + i * QUARANTINE_WORDS);
    });
  }
}

const keyOf = ({ policy, program, rule }: Suspect): string => `${policy} ${program} ${rule}`;
