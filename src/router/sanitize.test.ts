import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { action, backend, plan, run } from './testing.ts';

const source = plan({ '/': action() }, [backend('web', ['http://10.0.0.1'])]);

async function forwarded(headers: Record<string, string>): Promise<{ origin: Headers; engine: Map<string, string> }> {
  let engine = new Map<string, string>();
  const { sent } = await run(
    source,
    '/',
    { headers },
    {
      head: (result, fields) => {
        engine = new Map();
        for (let i = 3; i + 1 < fields.length; i += 2) engine.set(fields[i] as string, fields[i + 1] as string);
        return result;
      },
    },
  );
  return { origin: (sent[0] as { headers: Headers }).headers, engine };
}

test('cookie lines that the runtime joined with a comma are joined as cookies are', async () => {
  const { origin, engine } = await forwarded({ cookie: 'a=1, b=2; c=3, d=4' });
  assert.equal(origin.get('cookie'), 'a=1; b=2; c=3; d=4');
  assert.equal(engine.get('cookie'), 'a=1; b=2; c=3; d=4');
});

test('a comma inside a cookie value stays', async () => {
  for (const cookie of ['a=1,2', 'seen=Sat, 21 Nov', 'x={"a":1, "b":2}'])
    assert.equal((await forwarded({ cookie })).origin.get('cookie'), cookie);
});

test('ours and what Connection names do not go on; what matters can not be nominated away', async () => {
  const { origin, engine } = await forwarded({
    connection: 'close, X-Private, Host, Authorization, X-Forwarded-For, bad name',
    'x-private': '1',
    authorization: 'Basic x',
    'x-sallyport-app': 'forged',
    'keep-alive': '5',
    'proxy-authorization': 'Basic y',
    'cf-connecting-ip': '9.9.9.9',
  });
  for (const name of [
    'connection',
    'x-private',
    'x-sallyport-app',
    'keep-alive',
    'proxy-authorization',
    'cf-connecting-ip',
  ])
    assert.equal(origin.has(name), false, name);
  assert.equal(origin.get('authorization'), 'Basic x');
  assert.equal(origin.get('x-forwarded-for'), '192.0.2.1');
  assert.equal(engine.has('x-sallyport-app'), false);
  assert.equal(engine.has('cf-connecting-ip'), false);
  assert.equal(engine.get('x-private'), '1'); // rules still see it
});

test('what only a trusted proxy may claim is dropped from strangers and kept from the trusted', async () => {
  const headers = {
    'x-real-ip': '6.6.6.6',
    'x-forwarded-port': '1',
    'x-original-url': '/admin',
    'x-forwarded-for': '6.6.6.6',
    forwarded: 'for=6.6.6.6',
  };
  const { origin } = await forwarded(headers);
  for (const name of ['x-real-ip', 'x-forwarded-port', 'x-original-url']) assert.equal(origin.has(name), false, name);
  assert.doesNotMatch([...origin].join(), /6\.6\.6\.6/);
  const { sent } = await run(
    source,
    '/',
    { headers: { ...headers, 'x-forwarded-proto': 'https' } },
    { head: (result) => ({ ...result, trusted: true, client: '6.6.6.6' }) },
  );
  const kept = (sent[0] as { headers: Headers }).headers;
  assert.equal(kept.get('x-real-ip'), '6.6.6.6');
  assert.equal(kept.get('x-forwarded-for'), '6.6.6.6, 198.51.100.1');
  assert.equal(kept.get('x-forwarded-proto'), 'https');
  assert.equal(kept.get('forwarded'), 'for=6.6.6.6, for=198.51.100.1;host=shop.example;proto=https');
});

test('a name with `_` that an application takes for one of ours, or of a proxy, does not go on', async () => {
  const headers: Record<string, string> = {};
  const forged = [
    ...['x_forwarded_for', 'x_real-ip', 'x-sallyport_app', 'content_length', 'transfer_encoding', 'cf_connecting_ip'],
    ...['content_encoding', 'content_type'],
    ...['x_request_id', 'proxy_authorization', 'x_forwarded_ssl', 'cdn_loop'],
  ];
  for (const name of forged) headers[name] = 'forged';
  const { origin, engine } = await forwarded({ ...headers, x_tenant: 'a', forwarded_to: 'b' });
  for (const name of forged) {
    assert.equal(origin.has(name), false, name);
    assert.equal(engine.has(name), false, name);
  }
  assert.equal(origin.get('x_tenant'), 'a');
  assert.equal(origin.get('forwarded_to'), 'b');
});

test('what a CDN would vouch for is a claim on-prem; settings of h2c end here', async () => {
  const { origin } = await forwarded({
    'cf-ipcountry': 'DE',
    'cf-visitor': '{"scheme":"https"}',
    'http2-settings': 'x',
  });
  for (const name of ['cf-ipcountry', 'cf-visitor', 'http2-settings']) assert.equal(origin.has(name), false, name);
});

test('the number of fields told to the engine is the number joined', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/), fc.stringMatching(/^[!-~]{0,20}$/), { maxKeys: 20 }),
      async (headers) => {
        const { exchange } = await run(source, '/', { headers });
        assert.equal(exchange.head.text.split('\0').length - 1, exchange.head.fields);
      },
    ),
    { numRuns: 50 },
  );
});
