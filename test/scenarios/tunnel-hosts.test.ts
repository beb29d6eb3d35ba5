/** What a newcomer gets with no `tunnels:` in any policy: NAME.localhost, with the embedded rules before it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask } from '../client.ts';
import { startEcho } from '../echo.ts';
import { startTunnel, TUNNEL } from '../support/tunnel.ts';

test('a tunnel has a host under localhost, behind the embedded rules', { timeout: 60_000 }, async () => {
  const origin = await startEcho('behind');
  const tunnel = await startTunnel(origin.port, { straight: true });
  try {
    const host = `${TUNNEL}.localhost:${tunnel.gateway.port}`;
    const { url } = await tunnel.connectors[0]!.event('ready');
    assert.equal(String(url).replace(/\/$/, ''), `http://${host}`);
    const fine = await ask(`${tunnel.gateway.url}/anything?q=lantern`, { host });
    assert.equal(fine.status, 200, fine.text());
    assert.equal(fine.echo().host, host);
    const attack = encodeURIComponent("1' UNION SELECT password FROM users--");
    assert.equal((await ask(`${tunnel.gateway.url}/anything?q=${attack}`, { host })).status, 403);
    const nobody = await ask(`${tunnel.gateway.url}/`, { host: `nobody.localhost:${tunnel.gateway.port}` });
    assert.ok([404, 502, 503].includes(nobody.status), String(nobody.status));
  } finally {
    await tunnel.stop();
    await origin.stop();
  }
});
