import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { thumbprint } from '../control/signature.ts';
import { ensureOperatorKey, operatorKeyFile, readOperatorKey } from './operator.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-key-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const fileIn = (name: string): string => operatorKeyFile({ XDG_CONFIG_HOME: join(folder, name) });

test('the key is in the config folder of the user', () => {
  assert.equal(operatorKeyFile({ XDG_CONFIG_HOME: '/somewhere' }), '/somewhere/sallyport/operator.jwk');
  for (const env of [{}, { XDG_CONFIG_HOME: '' }, { XDG_CONFIG_HOME: 'relative' }])
    assert.equal(operatorKeyFile(env), join(homedir(), '.config/sallyport/operator.jwk'));
});

test('a key is made once, private to the user, and never written over', async () => {
  const file = fileIn('once');
  const made = await Promise.all([1, 2, 3].map(() => ensureOperatorKey(file)));
  const key = await ensureOperatorKey(file);
  const text = readFileSync(file, 'utf8');
  assert.equal(key.created, false);
  assert.deepEqual(made.map(({ created }) => created).sort(), [false, false, true]);
  for (const { x } of made) assert.equal(x, key.x);
  assert.equal(readFileSync(file, 'utf8'), text);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(file)).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(dirname(file)), ['operator.jwk']);
  assert.equal(readOperatorKey(file).x, key.x);
});

test('a key that is missing, open to others, broken or of two halves is refused, and not quoted', async () => {
  assert.throws(() => readOperatorKey(fileIn('nowhere')), /there is no operator key .*init --operator-key/);
  const file = fileIn('bad');
  await ensureOperatorKey(file);
  const good = JSON.parse(readFileSync(file, 'utf8')) as { d: string };
  const { x } = await ensureOperatorKey(fileIn('other'));
  chmodSync(file, 0o640);
  assert.throws(() => readOperatorKey(file), /open to others/);
  chmodSync(file, 0o600);
  for (const text of [
    '',
    '{',
    'null',
    '{}',
    good.d,
    JSON.stringify({ ...good, x }),
    JSON.stringify({ ...good, d: 'A' }),
  ]) {
    writeFileSync(file, text);
    assert.throws(
      () => readOperatorKey(file),
      (error: Error) => error.message === `${file} holds no Ed25519 key pair as a JWK`,
    );
    await assert.rejects(ensureOperatorKey(file), /holds no/);
    assert.equal(readFileSync(file, 'utf8'), text);
  }
});

test('a key is named by its thumbprint', async () => {
  // SPEC: RFC 8037 appendix A.3
  assert.equal(
    await thumbprint('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'),
    'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
  );
});
