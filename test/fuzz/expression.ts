/**
 * The rules language: mutated texts are judged and never throw; well-typed ones mean the same to the engine and to the
 * reference; mutated bytecode is refused or runs, and never traps.
 */
import assert from 'node:assert/strict';
import * as abi from '../../assembly/abi.ts';
import { parseCondition } from '../../src/compiler/expression/parser.ts';
import { checkExpression, disassembleCode } from '../../src/compiler/rules.ts';
import { ImageError, type Engine } from '../../src/waf/engine.ts';
import { testEngine } from '../support/engine.ts';
import { loadOne } from '../support/image.ts';
import { ExpressionMaker, LISTS, quote, randomRequest } from '../support/random-expression.ts';
import { truthOf } from '../support/reference-expression.ts';
import { judge, rulePolicy, withRules } from '../support/rules.ts';
import { random, type Random } from './random.ts';

const PIECES = ['"', 'r#"', '(', ')', '[', ']', '[*]', '{', '}', '$', '..', '/', '\\', 'not ', ' and ', ' xor ', ' in ', '~', '!', '-', '0x', '\0', '😀', '\ud800', ',', '#', '::', '%', '.']; // prettier-ignore

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const engine = await testEngine();
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) {
    if (cases % 50 === 0) meanTheSame(engine, r);
    else if (cases % 5 === 0) mutateCode(engine, r);
    else mutateText(r);
  }
  assert.equal(engine.traps, 0);
  return cases;
}

function mutateText(r: Random): void {
  let text = r.below(3) === 0 ? new ExpressionMaker(r).text(4) : new ExpressionMaker(r).condition(4);
  for (let i = r.below(4); i > 0; i--) {
    const at = r.below(text.length + 1);
    const piece = r.below(3) === 0 ? String.fromCharCode(r.below(256)) : r.pick(PIECES);
    text = text.slice(0, at) + piece.repeat(r.below(60) === 0 ? r.below(3000) : 1) + text.slice(at + r.below(4));
  }
  const fault = checkExpression(text, LISTS, r.pick(['condition', 'text']));
  if (fault === null) return;
  assert.ok(
    fault.at >= 0 && fault.at <= text.length && fault.length >= 1,
    `${JSON.stringify(text)}: ${JSON.stringify(fault)}`,
  );
  assert.notEqual(fault.message, '');
}

function meanTheSame(engine: Engine, r: Random): void {
  const expressions = Array.from({ length: 20 }, () => new ExpressionMaker(r).condition(4)).filter((text) => text.length <= abi.MAX_EXPRESSION_CHARACTERS); // prettier-ignore
  const ruled = withRules(engine, expressions.map((when) => ({ when })), { lists: LISTS }); // prettier-ignore
  for (let i = 0; i < 4; i++) {
    const request = randomRequest(r);
    const matched = new Set(ruled.effects(request).map(({ index }) => index));
    for (const [at, expression] of expressions.entries()) {
      const wanted = truthOf(parseCondition(expression), request, LISTS);
      assert.equal(matched.has(at), wanted, `${expression}\n${JSON.stringify(request)}`);
    }
  }
  ruled.release();
}

function mutateCode(engine: Engine, r: Random): void {
  const policy = rulePolicy(
    Array.from({ length: 1 + r.below(4) }, () => ({
      when: new ExpressionMaker(r).condition(3),
      action: r.pick(['log', 'skip', 'block'] as const),
      skipPhases: [],
      location: r.below(2) === 0 ? new ExpressionMaker(r, 'head').text(2) : quote('x'),
    })),
    { lists: LISTS },
  );
  const image = policy.image.slice();
  const view = new DataView(image.buffer);
  for (let i = 1 + r.below(4); i > 0; i--) {
    const section =
      24 + 8 * r.pick([abi.SECTION_CODE, abi.SECTION_CODE, abi.SECTION_CODE, abi.SECTION_RULES, abi.SECTION_STRINGS]);
    const at = view.getUint32(section, true);
    const length = view.getUint32(section + 4, true);
    if (length === 0) continue;
    const byte = at + r.below(length);
    const word = byte & ~3;
    switch (r.below(4)) {
      case 0:
        image[byte] = r.bits() & 255;
        break;
      case 1:
        image[byte] = image[byte]! ^ (1 << r.below(8));
        break;
      case 2:
        view.setUint32(word, r.pick([0, 1, 2, 16, 255, 0x7fffffff, 0x80000000, 0xffffffff, length, length - 1]), true);
        break;
      default:
        // A word of the code in the place of another: instructions that are sound by themselves.
        view.setUint32(word, view.getUint32(at + (r.below(length) & ~3), true), true);
    }
  }
  disassembleCode(
    image
      .subarray(view.getUint32(24 + 8 * abi.SECTION_CODE, true))
      .subarray(0, view.getUint32(28 + 8 * abi.SECTION_CODE, true)),
  );
  let generation;
  try {
    generation = loadOne(engine, image);
  } catch (error) {
    assert.ok(error instanceof ImageError, String(error));
    return;
  }
  for (let i = 0; i < 3; i++)
    judge(engine, generation, { stages: { body: true, protocol: false, response: true } }, randomRequest(r));
  engine.release(generation);
  assert.equal(engine.traps, 0, `trap by code\n${disassembleCode(policy.code)}`);
}
