import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evidenceOf, isSecret } from './evidence.ts';
import type { WafEvent } from './transaction.ts';

const event = (target: string, matched: string, more: Partial<WafEvent> = {}): WafEvent => ({
  rule: 942100,
  phase: 2,
  message: 'SQL injection',
  severity: 2,
  tags: ['attack-sqli'],
  target,
  matched: new TextEncoder().encode(matched),
  transformations: ['urlDecodeUni', 'lowercase'],
  logdata: '',
  log: true,
  action: 'block',
  ...more,
});

const QUERY = { plain: false, query: '?q=1&user=x', body: false };
const BODY = { ...QUERY, body: true };

test('what is no secret is shown, cut to 256 characters', () => {
  assert.deepEqual(evidenceOf(event('ARGS:q', "1' or 1=1"), {}, QUERY), {
    rule: 942100,
    phase: 2,
    message: 'SQL injection',
    severity: 'CRITICAL',
    tags: ['attack-sqli'],
    score: 5,
    target: 'ARGS:q',
    matched: "1' or 1=1",
    transformations: ['urlDecodeUni', 'lowercase'],
  });
  const long = evidenceOf(event(`ARGS:${'n'.repeat(400)}`, 'x'.repeat(400)), {}, QUERY);
  assert.deepEqual([long.matched.length, long.target.length], [256, 256]);
});

test('points follow the severity, or what set-up variables say', () => {
  const score = (severity: number, scores = {}) => evidenceOf(event('ARGS:q', 'x', { severity }), scores, QUERY).score;
  assert.deepEqual(
    [2, 3, 4, 5, 6, -1].map((severity) => score(severity)),
    [5, 4, 3, 2, 0, 0],
  );
  assert.equal(score(2, { critical_anomaly_score: 9 }), 9);
});

test('credentials, cookies, password-like names and bodies are told by their length', () => {
  const secret = [
    ...['REQUEST_HEADERS:Authorization', 'REQUEST_HEADERS:proxy-authorization', 'REQUEST_HEADERS:Cookie'],
    ...['REQUEST_COOKIES:theme', 'RESPONSE_HEADERS:Set-Cookie', 'ARGS:password', 'ARGS:new_pass', 'ARGS:api_key'],
    ...['ARGS:user.accessToken', 'ARGS_GET:apikey', 'REQUEST_HEADERS:X-Api-Key', 'REQUEST_BODY', 'RESPONSE_BODY'],
    ...['XML:/*', 'JSON:a', 'TX:1', 'MATCHED_VAR', 'ARGS_POST:q', 'FILES_TMP_CONTENT:a', 'REQUEST_HEADERS:X-Auth'],
  ];
  for (const target of secret) {
    assert.equal(isSecret(target, QUERY), true, target);
    const { matched, message } = evidenceOf(
      // The engine cuts and transforms what matched; what a macro brought in may be longer, or a part.
      event(target, 'hunter22', { message: 'found HUNTER22andmore', template: 'found %{MATCHED_VAR}' }),
      {},
      QUERY,
    );
    assert.deepEqual([matched, message], ['[redacted, 8 bytes]', 'found %{MATCHED_VAR}'], target);
  }
  for (const target of [
    'ARGS:q',
    'ARGS:passage',
    'ARGS:author',
    'REQUEST_HEADERS:user-agent',
    'REQUEST_FILENAME',
    'ARGS_NAMES:q',
  ])
    assert.equal(isSecret(target, QUERY), false, target);
});

test('an argument is a body’s unless the query has its name', () => {
  assert.equal(isSecret('ARGS:q', BODY), false);
  assert.equal(isSecret('ARGS:Q', BODY), false);
  assert.equal(isSecret('ARGS:comment', BODY), true);
  assert.equal(isSecret('ARGS:comment', QUERY), false);
});

test('in a query only the values of secrets are hidden', () => {
  const { matched } = evidenceOf(event('REQUEST_URI', '/a?q=1&password=hunter2&x=<script>'), {}, QUERY);
  assert.equal(matched, '/a?q=1&password=[redacted]&x=<script>');
});

test('a policy can have all of it', () => {
  assert.equal(evidenceOf(event('REQUEST_BODY', 'hunter2'), {}, { ...BODY, plain: true }).matched, 'hunter2');
});
