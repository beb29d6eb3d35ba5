import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { printable, renderAccess } from './accesslog.ts';

test('what a client sends never reaches the terminal as an escape sequence', () => {
  assert.equal(printable('a\u001b[2Jb\u009b1mc\u202ed\n'), 'a\\x1b[2Jb\\x9b1mc\\x202ed\\x0a');
  const line = stripVTControlCharacters(renderAccess({ status: 200, method: 'GET', path: '/\u001b]0;x\u0007' }));
  assert.match(line, /\/\\x1b\]0;x\\x07/);
});

test('a long value is cut', () => {
  assert.equal(printable('x'.repeat(1000)).length, 300);
});
