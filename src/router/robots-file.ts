/**
 * The robots.txt of an app: what its policy says, with what its origin adds. The origin's file is asked for by the app's own
 * backend, kept for as long as it says, and used on where the origin can not be reached.
 */
import { raced } from '../bytes.ts';
import { mergeRobots } from '../agents/robots-merge.ts';
import { robotsText } from '../agents/robots-line.ts';
import {
  DEFAULT_ROBOTS_SECONDS,
  MAX_ROBOTS_BYTES,
  MAX_ROBOTS_FETCHES,
  MAX_ROBOTS_FILES,
  MAX_ROBOTS_KEPT_BYTES,
  MAX_ROBOTS_REDIRECTS,
  MAX_ROBOTS_SECONDS,
  MIN_ROBOTS_SECONDS,
  ROBOTS_RETRY_SECONDS,
  ROBOTS_TIMEOUT_MS,
} from '../agents/robots-limits.ts';
import { readRobots, RobotsMatcher } from '../agents/robots.ts';
import type { Backend, Plan, RobotsPlan } from '../plan.ts';
import { authorityOf } from '../platform/authority.ts';
import { pick } from './balance.ts';
import { entityTag } from './entity.ts';
import type { Exchange } from './exchange.ts';
import { urlFor } from './target.ts';

/** What is served and judged by. */
export interface RobotsFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly etag: string;
  readonly matcher: RobotsMatcher;
  /** False: the origin has not been reached, and what it says is not known. */
  readonly complete: boolean;
}

interface Kept {
  readonly file: RobotsFile;
  freshUntil: number; // s
}

interface Fetched {
  /** The file's text; '' for none; null: the origin can not be reached. */
  readonly text: string | null;
  readonly freshSeconds: number;
}

const UNREACHABLE: Fetched = { text: null, freshSeconds: ROBOTS_RETRY_SECONDS };
const NO_FILE: Fetched = { text: '', freshSeconds: DEFAULT_ROBOTS_SECONDS };

/** Of one plan, in this isolate. */
class RobotsFiles {
  readonly #kept = new Map<string, Kept>();
  readonly #fetches = new Map<string, { readonly startedAt: number; readonly result: Promise<RobotsFile> }>();
  #managed: Promise<RobotsFile> | null = null;

  /** What is known now, however old; null: nothing. */
  known(key: string): RobotsFile | null {
    return this.#kept.get(key)?.file ?? null;
  }

  /** Without waiting; begins to fetch what is not known, or is old. */
  refresh(exchange: Exchange, plan: Plan, robots: RobotsPlan): void {
    const key = keyOf(exchange, plan, robots);
    const kept = this.#kept.get(key);
    if (kept === undefined || exchange.now >= kept.freshUntil) this.#fetch(key, exchange, plan, robots);
  }

  async get(exchange: Exchange, plan: Plan, robots: RobotsPlan): Promise<RobotsFile> {
    const key = keyOf(exchange, plan, robots);
    const kept = this.#kept.get(key);
    if (kept !== undefined && exchange.now < kept.freshUntil) return kept.file;
    const fetching = this.#fetch(key, exchange, plan, robots);
    if (fetching === null) return kept?.file ?? (await this.managed(robots));
    let timer: ReturnType<typeof setTimeout> | null = null;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, ROBOTS_TIMEOUT_MS + 500, null);
    });
    // Of somebody else, maybe, whose request the runtime dropped with all that it waited for.
    const file = await Promise.race([fetching.catch(() => null), late]);
    if (timer !== null) clearTimeout(timer);
    return file ?? kept?.file ?? (await this.managed(robots));
  }

  /** The managed part alone, while the origin's is not known. */
  managed(robots: RobotsPlan): Promise<RobotsFile> {
    return (this.#managed ??= fileOf(robots, null));
  }

  /** One fetch for all who ask meanwhile; null: there are too many. */
  #fetch(key: string, exchange: Exchange, plan: Plan, robots: RobotsPlan): Promise<RobotsFile> | null {
    const since = Date.now() - 2 * ROBOTS_TIMEOUT_MS;
    // The runtime may drop a request with all that it waits for: such a fetch never comes to its end.
    for (const [id, { startedAt }] of this.#fetches) if (startedAt < since) this.#fetches.delete(id);
    const pending = this.#fetches.get(key);
    if (pending !== undefined) return pending.result;
    if (this.#fetches.size >= MAX_ROBOTS_FETCHES) return null;
    const backend = plan.backends[robots.backend];
    // A dry run dials nobody for a file that it was not asked for.
    const asked =
      backend === undefined || exchange.platform.name === 'dry'
        ? Promise.resolve(NO_FILE)
        : askOrigin(exchange, backend);
    const result = asked.then((fetched) => this.#keep(key, robots, fetched)).finally(() => this.#fetches.delete(key));
    this.#fetches.set(key, { startedAt: Date.now(), result });
    exchange.kept = true;
    exchange.context.waitUntil(result.catch(() => {}));
    return result;
  }

  async #keep(key: string, robots: RobotsPlan, { text, freshSeconds }: Fetched): Promise<RobotsFile> {
    const now = Math.floor(Date.now() / 1000);
    const kept = this.#kept.get(key);
    const freshUntil = now + freshSeconds;
    // SPEC: RFC 9309 section 2.4: not for longer than a day, unless the file is unreachable; then what is known holds.
    if (text === null && kept?.file.complete === true) {
      kept.freshUntil = freshUntil;
      return kept.file;
    }
    const file = await fileOf(robots, text);
    this.#kept.delete(key);
    this.#kept.set(key, { file, freshUntil });
    let bytes = 0;
    for (const one of this.#kept.values()) bytes += one.file.bytes.byteLength;
    for (const [oldest, one] of this.#kept) {
      if (oldest === key || (this.#kept.size <= MAX_ROBOTS_FILES && bytes <= MAX_ROBOTS_KEPT_BYTES)) break;
      this.#kept.delete(oldest);
      bytes -= one.file.bytes.byteLength;
    }
    return file;
  }
}

const files = new WeakMap<Plan, RobotsFiles>();

function filesOf(plan: Plan): RobotsFiles {
  let found = files.get(plan);
  if (found === undefined) files.set(plan, (found = new RobotsFiles()));
  return found;
}

/** The file, fetched where it has to be: within ROBOTS_TIMEOUT_MS. */
export function robotsFile(exchange: Exchange, plan: Plan, robots: RobotsPlan): Promise<RobotsFile> {
  return filesOf(plan).get(exchange, plan, robots);
}

/** Begins to fetch what is not known. */
export function prepareRobots(exchange: Exchange, plan: Plan, robots: RobotsPlan): void {
  filesOf(plan).refresh(exchange, plan, robots);
}

/** What is known without waiting; null: nothing yet. */
export function knownRobots(exchange: Exchange, plan: Plan, robots: RobotsPlan): RobotsFile | null {
  return filesOf(plan).known(keyOf(exchange, plan, robots));
}

/** Origins that are sent the client's host have a file for each. */
function keyOf(exchange: Exchange, plan: Plan, robots: RobotsPlan): string {
  const preserved = plan.backends[robots.backend]?.endpoints.some(({ host }) => host === 'preserve') === true;
  return preserved ? exchange.authority.toLowerCase() : '';
}

async function fileOf({ text, groups, refused }: RobotsPlan, origin: string | null): Promise<RobotsFile> {
  const managed = robotsText(new TextEncoder().encode(text));
  const merged = mergeRobots(managed, origin ?? '', refused);
  // The managed part is data already; the origin's is what has to be read.
  const rest = readRobots(merged.slice(managed.length));
  const bytes = Uint8Array.from(merged, (character) => character.charCodeAt(0));
  return {
    bytes,
    etag: await entityTag(bytes),
    matcher: new RobotsMatcher([...groups, ...rest]),
    complete: origin !== null,
  };
}

/** SPEC: RFC 9309 section 2.3.1. Never rejects. */
async function askOrigin(exchange: Exchange, backend: Backend): Promise<Fetched> {
  const { platform, sticky, authority } = exchange;
  const state = pick(exchange, backend, []);
  exchange.sticky = sticky; // nobody is to stick to an endpoint that the gateway asked
  if (state === null) return UNREACHABLE;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ROBOTS_TIMEOUT_MS);
  const { signal } = abort;
  try {
    let url = urlFor({ authority, target: { host: '', path: '/robots.txt', query: '' } }, state);
    for (let redirects = 0; redirects <= MAX_ROBOTS_REDIRECTS; redirects++) {
      const headers = { accept: 'text/plain, */*;q=0.1', 'accept-encoding': 'identity', 'user-agent': 'sallyport' };
      const response = await raced(platform.dial(state.endpoint, url, { headers, redirect: 'manual', signal }), signal);
      const { status } = response;
      if (status >= 200 && status < 300) return await read(response, signal);
      response.body?.cancel().catch(() => {});
      if (status < 200 || status >= 500) return UNREACHABLE;
      if (status < 300 || status >= 400) return NO_FILE;
      const next = URL.parse(response.headers.get('location') ?? '', url);
      // Elsewhere is not this app's backend, and whatever it is, no business of the gateway.
      if (next === null || ![authorityOf(url), authority].includes(next.host)) return NO_FILE;
      url = `${state.scheme}${authorityOf(url)}${next.pathname}${next.search}`;
    }
    return NO_FILE;
  } catch {
    return UNREACHABLE;
  } finally {
    clearTimeout(timer);
    abort.abort(); // whatever was not read is not wanted
  }
}

async function read(response: Response, signal: AbortSignal): Promise<Fetched> {
  const type = (response.headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  const encoded = !/^(?:|identity)$/i.test((response.headers.get('content-encoding') ?? '').trim());
  // A page for whatever is asked for is no robots.txt; nor is what comes in an encoding that was not asked for.
  if (type === 'text/html' || type === 'application/xhtml+xml' || encoded) {
    response.body?.cancel().catch(() => {});
    return NO_FILE;
  }
  const bytes = await beginning(response.body as ReadableStream<Uint8Array> | null, signal);
  return { text: robotsText(bytes), freshSeconds: freshness(response.headers) };
}

/** The first MAX_ROBOTS_BYTES. */
async function beginning(stream: ReadableStream<Uint8Array> | null, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(MAX_ROBOTS_BYTES);
  if (stream === null) return new Uint8Array(0);
  const reader = stream.getReader();
  let length = 0;
  while (length < MAX_ROBOTS_BYTES) {
    const { done, value } = await raced(reader.read(), signal);
    if (done) break;
    const room = value.subarray(0, MAX_ROBOTS_BYTES - length);
    bytes.set(room, length);
    length += room.byteLength;
  }
  reader.cancel().catch(() => {});
  return bytes.subarray(0, length);
}

/** SPEC: RFC 9309 section 2.4: Cache-Control may be used; within our bounds. */
function freshness(headers: Headers): number {
  const control = (headers.get('cache-control') ?? '').toLowerCase();
  if (/(?:^|[\s,])no-(?:store|cache)(?:$|[\s,=])/.test(control)) return MIN_ROBOTS_SECONDS;
  const maxAge = /(?:^|[\s,])max-age="?([0-9]{1,9})/.exec(control)?.[1];
  const seconds = maxAge === undefined ? DEFAULT_ROBOTS_SECONDS : Number(maxAge);
  return Math.min(Math.max(seconds, MIN_ROBOTS_SECONDS), MAX_ROBOTS_SECONDS);
}
