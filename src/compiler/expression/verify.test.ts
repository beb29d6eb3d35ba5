import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as abi from '../../../assembly/abi.ts';
import * as regex from '../../../assembly/regex/abi.ts';
import { requestHead, testEngine } from '../../../test/support/engine.ts';
import { loadOne } from '../../../test/support/image.ts';
import { judge, rulePolicy, withRules } from '../../../test/support/rules.ts';

const engine = await testEngine();

const op = (opcode: number, a = 0, b = 0, flags = 0): number => (opcode | (a << 8) | (b << 16) | (flags << 24)) >>> 0;
const END = op(abi.OP_END);
const TRUE = op(abi.OP_BOOL, 1);
const HOST = op(abi.OP_FIELD, abi.FIELD_HOST);

/** Whether an image with this one program as a rule's condition is opened; it is run then. */
function opens(words: readonly number[], type: number = abi.TYPE_BOOL): boolean {
  // A condition of constants is one word; the program takes its place at the end of a larger section.
  const policy = rulePolicy([
    { when: Array.from({ length: 40 }, () => 'http.host eq "xxxxxxxxxxxxxxxx"').join(' or ') },
  ]);
  const image = policy.image.slice();
  const view = new DataView(image.buffer);
  const at = view.getUint32(24 + 8 * abi.SECTION_CODE, true);
  view.setUint32(28 + 8 * abi.SECTION_CODE, (3 + words.length) * 4, true);
  for (const [index, word] of [1, 3, type, ...words].entries()) view.setUint32(at + index * 4, word, true);
  try {
    const generation = loadOne(engine, image);
    engine.head(generation, requestHead('http://h/'), 1, 2);
    engine.release(generation);
    return true;
  } catch {
    return false;
  }
}

test('sound programs are opened', () => {
  assert.ok(opens([TRUE, END]));
  assert.ok(opens([HOST, op(abi.OP_CONTAINS), 0, 1, END]));
  assert.ok(opens([TRUE, op(abi.OP_AND), 1, TRUE, END]));
  assert.ok(opens([TRUE, op(abi.OP_OR), 4, TRUE, op(abi.OP_AND), 1, TRUE, END]));
  assert.ok(opens([HOST, op(abi.OP_CALL, abi.FUNCTION_LOWER, 1), 0, 0, op(abi.OP_CONTAINS), 0, 1, END]));
  assert.ok(
    opens([
      ...Array.from({ length: abi.MAX_STACK }, () => TRUE),
      ...Array.from({ length: abi.MAX_STACK - 1 }, () => op(abi.OP_XOR)),
      END,
    ]),
  );
});

test('programs that could go wrong are refused', () => {
  const bad: Record<string, readonly number[]> = {
    'no end': [TRUE],
    'end in the middle': [TRUE, END, TRUE, END],
    'nothing on the stack': [END],
    'too much on the stack': [TRUE, TRUE, END],
    'a stack that is too deep': [
      ...Array.from({ length: abi.MAX_STACK + 1 }, () => TRUE),
      ...Array.from({ length: abi.MAX_STACK }, () => op(abi.OP_XOR)),
      END,
    ],
    'taking from an empty stack': [op(abi.OP_NOT), END],
    'one operand of two': [TRUE, op(abi.OP_XOR), END],
    'no such instruction': [op(99), END],
    'instruction 0': [0, TRUE, END],
    'no such field': [op(abi.OP_FIELD, abi.FIELD_COUNT), op(abi.OP_CONTAINS), 0, 1, END],
    'a map as a value': [op(abi.OP_FIELD, abi.FIELD_HEADERS), op(abi.OP_CALL, abi.FUNCTION_HAS, 1), 0, 0, END],
    'an entry of what is no map': [
      op(abi.OP_ENTRY, abi.FIELD_HOST),
      0,
      1,
      op(abi.OP_CALL, abi.FUNCTION_HAS, 1),
      0,
      0,
      END,
    ],
    'a result of another type': [HOST, END],
    'a string compared as an integer': [HOST, op(abi.OP_COMPARE_INT, 1), 0, 0, END],
    'a string compared as an array': [HOST, op(abi.OP_CONTAINS, 0, 0, abi.FLAG_EACH), 0, 1, END],
    'an array compared as a string': [op(abi.OP_FIELD, abi.FIELD_HEADERS_NAMES), op(abi.OP_CONTAINS), 0, 1, END],
    'a string compared as an address': [HOST, op(abi.OP_COMPARE_ADDRESS, abi.COMPARE_EQUAL), 0, 16, END],
    'a short address': [op(abi.OP_FIELD, abi.FIELD_ADDRESS), op(abi.OP_COMPARE_ADDRESS, abi.COMPARE_EQUAL), 0, 15, END],
    'a literal past the pool': [HOST, op(abi.OP_CONTAINS), 0xffffff00, 0x200, END],
    'half a range': [op(abi.OP_FIELD, abi.FIELD_TIMESTAMP), op(abi.OP_IN_INTEGERS), 0, 8, END],
    'no such regex': [HOST, op(abi.OP_MATCHES), 0, END],
    'no such list': [HOST, op(abi.OP_IN_STRINGS), 0, END],
    'no such function': [HOST, op(abi.OP_CALL, abi.FUNCTION_COUNT, 1), 0, 0, END],
    'a function of nothing': [op(abi.OP_CALL, abi.FUNCTION_CONCAT, 0), abi.TYPE_STRING, 0, END],
    'arguments of another type': [TRUE, op(abi.OP_CALL, abi.FUNCTION_LOWER, 1), 0, 0, op(abi.OP_CONTAINS), 0, 1, END],
    'arguments that are not there': [HOST, op(abi.OP_CALL, abi.FUNCTION_STARTS_WITH, 2), 0, 0, END],
    'to_string told a wrong type': [
      op(abi.OP_FIELD, abi.FIELD_TIMESTAMP),
      op(abi.OP_CALL, abi.FUNCTION_TO_STRING, 1),
      abi.TYPE_ADDRESS,
      0,
      op(abi.OP_CONTAINS),
      0,
      1,
      END,
    ],
    'JSON keys past the pool': [
      HOST,
      op(abi.OP_CALL, abi.FUNCTION_JSON_STRING, 1),
      0x7fffffff,
      0x7fffffff,
      op(abi.OP_CONTAINS),
      0,
      1,
      END,
    ],
    'a jump to itself': [TRUE, op(abi.OP_AND), 0, TRUE, END],
    'a jump past the end': [TRUE, op(abi.OP_AND), 2, TRUE, END],
    'a jump round the address space': [TRUE, op(abi.OP_AND), 0xfffffffe, TRUE, END],
    'a jump into operands': [TRUE, op(abi.OP_AND), 2, op(abi.OP_INT), 0, 0, TRUE, op(abi.OP_XOR), END],
    'a jump to where the stack differs': [TRUE, op(abi.OP_AND), 2, TRUE, TRUE, op(abi.OP_XOR), END],
    'jumps that cross': [TRUE, op(abi.OP_AND), 4, TRUE, op(abi.OP_AND), 3, TRUE, TRUE, op(abi.OP_XOR), END],
    'taking what a jump needs': [TRUE, TRUE, op(abi.OP_AND), 2, op(abi.OP_NOT), TRUE, op(abi.OP_XOR), END],
    'an operand that is cut off': [TRUE, op(abi.OP_AND)],
  };
  const opened = Object.entries(bad).filter(([, words]) => opens(words)).map(([name]) => name); // prettier-ignore
  assert.deepEqual(opened, []);
  assert.equal(opens([TRUE, END], abi.TYPE_STRING), false);
  assert.equal(engine.traps, 0);
});

test('http.request.body.mime is what the first bytes say', () => {
  const types: readonly (readonly [body: string, type: string | null])[] = [
    ['GIF89a...', 'image/gif'],
    ['%PDF-1.7', 'application/pdf'],
    ['PK\u0003\u0004', 'application/zip'],
    ['RIFFxxxxWEBPVP8 ', 'image/webp'],
    ['RIFFxxxxWAVE', 'audio/wave'],
    ['xxxxftypisom', 'video/mp4'],
    ['\u0000asm', 'application/wasm'],
    ['  <!DOCTYPE HTML>', 'text/html'],
    ['<html lang=en>', 'text/html'],
    ['<htmlx>', null],
    ['<?xml version="1.0"?>', 'text/xml'],
    ['ID3', 'audio/mpeg'],
    ['{"a":1}', null],
    ['GI', null],
    ['', null],
  ];
  for (const [body, type] of types) {
    const when = type === null ? 'not http.request.body.mime ge ""' : `http.request.body.mime eq "${type}"`;
    const ruled = withRules(engine, [{ when }]);
    assert.equal(ruled.effects({ url: 'http://h/', body }).length, 1, `${JSON.stringify(body)} is ${type}`);
    ruled.release();
  }
});

test('groups whose ends an image never saves are empty, and nothing traps', () => {
  const policy = rulePolicy([
    { when: 'true', action: 'redirect', location: 'regex_replace(http.request.uri.path, "a(b+)c", "<${1}>")' },
  ]);
  const { image } = policy;
  const view = new DataView(image.buffer, image.byteOffset);
  const regexes = view.getUint32(24 + abi.SECTION_REGEXES * 8, true);
  const program = regexes + view.getUint32(regexes + 4, true);
  const nfa = program + view.getUint32(program + regex.REGEX_NFA, true);
  // Every place that saves the end of a group saves its start again.
  let changed = 0;
  for (let id = 0; id < view.getUint32(nfa + regex.NFA_STATES, true); id++) {
    const state = nfa + regex.NFA_TABLE + id * regex.NFA_STATE_BYTES;
    if (view.getUint32(state, true) !== regex.NFA_SAVE) continue;
    const slot = view.getUint32(state + 8, true);
    view.setUint32(state + 8, slot & ~1, true);
    changed += slot & 1;
  }
  assert.equal(changed, 2);
  const before = engine.traps;
  const generation = loadOne(engine, image);
  const [result] = judge(engine, generation, policy, { url: 'http://h/xabbcy' });
  assert.equal(engine.traps, before);
  assert.equal(result!.outcome, abi.OUTCOME_OK);
  engine.release(generation);
});
