/** What the middleware does with bodies that it cannot judge; test/scenarios/middleware.test.ts runs it in a worker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hono } from 'hono';
import { ROOT } from '../../test/gateway.ts';
import { engineModule } from '../../test/support/engine.ts';
import { compiledRules } from '../cli/rule-images.ts';
import { compile } from '../compiler/index.ts';
import { writeBundle } from '../compiler/waf/bundle.ts';
import { waf } from './middleware.ts';

async function guarded(settings: string): Promise<Hono> {
  const { manifest, images, diagnostics } = await compile({
    files: [{ path: 'a.yaml', text: `app: waf\nwaf: { ${settings} }\nroutes: [{ name: all }]\n` }],
    target: 'workerd',
    agents: null,
    rulesets: (name) => compiledRules(ROOT, name),
  });
  assert.ok(manifest !== null, JSON.stringify(diagnostics));
  const rules = writeBundle(manifest, images);
  const options = { engine: await engineModule(), rules, client: () => '192.0.2.1', onEvent: () => {} };
  return new Hono().use(waf(options)).post('*', (c) => c.text('passed'));
}

const ATTACK = `?q=${encodeURIComponent("1' UNION SELECT password FROM users -- ")}`;
const status = async (
  app: Hono,
  query: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<number> => {
  const type = {
    host: 'h',
    accept: '*/*',
    'user-agent': 'Mozilla/5.0',
    'content-type': 'application/x-www-form-urlencoded',
  };
  return (await app.request(`http://h/form${query}`, { method: 'POST', body, headers: { ...type, ...headers } }))
    .status;
};

test('a body that cannot be judged hides no attack in the head', async () => {
  const long = `a=${'x'.repeat(5000)}`;
  for (const onError of ['open', 'closed']) {
    const closed = onError === 'closed';
    const encoded = { 'content-encoding': 'br' };
    const rejects = await guarded(`onError: ${onError}, body: { limit: 1KB, over: reject }`);
    assert.equal(await status(rejects, '', 'a=1'), 200);
    assert.equal(await status(rejects, '', long), 413, `over: reject, ${onError}`);
    assert.equal(await status(rejects, '', 'a=1', encoded), closed ? 415 : 200);
    assert.equal(await status(rejects, ATTACK, 'a=1', encoded), closed ? 415 : 403);
    const passes = await guarded(`onError: ${onError}, body: { limit: 1KB, over: pass }`);
    assert.equal(await status(passes, '', long), 200);
    assert.equal(await status(passes, ATTACK, long), 403);
  }
});
