import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { runRobots } from '../../test/conformance/robots.ts';
import { matches, referenceAllows } from '../../test/support/reference-robots.ts';
import { MAX_ROBOTS_AGENTS, MAX_ROBOTS_BYTES, MAX_ROBOTS_RULES } from './robots-limits.ts';
import { robotsLines, robotsText } from './robots-line.ts';
import { matchesPath, robotsPath, robotsPattern } from './robots-pattern.ts';
import { readRobots, RobotsMatcher, tokenOf } from './robots.ts';

const RUNS = 2000;
const pieces = (...texts: string[]) =>
  fc.array(fc.constantFrom(...texts), { maxLength: 12 }).map((all) => all.join(''));
const path = pieces('/', 'a', 'b', 'A', '*', '$', '%61', '%2F', '%2f', '%24', '%2A', '?', ':', 'index.html', '%3A').map(
  (text) => `/${text}`,
);
const pattern = pieces('/', 'a', 'b', '*', '**', '$', '%61', '%2F', '%24', '%2A', '?', ':', '/index.html').map(
  (text) => `/${text}`,
);

test('the cases of RFC 9309 and of Google', async () => {
  const failed = (await runRobots([], () => {})).filter(({ result }) => result === 'failed');
  assert.deepEqual(failed, []);
});

describe('held against a reference', () => {
  test('patterns', () => {
    fc.assert(
      fc.property(pattern, path, (one, asked) => {
        assert.equal(matchesPath(robotsPattern(one)!, robotsPath(asked)), matches(one, asked));
      }),
      { numRuns: RUNS },
    );
  });

  test('files', () => {
    const line = fc.oneof(
      fc.tuple(
        fc.constantFrom('User-agent', 'user-agent', 'USER-AGENT'),
        fc.constantFrom('*', 'Ibis', 'ibis/2', 'Heron x', '* x', ''),
      ),
      fc.tuple(fc.constantFrom('Allow', 'Disallow', 'disallow'), fc.oneof(pattern, fc.constant(''))),
      fc.tuple(fc.constantFrom('Sitemap', 'Crawl-delay', '# x', ''), fc.constantFrom('1', '/')),
    );
    const file = fc
      .array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n', ' # c\n')), { maxLength: 20 })
      .map((lines) => lines.map(([[key, value], end]) => `${key}: ${value}${end}`).join(''));
    fc.assert(
      fc.property(file, fc.constantFrom('Ibis', 'heron', 'Stork'), path, (text, agent, asked) => {
        const matcher = new RobotsMatcher(readRobots(text));
        assert.equal(matcher.allows(agent, asked), referenceAllows(text, agent, asked), text);
      }),
      { numRuns: RUNS },
    );
  });
});

test('lines are all of the text, whatever it is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = robotsText(bytes);
      let at = 0;
      for (const { from, to } of robotsLines(text)) {
        assert.equal(from, at);
        assert.ok(to > from);
        at = to;
      }
      assert.equal(at, text.length);
    }),
    { numRuns: RUNS },
  );
});

test('product tokens', () => {
  for (const [value, token] of [
    ['GPTBot', 'gptbot'],
    ['GPTBot/1.0 (x)', 'gptbot'],
    ['AI2Bot', 'ai2bot'],
    ['*', '*'],
    ['* x', '*'],
    ['*x', ''],
    ['', ''],
    ['é', ''],
  ] as const)
    assert.equal(tokenOf(value), token, value);
});

describe('limits', () => {
  test('MAX_ROBOTS_BYTES are read', () => {
    const end = 'Disallow: /q';
    const begin = 'User-agent: *\n#';
    const file = (more: number): Uint8Array =>
      new TextEncoder().encode(
        `${begin}${'x'.repeat(MAX_ROBOTS_BYTES - begin.length - end.length - 1 + more)}\n${end}`,
      );
    const allowed = (more: number): boolean => new RobotsMatcher(readRobots(robotsText(file(more)))).allows('x', '/q');
    assert.equal(allowed(0), false);
    assert.equal(allowed(1), false); // `Disallow: /` is left
    assert.equal(allowed(3), true);
  });

  test('MAX_ROBOTS_RULES and MAX_ROBOTS_AGENTS are read', () => {
    const rules = (count: number): string => `User-agent: *\n${'Allow: /p\n'.repeat(count - 1)}Disallow: /q\n`;
    const allowed = (text: string, agent = 'x'): boolean => new RobotsMatcher(readRobots(text)).allows(agent, '/q');
    assert.equal(allowed(rules(MAX_ROBOTS_RULES)), false);
    assert.equal(allowed(rules(MAX_ROBOTS_RULES + 1)), true);
    const agents = (count: number): string => `${'User-agent: a\n'.repeat(count - 1)}User-agent: b\nDisallow: /q\n`;
    assert.equal(allowed(agents(MAX_ROBOTS_AGENTS), 'b'), false);
    assert.equal(allowed(agents(MAX_ROBOTS_AGENTS + 1), 'b'), true);
  });

  test('names of members of objects are names of agents like others', () => {
    const matcher = new RobotsMatcher(readRobots('User-agent: constructor\nDisallow: /\n'));
    assert.equal(matcher.allows('__proto__', '/'), true);
    assert.equal(matcher.allows('constructor', '/'), false);
  });
});
