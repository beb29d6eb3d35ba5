/** The memory map of abi.ts: what asc lays out itself must end where the map's first region begins. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileAssembly } from '../test/support/assembly.ts';
import { DETECT_AT, DETECT_BYTES, RESULT_AT, STATIC_AT } from './abi.ts';

test('static data ends before the result', async () => {
  const { exports } = await compileAssembly<{ staticEnd(): number; tablesEnd(): number }>(`
    export * from './index';
    import { TABLES_END } from './waf/detect/words';
    export function staticEnd(): usize { return __heap_base; }
    export function tablesEnd(): usize { return TABLES_END; }
  `);
  const end = exports.staticEnd();
  assert.ok(end <= RESULT_AT, `static data takes ${end - STATIC_AT} bytes of ${RESULT_AT - STATIC_AT}`);
  assert.ok(exports.tablesEnd() <= DETECT_AT + DETECT_BYTES, 'the tables of the detectors outgrow their region');
});
