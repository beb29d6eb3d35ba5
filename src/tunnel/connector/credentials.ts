/** Where a connector has its rights from: it was given them, or it has the operator's key and issues them to itself. */
import { thumbprint } from '../../control/signature.ts';
import { generateConnectorKey, issueCapability, type ConnectorKey, type Exposure } from '../capability.ts';
import type { Credential, Credentials } from './connector.ts';
import type { PrivateJwk } from './private-jwk.ts';

export type { PrivateJwk };

/** How long a capability lives that an operator issues to itself. */
const OWN_LIFE = 3_600_000; // ms
const RENEW_BEFORE = 300_000; // ms of it, a quarter at most, that are left when the next one is made

export async function connectorKey(jwk: PrivateJwk): Promise<ConnectorKey> {
  return { x: jwk.x, privateKey: await signingKey(jwk) };
}

/** What `tunnel create` gave: the capability and the key that it was made for. */
export function given(capability: string, jwk: PrivateJwk): Credentials {
  const key = connectorKey(jwk);
  key.catch(() => {}); // told to who dials
  return async () => ({ capability, key: await key });
}

/** Short-lived capabilities, of `life` ms, for a key that lives no longer than this process. */
export function issued(
  operator: PrivateJwk,
  names: readonly string[],
  reach: readonly string[] = [],
  exposure: Exposure | null = null,
  life = OWN_LIFE,
): Credentials {
  type Made = Required<Credential> & { readonly from: number };
  let key: Promise<ConnectorKey> | null = null;
  let made: Promise<Made> | null = null;
  const make = async (now: number): Promise<Made> => {
    // One key for all sockets, those that dial at the same moment too: a lane is resumed by no other.
    key ??= generateConnectorKey();
    const [signer, project, holder] = await Promise.all([signingKey(operator), thumbprint(operator.x), key]);
    const grant = { project, names, reach, connector: await thumbprint(holder.x), exposure };
    const expires = now + life;
    const capability = await issueCapability(signer, { ...grant, generation: now, expires });
    return { capability, key: holder, from: now, expires, renewAt: expires - Math.min(RENEW_BEFORE, life / 4) };
  };
  return async (now) => {
    const last = await made;
    if (last !== null && last.renewAt > now && last.from <= now) return last;
    made = make(now);
    made.catch(() => (made = null));
    return await made;
  };
}

function signingKey({ kty, crv, x, d }: PrivateJwk): Promise<CryptoKey> {
  return crypto.subtle.importKey('jwk', { kty, crv, x, d }, 'Ed25519', false, ['sign']);
}
