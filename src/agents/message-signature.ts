/**
 * HTTP message signatures: read from a message, verified with a key, made with one. What a signature must cover and how
 * long it may live is its reader's to say: `web-bot-auth.ts` does.
 *
 * SPEC: RFC 9421 sections 3 and 4.
 */
import type { FieldTypes } from './component.ts';
import { MAX_SIGNATURE_FIELD, MAX_SIGNATURE_PARAMETER, MAX_SIGNATURES } from './limits.ts';
import type { Message } from './message.ts';
import { type SignatureKey, signBase, verifyBase } from './signature-algorithm.ts';
import { signatureBase } from './signature-base.ts';
import { writeDictionary } from './structured-field-text.ts';
import {
  type BareItem,
  type Dictionary,
  type InnerList,
  isInnerList,
  type Item,
  parseDictionary,
  StructuredFieldError,
} from './structured-field.ts';

/** One signature of a message; nothing of it is believed yet. */
export interface Signature {
  readonly label: string;
  /** Covered components and parameters, as Signature-Input has them. */
  readonly input: InnerList;
  readonly value: Uint8Array<ArrayBuffer>;
  /** Seconds since the epoch; null where the parameter is absent. */
  readonly created: number | null;
  readonly expires: number | null;
  readonly keyid: string | null;
  readonly nonce: string | null;
  readonly tag: string | null;
  readonly algorithm: string | null;
}

/** Why signatures can't be read. */
export type SignatureFault =
  | 'signature-input-malformed'
  | 'signature-malformed'
  | 'signature-missing'
  | 'parameter-malformed'
  | 'too-many-signatures';

export class SignatureError extends Error {
  override readonly name = 'SignatureError';
  readonly fault: SignatureFault;
  constructor(fault: SignatureFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

/** Every signature of a message, in the order of Signature-Input; none for an unsigned one. Throws SignatureError. */
export function readSignatures(message: Message): Signature[] {
  const inputs = readField(message, 'signature-input', 'signature-input-malformed');
  const values = readField(message, 'signature', 'signature-malformed');
  if (inputs.size > MAX_SIGNATURES || values.size > MAX_SIGNATURES)
    throw new SignatureError('too-many-signatures', `there are more than ${MAX_SIGNATURES} signatures`);
  const signatures: Signature[] = [];
  for (const [label, input] of inputs) {
    if (!isInnerList(input))
      throw new SignatureError('signature-input-malformed', `${label} of Signature-Input is no list of components`);
    const member = values.get(label);
    if (member === undefined) throw new SignatureError('signature-missing', `Signature has no member ${label}`);
    if (isInnerList(member) || member.item.type !== 'bytes')
      throw new SignatureError('signature-malformed', `${label} of Signature is no byte sequence`);
    for (const { item } of input.items)
      if (item.type !== 'string')
        throw new SignatureError('signature-input-malformed', `${label} covers what is no string`);
    signatures.push({ label, input, value: member.item.value, ...parametersOf(input) });
  }
  return signatures;
}

function readField(message: Message, name: string, fault: SignatureFault): Dictionary {
  const text = message.header(name).join(', ');
  if (text.length > MAX_SIGNATURE_FIELD)
    throw new SignatureError(fault, `${name} is longer than ${MAX_SIGNATURE_FIELD} characters`);
  try {
    return parseDictionary(text, { unique: true });
  } catch (error) {
    if (error instanceof StructuredFieldError) throw new SignatureError(fault, `${name}: ${error.message}`);
    throw error;
  }
}

/** SPEC: section 2.3. Each has one type; what else there is is signed and means nothing to us. */
function parametersOf({ parameters }: InnerList): Omit<Signature, 'label' | 'input' | 'value'> {
  const time = (name: string): number | null => {
    const found = parameters.get(name);
    if (found === undefined) return null;
    if (found.type !== 'integer' || found.value < 0)
      throw new SignatureError('parameter-malformed', `the parameter ${name} is no time`);
    return found.value;
  };
  const text = (name: string): string | null => {
    const found = parameters.get(name);
    if (found === undefined) return null;
    if (found.type !== 'string' || found.value.length > MAX_SIGNATURE_PARAMETER)
      throw new SignatureError('parameter-malformed', `the parameter ${name} is no string, or too long`);
    return found.value;
  };
  return {
    created: time('created'),
    expires: time('expires'),
    keyid: text('keyid'),
    nonce: text('nonce'),
    tag: text('tag'),
    algorithm: text('alg'),
  };
}

/**
 * True when `key` made `signature` over `message`. False also when the signature names another algorithm than the key's.
 * Throws ComponentError when what it covers can't be had.
 */
export async function verifySignature(
  message: Message,
  signature: Signature,
  key: SignatureKey,
  types?: FieldTypes,
): Promise<boolean> {
  if (signature.algorithm !== null && signature.algorithm !== key.algorithm) return false;
  return verifyBase(key, signatureBase(message, signature.input, types), signature.value);
}

/** What a new signature covers and says. */
export interface SignatureRequest {
  readonly label: string;
  readonly components: readonly Item[];
  /** In the order in which they are written. */
  readonly parameters: ReadonlyMap<string, BareItem>;
}

/** Values of the fields that sign `message`; where it has signatures already, append them. Throws as verifySignature. */
export async function signMessage(
  message: Message,
  { label, components, parameters }: SignatureRequest,
  key: SignatureKey,
  types?: FieldTypes,
): Promise<{ readonly signatureInput: string; readonly signature: string }> {
  const input: InnerList = { items: components, parameters };
  const value = await signBase(key, signatureBase(message, input, types));
  return {
    signatureInput: writeDictionary(new Map([[label, input]])),
    signature: writeDictionary(new Map([[label, { item: { type: 'bytes', value }, parameters: NO_PARAMETERS }]])),
  };
}

const NO_PARAMETERS: ReadonlyMap<string, BareItem> = new Map();

/** A component identifier: `component('content-digest')`, `component('signature-agent', { key: 'sig1' })`. */
export function component(name: string, parameters: Readonly<Record<string, string | true>> = {}): Item {
  const entries = Object.entries(parameters).map(([key, value]): [string, BareItem] => [
    key,
    value === true ? { type: 'boolean', value } : { type: 'string', value },
  ]);
  return { item: { type: 'string', value: name }, parameters: new Map(entries) };
}
