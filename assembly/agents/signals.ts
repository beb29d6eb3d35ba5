// What a request says about automation beside the name of its user agent: headers that contradict each other, or that every
// browser sends and this one does not. Each is a signal with a weight; none of them is enough alone. See SIGNAL_* in abi.ts.
import {
  AUTOMATED_SCORE,
  MAX_SIGNAL_TEXT,
  SIGNAL_ACCEPT_ANY,
  SIGNAL_COUNT,
  SIGNAL_CRAWLER,
  SIGNAL_ENCODING_ABSENT,
  SIGNAL_FETCH_ABSENT,
  SIGNAL_FETCH_CONTRADICTS,
  SIGNAL_HEADLESS,
  SIGNAL_HINTS_ABSENT,
  SIGNAL_HINTS_FOREIGN,
  SIGNAL_HINTS_MOBILE,
  SIGNAL_HINTS_PLATFORM,
  SIGNAL_HINTS_VERSION,
  SIGNAL_LANGUAGE_ABSENT,
  SIGNAL_LIBRARY,
  SIGNAL_USER_AGENT_ABSENT,
  WEIGHT_ACCEPT_ANY,
  WEIGHT_CRAWLER,
  WEIGHT_ENCODING_ABSENT,
  WEIGHT_FETCH_ABSENT,
  WEIGHT_FETCH_CONTRADICTS,
  WEIGHT_HEADLESS,
  WEIGHT_HINTS_ABSENT,
  WEIGHT_HINTS_FOREIGN,
  WEIGHT_HINTS_MOBILE,
  WEIGHT_HINTS_PLATFORM,
  WEIGHT_HINTS_VERSION,
  WEIGHT_LANGUAGE_ABSENT,
  WEIGHT_LIBRARY,
  WEIGHT_USER_AGENT_ABSENT,
} from './abi';
import { RESULT_SCORE, RESULT_SIGNALS } from '../abi';
import { alloc, spend } from '../arena';
import { headerEntryNamed, headerValueAt, headerValueLength } from '../headers';
import * as request from '../request';
import { setResult } from '../result';
import { atOf, lengthOf, newArray, span } from '../values';
import { agentCategory, agentKnown } from './identity';

let known: bool = false;
let bits: u32 = 0;
let score: i32 = 0;

/** At the start of every call. */
export function startSignals(): void {
  known = false;
}

/** SIGNAL_* bits of the request; worked out on first use. Comes after the identity is concluded. */
export function signalBits(): u32 {
  if (!known) weigh();
  return bits;
}
/** 0 to 100. */
export function signalScore(): i32 {
  if (!known) weigh();
  return score;
}
export function isAutomated(): bool {
  return signalScore() >= AUTOMATED_SCORE;
}

/** The names of the signals, as an array of strings; 0 when the arena is exhausted. */
export function signalNames(): u64 {
  const all = signalBits();
  const count = popcnt(all);
  const array = newArray(count);
  if (array == 0) return 0;
  let to = array;
  for (let signal = 0; signal < SIGNAL_COUNT; signal++) {
    if ((all & (1 << signal)) == 0) continue;
    const name = nameOf(signal);
    const at = alloc(name.length);
    if (at == 0) return 0;
    for (let i = 0; i < name.length; i++) store<u8>(at + <usize>i, <u8>name.charCodeAt(i));
    store<u64>(to, span(at, name.length));
    to += 8;
  }
  return span(array, count);
}

/** As src/router/signals.ts has them. */
function nameOf(signal: i32): string {
  switch (signal) {
    case SIGNAL_CRAWLER: return 'crawler';
    case SIGNAL_LIBRARY: return 'library';
    case SIGNAL_HEADLESS: return 'headless';
    case SIGNAL_USER_AGENT_ABSENT: return 'user-agent-absent';
    case SIGNAL_HINTS_ABSENT: return 'hints-absent';
    case SIGNAL_HINTS_FOREIGN: return 'hints-foreign';
    case SIGNAL_HINTS_VERSION: return 'hints-version';
    case SIGNAL_HINTS_PLATFORM: return 'hints-platform';
    case SIGNAL_HINTS_MOBILE: return 'hints-mobile';
    case SIGNAL_FETCH_ABSENT: return 'fetch-absent';
    case SIGNAL_FETCH_CONTRADICTS: return 'fetch-contradicts';
    case SIGNAL_ACCEPT_ANY: return 'accept-any';
    case SIGNAL_LANGUAGE_ABSENT: return 'language-absent';
  }
  return 'encoding-absent';
}

function add(signal: i32, weight: i32): void {
  bits |= 1 << signal;
  score = min(100, score + weight);
}

function weigh(): void {
  known = true;
  bits = 0;
  score = 0;
  spend(MAX_SIGNAL_TEXT);
  const table = request.headers;
  const userAgent = request.userAgent;
  const agentAt: usize = userAgent < 0 ? 0 : headerValueAt(table, userAgent);
  const agentLength = userAgent < 0 ? 0 : min(headerValueLength(table, userAgent), MAX_SIGNAL_TEXT);

  const hints = headerEntryNamed(table, 'sec-ch-ua');
  if (agentKnown && lengthOf(agentCategory) > 0) {
    if (same(agentCategory, 'library')) add(SIGNAL_LIBRARY, WEIGHT_LIBRARY);
    else if (same(agentCategory, 'automation')) add(SIGNAL_HEADLESS, WEIGHT_HEADLESS);
    else add(SIGNAL_CRAWLER, WEIGHT_CRAWLER);
  }
  if ((bits & (1 << SIGNAL_HEADLESS)) == 0 && after(valueAt(hints), valueLength(hints), 'HeadlessChrome') != 0) {
    add(SIGNAL_HEADLESS, WEIGHT_HEADLESS);
  }
  if (agentLength == 0) add(SIGNAL_USER_AGENT_ABSENT, WEIGHT_USER_AGENT_ABSENT);
  if (headerEntryNamed(table, 'accept-language') == 0) add(SIGNAL_LANGUAGE_ABSENT, WEIGHT_LANGUAGE_ABSENT);
  if (headerEntryNamed(table, 'accept-encoding') == 0) add(SIGNAL_ENCODING_ABSENT, WEIGHT_ENCODING_ABSENT);

  const chrome = after(agentAt, agentLength, ' Chrome/');
  const major = chrome == 0 ? 0 : number(chrome, agentAt + <usize>agentLength);
  const firefox = chrome == 0 ? versionOf(agentAt, agentLength, ' Firefox/') : 0;
  const safari = chrome == 0 && firefox == 0 && after(agentAt, agentLength, ' Safari/') != 0 ? versionOf(agentAt, agentLength, ' Version/') : 0;
  const browser = chrome != 0 || firefox != 0 || safari != 0;
  const bare = agentKnown || agentLength < 8 || !begins(agentAt, 'Mozilla/', 0); // it does not even look like one
  const view = after(agentAt, agentLength, '; wv)') != 0; // an app's window: its user agent is the app's to choose

  if (chrome != 0) compareHints(table, hints, agentAt, agentLength, major, view);
  else if (browser && hints != 0) add(SIGNAL_HINTS_FOREIGN, WEIGHT_HINTS_FOREIGN);
  compareFetch(table, browser && !view, chrome != 0 ? major : 0, firefox, safari, bare);
}

function versionOf(at: usize, length: i32, token: string): i32 {
  const start = after(at, length, token);
  return start == 0 ? 0 : number(start, at + <usize>length);
}

/** Client hints against the user agent of a browser of the Chromium family. */
function compareHints(table: usize, hints: usize, agentAt: usize, agentLength: i32, major: i32, view: bool): void {
  if (hints == 0) {
    // SPEC: client hints are for secure contexts, by default since Chromium 89.
    if (major >= 89 && !view && isSecure(table)) add(SIGNAL_HINTS_ABSENT, WEIGHT_HINTS_ABSENT);
    return;
  }
  const brand = after(valueAt(hints), valueLength(hints), '"Chromium";v="');
  if (brand != 0 && number(brand, valueAt(hints) + <usize>valueLength(hints)) != major) {
    add(SIGNAL_HINTS_VERSION, WEIGHT_HINTS_VERSION);
  }
  const mobile = headerEntryNamed(table, 'sec-ch-ua-mobile');
  if (valueLength(mobile) == 2) {
    const says = load<u8>(valueAt(mobile), 1) == 0x31;
    const is = after(agentAt, agentLength, ' Mobile') != 0;
    if (says != is) add(SIGNAL_HINTS_MOBILE, WEIGHT_HINTS_MOBILE);
  }
  const platform = headerEntryNamed(table, 'sec-ch-ua-platform');
  const says = platformOf(valueAt(platform), valueLength(platform), true);
  const is = platformOf(agentAt, agentLength, false);
  if (says != 0 && is != 0 && says != is) add(SIGNAL_HINTS_PLATFORM, WEIGHT_HINTS_PLATFORM);
}

/** 1 Windows, 2 macOS, 3 Android, 4 ChromeOS, 5 Linux; 0: another, or not told. */
function platformOf(at: usize, length: i32, hint: bool): i32 {
  if (after(at, length, 'Windows') != 0) return 1;
  if (after(at, length, hint ? 'macOS' : 'Macintosh') != 0) return 2;
  if (after(at, length, 'Android') != 0) return 3;
  if (after(at, length, hint ? ' OS"' : 'CrOS ') != 0) return 4;
  return after(at, length, 'Linux') != 0 ? 5 : 0;
}

/** Fetch metadata against itself, and Accept against it. */
function compareFetch(table: usize, must: bool, chrome: i32, firefox: i32, safari: i32, bare: bool): void {
  const mode = headerEntryNamed(table, 'sec-fetch-mode');
  const site = headerEntryNamed(table, 'sec-fetch-site');
  const destination = headerEntryNamed(table, 'sec-fetch-dest');
  const user = headerEntryNamed(table, 'sec-fetch-user');
  if ((mode | site | destination) == 0) {
    // SPEC: Fetch Metadata goes to trustworthy origins alone. Versions of Safari have a minor one: 17 is sure to send it.
    if (must && (chrome >= 80 || firefox >= 90 || safari >= 17) && isSecure(table)) add(SIGNAL_FETCH_ABSENT, WEIGHT_FETCH_ABSENT);
  }
  const navigates = is(mode, 'navigate');
  if (navigates) {
    const length = valueLength(destination);
    const page =
      is(destination, 'document') ||
      is(destination, 'iframe') ||
      is(destination, 'frame') ||
      is(destination, 'fencedframe') ||
      is(destination, 'embed') ||
      is(destination, 'object');
    if (length == 0 || !page) add(SIGNAL_FETCH_CONTRADICTS, WEIGHT_FETCH_CONTRADICTS);
  } else if (user != 0 && mode != 0) add(SIGNAL_FETCH_CONTRADICTS, WEIGHT_FETCH_CONTRADICTS);
  const accept = headerEntryNamed(table, 'accept');
  // What a page loads is often asked for with `*/*`; a page is not.
  if ((navigates || (bare && mode == 0)) && (accept == 0 || is(accept, '*/*'))) add(SIGNAL_ACCEPT_ANY, WEIGHT_ACCEPT_ANY);
}

/** Whether the client came over TLS, as far as it is known: a trusted proxy may have ended that. */
function isSecure(table: usize): bool {
  if (request.schemeLength == 5) return true;
  return request.trusted && is(headerEntryNamed(table, 'x-forwarded-proto'), 'https');
}

// @ts-ignore: decorator
@inline
function valueAt(entry: usize): usize {
  return entry == 0 ? 0 : <usize>load<u32>(entry, 8);
}
/** At most MAX_SIGNAL_TEXT. */
// @ts-ignore: decorator
@inline
function valueLength(entry: usize): i32 {
  return entry == 0 ? 0 : min(load<i32>(entry, 12), MAX_SIGNAL_TEXT);
}

/** Whether the value of a header is this, in any case. */
function is(entry: usize, text: string): bool {
  return entry != 0 && load<i32>(entry, 12) == text.length && begins(load<u32>(entry, 8), text, 0x20);
}

function same(value: u64, text: string): bool {
  return lengthOf(value) == text.length && begins(atOf(value), text, 0);
}

function begins(at: usize, text: string, fold: u8): bool {
  for (let i = 0; i < text.length; i++) {
    const byte = load<u8>(at + <usize>i);
    const wanted = <u8>text.charCodeAt(i);
    if (byte != wanted && ((byte | fold) != wanted || byte - 0x41 >= 26)) return false;
  }
  return true;
}

/** Where the text goes on behind the first `token`, 0 when it is not there. */
function after(at: usize, length: i32, token: string): usize {
  const size = token.length;
  const last = at + <usize>max(length - size, -1);
  if (length < size) return 0;
  const first = <u8>token.charCodeAt(0);
  for (let p = at; p <= last; p++) {
    if (load<u8>(p) == first && begins(p, token, 0)) return p + <usize>size;
  }
  return 0;
}

/** Up to five digits. */
function number(at: usize, end: usize): i32 {
  let value = 0;
  const stop = min(end, at + 5);
  for (let p = at; p < stop; p++) {
    const digit = <u32>load<u8>(p) - 0x30;
    if (digit > 9) break;
    value = value * 10 + <i32>digit;
  }
  return value;
}

/** Works the signals out and tells them to the host. */
export function tellSignals(): void {
  setResult(RESULT_SCORE, signalScore());
  setResult(RESULT_SIGNALS, <i32>signalBits());
}
/** The same, where something asked for them already. */
export function tellKnownSignals(): void {
  if (known) tellSignals();
}
