/** The project of this user: the operator's key, ready to sign. */
import { thumbprint } from '../../control/signature.ts';
import { ownOperatorKey } from '../operator.ts';

export interface Operator {
  readonly key: CryptoKey;
  /** The public half, as policies of others name it. */
  readonly x: string;
  /** Thumbprint of the key. */
  readonly project: string;
}

export async function operatorOf(): Promise<Operator> {
  const { kty, crv, x, d } = await ownOperatorKey();
  const key = await crypto.subtle.importKey('jwk', { kty, crv, x, d }, 'Ed25519', false, ['sign']);
  return { key, x, project: await thumbprint(x) };
}
