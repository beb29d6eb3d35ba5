import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rulePolicy } from '../../../test/support/rules.ts';
import { checkExpression } from '../rules.ts';

const lists = new Map<string, (string | number)[]>([
  ['office', ['192.0.2.0/24']],
  ['words', ['a', 'b']],
  ['ports', [80]],
]);

/** [expression with the fault between « and », code, part of the message, cause or fix]. */
const CONDITIONS: readonly (readonly [string, string, string])[] = [
  ['«»', 'empty', 'write true'],
  ['http.host eq«»', 'unexpected-end', 'a literal'],
  ['http.host eq "a" an«d»', 'unexpected-end', 'a field'],
  ['(http.host eq "a«"»', 'unexpected-end', 'an operator or )'],
  ['http.host eq "a"«)»', 'unexpected', 'the end'],
  ['http.host «=» "a"', 'unexpected', 'write == or eq'],
  ['http.host «=~» "a"', 'unexpected', 'write matches or ~'],
  ['http.host «like» "a"', 'unexpected', 'write wildcard'],
  ['http.host eq "a" «AND» ssl', 'unexpected', 'write and'],
  ['http.request.uri.path «ends_with» ".html"', 'unexpected', 'ends_with(field, "text")'],
  ['http.host strict «eq» "a"', 'unexpected', 'wildcard after strict'],
  ['«"»a" eq http.host', 'unexpected', 'the field comes first'],
  ['http.host eq "a" «#» note', 'comment', 'YAML'],
  ['http.host eq «"»a', 'unterminated-string', 'close it'],
  ['http.host eq «r»#"a"', 'unterminated-string', 'as many #'],
  ['http.host eq "a«\\n»"', 'bad-escape', 'raw string'],
  ['http.host in {"a"«,» "b"}', 'unexpected', 'separated by spaces'],
  ['http.host in «{}»', 'empty-set', 'nothing'],
  ['http.host in «(»"a")', 'unexpected', 'in {"a" "b"}'],
  ['http.host eq «{»"a"}', 'unexpected', 'goes with in'],
  ['«http.hots» eq "a"', 'unknown-field', 'did you mean http.host?'],
  ['«http.path» eq "/"', 'unknown-field', 'did you mean http.request.uri.path?'],
  ['«lower» eq "/"', 'unknown-field', 'lower(...)'],
  ['«lowr»(http.host) eq "a"', 'unknown-function', 'did you mean lower?'],
  ['«ip.src.country» eq "DE"', 'field-not-available', 'no geography'],
  ['«ip.geoip.asnum» eq 1', 'field-not-available', 'no geography'],
  ['«cf.bot_management.score» lt 30', 'field-not-available', 'agent.bot'],
  ['«cf.waf.score» lt 30', 'field-not-available', 'Cloudflare'],
  ['«http.request.version» eq "HTTP/2"', 'field-not-available', 'protocol version'],
  ['«http.request.timestamp.msec» eq 1', 'field-not-available', 'seconds'],
  ['«is_timed_hmac_valid_v0»("k", http.request.uri, 1, 1)', 'function-not-available', 'secrets are named'],
  ['«uuidv4»(cf.random_seed) eq "x"', 'function-not-available', '32 random bits'],
  ['«http.host»', 'type-mismatch', 'a truth value is needed'],
  ['not «http.host»', 'type-mismatch', 'a truth value is needed'],
  ['ssl «eq» true', 'type-mismatch', 'not compared'],
  ['http.host eq «5»', 'type-mismatch', '"5"'],
  ['len(http.host) eq «"5"»', 'type-mismatch', 'leave out the quotes'],
  ['http.response.code «contains» "5"', 'type-mismatch', 'needs a string'],
  ['ip.src «lt» 1.2.3.4', 'type-mismatch', 'eq, ne or in'],
  ['ip.src eq «1.2.3.0/24»', 'bad-address', 'ip.src in {1.2.3.0/24}'],
  ['ip.src eq «1.2.3.999»', 'bad-address', 'not an IP address'],
  ['ip.src in {«01.2.3.4»}', 'bad-address', 'not an IP address'],
  ['ip.src in {«1.2.3.9..1.2.3.4»}', 'bad-range', 'ends before'],
  ['ip.src in {«1.2.3.9..::1»}', 'bad-range', 'mixes'],
  ['ip.src in «$offise»', 'unknown-list', 'did you mean $office?'],
  ['ip.src in «$cf.open_proxies»', 'unknown-list', 'service of Cloudflare'],
  ['ip.src in «$words»', 'type-mismatch', 'holds strings'],
  ['http.host in «$ports»', 'type-mismatch', 'holds integers'],
  ['len(http.host) in «$words»', 'type-mismatch', 'no integers'],
  ['len(http.host) eq «08»', 'bad-integer', 'octal'],
  ['len(http.host) eq «9223372036854775808»', 'bad-integer', '64 bits'],
  ['len(http.host) in {«9..1»}', 'bad-range', 'ends before'],
  ['http.request.headers.names «eq» "a"', 'type-mismatch', 'any(...[*] ...)'],
  ['http.request.headers["a"] «eq» "a"', 'type-mismatch', '[0]'],
  ['«http.request.headers.names[*] eq "a"»', 'type-mismatch', 'any(...)'],
  ['ssl and «http.request.headers.names[*] eq "a"»', 'type-mismatch', 'any(...)'],
  ['http.request.headers«["A"]»[0] eq "a"', 'bad-key', '["a"]'],
  ['http.request.headers«[0]» eq "a"', 'bad-index', 'by its key'],
  ['http.request.headers.names«["a"]» eq "a"', 'bad-index', '[0] or [*]'],
  ['http.host«[0]» eq "a"', 'bad-index', 'substring'],
  ['any(http.request.headers.names[*]«[0]» eq "a")', 'bad-index', 'second index'],
  ['any(«http.request.headers.names[*]»)', 'bad-index', 'the array itself'],
  ['http.request.cookies«[*]»[0] eq "a"', 'bad-index', 'by its key'],
  ['lower(«http.request.headers.names») eq "a"', 'type-mismatch', '[*]'],
  ['starts_with(http.host, «http.request.headers.names[*]»)', 'bad-index', 'first argument'],
  ['«starts_with(http.host)»', 'bad-arguments', 'starts_with(source, substring)'],
  ['cidr(ip.src, «0», 1) eq 1.2.3.4', 'bad-argument', '1 to 32'],
  ['cidr(ip.src, 32, «129») eq 1.2.3.4', 'bad-argument', '1 to 128'],
  ['cidr(ip.src, «"a"», 1) eq 1.2.3.4', 'type-mismatch', 'a number'],
  ['len(split(http.host, «""», 2)) eq 1', 'bad-argument', 'empty'],
  ['len(split(http.host, ".", «129»)) eq 1', 'bad-argument', '1 to 128'],
  ['len(split(«http.request.headers.names[*]», ".", 2)) eq 1', 'bad-index', '[0]'],
  ['url_decode(http.host, «"x"») eq "a"', 'bad-argument', '"r" and "u"'],
  ['http.host wildcard «"a**b"»', 'bad-wildcard', 'one *'],
  [String.raw`http.host wildcard «r"a\b"»`, 'bad-wildcard', 'raw string'],
  ['regex_replace(http.host, "(a)", «"${2}"») eq "a"', 'bad-replacement', 'it has 1'],
  ['regex_replace(http.host, "(a)", «"$1"») eq "a"', 'bad-replacement', '$$'],
  ['wildcard_replace(http.host, "*", "${1}", «"i"») eq "a"', 'bad-argument', '"s"'],
  [String.raw`http.host matches "a\"«(»b"`, 'bad-regex', ''],
  ['http.request.body.size gt 1 and «http.response.code» eq 5', 'never-together', 'two rules'],
];

test('faults of expressions: what, where, why', () => {
  for (const [marked, code, hint] of CONDITIONS) {
    const at = marked.indexOf('«');
    const end = marked.indexOf('»') - 1;
    const fault = checkExpression(marked.replace(/[«»]/g, ''), lists);
    assert.ok(fault !== null, `${marked} has a fault`);
    const { message, cause = '', fix = '' } = fault;
    assert.equal(fault.code, code, `${marked}: ${message}`);
    // An empty mark stands where something is missing: the last character is shown then.
    const length = end - at;
    if (length > 0) assert.deepEqual([fault.at, fault.length], [at, length], `${marked}: ${message}`);
    else assert.ok(fault.at <= Math.max(0, at) && fault.length === 1, marked);
    assert.ok(`${message}\n${cause}\n${fix}`.includes(hint), `${marked}: ${message} | ${cause} | ${fix}`);
  }
});

test('values must be strings', () => {
  const wrong: readonly (readonly [string, string])[] = [
    ['ip.src', 'to_string'],
    ['len(http.host)', 'to_string'],
    ['http.request.headers.names', '[0]'],
    ['http.request.headers', '[0]'],
  ];
  for (const [expression, fix] of wrong) {
    const fault = checkExpression(expression, lists, 'text');
    assert.equal(fault?.code, 'type-mismatch');
    assert.ok(fault.fix?.includes(fix), fault.fix);
  }
  assert.equal(checkExpression('concat("a", http.host)', lists, 'text'), null);
});

test('limits are kept and named', () => {
  assert.equal(checkExpression(`http.host eq "${'a'.repeat(4096)}"`)?.code, 'too-long');
  assert.equal(checkExpression(`${'('.repeat(60)}ssl${')'.repeat(60)}`)?.code, 'too-deep');
  assert.equal(checkExpression(`${'not '.repeat(60)}ssl`)?.code, 'too-deep');
  assert.equal(checkExpression(`${'lower('.repeat(60)}http.host${')'.repeat(60)} eq "a"`)?.code, 'too-deep');
  assert.equal(checkExpression(Array.from({ length: 400 }, () => 'ssl').join(' and ')), null);
  assert.equal(checkExpression(`http.host wildcard "${'a*'.repeat(40)}"`)?.code, 'bad-wildcard');
});

test('faults inside a regular expression point into it', () => {
  for (const expression of ['http.host matches "a(b"', 'http.host matches r#"a(b"#', 'http.host ~ "\\"(b"']) {
    const { reports } = rulePolicy([{ when: expression }]);
    assert.equal(reports.length, 1);
    assert.equal(reports[0]!.code, 'bad-regex');
    assert.deepEqual(reports[0]!.path, ['rules', 0, 'when']);
  }
});

test('names are found whatever is written; nothing throws', () => {
  for (const text of [
    '\u{1f600}',
    'http.host eq "\u{1f600}" \u{1f600}',
    '[',
    '"',
    'r"',
    '$a',
    '..',
    '1',
    'a.b.c.d[',
    'any(',
    '{',
    '~',
    '!',
  ]) {
    assert.ok(checkExpression(text) !== null, text);
  }
});
