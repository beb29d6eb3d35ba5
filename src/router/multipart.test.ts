import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { compileBodies, latin1, octets, type Bodies, type Read } from '../../test/support/bodies.ts';
import * as waf from '../../assembly/waf/abi.ts';
import { FileTracker, withoutRanges } from './multipart.ts';

const TYPE = 'multipart/form-data; boundary=bound';
const part = (disposition: string, content: string, more = ''): string =>
  `--bound\r\nContent-Disposition: form-data; ${disposition}\r\n${more}\r\n${content}\r\n`;
const FILE = 'name="f"; filename="x"';
const END = '--bound--\r\n';

/** What is left out of a body, as text. */
function leftOut(body: string, contentType = TYPE, sizes: readonly number[] = [body.length]): string[] {
  const tracker = FileTracker.of(contentType);
  if (tracker === null) return [];
  const bytes = octets(body);
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number;
    tracker.push(bytes.subarray(at, at + size));
    at += size;
  }
  return tracker.ranges.map(([start, end]) => body.slice(start, end));
}

describe('contents of files', () => {
  const cases: readonly (readonly [title: string, body: string, left: readonly string[]])[] = [
    ['a file', part(FILE, 'content') + END, ['content']],
    ['a file and fields', part('name="a"', '1') + part(FILE, 'content') + part('name="b"', '2') + END, ['content']],
    ['two files', part(FILE, 'one') + part(FILE, 'two\r\n') + END, ['one', 'two\r\n']],
    ['more headers', part(FILE, 'one', 'Content-Type: a/b\r\n') + END, ['one']],
    ['tokens', part('name=f; filename=x.txt', 'one') + END, ['one']],
    ['an empty file', part(FILE, '') + END, []],
    ['a field', part('name="a"', 'content') + END, []],
    ['data before', `x\r\n${part(FILE, 'content')}${END}`, ['content']],
    ['data after', part(FILE, 'content') + END + part(FILE, 'content') + END, ['content']],
    ['dashes', part(FILE, 'a-b--c---d') + END, ['a-b--c---d']],
    ['a part of the boundary', part(FILE, 'a\r\n-\r\n-bound\r\nbound') + END, ['a\r\n-\r\n-bound\r\nbound']],
    ['the first line of dashes stays', part(FILE, 'one\r\n--two\r\n--three') + END, ['one', 'o\r\n--three']],
    ['a line of dashes at once', part(FILE, '--abcd') + END, ['cd']],
    ['a longer boundary is a boundary', part(FILE, 'one\r\n--boundary\r\ntwo') + END, ['one']],
    ['the boundary in a line', part(FILE, 'one--bound\r\ntwo') + END, ['o']],
    ['a blank before the boundary', part(FILE, 'one\r\n-- bound\r\ntwo') + END, ['one']],
    ['a quote before the boundary', part(FILE, 'one\r\n--"bound"\r\ntwo') + END, ['one']],
    // not certain: it all counts
    [
      'a file behind a boundary where data has to begin',
      `--bound\r\nContent-Disposition: form-data; name="a"\r\n\r\n${part(FILE, 'x')}${END}`,
      [],
    ],
    [
      'a file behind an empty file without a line',
      `--bound\r\nContent-Disposition: form-data; ${FILE}\r\n\r\n${part(FILE, 'x')}${END}`,
      [],
    ],
    [
      'a boundary where data has to begin',
      `--bound\r\nContent-Disposition: form-data; ${FILE}\r\n\r\n${part('name="a"', 'x')}${END}`,
      [],
    ],
    ['escapes in the file name', part('name="f"; filename="x\\"y"', 'content') + END, []],
    ['an unknown parameter', part(`${FILE}; filename*=y`, 'content') + END, []],
    ['no name', part('filename="x"', 'content') + END, []],
    ['single quotes', part("name='f'; filename='x'", 'content') + END, []],
    ['a header twice', part(FILE, 'content', 'A: b\r\na: c\r\n') + END, []],
    ['two dispositions', part(FILE, 'content', 'Content-Disposition: form-data; name="a"\r\n') + END, []],
    ['a folded header', part(FILE, 'content', 'A: b\r\n c\r\n') + END, []],
    ['a header without a colon', part(FILE, 'content', 'A\r\n') + END, []],
    ['a header with an LF', part(FILE, 'content', 'A: b\nC: d\r\n') + END, []],
    ['a boundary in the header', `--bound\r\n${part(FILE, 'content')}${END}`, []],
    ['LF behind the boundary', part(FILE, 'content').replace('\r\n', '\n') + END, []],
    ['LF throughout', (part(FILE, 'content') + END).replaceAll('\r\n', '\n'), []],
    ['a blank behind the boundary', part(FILE, 'content').replace('\r\n', ' \r\n') + END, []],
    ['a header that is too long', part(FILE, 'content', `A: ${'x'.repeat(waf.MAX_PART_HEADER_LINE)}\r\n`) + END, []],
  ];
  for (const [title, body, left] of cases) {
    test(title, () => {
      assert.deepEqual(leftOut(body), left);
      assert.deepEqual(leftOut(body, TYPE, [1]), left, 'byte by byte');
      assert.deepEqual(leftOut(body, TYPE, [7, 2, 5]), left, 'in pieces');
    });
  }

  const types: readonly (readonly [type: string, known: boolean])[] = [
    [TYPE, true],
    ['multipart/form-data;boundary="a b"', true],
    ['Multipart/Form-Data; boundary=----WebKitFormBoundaryAbC123', true],
    ['multipart/form-data', false],
    ['multipart/form-data; boundary=', false],
    ['multipart/form-data; boundary="x', false],
    ['multipart/form-data; boundary=x ', false],
    ['multipart/form-data; boundary= x', false],
    ['multipart/form-data; Boundary=x', false],
    ['multipart/form-data; boundary=x; charset=y', false],
    ['multipart/form-data; boundary=x; boundary=y', false],
    ['multipart/mixed; boundary=x', false],
    [`multipart/form-data; boundary=${'x'.repeat(70)}`, true],
    [`multipart/form-data; boundary=${'x'.repeat(71)}`, false],
  ];
  for (const [type, known] of types) {
    test(type.slice(0, 60), () => assert.equal(FileTracker.of(type) !== null, known));
  }

  test('while a file arrives, none of it counts; once it is uncertain, it does', () => {
    const tracker = FileTracker.of(TYPE);
    assert.ok(tracker !== null);
    const head = part(FILE, '').slice(0, -2);
    tracker.push(octets(head));
    assert.equal(tracker.counted, head.length);
    for (let i = 0; i < 100; i++) tracker.push(new Uint8Array(10000));
    assert.equal(tracker.counted, head.length);
    tracker.push(octets('\r\n-- '));
    tracker.push(new Uint8Array(500));
    assert.equal(tracker.counted, head.length + 505);
  });

  test('there are at most MAX_PARTS ranges', () => {
    const left = leftOut(part(FILE, 'one\r\n--two') + part(FILE, 'one').repeat(waf.MAX_PARTS) + END);
    assert.equal(left.length, waf.MAX_PARTS);
  });

  test('a boundary of dashes in a file of dashes is still found', () => {
    const boundary = `${'-'.repeat(60)}x`;
    const body = part(FILE, '-'.repeat(5000)).replace('bound', boundary) + `--${boundary}--\r\n`;
    assert.deepEqual(leftOut(body, `multipart/form-data; boundary=${boundary}`).join('').length, 5000 - 4);
  });
});

describe('the engine, told what was left out', () => {
  let bodies: Bodies;
  before(async () => {
    bodies = await compileBodies();
  });
  /** All that rules see, but the contents of files. */
  const seen = (of: Read): unknown => {
    const all: unknown[] = [of.complete];
    for (let id = 1; id < waf.VARIABLE_COUNT; id++)
      if (id !== waf.VARIABLE_FILES_TMP_CONTENT && id !== waf.VARIABLE_REQUEST_BODY) all.push([id, of.pairs(id)]);
    return all;
  };
  const same = (body: string, sizes: readonly number[], contentType = TYPE): void => {
    const tracker = FileTracker.of(contentType);
    assert.ok(tracker !== null);
    const bytes = octets(body);
    let at = 0;
    for (let i = 0; at < bytes.length; i++) {
      const size = sizes[i % sizes.length] as number;
      tracker.push(bytes.subarray(at, at + size));
      at += size;
    }
    const { bytes: kept, elided } = withoutRanges(bytes, tracker.ranges);
    assert.ok(kept.length === bytes.length || tracker.counted <= kept.length);
    const table: [number, number][] = [];
    for (let i = 0; i < elided.length; i += 2) table.push([elided[i] as number, elided[i + 1] as number]);
    const options = { processor: waf.PROCESSOR_MULTIPART, contentType };
    const whole = bodies.body(bytes, options);
    const compact = bodies.body(kept, { ...options, size: bytes.length, elided: table });
    const text = JSON.stringify([body, table]);
    assert.deepEqual(seen(compact), seen(bodies.body(bytes, options)), text);
    assert.equal(compact.reason, whole.reason, text);
  };

  const unit = fc.constantFrom(
    'a',
    '-',
    '\r\n',
    '\n',
    '\r',
    '--',
    '--bound',
    '--bound--',
    '\r\n--',
    '-- bound\r\n',
    '--"bound"\r\n',
    '--\tbound',
    ' ',
    '"',
    ':',
    '\0',
    '\xff',
  );
  const content = fc.array(unit, { maxLength: 12 }).map((units) => units.join(''));
  const disposition = fc.constantFrom(
    'name="a"',
    FILE,
    FILE,
    'name="f"; filename=""',
    `${FILE}; x=y`,
    'filename="x"',
    'name=\'a\'; filename="b"',
    'name="a\\"; filename="b"',
  );
  const more = fc.constantFrom('', '', 'A: b\r\n', ' A: b\r\n', 'A\r\n', 'A: b\n', '--bound\r\n', '\r\n');
  const aPart = fc.tuple(disposition, content, more).map(([d, c, m]) => part(d, c, m));
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
  test('says the same as of the whole body', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(aPart, aPart, content), { maxLength: 5 }),
        fc.constantFrom('', END, '--bound--', `${END}x`),
        sizes,
        fc.constantFrom(TYPE, 'multipart/form-data; boundary="bound"'),
        (parts, end, pieces, contentType) => {
          same(parts.join('') + end, pieces, contentType);
        },
      ),
    );
  });
  test('says the same of bodies of any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }).map(latin1), sizes, (text, pieces) =>
        same(part(FILE, text) + END, pieces),
      ),
    );
  });
});
