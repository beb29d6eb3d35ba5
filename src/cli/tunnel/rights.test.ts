import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ofFile } from './rights.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-rights-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'office.json');

const { privateKey } = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
const key = await crypto.subtle.exportKey('jwk', privateKey);
const capabilityUntil = (expires: number): string =>
  `v1.${Buffer.from(JSON.stringify({ names: ['office'], expires })).toString('base64url')}.x`;
const write = (expires: number): void =>
  writeFileSync(file, JSON.stringify({ capability: capabilityUntil(expires), key }), { mode: 0o600 });
const HOUR = 3_600_000;
const MINUTE = 60_000;

test('a file is read again for each dial, and minutes before its capability ends', async () => {
  write(HOUR);
  const credentials = ofFile(file);
  const first = await credentials(0);
  assert.deepEqual([first.expires, first.renewAt], [HOUR, HOUR - 5 * MINUTE]);
  // There is no other yet: it is looked for again, until the last moment.
  assert.equal((await credentials(HOUR - 5 * MINUTE)).renewAt, HOUR - 4 * MINUTE);
  assert.equal((await credentials(HOUR - MINUTE / 2)).renewAt, HOUR);
  write(2 * HOUR);
  const second = await credentials(HOUR - MINUTE / 2);
  assert.deepEqual([second.capability, second.expires], [capabilityUntil(2 * HOUR), 2 * HOUR]);
});

test('a file that is being written, or is gone, changes nothing', async () => {
  write(HOUR);
  const credentials = ofFile(file);
  writeFileSync(file, '{"capab');
  assert.equal((await credentials(0)).capability, capabilityUntil(HOUR));
  rmSync(file);
  assert.equal((await credentials(0)).capability, capabilityUntil(HOUR));
});

test('one that has ended says which file, when, and what to do', async () => {
  write(HOUR);
  const credentials = ofFile(file);
  await assert.rejects(credentials(HOUR), (error: Error) => {
    assert.ok(error.message.includes(file) && error.message.includes('1970-01-01T01:00:00.000Z'), error.message);
    assert.match(error.message, /create --renew/);
    return true;
  });
});
