/**
 * A word of one project to another about a service: offered or not, accepted or not. Signed by the project's operator, so
 * that it holds wherever it is handed in; a register heeds the last word of each side only, so that playing one back
 * changes nothing.
 */
import { isPublicKey, thumbprint } from '../control/signature.ts';
import { LABEL, type Operators } from './capability.ts';
import type { Offer, Side } from './register.ts';
import { genuine, open, seal } from './sealed.ts';

/** Where a word can be handed in on any host of an edge: POST, the text as the body. */
export const CONSENT_PATH = '/.well-known/sallyport/consent';
export const MAX_CONSENT_LENGTH = 2048; // characters of the text
/** Milliseconds that a word may be ahead of the edge's clock: one of the far future could never be taken back. */
export const CONSENT_AHEAD = 60_000;
const CONTEXT = 'sallyport-consent-1';
const PROJECT = /^[A-Za-z0-9_-]{43}$/;

export interface Consent extends Pick<Offer, 'owner' | 'guest' | 'tunnel' | 'service'> {
  /** Who speaks: the owner offers, the guest accepts. */
  readonly side: Side;
  /** False: takes it back. */
  readonly yes: boolean;
  readonly time: number; // ms since the epoch
}

export type ConsentDenial = 'malformed' | 'foreign' | 'forged' | 'untimely';

export const CONSENT_DENIALS: Readonly<Record<ConsentDenial, string>> = {
  malformed: 'the text is no word about an offer',
  foreign: 'a project of the offer is not one that this edge serves',
  forged: 'the word is not signed by the project that it is of',
  untimely: 'the word is of the future; set the clock',
};

/** `operator` is the key of the side that speaks. Throws RangeError for what no edge would take. */
export async function signConsent(operator: CryptoKey, consent: Consent): Promise<string> {
  const { owner, guest, tunnel, service, side, yes, time } = consent;
  const payload = { owner, guest, tunnel, service, side, yes, time };
  if (consentOf(payload) === null) throw new RangeError(`no word about an offer: ${JSON.stringify(payload)}`);
  return await seal(operator, CONTEXT, payload);
}

/** Reads a word and believes it, or says why not. `now` in ms since the epoch. */
export async function readConsent(text: string, operators: Operators, now: number): Promise<Consent | ConsentDenial> {
  const sealed = open(text, MAX_CONSENT_LENGTH);
  const consent = sealed === null ? null : consentOf(sealed.payload);
  if (sealed === null || consent === null) return 'malformed';
  const { owner, guest, side, time } = consent;
  const speaker = side === 'owner' ? owner : guest;
  const x = operators(speaker);
  // Both must be known here: an offer to nobody would only take room.
  if (x === null || operators(side === 'owner' ? guest : owner) === null) return 'foreign';
  if (!isPublicKey(x) || (await thumbprint(x)) !== speaker) return 'foreign';
  if (!(await genuine(x, CONTEXT, sealed))) return 'forged';
  return time > now + CONSENT_AHEAD ? 'untimely' : consent;
}

function consentOf(value: Readonly<Record<string, unknown>>): Consent | null {
  const { owner, guest, tunnel, service, side, yes, time, ...unknown } = value;
  if (Object.keys(unknown).length > 0 || typeof yes !== 'boolean') return null;
  if (!matches(owner, PROJECT) || !matches(guest, PROJECT) || owner === guest) return null;
  if (!matches(tunnel, LABEL) || (service !== '' && !matches(service, LABEL))) return null;
  if (side !== 'owner' && side !== 'guest') return null;
  if (typeof time !== 'number' || !Number.isSafeInteger(time) || time <= 0) return null;
  return { owner, guest, tunnel, service: service as string, side, yes, time };
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}
