import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Diagnostic } from '../diagnostics.ts';
import { readDocument } from '../document.ts';
import { readPolicy, type Policy } from './policy.ts';
import type { Target } from './reading.ts';

function read(text: string, target: Target = 'workerd'): { policy: Policy | null; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const document = readDocument('a.yaml', text, diagnostics);
  return { policy: document && readPolicy(document, target), diagnostics };
}

/** What was reported: severity, code, line:column+length, in the order of the report. */
function reported(text: string, target?: Target): string[] {
  return read(text, target).diagnostics.map(
    ({ severity, code, line, column, length }) => `${severity} ${code} ${line}:${column}+${length}`,
  );
}

/** Each case stands below these two lines, so line 3 is its first. */
const BASE = 'app: shop\nbackends: { web: { url: http://127.0.0.1:9001 }, api: { url: http://127.0.0.1:9002 } }\n';
const ROUTE = 'routes: [{ backend: web }]\n';

type Case = readonly [text: string, ...expected: string[]];

const SHAPE: readonly Case[] = [
  [`${ROUTE}hostname: [a]`, 'error unknown-field 4:1+8'],
  ['routes:\n  - mathces: []\n    backend: web', 'error unknown-field 4:5+7'],
  ['routes:\n  - backend: web\n    timeouts: { reqest: 1s }', 'error unknown-field 5:17+6'],
  ['routes: { a: 1 }', 'error wrong-type 3:1+6'],
  [`${ROUTE}rules: 5`, 'error wrong-type 4:8+1'],
  ['routes: [1]', 'error wrong-type 3:10+1'],
  [`${ROUTE}rules:\n  - name: x\n    action: block`, 'error missing-field 5:5+1'],
  [`${ROUTE}rules: [{ name: x, when: "true", action: blok }]`, 'error unknown-value 4:42+4'],
  [`${ROUTE}rules: [{ name: "-x", when: "true", action: block }]`, 'error bad-format 4:17+4'],
  [`${ROUTE}lists: { Office: [1] }`, 'error bad-format 4:10+6'],
  [`${ROUTE}body: { limit: 12 }`, 'error wrong-type 4:16+2'],
  [`${ROUTE}body: { limit: 12GB }`, 'error bad-format 4:16+4'],
  [`${ROUTE}body: { limit: 2MB }`, 'error out-of-range 4:16+3'],
  [`${ROUTE}proxyStatus: "yes"`, 'error wrong-type 4:14+5'],
  [`${ROUTE}cdnLoop: { id: "a b" }`, 'error bad-format 4:16+5'],
  ['routes: [{ backend: web, timeouts: { request: 10 } }]', 'error wrong-type 3:47+2'],
  ['routes: [{ backend: web, timeouts: { request: 1.5s } }]', 'error bad-format 3:47+4'],
  ['routes: [{ backend: web, retry: { attempts: 99 } }]', 'error out-of-range 3:45+2'],
  ['routes: [{ backend: web, retry: { codes: [200] } }]', 'error out-of-range 3:43+3'],
  ['routes: [{ backend: web, retry: { budget: 120% } }]', 'error out-of-range 3:43+4'],
  ['routes: [{ backend: web, matches: [{ method: get }] }]', 'error unknown-value 3:46+3'],
  ['routes: [{ backend: web, matches: [{ path: { type: Prefix, value: / } }] }]', 'error unknown-value 3:52+6'],
  ['routes: [{ backend: web, matches: [] }]', 'error out-of-range 3:26+7'],
  ['routes: [{ backends: [{ backend: web, weight: -1 }] }]', 'error out-of-range 3:47+2'],
  ['routes: [{ backends: [{ backend: web, weight: 1.5 }] }]', 'error wrong-type 3:47+3'],
  ['routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { x-a: 1 } } }] }]', 'error wrong-type 3:75+1'],
  [
    'routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { "x a": b } } }] }]',
    'error bad-format 3:70+5',
  ],
  [
    'routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { x: { sekret: A } } } }] }]',
    'error missing-field 3:70+1',
    'error unknown-field 3:75+6',
  ],
  ['routes: [{ filters: [{ requestRedirect: { port: 70000 } }] }]', 'error out-of-range 3:49+5'],
  ['routes: [{ filters: [{ requestRedirect: { port: 80, statusCode: 300 } }] }]', 'error unknown-value 3:65+3'],
  ['routes: [{ filters: [{ directResponse: { status: 101 } }] }]', 'error out-of-range 3:50+3'],
];

const REFERENCES: readonly Case[] = [
  ['routes: [{ backend: wbe }]', 'error unknown-backend 3:21+3'],
  ['routes: [{ backends: [{ backend: web }, { backend: gone }] }]', 'error unknown-backend 3:52+4'],
  ['routes: [{ backends: [{ backend: gone, allowMissing: true }] }]', 'warning missing-backend 3:34+4'],
  ['routes: [{ backend: web, filters: [{ requestMirror: { backend: gone } }] }]', 'error unknown-backend 3:64+4'],
  [
    `${ROUTE}rules: [{ name: x, when: "true", action: route, route: { backend: gone } }]`,
    'error unknown-backend 4:67+4',
  ],
  [`${ROUTE}rules: [{ name: x, when: "true", action: skip, skip: { rules: [y] } }]`, 'error unknown-rule 4:64+1'],
  [
    `${ROUTE}rules:\n  - { name: x, when: "true", action: log }\n  - { name: y, when: "true", action: skip, skip: { rules: [x, y] } }`,
    'error rule-order 6:60+1',
    'error rule-order 6:63+1',
  ],
  [
    `${ROUTE}rules:\n  - { name: x, when: "true", action: log }\n  - { name: x, when: "true", action: log }`,
    'error duplicate-name 6:13+1',
  ],
  ['routes:\n  - { name: a, backend: web }\n  - { name: a, backend: web }', 'error duplicate-name 5:13+1'],
  [
    'routes: [{ name: a, hostnames: [b.example.com], backend: web }]\nhostnames: [a.example.com]',
    'error hostname-outside 3:33+13',
  ],
  [
    'routes: [{ hostnames: [a.example.com, b.org], backend: web }]\nhostnames: ["*.example.com"]',
    'warning hostname-outside 3:39+5',
  ],
];

const CONFLICTS: readonly Case[] = [
  ['routes: [{ backend: web, backends: [{ backend: api }] }]', 'error conflict 3:12+7'],
  ['routes: [{ backend: web, filters: [{ requestRedirect: { scheme: https } }] }]', 'error conflict 3:12+7'],
  ['routes: [{ backends: [{ backend: web }], filters: [{ directResponse: {} }] }]', 'error conflict 3:12+8'],
  [
    'routes: [{ filters: [{ requestRedirect: { scheme: https } }, { urlRewrite: { hostname: a.b } }] }]',
    'error conflict 3:64+10',
  ],
  [
    'routes: [{ backend: web, filters: [{ urlRewrite: { hostname: a.b } }, { urlRewrite: { hostname: a.c } }] }]',
    'error duplicate-filter 3:73+10',
  ],
  ['routes: [{ backend: web, filters: [{ requestMirror: { backend: api } }, { requestMirror: { backend: web } }] }]'],
  [
    'routes: [{ backend: web, filters: [{ cors: { allowOrigins: ["*"] }, urlRewrite: { hostname: a.b } }] }]',
    'error conflict 3:36+1',
  ],
  ['routes: [{ backend: web, filters: [{}] }]', 'error conflict 3:36+1'],
  ['routes: [{ backends: [{ backend: web, filters: [{ cors: { allowOrigins: ["*"] } }] }] }]', 'error conflict 3:51+4'],
  ['routes: [{ filters: [{ requestRedirect: {} }] }]', 'warning redirect-loop 3:24+15'],
  ['routes: [{ filters: [{ requestRedirect: { path: {} } }] }]', 'error conflict 3:43+4'],
  [
    'routes: [{ backend: web, matches: [{ path: { type: Exact, value: /a } }], filters: [{ urlRewrite: { path: { replacePrefixMatch: / } } }] }]',
    'error conflict 3:109+18',
  ],
  ['routes: [{ backend: web, filters: [{ urlRewrite: { path: { replaceFullPath: a } } }] }]', 'error bad-path 3:77+1'],
  [
    'routes: [{ backend: web, filters: [{ requestMirror: { backend: api, percent: 5, fraction: { numerator: 1 } } }] }]',
    'error conflict 3:38+13',
  ],
  ['routes: [{ backend: web, timeouts: { request: 1s, backendRequest: 2s } }]', 'error timeouts 3:67+2'],
  ['routes: [{ backend: web, retry: { backoff: 2s } }]', 'error backoff 3:44+2'],
  ['routes: [{ backend: web, retry: {} }]\nbody: { over: pass }', 'warning not-replayable 3:26+5'],
  ['routes: [{ backend: web, retry: {}, matches: [{ method: GET }] }]\nbody: { over: pass }'],
  ['routes: [{ name: a }]', 'warning no-backend 3:10+1'],
  ['routes: [{ backends: [{ backend: web, weight: 0 }] }]', 'warning zero-weights 3:12+8'],
  [`${ROUTE}rules: [{ name: x, when: "true", action: log, status: 403 }]`, 'error conflict 4:47+6'],
  [`${ROUTE}rules: [{ name: x, when: "true", action: redirect }]`, 'error missing-field 4:9+1'],
  [`${ROUTE}rules: [{ name: x, when: "true", action: rewrite, rewrite: {} }]`, 'error no-effect 4:51+7'],
  [`${ROUTE}inspect: { required: [x-a], forbidden: [X-A] }`, 'error conflict 4:41+3'],
  ['', 'warning no-routes 1:1+1'],
];

const HEADERS_AND_HOSTS: readonly Case[] = [
  [
    'routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { Host: a } } }] }]',
    'error forbidden-header 3:70+4',
  ],
  [
    'routes: [{ backend: web, filters: [{ requestHeaderModifier: { remove: [transfer-encoding] } }] }]',
    'error forbidden-header 3:72+17',
  ],
  [
    'routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { x-sallyport-a: b } } }] }]',
    'error forbidden-header 3:70+13',
  ],
  [
    'routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { x-a: "b\\r\\nc: d" } } }] }]',
    'error bad-header-value 3:77+1',
  ],
  [
    'routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { Authorization: Bearer 123 } } }] }]',
    'error literal-secret 3:85+10',
  ],
  [
    'routes: [{ backend: web, filters: [{ requestHeaderModifier: { add: { X-Api-Key: abc } } }] }]',
    'error literal-secret 3:81+3',
  ],
  [
    'routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { x-stripe-api-key: abc } } }] }]',
    'error literal-secret 3:88+3',
  ],
  ['routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { authorization: { secret: TOKEN } } } }] }]'],
  [
    'routes: [{ backend: web, filters: [{ responseHeaderModifier: { set: { x-a: { secret: TOKEN } } } }] }]',
    'error secret-in-response 3:71+3',
  ],
  [
    'routes: [{ backend: web, filters: [{ requestHeaderModifier: { set: { x-a: b, X-A: c } } }] }]',
    'error duplicate-header 3:78+3',
  ],
  [
    `${ROUTE}rules: [{ name: x, when: "true", action: rewrite, rewrite: { headers: { set: { cookie: '"a=b"' } } } }]`,
    'error literal-secret 4:88+7',
  ],
  [
    'routes: [{ backend: web, matches: [{ headers: [{ name: a, value: b }, { name: A, value: c }] }] }]',
    'error duplicate-condition 3:79+1',
  ],
  ['routes: [{ backend: web, matches: [{ headers: [{ name: "a b", value: b }] }] }]', 'error bad-format 3:56+5'],
  ['routes: [{ backend: web, matches: [{ path: { value: api } }] }]', 'error bad-path 3:53+3'],
  ['routes: [{ backend: web, matches: [{ path: { value: "/a?b" } }] }]', 'error bad-path 3:53+6'],
  ['routes: [{ backend: web, matches: [{ path: { value: /a/../b } }] }]', 'error bad-path 3:53+7'],
  [`${ROUTE}hostnames: [shop.example.com:8080]`, 'error bad-hostname 4:13+21'],
  [`${ROUTE}hostnames: ["https://shop.example.com"]`, 'error bad-hostname 4:13+26'],
  [`${ROUTE}hostnames: ["a.*.com"]`, 'error bad-hostname 4:13+9'],
  [`${ROUTE}hostnames: [bücher.example]`, 'error bad-hostname 4:13+14'],
  [`${ROUTE}hostnames: [300.1.1.1]`, 'error bad-hostname 4:13+9'],
  [`${ROUTE}hostnames: [SHOP.example.com, 127.0.0.1, "[::1]", "*"]`],
  [
    'routes: [{ backend: web, filters: [{ cors: { allowOrigins: ["*"], allowCredentials: true } }] }]',
    'warning cors-any-origin 3:46+12',
  ],
  ['routes: [{ backend: web, filters: [{ cors: { allowOrigins: ["*", "https://a.b"] } }] }]', 'error conflict 3:61+3'],
  ['routes: [{ backend: web, filters: [{ cors: { allowOrigins: ["https://a.b/c"] } }] }]', 'error bad-origin 3:61+15'],
  ['routes: [{ filters: [{ directResponse: { status: 204, body: x } }] }]', 'error conflict 3:61+1'],
  ['routes: [{ filters: [{ directResponse: { contentType: text } }] }]', 'error bad-format 3:55+4'],
];

const BACKENDS: readonly Case[] = [
  ['{ url: "ftp://a" }', 'error bad-url 3:15+9'],
  ['{ url: 127.0.0.1:80 }', 'error bad-url 3:15+12'],
  ['{ url: "http://" }', 'error bad-url 3:15+9'],
  ['{ url: "http://u:p@a" }', 'error bad-url 3:15+14'],
  ['{ url: "http://a/?b" }', 'error bad-url 3:15+13'],
  ['{ url: "http://a b" }', 'error bad-url 3:15+12'],
  ['{ url: "http://a$b" }', 'error bad-url 3:15+12'],
  ['{ url: "http:a" }', 'error bad-url 3:15+8'],
  ['{}', 'error missing-field 3:3+3'],
  ['{ url: "http://a", endpoints: [{ url: "http://b" }] }', 'error conflict 3:27+9'],
  ['{ host: url, endpoints: [{ url: "http://b" }] }', 'error conflict 3:10+4'],
  ['{ url: "http://a", address: "http://b" }', 'error bad-address 3:36+10'],
  ['{ url: "http://a", address: "b:99999" }', 'error bad-address 3:36+9'],
  ['{ url: "http://a", host: "a b" }', 'error bad-hostname 3:33+5'],
  ['{ endpoints: [{ url: "http://a", weight: 0 }] }', 'warning zero-weights 3:10+9'],
  ['{ url: "http://a", loadBalancer: { type: ConsistentHash } }', 'error conflict 3:27+12'],
  ['{ url: "http://a", loadBalancer: { type: ConsistentHash, header: a, cookie: b } }', 'error conflict 3:27+12'],
  ['{ url: "http://a", loadBalancer: { header: a } }', 'error conflict 3:43+6'],
  ['{ url: "http://a", health: {} }', 'warning no-effect 3:27+6'],
  [
    '{ url: "http://a", health: { passive: { consecutive5xx: 0, consecutiveGatewayErrors: 0 } } }',
    'error no-effect 3:37+7',
    'warning no-effect 3:27+6',
  ],
  [
    '{ endpoints: [{ url: "http://a" }, { url: "http://b" }], health: { passive: { baseEjectionTime: 400s } } }',
    'error ejection-times 3:75+7',
  ],
];

const SETTINGS: readonly Case[] = [
  ['clientAddress: { from: cf }', 'error client-address 4:24+2'],
  ['clientAddress: { from: xff }', 'error client-address 4:1+13'],
  ['clientAddress: { trustedHops: 2 }', 'warning no-effect 4:31+1'],
  ['clientAddress: { trustedCIDRs: [10.0.0.0/33] }', 'error bad-address 4:33+11'],
  ['clientAddress: { trustedCIDRs: [10.1.2.3/8] }', 'warning host-bits 4:33+10'],
  ['clientAddress: { from: header }', 'error unknown-value 4:24+6'],
  ['lists: { a: [1, b] }', 'error mixed-list 4:17+1'],
  ['lists: { a: [10.0.0.0/8, 10.0.0.1, 10.0.0.256] }', 'error bad-address 4:36+10'],
  ['lists: { a: [10.0.0.1/8] }', 'warning host-bits 4:14+10'],
  ['lists: { a: [10.0.0.0/8, 10.0.0.7, "2001:db8::/32", "::1"] }'],
  ['lists: { a: [] }', 'warning empty-list 4:10+1'],
];

function check(cases: readonly Case[], frame: (text: string) => string): void {
  for (const [text, ...expected] of cases) assert.deepEqual(reported(frame(text)), expected, text);
}

test('the shape of a policy', () => check(SHAPE, (text) => BASE + text));
test('names that must exist', () => check(REFERENCES, (text) => BASE + text));
test('what cannot stand together', () => check(CONFLICTS, (text) => BASE + text));
test('headers, paths, hosts and origins', () => check(HEADERS_AND_HOSTS, (text) => BASE + text));
test('backends', () => check(BACKENDS, (text) => `app: shop\nbackends:\n  web: ${text}\n${ROUTE}`));
test('settings and lists', () => check(SETTINGS, (text) => BASE + ROUTE + text));

test('what the Gateway API spells otherwise is told how to be spelled here', () => {
  const fixes = (filter: string): (string | undefined)[] =>
    read(`${BASE}routes: [{ backend: web, filters: [${filter}] }]\n`).diagnostics.map(({ fix }) => fix);
  assert.deepEqual(fixes('{ requestHeaderModifier: { set: [{ name: x-env, value: prod }] } }'), [
    'write a mapping: { x-env: "prod" }',
  ]);
  assert.deepEqual(fixes('{ urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /x } } }'), [
    'leave `type` out: the field says it, `replaceFullPath: /new` or `replacePrefixMatch: /new`',
  ]);
  assert.deepEqual(fixes('{ type: CORS, cors: {} }'), ['leave `type` out: the name of the filter says it']);
});
