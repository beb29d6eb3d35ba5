/**
 * What the worker expects around it: the one place that names its modules and bindings. Both targets use the same
 * bundle; a capnp config (on-prem) or a wrangler config (Cloudflare) provides what is listed here.
 *
 * MODULES, beside the main module, imported by these very specifiers:
 *   `./engine.wasm`  the engine, as a WebAssembly.Module
 *   `./markdown.js`  ES module: HTML to Markdown; read when first asked for
 *   `./images.js`    ES module. On-prem `export default null`. On Cloudflare
 *                    `export default { manifest: Manifest, images: { [sha256 hex]: ArrayBuffer } }`
 *
 * ENTRYPOINTS: the default one serves apps, and on Cloudflare the control API for CONTROL_HOST; `control` serves the
 * control API (private socket on-prem), `shard` other processes of a deployment, `tcp` raw connections. CLASSES of Durable
 * Objects: `TunnelSession`, `TunnelRegistry`, `ReplayGuard`, `McpSessions`, `AgentReport`, `RateLimiter` and `Ledger`, with
 * SQLite storage.
 */
import type { ObjectNamespace } from '../durable-object.ts';
import type { TunnelSessionNamespace } from '../tunnel/objects.ts';
import type { AgentOptions } from './platform.ts';
import type { RegistryNamespace } from './registry.ts';

export interface Env {
  /** Which platform file to use. */
  readonly PLATFORM: 'workerd' | 'cloudflare';
  /** On-prem: `disk` service holding `current.json` (a Manifest) and `<sha256 hex>.img` files. */
  readonly IMAGES?: Fetcher;
  /**
   * On-prem: JSON object, as a `json` binding or as text: `Endpoint.dial` -> name of the binding that is an `external`
   * service for that address. Host is free there.
   */
  readonly DIALS?: Readonly<Record<string, string>> | string;
  /** On-prem: `network` service for endpoints without an entry in DIALS; sends the Host of the endpoint's address. */
  readonly ORIGINS?: Fetcher;
  /** On Cloudflare: host, without port, of the control API, which no app may claim; without it there is none. */
  readonly CONTROL_HOST?: string;
  /** On Cloudflare: `x` of the operator's Ed25519 public key as a JWK; what it signs may use the control API. */
  readonly OPERATOR_KEY?: string;
  /** Objects that hold tunnels; without it there are none. */
  readonly TUNNEL_SESSION?: TunnelSessionNamespace;
  /** On-prem: `disk` service of the objects' files, to look up which there are. */
  readonly OBJECTS?: Fetcher;
  /** On-prem: folder of the sessions' files in it. */
  readonly SESSION_KEY?: string;
  /** On-prem: index of this process among SHARDS; `SHARD_<n>` is the service of the n-th. */
  readonly SHARD?: string;
  readonly SHARDS?: string;
  /** One object for each project: what it has, what it offers. */
  readonly TUNNEL_REGISTRY?: RegistryNamespace;
  /** On-prem: `network` service that reaches public addresses only, over TLS: for the keys of agents. */
  readonly PUBLIC?: Fetcher;
  /** Objects that remember the nonces of signed requests; without it nobody does. */
  readonly REPLAY_GUARD?: ObjectNamespace;
  /** Objects that count how often something happened; without it rates can not be kept. */
  readonly RATE_LIMITER?: ObjectNamespace;
  /** Objects that remember sessions of MCP clients; without it there are none where the gateway would have to. */
  readonly MCP_SESSIONS?: ObjectNamespace;
  /** Objects that keep what agents did, for the report. */
  readonly AGENT_REPORT?: ObjectNamespace;
  /** Objects that keep who owes what; without it nothing can be charged. */
  readonly LEDGER?: ObjectNamespace;
  /** `off`, or what the operator chooses about signed requests, as an object or its JSON. */
  readonly AGENTS?: AgentOptions | string;
  /** `SECRET_<NAME>`: text of the secret that policies call NAME. `DIALS` may name any other binding. */
  readonly [name: string]: unknown;
}

/** A service binding. */
export interface Fetcher {
  fetch(url: string | Request, init?: RequestInit): Promise<Response>;
}

/** Default export of `./images.js`. */
export type Bundle = {
  readonly manifest: import('../plan.ts').Manifest;
  readonly images: Readonly<Record<string, ArrayBuffer>>;
} | null;
