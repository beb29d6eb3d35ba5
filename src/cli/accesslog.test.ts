import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { printable, renderAccess, renderDial } from './accesslog.ts';

test('what a client sends never reaches the terminal as an escape sequence', () => {
  assert.equal(printable('a\u001b[2Jb\u009b1mc\u202ed\n'), 'a\\x1b[2Jb\\x9b1mc\\x202ed\\x0a');
  const line = stripVTControlCharacters(
    renderAccess(JSON.stringify({ status: 200, method: 'GET', path: '/\u001b]0;x\u0007' })),
  );
  assert.match(line, /\/\\x1b\]0;x\\x07/);
});

test('a dial says who came, and why not', () => {
  const dial = { time: '2026-11-21T08:00:00.123Z', dial: 'serve', tunnel: 'web', service: '', peer: '192.0.2.1:5' };
  const text = (fields: object): string | null => {
    const line = renderDial(JSON.stringify({ ...dial, ...fields }));
    return line === null ? null : stripVTControlCharacters(line);
  };
  assert.equal(text({ status: 101 }), '08:00:00.123  101  connector of web  192.0.2.1:5');
  assert.equal(
    text({ dial: 'access', service: 'db', status: 403, reason: 'revoked\u001b[2J' }),
    '08:00:00.123  403  access to db.web  192.0.2.1:5  refused: revoked\\x1b[2J',
  );
  assert.equal(text({ tunnel: '', status: 401, peer: '' }), '08:00:00.123  401  connector of a tunnel');
  assert.equal(text({}), null);
  for (const other of ['{"control":"drain"}', '"dial":', 'null']) assert.equal(renderDial(other), null);
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
