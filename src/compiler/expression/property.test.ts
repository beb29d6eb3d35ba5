import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as abi from '../../../assembly/abi.ts';
import { random } from '../../../test/fuzz/random.ts';
import { testEngine } from '../../../test/support/engine.ts';
import { ExpressionMaker, LISTS, randomRequest } from '../../../test/support/random-expression.ts';
import { textOf, truthOf } from '../../../test/support/reference-expression.ts';
import { withRules } from '../../../test/support/rules.ts';
import { parseCondition, parseValue } from './parser.ts';

const BATCHES = 20; // policies
const BATCH = 40; // rules of one
const REQUESTS = 8;
const engine = await testEngine();

test('random expressions mean the same to the engine and to the reference', () => {
  const r = random(1);
  for (let batch = 0; batch < BATCHES; batch++) {
    const expressions = Array.from({ length: BATCH }, () => new ExpressionMaker(r).condition(3));
    const syntax = expressions.map(parseCondition);
    const ruled = withRules(engine, expressions.map((when) => ({ when })), { lists: LISTS }); // prettier-ignore
    for (let i = 0; i < REQUESTS; i++) {
      const request = randomRequest(r);
      const matched = new Set(ruled.effects(request).map(({ index }) => index));
      for (const [at, expression] of expressions.entries()) {
        assert.equal(
          matched.has(at),
          truthOf(syntax[at]!, request, LISTS),
          `${expression}\n${JSON.stringify(request)}`,
        );
      }
    }
    ruled.release();
  }
});

test('random values are the same to the engine and to the reference', () => {
  const r = random(2);
  for (let batch = 0; batch < BATCHES; batch++) {
    const expressions = Array.from({ length: BATCH }, () => new ExpressionMaker(r, 'head').text(3));
    const syntax = expressions.map(parseValue);
    const ruled = withRules(engine, expressions.map((rewriteQuery) => ({ when: 'true', action: 'rewrite', rewriteQuery })), { lists: LISTS }); // prettier-ignore
    for (let i = 0; i < REQUESTS; i++) {
      const request = randomRequest(r);
      const values = new Map(ruled.effects(request).filter(({ kind }) => kind === abi.EFFECT_VALUE).map(({ index, value }) => [index, value])); // prettier-ignore
      for (const [at, expression] of expressions.entries()) {
        const wanted = textOf(syntax[at]!, request, LISTS);
        const text =
          wanted === undefined ? undefined : new TextDecoder().decode(Uint8Array.from(wanted, (c) => c.charCodeAt(0)));
        assert.equal(values.get(at), text, `${expression}\n${JSON.stringify(request)}`);
      }
    }
    ruled.release();
  }
});
