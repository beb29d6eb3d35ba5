/** What a newcomer gets with no `tunnels:` in any policy: NAME.localhost, with the embedded rules before it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask } from '../client.ts';
import { bytes, sha256, startEcho } from '../echo.ts';
import { certificate } from '../gateway.ts';
import { HOST, startTunnel, TUNNEL } from '../support/tunnel.ts';

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

test('a tunnel over TLS, resumed when it is cut', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-tls-'));
  const { cert, certFile, keyFile } = await certificate(folder, ['127.0.0.1', HOST]);
  const origin = await startEcho('behind');
  const tunnel = await startTunnel(origin.port, {
    serve: ['--tls-cert', certFile, '--tls-key', keyFile],
    env: { NODE_EXTRA_CA_CERTS: certFile },
  });
  try {
    assert.match(tunnel.gateway.url, /^https:/);
    const secure = { host: HOST, ca: cert, servername: HOST, agent: false } as const;
    const body = bytes(3_000_000);
    const answered = ask(`${tunnel.gateway.url}/anything`, { ...secure, method: 'PUT', body });
    await tunnel.wire.until(() => tunnel.wire.passed.down > 1_000_000);
    tunnel.wire.reset();
    const answer = await answered;
    assert.equal(answer.status, 200, answer.text());
    assert.equal(answer.echo().body.sha256, sha256(body));
  } finally {
    await tunnel.stop();
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
