import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sumMetrics } from './control.ts';

test('metrics of several processes are added up, comments kept once', () => {
  const one = '# HELP a_total things\n# TYPE a_total counter\na_total{app="x"} 2\nb 1.5\n';
  const two = '# HELP a_total things\n# TYPE a_total counter\na_total{app="x"} 3\na_total{app="y z"} 1\n';
  assert.equal(
    sumMetrics([one, two]),
    '# HELP a_total things\n# TYPE a_total counter\na_total{app="x"} 5\nb 1.5\na_total{app="y z"} 1\n',
  );
  assert.equal(sumMetrics([]), '');
});
