import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openControl, sumMetrics } from './control.ts';
import { OPENAPI } from './openapi.ts';

test('metrics of several processes are added up, comments kept once', () => {
  const one = '# HELP a_total things\n# TYPE a_total counter\na_total{app="x"} 2\nb 1.5\n';
  const two = '# HELP a_total things\n# TYPE a_total counter\na_total{app="x"} 3\na_total{app="y z"} 1\n';
  assert.equal(
    sumMetrics([one, two]),
    '# HELP a_total things\n# TYPE a_total counter\na_total{app="x"} 5\nb 1.5\na_total{app="y z"} 1\n',
  );
  assert.equal(sumMetrics([]), '');
});

test('every call that the description names is there, on a socket for its owner only', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-control-'));
  const path = join(directory, 'control.sock');
  const gateway = { status: () => ({ workers: [] }), reload: () => Promise.resolve({ ok: true }) };
  const close = await openControl(path, { gateway, supervisor: { workers: [] } } as never);
  t.after(() => {
    close();
    rmSync(directory, { recursive: true });
  });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const ask = (method: string, target: string): Promise<{ status: number; body: string }> =>
    new Promise((resolve, reject) => {
      const call = request({ socketPath: path, method, path: target }, async (response) => {
        let body = '';
        for await (const chunk of response.setEncoding('utf8')) body += chunk as string;
        resolve({ status: response.statusCode ?? 0, body });
      });
      call.on('error', reject).end();
    });
  for (const [target, calls] of Object.entries(OPENAPI.paths)) {
    for (const [method, { responses }] of Object.entries(calls as Record<string, { responses: object }>)) {
      const { status } = await ask(method.toUpperCase(), target);
      assert.ok(String(status) in responses, `${method} ${target} answers ${status}`);
    }
  }
  assert.deepEqual(JSON.parse((await ask('GET', '/v1/openapi.json')).body), OPENAPI);
  assert.equal((await ask('POST', '/v1/status')).status, 404);
});
