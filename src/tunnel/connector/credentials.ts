/** Where a connector has its rights from: it was given them, or it has the operator's key and issues them to itself. */
import { thumbprint } from '../../control/signature.ts';
import { generateConnectorKey, issueCapability, type ConnectorKey, type Exposure } from '../capability.ts';
import type { Credentials } from './connector.ts';

/** An Ed25519 key pair as a JWK. */
export interface PrivateJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly d: string;
}

/** How long a capability is that an operator issues to itself; the next dial after most of it gets another one. */
const OWN_LIFE = 3_600_000; // ms
const RENEW_BEFORE = 300_000;

export async function connectorKey(jwk: PrivateJwk): Promise<ConnectorKey> {
  return { x: jwk.x, privateKey: await signingKey(jwk) };
}

/** What `tunnel create` gave: the capability and the key that it was made for. */
export function given(capability: string, jwk: PrivateJwk): Credentials {
  const key = connectorKey(jwk);
  key.catch(() => {}); // told to who dials
  return async () => ({ capability, key: await key });
}

/** Short-lived capabilities for a key that lives no longer than this process. */
export function issued(
  operator: PrivateJwk,
  names: readonly string[],
  reach: readonly string[] = [],
  exposure: Exposure | null = null,
): Credentials {
  let made: { capability: string; key: ConnectorKey; from: number; until: number } | null = null;
  return async (now) => {
    if (made !== null && made.until - RENEW_BEFORE > now && made.from <= now) return made;
    const [signer, project, key] = await Promise.all([
      signingKey(operator),
      thumbprint(operator.x),
      made?.key ?? generateConnectorKey(),
    ]);
    const grant = { project, names, reach, connector: await thumbprint(key.x), exposure };
    const until = now + OWN_LIFE;
    const capability = await issueCapability(signer, { ...grant, generation: now, expires: until });
    made = { capability, key, from: now, until };
    return made;
  };
}

function signingKey({ kty, crv, x, d }: PrivateJwk): Promise<CryptoKey> {
  return crypto.subtle.importKey('jwk', { kty, crv, x, d }, 'Ed25519', false, ['sign']);
}
