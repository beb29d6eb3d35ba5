import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Plan, TunnelAccessPlan } from '../plan.ts';
import { keyDigest, PUBLIC, type AccessRule } from '../tunnel/access.ts';
import { action, backend, plan, run, type RunOptions } from './testing.ts';

const open: TunnelAccessPlan = { access: 'public', addresses: [], basic: [], keys: [] };
const tunnels = { domain: 'example', access: open, names: {}, edges: null, projects: [], networks: null };

/** One backend, the tunnel of the host `shop.example`. */
function policy(access: Partial<TunnelAccessPlan> = {}, names: Record<string, TunnelAccessPlan> = {}): Plan {
  const web = backend('web', ['http://tunnel']);
  const endpoints = web.endpoints.map((endpoint) => ({ ...endpoint, dial: 'tunnel:*.example', host: 'preserve' }));
  return plan({ '/': action() }, [{ ...web, endpoints }], {
    tunnels: { ...tunnels, access: { ...open, ...access }, names },
  });
}

const bearer = (key: string): RequestInit => ({ headers: { authorization: `Bearer ${key}`, 'x-kept': 'yes' } });

async function ask(source: Plan, init: RequestInit = {}, options: RunOptions = {}) {
  const { response, sent, errors } = await run(source, '/', init, {}, options);
  return { status: response.status, headers: response.headers, sent, errors };
}

describe('access', () => {
  test('of a public tunnel asks nothing, and leaves the credential to the origin', async () => {
    const { status, sent } = await ask(policy(), bearer('mine'));
    assert.equal(status, 200);
    assert.equal(sent[0]?.headers.get('authorization'), 'Bearer mine');
  });

  test('of a private one is refused, whatever is shown', async () => {
    const { status, sent } = await ask(policy({ access: 'private' }), bearer('mine'));
    assert.equal(status, 403);
    assert.deepEqual(sent, []);
  });

  test('by a key takes the secret of that name, and does not pass it on', async () => {
    const source = policy({ access: 'restricted', keys: ['KEY'] });
    const secrets = { KEY: 'let-me-in-please' };
    const refused = await ask(source, {}, { secrets });
    assert.deepEqual([refused.status, refused.headers.get('www-authenticate')], [401, 'Bearer']);
    assert.equal((await ask(source, bearer('let-me-in'), { secrets })).status, 401);
    const { status, sent } = await ask(source, bearer('let-me-in-please'), { secrets });
    assert.equal(status, 200);
    assert.equal(sent[0]?.headers.get('authorization'), null);
    assert.equal(sent[0]?.headers.get('x-kept'), 'yes');
  });

  test('by a user says so to browsers', async () => {
    const source = policy({ access: 'restricted', basic: [{ user: 'ann', secret: 'ANN' }] });
    const secrets = { ANN: 'correct horse' };
    const { status, headers } = await ask(source, {}, { secrets });
    assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Basic realm="tunnel", charset="UTF-8"']);
    const authorization = `Basic ${btoa('ann:correct horse')}`;
    assert.equal((await ask(source, { headers: { authorization } }, { secrets })).status, 200);
  });

  test('without its secret is refused, and the log says why', async () => {
    const source = policy({ access: 'restricted', keys: ['KEY'] });
    for (const secrets of [{}, { KEY: '' }]) {
      const { status, sent, errors } = await ask(source, bearer(''), { secrets });
      assert.equal(status, 503);
      assert.deepEqual(sent, []);
      assert.match(errors.join(), /there is no secret KEY/);
    }
  });

  test('is what the policy says of that tunnel, before what it says of all', async () => {
    assert.equal((await ask(policy({ access: 'private' }, { shop: open }))).status, 200);
    assert.equal((await ask(policy({}, { shop: { ...open, access: 'private' } }))).status, 403);
    assert.equal((await ask(policy({}, { other: { ...open, access: 'private' } }))).status, 200);
  });

  test('is also what the registry says: each can only say no', async () => {
    const says = (rule: AccessRule | null): RunOptions => ({
      exposed: (tunnel) => Promise.resolve(tunnel === 'shop' ? rule : null),
    });
    const hidden: AccessRule = { ...PUBLIC, access: 'private' };
    const keyed: AccessRule = { ...PUBLIC, access: 'restricted', salt: 's', keys: [await keyDigest('s', 'mine')] };
    assert.equal((await ask(policy(), {}, says(null))).status, 200);
    assert.equal((await ask(policy(), {}, says(PUBLIC))).status, 200);
    assert.equal((await ask(policy(), {}, says(hidden))).status, 403);
    assert.equal((await ask(policy({ access: 'private' }), {}, says(PUBLIC))).status, 403);
    assert.equal((await ask(policy(), bearer('mine'), says(keyed))).status, 200);
    assert.equal((await ask(policy(), {}, says(keyed))).status, 401);
  });

  test('is refused where the registry fails', async () => {
    const { status, sent } = await ask(policy(), {}, { exposed: () => Promise.reject(new Error('gone')) });
    assert.equal(status, 503);
    assert.deepEqual(sent, []);
  });

  test('needs a host that names a tunnel', async () => {
    const source = policy();
    const { status } = await ask({ ...source, tunnels: { ...tunnels, domain: 'shop.example' } });
    assert.equal(status, 404);
  });

  test('is not asked for where a route leads to a tunnel by name', async () => {
    const web = backend('web', ['http://tunnel']);
    const endpoints = web.endpoints.map((endpoint) => ({ ...endpoint, dial: 'tunnel:shop' }));
    const source = plan({ '/': action() }, [{ ...web, endpoints }], {
      tunnels: { ...tunnels, access: { ...open, access: 'private' } },
    });
    assert.equal((await ask(source)).status, 200);
  });
});
