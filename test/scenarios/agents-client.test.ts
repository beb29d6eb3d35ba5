/** `sallyport agents` and `sallyport/agents` as users have them: the command, a project beside ours, a worker without Node. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS } from '../../src/cli/workerd.ts';
import { ask } from '../client.ts';
import { ROOT, run } from '../gateway.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-agents-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules/sallyport'), 'dir');
});
after(() => rmSync(folder, { recursive: true, force: true }));

const SIGN = ['agents', 'sign', '--key', 'agent.jwk', '--agent', 'https://agent.example'];

describe('sallyport agents', () => {
  test('keygen makes a private file once, and says what to do next', async () => {
    const made = await run(['agents', 'keygen'], folder);
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /keyid [A-Za-z0-9_-]{43}\n/);
    const file = join(folder, 'agent.jwk');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const before = readFileSync(file, 'utf8');
    const again = await run(['agents', 'keygen'], folder);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /agent\.jwk is there already; --out names another file/);
    assert.equal(readFileSync(file, 'utf8'), before);
    assert.equal((await run(['agents', 'keygen', '--out', 'second.jwk', '--json'], folder)).code, 0);
  });

  test('directory publishes the public halves and no other', async () => {
    const files = ['--key', 'agent.jwk', '--key', 'second.jwk'];
    const made = await run(['agents', 'directory', ...files, '--out', 'directory.json', '--json'], folder);
    assert.equal(made.code, 0, made.stderr);
    const { keys } = JSON.parse(readFileSync(join(folder, 'directory.json'), 'utf8')) as {
      keys: Record<string, string>[];
    };
    assert.equal(keys.length, 2);
    const { d, kid } = JSON.parse(readFileSync(join(folder, 'agent.jwk'), 'utf8')) as Record<string, string>;
    assert.equal(keys[0]?.['kid'], kid);
    assert.ok(d !== undefined && !readFileSync(join(folder, 'directory.json'), 'utf8').includes(d));
    assert.equal((await run(['agents', 'directory', ...files], folder)).stdout.includes('"keys"'), true);
  });

  test('sign prints headers that cover what was asked', async () => {
    writeFileSync(join(folder, 'body.json'), '{"a":1}');
    const more = ['--method', 'POST', '--body', 'body.json', '--header', 'Content-Type: application/json', '--json'];
    const made = await run([...SIGN, 'https://shop.example/x', ...more], folder);
    assert.equal(made.code, 0, made.stderr);
    const { headers } = JSON.parse(made.stdout) as { headers: Record<string, string> };
    assert.deepEqual(Object.keys(headers).sort(), ['content-digest', 'content-type', 'signature', 'signature-agent', 'signature-input']); // prettier-ignore
    const covered =
      '("@authority" "@method" "@target-uri" "signature-agent";key="sig1" "content-digest" "content-type")';
    assert.ok(headers['signature-input']?.startsWith(`sig1=${covered};created=`), headers['signature-input']);
    const lines = await run([...SIGN, 'https://shop.example/x', '--form', 'string'], folder);
    assert.match(lines.stdout, /^signature-agent: "https:\/\/agent\.example"\nsignature-input: sig1=/);
  });

  test('a mistake is one sentence, and never tells the key', async () => {
    writeFileSync(join(folder, 'broken.jwk'), '{"kty":"OKP","d":"secret"');
    writeFileSync(join(folder, 'wrong.jwk'), '{"kty":"OKP","crv":"Ed25519","x":"AAAA","d":"secret"}');
    const cases: [string[], RegExp][] = [
      [['agents', 'wave'], /agents takes .*keygen, directory, sign.*, not "wave"/],
      [['agents', 'directory'], /directory needs --key FILE/],
      [['agents', 'directory', '--key', 'absent.jwk'], /there is no file absent\.jwk/],
      [['agents', 'directory', '--key', 'broken.jwk'], /broken\.jwk holds no JSON/],
      [['agents', 'directory', '--key', 'wrong.jwk'], /the key can not be used: malformed/],
      [['agents', 'sign', '--key', 'agent.jwk', 'https://shop.example/'], /needs --agent URL/],
      [SIGN, /needs the URL of the request/],
      [[...SIGN, 'shop'], /needs the URL of the request/],
      [[...SIGN, 'https://shop.example/', '--lifetime', '0'], /--lifetime takes a whole number from 1 to 86400/],
      [[...SIGN, 'https://shop.example/', '--form', 'x'], /--form takes dictionary or string/],
      [[...SIGN, 'https://shop.example/', '--header', 'x'], /--header takes "name: value"/],
      [['agents', 'sign', '--key', 'agent.jwk', '--agent', 'http://agent.example', 'https://shop.example/'], /agent-url-not-https/],
    ]; // prettier-ignore
    for (const [args, expected] of cases) {
      const { code, stderr } = await run(args, folder);
      assert.equal(code, 1, args.join(' '));
      assert.match(stderr, expected);
      assert.doesNotMatch(stderr, /secret/);
    }
  });
});

/** Signs and verifies, with what the package exports and nothing else. */
const ROUND = `
import { agentSigner, createAgentKey, readAgentKey, serveDirectory, KeyDirectories, verifyWebBotAuth, conclude, requestMessage } from 'sallyport/agents';
export async function round() {
  const key = await readAgentKey(await createAgentKey());
  const results = [];
  const shop = async (request) => {
    const directories = new KeyDirectories({ fetch: (url) => serveDirectory(new Request(url), [key]), now: Date.now });
    const body = new Uint8Array(await request.clone().arrayBuffer());
    const found = await verifyWebBotAuth(requestMessage(request.method, request.url, request.headers), {
      now: Math.floor(Date.now() / 1000),
      key: (url, member, keyid) => directories.key(url, member, keyid),
      body: async () => body,
      fresh: async () => true,
    });
    const result = conclude(found);
    results.push(result.outcome === 'verified' ? result.outcome + ' ' + result.host : result.outcome + ' ' + result.reason);
    return new Response('ok');
  };
  const agent = agentSigner({ key, agent: 'https://agent.example', fetch: shop });
  await agent.fetch('https://shop.example/things?id=7');
  await agent.fetch('https://shop.example/things', { method: 'POST', body: 'a=1' });
  await shop(new Request('https://shop.example/', { headers: await agent.sign({ method: 'GET', url: 'https://else.example/' }) }));
  // Lengths that no signature has: runtimes differ in what they do with them.
  for (const odd of [':AAAA:', '::', ':' + 'A'.repeat(400) + ':']) {
    const headers = await agent.sign({ method: 'GET', url: 'https://shop.example/' });
    await shop(new Request('https://shop.example/', { headers: { ...headers, signature: 'sig1=' + odd } }));
  }
  return results;
}
`;
const EXPECTED = [
  'verified agent.example',
  'verified agent.example',
  ...Array<string>(4).fill('invalid signature-wrong'),
];

describe('sallyport/agents', () => {
  test('works in a project that depends on the package', () => {
    writeFileSync(join(folder, 'round.mjs'), ROUND);
    writeFileSync(
      join(folder, 'main.mjs'),
      `import { round } from './round.mjs';\nconsole.log(JSON.stringify(await round()));\n`,
    );
    const { stdout, stderr } = spawnSync(process.execPath, ['main.mjs'], { cwd: folder, encoding: 'utf8' });
    assert.deepEqual(JSON.parse(stdout || 'null'), EXPECTED, stderr);
  });

  test('has types that hold there', () => {
    const source = `import { agentSigner, createAgentKey, readAgentKey, type AgentSigner } from 'sallyport/agents';
const key = await readAgentKey(await createAgentKey());
export const agent: AgentSigner = agentSigner({ key, agent: 'https://agent.example', form: 'dictionary' });
export const answer: Response = await agent.fetch('https://shop.example/', { method: 'POST', body: 'a' });
// @ts-expect-error: there are two forms
agentSigner({ key, agent: 'https://agent.example', form: 'other' });
`;
    writeFileSync(join(folder, 'typed.ts'), source);
    assert.ok(existsSync(join(ROOT, 'pkg/types/src/agents/index.d.ts')));
    const options = [
      '--noEmit',
      '--strict',
      '--module',
      'esnext',
      '--target',
      'es2024',
      '--moduleResolution',
      'bundler',
    ];
    const args = [join(ROOT, 'node_modules/typescript/bin/tsc'), 'typed.ts', ...options, '--lib', 'es2024,dom', '--types', '', '--ignoreConfig']; // prettier-ignore
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    assert.equal(status, 0, stdout);
  });

  test('works in workerd without Node', { timeout: 60_000 }, async () => {
    const { Miniflare, convertV4MiniflareOptions } = await import('miniflare');
    const worker = `import { round } from './round.mjs';
export default { async fetch() { return Response.json({ node: typeof process, results: await round() }); } };`;
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        ...{ host: '127.0.0.1', port: 0, compatibilityDate: COMPATIBILITY_DATE },
        compatibilityFlags: [...COMPATIBILITY_FLAGS],
        modules: [
          { type: 'ESModule', path: 'worker.mjs', contents: worker },
          { type: 'ESModule', path: 'round.mjs', contents: ROUND.replace("'sallyport/agents'", "'./agents.mjs'") },
          { type: 'ESModule', path: 'agents.mjs', contents: readFileSync(join(ROOT, 'pkg/agents.js'), 'utf8') },
        ],
      }),
    );
    try {
      const answer = await ask((await miniflare.ready).href);
      assert.deepEqual(JSON.parse(answer.text()), { node: 'undefined', results: EXPECTED });
    } finally {
      await miniflare.dispose();
    }
  });

  test('what the conformance suites ask holds in workerd without Node', { timeout: 60_000 }, async () => {
    const entry = `import { runNegative } from './web-bot-auth/negative.ts';
import { runRfc9421 } from './rfc9421.ts';
export default { async fetch() {
  const refusals = await runNegative();
  const rfc = await runRfc9421([], () => {});
  const failed = [...refusals.filter(([, detail]) => detail !== ''), ...rfc.filter(({ result }) => result !== 'passed')];
  return Response.json({ cases: refusals.length + rfc.length, failed });
} };`;
    const { build, stop } = await import('esbuild');
    const bundled = await build({
      ...{ bundle: true, format: 'esm', platform: 'neutral', target: 'es2024', write: false },
      stdin: { contents: entry, resolveDir: join(ROOT, 'test/conformance'), loader: 'ts' },
    });
    await stop();
    const { Miniflare, convertV4MiniflareOptions } = await import('miniflare');
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        ...{ host: '127.0.0.1', port: 0, compatibilityDate: COMPATIBILITY_DATE },
        compatibilityFlags: [...COMPATIBILITY_FLAGS],
        modules: [{ type: 'ESModule', path: 'suite.mjs', contents: bundled.outputFiles[0]?.text ?? '' }],
      }),
    );
    try {
      const { cases, failed } = JSON.parse((await ask((await miniflare.ready).href)).text()) as {
        cases: number;
        failed: unknown[];
      };
      assert.deepEqual(failed, []);
      assert.ok(cases > 200, `${cases} cases`);
    } finally {
      await miniflare.dispose();
    }
  });
});
