import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { codeCacheFolder, keepCode } from './code-cache.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-code-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('code is kept in the cache folder of the user', () => {
  const own = join(homedir(), '.cache', 'sallyport', 'code');
  assert.equal(codeCacheFolder({}), own);
  assert.equal(codeCacheFolder({ XDG_CACHE_HOME: 'relative' }), own);
  assert.equal(codeCacheFolder({ XDG_CACHE_HOME: '/c' }), '/c/sallyport/code');
});

test('code is kept nowhere where another user, or nobody, has the folder', { skip: !process.getuid }, (t) => {
  t.mock.method(process as Required<typeof process>, 'getuid', () => 4_294_967_294);
  keepCode({ XDG_CACHE_HOME: folder });
  keepCode({ XDG_CACHE_HOME: join(folder, 'missing') });
  assert.deepEqual([readdirSync(folder), getCompileCacheDir()], [[], undefined]);
  t.mock.restoreAll();
  keepCode({ XDG_CACHE_HOME: folder });
  assert.deepEqual(readdirSync(folder), ['sallyport']);
});
