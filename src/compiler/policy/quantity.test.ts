import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration, parsePercent, parseSize } from './quantity.ts';

test('durations are those of the Gateway API', () => {
  const cases: [string, number | null][] = [
    ['10s', 10_000],
    ['1h30m', 5_400_000],
    ['500ms', 500],
    ['0s', 0],
    ['1h1m1s1ms', 3_661_001],
    ['1m1m', 120_000],
    ['', null],
    ['10', null],
    ['0', null],
    ['1.5s', null],
    ['-1s', null],
    ['1d', null],
    ['100000s', null],
    ['1s1s1s1s1s', null],
    ['1 s', null],
    ['s', null],
  ];
  for (const [text, expected] of cases) assert.equal(parseDuration(text), expected, text);
});

test('sizes count in 1024s, however spelled', () => {
  const cases: [string, number | null][] = [
    ['128KB', 131_072],
    ['128KiB', 131_072],
    ['1MB', 1_048_576],
    ['7B', 7],
    ['0B', 0],
    ['7', null],
    ['1GB', null],
    ['1kb', null],
    ['1.5MB', null],
    ['', null],
  ];
  for (const [text, expected] of cases) assert.equal(parseSize(text), expected, text);
});

test('percentages go to 100', () => {
  const cases: [string, number | null][] = [
    ['20%', 20],
    ['0%', 0],
    ['100%', 100],
    ['12.5%', 12.5],
    ['101%', null],
    ['20', null],
    ['-1%', null],
    ['%', null],
  ];
  for (const [text, expected] of cases) assert.equal(parsePercent(text), expected, text);
});
