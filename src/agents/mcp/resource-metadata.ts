/** What a protected resource tells of itself, and where. SPEC: RFC 9728. */

export interface ProtectedResource {
  /** URL, as tokens are made out to it. */
  readonly resource: string;
  /** Issuers. */
  readonly authorizationServers: readonly string[];
  /** A token needs all of them. */
  readonly scopes: readonly string[];
  /** URLs of key sets, in the order of authorizationServers; empty: tokens are for the server behind to check. */
  readonly jwks: readonly string[];
  /** What a token needs too for a tool whose name matches. */
  readonly toolScopes: readonly { readonly match: string; readonly scopes: readonly string[] }[];
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** SPEC: RFC 9728 section 3.1: the well-known part goes between host and path. */
export function metadataPath(resource: string): string {
  const { pathname } = new URL(resource);
  return pathname === '/' ? WELL_KNOWN : WELL_KNOWN + pathname;
}

export function metadataUrl(resource: string): string {
  return new URL(resource).origin + metadataPath(resource);
}

/** The document at `metadataPath`. */
export function resourceMetadata({ resource, authorizationServers, scopes }: ProtectedResource): object {
  return {
    resource,
    authorization_servers: authorizationServers,
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
  };
}
