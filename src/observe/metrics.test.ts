import assert from 'node:assert/strict';
import { test } from 'node:test';
import { action, backend, plan, run } from '../router/testing.ts';
import { render } from './metrics.ts';

test('counters follow requests, in text that Prometheus reads', async () => {
  const source = plan({ '/': action() }, [backend('web', ['http://10.0.0.1'])], { app: 'quo"te' });
  await run(source, '/');
  await run(source, '/', {}, {}, { origin: () => Promise.reject(new Error('lost')) });
  const text = render({ heldBytes: 7, generation: 'g', generations: 2, draining: 1, traps: 3 });
  const value = (line: string): number => {
    const found = text.split('\n').find((one) => one.startsWith(`${line} `));
    assert.ok(found !== undefined, `${line} in\n${text}`);
    return Number(found.slice(line.length + 1));
  };
  assert.equal(value('sallyport_requests_total{app="quo\\"te",status="2xx"}'), 1);
  assert.equal(value('sallyport_requests_total{app="quo\\"te",status="5xx"}'), 1);
  assert.equal(value('sallyport_upstream_errors_total{app="quo\\"te",status="502"}'), 1);
  assert.equal(value('sallyport_request_duration_seconds_count{app="quo\\"te"}'), 2);
  assert.equal(value('sallyport_request_duration_seconds_bucket{app="quo\\"te",le="+Inf"}'), 2);
  assert.equal(value('sallyport_held_body_bytes'), 7);
  assert.equal(value('sallyport_engine_traps_total'), 3);
  for (const line of text.trimEnd().split('\n'))
    assert.match(
      line,
      /^(# (HELP|TYPE) sallyport_\w+ .+|sallyport_\w+(\{\w+="([^"\\]|\\.)*"(,\w+="([^"\\]|\\.)*")*\})? [0-9.e+-]+)$/,
    );
});
