import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from './formula.ts';
import { quantile, Report, verify, type Result } from './runner.ts';

const rows = new Map([
  ['cpu.a', 110],
  ['cpu.b', 100],
]);
const valueOf = (id: string): number => rows.get(id) ?? Number.NaN;

test('a formula is arithmetic with one comparison', () => {
  assert.deepEqual(judge('cpu.a / cpu.b <= 1.1', valueOf), { measured: 1.1, limit: 1.1, holds: true });
  assert.equal(judge('cpu.a / cpu.b < 1.1', valueOf).holds, false);
  assert.equal(judge('(cpu.a - cpu.b) * 2 + 1 >= 3 * 7', valueOf).measured, 21);
  assert.equal(judge('-cpu.a > -200', valueOf).holds, true);
  assert.equal(judge('missing / cpu.b <= 5', valueOf).holds, false);
  for (const bad of ['cpu.a', 'cpu.a <= ', 'cpu.a <= 1 2', 'cpu.a <= (1', '<= 1', 'cpu.a $ 2 <= 1']) {
    assert.throws(() => judge(bad, valueOf), /cannot read/, bad);
  }
});

test('quantiles interpolate', () => {
  assert.equal(quantile([3, 1, 2], 0.5), 2);
  assert.equal(quantile([4, 1, 2, 3], 0.5), 2.5);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

test('verify finds a changed sample, median, measured figure and verdict', () => {
  const report = new Report('x');
  report.row('a', 'p', 'c', 'us', [1, 2, 3]);
  report.row('b', 'p', 'c', 'us', [2, 4, 6]);
  report.row('none', 'p', 'c', 'us', []);
  report.goal('half', 'a is at most half of b', 'a / b <= 0.5', 'x');
  report.goal('never', 'not measured', 'none / b <= 9', 'x');
  const text = JSON.stringify({ benchmark: 'x', rows: report.rows, goals: report.goals });
  assert.deepEqual(
    report.goals.map((goal) => goal.holds),
    [true, false],
  );
  const changed = (change: (result: any) => void): string[] => {
    const result = JSON.parse(text) as Result;
    change(result);
    return verify(result);
  };
  assert.deepEqual(
    changed(() => {}),
    [],
  );
  assert.equal(changed((result) => (result.rows[0].samples = [1, 9, 9])).length, 3);
  assert.equal(changed((result) => (result.rows[0].median = 3)).length, 1);
  assert.equal(changed((result) => (result.goals[0].measured = 0.4)).length, 1);
  assert.equal(changed((result) => (result.goals[1].holds = true)).length, 1);
  assert.equal(changed((result) => (result.goals[0].formula = 'gone <= 1')).length, 1);
});
