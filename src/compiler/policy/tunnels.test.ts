import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from '../index.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { readDocument } from '../document.ts';
import { readPolicy, type Policy } from './policy.ts';
import type { Target } from './reading.ts';

const KEY = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';

function read(text: string, target: Target = 'workerd'): { policy: Policy; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const document = readDocument('a.yaml', `app: shop\n${text}`, diagnostics);
  const policy = document && readPolicy(document, target);
  assert.ok(policy);
  return { policy, diagnostics };
}

const reported = (text: string, target?: Target): string[] =>
  read(text, target).diagnostics.map(
    ({ severity, code, line, column, length }) => `${severity} ${code} ${line}:${column}+${length}`,
  );

test('a tunnel is a backend, or one of its endpoints, with weight and health', () => {
  const { policy, diagnostics } = read(`backends:
  laptop: { tunnel: laptop }
  api: { tunnel: laptop/api, host: api.internal:81 }
  both:
    endpoints: [{ tunnel: laptop, weight: 3 }, { tunnel: desk, host: url }, { url: http://10.0.0.1 }]
    health: {}
routes: [{ backend: laptop }]`);
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(
    policy.backends.map(({ endpoints }) => endpoints),
    [
      [{ url: 'http://laptop', dial: 'tunnel:laptop', host: 'preserve', weight: 1 }],
      [{ url: 'http://api.laptop', dial: 'tunnel:laptop/api', host: 'api.internal:81', weight: 1 }],
      [
        { url: 'http://laptop', dial: 'tunnel:laptop', host: 'preserve', weight: 3 },
        { url: 'http://desk', dial: 'tunnel:desk', host: 'url', weight: 1 },
        { url: 'http://10.0.0.1', dial: 'http://10.0.0.1:80', host: 'preserve', weight: 1 },
      ],
    ],
  );
  assert.equal(policy.backends[2]!.health?.consecutive5xx, 5);
  assert.equal(policy.tunnels, null);
});

test('Host reaches a tunnel as it is written on Cloudflare too', () => {
  const { policy, diagnostics } = read('backends: { a: { tunnel: a } }\nroutes: [{ backend: a }]', 'cloudflare');
  assert.deepEqual(diagnostics, []);
  assert.equal(policy.backends[0]!.endpoints[0]!.host, 'preserve');
});

test('tunnels are no connections of the process', async () => {
  const files = [
    {
      path: 'a.yaml',
      text: 'app: a\nbackends: { a: { endpoints: [{ tunnel: a }, { url: http://10.0.0.1 }] } }\nroutes: [{ backend: a }]',
    },
  ];
  const { ok, dials } = await compile({ files, target: 'workerd', agents: null });
  assert.equal(ok, true);
  assert.deepEqual(dials, ['http://10.0.0.1:80']);
});

test('`tunnels: {}` takes the hosts under localhost, and no others', () => {
  const { policy, diagnostics } = read('tunnels: {}');
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(policy.hostnames, ['*.localhost']);
  assert.deepEqual(policy.tunnels, {
    domain: 'localhost',
    access: { access: 'public', addresses: [], basic: [], keys: [] },
    names: {},
    edges: null,
    projects: [],
    networks: null,
  });
  assert.deepEqual(
    policy.backends.map(({ endpoints }) => endpoints),
    [[{ url: 'http://tunnel', dial: 'tunnel:*.localhost', host: 'preserve', weight: 1 }]],
  );
  assert.equal(policy.routes.length, 1);
  assert.deepEqual(policy.routes[0]!.route.hostnames, ['*.localhost']);
  assert.deepEqual(policy.routes[0]!.action.backends, [{ backend: 0, weight: 1, filters: [] }]);
});

test('a domain stands beside the hosts of the app, and its route behind the others', () => {
  const { policy, diagnostics } = read(`hostnames: [www.example.com]
tunnels: { domain: "*.T.example.com" }
backends: { web: { url: http://10.0.0.1 } }
routes: [{ backend: web }]`);
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(policy.hostnames, ['www.example.com', '*.t.example.com']);
  assert.equal(policy.tunnels?.domain, 't.example.com');
  assert.deepEqual(
    policy.routes.map(({ route }) => route.hostnames),
    [['www.example.com'], ['*.t.example.com']],
  );
});

test('without hosts of its own an app keeps any host, if it has routes', () => {
  const backends = 'backends: { web: { url: http://10.0.0.1 } }';
  const { policy } = read(`tunnels: {}\n${backends}\nroutes: [{ backend: web }]`);
  assert.deepEqual(policy.hostnames, ['*', '*.localhost']);
  assert.deepEqual(
    policy.routes.map(({ route }) => route.hostnames),
    [['*'], ['*.localhost']],
  );
});

test('a policy that has such a backend says itself what goes there', () => {
  const { policy, diagnostics } = read(`tunnels: {}
backends: { any: { endpoints: [{ tunnel: "*" }] } }
routes: [{ hostnames: ["*.localhost"], matches: [{ path: { value: /api } }], backend: any }]`);
  assert.deepEqual(diagnostics, []);
  assert.equal(policy.backends.length, 1);
  assert.equal(policy.routes.length, 1);
});

test('access is said once for all and again for one; lists are replaced as a whole', () => {
  const { policy, diagnostics } = read(`tunnels:
  restricted: { addresses: [192.0.2.0/24], basic: { ann: { secret: ANN } }, keys: [{ secret: KEY }] }
  names:
    open: { access: public }
    hidden: { access: private }
    other: { restricted: { keys: [{ secret: OTHER }] } }
    same: { access: restricted }
  edges: [edge.example]
  projects: { partner: ${KEY} }
  networks: [{ from: [laptop], to: [db.office, "web.*"] }]`);
  assert.deepEqual(diagnostics, []);
  const all = {
    access: 'restricted',
    addresses: ['192.0.2.0/24'],
    basic: [{ user: 'ann', secret: 'ANN' }],
    keys: ['KEY'],
  };
  assert.deepEqual(policy.tunnels?.access, all);
  assert.deepEqual(policy.tunnels?.names, {
    open: { ...all, access: 'public' },
    hidden: { ...all, access: 'private' },
    other: { access: 'restricted', addresses: [], basic: [], keys: ['OTHER'] },
    same: all,
  });
  assert.deepEqual(policy.tunnels?.projects, [{ name: 'partner', key: KEY }]);
  assert.deepEqual(policy.tunnels?.networks, [{ from: ['laptop'], to: ['db.office', 'web.*'] }]);
  assert.deepEqual(policy.secrets, ['ANN', 'KEY', 'OTHER']);
});

test('what is wrong is said where it stands', () => {
  const route = 'routes: [{ backend: a }]';
  const cases: readonly (readonly [text: string, ...expected: string[]])[] = [
    [`backends: { a: { tunnel: Laptop } }\n${route}`, 'error bad-format 2:26+6'],
    [`backends: { a: { tunnel: a/b/c } }\n${route}`, 'error bad-format 2:26+5'],
    [`backends: { a: { tunnel: a, url: http://b } }\n${route}`, 'error conflict 2:29+3'],
    [`backends: { a: { tunnel: a, address: b } }\n${route}`, 'error conflict 2:29+7'],
    [`backends: { a: { tunnel: a, endpoints: [{ tunnel: b }] } }\n${route}`, 'error conflict 2:29+9'],
    [`backends: { a: { endpoints: [{ weight: 1 }] } }\n${route}`, 'error missing-field 2:30+1'],
    [`backends: { a: {} }\n${route}`, 'error missing-field 2:13+1'],
    [`backends: { a: { tunnel: "*" } }\n${route}`, 'error no-tunnels 2:26+3'],
    [`tunnels: {}\nbackends: { a: { tunnel: "*", host: b } }\n${route}`, 'error conflict 3:31+4'],
    ['tunnels: { domain: t.example.com }', 'error bad-domain 2:20+13'],
    ['tunnels: { domain: "*" }', 'error bad-domain 2:20+3'],
    ['tunnels: { domain: "http://*.a" }', 'error bad-hostname 2:20+12'],
    ['tunnels: { access: open }', 'error unknown-value 2:20+4'],
    ['tunnels: { access: restricted }', 'error nobody 2:20+10'],
    ['tunnels: { access: private, restricted: { addresses: [192.0.2.1] } }', 'warning no-effect 2:29+10'],
    ['tunnels: { restricted: { addresses: [192.0.2.300] } }', 'error bad-address 2:38+11'],
    ['tunnels: { restricted: { basic: { "a:b": { secret: A } } } }', 'error bad-format 2:35+5'],
    ['tunnels: { restricted: { basic: { ann: hunter2 } } }', 'error wrong-type 2:40+7'],
    ['tunnels: { names: { Laptop: {} } }', 'error bad-format 2:21+6'],
    ['tunnels: { projects: { a: b } }', 'error bad-format 2:27+1'],
    [`tunnels: { projects: { a: ${KEY}, b: ${KEY} }, edges: [a] }`, 'error duplicate-name 2:75+43'],
    ['tunnels: { networks: [{ from: [a], to: ["*.a"] }] }', 'error bad-format 2:41+5'],
    ['tunnels: { networks: [{ from: [a] }] }', 'error missing-field 2:23+1'],
    ['tunnel: {}\nroutes: []', 'error unknown-field 2:1+6'],
  ];
  for (const [text, ...expected] of cases) assert.deepEqual(reported(text), expected, text);
  assert.deepEqual(reported('tunnels: {}', 'cloudflare').slice(0, 1), ['error missing-field 2:1+7']);
});

test('two apps cannot have one domain', async () => {
  const files = ['a', 'b'].map((app) => ({ path: `${app}.yaml`, text: `app: ${app}\ntunnels: {}\n` }));
  const { diagnostics } = await compile({ files, target: 'workerd', agents: null });
  assert.deepEqual(
    diagnostics.map(({ file, code, line, column }) => `${file} ${code} ${line}:${column}`),
    ['b.yaml host-twice 2:1'],
  );
});

test('where no policy speaks of tunnels they can have the hosts under localhost', async () => {
  const rulesets = () => Promise.resolve({ problem: 'none', fix: 'none' });
  const domain = async (...texts: string[]): Promise<string | null> => {
    const files = texts.map((text, index) => ({ path: `${index}.yaml`, text }));
    const compiled = await compile({ files, target: 'workerd', agents: null, tunnels: true, rulesets });
    return compiled.diagnostics.some(({ file }) => file === '(tunnels)') ? '(tunnels)' : compiled.tunnels;
  };
  // The embedded rules, which are not to be had here, are what stands in asks for.
  const route = 'backends: { o: { url: http://10.0.0.1 } }\nroutes: [{ backend: o }]\n';
  assert.equal(await domain(`app: a\n${route}`), '(tunnels)');
  assert.equal(await domain(`app: a\nhostnames: [a.localhost, localhost]\n${route}`), '(tunnels)');
  assert.equal(await domain(`app: a\nhostnames: ["*.localhost"]\n${route}`), null);
  assert.equal(await domain(`app: a\nhostnames: ["*"]\n${route}`), null);
  assert.equal(await domain(`app: a\n${route}`, 'app: b\ntunnels: { domain: "*.t.localhost" }'), '*.t.localhost');
  assert.equal(await domain(`app: tunnels\n${route}`), null);
});

test('hosts of the edge: without port, and worth naming where other projects are let in', () => {
  assert.deepEqual(read('tunnels: { edges: [edge.example.com, "[::1]", 127.0.0.1] }').policy.tunnels?.edges, [
    'edge.example.com',
    '[::1]',
    '127.0.0.1',
  ]);
  assert.equal(read('tunnels: {}').policy.tunnels?.edges, null);
  for (const wrong of ['https://edge.example.com', 'edge.example.com:8080', '"*.example.com"', 'a..b', '""'])
    assert.match(reported(`tunnels: { edges: [${wrong}] }`)[0] ?? '', /^error /, wrong);
  assert.match(reported('tunnels: { edges: [] }')[0] ?? '', /^error /);
  assert.deepEqual(reported(`tunnels: { projects: { partner: ${KEY} } }`), ['warning any-edge 2:12+8']);
  assert.deepEqual(reported(`tunnels: { edges: [a.example], projects: { partner: ${KEY} } }`), []);
});
