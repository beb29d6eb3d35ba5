/**
 * A challenge without script: a page that loads itself again, with a token in its query, after a moment. Who keeps a cookie,
 * reads HTML and waits is let in for a while. It stops no browser that is driven by a program and no program that is
 * written for it; it stops what fetches pages blindly, which most crawlers do.
 *
 * No state is kept: cookie and token are signed. A client does not loop by itself, whatever becomes of its cookies, its address
 * or its patience: the chain of what a browser does is
 *   page -> token -> DONE -> the page that was asked for
 * where a token says which try it is of, and DONE, to which leads what gives a pass, is believed with that pass only. The
 * cookie counts passes, so who is given one again and again (its address changes all the time) is told so. What is left is a
 * client that keeps a cookie for three requests and forgets it for the fourth: it is asked as often as it forgets.
 */
import { base64Url, bytesOfBase64Url } from './json-web-key.ts';
import {
  CHALLENGE_TRIES,
  CHALLENGE_WAIT_SECONDS,
  MAX_PASSES,
  PASS_SECONDS,
  PASS_WINDOW_SECONDS,
  TOKEN_SECONDS,
} from './limits.ts';

/** Of the cookie, and of the parameter in the query. */
export const CHALLENGE_NAME = 'sallyport-challenge';

const COOKIE = /^1([wp])\.([0-9a-z]{1,9})\.([0-9a-z]{1,9})\.([0-9]{1,2})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;
const TOKEN = /^1([wd])\.([0-9a-z]{1,9})\.([0-9]{1,2})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;

/** What a client keeps. Seconds since the epoch. */
export interface ChallengeCookie {
  /** `w`: it waits, `p`: it has passed. */
  readonly kind: 'w' | 'p';
  readonly expires: number;
  /** When its passes began to be counted, and how many there were. */
  readonly since: number;
  readonly passes: number;
  /** Hash of the client that it was given to. */
  readonly client: string;
  readonly signature: string;
}

export interface ChallengeToken {
  /** `w`: to be brought back after a moment, `d`: done. */
  readonly kind: 'w' | 'd';
  readonly issued: number;
  readonly tries: number;
  readonly client: string;
  readonly signature: string;
}

/** Null: not of ours, whatever it is. What is read is believed once its signature is checked. */
export function parseCookie(text: string): ChallengeCookie | null {
  const [, kind, expires, since, passes, client, signature] = COOKIE.exec(text) ?? [];
  if (signature === undefined) return null;
  return {
    kind: kind as 'w' | 'p',
    expires: parseInt(expires!, 36),
    since: parseInt(since!, 36),
    passes: Number(passes),
    client: client!,
    signature,
  };
}

export function parseToken(text: string): ChallengeToken | null {
  const [, kind, issued, tries, client, signature] = TOKEN.exec(text) ?? [];
  if (signature === undefined) return null;
  return { kind: kind as 'w' | 'd', issued: parseInt(issued!, 36), tries: Number(tries), client: client!, signature };
}

/** The token of a raw query with its `?`, and what it was without: a token stands last, where the page put it. */
export function splitToken(query: string): { readonly query: string; readonly token: string } {
  const at = query.lastIndexOf(`${CHALLENGE_NAME}=`);
  if (at < 1 || query[at - 1] !== (at === 1 ? '?' : '&')) return { query, token: '' };
  const token = query.slice(at + CHALLENGE_NAME.length + 1);
  return token.includes('&') ? { query, token: '' } : { query: query.slice(0, at - 1), token };
}

export interface ChallengeInput {
  readonly now: number; // seconds since the epoch
  /** Value of the cookie, '' for none. */
  readonly cookie: string;
  /** Of the query, '' for none. */
  readonly token: string;
  /** Who it is: the network of its address, and its user agent. */
  readonly client: string;
  /** The place that was asked for, without the token: application, host, path and query. */
  readonly scope: string;
  readonly place: string;
  /** Whether it is a browser that goes to a page, as far as it says. */
  readonly navigates: boolean;
}

export type ChallengeOutcome =
  | { readonly is: 'passed' }
  /** Back to the place, without the token. */
  | { readonly is: 'return' }
  /** The page; `cookie` is '' where the client keeps the one it has. */
  | { readonly is: 'page'; readonly token: string; readonly cookie: string }
  /** To the place with this token, which has to come with the cookie. */
  | { readonly is: 'done'; readonly token: string; readonly cookie: string }
  | { readonly is: 'refused'; readonly why: 'not-a-page' | 'cookies' | 'changes' | 'tries' };

/** Decides about one request. `key`: HMAC with SHA-256. */
export async function judgeChallenge(key: CryptoKey, input: ChallengeInput): Promise<ChallengeOutcome> {
  const { now, navigates } = input;
  const client = (await sign(key, ['client', input.scope, input.client])).slice(0, 22);
  const kept = await readCookie(key, input);
  const mine = kept !== null && kept.client === client;
  const passed = mine && kept.kind === 'p';
  if (passed && (input.token === '' || !navigates)) return { is: 'passed' };
  if (!navigates) return { is: 'refused', why: 'not-a-page' };
  // With a pass, whatever stands in the query is of the past.
  if (passed) return { is: 'return' };

  const passes = kept === null || now - kept.since > PASS_WINDOW_SECONDS ? 0 : kept.passes;
  const since = passes === 0 ? now : kept!.since;
  const cookie = (kind: 'w' | 'p'): Promise<string> =>
    writeCookie(key, input.scope, {
      ...{ kind, since, client, expires: now + (kind === 'p' ? PASS_SECONDS : PASS_WINDOW_SECONDS) },
      passes: passes + (kind === 'p' ? 1 : 0),
    });
  const page = async (tries: number, issued = now): Promise<ChallengeOutcome> => {
    if (tries > CHALLENGE_TRIES) return { is: 'refused', why: 'tries' };
    if (passes >= MAX_PASSES) return { is: 'refused', why: 'changes' };
    const token = await writeToken(key, input, { kind: 'w', issued, tries, client });
    return { is: 'page', token, cookie: mine ? '' : await cookie('w') };
  };

  const token = await readToken(key, input);
  // None, one of another place, or an old one, of a bookmark perhaps.
  if (token === null) return page(1);
  if (token.client !== client || (kept !== null && !mine)) return page(token.tries + 1);
  if (kept === null) return { is: 'refused', why: 'cookies' };
  // Another tab was given a page meanwhile, whose cookie took the place of the pass.
  if (token.kind === 'd') return page(token.tries + 1);
  if (now - token.issued < CHALLENGE_WAIT_SECONDS) return page(token.tries + 1, token.issued);
  if (passes >= MAX_PASSES) return { is: 'refused', why: 'changes' };
  const done = await writeToken(key, input, { kind: 'd', issued: now, tries: token.tries, client });
  return { is: 'done', token: done, cookie: await cookie('p') };
}

type Unsigned<T extends { readonly signature: string }> = Omit<T, 'signature'>;

async function writeCookie(key: CryptoKey, scope: string, cookie: Unsigned<ChallengeCookie>): Promise<string> {
  const { kind, expires, since, passes, client } = cookie;
  const text = `1${kind}.${expires.toString(36)}.${since.toString(36)}.${passes}.${client}`;
  return `${text}.${await sign(key, ['cookie', scope, text])}`;
}

async function readCookie(
  key: CryptoKey,
  { cookie: text, scope, now }: ChallengeInput,
): Promise<ChallengeCookie | null> {
  const cookie = parseCookie(text);
  if (cookie === null || cookie.expires <= now) return null;
  const signed = text.slice(0, text.lastIndexOf('.'));
  return (await holds(key, ['cookie', scope, signed], cookie.signature)) ? cookie : null;
}

async function writeToken(
  key: CryptoKey,
  { scope, place }: ChallengeInput,
  { kind, issued, tries, client }: Unsigned<ChallengeToken>,
): Promise<string> {
  const text = `1${kind}.${issued.toString(36)}.${tries}.${client}`;
  return `${text}.${await sign(key, ['token', scope, place, text])}`;
}

async function readToken(key: CryptoKey, input: ChallengeInput): Promise<ChallengeToken | null> {
  const { token: text, scope, place, now } = input;
  const token = parseToken(text);
  if (token === null || now - token.issued > TOKEN_SECONDS) return null;
  const signed = text.slice(0, text.lastIndexOf('.'));
  return (await holds(key, ['token', scope, place, signed], token.signature)) ? token : null;
}

const encoder = new TextEncoder();
/** In JSON, so that no part can run into the next. */
const bytesOf = (parts: readonly string[]): Uint8Array<ArrayBuffer> =>
  encoder.encode(JSON.stringify(parts)) as Uint8Array<ArrayBuffer>;

async function sign(key: CryptoKey, parts: readonly string[]): Promise<string> {
  return base64Url(new Uint8Array(await crypto.subtle.sign('HMAC', key, bytesOf(parts))));
}

/** In constant time: the comparison is that of WebCrypto. */
async function holds(key: CryptoKey, parts: readonly string[], signature: string): Promise<boolean> {
  return await crypto.subtle.verify('HMAC', key, bytesOfBase64Url(signature), bytesOf(parts));
}

/**
 * The network of an address: /24 of IPv4, /48 of IPv6. Clients move within these (mobile networks, private addresses of
 * IPv6), and a pass must move with them. What is no address stands for itself.
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address.split('.').slice(0, 3).join('.');
  const [before = '', after] = address.split('%', 1)[0]!.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const gap = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  const groups = [...head, ...Array<string>(gap).fill('0'), ...tail];
  return groups
    .slice(0, 3)
    .map((group) => (parseInt(group, 16) || 0).toString(16))
    .join(':');
}
