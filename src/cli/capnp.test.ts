import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { capnpConfig, capnpText, Embed } from './capnp.ts';
import { workerdBinary } from './workerd.ts';

test('values are written as Cap’n Proto text; undefined fields are left out', () => {
  assert.equal(
    capnpText({ name: 'a', flag: true, none: undefined, list: [1, 'b'], file: new Embed('x.js') }),
    '(name = "a", flag = true, list = [1, "b"], file = embed "x.js")',
  );
});

test('no text can end its literal early', () => {
  assert.equal(capnpText('a"), evil = ("'), '"a\\"), evil = (\\""');
  assert.equal(capnpText('\\'), '"\\\\"');
  assert.equal(capnpText('a\nb\u0000\u007f'), '"a\\x0ab\\x00\\x7f"');
});

test('workerd reads back what was written', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  try {
    const text = 'quote " backslash \\ newline \n tab \t é 漢 \u0001 )]';
    const config = capnpConfig({
      services: [
        {
          name: 'main',
          worker: {
            modules: [{ name: 'w.js', esModule: 'export default {}' }],
            compatibilityDate: '2026-11-01',
            bindings: [{ name: 'T', text }],
          },
        },
      ],
    });
    writeFileSync(join(folder, 'c.capnp'), config);
    const { status, stdout, stderr } = spawnSync(
      workerdBinary(),
      ['compile', '--config-only', join(folder, 'c.capnp')],
      { encoding: 'buffer' },
    );
    assert.equal(status, 0, stderr.toString());
    assert.ok(stdout.includes(Buffer.from(text)), 'the bytes of the text stand in the compiled configuration');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
