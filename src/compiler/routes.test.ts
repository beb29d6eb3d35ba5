import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OUTCOME_NO_ROUTE, OUTCOME_OK } from '../../assembly/abi.ts';
import { requestHead, testEngine } from '../../test/support/engine.ts';
import { collector, loadOne, policyImage, routeSources, type RouteText } from '../../test/support/image.ts';
import { referenceRoute } from '../../test/support/reference-router.ts';

const engine = await testEngine();

/** Route index for each request, -1 for none. */
function routesOf(routes: readonly RouteText[], requests: readonly Parameters<typeof requestHead>[]): number[] {
  const generation = loadOne(engine, policyImage(routeSources(routes)));
  const found = requests.map((request) => engine.head(generation, requestHead(...request), 0, 0).route);
  engine.release(generation);
  return found;
}

test('a path prefix matches whole elements, with or without a slash at its end', () => {
  const routes = [{ matches: [{ prefix: '/v2/' }] }, { matches: [{ prefix: '/a/b' }] }];
  const paths = ['/v2', '/v2/', '/v2/x', '/v2example', '/v', '/', '/a/b', '/a/b/', '/a/bc', '/a', '/a/b/c/d'];
  assert.deepEqual(
    routesOf(
      routes,
      paths.map((path) => [`http://h${path}`]),
    ),
    [0, 0, 0, -1, -1, -1, 1, 1, -1, -1, 1],
  );
});

test('an empty element of a prefix is an element', () => {
  const routes = [{ matches: [{ prefix: '/a//' }] }, { matches: [{ prefix: '//b/..' }] }];
  const paths = ['/a', '/a/', '/a//', '/a//b', '/a/b', '/', '//', '//c', '/c'];
  assert.deepEqual(
    routesOf(
      routes,
      paths.map((path) => [`http://h${path}`]),
    ),
    [-1, 0, 0, 0, -1, 1, 1, 1, -1],
  );
});

test('exact beats prefix, the longest prefix beats shorter ones, and `/` matches everything', () => {
  const routes = [
    { matches: [{ prefix: '/' }] },
    { matches: [{ prefix: '/match' }] },
    { matches: [{ exact: '/match' }] },
    { matches: [{ prefix: '/match/prefix/one' }] },
    { matches: [{ prefix: '/match/prefix' }] },
    { matches: [{ exact: '/match/' }] },
  ];
  const paths = ['/match', '/match/', '/match/x', '/match/prefix/one/any', '/match/prefix/two', '/other', '/'];
  assert.deepEqual(
    routesOf(
      routes,
      paths.map((path) => [`http://h${path}`]),
    ),
    [2, 5, 1, 3, 4, 0, 0],
  );
});

test('method, then headers, then query parameters, then order break ties', () => {
  const header = (name: string) => ({ name, type: 'Exact' as const, value: '1' });
  const routes: RouteText[] = [
    { matches: [{ queryParams: [header('q')] }] },
    { matches: [{ headers: [header('x-a')] }] },
    { matches: [{ headers: [header('x-a'), header('x-b')] }] },
    { matches: [{ method: 'POST' }] },
    { matches: [{}] },
    { matches: [{}] },
  ];
  const all = {
    headers: [
      ['host', 'h'],
      ['x-a', '1'],
      ['x-b', '1'],
    ] as const,
  };
  assert.deepEqual(
    routesOf(routes, [
      ['http://h/?q=1', { ...all, method: 'POST' }],
      ['http://h/?q=1', all],
      [
        'http://h/?q=1',
        {
          headers: [
            ['host', 'h'],
            ['x-a', '1'],
          ],
        },
      ],
      ['http://h/?q=1'],
      ['http://h/?q=2&q=1'],
      ['http://h/', { method: 'post' }],
    ]),
    [3, 2, 1, 0, 4, 4],
  );
});

test('query parameters are decoded and the first of a name counts; header names are case-insensitive in the policy', () => {
  const routes: RouteText[] = [
    { matches: [{ queryParams: [{ name: 'a b', type: 'Exact', value: 'c/d+e' }] }] },
    { matches: [{ headers: [{ name: 'X-Version', type: 'Exact', value: 'Two' }] }] },
  ];
  assert.deepEqual(
    routesOf(routes, [
      ['http://h/?x&a+b=c%2Fd%2be'],
      ['http://h/?a%20b=c/d+e'],
      ['http://h/?a%20b=no&a%20b=c/d%2Be'],
      [
        'http://h/',
        {
          headers: [
            ['host', 'h'],
            ['x-version', 'Two'],
          ],
        },
      ],
      [
        'http://h/',
        {
          headers: [
            ['host', 'h'],
            ['x-version', 'two'],
          ],
        },
      ],
    ]),
    [0, -1, -1, 1, -1],
  );
});

test('more specific host names are tried first, and less specific ones when none of theirs matches', () => {
  const routes: RouteText[] = [
    { hostnames: ['*'], matches: [{ exact: '/x' }] },
    { hostnames: ['*.example.com'], matches: [{ prefix: '/' }] },
    { hostnames: ['*.a.example.com'], matches: [{ prefix: '/a' }] },
    { hostnames: ['very.a.example.com'], matches: [{ prefix: '/very' }] },
  ];
  assert.deepEqual(
    routesOf(routes, [
      ['http://very.a.example.com/very'],
      ['http://VERY.a.Example.com:8080/a'],
      ['http://very.a.example.com/x'],
      ['http://x.y.a.example.com/a/b'],
      ['http://example.com/'],
      ['http://example.com/x'],
      ['http://other/x'],
      ['http://b.example.com./'],
    ]),
    [3, 2, 1, 2, -1, 0, 0, 1],
  );
});

test('a policy spells paths as it likes: they are made canonical as requests are', () => {
  const routes = [{ matches: [{ exact: '/café' }] }, { matches: [{ prefix: '/a%2fb/%7Euser' }] }];
  const paths = ['/caf%c3%a9', '/x/../caf%C3%A9', '/a%2Fb/~user/1', '/a/b/~user'];
  assert.deepEqual(
    routesOf(
      routes,
      paths.map((path) => [`http://h${path}`]),
    ),
    [0, 0, 1, -1],
  );
});

test('the prefix length says what a rewrite may replace', () => {
  const generation = loadOne(
    engine,
    policyImage(routeSources([{ matches: [{ prefix: '/a/b/' }, { exact: '/e' }, { prefix: '/' }] }])),
  );
  const lengths = ['/a/b', '/a/b/c', '/x/../a/b/', '/e', '/z'].map((path) => {
    const { prefixLength, match, outcome } = engine.head(generation, requestHead(`http://h${path}`), 0, 0);
    assert.equal(outcome, OUTCOME_OK);
    return [match, prefixLength];
  });
  assert.deepEqual(lengths, [
    [0, 4],
    [0, 4],
    [0, 4],
    [1, 0],
    [2, 0],
  ]);
  engine.release(generation);
});

test('a match that can never win is reported, one that can is not', () => {
  const header = { name: 'x-a', type: 'Exact' as const, value: '1' };
  const reporter = collector();
  policyImage(
    routeSources([
      { hostnames: ['a', 'b'], matches: [{ prefix: '/x' }] },
      { hostnames: ['a'], matches: [{ prefix: '/x/' }] }, // unreachable
      { hostnames: ['a', 'c'], matches: [{ prefix: '/x' }] }, // reachable through c
      {
        hostnames: ['a'],
        matches: [
          { prefix: '/x', headers: [header] },
          { prefix: '/x', headers: [header], method: 'GET' },
        ],
      },
      { hostnames: ['a'], matches: [{ prefix: '/x', headers: [header], queryParams: [header] }] }, // the match before it wins more headers? equal headers, more params: stands first
      { hostnames: ['a'], matches: [{ prefix: '/x', headers: [header, header] }] }, // duplicate, then unreachable
    ]),
    undefined,
    reporter,
  );
  assert.deepEqual(
    reporter.reports.map(({ code, path }) => [code, path.join('.')]),
    [
      ['duplicate-match', 'routes.5.matches.0.headers.1'],
      ['unreachable-route', 'routes.1.matches.0'],
      ['unreachable-route', 'routes.5.matches.0'],
    ],
  );
});

test('100,000 routes compile in seconds and are looked up as fast as ten', () => {
  const started = performance.now();
  const many = Array.from({ length: 100_000 }, (_, i) => ({
    matches: [i % 2 ? { exact: `/app/${i}/edit` } : { prefix: `/app/${i}` }],
  }));
  const big = loadOne(engine, policyImage(routeSources(many)));
  assert.ok(performance.now() - started < 30_000, 'compiled in time');
  for (let i = 0; i < 100_000; i += 997) {
    assert.equal(engine.head(big, requestHead(`http://h/app/${i}/edit`), 0, 0).route, i);
  }
  const missing = engine.head(big, requestHead('http://h/none/of/them'), 0, 0);
  assert.equal(missing.outcome, OUTCOME_NO_ROUTE);
  const small = loadOne(engine, policyImage(routeSources(many.slice(0, 10))));
  // Steps, not time: they count the work, and the machine is shared.
  const steps = engine.head(small, requestHead('http://h/app/8/edit'), 0, 0).steps;
  assert.equal(engine.head(big, requestHead('http://h/app/8/edit'), 0, 0).steps, steps);
  engine.release(big);
  engine.release(small);
});

test('many regular expressions run together and keep their order', () => {
  const routes = Array.from({ length: 300 }, (_, i) => ({
    matches: [
      { regex: i % 100 === 99 ? '/any/.*' : `/v[0-9]+/res${i % 150}/.*`, ...(i < 150 ? { method: 'POST' } : {}) },
    ],
  }));
  const image = policyImage(routeSources(routes));
  const generation = loadOne(engine, image);
  const route = (path: string, method = 'GET') =>
    engine.head(generation, requestHead(`http://h${path}`, { method }), 0, 0).route;
  for (let i = 150; i < 300; i++) {
    if (i % 100 === 99 || (i - 150) % 100 === 99) continue;
    assert.equal(route(`/v1/res${i - 150}/x`), i);
    assert.equal(route(`/v1/res${i - 150}/x`, 'POST'), i - 150);
  }
  assert.equal(route('/any/thing'), 199);
  assert.equal(route('/any/thing', 'POST'), 99);
  assert.equal(route('/v1/res1000/x'), -1);
  engine.release(generation);

  const reporter = collector();
  const bad = routeSources([...routes.slice(0, 20), { matches: [{ regex: '/(a' }] }]);
  policyImage(bad, undefined, reporter);
  assert.deepEqual(
    reporter.reports.filter(({ severity }) => severity === 'error').map(({ code, path }) => [code, path.join('.')]),
    [['regex', 'routes.20.matches.0.path.value']],
  );
});

test('tables do not grow with host names that the same routes take', () => {
  const hostnames = Array.from({ length: 1000 }, (_, i) => `h${i}.example.com`);
  const routes = (names: readonly string[]) =>
    routeSources(Array.from({ length: 200 }, (_, i) => ({ hostnames: names, matches: [{ prefix: `/r${i}` }] })));
  const image = policyImage([...routes(hostnames), ...routes(['*.example.com', 'h7.example.com'])]);
  assert.ok(image.length < 150_000, `${image.length} bytes`);
  const generation = loadOne(engine, image);
  const route = (host: string) => engine.head(generation, requestHead(`http://${host}/r150`), 0, 0).route;
  assert.deepEqual(
    ['h999', 'h7', 'h1000'].map((name) => route(`${name}.example.com`)),
    [150, 150, 350],
  );
  engine.release(generation);
});

test('more combinations of matches and hosts than an image can hold are refused before they are made', () => {
  const routes = Array.from({ length: 2100 }, (_, i) => ({
    hostnames: Array.from({ length: 1001 }, (_, j) => `h${j === 1000 ? `x${i}` : j}`),
  }));
  const distinct = Array.from({ length: 1000 }, (_, j) => ({ hostnames: [`h${j}`] }));
  assert.throws(() => policyImage(routeSources([...routes, ...distinct])), /RangeError.*limit is 2097152/);
});

test('every request gets the route that a plain reading of the standard gives', () => {
  const elements = fc.constantFrom('a', 'b', 'c', '', '.', '..', '%61', '%2f', 'A', 'é');
  const path = fc.array(elements, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
  const hostname = fc.constantFrom('*', '*.x.y', '*.y', 'a.x.y', 'b.x.y', 'z');
  const value = (regex: boolean) =>
    fc.record({
      name: fc.constantFrom('k', 'l', 'm'),
      type: regex ? fc.constantFrom('Exact' as const, 'RegularExpression' as const) : fc.constant('Exact' as const),
      value: fc.constantFrom('1', '2', ''),
    });
  const match = fc.record(
    {
      exact: path,
      prefix: path,
      regex: fc.constantFrom('/a.*', '/(a|b)/.*', '/c?', ...Array.from({ length: 12 }, (_, i) => `/.{${i}}`)),
      method: fc.constantFrom('GET', 'POST'),
      headers: fc.array(value(true), { maxLength: 2 }),
      queryParams: fc.array(value(true), { maxLength: 2 }),
    },
    { requiredKeys: [] },
  );
  const route = fc.record({
    hostnames: fc.uniqueArray(hostname, { minLength: 1, maxLength: 3 }),
    matches: fc.array(match, { minLength: 1, maxLength: 3 }),
  });
  const pair = fc.tuple(fc.constantFrom('k', 'l', 'm'), fc.constantFrom('1', '2', '')) as fc.Arbitrary<
    [string, string]
  >;
  const request = fc.record({
    host: fc.constantFrom('a.x.y', 'b.x.y', 'c.x.y', 'q.a.x.y', 'y', 'z', 'A.X.Y'),
    path,
    method: fc.constantFrom('GET', 'POST'),
    headers: fc.uniqueArray(pair, { maxLength: 3, selector: ([name]) => name }),
    query: fc.array(pair, { maxLength: 3 }),
  });
  fc.assert(
    fc.property(
      fc.array(route, { minLength: 1, maxLength: 24 }),
      fc.array(request, { minLength: 1, maxLength: 20 }),
      (routes, requests) => {
        const sources = routeSources(routes);
        const generation = loadOne(engine, policyImage(sources));
        for (const { host, path, method, headers, query } of requests) {
          const search = query.length === 0 ? '' : `?${query.map((item) => item.join('=')).join('&')}`;
          const head = requestHead(`http://${host}${encodeURI(path).replaceAll('%25', '%')}${search}`, {
            method,
            headers: [['host', host], ...headers],
          });
          const { route, match, prefixLength } = engine.head(generation, head, 0, 0);
          assert.deepEqual(
            { route, match, prefixLength },
            referenceRoute(sources, { host, path, method, headers, query }),
          );
        }
        engine.release(generation);
      },
    ),
    { numRuns: 600 },
  );
});
