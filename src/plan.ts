/**
 * The plan: what a policy image tells the host half, as the JSON of SECTION_PLAN.
 *
 * The compiler writes it, the router reads it, nobody else. It holds decisions only: durations are milliseconds, sizes
 * are bytes, percentages are 0 to 100, names are resolved to indices, defaults are filled in. It imports nothing but its own parts.
 */

import type { ContentPlan, SitePlan } from './site-plan.ts';

export type { ContentPlan, DocumentPlan, RobotsPlan, SitePlan } from './site-plan.ts';

export interface Plan {
  readonly app: string;
  readonly routeNames: readonly string[];
  /** Route index -> index into `actions`; equal actions are stored once. */
  readonly routeActions: readonly number[];
  readonly actions: readonly RouteAction[];
  readonly backends: readonly Backend[];
  readonly rules: readonly RulePlan[];
  readonly inspections: readonly InspectionPlan[];
  readonly forwarded: ForwardedPlan;
  readonly cdnLoop: { readonly id: string; readonly max: number };
  /** RFC 9209 `Proxy-Status` on answers that the gateway makes. */
  readonly proxyStatus: boolean;
  readonly body: BodyPlan;
  /**
   * Whether a rule looks at the bytes of bodies, at what a protocol phase reads from them (`mcp`, `a2a`, `llm`), at
   * responses: so that bodies need not be held, and the second and third crossing can be left out.
   */
  readonly stages: { readonly body: boolean; readonly protocol: boolean; readonly response: boolean };
  /** Distinct effective `waf:` settings as the host acts on them; `RouteAction.waf` is an index. */
  readonly wafs: readonly WafPlan[];
  /** Distinct `mcp:`, `a2a:` and `llm:` settings of routes; `RouteAction` has the indices. */
  readonly mcps: readonly McpPlan[];
  readonly a2as: readonly A2aPlan[];
  readonly llms: readonly LlmPlan[];
  /** What is answered for the whole app beside its routes: robots.txt, llms.txt; null: nothing. */
  readonly site: SitePlan | null;
  /** Distinct `content:` settings; `RouteAction.content` is an index. */
  readonly contents: readonly ContentPlan[];
  /** What this app says of tunnels; null where it says nothing. */
  readonly tunnels: TunnelsPlan | null;
  /** How what rules charge is paid; null where nothing is said. */
  readonly payments: PaymentsPlan | null;
  /** Rule-set images that the WAF programs refer to by index, by hash; as in the manifest. At most MAX_RULESETS. */
  readonly rulesets: readonly string[];
  /** Names of the secrets that this policy refers to, resolved at run time from bindings or files. */
  readonly secrets: readonly string[];
}

export interface RouteAction {
  readonly filters: readonly Filter[];
  readonly backends: readonly WeightedBackend[];
  /** Milliseconds, 0 = none. `responseHead` is the default that holds where the policy sets neither of the others. */
  readonly timeouts: { readonly request: number; readonly backendRequest: number; readonly responseHead: number };
  readonly retry: RetryPlan | null;
  readonly cors: CorsPlan | null;
  readonly waf: number; // index into Plan.wafs, -1 = off
  readonly content: number; // index into Plan.contents, -1 = nothing is said of it
  /** What happens to requests that robots.txt disallows for the agent that sends them. */
  readonly robots: 'off' | 'log' | 'block';
  // What the route speaks, at most one of them: indices into Plan.mcps, a2as, llms, -1 = not that.
  readonly mcp: number;
  readonly a2a: number;
  readonly llm: number;
}

export interface WeightedBackend {
  readonly backend: number; // index into Plan.backends, -1 = does not exist (answers 500)
  readonly weight: number; // 0 = never
  readonly filters: readonly Filter[];
}

export type Filter =
  | { readonly type: 'requestHeaders'; readonly change: HeaderChange }
  | { readonly type: 'responseHeaders'; readonly change: HeaderChange }
  | { readonly type: 'redirect'; readonly redirect: RedirectPlan }
  | { readonly type: 'rewrite'; readonly rewrite: RewritePlan }
  | { readonly type: 'mirror'; readonly backend: number; readonly percent: number }
  | { readonly type: 'direct'; readonly direct: DirectResponsePlan };

/** Values are literal text or a named secret. Applied in the order set, add, remove; names lower case. */
export interface HeaderChange {
  readonly set: readonly (readonly [name: string, value: Value])[];
  readonly add: readonly (readonly [name: string, value: Value])[];
  readonly remove: readonly string[];
}
export type Value = string | { readonly secret: string };

export interface RedirectPlan {
  readonly scheme: string | null;
  readonly hostname: string | null;
  readonly port: number | null;
  readonly path: PathReplacement | null;
  readonly status: 301 | 302 | 303 | 307 | 308;
}
export interface RewritePlan {
  readonly hostname: string | null;
  readonly path: PathReplacement | null;
}
export type PathReplacement =
  { readonly type: 'full'; readonly value: string } | { readonly type: 'prefix'; readonly value: string };

export interface DirectResponsePlan {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
}

export interface CorsPlan {
  /** Each is `*`, an origin, or an origin with `*` as its left-most labels (`https://*.example.com`). */
  readonly allowOrigins: readonly string[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAge: number; // seconds
  readonly allowCredentials: boolean;
}

export interface RetryPlan {
  readonly codes: readonly number[];
  readonly attempts: number; // retries after the first try
  readonly backoff: number; // ms, base; jittered, doubled each time
  readonly backoffMax: number; // ms
  readonly budget: number; // percent of requests over ten seconds that may be retries
  readonly budgetMin: number; // retries a second that are always allowed
}

export interface Backend {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly balance: BalancePlan;
  readonly stickiness: { readonly cookie: string; readonly ttl: number } | null; // ttl seconds, 0 = session
  readonly health: PassiveHealth | null;
}

export interface Endpoint {
  readonly url: string; // origin with optional base path, no trailing slash
  /**
   * Key of the connection: `scheme://host:port`, with ` as NAME` when TLS must verify another name. `tunnel:NAME` and
   * `tunnel:NAME/SERVICE` for a tunnel; `tunnel:*.DOMAIN` for the one that the authority of the request names.
   */
  readonly dial: string;
  /** `preserve`: the client's Host; `url`: the authority of `url`; anything else: that literal name. */
  readonly host: string;
  readonly weight: number;
}

export type BalancePlan =
  | { readonly type: 'WeightedRandom' }
  | { readonly type: 'LeastRequest' }
  | { readonly type: 'ConsistentHash'; readonly by: 'header' | 'cookie' | 'address'; readonly name: string };

export interface PassiveHealth {
  readonly consecutive5xx: number; // 0 = off
  readonly consecutiveGatewayErrors: number; // 502, 503, 504 and connection failures; 0 = off
  readonly baseEjectionTime: number; // ms, multiplied by the number of ejections so far
  readonly maxEjectionTime: number; // ms
  readonly maxEjectionPercent: number;
  readonly panicThreshold: number; // percent healthy below which ejection is ignored
}

export interface RulePlan {
  readonly name: string;
  readonly action: RuleAction;
  readonly mode: 'log' | 'enforce';
  readonly status: number; // of block and redirect
  readonly reason: string; // what the client is told; the rule's `reason`, or its name
  readonly backend: number; // of route, else -1
  readonly headers: readonly string[]; // of rewrite: names by operand index; values come as EFFECT_VALUE
  readonly removeHeaders: readonly string[];
  readonly preserveQuery: boolean; // of redirect
  readonly rate?: RatePlan; // of rate
  readonly charge?: ChargePlan; // of charge
  /** Whom it refuses is asked for a signature. */
  readonly asksSignature?: true;
}

export type RuleAction = 'block' | 'log' | 'skip' | 'redirect' | 'rewrite' | 'route' | 'rate' | 'challenge' | 'charge';

/** So many requests in a window, for each combination of keys; their values come as VALUE_KEY of the rule. */
export interface RatePlan {
  readonly requests: number;
  readonly seconds: number;
  /** What clients are told that it is called. */
  readonly policy: string;
  /** As written, for the log; the values of a request are in this order. */
  readonly by: readonly string[];
  /** Where the count can not be asked for: refuse, or let pass. */
  readonly onError: 'closed' | 'open';
}

/** How charges are paid. */
export interface PaymentsPlan {
  /** Prices as written: what any verified agent may owe, '' for nothing, and what single ones may, by domain. */
  readonly crawler: { readonly credit: string; readonly accounts: Readonly<Record<string, string>> } | null;
  readonly x402: {
    readonly facilitator: string; // URL without a slash at its end
    readonly authorization: string; // name of a secret, '' for none
    readonly accepts: readonly PaymentTerms[];
  } | null;
}

/** A token that is taken; one is worth one unit of `currency`. */
export interface PaymentTerms {
  readonly network: string; // CAIP-2
  readonly asset: string;
  readonly payTo: string;
  readonly decimals: number;
  readonly currency: string;
  readonly maxTimeoutSeconds: number;
  readonly extra: Readonly<Record<string, string>>;
}

export interface ChargePlan {
  /** As written: a currency and a decimal amount, `USD 0.01`. */
  readonly price: string;
}

export interface InspectionPlan {
  readonly name: string; // '' for the app, else the route
  readonly mode: 'log' | 'enforce';
}

export interface ForwardedPlan {
  /** What happens to Forwarded and X-Forwarded-* that arrive: kept and appended to only from a trusted peer. */
  readonly xForwardedFor: 'append' | 'replace' | 'off';
  readonly forwarded: boolean; // RFC 7239
}

export interface BodyPlan {
  readonly limit: number; // bytes held
  readonly over: 'inspect-prefix' | 'reject' | 'pass';
}

/** What the host half does around the WAF programs of the engine. */
export interface WafPlan {
  readonly ruleset: string;
  readonly mode: 'log' | 'enforce';
  /** Index of the WAF program in the policy image. */
  readonly program: number;
  readonly body: BodyPlan;
  /** Null: answers are not looked at. Types in lower case, `text/*` with its star. */
  readonly response: { readonly limit: number; readonly holdMs: number; readonly types: readonly string[] } | null;
  readonly onError: 'closed' | 'open';
  readonly messages: 'off' | 'log' | 'enforce';
  readonly evidence: 'redacted' | 'plain';
}

/** A route that speaks the Model Context Protocol. */
export interface McpPlan {
  readonly mode: 'log' | 'enforce';
  /** Protocol versions that are taken, newest first; null: whatever the server takes. */
  readonly versions: readonly string[] | null;
  /** What may be asked for; of resources, URIs. */
  readonly methods: NameList;
  readonly tools: NameList;
  readonly resources: NameList;
  readonly prompts: NameList;
  /** Bytes of a message. */
  readonly limit: number;
  /** Values of Origin that are taken; null: the host that the request came to. */
  readonly origins: readonly string[] | null;
  readonly auth: McpAuthPlan | null;
  /** Whether Authorization goes on to the origin. */
  readonly forwardAuthorization: boolean;
  /** Seconds that a session of the versions before 2026-07-28 is remembered after its last use. */
  readonly sessionTtl: number;
  /** Null: the route's backends are one server. Else the route has none of its own. */
  readonly join: McpJoinPlan | null;
}

/** What is denied is refused, whatever allows it. Patterns, in which `*` stands for any characters. */
export interface NameList {
  readonly allow: readonly string[] | null; // null: all
  readonly deny: readonly string[];
}

/** RFC 9728: the route as a protected resource. */
export interface McpAuthPlan {
  readonly resource: string; // URL: what tokens are made out to
  readonly authorizationServers: readonly string[]; // issuers
  readonly scopes: readonly string[]; // each request needs all of them
  readonly jwks: readonly string[]; // URLs of the issuers' keys, in the order of authorizationServers
  /** What a token needs beside `scopes` to call a tool whose name matches. */
  readonly toolScopes: readonly { readonly match: string; readonly scopes: readonly string[] }[];
}

/** Tunnels as one app has them. */
export interface TunnelsPlan {
  readonly domain: string; // hosts are `NAME.` and `SERVICE.NAME.` before it
  readonly access: TunnelAccessPlan;
  /** Tunnels of which something else holds. */
  readonly names: Readonly<Record<string, TunnelAccessPlan>>;
  readonly edges: readonly string[] | null; // hosts by which connectors dial the deployment; null: any
  /** Other operators whose connectors may dial, by the `x` of their public keys. Holds for the deployment. */
  readonly projects: readonly { readonly name: string; readonly key: string }[];
  /** Who may reach whom by `access`, in the words of a capability's `reach`; null: as capabilities say. */
  readonly networks: readonly { readonly from: readonly string[]; readonly to: readonly string[] }[] | null;
}

/** Who may use a tunnel by its host. Every kind that is given must hold; of users and keys, one. */
export interface TunnelAccessPlan {
  readonly access: 'public' | 'restricted' | 'private';
  readonly addresses: readonly string[]; // addresses and CIDR blocks
  readonly basic: readonly { readonly user: string; readonly secret: string }[];
  readonly keys: readonly string[]; // names of secrets
}

/** Several MCP servers behind one endpoint. */
export interface McpJoinPlan {
  /** At least one; names differ. */
  readonly servers: readonly McpServerPlan[];
  /** Most characters of a name that clients see; longer ones are cut and end in a hash. */
  readonly nameLength: 64 | 128;
}

export interface McpServerPlan {
  /** What comes before the names of its tools and prompts, with `_`, and before its URIs, with `+`: [a-z][a-z0-9-]*. */
  readonly name: string;
  readonly backend: number; // index into Plan.backends
  readonly path: string; // of its endpoint, absolute
  /** Milliseconds until the whole answer to a list, to `initialize` or to `server/discover` is there. */
  readonly timeout: number;
}

/** A route that speaks the API of language models. */
export interface LlmPlan {
  readonly mode: 'log' | 'enforce';
  readonly provider: 'openai' | 'anthropic' | 'gemini';
  /** In their order, the first that matches decides; none at all: every model, at the backend of the route. */
  readonly models: readonly LlmModelPlan[];
  /** Bytes of a request that are held. */
  readonly limit: number;
  /** Where requests go whose backend fails before it answered, in this order. */
  readonly failover: readonly LlmFailoverPlan[];
  readonly failoverCodes: readonly number[];
  /** Milliseconds from the dial to the first byte of the body of an answer; 0: as `timeouts` say. */
  readonly firstByte: number;
  /** Secret that is sent to each backend, by index into Plan.backends. */
  readonly keys: readonly { readonly backend: number; readonly secret: string }[];
  /** `drop`: credentials of clients go no further; `forward`: to the first backend, where it has no key of its own. */
  readonly clientKey: 'drop' | 'forward';
  /** Requests that are none for a model: lists of models go through, any other is refused, unless `pass`. */
  readonly others: 'refuse' | 'pass';
  /** Ask for `usage` at the end of streams where the client did not (OpenAI). */
  readonly askUsage: boolean;
  readonly budgets: readonly LlmBudgetPlan[];
}

export interface LlmModelPlan {
  readonly match: string; // `*` stands for any characters
  readonly backend: number; // index into Plan.backends, -1: that of the route
  readonly rewrite: string; // name of the model at that backend, '' as it is
}

export interface LlmFailoverPlan {
  readonly backend: number;
  readonly rewrite: string; // '' as it is
}

/** So many tokens in a window, for each value of what they are counted by. */
export interface LlmBudgetPlan {
  readonly name: string;
  readonly tokens: number;
  readonly windowSeconds: number;
  /** `agent.operator`, `agent.name`, `ip.src`, `llm.model`, or `header:NAME` in lower case; none: one budget for all. */
  readonly by: readonly string[];
  readonly onError: 'closed' | 'open';
}

/** A route that speaks Agent2Agent. */
export interface A2aPlan {
  readonly mode: 'log' | 'enforce';
  /** Versions that pass, as `1.0`; the others are answered with VersionNotSupportedError. */
  readonly versions: readonly string[];
  /** By their names of version 1.0. */
  readonly methods: NameList;
  /** Ids of skills that the card tells. */
  readonly skills: NameList;
  /** Bytes of a request that are held. */
  readonly limit: number;
  /** Requests of a task, and of a context, go to one endpoint of the backend. */
  readonly sticky: boolean;
}

/** One deployment at one moment; `current.json` on disk, the body of POST /v1/swap, and the answer of GET /v1/status. */
export interface Manifest {
  readonly generation: string;
  readonly hosts: string; // image hashes: lower-case hex SHA-256
  readonly agents: string | null;
  readonly apps: readonly ManifestApp[];
}

export interface ManifestApp {
  readonly name: string;
  readonly image: string;
  /** Rule-set images of the app's WAF, as in its plan; several apps may share one. */
  readonly rulesets: readonly string[];
}
