/**
 * The matchers of the Core Rule Set against V8, over texts made from its own patterns. Nothing of it is in this repository:
 * its data is looked for in a folder, and without it these tests are skipped.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { gzipSync } from 'node:zlib';
import { OPERATOR_PM, OPERATOR_RX } from '../../../assembly/waf/abi.ts';
import { dataFolder } from '../../../test/data.ts';
import { matcherEngine } from '../../../test/support/matchers.ts';
import { mutate, nativeOf, picker, sample } from '../../../test/support/pattern-texts.ts';
import { parse } from '../regex/parse.ts';
import { readRuleSet, type Link, type RuleEntry } from '../seclang/index.ts';
import { compileMatchers, type CompiledMatchers, type MatcherLimits, type MatcherSource } from './matchers.ts';

const [CRS, skip] = locate();

function locate(): [folder: string, skip: string | false] {
  try {
    return [dataFolder('crs'), false];
  } catch (error) {
    return ['', String(error)];
  }
}

// V8 backtracks: on some of these texts for minutes, were it not told to turn to an engine that is linear.
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');

const TEXTS = 600;

describe('the matchers of the Core Rule Set', { skip }, () => {
  const sources = skip === false ? read() : [];
  const checked = differences(sources);

  test('are compiled within their sizes, and find what V8 finds', async () => {
    const compiled = await compileMatchers(sources);
    const { section, count, problems, report } = compiled;
    assert.deepEqual(problems, []);
    assert.ok(count > 250 && count < sources.length, `${count} of ${sources.length}`);
    assert.ok(report!.partial <= 21, `${report!.partial} regexes have a partial automaton`);
    assert.ok(section.length < 16 * 2 ** 20, `${section.length} bytes`);
    assert.ok(gzipSync(section).length < 1_000_000, `${gzipSync(section).length} bytes compressed`);
    assert.deepEqual(await checked(compiled), []);
  });

  // The paths that the texts above take rarely.
  const paths: readonly [string, Partial<MatcherLimits>][] = [
    ['without literals', { literals: false, completeStates: 512, partialStates: 64, binStates: 512 }],
    ['in partial automata of few states', { completeStates: 64, partialStates: 8, binStates: 0 }],
    ['by positions alone', { completeStates: 0, partialStates: 0 }],
  ];
  for (const [name, limits] of paths) {
    test(`find what V8 finds, ${name}`, async () => {
      assert.deepEqual(await checked(await compileMatchers(sources, { limits })), []);
    });
  }
});

function read(): MatcherSource[] {
  const { ruleSet } = readRuleSet({
    name: 'crs',
    entry: [`${CRS}/rules/*.conf`],
    readFile: (path) => (existsSync(path) ? readFileSync(path) : null),
    listFolder: (path) => (existsSync(path) ? readdirSync(path) : null),
  });
  return ruleSet.entries.flatMap((entry) =>
    entry.kind === 'rule' ? entry.links.flatMap((link) => sourceOf(entry, link)) : [],
  );
}

function sourceOf({ phase, tags }: RuleEntry, { operator, capture }: Link): MatcherSource[] {
  const level = tags.find((tag) => tag.startsWith('paranoia-level/'))?.slice(-1) ?? 1;
  const group = { paranoia: Number(level), direction: phase > 2 ? 'response' : 'request', pipeline: '' } as const;
  if (operator.operator === OPERATOR_PM) return [{ kind: 'pm', phrases: operator.phrases, group }];
  if (operator.operator !== OPERATOR_RX) return [];
  return [{ kind: 'rx', pattern: operator.argument.join(''), captures: capture, group }];
}

/** Texts of which a few patterns each match, with what V8 says of them; then what an engine says otherwise. */
function differences(sources: readonly MatcherSource[]): (compiled: CompiledMatchers) => Promise<string[]> {
  const pick = picker(20260702);
  const distinct = [...new Map(sources.map((source) => [key(source), source])).values()];
  const first = distinct.map((source) => sources.findIndex((other) => key(other) === key(source)));
  const tests = distinct.map(native);
  const samples = distinct.map((source) => {
    if (source.kind !== 'rx') return () => ('phrases' in source ? source.phrases[pick(source.phrases.length)]! : '');
    const { root } = parse(source.pattern, { dotAll: true }, 65536);
    return () => sample(root, pick);
  });
  const texts = Array.from({ length: sources.length === 0 ? 0 : TEXTS }, (_, index) => {
    let text = samples[index % samples.length]!();
    for (let times = pick(4); times > 0; times--) text = mutate(text, samples[pick(samples.length)]!(), pick);
    return text.slice(0, 120).replace(/[^\0-\x7f]/g, '~');
  });
  const expected = texts.map((text) => tests.map((matches) => matches(text)));
  return async ({ section, matchers, count }) => {
    const engine = await matcherEngine();
    assert.ok(engine.open(section, count));
    return texts.flatMap((text, index) => {
      const hits = new Set(engine.match(text));
      return distinct.flatMap((source, i) => {
        if (hits.has(matchers[first[i]!]!) === expected[index]![i]) return [];
        return [`${key(source).slice(0, 80)} on ${JSON.stringify(text)}: ${expected[index]![i]} in V8`];
      });
    });
  };
}

function key(source: MatcherSource): string {
  if (source.kind === 'rx') return source.pattern;
  return JSON.stringify('phrases' in source ? source.phrases : source);
}

function native(source: MatcherSource): (text: string) => boolean {
  if (source.kind === 'rx') {
    const regex = nativeOf(source.pattern);
    return (text) => regex.test(text);
  }
  const phrases = 'phrases' in source ? source.phrases.map((phrase) => phrase.toLowerCase()) : [];
  return (text) => {
    const lower = text.toLowerCase();
    return phrases.some((phrase) => lower.includes(phrase));
  };
}
