/**
 * x402, version 2: an agent pays with a signed transfer that it sends along, and a facilitator says whether it is good and
 * carries it out. Nothing of a chain is known here.
 *
 * SPEC: x402 specification version 2, sections 5 and 7, and its HTTP transport. Version 1 (`X-PAYMENT`) is not spoken.
 */
import { readBytes } from '../bytes.ts';
import { hasLookalike, memberOf, readJsonText } from './json-text.ts';

export const REQUIRED_HEADER = 'payment-required';
export const SIGNATURE_HEADER = 'payment-signature';
export const RESPONSE_HEADER = 'payment-response';

/** Characters of the header; what wallets sign is one or two thousand. */
export const MAX_PAYMENT_LENGTH = 16_384;
/** Bytes of a facilitator's answer, and milliseconds until it is there. Settling waits for a chain. */
export const MAX_FACILITATOR_BYTES = 65_536;
export const VERIFY_TIMEOUT_MS = 5_000;
export const SETTLE_TIMEOUT_MS = 30_000;

/** What is asked for: PaymentRequirements of section 5.1.2. */
export interface Requirement {
  readonly scheme: string;
  readonly network: string; // CAIP-2
  readonly amount: string; // smallest units, decimal digits
  readonly asset: string;
  readonly payTo: string;
  readonly maxTimeoutSeconds: number;
  readonly extra: Readonly<Record<string, string>>;
}

/** The value of PAYMENT-REQUIRED. */
export function paymentRequired(url: string, accepts: readonly Requirement[], error: string): string {
  return encode({ x402Version: 2, error, resource: { url }, accepts });
}

/** The value of PAYMENT-RESPONSE. */
export function paymentResponse(settlement: Settlement): string {
  const { success, transaction, network, payer, reason } = settlement;
  return encode({
    success,
    ...(!success && { errorReason: reason }),
    transaction,
    network,
    ...(payer !== '' && { payer }),
  });
}

/** What an agent sent: the message as it came, for the facilitator, and the requirement that it means to meet. */
export interface Payment {
  readonly message: Readonly<Record<string, unknown>>;
  readonly requirement: Requirement;
  /** What tells one payment from another: what was signed, as far as the scheme is known. */
  readonly payload: string;
}

export type PaymentFault = 'payment-malformed' | 'payment-version' | 'payment-mismatch';

/**
 * Reads PAYMENT-SIGNATURE. It must say one of `accepts` in all of its parts; what the facilitator is asked about is always
 * ours, never the agent's copy of it.
 */
export function readPayment(header: string, accepts: readonly Requirement[]): Payment | PaymentFault {
  const message = decode(header);
  if (message === null) return 'payment-malformed';
  if (message['x402Version'] !== 2) return 'payment-version';
  const { accepted, payload } = message;
  if (!isObject(accepted) || !isObject(payload)) return 'payment-malformed';
  const requirement = accepts.find(
    ({ scheme, network, amount, asset, payTo }) =>
      accepted['scheme'] === scheme &&
      accepted['network'] === network &&
      accepted['amount'] === amount &&
      accepted['asset'] === asset &&
      accepted['payTo'] === payTo,
  );
  if (requirement === undefined) return 'payment-mismatch';
  const signed = signedOf(payload, requirement);
  return signed === null ? 'payment-malformed' : { message, requirement, payload: signed };
}

/** What the scheme `exact` signs: one of these, and with the first two the nonce tells one from another. */
const SIGNED = new Set(['authorization', 'permit2Authorization', 'transaction']);
const NONCE = new Set(['from', 'nonce']);
const ADDRESS = /^0x[0-9a-f]{40}$/i;
/** EIP-3009 has 32 bytes in hex, Permit2 a decimal number. */
const NUMBER = /^(?:0x[0-9a-f]{1,64}|[0-9]{1,78})$/i;

/**
 * What is signed of a payload, so that whatever stands beside it, or another way to write it, makes no other payment. Of a
 * chain that is not known, all of it. Null: it holds two, of which who verifies may take either, or can't be read.
 * SPEC: x402, schemes/exact: EIP-3009 and Permit2 of EVM, a transaction of Solana.
 */
function signedOf(payload: Readonly<Record<string, unknown>>, { network, asset }: Requirement): string | null {
  if (hasLookalike(payload, SIGNED)) return null;
  const [name, another] = Object.keys(payload).filter((one) => SIGNED.has(one));
  if (another !== undefined) return null;
  const value = name === undefined ? undefined : payload[name];
  if (name !== undefined && name !== 'transaction' && network.startsWith('eip155:')) {
    if (!isObject(value) || hasLookalike(value, NONCE)) return null;
    const [from, nonce] = [memberOf(value, 'from'), memberOf(value, 'nonce')];
    if (typeof from !== 'string' || !ADDRESS.test(from) || typeof nonce !== 'string' || !NUMBER.test(nonce))
      return null;
    return JSON.stringify([name, network, asset, from.toLowerCase(), BigInt(nonce.toLowerCase()).toString()]);
  }
  if (name === 'transaction' && network.startsWith('solana:')) {
    if (typeof value !== 'string') return null;
    try {
      return JSON.stringify([name, network, btoa(atob(value))]);
    } catch {
      return null;
    }
  }
  return JSON.stringify(sorted(payload));
}

/** Who verifies and settles; `HttpFacilitator` is the one that the specification describes. */
export interface Facilitator {
  verify(payment: Payment): Promise<Verification>;
  settle(payment: Payment): Promise<Settlement>;
}
export interface Verification {
  readonly valid: boolean;
  readonly payer: string;
  readonly reason: string;
}
export interface Settlement {
  readonly success: boolean;
  readonly transaction: string;
  readonly network: string;
  readonly payer: string;
  readonly reason: string;
}

/** The facilitator could not be asked, or made no sense: nobody knows whether a payment is good. */
export class FacilitatorError extends Error {}

export class HttpFacilitator implements Facilitator {
  readonly #url: string;
  readonly #authorization: string;
  readonly #fetch: (url: string, init: RequestInit) => Promise<Response>;

  /** `url` without a slash at its end; `authorization`: the value of that header, '' for none. */
  constructor(url: string, authorization: string, fetch: (url: string, init: RequestInit) => Promise<Response>) {
    this.#url = url;
    this.#authorization = authorization;
    this.#fetch = fetch;
  }

  async verify(payment: Payment): Promise<Verification> {
    const answer = await this.#ask('verify', payment, VERIFY_TIMEOUT_MS);
    if (typeof answer['isValid'] !== 'boolean') throw new FacilitatorError('verify did not say whether it is valid');
    return { valid: answer['isValid'], payer: word(answer['payer']), reason: word(answer['invalidReason']) };
  }

  async settle(payment: Payment): Promise<Settlement> {
    const answer = await this.#ask('settle', payment, SETTLE_TIMEOUT_MS);
    if (typeof answer['success'] !== 'boolean') throw new FacilitatorError('settle did not say whether it succeeded');
    return {
      success: answer['success'],
      transaction: word(answer['transaction']),
      network: payment.requirement.network,
      payer: word(answer['payer']),
      reason: word(answer['errorReason']),
    };
  }

  async #ask(
    what: 'verify' | 'settle',
    payment: Payment,
    patience: number,
  ): Promise<Readonly<Record<string, unknown>>> {
    const signal = AbortSignal.timeout(patience);
    const body = JSON.stringify({
      ...{ x402Version: 2, paymentPayload: payment.message, paymentRequirements: payment.requirement },
    });
    const headers = {
      ...{ 'content-type': 'application/json', accept: 'application/json' },
      ...(this.#authorization !== '' && { authorization: this.#authorization }),
    };
    let text: string;
    try {
      const init = { method: 'POST', redirect: 'manual', headers, body, signal } as const;
      const response = await this.#fetch(`${this.#url}/${what}`, init);
      const bytes = await readBytes(response.body as ReadableStream<Uint8Array> | null, MAX_FACILITATOR_BYTES, signal);
      // A refusal may come with 4xx, and says so in the same words.
      if (response.status >= 500 || (response.status >= 300 && response.status < 400) || bytes === null)
        throw new FacilitatorError(`${what}: status ${response.status}`);
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (error) {
      if (error instanceof FacilitatorError) throw error;
      throw new FacilitatorError(`${what}: ${error instanceof Error ? error.message : 'no answer'}`);
    }
    const answer = parse(text);
    if (answer === null) throw new FacilitatorError(`${what}: the answer is no JSON object`);
    return answer;
  }
}

/** Texts of others that get into logs and headers: short, without anything that could end a line. */
function word(value: unknown): string {
  return typeof value === 'string' ? value.replace(/[^\x20-\x7e]/g, '').slice(0, 200) : '';
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object that means the same to everybody; the depth of one is bounded. */
function parse(text: string): Readonly<Record<string, unknown>> | null {
  const read = readJsonText(text);
  return typeof read === 'string' ? null : read.value;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

function decode(header: string): Readonly<Record<string, unknown>> | null {
  if (header.length > MAX_PAYMENT_LENGTH || header.length % 4 !== 0 || !BASE64.test(header)) return null;
  try {
    const bytes = Uint8Array.from(atob(header), (character) => character.charCodeAt(0));
    return parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return null;
  }
}

function encode(value: unknown): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(JSON.stringify(value))) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/**
 * The same value with the members of objects in one order, so that writing it otherwise makes no other payment of it.
 * SAFETY: the depth is MAX_JSON_DEPTH at most.
 */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.keys(value)
    .sort()
    .map((key) => [key, sorted(value[key])]);
}
