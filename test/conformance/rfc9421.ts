/**
 * HTTP message signatures: appendix B of RFC 9421, and the components of its section 2. Transcribed, since an RFC is its
 * own data: each vector's base must be the printed one, its signature must verify (or not), a signature made with its
 * private key must verify too (and be the printed one where the algorithm is deterministic), and no changed byte may.
 */
import { ComponentError } from '../../src/agents/component.ts';
import type { JsonWebKeyMembers } from '../../src/agents/json-web-key.ts';
import type { FieldSource, Message, RequestMessage } from '../../src/agents/message.ts';
import { readSignatures, signMessage, verifySignature } from '../../src/agents/message-signature.ts';
import { importKey, importSecret, type SignatureKey } from '../../src/agents/signature-algorithm.ts';
import { signatureBase } from '../../src/agents/signature-base.ts';
import { bytesOfBase64, isInnerList, parseList } from '../../src/agents/structured-field.ts';
import type { Outcome } from './gateway-api.ts';
import { KEYS, SECRET, VECTORS, type Vector } from './rfc9421/appendix-b.ts';
import { type ComponentCase, COMPONENTS } from './rfc9421/components.ts';

/** A message from its head; see ComponentCase. */
export function messageOf(lines: readonly string[], scheme: 'http' | 'https' = 'https'): Message {
  const answered = lines.filter((line) => line.startsWith('< ')).map((line) => line.slice(2));
  const trailers = lines.filter((line) => line.startsWith('~ ')).map((line) => line.slice(2));
  const [first = '', ...fields] = lines.filter((line) => !line.startsWith('< ') && !line.startsWith('~ '));
  const headers = sourceOf(fields);
  const source: FieldSource = {
    joined: false,
    header: headers,
    ...(trailers.length > 0 ? { trailer: sourceOf(trailers) } : {}),
  };
  const status = /^HTTP\/1\.1 ([0-9]{3})/.exec(first)?.[1];
  if (status !== undefined) {
    const request = answered.length === 0 ? null : (messageOf(answered, scheme) as RequestMessage);
    return { kind: 'response', status: Number(status), request, ...source };
  }
  const [, method = '', target = ''] = /^(\S+) (\S*) HTTP\/1\.1$/.exec(first) ?? [];
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  const query = question < 0 ? '' : target.slice(question);
  return { kind: 'request', method, scheme, authority: headers('host')[0]?.trim() ?? '', path, query, ...source };
}

function sourceOf(lines: readonly string[]): (name: string) => readonly string[] {
  return (name) =>
    lines
      .filter((line) => line.slice(0, line.indexOf(':')).toLowerCase() === name)
      .map((line) => line.slice(line.indexOf(':') + 1));
}

async function keysOf(vector: Vector): Promise<{ verify: SignatureKey; sign: SignatureKey }> {
  if (vector.key === 'test-shared-secret') {
    const key = await importSecret(bytesOfBase64(SECRET));
    return { verify: key, sign: key };
  }
  const jwk = (KEYS as Readonly<Record<string, JsonWebKeyMembers>>)[vector.key];
  if (jwk === undefined) throw new Error(`there is no key ${vector.key}`);
  const { d: _private, ...members } = jwk;
  return { verify: await importKey(members, vector.algorithm), sign: await importKey(jwk, vector.algorithm) };
}

export async function runRfc9421(only: readonly string[], report: (outcome: Outcome) => void): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const tell = (id: string, detail: string): void => {
    const outcome: Outcome = { id, result: detail === '' ? 'passed' : 'failed', detail };
    report(outcome);
    outcomes.push(outcome);
  };
  const wanted = (id: string): boolean => only.length === 0 || only.some((start) => id.startsWith(start));
  for (const vector of VECTORS)
    if (wanted(vector.id))
      for (const [what, detail] of await judgeVector(vector)) tell(`${vector.id}: ${what}`, detail);
  for (const one of COMPONENTS) if (wanted(one.id)) tell(one.id, judgeComponent(one));
  return outcomes;
}

async function judgeVector(vector: Vector): Promise<[what: string, detail: string][]> {
  const results: [string, string][] = [];
  const message = messageOf([...vector.message, ...vector.fields]);
  const [signature, ...others] = readSignatures(message);
  if (signature === undefined || others.length > 0) return [['one signature', `${others.length + 1} were read`]];
  const { verify, sign } = await keysOf(vector);
  if (vector.base !== null) {
    const base = signatureBase(message, signature.input);
    results.push(['base', base === vector.base.join('\n') ? '' : `it is\n${base}`]);
  }
  const genuine = await verifySignature(message, signature, verify);
  results.push([vector.valid ? 'is genuine' : 'is refused', genuine === vector.valid ? '' : `verified: ${genuine}`]);
  if (!vector.valid) return results;

  const changed = { ...signature, value: signature.value.map((byte, at) => (at === 3 ? byte ^ 1 : byte)) };
  const fooled = await verifySignature(message, changed, verify);
  results.push(['a changed signature is refused', fooled ? 'it was verified' : '']);

  const { items: components, parameters } = signature.input;
  const made = await signMessage(message, { label: signature.label, components, parameters }, sign);
  const again = messageOf([
    ...vector.message,
    `Signature-Input: ${made.signatureInput}`,
    `Signature: ${made.signature}`,
  ]);
  const [ours] = readSignatures(again);
  if (ours === undefined) results.push(['signed by us', 'nothing was read back']);
  else {
    const deterministic = vector.algorithm === 'ed25519' || vector.algorithm === 'hmac-sha256';
    const same = vector.fields.includes(`Signature: ${made.signature}`);
    const detail = (await verifySignature(again, ours, verify)) ? '' : 'it was not verified';
    results.push(['signed by us', detail === '' && deterministic && !same ? `it differs: ${made.signature}` : detail]);
  }
  return results;
}

function judgeComponent(one: ComponentCase): string {
  const [list] = parseList(`(${one.component})`);
  if (list === undefined || !isInnerList(list)) throw new Error(`${one.id} is no list of components`);
  let base: string;
  try {
    base = signatureBase(messageOf(one.message, one.scheme), list, one.types);
  } catch (error) {
    if (!(error instanceof ComponentError)) throw error;
    return error.fault === one.fault ? '' : `refused, ${error.fault}: ${error.message}`;
  }
  if (one.fault !== undefined) return `not refused: ${base}`;
  const line = `${one.component}: ${one.value ?? ''}`;
  return base.split('\n')[0] === line ? '' : `the line is ${base.split('\n')[0]}`;
}
