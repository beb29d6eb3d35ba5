/** What differs between Cloudflare and on-prem workerd; one implementation per target beside this file. */
import type { ObjectNamespace } from '../durable-object.ts';
import type { Endpoint, Manifest } from '../plan.ts';
import type { AccessRule } from '../tunnel/access.ts';

export interface Platform {
  readonly name: 'workerd' | 'cloudflare' | 'dry';
  readonly images: ImageStore;
  /** Evidence stays with who sent the request, so nothing of it is redacted: `explain`. */
  readonly plain?: boolean;
  /** Address of the TCP peer, or of the client where the platform itself vouches for it; '' if unknown. */
  peer(request: Request): string;
  /**
   * One try at one endpoint. `request` carries the final URL and headers; never follows redirects. Rejects on failure.
   * `impatient`: somebody else can be asked, so a tunnel whose connector is away is not waited for.
   */
  dial(endpoint: Endpoint, url: string, init: RequestInit, impatient?: boolean): Promise<Response>;
  /** Who may use a tunnel by its host, by the word of its project's registry; null: no word. Absent: there are no tunnels. */
  exposed?(tunnel: string): Promise<AccessRule | null>;
  /** For the proof of an agent's identity; null: signatures are not looked at. */
  readonly agents: AgentPlatform | null;
  /** Objects that count how often something happened; null, or absent: nobody does. */
  readonly limiter?: ObjectNamespace | null;
  /** Objects that remember sessions of MCP clients; null, or absent: nobody does. */
  readonly mcpSessions?: ObjectNamespace | null;
  /** A named secret, or undefined when there is none of that name. */
  secret(name: string): string | undefined;
}

/** A dial has nobody to go to now, and may have a moment later: 503. */
export class Unavailable extends Error {}

export interface AgentPlatform {
  /** Reaches public addresses only, and follows no redirect. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Objects that remember nonces; null: nobody does. */
  readonly guard: ObjectNamespace | null;
  /** Objects that keep what agents did; null, or absent: nobody does. */
  readonly report?: ObjectNamespace | null;
  /** Objects that keep who owes what; null, or absent: nothing can be charged. */
  readonly ledger?: ObjectNamespace | null;
  readonly options: AgentOptions;
}

/** What an operator may choose; docs/agents.md says what each means. */
export interface AgentOptions {
  readonly wire?: 'strict' | 'compat';
  readonly maxLifetime?: number;
  readonly skew?: number;
  readonly insecure?: boolean;
  readonly nonce?: 'optional' | 'required';
  readonly trustedHosts?: readonly string[];
  readonly anyPort?: boolean;
  /** URL of a resolver that is asked for names of addresses; without it nobody is. */
  readonly dns?: string;
  /** TLS ends in front of this gateway. */
  readonly https?: boolean;
}

export interface ImageStore {
  /** Bytes of an image, verified against its hash; rejects when absent or altered. */
  get(hash: string): Promise<Uint8Array>;
  /** What should be served now; null when nothing was published yet. */
  current(): Promise<Manifest | null>;
}
