/**
 * Challenges: mutated cookies, tokens and queries are read or refused, never anything else. What was not signed here is
 * never believed, and what is read says nothing that was not written.
 */
import assert from 'node:assert/strict';
import {
  CHALLENGE_NAME,
  judgeChallenge,
  networkOf,
  parseCookie,
  parseToken,
  splitToken,
} from '../../src/agents/challenge.ts';
import { CHALLENGE_WAIT_SECONDS } from '../../src/agents/limits.ts';
import { random, spoil } from './random.ts';

const NOW = 1_800_000_000;
const PIECES = ['.', '1w', '1p', '1d', 'zzzzzzzzz', '-1', '0', 'A', '_', '%', '=', '&', '?', `${CHALLENGE_NAME}=`, ' ', ';', '\u0000', 'é', '\n', '::', '0x']; // prettier-ignore

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const key = await crypto.subtle.importKey('raw', new Uint8Array(32), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']); // prettier-ignore
  const client = { client: '192.0.2 browser', scope: 'app', place: 'h /', navigates: true };
  const first = await judgeChallenge(key, { ...client, now: NOW, cookie: '', token: '' });
  assert.ok(first.is === 'page');
  const back = { ...client, now: NOW + CHALLENGE_WAIT_SECONDS };
  const second = await judgeChallenge(key, { ...back, cookie: first.cookie, token: first.token });
  assert.ok(second.is === 'done');
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) {
    const cookie = spoil(r.pick([first.cookie, second.cookie]), r, PIECES);
    const token = spoil(r.pick([first.token, second.token, '']), r, PIECES);
    readAll(cookie, token);
    if (r.below(20) !== 0) continue;
    const { is } = await judgeChallenge(key, { ...back, cookie, token });
    const signed = [first.cookie, second.cookie].some((one) => sameSignature(one, cookie));
    if (!signed) assert.ok(is === 'page' || is === 'refused', `${is}: ${cookie} ${token}`);
    const asked = sameSignature(first.token, token) || sameSignature(second.token, token);
    if (!asked) assert.notEqual(is, 'done', `${cookie} ${token}`);
  }
  return cases;
}

function readAll(cookie: string, token: string): void {
  const read = parseCookie(cookie);
  if (read !== null) {
    for (const value of [read.expires, read.since, read.passes])
      assert.ok(Number.isSafeInteger(value) && value >= 0, cookie);
    assert.ok(read.passes < 100 && (read.kind === 'w' || read.kind === 'p'), cookie);
  }
  const asked = parseToken(token);
  if (asked !== null) assert.ok(Number.isSafeInteger(asked.issued) && asked.tries < 100, token);
  const query = `?a=b&${CHALLENGE_NAME}=${token}`;
  const split = splitToken(query);
  assert.ok(query.startsWith(split.query), query);
  if (split.token !== '')
    assert.equal(`${split.query}${split.query === '' ? '?' : '&'}${CHALLENGE_NAME}=${split.token}`, query);
  assert.ok(networkOf(token).length <= Math.max(24, token.length), token);
}

/** All but the last character of base64url, whose bits are not all looked at. */
const sameSignature = (one: string, other: string): boolean =>
  one.length === other.length && one.slice(0, -1) === other.slice(0, -1);
