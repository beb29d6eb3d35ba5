import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { hostileTexts, loadDetectors, type Detectors } from '../../../test/support/detectors.ts';
import { DETECT_AT, DETECT_BYTES, MAX_STEPS, REASON_STEPS } from '../../abi.ts';

let detectors: Detectors;
before(async () => {
  detectors = await loadDetectors();
});

/** Attacks by technique: [text, what is found]. */
const SQL: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  union: [
    ["7' union select login, secret from staff -- ", "' union"],
    ['7 union all select null,null,null', '= union'],
    ['7) union (select pin from vault)', '= union'],
    ['7" union distinct select 1,2#', '" union'],
    ['7 union values (1,2)', '= union'],
    ["x' except select code from coupons--", "' union"],
    ['-1/**/UNION/**/SELECT/**/pin', '= union'],
    ['1e0union select pin', '= union'],
    ['1.union select pin', '= union'],
    ['7dunion select pin from dual', '= union'],
    ['0xunion select pin', '= union'],
    ['7 union%23'.replace('%23', '#x\n') + 'select pin,2', '= union'],
    ['$tag$ a $tag$ union select 1', '= union'],
    ["_utf8'a' union select 1", '= union'],
  ],
  boolean: [
    ['7 or 1=1', '= condition'],
    ['7 or true', '= condition'],
    ["x' and '{}'::jsonb @> '{}", "' condition"],
    ["x' or date '2026-11-21' < now()", "' condition"],
    ['7 AND 3 > 2', '= condition'],
    ["' or 'a'='a", "' condition"],
    ["' or ''='", "' condition"],
    ['" or "a"="a', '" condition'],
    ["x' or true -- ", "' condition"],
    ["x' && 2=2#", "' condition"],
    ["x' or 1 like 1 -- ", "' condition"],
    ["x' or not 1=2 and 'b'='b", "' condition"],
    ["x' or name is not null or 'b'='c", "' condition"],
    ['7 or 5 between 4 and 6', '= condition'],
    ['7 or 5 in (4,5)', '= condition'],
    ['7 xor 2=3', '= condition'],
    ["x' or id regexp '^7", "' condition"],
    ['7 or pi()>3', '= condition'],
    ["x' OR\u00a01=1", "' condition"],
    ['7 || 1=1', '= condition'],
    ["x') or ('1'='1", "' condition"],
  ],
  'blind and timed': [
    ['7 and ascii(substring((select pin from vault limit 1),1,1))>64', '= sub-select'],
    ['sleep(5)', '= function'],
    ['if(7=7,1,2)', '= function'],
    ['||pg_sleep(5)--', '= function'],
    ["'+benchmark(9999999,sha1(7))+'", "' function"],
    ["x' and pg_sleep(9)--", "' function"],
    ["7; waitfor delay '0:0:9'", '= clause'],
    ["x' waitfor delay '0:0:9'--", "' clause"],
    ['length(version())', '= function'],
    ['7 - (select count(*) from staff)', '= sub-select'],
    ["x'||(select pin from vault where rownum=1)||'", "' sub-select"],
    ['if(now()=sysdate(),sleep(7),0)', '= statement'],
    ['7 and updatexml(1,concat(0x7e,(select user())),1)', '= function'],
    ['7*(case when (7=7) then 1 else 0 end)', '= statement'],
    ['7 rlike (select 8)', '= sub-select'],
    ["x' and utl_inaddr.get_host_address('a') is null--", "' function"],
    ['7 + ord(mid(pin,1,1))', '= function'],
  ],
  stacked: [
    ["x'; drop table staff; -- ", "' stacked statement"],
    ['7; update staff set pin = 0', '= stacked statement'],
    ["7;exec master..xp_dirtree '//h/s'", '= stacked statement'],
    ['7; declare @q varchar(99)', '= stacked statement'],
    ["x'; insert into staff values (1)--", "' stacked statement"],
    ['7;shutdown', '= stacked statement'],
    ["x'; begin declare @q int", "' stacked statement"],
    ["x' exec sp_oacreate 'a'", "' statement"],
    ['7); delete from staff', '= stacked statement'],
    ['7; set @a = 1', '= stacked statement'],
    ['7; if 1=1 drop table a', '= stacked statement'],
    ['7; load data infile "a"', '= stacked statement'],
    ['7; alter table staff drop pin', '= stacked statement'],
  ],
  comments: [
    ["admin'--", "' comment"],
    ["admin';--", "' comment"],
    ['true--', '= comment'],
    ["admin' -- -", "' comment"],
    ["admin'#", "' comment"],
    ["admin'/*", "' comment"],
    ["admin')--", "' comment"],
    ['7--', '= comment'],
    ['7/**/or/**/1=1', '= condition'],
    ['7 /*!50000or*/ 1=1', '= versioned comment'],
    ["x'/*!union*/select 1", "' union"],
    ['7 /* a /* b */ */ + 1', '= comment'],
    ['7--x\nor--y\n1=1', '= condition'],
    ['*/union select 1', '= union'],
    ['/shop/*/*/7 union all', '= comment'],
  ],
  clauses: [
    ["x' order by 9-- ", "' clause"],
    ["x' group by pin having 1=1--", "' clause"],
    ['7 procedure analyse(1)', '= clause'],
    ["x' into outfile '/tmp/a", "' clause"],
    ['7 limit 1,1', '= clause'],
    ["x') from staff where pin='1", "' clause"],
    ["x' in boolean mode) --", "' clause"],
    ['7 having 1=1', '= clause'],
    ['order by 7-- ', '= clause'],
    ['where 7=8', '= clause'],
    ['order by 1,sleep(7)', '= sub-select'],
  ],
  arithmetic: [
    ["x'+7*'2", "' concatenation"],
    ["x'-'", "' concatenation"],
    ["x'|7|'2", "' concatenation"],
    ["x'=0 or '1", "' condition"],
    ["x'='", "' comparison"],
    ["x' like '", "' comparison"],
    ["x'*@a is null -- ", "' comparison"],
    ['chr(65)||chr(66)', '= concatenation'],
    ['" | a % b | "', '" concatenation'],
    ['7!=8--', '= comparison'],
  ],
  statements: [
    ['select * from staff', '= statement'],
    ["select 'a' from staff where", '= statement'],
    ['select pin from all_users', '= statement'],
    ['select@@version', '= statement'],
    ['update staff set pin=1', '= statement'],
    ["insert into staff values('a')", '= statement'],
    ['delete from staff where pin=1', '= statement'],
    ['exec xp_cmdshell', '= statement'],
    ['declare @q int', '= statement'],
    ['select 1e.pin from staff where 1=1', '= statement'],
  ],
  'readings of other servers': [
    // A backslash is no escape to PostgreSQL, Oracle and SQL Server.
    ["x\\' or 7=7 -- ", "' condition"],
    // `--` with no space behind it is arithmetic to MySQL.
    ['--7 union select * from staff', '= union'],
    ["q'[it's]' union select 1 from dual", '= union'],
    ['\\7union select 1', '= union'],
    ["x'/\\7-'", "' concatenation"],
  ],
};

/** Ordinary texts that look like SQL to one who reads words. */
const ORDINARY: readonly string[] = [
  '',
  '7',
  "O'Brien",
  "O'Brien and sons",
  "D'Angelo or O'Neill",
  "the boys' and girls' choir",
  "rock 'n' roll",
  "it's 5 or 6 o'clock",
  "can't select a union rep from the list",
  'select a size',
  'Please select one of the options and update your profile',
  'Drop the table off at the front desk; set it by the door',
  'European Union select committee report',
  'where is the order by phone option?',
  'case 7 and phone',
  'insert coin; exec will call you',
  'delete from cart',
  'between 5 and 10 people, not null and void',
  'having a great time, wish you were here',
  '2 or 3 days',
  '10 and under',
  '50% wool and 50% cotton',
  '18" x 24" poster',
  `5'10" and 180 lbs`,
  '"oak" + "table" - "chair"',
  '"not for sale"',
  'price > 10 and price < 20',
  'name = value',
  'a=1&b=2',
  'f(x) = 2x + 1',
  'max(3) of min(4)',
  'call me at 555-1234 -- thanks',
  'C# and F# developers',
  "#1 fan's page",
  "size 8 '#",
  '/* a remark */',
  'main.css /* colours */',
  'src/**/*.ts',
  '/var/log/*/*/2026',
  'user@example.com; other@example.com',
  'Sat Nov 21 11:00:00 UTC 2026',
  'https://example.com/a?b=c&d=e#f',
  '{"id":7,"name":"O\'Brien","tags":["a","b"],"ok":true}',
  "parse('--all', { help: 'all of them' })",
  "import path from 'node:path'",
  'for (let i = 0; i < 7 && ok; i++) call(i);',
  'and len(items) > 1',
  'if (x === 0 || y === "a") return null;',
  "const where = '/dev/null'",
  '+1 (555) 010-9999',
  'P.O. Box 7, Union, NJ',
  'Jack & Jill',
  'Tom || Jerry',
  'true',
  'null',
  'TRUE or FALSE?',
  "l'union fait la force",
  "aujourd'hui et demain",
  "'quoted'",
  "she said 'yes' and he said 'no'",
  "the '-x' flag",
  'version 2.0 (build 7)',
  'c29tZSBiYXNlNjQ=',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.abc-_--',
  '3/4" plywood and 1/2" screws',
  'x, @y, @z',
  '1 and @mention',
  'Straße in München; Öffnungszeiten 9-17',
  '日本語の文章と「引用」',
];

/** Texts that run in a page. */
const XSS: Readonly<Record<string, readonly string[]>> = {
  elements: [
    '<script>a()</script>',
    '<ScRiPt src=//h/a.js>',
    '<scr\0ipt>a()',
    '<x:script xmlns:x="http://www.w3.org/1999/xhtml">a()</x:script>',
    '<script/x>a()',
    '"><script>a()</script>',
    '</title><script>a()',
    '<!--><script>a()</script>-->',
    '<!-- <script>a()</script> -->',
    '<iframe src=//h>',
    '<scr<script>ipt>a()',
    '<script<b>a()',
    '<object data=a.swf>',
    '<embed src=a.swf>',
    '<base href=//h/>',
    '<link rel=stylesheet href=//h/a.css>',
    '<meta http-equiv=refresh content=0>',
    '<style>@import "//h"</style>',
    '<!--[if IE]>a<![endif]-->',
    '<!DOCTYPE a [<!ENTITY b "c">]>'.slice('<!DOCTYPE a ['.length),
    '<?import namespace=t implementation=a>',
    '<noscript><p title="</noscript><img src=x onerror=a()>">',
  ],
  handlers: [
    '<img src=x onerror=a()>',
    '<svg onload=a()>',
    '<svg/onload=a()>',
    '<body onload = a()>',
    '<p/onclick="a()">',
    '<x onanythingelse=a(1)>',
    "<p title='a'onmouseover='b()'>",
    '<img src=`x` onerror=a()>',
    '<img src=`x`onerror=a()>',
    '<p\x0conclick\x0b=a()>',
    '<svg><animate onbegin=a() attributeName=x>',
    '<details open ontoggle=a`1`>',
    '<video><source onerror="a()">',
    '<<p onclick=a()>',
    '</p onclick=a()>',
  ],
  'out of an attribute': [
    '" onmouseover="a()',
    "' onfocus='a()' autofocus='",
    '` onclick=a()',
    ' onerror=a()>',
    'x onerror=a();>',
    '" style="width:expression(a())',
    "' href='javascript:a()",
    '" type=image src=x onerror=a',
  ],
  urls: [
    '<a href=javascript:a()>',
    '<a href="JaVaScRiPt:a()">',
    '<a href=" javascript:a()">',
    '<a href="java\tscript:a()">',
    '<a href="&#106;avascript:a()">',
    '<a href="&#x6A;avascript&colon;a()">',
    '<a href="jav&Tab;ascript:a()">',
    '<a href="j&NewLine;avascript:a()">',
    '<a href="\x01javascript:a()">',
    '<a href=vbscript:a>',
    '<a href="data:text/html,<b>a">',
    '<a href="view-source:javascript:a()">',
    '<form action=javascript:a()>',
    '<button formaction=javascript:a()>',
    '<math><a xlink:href=javascript:a()>',
    '<svg><a xlink:href="//h/">',
    '<svg><set attributeName=href to=javascript:a()>',
    '<img src="data:image/svg+xml,a">',
    'javascript:a()',
    '<p style="background:url(javascript:a())">',
    '<p style="width:e/**/xpression(a())">',
    '<p style="behavior:url(a.htc)">',
    '<p style="-moz-binding:url(a.xml#b)">',
    '<p style="a:\\65xpression(b)">',
    '<x srcdoc="&lt;img onerror=a()&gt;">',
  ],
};

const SAFE_MARKUP: readonly string[] = [
  '',
  'plain words',
  'a < b and c > d',
  'I <3 you',
  '1<2',
  '<john@example.com>',
  '<https://example.com/>',
  'List<String> and Map<K, V>',
  'if (a<b) { c=d }',
  '<p>text</p>',
  '<b class="x">text</b><br />',
  '<a href="/a/b?c=d#e" title="it\'s">link</a>',
  '<a href="https://example.com/">link</a>',
  '<a href="&#109;ailto:a@example.com">write</a>',
  '<img src="/a.png" alt="JavaScript: the good parts" width=7>',
  '<img src="data:image/png;base64,iVBOR">',
  '<p style="text-align: center; color: #fff">text</p>',
  '<p style="background: url(/a.png) no-repeat">text</p>',
  '<table width="99%" border="0"><tr><td>7</td></tr></table>',
  '<ul><li>a</li></ul>',
  '<!-- a remark -->',
  'JavaScript: the good parts',
  'javascript: how to begin',
  'online=yes',
  'once = true; only=7',
  "don't use onclick",
  'onclick is an attribute',
  'x.onload = 7',
  'x.onclose === null',
  'const _onError = (code) => code;',
  'a=1&b=2',
  'time: 7:30, on: Monday',
  'https://example.com/?on=1',
  '{"on":"click","src":"a.png"}',
  '<svg viewBox="0 0 7 7"><path d="M0,0"/></svg>',
  '<svg><use xlink:href="#icon"/></svg>',
  'data: see table 7',
  '<input type=text name="a" value="b">',
];

describe('SQL injection', () => {
  for (const [technique, cases] of Object.entries(SQL)) {
    test(technique, () => {
      for (const [text, found] of cases) assert.equal(detectors.sql(text), found, JSON.stringify(text));
    });
  }
  test('ordinary texts are none', () => {
    for (const text of ORDINARY) assert.equal(detectors.sql(text), '', JSON.stringify(text));
  });
  test('letters are the same in both cases', () => {
    for (const [text, found] of Object.values(SQL).flat()) {
      if (/\\n|x'|q'|[\\$]/.test(text)) continue; // where a letter's case or a tag tells
      assert.equal(detectors.sql(text.toUpperCase()), found, text.toUpperCase());
    }
  });
  test('what stands behind an attack does not hide it', () => {
    for (const text of [
      "' or 1=1 ",
      "x' union select 1,2 ",
      '7 or 1=1 ',
      '7; drop table staff;',
      "x'||(select 1)||'",
    ]) {
      for (const more of ['', 'and so on', '\n', '((((', ') x', ';', '\\', '"', "'", '*/', 'é', '\0']) {
        assert.notEqual(detectors.sql(text + more), '', JSON.stringify(text + more));
      }
    }
  });
  test('white space of any kind parts words', () => {
    for (const space of [' ', '\t', '\n', '\v', '\f', '\r', '\0', '\u00a0', '/**/', '  ']) {
      assert.equal(detectors.sql(`7${space}or${space}1=1`), '= condition', JSON.stringify(space));
    }
  });
  test('depth costs nothing', () => {
    for (const count of [10, 1000, 100_000]) {
      assert.equal(detectors.sql(`7 or ${'('.repeat(count)}1${')'.repeat(count)}=1`), '= condition');
      assert.equal(detectors.sql(`7${'-'.repeat(count)}`), count > 1 ? '= comment' : '');
      assert.equal(typeof detectors.sql(`7 or ${'abs('.repeat(count)}1`), 'string');
      assert.equal(typeof detectors.sql('select('.repeat(count)), 'string');
      assert.equal(typeof detectors.sql('case when '.repeat(count)), 'string');
      assert.equal(typeof detectors.sql('begin '.repeat(count)), 'string');
      assert.equal(typeof detectors.sql('; select 1'.repeat(count)), 'string');
    }
  });
});

describe('XSS', () => {
  for (const [technique, cases] of Object.entries(XSS)) {
    test(technique, () => {
      for (const text of cases) assert.equal(detectors.xss(text), true, JSON.stringify(text));
    });
  }
  test('harmless markup and text are none', () => {
    for (const text of SAFE_MARKUP) assert.equal(detectors.xss(text), false, JSON.stringify(text));
  });
  test('what stands around an attack does not hide it', () => {
    for (const attack of ['<script>a()</script>', '<img src=x onerror=a()>', '<a href=javascript:a()>b</a>']) {
      for (const before of [
        '',
        'text ',
        '<b>',
        '">',
        "'>",
        '<p title="a">',
        '<!-- a -->',
        '< ',
        '&lt;',
        '<p title=a>',
      ]) {
        for (const after of ['', ' text', '<', '"', "'", '<!--', '\0']) {
          assert.equal(detectors.xss(before + attack + after), true, JSON.stringify(before + attack + after));
        }
      }
    }
  });
  test('depth costs nothing', () => {
    for (const count of [10, 1000, 100_000]) {
      assert.equal(detectors.xss('<a '.repeat(count)), false);
      assert.equal(detectors.xss(`${'<a b="'.repeat(count)}<script>`), true);
      assert.equal(detectors.xss(`<a ${'b=c '.repeat(count)}onclick=d()>`), true);
    }
  });
});

describe('any bytes', () => {
  const texts = hostileTexts([
    ...Object.values(SQL)
      .flat()
      .map(([text]) => text),
    ...Object.values(XSS).flat(),
  ]);

  test('what a look at the bytes leaves out changes no verdict', () => {
    fc.assert(
      fc.property(texts, (text) => {
        assert.equal(detectors.sql(text), detectors.sqlSlowly(text));
        assert.equal(detectors.xss(text), detectors.xssSlowly(text));
      }),
      { numRuns: 5000 },
    );
  });
  test('a verdict depends on the text alone', () => {
    fc.assert(
      fc.property(texts, texts, (text, other) => {
        const sql = detectors.sql(text);
        const xss = detectors.xss(text);
        detectors.sql(other);
        detectors.xss(other);
        assert.equal(detectors.sql(text), sql);
        assert.equal(detectors.xss(text), xss);
      }),
      { numRuns: 2000 },
    );
  });
  test('words, numbers and paths alone are never an attack', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_./]{0,40}$/), (text) => {
        assert.equal(detectors.sql(text), '');
        assert.equal(detectors.xss(text), false);
      }),
      { numRuns: 2000 },
    );
  });
  test('an instance that finds the tables of another makes its own', async () => {
    const later = await loadDetectors();
    new Uint8Array(later.memory.buffer, DETECT_AT, DETECT_BYTES).fill(0xff);
    assert.equal(later.sql("x' union select 1,2"), "' union");
    assert.equal(later.sql('plain words'), '');
    assert.equal(later.xss('<p onclick=a()>'), true);
  });
  test('the word tables are at most half full', () => {
    detectors.sql('select a');
    detectors.xss('<p>');
    const slots = new Uint32Array(detectors.memory.buffer, DETECT_AT, DETECT_BYTES / 4);
    const filter = 256; // slots that the bits of a filter take
    const taken = (from: number, count: number): number =>
      slots.subarray(from, from + count).filter((s) => s !== 0).length;
    assert.ok(taken(0, 2048) > 500 && taken(0, 2048) <= 1024, `SQL: ${taken(0, 2048)}`);
    const html = 2048 + filter;
    assert.ok(taken(html, 512) > 150 && taken(html, 512) <= 256, `HTML: ${taken(html, 512)}`);
  });
  test('the budget ends both, and the call that spent it is not an attack', () => {
    const { exports } = detectors;
    for (const detect of [exports.detectSql, exports.detectXss]) {
      exports.reset();
      exports.spend(MAX_STEPS);
      assert.equal(detect(0x2a0000, 64), 0);
      assert.equal(exports.failure(), REASON_STEPS);
    }
  });
  test('steps grow with the text, not with its square, and little for plain words', () => {
    const parts = [
      "' or ",
      '<a b=',
      '((((',
      'x,',
      "7-abs(q'[ ",
      '7-abs($a$',
      '/*/**/--',
      '7-case when ',
      "7+abs(n'",
      '--\\n',
    ];
    for (const text of parts.map((part) => part.repeat(20_000))) {
      detectors.sql(text);
      assert.ok(detectors.steps() <= 9 * 5 * text.length, text.slice(0, 20));
      detectors.xss(text);
      assert.ok(detectors.steps() <= 5 * text.length, text.slice(0, 20));
    }
    const words = 'the quick brown fox '.repeat(1000);
    detectors.sql(words);
    assert.ok(detectors.steps() < words.length / 2);
    detectors.xss(words);
    assert.ok(detectors.steps() < words.length / 2);
  });
});
