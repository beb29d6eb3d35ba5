import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIELD_COUNT } from '../../assembly/abi.ts';
import { fieldById } from '../compiler/expression/fields.ts';
import { fieldName } from './fields.ts';

test('every field has the name that the rules language gives it', () => {
  for (let id = 1; id < FIELD_COUNT; id++) assert.equal(fieldName(id), fieldById(id)?.name);
  assert.equal(fieldName(0), '');
});
