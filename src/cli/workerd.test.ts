import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workerdConfig } from './workerd.ts';

test('flags of V8 that were given come after our own, where the last one holds', () => {
  const rest = { origins: [], secrets: new Map<string, string>(), tls: null, authorities: [] };
  const flags = (v8Flags: string[]): string =>
    /v8Flags = \[(.*?)\]/.exec(workerdConfig({ ...rest, v8Flags, images: { directory: '/tmp' } }))![1]!;
  assert.equal(flags([]), '"--max-semi-space-size=2"');
  assert.equal(flags(['--max-semi-space-size=8']), '"--max-semi-space-size=2", "--max-semi-space-size=8"');
});
