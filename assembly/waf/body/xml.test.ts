import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { compileBodies, latin1, type Bodies, type Octets, type Read } from '../../../test/support/bodies.ts';
import { REASON_BODY_DEPTH, REASON_VALUES } from '../../abi.ts';
import {
  MAX_WAF_VALUES,
  MAX_XML_DEPTH,
  PROCESSOR_XML,
  VARIABLE_REQBODY_ERROR,
  VARIABLE_REQBODY_ERROR_MSG,
  VARIABLE_REQUEST_BODY,
  VARIABLE_XML,
} from '../abi.ts';

let bodies: Bodies;
before(async () => {
  bodies = await compileBodies();
});

const utf8 = (text: string): string => latin1(Buffer.from(text, 'utf8'));
const xml = (text: Octets, whole = true): Read => bodies.body(text, { processor: PROCESSOR_XML, whole });
const values = (of: Read, name: string): string[] => of.pairs(VARIABLE_XML).filter(([key]) => key === name).map(([, value]) => value);
const texts = (of: Read): string[] => values(of, '/*');
const attributes = (of: Read): string[] => values(of, '//@*');

describe('XML', () => {
  const valid: readonly (readonly [document: string, text: string, attributes?: readonly string[]])[] = [
    ['<a/>', ''],
    ['<a></a>', ''],
    ['<a>x</a>', 'x'],
    ['<a>x<b>y</b>z</a>', 'xyz'],
    [' \n<a> x </a>\n ', ' x '],
    ['<?xml version="1.0"?><a>x</a>', 'x'],
    ['<a>x<!-- comment --><?php echo ?>y</a><!-- end -->', 'xy'],
    ['<a><![CDATA[<b>&amp;]]>]]></a>', '<b>&amp;]]>'],
    ['<a><![CDATA[]]x]]]></a>', ']]x]'],
    ['<a>&lt;&gt;&amp;&quot;&apos;</a>', '<>&"\''],
    ['<a>&#60;&#x3C;&#x20ac;&#128512;&#0000065;</a>', `<<${utf8('€😀')}A`],
    ['<a>1\r\n2\r3\n4</a>', '1\n2\n3\n4'],
    ['<a>&#13;</a>', '\r'],
    ['<a x="1" y=\'2\'/>', '', ['1', '2']],
    ['<a  x = "1"\n\ty\r\n=\n\'2\' ><b z="3"/></a >', '', ['1', '2', '3']],
    ['<a x="&lt;&quot;&#39;" y="a\tb\r\nc\nd"/>', '', ['<"\'', 'a b c d']],
    ['<a x="a>b"/>', '', ['a>b']],
    ['<a x=""/>', '', ['']],
    ['<a xmlns="urn:x" xmlns:b="urn:y" b:c="d"/>', '', ['d']],
    ['<a xmlnsx="1"/>', '', ['1']],
    ['<soap:Envelope xmlns:soap="urn:s"><soap:Body id="7">x</soap:Body></soap:Envelope>', 'x', ['7']],
    [utf8('<ü ä="ö">€</ü>'), utf8('€'), [utf8('ö')]],
    ['\xef\xbb\xbf<a>x</a>', 'x'],
    ['<?xml version="1.0" encoding="ISO-8859-1"?><a b="\xe9">\xfc</a>', utf8('ü'), [utf8('é')]],
    ['<?xml version="1.0" encoding="iso-8859-1"?><a>x</a>', 'x'],
    ['<?xml version="1.0" encoding="windows-1252"?><a>\xfc</a>', '\xfc'],
    ["<?xml version='1.0' encoding='UTF-8' standalone='yes'?><a>x</a>", 'x'],
    ['<!DOCTYPE a><a>x</a>', 'x'],
    ['<!DOCTYPE a SYSTEM "http://x/a.dtd"><a>x</a>', 'x'],
    ['<!DOCTYPE a [<!ELEMENT a (b)><!-- > ]> --><?x ]> ?><!ATTLIST a b CDATA "]>">]><a>x</a>', 'x'],
    ['<a>0123456789abcdef0123456789&amp;abcdef0123456789</a>', '0123456789abcdef0123456789&abcdef0123456789'],
    [`<a>${'x'.repeat(40)}<b c="${'y'.repeat(40)}&lt;"/>${'z'.repeat(40)}</a>`, 'x'.repeat(40) + 'z'.repeat(40), [`${'y'.repeat(40)}<`]],
  ];
  for (const [document, text, expected] of valid) {
    test(JSON.stringify(document), () => {
      const of = xml(document);
      assert.equal(of.text(VARIABLE_REQBODY_ERROR_MSG), '');
      assert.equal(of.text(VARIABLE_REQBODY_ERROR), '0');
      assert.deepEqual(texts(of), [text]);
      assert.deepEqual(attributes(of), expected ?? []);
      assert.equal(of.text(VARIABLE_REQUEST_BODY), undefined);
    });
  }
  test('an empty body is no error', () => {
    const of = xml('');
    assert.deepEqual([of.text(VARIABLE_REQBODY_ERROR), of.pairs(VARIABLE_XML)], ['0', []]);
  });

  test('entities are not expanded; their literals are texts of their own', () => {
    const of = xml(
      '<!DOCTYPE a [<!ENTITY x "&#60;script>"><!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY % p PUBLIC "-//P" \'http://p\'>' +
        '<!NOTATION n SYSTEM "n">]><a b="&x;">1&x;&f;2</a>',
    );
    assert.deepEqual(texts(of), ['<script>', 'file:///etc/passwd', '-//P', 'http://p', '1&x;&f;2']);
    assert.deepEqual(attributes(of), ['&x;']);
    assert.equal(of.text(VARIABLE_REQBODY_ERROR), '1');
  });
  test('an entity that is declared elsewhere is no error', () => {
    const of = xml('<!DOCTYPE html PUBLIC "-//W3C" "http://x/x.dtd"><a b="&nbsp;">1&nbsp;2</a>');
    assert.deepEqual([texts(of), attributes(of), of.text(VARIABLE_REQBODY_ERROR)], [['1&nbsp;2'], ['&nbsp;'], '0']);
    for (const subset of ['<!ENTITY nbsp "x">', '%p;', '<!ENTITY % p "">']) {
      const own = xml(`<!DOCTYPE html SYSTEM "x" [${subset}]><a>&nbsp;</a>`);
      assert.equal(own.text(VARIABLE_REQBODY_ERROR), '1', subset);
    }
    assert.equal(xml('<!DOCTYPE a SYSTEM "x" [<!ENTITY n "x">]><a>1</a>').text(VARIABLE_REQBODY_ERROR), '0');
  });
  test('a billion laughs are a few bytes', () => {
    const levels = Array.from({ length: 10 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join('');
    const of = xml(`<!DOCTYPE a [<!ENTITY l0 "ha">${levels}]><a>&l10;</a>`);
    assert.deepEqual([of.complete, texts(of).at(-1)], [true, '&l10;']);
    assert.ok(of.steps < 4096);
  });

  for (const [name, encode] of [
    ['UTF-16LE', (text: string) => Buffer.from(text, 'utf16le')],
    ['UTF-16BE', (text: string) => Buffer.from(text, 'utf16le').swap16()],
  ] as const) {
    test(`${name}, with and without a byte order mark`, () => {
      for (const start of ['\ufeff', '']) {
        const of = xml(encode(`${start}<?xml version="1.0" encoding="UTF-16"?><a b="ü">€😀&lt;script</a>`));
        assert.equal(of.text(VARIABLE_REQBODY_ERROR), '0');
        assert.deepEqual([texts(of), attributes(of)], [[utf8('€😀<script')], [utf8('ü')]]);
      }
      const odd = xml(Buffer.concat([encode('\ufeff<a>x</a>'), Buffer.of(0)]));
      assert.deepEqual([odd.text(VARIABLE_REQBODY_ERROR), texts(odd)], ['1', ['x']]);
    });
  }

  // Malformed: what is found all the same.
  const malformed: readonly (readonly [document: string, texts: readonly string[], attributes?: readonly string[]])[] = [
    ['x', ['x']],
    [' ', []],
    ['<', ['<']],
    ['<a', ['']],
    ['<a>', ['']],
    ['<a>x', ['x']],
    ['<a>x</b>', ['x']],
    ['<a><b>x</a></b>', ['x']],
    ['</a>', []],
    ['<a/><b>x</b>', ['x']],
    ['<a/>x', ['x']],
    ['x<a/>', ['x']],
    ['<a>&nope;</a>', ['&nope;']],
    ['<a>& b</a>', ['& b']],
    ['<a>a&b</a>', ['a&b']],
    ['<a>&;</a>', ['&;']],
    ['<a>&#0;&#xD800;&#x110000;&#x;&#12x;</a>', ['&#0;&#xD800;&#x110000;&#x;&#12x;']],
    ['<a>1 < 2</a>', ['1 < 2']],
    ['<a x=1>y</a>', ['y'], ['1']],
    ['<a x>y</a>', ['y']],
    ['<a x="1<2">y</a>', ['y'], ['1<2']],
    ['<a x="1', [''], ['1']],
    ['<a "x">y</a>', ['y']],
    ['<a <b>x</b></a>', ['x']],
    ['<a><!-- x</a>', ['']],
    ['<a><![CDATA[<script></a>', ['<script></a>']],
    ['<a><!x>y</a>', ['<!x>y']],
    ['<a>\0x</a>', ['\0x']],
    ['<a>\x01x</a>', ['\x01x']],
    ['<a>\xff</a>', ['\xff']],
    ['<?xml version="1.0" encoding="UTF-7"?><a>+ADw-</a>', ['+ADw-']],
    ['<?xml version="1.0"?', []],
    ['<?xml version="2.0"?><a>x</a>', ['x']],
    ['<?xml encoding="UTF-8"?><a>x</a>', ['x']],
    ['<?xml version="1.0"encoding="UTF-8"?><a>x</a>', ['x']],
    ['<?xml version="1.0" encoding=UTF-8?><a>x</a>', ['x']],
    ['<?xml version="1.0" encoding="UTF-8" encoding="UTF-16"?><a>x</a>', ['x']],
    ['<?xml version="1.0" x="y"?><a>x</a>', ['x']],
    ['<?xml ?><a>x</a>', ['x']],
    ['<a><? x?>y</a>', ['y']],
    ['<a>&#6;y</a>', ['&#6;y']],
    ['<a x="1"y="2">z</a>', ['z'], ['1', '2']],
    ['<a x"y="1">z</a>', ['z'], ['1']],
    ['<a;>z</a;>', ['z']],
    ['<!DOCTYPE a [<!ENTITY x "1">', ['1']],
    ['<a/><!DOCTYPE a>', ['']],
  ];
  for (const [document, expected, found] of malformed) {
    test(`malformed: ${JSON.stringify(document)}`, () => {
      const of = xml(document);
      assert.equal(of.text(VARIABLE_REQBODY_ERROR), '1');
      assert.match(of.text(VARIABLE_REQBODY_ERROR_MSG) ?? '', /^XML parsing error: /);
      assert.deepEqual(texts(of), expected);
      assert.deepEqual(attributes(of), found ?? []);
      assert.equal(of.text(VARIABLE_REQUEST_BODY), document);
    });
  }

  test('the first part of a document is no error', () => {
    const document = utf8('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "1">]><a b="ü&lt;"><!-- c -->x&amp;<![CDATA[<]]></a>');
    for (let length = document.indexOf('<a ') + 2; length <= document.length; length++) {
      assert.equal(xml(document.slice(0, length), false).text(VARIABLE_REQBODY_ERROR), '0', document.slice(0, length));
    }
    assert.deepEqual(texts(xml('<a>abc', false)), ['abc']);
    assert.deepEqual(attributes(xml('<a b="abc', false)), ['abc']);
  });

  test('exactly MAX_XML_DEPTH levels, and one more', () => {
    const nested = (depth: number): string => `${'<a>'.repeat(depth)}x${'</a>'.repeat(depth)}`;
    const fits = xml(nested(MAX_XML_DEPTH));
    assert.deepEqual([fits.complete, fits.text(VARIABLE_REQBODY_ERROR), texts(fits)], [true, '0', ['x']]);
    const over = xml(nested(MAX_XML_DEPTH + 1));
    assert.deepEqual([over.complete, over.reason, over.text(VARIABLE_REQBODY_ERROR)], [false, REASON_BODY_DEPTH, '1']);
  });
  test('more attributes than there is room for are a limit', () => {
    const over = xml(`<a>${'<b c=""/>'.repeat(MAX_WAF_VALUES)}</a>`);
    assert.deepEqual([over.complete, over.reason], [false, REASON_VALUES]);
  });

  const text = fc.string({ unit: fc.constantFrom('a', '<', '>', '&', '"', "'", ' ', '\n', '\r', '\t', 'ü', '😀', ']]>', '--', ';', '#'), maxLength: 24 });
  const escape = (of: string): string => of.replace(/[<>&"'\r\n\t]/g, (c) => `&#${c.charCodeAt(0)};`);
  interface Node {
    readonly kind: 'text' | 'cdata' | 'comment' | 'element';
    readonly text: string;
    readonly attributes: readonly string[];
    readonly children: readonly Node[];
  }
  const leaf = (kind: Node['kind']) => text.map((value): Node => ({ kind, text: value, attributes: [], children: [] }));
  const { element } = fc.letrec<{ node: Node; element: Node }>((tie) => ({
    node: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf('text'), leaf('cdata'), leaf('comment'), tie('element')),
    element: fc
      .tuple(fc.array(text, { maxLength: 4 }), fc.array(tie('node'), { maxLength: 5 }))
      .map(([values, children]): Node => ({ kind: 'element', text: '', attributes: values, children })),
  }));
  const write = (node: Node): string => {
    if (node.kind === 'text') return escape(node.text);
    if (node.kind === 'cdata') return `<![CDATA[${node.text.replaceAll(']]>', '')}]]>`;
    if (node.kind === 'comment') return `<!--${node.text.replaceAll('-', '')}-->`;
    const list = node.attributes.map((value, i) => ` n${i}="${escape(value)}"`).join('');
    return `<e${list}>${node.children.map(write).join('')}</e>`;
  };
  const textOf = (node: Node): string => {
    if (node.kind === 'text') return node.text;
    if (node.kind === 'cdata') return node.text.replaceAll(']]>', '').replace(/\r\n?/g, '\n');
    return node.kind === 'comment' ? '' : node.children.map(textOf).join('');
  };
  const attributesOf = (node: Node): string[] => [...node.attributes, ...node.children.flatMap(attributesOf)];
  test('what is written comes back', () => {
    fc.assert(
      fc.property(element, fc.boolean(), (root, wide) => {
        const document = write(root);
        const of = xml(wide ? Buffer.from(document, 'utf16le') : utf8(document));
        assert.equal(of.text(VARIABLE_REQBODY_ERROR), '0', of.text(VARIABLE_REQBODY_ERROR_MSG));
        assert.deepEqual(texts(of), [utf8(textOf(root))]);
        assert.deepEqual(attributes(of), attributesOf(root).map(utf8));
      }),
    );
  });

  const fragment = fc.constantFrom(
    ...['<a>', '</a>', '<a ', 'b="', "c='", '"', '/>', '>', '<', '&', '&lt;', '&#60;', '&x;', '<!--', '-->', '<![CDATA[', ']]>', '<?xml ', '?>'],
    ...['<!DOCTYPE a [', '<!ENTITY x "', ']>', 'text', ' ', '\r\n', '\0', '\xff', '\xc3\xbc', 'encoding="', '='],
  );
  test('any bytes: never a trap, few steps, and nothing that is not there', () => {
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 30 }), fc.boolean(), (fragments, whole) => {
        const document = fragments.join('');
        const of = xml(document, whole);
        assert.ok(of.steps < 1024);
        assert.ok(of.pairs(VARIABLE_XML).every(([, value]) => value.length <= document.length));
      }),
    );
  });
  test('any bytes as UTF-16: never a trap', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.constantFrom([0xff, 0xfe], [0xfe, 0xff]), (bytes, mark) => {
        assert.ok(xml(Uint8Array.of(...mark, ...bytes)).steps < 1024);
      }),
    );
  });
});
