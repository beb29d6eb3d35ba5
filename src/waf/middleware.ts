/**
 * `sallyport/waf`: the web application firewall as Hono middleware, in front of the handlers of anybody's worker. The same
 * engine and programs as the gateway's; what is judged is the request as the runtime hands it over.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { MAX_BODY_BYTES, OUTCOME_OK } from '../../assembly/abi.ts';
import type { WafPlan } from '../plan.ts';
import { readBundle } from './bundle.ts';
import { createEngine, type Engine, type Generation, type Head, type WafVerdict } from './engine.ts';
import { evidenceOf, type WafEvidence } from './evidence.ts';
import { type AllScores, NO_SCORES, type Scores, scoresOf } from './scores.ts';
import { isAboutMalformedBody } from './verdict.ts';

export interface WafOptions {
  /** `import engine from 'sallyport/engine.wasm'` */
  readonly engine: WebAssembly.Module;
  /** `import rules from 'sallyport/core.bin'`, or what `sallyport rules bundle` wrote. */
  readonly rules: ArrayBuffer | Uint8Array;
  /** Default: what the rules were compiled with. `log` never blocks, `off` looks at nothing. */
  readonly mode?: 'off' | 'log' | 'enforce';
  /** Address of the client. Default: `CF-Connecting-IP`, which Cloudflare sets and nobody can forge there. */
  readonly client?: (c: Context) => string;
  /** Told of every request for which rules matched. Default: one line of JSON with console.log. */
  readonly onEvent?: (event: WafReport) => void;
  /** The answer in place of a blocked one. Default: problem+json with the id of the request. */
  readonly refuse?: (c: Context, report: WafReport) => Response | Promise<Response>;
}

export interface WafReport {
  readonly id: string;
  readonly time: string; // ISO 8601
  readonly method: string;
  readonly path: string;
  readonly client: string;
  /** `block`: refused; `log`: would have been; `pass`: rules matched, below the threshold. */
  readonly action: 'block' | 'log' | 'pass';
  readonly status: number; // of the refusal, else 0
  readonly rule: number; // that decided, else 0
  /** Anomaly scores. */
  readonly inbound: number;
  readonly outbound: number;
  /** With the levels that only detect, where there are some. */
  readonly detection?: Scores;
  readonly events: readonly WafEvidence[];
}

interface Loaded {
  readonly engine: Engine;
  readonly generation: Generation;
  readonly plan: WafPlan;
}

const ENDING = new Set(['deny', 'drop', 'redirect']);

/** Hono middleware; `app.use(waf({ engine, rules }))`. Throws at the first request when the rules cannot be loaded. */
export function waf(options: WafOptions): MiddlewareHandler {
  let loaded: Loaded | null = null;
  return async (c, next) => {
    if (options.mode === 'off') return next();
    loaded ??= load(options);
    const guard = new Guard(options, loaded, c);
    const refused = await guard.request();
    if (refused !== null) return refused;
    await next();
    const replaced = await guard.response();
    if (replaced !== null) c.res = replaced;
    return;
  };
}

function load({ engine: module, rules }: WafOptions): Loaded {
  const { manifest, images } = readBundle(rules);
  const image = (hash: string) => {
    const found = images.get(hash);
    if (found === undefined) throw new RangeError(`the bundle lacks the image ${hash}`);
    return found;
  };
  const engine = createEngine(module);
  const generation = engine.load({
    id: manifest.generation,
    hosts: image(manifest.hosts),
    agents: manifest.agents === null ? null : image(manifest.agents),
    apps: manifest.apps.map((app) => ({ ...image(app.image), rulesets: app.rulesets.map(image) })),
  });
  const plan = generation.apps[0]?.wafs[0];
  if (plan === undefined) throw new RangeError('the rules have no `waf:`');
  return { engine, generation, plan };
}

/** One request on its way. */
class Guard {
  readonly #options: WafOptions;
  readonly #loaded: Loaded;
  readonly #c: Context;
  readonly #enforce: boolean;
  readonly #id = crypto.randomUUID();
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  readonly #startedAt = Date.now();
  readonly #events: WafEvidence[] = [];
  #head: Head = { text: '', fields: 0 };
  #app = -1;
  #client = '';
  #query = '';
  #state: Uint8Array | null = null;
  #scores: AllScores = NO_SCORES;
  #body = false;

  constructor(options: WafOptions, loaded: Loaded, c: Context) {
    this.#options = options;
    this.#loaded = loaded;
    this.#c = c;
    this.#enforce = (options.mode ?? loaded.plan.mode) === 'enforce';
  }

  get #now(): number {
    return Math.floor(this.#startedAt / 1000);
  }

  /** A refusal, or null when the handlers may have the request. */
  async request(): Promise<Response | null> {
    const { engine, generation } = this.#loaded;
    const { raw } = this.#c.req;
    const { client } = this.#options;
    this.#client = client === undefined ? (raw.headers.get('cf-connecting-ip') ?? '') : client(this.#c);
    this.#head = joinHead(raw, this.#client);
    this.#body = raw.body !== null;
    const found = engine.head(generation, this.#head, this.#seed, this.#now, this.#body);
    this.#app = found.app;
    this.#query = found.query;
    this.#state = found.state;
    // What is malformed is nobody's request.
    if (found.outcome !== OUTCOME_OK) return this.#unjudged(400, 'the request cannot be judged');
    const refused = await this.#judge(found.waf, true);
    if (refused !== null || !this.#body) return refused;
    return this.#requestBody();
  }

  async #requestBody(): Promise<Response | null> {
    const { engine, generation, plan } = this.#loaded;
    const { raw } = this.#c.req;
    const limit = Math.min(plan.body.limit, MAX_BODY_BYTES);
    // The copy is read as far as the limit; handlers read the request itself, as if nobody had.
    const held = await readPrefix(raw.clone().body, limit, 60_000);
    if (held === null) return this.#unjudged(400, 'the request body broke off');
    const truncated = !held.complete;
    if (truncated && plan.body.over === 'reject' && this.#enforce)
      return this.#refuse(413, 0, 'block', 'the request body is larger than is inspected');
    const encoding = (raw.headers.get('content-encoding') ?? '').trim().toLowerCase();
    const encoded = encoding !== '' && encoding !== 'identity';
    if (encoded) {
      const refused = await this.#unjudged(415, 'the content encoding of the request body can not be inspected');
      if (refused !== null) return refused;
    }
    // Phase 2 runs all the same: it is there that the score of the head is judged.
    const bytes = encoded || (truncated && plan.body.over === 'pass') ? held.bytes.subarray(0, 0) : held.bytes;
    const size = Number(raw.headers.get('content-length') ?? held.bytes.length) || held.bytes.length;
    const found = engine.body(
      ...([generation, this.#app, this.#head, bytes, size, truncated || encoded] as const),
      ...([this.#seed, this.#now, this.#state] as const),
    );
    this.#state = found.state;
    if (found.waf === null && found.outcome !== OUTCOME_OK) return this.#unjudged(403, 'the request cannot be judged');
    return this.#judge(found.waf, true);
  }

  /** An answer in place of the handlers', or null. Nothing of theirs has left before. */
  async response(): Promise<Response | null> {
    const { engine, generation, plan } = this.#loaded;
    const looks = plan.response;
    const { res } = this.#c;
    if (looks === null || (res as { webSocket?: unknown }).webSocket != null) return null;
    const type = (res.headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
    const listed = looks.types.includes(type) || looks.types.includes(`${type.slice(0, type.indexOf('/') + 1)}*`);
    let body = new Uint8Array(0);
    let truncated = false;
    if (listed && res.body !== null && !res.headers.has('content-encoding')) {
      const held = await readPrefix(res.clone().body, looks.limit, looks.holdMs);
      if (held === null) return this.#unjudged(502, 'the answer broke off');
      body = held.bytes;
      truncated = !held.complete;
    }
    let text = res.status + '\0';
    let fields = 1;
    res.headers.forEach((value, name) => {
      text += name + '\0' + value + '\0';
      fields += 2;
    });
    const found = engine.response(
      ...([generation, this.#app, this.#head, { text, fields }] as const),
      ...([this.#seed, this.#now, this.#state, body, truncated] as const),
    );
    if (found.waf === null && found.outcome !== OUTCOME_OK) return this.#unjudged(502, 'the answer cannot be judged');
    return this.#judge(found.waf, false);
  }

  async #judge(verdict: WafVerdict | null, inbound: boolean): Promise<Response | null> {
    if (verdict === null) return null;
    const { plan } = this.#loaded;
    const { scores } = verdict;
    this.#scores = scoresOf(verdict, this.#scores);
    const options = { plain: plan.evidence === 'plain', query: this.#query, body: this.#body };
    for (const event of verdict.events) if (event.log) this.#events.push(evidenceOf(event, scores, options));
    if (verdict.action === 'limit')
      return this.#unjudged(
        inbound ? 403 : 502,
        inbound ? 'the request cannot be judged' : 'the answer cannot be judged',
      );
    const ended = ENDING.has(verdict.action) ? verdict : null;
    const would = verdict.events.find(({ action }) => ENDING.has(action));
    if (ended !== null && this.#enforce) {
      const status = ended.status >= 400 && ended.status <= 599 ? ended.status : 403;
      const reason = isAboutMalformedBody(ended.rule)
        ? 'the request body cannot be read for sure as what its type says'
        : 'the web application firewall blocked this';
      return this.#refuse(status, ended.rule, 'block', reason);
    }
    if (ended !== null || would !== undefined) this.#report('log', 0, ended?.rule ?? would?.rule ?? 0);
    else if (verdict.events.some(({ log }) => log)) this.#report('pass', 0, 0);
    return null;
  }

  /** No verdict: closed refuses, open lets pass. */
  async #unjudged(status: number, reason: string): Promise<Response | null> {
    if (this.#enforce && this.#loaded.plan.onError === 'closed') return this.#refuse(status, 0, 'block', reason);
    this.#report('log', 0, 0);
    return null;
  }

  async #refuse(status: number, rule: number, action: 'block', reason: string): Promise<Response> {
    const report = this.#report(action, status, rule);
    if (this.#options.refuse !== undefined) return this.#options.refuse(this.#c, report);
    const body = { type: 'about:blank', title: 'Request Refused', status, detail: reason, requestId: this.#id };
    return new Response(JSON.stringify(body) + '\n', {
      status,
      headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', 'x-request-id': this.#id },
    });
  }

  #report(action: WafReport['action'], status: number, rule: number): WafReport {
    const { raw } = this.#c.req;
    const start = raw.url.indexOf('/', raw.url.indexOf('://') + 3);
    const end = raw.url.indexOf('?');
    const report: WafReport = {
      id: this.#id,
      time: new Date(this.#startedAt).toISOString(),
      method: raw.method,
      path: raw.url.slice(start, end < 0 ? raw.url.length : end).slice(0, 2048),
      client: this.#client,
      ...{ action, status, rule, ...this.#scores, events: [...this.#events] },
    };
    if (this.#options.onEvent === undefined) console.log(JSON.stringify({ waf: report }));
    else this.#options.onEvent(report);
    return report;
  }
}

/** The ABI's form of a request head. */
function joinHead(request: Request, client: string): Head {
  let text = request.method + '\0' + request.url + '\0' + client + '\0';
  let fields = 3;
  let host = false;
  request.headers.forEach((value, name) => {
    host ||= name === 'host';
    text += name + '\0' + value + '\0';
    fields += 2;
  });
  if (!host) {
    // Some runtimes keep it out of the headers.
    text += 'host\0' + new URL(request.url).host + '\0';
    fields += 2;
  }
  return { text, fields };
}

/** The first bytes of a stream, at most `limit` of them within `ms`; null when it breaks off. */
async function readPrefix(
  stream: ReadableStream<Uint8Array> | null,
  limit: number,
  ms: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; complete: boolean } | null> {
  if (stream === null) return { bytes: new Uint8Array(0), complete: true };
  const reader = stream.getReader();
  const bytes = new Uint8Array(limit);
  let length = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null);
  });
  try {
    for (;;) {
      const next = await Promise.race([reader.read(), late]);
      if (next === null) return { bytes: bytes.slice(0, length), complete: false };
      if (next.done) return { bytes: bytes.slice(0, length), complete: true };
      const room = next.value.subarray(0, limit - length);
      bytes.set(room, length);
      length += room.length;
      if (room.length < next.value.length) return { bytes: bytes.slice(0, length), complete: false };
    }
  } catch {
    return null;
  } finally {
    if (timer !== null) clearTimeout(timer);
    // Not awaited: the other half of a clone may be read later, or never.
    reader.cancel().catch(() => {});
  }
}
