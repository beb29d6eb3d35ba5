/**
 * A route as a protected resource of OAuth: what it tells clients about who gives out tokens, and whether a token is good.
 * Tokens are JWTs, signed by a key that one of the authorization servers publishes, and made out to this resource: one for
 * another is worth nothing here, however good it is.
 * SPEC: RFC 9728, RFC 6750 section 3, RFC 8707, RFC 9068; modelcontextprotocol.io/specification, Authorization.
 */
import {
  createLocalJWKSet,
  decodeJwt,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyOptions,
} from 'jose';
import { matchesPattern } from '../name-pattern.ts';
import { MAX_MCP_TOKEN, MAX_MCP_TOKEN_KEYS, MCP_TOKEN_SKEW_SECONDS } from './limits.ts';
import { metadataUrl, type ProtectedResource } from './resource-metadata.ts';
import type { TokenKeys } from './token-keys.ts';

/** `unavailable`: the keys could not be had. */
export type TokenFault = 'missing' | 'invalid' | 'scope' | 'unavailable';

/** Not those that a public key would be a secret of (HS256), and not `none`. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/** The value of WWW-Authenticate. `scopes`: what the request needs, all of it. */
export function challenge(
  { resource, scopes: always }: ProtectedResource,
  fault: TokenFault,
  scopes: readonly string[] = always,
): string {
  const parts = [`resource_metadata="${metadataUrl(resource)}"`];
  if (scopes.length > 0) parts.push(`scope="${scopes.join(' ')}"`);
  if (fault === 'invalid') parts.unshift('error="invalid_token"');
  if (fault === 'scope') parts.unshift('error="insufficient_scope"');
  return `Bearer ${parts.join(', ')}`;
}

/** What a call of that tool needs, in all; null: the token has it. */
export function missingScopes(
  { scopes, toolScopes }: ProtectedResource,
  tool: string,
  { scopes: granted }: Pick<Grant, 'scopes'>,
): readonly string[] | null {
  const more = toolScopes.filter(({ match }) => matchesPattern(match, tool)).flatMap((entry) => entry.scopes);
  return granted === null || more.every((scope) => granted.has(scope)) ? null : [...new Set([...scopes, ...more])];
}

/** What a good token allows; `scopes` null: its server says. */
export interface Grant {
  readonly scopes: ReadonlySet<string> | null;
  /** Whom it was given to: issuer and subject, the client's id where there is no subject. '' where its server says. */
  readonly principal: string;
}

/** What the token in `authorization` allows, if it is good. `now`: seconds. */
export async function checkToken(
  policy: ProtectedResource,
  authorization: string,
  keys: TokenKeys | null,
  now: number,
  keep: (work: Promise<unknown>) => void = () => {},
): Promise<Grant | TokenFault> {
  if (authorization === '') return 'missing';
  const token = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(authorization)?.[1];
  if (token === undefined || token.length > MAX_MCP_TOKEN) return 'invalid';
  if (policy.jwks.length === 0) return { scopes: null, principal: '' };
  const issuer = issuerOf(token);
  const index = issuer === null ? -1 : policy.authorizationServers.indexOf(issuer);
  const url = policy.jwks[index];
  if (issuer === null || url === undefined) return 'invalid';
  if (keys === null) return 'unavailable';
  for (const again of [false, true]) {
    const set = await keys.get(url, again, keep);
    if (set === null) return 'unavailable';
    try {
      const payload = await verified(token, set, {
        issuer,
        audience: audiences(policy.resource),
        algorithms: ALGORITHMS,
        clockTolerance: MCP_TOKEN_SKEW_SECONDS,
        currentDate: new Date(now * 1000),
        requiredClaims: ['exp'],
      });
      const granted = scopesOf(payload);
      return policy.scopes.every((scope) => granted.has(scope))
        ? { scopes: granted, principal: principalOf(payload) }
        : 'scope';
    } catch (error) {
      // A key that is not known yet may have been published since.
      if (!(error instanceof errors.JWKSNoMatchingKey)) return 'invalid';
    }
  }
  return 'invalid';
}

/** Throws for a token that is not good. One that names no key may be of any whose type fits, of the first MAX_MCP_TOKEN_KEYS. */
async function verified(token: string, set: JSONWebKeySet, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, createLocalJWKSet(set), options)).payload;
  } catch (several) {
    if (!(several instanceof errors.JWKSMultipleMatchingKeys)) throw several;
    let tried = 0;
    for await (const key of several) {
      if (++tried > MAX_MCP_TOKEN_KEYS) break;
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
      }
    }
    throw new errors.JWKSNoMatchingKey();
  }
}

/** Before it is proven: only to know whose keys to try. */
function issuerOf(token: string): string | null {
  try {
    return decodeJwt(token).iss ?? null;
  } catch {
    return null;
  }
}

/** A resource without a path is the same with and without its slash. */
function audiences(resource: string): string[] {
  const { origin, pathname, search } = new URL(resource);
  return pathname === '/' && search === '' ? [origin, `${origin}/`] : [resource];
}

/** SPEC: RFC 9068 section 2.2: tokens of one user keep `iss` and `sub` when they are renewed. */
function principalOf({ iss, sub, client_id: client, azp }: JWTPayload): string {
  return JSON.stringify([iss, sub ?? null, sub === undefined ? (client ?? azp ?? null) : null]);
}

/** SPEC: RFC 9068 section 2.2.3: `scope`, with blanks between; `scp` is what some write in its place. */
function scopesOf({ scope, scp }: JWTPayload): ReadonlySet<string> {
  const claimed: unknown = scope ?? scp;
  if (typeof claimed === 'string') return new Set(claimed.split(' '));
  return new Set(Array.isArray(claimed) ? claimed.filter((one) => typeof one === 'string') : []);
}
