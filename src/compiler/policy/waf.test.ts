import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as abi from '../../../assembly/waf/abi.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { readDocument } from '../document.ts';
import { readPolicy } from './policy.ts';

const BASE = 'app: shop\nbackends: { web: { url: http://127.0.0.1:9001 } }\n';

function read(text: string) {
  const diagnostics: Diagnostic[] = [];
  const document = readDocument('a.yaml', BASE + text, diagnostics);
  const policy = document && readPolicy(document, 'workerd');
  assert.ok(policy);
  return { ...policy.wafs, routes: policy.routes.map(({ action }) => action.waf), diagnostics };
}

const reported = (text: string): string[] =>
  read(text).diagnostics.map(
    ({ severity, code, line, column, length }) => `${severity} ${code} ${line}:${column}+${length}`,
  );

test('without `waf:` there is none; `waf: {}` is the embedded rule set in mode enforce', () => {
  assert.deepEqual(read('routes: [{ backend: web }]').routes, [-1]);
  const { programs, plans, routes, diagnostics } = read(
    'waf: {}\nroutes: [{ backend: web }, { name: b, backend: web }]',
  );
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(routes, [0, 0]);
  assert.equal(programs.length, 1);
  assert.deepEqual(programs[0], {
    path: ['waf'],
    ruleset: 'core',
    mode: 'enforce',
    paranoia: { blocking: 1, detection: 1 },
    thresholds: { inbound: 5, outbound: 4 },
    variables: [],
    exclude: [],
    inline: [],
    sampling: 1,
    response: false,
    malformed: 'reject',
    bodyLimit: 131072,
    responseBodyLimit: 524288,
  });
  assert.deepEqual(plans, [
    {
      ruleset: 'core',
      mode: 'enforce',
      program: 0,
      body: { limit: 131072, over: 'reject' },
      response: null,
      onError: 'closed',
      messages: 'off',
      evidence: 'redacted',
    },
  ]);
});

test('a route overrides field by field, adds exclusions, variables and rules, and can switch off', () => {
  const { programs, plans, routes, diagnostics } = read(`
body: { limit: 64KB, over: pass }
waf:
  ruleset: crs@4.28.0
  paranoia: { blocking: 2, detection: 3 }
  thresholds: { inbound: 10 }
  variables: { allowed_methods: GET POST, tx.max_num_args: 10 }
  exclude: [{ rule: 942100, target: "ARGS:Q" }]
  secLang: SecAction "id:1,phase:1,pass,nolog"
  body: { over: inspect-prefix }
routes:
  - { name: same, backend: web }
  - { name: off, backend: web, waf: { mode: off } }
  - name: api
    backend: web
    waf:
      mode: log
      thresholds: { outbound: 8 }
      variables: { max_num_args: 20 }
      exclude: [{ range: 941000-941999 }, { tag: attack-sqli, when: 'http.host eq "a"' }, { message: "/^xss/", target: "REQUEST_COOKIES:/^_ga/" }]
      secLang: [SecMarker A]
      sampling: 50%
      body: { limit: 1MB }
      response: { inspect: true, limit: 100KB, types: [Text/*], holdMs: 10 }
      onError: open
      messages: enforce
      evidence: plain
`);
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(routes, [0, -1, 1]);
  const [app, api] = programs;
  assert.ok(app && api);
  assert.deepEqual(
    app.variables.map(({ name, value }) => [name, value]),
    [
      ['allowed_methods', 'GET POST'],
      ['max_num_args', '10'],
    ],
  );
  assert.deepEqual(app.exclude[0], {
    path: ['waf', 'exclude', 0],
    field: 'rule',
    rules: { by: 'id', ranges: [[942100, 942100]] },
    target: { variable: abi.VARIABLE_ARGS, count: false, exclude: true, selector: { exact: 'q' } },
    when: null,
  });
  assert.equal(api.mode, 'log');
  assert.deepEqual(api.paranoia, { blocking: 2, detection: 3 });
  assert.deepEqual(api.thresholds, { inbound: 10, outbound: 8 });
  assert.deepEqual(
    api.variables.map(({ name, value, path }) => [name, value, path[0]]),
    [
      ['allowed_methods', 'GET POST', 'waf'],
      ['max_num_args', '20', 'routes'],
    ],
  );
  assert.deepEqual(
    api.exclude.map(({ rules, when }) => [rules, when]),
    [
      [{ by: 'id', ranges: [[942100, 942100]] }, null],
      [{ by: 'id', ranges: [[941000, 941999]] }, null],
      [{ by: 'tag', pattern: '^attack\\-sqli$' }, 'http.host eq "a"'],
      [{ by: 'message', pattern: '^xss' }, null],
    ],
  );
  assert.deepEqual(api.exclude[3]?.target?.selector, { regex: '^_ga' });
  assert.deepEqual(
    api.inline.map(({ text }) => text),
    ['SecAction "id:1,phase:1,pass,nolog"', 'SecMarker A'],
  );
  assert.equal(api.sampling, 0.5);
  assert.equal(api.response, true);
  assert.deepEqual(plans[0]?.body, { limit: 65536, over: 'inspect-prefix' });
  assert.deepEqual(plans[1], {
    ruleset: 'crs@4.28.0',
    mode: 'log',
    program: 1,
    body: { limit: 1048576, over: 'inspect-prefix' },
    response: { limit: 102400, holdMs: 10, types: ['text/*'] },
    onError: 'open',
    messages: 'log', // as the mode
    evidence: 'plain',
  });
});

test('equal settings are one program, whatever the host does around it', () => {
  const { programs, plans, routes } = read(`
routes:
  - { name: a, backend: web, waf: { exclude: [{ rule: 1 }] } }
  - { name: b, backend: web, waf: { exclude: [{ rule: [1], reason: other words }], onError: open } }
  - { name: c, backend: web, waf: { exclude: [{ rule: 1 }], sampling: 100% } }
`);
  assert.equal(programs.length, 1);
  assert.equal(plans.length, 2);
  assert.deepEqual(routes, [0, 1, 0]);
});

const FAULTS: readonly (readonly [text: string, ...expected: string[]])[] = [
  ['waf: { paranoya: 1 }', 'error unknown-field 3:8+8'],
  ['waf: { mode: block }', 'error unknown-value 3:14+5'],
  ['waf: { paranoia: { blocking: 5 } }', 'error out-of-range 3:30+1'],
  ['waf: { paranoia: { blocking: 3, detection: 2 } }', 'error paranoia 3:44+1'],
  ['waf: { thresholds: { inbound: 0 } }', 'error out-of-range 3:31+1'],
  ['waf: { body: { limit: 2MB } }', 'error out-of-range 3:23+3'],
  ['waf: { response: { limit: 1MB } }', 'error out-of-range 3:27+3'],
  ['waf: { response: { types: [html] } }', 'error bad-format 3:28+4'],
  ['waf: { sampling: 120% }', 'error out-of-range 3:18+4'],
  ['waf: { variables: { "a b": 1 } }', 'error bad-format 3:21+5'],
  ['waf: { exclude: [{ rule: 1, tag: x }] }', 'error conflict 3:29+3'],
  ['waf: { exclude: [{ when: "true" }] }', 'error missing-field 3:18+1'],
  ['waf: { exclude: [{ range: 9-1 }] }', 'error bad-range 3:27+3'],
  ['waf: { exclude: [{ range: 9 }] }', 'error wrong-type 3:27+1'],
  ['waf: { exclude: [{ target: "ARG:q" }] }', 'error bad-target 3:29+3'],
  ['waf: { exclude: [{ target: "!ARGS:q" }] }', 'error bad-target 3:29+5'],
  ['waf: { exclude: [{ target: "REQUEST_METHOD:q" }] }', 'error bad-target 3:44+1'],
  ['waf: { exclude: [{ target: "ARGS:" }] }', 'error bad-target 3:34+1'],
  ['waf: { exclude: [{ target: "ARGS:/a" }] }', 'error bad-target 3:34+2'],
  ['waf: { exclude: [{ target: "ARGS:/(?=a)/" }] }', 'error bad-target 3:35+3'],
  ['waf: { exclude: [{ target: "XML:/a/b" }] }', 'error bad-target 3:33+4'],
  ['waf: { exclude: [{ target: "IP:x" }] }', 'warning bad-target 3:29+2'],
];

test('a target is read as SecLang reads it, to its end', () => {
  for (const target of ['TX', 'xml:/*', 'ARGS:/a|b, c/', 'REQUEST_COOKIES', 'args_names:A'])
    assert.deepEqual(reported(`waf: { exclude: [{ target: "${target}" }] }\nroutes: [{ backend: web }]`), [], target);
});

for (const [text, ...expected] of FAULTS) {
  test(`fault: ${text}`, () => {
    assert.deepEqual(reported(`${text}\nroutes: [{ backend: web }]`), expected);
  });
}

test('a route that lowers detection below the blocking level of the app is told so, the app is not', () => {
  assert.deepEqual(
    reported(
      'waf: { paranoia: { blocking: 2 } }\nroutes:\n  - { backend: web }\n  - { name: b, backend: web, waf: { paranoia: { detection: 1 } } }',
    ),
    ['error paranoia 6:60+1'],
  );
});

test('at most sixteen programs, and the seventeenth is named', () => {
  const routes = (count: number): string =>
    `routes:\n${Array.from({ length: count }, (_, i) => `  - { name: r${i}, backend: web, waf: { thresholds: { inbound: ${i + 1} } } }`).join('\n')}`;
  assert.deepEqual(reported(routes(abi.MAX_WAF_PROGRAMS)), []);
  assert.deepEqual(reported(routes(abi.MAX_WAF_PROGRAMS + 1)), ['error too-many-programs 20:32+3']);
});
