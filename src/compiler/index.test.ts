import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DEFAULT_RESPONSE_HEAD_SECONDS, KIND_AGENTS, KIND_POLICY, MAGIC, SECTION_PLAN } from '../../assembly/abi.ts';
import { compiledRules } from '../cli/rule-images.ts';
import { compile, formatDiagnostics, parseDial, type Compiled, type Target } from './index.ts';
import { routeSchema, schemaText } from './policy/schema.ts';

/** The embedded one, as the build left it. */
const rulesets = (name: string) => compiledRules('.', name);
const at = (path: string) => new URL(`../../${path}`, import.meta.url);
const example = (name: string) => readFileSync(at(`examples/${name}/sallyport.yaml`), 'utf8');

const compileText = (text: string, target: Target = 'workerd'): Promise<Compiled> =>
  compile({ files: [{ path: 'a.yaml', text }], target, agents: null, rulesets });

async function reported(text: string, target?: Target): Promise<string[]> {
  const { diagnostics } = await compileText(text, target);
  return diagnostics.map((one) => `${one.severity} ${one.code} ${one.line}:${one.column}+${one.length}`);
}

for (const name of ['reference', 'shop']) {
  test(`examples/${name} compiles without a word, to images named by their digest`, async () => {
    const { ok, diagnostics, images, manifest, plans } = await compileText(example(name));
    assert.deepEqual(diagnostics, []);
    assert.equal(ok, true);
    assert.equal(manifest!.apps[0]!.name, name);
    assert.equal(plans[0]!.app, name);
    for (const [hash, bytes] of images) {
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
      assert.equal(hash, Buffer.from(digest).toString('hex'));
      assert.equal(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true), MAGIC);
    }
  });
}

test('the reference shows every field of the schema', () => {
  const text = example('reference');
  const fields = (schema: unknown): string[] => {
    if (typeof schema !== 'object' || schema === null) return [];
    const own = 'properties' in schema ? Object.keys(schema.properties as object) : [];
    return [...own, ...Object.values(schema).flatMap(fields)];
  };
  const missing = [...new Set(fields(JSON.parse(schemaText())))].filter(
    (field) => !new RegExp(`\\b${field}\\b`).test(text),
  );
  assert.deepEqual(missing, []);
});

test('schema/sallyport.schema.json is up to date (node scripts/schema.ts writes it)', () => {
  assert.equal(readFileSync(at('schema/sallyport.schema.json'), 'utf8'), schemaText());
});

test('the schema describes every field', () => {
  const bare = (schema: unknown, path: string): string[] => {
    if (typeof schema !== 'object' || schema === null) return [];
    return Object.entries(schema).flatMap(([key, value]: [string, unknown]) => {
      if (key !== 'properties') return bare(value, path);
      return Object.entries(value as Record<string, { description?: string }>).flatMap(([name, field]) => [
        ...(field.description === undefined ? [`${path}.${name}`] : []),
        ...bare(field, `${path}.${name}`),
      ]);
    });
  };
  assert.deepEqual(bare(JSON.parse(schemaText()), ''), []);
});

test('the plan stands in the image as it is returned', async () => {
  const { images, manifest, plans } = await compileText(example('reference'));
  const image = images.get(manifest!.apps[0]!.image)!;
  const view = new DataView(image.buffer, image.byteOffset);
  assert.equal(view.getUint32(8, true), KIND_POLICY);
  const [offset, length] = [view.getUint32(24 + SECTION_PLAN * 8, true), view.getUint32(28 + SECTION_PLAN * 8, true)];
  assert.deepEqual(JSON.parse(new TextDecoder().decode(image.subarray(offset, offset + length))), plans[0]);
});

test('equal input gives equal images; another target or text gives others', async () => {
  const [a, b] = [await compileText(example('shop')), await compileText(example('shop'))];
  assert.deepEqual(a.manifest, b.manifest);
  const c = await compileText(`${example('shop')}# a comment changes nothing\n`);
  assert.deepEqual(a.manifest, c.manifest);
  const d = await compileText(example('shop').replace('10s', '11s'));
  assert.notEqual(a.manifest!.generation, d.manifest!.generation);
});

test('an image without its errors does not exist', async () => {
  const { ok, images, manifest, plans, dials } = await compileText('app: a\nroutes: [{ backend: gone }]\n');
  assert.deepEqual(
    { ok, images: images.size, manifest, plans, dials },
    { ok: false, images: 0, manifest: null, plans: [], dials: [] },
  );
});

const RULES = 'app: a\nbackends: { b: { url: "http://127.0.0.1:1" } }\nroutes: [{ backend: b }]\nrules:\n';

test('faults inside of expressions and patterns have their place in the file', async () => {
  const cases: [string, ...string[]][] = [
    ['  - { name: x, action: block, when: \'http.host eqq "a"\' }', 'error unexpected 5:48+3'],
    ['  - { name: x, action: block, when: \'http.hots eq "a"\' }', 'error unknown-field 5:38+9'],
    [
      '  - name: x\n    action: block\n    when: >-\n      http.host eq "a"\n      and http.hots eq "b"',
      'error unknown-field 9:11+9',
    ],
    ["  - { name: x, action: block, when: 'ip.src in $offce' }", 'error unknown-list 5:48+6'],
    ['  - { name: x, action: block, when: \'http.host matches "(a)\\1"\' }', 'error bad-regex 5:60+2'],
    ['  - { name: x, action: block, mode: off, when: \'http.hots eq "a"\' }', 'error unknown-field 5:49+9'],
    [
      "  - { name: x, action: redirect, when: 'true', redirect: { location: 'http.hots' } }",
      'error unknown-field 5:71+9',
    ],
  ];
  const found = [];
  for (const [text] of cases) found.push([text, ...(await reported(RULES + text))]);
  assert.deepEqual(found, cases);
});

test('routes: patterns outside of the linear subset, routes that cannot be reached', async () => {
  const base = 'app: a\nbackends: { b: { url: "http://127.0.0.1:1" } }\nroutes:\n';
  assert.deepEqual(
    await reported(`${base}  - { backend: b, matches: [{ path: { type: RegularExpression, value: "/(?=a)" } }] }\n`),
    ['error regex 4:73+3'],
  );
  const { diagnostics } = await compileText(`${base}  - { name: x, backend: b }\n  - { name: y, backend: b }\n`);
  assert.deepEqual(
    diagnostics.map(({ severity, line }) => [severity, line]),
    [['warning', 5]],
  );
});

test('a skip of a rule that is off is no fault, and does nothing', async () => {
  const text = `${RULES}  - { name: x, when: "true", action: skip, skip: { rules: [y] } }\n  - { name: y, when: "true", action: block, mode: off }\n`;
  assert.deepEqual(await reported(text), []);
});

test('names and hosts belong to one app', async () => {
  const app = (name: string, hosts: string) =>
    `app: ${name}\nhostnames: ${hosts}\nbackends: { b: { url: "http://127.0.0.1:1" } }\nroutes: [{ backend: b }]\n`;
  const both = async (a: string, b: string) => {
    const compiled = await compile({
      files: [
        { path: 'a.yaml', text: a },
        { path: 'b.yaml', text: b },
      ],
      target: 'workerd',
      agents: null,
    });
    return compiled.diagnostics.map((one) => [one.code, one.file, one.line, one.column, one.cause]);
  };
  assert.deepEqual(await both(app('a', '[x.org, A.org]'), app('b', '[a.org]')), [
    ['host-twice', 'b.yaml', 2, 13, 'a.yaml:2 claims it for `a`'],
  ]);
  assert.deepEqual(await both(app('a', '[a.org]'), app('A', '[b.org]')), [
    ['app-twice', 'b.yaml', 1, 6, 'a.yaml:1 has it'],
  ]);
  assert.deepEqual(await both(app('a', '["*.org"]'), app('b', '["a.org", "*"]')), []);
  const plain = 'backends: { b: { url: "http://127.0.0.1:1" } }\nroutes: [{ backend: b }]\n';
  assert.deepEqual(await both(`app: a\n${plain}`, `app: b\n${plain}`), [
    ['host-twice', 'b.yaml', 1, 1, 'a.yaml:1 claims it for `a`'],
  ]);
});

test('Cloudflare carries Host and address inside of the zone only', async () => {
  const policy = (backend: string, more = '') =>
    `app: a\nhostnames: [shop.example.com]\n${more}\nbackends: { b: ${backend} }\nroutes: [{ backend: b }]\n`;
  const zone = 'cloudflare: { zone: example.com }';
  const cases: [string, ...string[]][] = [
    [policy('{ url: "https://origin.net" }')],
    [policy('{ url: "https://origin.net", host: url }')],
    [policy('{ url: "https://origin.net", host: preserve }'), 'error host-outside-zone 4:51+8'],
    [policy('{ url: "https://o.example.com", host: preserve }', zone)],
    [policy('{ url: "https://o.example.com", host: other.net }', zone), 'error host-outside-zone 4:54+9'],
    [policy('{ url: "https://origin.net", address: 10.0.0.5 }'), 'error address-outside-zone 4:54+8'],
    [policy('{ url: "https://o.example.com", address: p.example.com }'), 'error address-outside-zone 4:57+13'],
    [policy('{ url: "https://o.example.com", address: p.example.com }', zone)],
    [
      policy('{ url: "https://o.example.com", address: "p.example.com:8443" }', zone),
      'error address-outside-zone 4:57+20',
    ],
  ];
  for (const [text, ...expected] of cases) {
    assert.deepEqual(await reported(text, 'cloudflare'), expected, text);
    assert.deepEqual(await reported(text, 'workerd'), [], text);
  }
  const from = async (target: Target) =>
    (await compileText(policy('{ url: "https://origin.net" }'), target)).plans[0]!.backends[0]!.endpoints[0]!.host;
  assert.deepEqual([await from('workerd'), await from('cloudflare')], ['preserve', 'url']);
});

test('dials: one for each connection, with the name that TLS verifies', async () => {
  const backends = `backends:
  a: { url: "https://Shop.example.com/base/", address: "10.0.0.5:8443" }
  b: { url: "https://shop.example.com" }
  c: { url: "https://shop.example.com:443/other", host: x.example.com }
  d: { url: "http://[::1]:8080" }
  e: { url: "http://origin", address: "fd00::5" }
`;
  const { dials, plans } = await compileText(`app: a\n${backends}routes: [{ backend: a }]\n`);
  assert.deepEqual(dials, [
    'http://[::1]:8080',
    'http://[fd00::5]:80',
    'https://10.0.0.5:8443 as shop.example.com',
    'https://shop.example.com:443',
  ]);
  assert.equal(plans[0]!.backends[0]!.endpoints[0]!.url, 'https://shop.example.com/base');
  assert.deepEqual(dials.map(parseDial), [
    { scheme: 'http', host: '[::1]', port: 8080, tlsName: null },
    { scheme: 'http', host: '[fd00::5]', port: 80, tlsName: null },
    { scheme: 'https', host: '10.0.0.5', port: 8443, tlsName: 'shop.example.com' },
    { scheme: 'https', host: 'shop.example.com', port: 443, tlsName: null },
  ]);
});

test('a missing backend and no backend at all can be written, and are said', async () => {
  const { ok, plans, diagnostics } = await compileText(
    'app: a\nroutes:\n  - { name: x, matches: [{ path: { value: /x } }], backends: [{ backend: gone, allowMissing: true }] }\n  - { name: y }\n',
  );
  assert.equal(ok, true);
  assert.deepEqual(
    plans[0]!.routeActions.map((index) => plans[0]!.actions[index]!.backends),
    [[{ backend: -1, weight: 1, filters: [] }], []],
  );
  assert.deepEqual(
    diagnostics.map(({ severity, code }) => `${severity} ${code}`),
    ['warning missing-backend', 'warning no-backend'],
  );
});

test('a report shows line, place, cause and fix', async () => {
  const text = 'app: shop\nroutes:\n  - bakend: web\n';
  const { diagnostics } = await compileText(text);
  assert.equal(
    formatDiagnostics(diagnostics.slice(0, 1), { readText: () => text }),
    `error[unknown-field]: unknown field \`bakend\`
 --> a.yaml:3:5
  |
3 |   - bakend: web
  |     ^^^^^^
  = fields here: ${Object.keys(routeSchema.shape).join(', ')}
  = fix: did you mean \`backend\`?

1 error
`,
  );
  assert.equal(formatDiagnostics([]), '');
});

test('a report carries no escape sequence of the policy', async () => {
  const text = 'app: shop\n"\u001b[31mred\u0007": 1 # \u001b]0;title\u0007\n';
  const { diagnostics } = await compileText(text);
  assert.doesNotMatch(formatDiagnostics(diagnostics, { readText: () => text }), /[\u0000-\u0009\u000b-\u001f]/);
});

test('equal actions are stored once', async () => {
  const routes = Array.from({ length: 500 }, (_, i) => ({ matches: [{ path: { value: `/p${i}` } }], backend: 'b' }));
  const { plans } = await compileText(
    JSON.stringify({ app: 'a', backends: { b: { url: 'http://127.0.0.1:1' } }, routes }),
  );
  assert.equal(plans[0]!.actions.length, 1);
  assert.equal(plans[0]!.routeActions.length, 500);
});

test('an origin has a time to begin its answer, unless the policy says another or none', async () => {
  for (const [timeouts, responseHead] of [
    ['', DEFAULT_RESPONSE_HEAD_SECONDS * 1000],
    ['timeouts: {}', DEFAULT_RESPONSE_HEAD_SECONDS * 1000],
    ['timeouts: { backendRequest: 5m }', 0],
    ['timeouts: { request: 0s }', 0],
  ] as const) {
    const { plans } = await compileText(
      `app: a\nbackends: { b: { url: "http://127.0.0.1:1" } }\nroutes:\n  - backend: b\n    ${timeouts}\n`,
    );
    assert.equal(plans[0]!.actions[0]!.timeouts.responseHead, responseHead, timeouts);
  }
});

test('the table of agents is compiled in, unless it is given or refused', async () => {
  const files = [{ path: 'a.yaml', text: example('shop') }];
  const own = await compile({ files, target: 'workerd', rulesets });
  const table = own.images.get(own.manifest!.agents!)!;
  assert.equal(new DataView(table.buffer, table.byteOffset).getUint32(8, true), KIND_AGENTS);
  const given = await compile({ files, target: 'workerd', agents: table, rulesets });
  assert.deepEqual(given.manifest, own.manifest);
  assert.equal((await compile({ files, target: 'workerd', agents: null, rulesets })).manifest!.agents, null);
});

test('no app has the host of the control API, by name, by wildcard or by default', async () => {
  const problems = async (hostnames: string, controlHost?: string) => {
    const text = `app: a\n${hostnames}backends: { b: { url: "http://127.0.0.1:1" } }\nroutes: [{ backend: b }]\n`;
    const files = [{ path: 'a.yaml', text }];
    const { ok, diagnostics } = await compile({ files, target: 'workerd', controlHost, agents: null });
    assert.equal(ok, diagnostics.length === 0);
    return diagnostics.map(({ code, line, column }) => [code, line, column]);
  };
  const host = 'control.example.com';
  assert.deepEqual(await problems('hostnames: [www.example.com, Control.example.com]\n', host), [
    ['control-host', 2, 30],
  ]);
  assert.deepEqual(await problems('hostnames: ["*.example.com"]\n', host), [['control-host', 2, 13]]);
  assert.deepEqual(await problems('hostnames: ["*"]\n', host), [['control-host', 2, 13]]);
  assert.deepEqual(await problems('', host), [['control-host', 1, 1]]);
  assert.deepEqual(await problems('hostnames: [www.example.com, "*.control.example.com", example.com]\n', host), []);
  assert.deepEqual(await problems('hostnames: ["*.example.com"]\n'), []);
});

test('a rule set that several apps use is one image, named by each of them', async () => {
  const app = (name: string, waf: string) => ({
    path: `${name}.yaml`,
    text: `app: ${name}\nhostnames: [${name}.test]\nwaf: ${waf}\nbackends: { b: { url: "http://127.0.0.1:1" } }\nroutes: [{ backend: b }]\n`,
  });
  const files = [app('a', '{}'), app('b', '{ paranoia: { blocking: 2 } }'), app('c', '{ mode: "off" }')];
  const { manifest, images, plans } = await compile({ files, target: 'workerd', agents: null, rulesets });
  const [a, b, c] = manifest!.apps;
  assert.equal(a!.rulesets.length, 1);
  assert.deepEqual([b!.rulesets, c!.rulesets], [a!.rulesets, []]);
  assert.notEqual(a!.image, b!.image);
  assert.deepEqual(
    plans.map(({ rulesets: named }) => named),
    manifest!.apps.map((one) => one.rulesets),
  );
  assert.equal(images.size, 5, 'hosts, three apps, one rule set');
});
