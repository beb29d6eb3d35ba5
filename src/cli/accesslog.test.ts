import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { printable, renderAccess } from './accesslog.ts';

test('what a client sends never reaches the terminal as an escape sequence', () => {
  assert.equal(printable('a\u001b[2Jb\u009b1mc\u202ed\n'), 'a\\x1b[2Jb\\x9b1mc\\x202ed\\x0a');
  const line = stripVTControlCharacters(
    renderAccess(JSON.stringify({ status: 200, method: 'GET', path: '/\u001b]0;x\u0007' })),
  );
  assert.match(line, /\/\\x1b\]0;x\\x07/);
});

test('a long value is cut', () => {
  assert.equal(printable('x'.repeat(1000)).length, 300);
});

test('a line says what was decided, by which rule and why', () => {
  const verdict = [
    { action: 'block', phase: 'match', rule: 'sqli', status: 403, reason: 'SQL in the query', mode: 'enforce' },
  ];
  const entry = {
    time: '2026-11-21T08:00:00.123Z',
    app: 'shop',
    route: 'web',
    method: 'GET',
    host: 'a',
    path: '/search',
    status: 403,
    ms: 2,
    client: '127.0.0.1',
    verdict,
  };
  const line = stripVTControlCharacters(renderAccess(JSON.stringify(entry)));
  assert.equal(line, '08:00:00.123  403  GET   a/search  2 ms  127.0.0.1  shop/web  block sqli: SQL in the query');
  assert.match(stripVTControlCharacters(renderAccess(JSON.stringify({ ...entry, verdict: [] }))), /allow$/);
  const event = { rule: 942100, target: 'ARGS:q', score: 5 };
  const waf = { events: [event, { rule: 949110, target: 'TX:score', score: 0 }] };
  assert.match(stripVTControlCharacters(renderAccess(JSON.stringify({ ...entry, waf }))), / {2}waf 942100 ARGS:q$/);
  const many = { events: Array.from({ length: 6 }, () => event) };
  assert.match(stripVTControlCharacters(renderAccess(JSON.stringify({ ...entry, waf: many }))), / and 2 more$/);
  assert.equal(renderAccess('{"cut'), '{"cut');
});
