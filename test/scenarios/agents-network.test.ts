/**
 * On-prem: keys come over TLS that is verified, and from no address that is not public, whatever its name; a nonce that one
 * process has seen is known to all.
 */
import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createPlainServer, type RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newSigner, signedHeaders, type Signer } from '../support/signed-request.ts';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { certificate, startGateway } from '../gateway.ts';

let signer: Signer;
let echo: Echo;
let folder = '';
let asked = 0;
const servers: Server[] = [];

const publish: RequestListener = (_request, response) => {
  asked++;
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [signer.publicJwk] }));
};
async function listening(server: Server, address: string): Promise<number> {
  servers.push(server.listen(0, address));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

before(async () => {
  signer = await newSigner();
  echo = await startEcho('web');
  folder = await mkdtemp(join(tmpdir(), 'sallyport-agents-network-'));
});
after(async () => {
  for (const server of servers) server.close();
  await echo.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What the log says of a request that was signed by the keys at `url`. */
async function judged(url: string, options: readonly string[]): Promise<Record<string, string>> {
  const args = ['--agents', 'insecure', ...options];
  const policy = `app: network\nbackends: { web: { url: ${echo.url} } }\nroutes: [{ backend: web }]\n`;
  const gateway = await startGateway({ policy, args });
  try {
    const now = Math.floor(Date.now() / 1000);
    const parameters = { created: now, expires: now + 60 };
    const headers = await signedHeaders(signer, { url: 'http://shop.example/', agent: `sig1="${url}"`, parameters });
    await ask(`${gateway.url}/`, { host: 'shop.example', headers });
    return (await gateway.event('access'))['identity'] as Record<string, string>;
  } finally {
    await gateway.stop();
  }
}

test('the certificate of a directory is verified', { timeout: 60_000 }, async () => {
  const { key, cert, certFile } = await certificate(folder, ['localhost']);
  const port = await listening(createServer({ key, cert }, publish), '127.0.0.1');
  const url = `https://localhost:${port}/keys.json`;
  const trusted = ['--agents', `trusted-host=localhost:${port}`];
  const stranger = await judged(url, trusted);
  assert.deepEqual([stranger['is'], stranger['reason'], asked], ['claimed', 'directory-unreachable', 0]);
  assert.equal((await judged(url, [...trusted, '--origin-ca', certFile]))['is'], 'verified');
});

test('a name that leads to an address which is not public is not followed there', { timeout: 60_000 }, async (t) => {
  const name = hostname().toLowerCase();
  const found = await lookup(name).catch(() => null);
  if (found === null || !/^(127\.|10\.|192\.168\.|::1$)/.test(found.address))
    return t.skip(`the name of this machine, ${name}, leads nowhere private`);
  asked = 0;
  const port = await listening(createPlainServer(publish), found.address);
  const literal = found.family === 6 ? `[${found.address}]` : found.address;
  // The name is trusted, and so it is tried; the network knows only what is public.
  const trusted = await judged(`http://${name}:${port}/keys.json`, ['--agents', `trusted-host=${name}:${port}`]);
  assert.deepEqual([trusted['is'], trusted['reason'], asked], ['claimed', 'directory-unreachable', 0]);
  const byAddress = await judged(`http://${literal}:${port}/keys.json`, [
    '--agents',
    `trusted-host=${literal}:${port}`,
  ]);
  assert.deepEqual([byAddress['is'], asked], ['verified', 1]);
});

test('off: nothing is fetched, nobody is judged', { timeout: 60_000 }, async () => {
  const policy = `app: network\nbackends: { web: { url: ${echo.url} } }\nroutes: [{ backend: web }]\n`;
  const gateway = await startGateway({ policy, args: ['--agents', 'off'] });
  try {
    await ask(`${gateway.url}/`, { host: 'shop.example', headers: { 'signature-agent': '"https://agent.example"' } });
    assert.equal('identity' in (await gateway.event('access')), false);
  } finally {
    await gateway.stop();
  }
});

test(
  'several processes know each other’s nonces',
  { timeout: 90_000, skip: process.platform !== 'linux' },
  async () => {
    const port = await listening(createPlainServer(publish), '127.0.0.1');
    const args = ['--workers', '3', '--agents', 'insecure', '--agents', `trusted-host=127.0.0.1:${port}`];
    const policy = `app: processes
backends: { web: { url: ${echo.url} } }
routes: [{ backend: web }]
rules: [{ name: proven, when: not agent.verified, action: block }]
`;
    const gateway = await startGateway({ policy, args: [...args, '--agents', 'nonce=required'] });
    try {
      for (let round = 0; round < 6; round++) {
        const now = Math.floor(Date.now() / 1000);
        const agent = `sig1="http://127.0.0.1:${port}/keys.json"`;
        const headers = await signedHeaders(signer, { url: 'http://shop.example/', agent, parameters: { created: now, expires: now + 60 } }); // prettier-ignore
        // Each on a connection of its own, which the kernel gives to any of them.
        const sent = Array.from({ length: 9 }, () => ask(`${gateway.url}/`, { host: 'shop.example', headers }));
        const statuses = (await Promise.all(sent)).map(({ status }) => status);
        assert.deepEqual(statuses.sort(), [200, ...Array<number>(8).fill(403)]);
      }
    } finally {
      await gateway.stop();
    }
  },
);

test('`agents:` of an app decides by what is proven', { timeout: 60_000 }, async () => {
  const port = await listening(createPlainServer(publish), '127.0.0.1');
  const policy = `app: agents
backends: { web: { url: ${echo.url} } }
routes: [{ backend: web }]
agents: { training: block, "CCBot": log, require: verified }
`;
  const gateway = await startGateway({ policy, args: ['--agents', 'insecure', '--agents', `trusted-host=127.0.0.1:${port}`] }); // prettier-ignore
  try {
    const now = Math.floor(Date.now() / 1000);
    const agent = `sig1="http://127.0.0.1:${port}/keys.json"`;
    const draft = { url: 'http://shop.example/', agent, parameters: { created: now, expires: now + 60 } };
    const visit = async (headers: Record<string, string>) => {
      const answer = await ask(`${gateway.url}/`, { host: 'shop.example', headers });
      return answer.status === 200 ? '200' : `${answer.status} ${String(answer.json()['detail'])}`;
    };
    const browser = {
      'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/154.0.0.0 Safari/537.36',
    };
    assert.equal(await visit(browser), '200');
    assert.equal(await visit({ ...browser, ...(await signedHeaders(signer, draft)) }), '200');
    const unproven = await visit({ 'user-agent': 'GPTBot/1.2' });
    const forged = { ...(await signedHeaders(signer, draft)), signature: 'sig1=:AAAA:' };
    // Whoever is refused learns the same, whether nothing was proven or something was wrong.
    assert.match(unproven, /^403 agents must prove who they are/);
    assert.equal(await visit({ ...browser, ...forged }), unproven);
    // Its keys are nobody's who trains: what the user agent says about somebody else does not count.
    assert.equal(await visit({ 'user-agent': 'GPTBot/1.2', ...(await signedHeaders(signer, draft)) }), '200');
  } finally {
    await gateway.stop();
  }
});
