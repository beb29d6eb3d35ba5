import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { MAX_ARCHIVE_BYTES, MAX_RULE_FILE_BYTES, MAX_UNPACKED_BYTES, readArchive, readFolder } from './archive.ts';
import { digestOf, readLock, sha256 } from './lock.ts';
import { addRules, crsUrl, entryFiles, folderOf, lockedFiles, parseName } from './rulesets.ts';

interface Entry {
  readonly path: string;
  readonly content?: string | Uint8Array;
  readonly type?: string;
  readonly link?: string;
  readonly prefix?: string;
}

/** A ustar archive, written by hand so that it can be wrong. */
function tar(entries: readonly Entry[], end = true): Uint8Array {
  const parts: Buffer[] = [];
  for (const { path, content = '', type = '0', link = '', prefix = '' } of entries) {
    const body = Buffer.from(content);
    const header = Buffer.alloc(512);
    header.write(path.slice(0, 100), 0);
    header.write('0000644\0', 100);
    header.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('        ', 148);
    header.write(type, 156);
    header.write(link, 157);
    header.write('ustar\x0000', 257);
    header.write(prefix, 345);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    parts.push(header, body, Buffer.alloc((512 - (body.length % 512)) % 512));
  }
  if (end) parts.push(Buffer.alloc(1024));
  return Buffer.concat(parts);
}

const RULE = 'SecRule ARGS "@rx x" "id:1,phase:2,deny"\n';
const RELEASE: readonly Entry[] = [
  { path: 'coreruleset-4.28.0/', type: '5' },
  { path: 'coreruleset-4.28.0/crs-setup.conf.example', content: '# setup\n' },
  { path: 'coreruleset-4.28.0/rules/REQUEST-901.conf', content: RULE },
  { path: 'coreruleset-4.28.0/rules/words.data', content: 'a\nb\n' },
  { path: 'coreruleset-4.28.0/rules/link.conf', type: '2', link: '/etc/passwd' },
  { path: 'coreruleset-4.28.0/rules/hard.conf', type: '1', link: 'coreruleset-4.28.0/rules/words.data' },
  { path: 'coreruleset-4.28.0/tests/x.conf', content: 'left out' },
  { path: 'coreruleset-4.28.0/util/script.sh', content: 'left out' },
  { path: 'coreruleset-4.28.0/LICENSE', content: 'Apache' },
];

test('an archive gives its rule files, without the folder around them, and never a link', async () => {
  for (const bytes of [tar(RELEASE), gzipSync(tar(RELEASE))]) {
    const files = await readArchive(bytes, 'a.tar');
    assert.deepEqual(
      [...files.keys()],
      ['LICENSE', 'crs-setup.conf.example', 'rules/REQUEST-901.conf', 'rules/words.data'],
    );
    assert.equal(Buffer.from(files.get('rules/REQUEST-901.conf')!).toString(), RULE);
  }
});

test('long names: ustar prefix, pax and GNU', async () => {
  const long = `${'d/'.repeat(20)}${'n'.repeat(90)}.conf`;
  const record = (length: number): string => `${length} path=${long}\n`;
  const size = record(100).length - 3 + String(record(100).length).length;
  const files = await readArchive(
    tar([
      { path: 'a.conf', prefix: 'some/prefix', content: RULE },
      { path: 'PaxHeader', type: 'x', content: record(record(size).length) },
      { path: 'short', content: RULE },
      { path: '././@LongLink', type: 'L', content: `x/${long}\0` },
      { path: 'short', content: RULE },
    ]),
    'a.tar',
  );
  assert.deepEqual([...files.keys()].sort(), [long, 'some/prefix/a.conf', `x/${long}`].sort());
});

test('an archive whose names lead outside is refused', async () => {
  for (const path of [
    '../a.conf',
    '/etc/a.conf',
    'a/../../b.conf',
    'a/./b.conf',
    'a//b.conf',
    'c:\\a.conf',
    'a\\..\\b.conf',
    'a\nb.conf',
  ])
    await assert.rejects(readArchive(tar([{ path, content: RULE }]), 'a.tar'), /leads outside/, path);
  await assert.rejects(
    readArchive(
      tar([
        { path: 'x', type: 'L', content: '../../up.conf' },
        { path: 'short.conf', content: RULE },
      ]),
      'a.tar',
    ),
    /leads outside/,
  );
});

test('an archive that is damaged, too large or empty is refused by name', async () => {
  const sound = tar([{ path: 'a.conf', content: RULE }]);
  const flipped = new Uint8Array(sound);
  flipped[0] = flipped[0]! ^ 1;
  const cases: [Uint8Array, RegExp][] = [
    [flipped, /a checksum is wrong at byte 0/],
    [sound.subarray(0, 530), /an entry is cut off/],
    [tar([{ path: 'a.conf', content: RULE }], false), /its end is missing/],
    [tar([]), /holds no rule files/],
    [tar([{ path: 'README', content: 'x' }]), /holds no rule files/],
    [Buffer.from('PK\x03\x04'), /zip archive/],
    [gzipSync(sound).subarray(0, 40), /no sound gzip/],
    [tar([{ path: 'a.conf' }, { path: 'a.conf' }]), /twice/],
    [tar([{ path: 'a.conf', content: new Uint8Array(MAX_RULE_FILE_BYTES + 1) }]), /8 MiB/],
    [new Uint8Array(MAX_ARCHIVE_BYTES + 1), /32 MiB/],
    [gzipSync(new Uint8Array(MAX_UNPACKED_BYTES + 1)), /128 MiB/],
  ];
  for (const [bytes, message] of cases) await assert.rejects(readArchive(bytes, 'a.tar'), message);
  assert.equal(
    (await readArchive(tar([{ path: 'a.conf', content: new Uint8Array(MAX_RULE_FILE_BYTES) }]), 'a.tar')).size,
    1,
  );
});

test('the files to begin with: setup, plugins that come before, rules by name, plugins that come after', () => {
  const files = (...paths: string[]) => new Map(paths.map((path) => [path, new Uint8Array()]));
  assert.deepEqual(
    entryFiles(
      files(
        ...['crs-setup.conf.example', 'plugins/x-after.conf', 'plugins/x-before.conf', 'plugins/x-config.conf'],
        ...['rules/REQUEST-949.conf', 'rules/REQUEST-901.conf', 'rules/REQUEST-900.conf.example', 'rules/a.data'],
      ),
    ),
    [
      ...['crs-setup.conf.example', 'plugins/x-config.conf', 'plugins/x-before.conf', 'rules/REQUEST-901.conf'],
      ...['rules/REQUEST-949.conf', 'plugins/x-after.conf'],
    ],
  );
  assert.deepEqual(entryFiles(files('crs-setup.conf', 'crs-setup.conf.example', 'b.conf')), [
    'crs-setup.conf',
    'b.conf',
  ]);
  assert.deepEqual(entryFiles(files('main.conf', 'other.conf')), ['main.conf']);
});

test('names', () => {
  assert.deepEqual(parseName('crs@4.28.0'), { name: 'crs@4.28.0', set: 'crs', version: '4.28.0' });
  assert.deepEqual(parseName('mine'), { name: 'mine', set: 'mine', version: '' });
  for (const bad of ['', '../x', 'a/b', 'A', 'a@', 'a@..', 'a@1/2', '.x', 'a b', 'a@1..2'])
    assert.throws(() => parseName(bad), /a rule set is named/, bad);
  assert.match(crsUrl('4.28.0'), /^https:\/\/github\.com\/coreruleset\/coreruleset\/releases\/download\/v4\.28\.0\//);
});

let server: Server;
let origin = '';
let archive: Uint8Array = gzipSync(tar(RELEASE));
const folders: string[] = [];
const project = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-rules-'));
  folders.push(folder);
  return folder;
};

before(async () => {
  server = createServer((request, response) => {
    switch (request.url) {
      case '/release.tar.gz':
        return void response.writeHead(302, { location: '/asset' }).end();
      case '/asset':
        return void response.writeHead(200).end(archive);
      case '/away':
        return void response.writeHead(302, { location: 'http://192.0.2.1/x.tar.gz' }).end();
      case '/loop':
        return void response.writeHead(302, { location: '/loop' }).end();
      case '/huge': {
        response.writeHead(200);
        const block = new Uint8Array(1_048_576);
        const more = (): void => {
          while (!response.destroyed && response.write(block));
        };
        response.on('drain', more);
        return more();
      }
      case '/short':
        response.writeHead(200, { 'content-length': '5000' });
        response.write('x');
        return void setTimeout(() => response.destroy(), 10);
      default:
        return void response.writeHead(404).end();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  origin = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
});

after(() => {
  server.closeAllConnections();
  server.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

test('a download is locked at the first add, and a change is refused afterwards', async () => {
  const folder = project();
  archive = gzipSync(tar(RELEASE));
  const progress: number[] = [];
  const url = `${origin}/release.tar.gz`;
  const added = await addRules(folder, 'crs@4.28.0', { url, onProgress: (bytes) => progress.push(bytes) });
  assert.deepEqual([added.fresh, added.count, added.source, added.sha256], [true, 4, url, sha256(archive)]);
  assert.equal(progress.at(-1), archive.length);
  assert.deepEqual(readLock(folder)['crs@4.28.0'], { source: url, sha256: sha256(archive), files: added.files });
  const files = lockedFiles(folder, 'crs@4.28.0');
  assert.equal(digestOf(files), added.files);

  assert.equal((await addRules(folder, 'crs@4.28.0')).fresh, false, 'again, from the place in the lock');

  const before = readFileSync(join(folder, 'sallyport.lock'), 'utf8');
  archive = gzipSync(tar([...RELEASE, { path: 'coreruleset-4.28.0/rules/evil.conf', content: RULE }]));
  await assert.rejects(addRules(folder, 'crs@4.28.0'), /is not what it was when it was added.*nothing was changed/);
  assert.equal(readFileSync(join(folder, 'sallyport.lock'), 'utf8'), before);
  assert.equal(digestOf(lockedFiles(folder, 'crs@4.28.0')), added.files);

  writeFileSync(join(folderOf(folder, 'crs@4.28.0'), 'rules/REQUEST-901.conf'), '# emptied\n');
  assert.throws(() => lockedFiles(folder, 'crs@4.28.0'), /are not those of sallyport\.lock/);
  rmSync(folderOf(folder, 'crs@4.28.0'), { recursive: true });
  assert.throws(() => lockedFiles(folder, 'crs@4.28.0'), /rules add crs@4\.28\.0 brings it/);
  assert.throws(() => lockedFiles(folder, 'crs@9'), /there is no rule set crs@9/);
});

test('downloads that fail say why', async () => {
  const folder = project();
  const add = (path: string) => addRules(folder, 'crs@4.28.0', { url: origin + path });
  await assert.rejects(add('/none'), /answers 404/);
  await assert.rejects(add('/away'), /come over https/);
  await assert.rejects(add('/loop'), /redirects more than 5 times/);
  await assert.rejects(add('/huge'), /sends more than/);
  await assert.rejects(add('/short'), /broke off/);
  await assert.rejects(addRules(folder, 'crs@1', { url: 'http://127.0.0.1:1/x' }), /cannot be reached/);
  await assert.rejects(addRules(folder, 'crs@1', { url: 'http://example.com/x' }), /come over https/);
  await assert.rejects(addRules(folder, 'crs'), /which release/);
  await assert.rejects(addRules(folder, 'mine'), /where is mine/);
  await assert.rejects(addRules(folder, 'core'), /part of Sallyport/);
  assert.equal(existsSync(join(folder, 'sallyport.lock')), false);
});

test('a directory is copied without what is behind links, and a copy of the release is the same rule set', async () => {
  const folder = project();
  const source = project();
  mkdirSync(join(source, 'rules'));
  mkdirSync(join(source, '.git'));
  writeFileSync(join(source, '.git/x.conf'), 'left out');
  writeFileSync(join(source, 'crs-setup.conf.example'), '# setup\n');
  writeFileSync(join(source, 'rules/REQUEST-901.conf'), RULE);
  writeFileSync(join(source, 'rules/words.data'), 'a\nb\n');
  writeFileSync(join(source, 'LICENSE'), 'Apache');
  symlinkSync('/etc', join(source, 'rules/etc'));
  symlinkSync('/etc/hostname', join(source, 'rules/host.conf'));
  const added = await addRules(folder, 'mine', { from: source });
  assert.deepEqual(
    [...readFolder(folderOf(folder, 'mine')).keys()],
    [...['LICENSE', 'crs-setup.conf.example', 'rules/REQUEST-901.conf', 'rules/words.data']],
  );
  assert.equal(added.sha256, added.files);
  archive = gzipSync(tar(RELEASE));
  writeFileSync(join(folder, 'release.tgz'), archive);
  const same = await addRules(folder, 'mine', { from: join(folder, 'release.tgz') });
  assert.equal(same.fresh, false);
  await assert.rejects(addRules(folder, 'mine', { from: join(folder, 'gone') }), /there is no file/);
});

test('a lock that is damaged is refused', () => {
  const folder = project();
  const text = (value: string) => writeFileSync(join(folder, 'sallyport.lock'), value);
  for (const bad of [
    '{',
    '[]',
    '{"rulesets":[]}',
    '{"rulesets":{"a":{}}}',
    '{"rulesets":{"a":{"source":"x","sha256":"1","files":"2"}}}',
  ]) {
    text(bad);
    assert.throws(() => readLock(folder), /version control/, bad);
  }
});
