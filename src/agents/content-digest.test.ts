import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDigest, contentDigest } from './content-digest.ts';

const BODY = new TextEncoder().encode('{"hello": "world"}');
// SPEC: RFC 9421 appendix B.2, RFC 9530 appendix D.
const SHA256 = 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:';
const SHA512 = 'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:';

test('every known digest must be the body’s', async () => {
  assert.equal(await contentDigest(BODY), SHA256);
  for (const [field, expected] of [
    [SHA256, 'match'],
    [SHA512, 'match'],
    [`${SHA512}, ${SHA256}, md5=:AAAA:`, 'match'],
    [`${SHA512}, sha-256=:AAAA:`, 'mismatch'],
    ['sha-256=::', 'mismatch'],
    ['md5=:AAAA:, unixsum=:AAAA:', 'unsupported'],
    ['', 'unsupported'],
    ['sha-256=X48E', 'malformed'],
    ['sha-256=(:AAAA:)', 'malformed'],
    ['sha-256', 'malformed'],
    [`${SHA256},`, 'malformed'],
    [`${SHA256}, ${SHA256}`, 'malformed'],
  ] as const)
    assert.equal(await checkDigest(field, BODY), expected, field);
  assert.equal(await checkDigest(SHA256, BODY.slice(1)), 'mismatch');
});
