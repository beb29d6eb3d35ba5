/** robots.txt: mutated files are read to their end, and answer as the reference does where they are of ASCII. */
import assert from 'node:assert/strict';
import { robotsLines, robotsText } from '../../src/agents/robots-line.ts';
import { readRobots, RobotsMatcher } from '../../src/agents/robots.ts';
import { referenceAllows } from '../support/reference-robots.ts';
import { random, spoil, type Random } from './random.ts';

const PIECES = ['User-agent: ', 'user-agent:', 'Allow: /', 'Disallow: /', 'Disallow:', 'Sitemap: x', '*', '$', '#', ':', '\n', '\r', '\r\n', ' ', '\t', '/', '%61', '%2F', '%', '?', 'Ibis', 'Heron', 'a', '/index.html', '\0', 'é', '\ufeff', '😀']; // prettier-ignore
const SEEDS = [
  'User-agent: *\nDisallow: /private/\nAllow: /private/open$\n\nUser-agent: Ibis\nDisallow: /*.png$\nAllow: /\n',
  'User-agent: Ibis\nUser-agent: Heron\nDisallow: /a*b*c\nAllow: /a/index.html\nSitemap: https://x/\nDisallow: /%61/b?c=d\n',
];
const PATHS = [
  '/',
  '/private/x',
  '/private/open',
  '/a.png',
  '/a/',
  '/axbxc',
  '/a/b?c=d',
  '/%61',
  '/é',
  '/a%2Fb',
  '/robots.txt',
];

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) judge(spoil(r.pick(SEEDS), r, PIECES, 6), r);
  return Promise.resolve(cases);
}

function judge(file: string, r: Random): void {
  const text = robotsText(new TextEncoder().encode(file));
  let at = 0;
  for (const line of robotsLines(text)) {
    assert.equal(line.from, at);
    at = line.to;
  }
  assert.equal(at, text.length, JSON.stringify(file));
  const matcher = new RobotsMatcher(readRobots(text));
  const agent = r.pick(['Ibis', 'heron', 'Stork', '*', '']);
  const path = r.pick(PATHS);
  const ours = matcher.allows(agent, path);
  assert.equal(matcher.allows(agent, path), ours, 'asked again');
  // What is forgiven beyond the RFC, and what is not ASCII, the reference does not know.
  if (!/^[\t\n\r -~]*$/.test(file) || !/^[!-~]*$/.test(path) || agent === '' || agent === '*') return;
  if ([...robotsLines(text)].some(({ kind, from, to }) => forgiven(kind, text.slice(from, to)))) return;
  assert.equal(ours, referenceAllows(text, agent, path), JSON.stringify([file, agent, path]));
}

function forgiven(kind: string, line: string): boolean {
  return kind !== 'none' && kind !== 'other' && !/^\s*(?:user-agent|allow|disallow|sitemap)\s*:/i.test(line);
}
