import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as abi from '../../../assembly/abi.ts';
import { testEngine } from '../../../test/support/engine.ts';
import { textOf, truthOf, type TestRequest } from '../../../test/support/reference-expression.ts';
import { withRules } from '../../../test/support/rules.ts';
import { parseCondition, parseValue } from './parser.ts';

const engine = await testEngine();

const lists = new Map<string, (string | number)[]>([
  ['office', ['192.0.2.0/24', '2001:db8::/32', '198.51.100.7']],
  ['tlds', ['com', 'net', '', 'ünïcode']],
  ['ports', [80, 443, -7]],
]);

const PAGE: TestRequest = {
  method: 'POST',
  url: 'https://Shop.Example.com:8443/a/../Blog/%7Efoo/Page.HTML?filter=waf&filter=botm&q=red+apples&empty=&flag&x%20y=%41',
  headers: [
    ['user-agent', 'Mozilla/5.0 (X11; Linux)'],
    ['accept', 'application/json'],
    ['x-list', 'Groceries,,electronics,auto'],
    ['x-many', 'One'],
    ['x-many', 'two'],
    ['x-many', 'THREE'],
    ['x-b64', 'MTIzYWJj'],
    ['authorization', 'Bearer secret'],
    ['cookie', 'a=1; b=two=2; a=3; my%20name=x; flag; =odd'],
    ['accept-language', 'fr-CH, fr;q=0.8, en;q=0.9, de;q=0.7, *;q=0.5'],
    ['content-type', 'application/x-www-form-urlencoded; charset=utf-8'],
    ['x-bytes', 'é\tü'],
  ],
  peer: '192.0.2.77:4711',
  body: 'user=ad+min&pass=%78&user=b',
  response: { status: 502, headers: [['content-type', 'Text/HTML; charset=utf-8'], ['server', 'nginx'], ['set-cookie', 'a=b']] }, // prettier-ignore
};
const BARE: TestRequest = { url: 'http://h/', peer: '[2001:db8::1:0:0:5]:99', response: { status: 200, headers: [] } };
const JSON_BODY: TestRequest = {
  ...BARE,
  method: 'PUT',
  body: '{ "company": "cloud\\u0066lare \\ud83d\\ude00", "product": {"id": 356, "id": -7}, "list": ["x", {"y": 12.0}, 9223372036854775807, 9223372036854775808], "": "none", "esc\\"aped": "yes\\n" }',
};

/** [expression, what it is for PAGE, for BARE, for JSON_BODY]: 1 true, 0 false. */
const CONDITIONS: readonly (readonly [string, 0 | 1, 0 | 1, 0 | 1])[] = [
  ['true', 1, 1, 1],
  ['not true or false', 0, 0, 0],
  ['http.host eq "shop.example.com"', 1, 0, 0],
  ['http.host == "SHOP.example.com"', 0, 0, 0],
  ['lower("SHOP.example.COM") == "shop.example.com" and http.host in {"h" "shop.example.com"}', 1, 1, 1],
  ['http.request.method in {"POST" "PUT"}', 1, 0, 1],
  ['http.request.method ne "POST"', 0, 1, 1],
  ['http.request.uri.path eq "/Blog/~foo/Page.HTML"', 1, 0, 0],
  ['raw.http.request.uri.path contains "%7E"', 1, 0, 0],
  ['raw.http.request.uri.path contains "foo"', 1, 0, 0],
  ['http.request.uri.path.extension eq "html"', 1, 0, 0],
  ['http.request.uri.path.extension eq ""', 0, 1, 1],
  ['http.request.full_uri wildcard "https://*.example.com:*/blog/*.html?*"', 1, 0, 0],
  ['http.request.full_uri strict wildcard "https://*.example.com:*/blog/*"', 0, 0, 0],
  ['http.request.uri wildcard r"/*"', 1, 1, 1],
  ['http.request.uri.query contains "red+apples"', 1, 0, 0],
  ['http.request.uri.query matches "^filter=(waf|x)&"', 1, 0, 0],
  ['http.request.uri.query ~ r"q=[a-z+]{10}(&|$)"', 1, 0, 0],
  ['http.request.uri.query matches "(?i)FLAG"', 1, 0, 0],
  ['http.request.uri.query lt "g"', 1, 1, 1],
  ['http.request.uri.query ge "filter"', 1, 0, 0],
  // Missing and empty
  ['http.referer eq ""', 1, 1, 1],
  ['http.user_agent eq ""', 0, 1, 1],
  ['http.request.headers["x-none"][0] eq ""', 0, 0, 0],
  ['http.request.headers["x-none"][0] ne "a"', 1, 1, 1],
  ['not http.request.headers["x-none"][0] eq "a"', 1, 1, 1],
  ['http.request.headers["accept"][0] ne "a"', 1, 1, 1],
  ['http.request.headers["accept"][1] ne "a"', 1, 1, 1],
  ['len(http.request.uri.args["filter"]) ge 0', 1, 0, 0],
  ['not len(http.request.uri.args["order"]) >= 0', 1, 1, 1],
  ['len(http.request.uri.args["filter"][1]) eq 4', 1, 0, 0],
  ['all(len(http.request.uri.args["filter"][*])[*] in {3 4})', 1, 1, 1],
  ['all(not len(http.request.uri.args["filter"][*])[*] in {3 4})', 0, 1, 1],
  ['all(http.request.uri.args["filter"][*] in {"waf" "botm"})', 1, 1, 1],
  ['any(http.request.uri.args["none"][*] eq "")', 0, 0, 0],
  ['any(http.request.uri.args["empty"][*] eq "")', 1, 0, 0],
  ['any(http.request.uri.args["flag"][*] eq "")', 1, 0, 0],
  ['http.request.uri.args["x%20y"][0] eq "%41"', 1, 0, 0],
  ['url_decode(http.request.uri.args["x%20y"][0]) eq "A"', 1, 0, 0],
  ['any(http.request.uri.args.names[*] eq "flag")', 1, 0, 0],
  ['any(http.request.uri.args[*][*] eq "botm")', 1, 0, 0],
  ['any(http.request.uri.args.values[*] contains "apple")', 1, 0, 0],
  ['has_key(http.request.uri.args, "flag")', 1, 0, 0],
  ['has_key(http.request.headers, "accept") and not has_key(http.request.headers, "x-none")', 1, 0, 0],
  ['has_value(http.request.headers.names, "x-many")', 1, 0, 0],
  // Arrays
  ['any(http.request.headers["x-many"][*] eq "two")', 1, 0, 0],
  ['any(lower(http.request.headers["x-many"][*])[*] eq "three")', 1, 0, 0],
  ['all(lower(http.request.headers["x-many"][*])[*] in {"one" "two" "three"})', 1, 1, 1],
  ['any(upper(http.request.headers["x-many"][*])[*] eq "two")', 0, 0, 0],
  ['len(http.request.headers["x-many"]) == 3', 1, 0, 0],
  ['any(http.request.headers["x-many"][*] eq "two" and http.request.headers["x-many"][*] contains "w")', 1, 0, 0],
  ['any(http.request.headers["x-many"][*] eq "two" xor http.request.headers["x-many"][*] contains "w")', 0, 0, 0],
  ['all(not http.request.headers["x-many"][*] eq "four")', 1, 1, 1],
  ['any(starts_with(http.request.headers["x-many"][*], "tw"))', 1, 0, 0],
  ['all(starts_with(http.request.headers["x-none"][*], "tw"))', 0, 0, 0],
  ['not all(starts_with(http.request.headers["x-none"][*], "tw"))', 1, 1, 1],
  ['any(decode_base64(http.request.headers["x-b64"][*])[*] eq "123abc")', 1, 0, 0],
  ['decode_base64(http.request.headers["accept"][0]) eq ""', 0, 0, 0],
  ['split(http.request.headers["x-list"][0], ",", 64)[3] eq "auto"', 1, 0, 0],
  ['split(http.request.headers["x-list"][0], ",", 2)[1] eq ",electronics,auto"', 1, 0, 0],
  ['len(split(http.request.headers["x-list"][0], ",", 64)) eq 4', 1, 0, 0],
  ['join(http.request.headers["x-many"], "-") eq "One-two-THREE"', 1, 0, 0],
  ['join(split(http.host, ".", 9), "/") eq "shop/example/com"', 1, 0, 0],
  ['len(concat(http.request.headers["x-many"], http.request.headers["accept"])) == 4', 1, 0, 0],
  // Cookies
  ['http.request.cookies["a"][1] eq "3"', 1, 0, 0],
  ['http.request.cookies["b"][0] eq "two=2"', 1, 0, 0],
  ['http.request.cookies["my name"][0] eq "x"', 1, 0, 0],
  ['http.request.cookies["flag"][0] eq ""', 1, 0, 0],
  ['http.cookie contains "b=two"', 1, 0, 0],
  // Addresses
  ['ip.src in $office', 1, 1, 1],
  ['ip.src in {192.0.2.70..192.0.2.80}', 1, 0, 0],
  ['ip.src in {192.0.2.78..192.0.2.80 10.0.0.0/8}', 0, 0, 0],
  ['ip.src eq 192.0.2.77', 1, 0, 0],
  ['ip.src == ::ffff:192.0.2.77', 1, 0, 0],
  ['ip.src ne 192.0.2.77', 0, 1, 1],
  ['ip.src in {2001:db8::/64 2001:db8:0:0:1::/80}', 0, 1, 1],
  ['ip.src in {2001:db8::1:0:0:0..2001:db8::1:0:0:5}', 0, 1, 1],
  ['cidr(ip.src, 24, 24) eq 192.0.2.0', 1, 0, 0],
  ['cidr(ip.src, 24, 33) eq 2001:db8::', 0, 1, 1],
  ['cidr6(ip.src, 20) in {192.0.2.77 2001::}', 1, 1, 1],
  ['cidr6(ip.src, 20) eq 2001::', 0, 1, 1],
  ['cidr6(ip.src, 24) eq 2001:d00::', 0, 1, 1],
  ['to_string(ip.src) eq "192.0.2.77"', 1, 0, 0],
  ['to_string(ip.src) eq "2001:db8::1:0:0:5"', 0, 1, 1],
  ['to_string(cidr6(ip.src, 8)) in {"2000::" "192.0.2.77"}', 1, 1, 1],
  // Integers, lists
  ['http.request.timestamp.sec eq 1700000000', 1, 1, 1],
  ['http.request.timestamp.sec in {0 1600000000..1700000000}', 1, 1, 1],
  ['http.request.timestamp.sec > 0x6553f0ff', 1, 1, 1],
  ['http.request.timestamp.sec & 1', 0, 0, 0],
  ['http.request.timestamp.sec & 0400', 1, 1, 1],
  ['len(http.host) in $ports', 0, 0, 0],
  ['len(http.host) le -1 or len(http.host) lt 16', 0, 1, 1],
  ['split(http.host, ".", 9)[2] in $tlds', 1, 0, 0],
  ['http.request.uri.query in $tlds', 0, 1, 1],
  // Precedence: not, and, xor, or
  ['true or true and false', 1, 1, 1],
  ['true xor true and false', 1, 1, 1],
  ['true xor true or true', 1, 1, 1],
  ['not false and false', 0, 0, 0],
  ['!(http.host eq "h" || ssl) ^^ ssl', 1, 0, 0],
  ['ssl and http.host eq "h" or not ssl and http.host eq "h"', 0, 1, 1],
  ['not not ssl', 1, 0, 0],
  ['(http.host eq "h"\n  and\r\n\tnot ssl)', 0, 1, 1],
  // Strings
  [String.raw`http.request.headers["x-bytes"][0] eq "\xc3\xa9\011\xC3\xBC"`, 1, 0, 0],
  ['http.request.headers["x-bytes"][0] eq c3:a9:09:c3:bc', 1, 0, 0],
  ['http.request.headers["x-bytes"][0] eq "é\tü"', 1, 0, 0],
  ['len(http.request.headers["x-bytes"][0]) eq 5', 1, 0, 0],
  ['http.host contains ""', 1, 1, 1],
  [String.raw`http.request.uri.path matches r#"^/B[^"]+g/"#`, 1, 0, 0],
  [String.raw`http.request.uri.path matches "\"" or http.request.uri.path matches "[\"]"`, 0, 0, 0],
  [String.raw`http.request.uri.path wildcard r"/blog/\*/*"`, 0, 0, 0],
  ['http.request.uri.path wildcard "/BLOG*~FOO/page.html"', 1, 0, 0],
  ['http.request.uri.path wildcard "/blog"', 0, 0, 0],
  ['http.request.uri.path wildcard "*"', 1, 1, 1],
  ['http.request.uri.path strict wildcard "/*/*/*.HTML"', 1, 0, 0],
  ['ends_with(http.request.uri.path, ".HTML")', 1, 0, 0],
  ['starts_with(http.request.uri.path, "/Blog/~foo/Page.HTML/longer")', 0, 0, 0],
  ['http.request.accepted_languages[0] eq "fr-CH"', 1, 0, 0],
  ['join(http.request.accepted_languages, " ") eq "fr-CH en fr de"', 1, 0, 0],
  ['http.request.headers.truncated', 0, 0, 0],
  ['agent.bot or agent.name eq ""', 0, 0, 0],
  // Body
  ['http.request.body.size eq 27', 1, 0, 0],
  ['http.request.body.truncated', 0, 0, 0],
  ['http.request.body.raw contains "user="', 1, 0, 0],
  ['http.request.body.form["user"][1] eq "b"', 1, 0, 0],
  ['any(url_decode(http.request.body.form.values[*])[*] eq "ad min")', 1, 0, 0],
  ['len(http.request.body.form.names) eq 3', 1, 0, 0],
  ['lookup_json_string(http.request.body.raw, "company") eq "cloudflare \u{1f600}"', 0, 0, 1],
  ['lookup_json_integer(http.request.body.raw, "product", "id") eq -7', 0, 0, 1],
  ['lookup_json_string(http.request.body.raw, "list", 0) eq "x"', 0, 0, 1],
  ['lookup_json_integer(http.request.body.raw, "list", 1, "y") eq 12', 0, 0, 0],
  ['lookup_json_integer(http.request.body.raw, "list", 2) eq 9223372036854775807', 0, 0, 1],
  ['lookup_json_integer(http.request.body.raw, "list", 3) lt 0', 0, 0, 0],
  ['lookup_json_string(http.request.body.raw, "") eq "none"', 0, 0, 1],
  [String.raw`lookup_json_string(http.request.body.raw, "esc\"aped") eq "yes\x0a"`, 0, 0, 1],
  ['lookup_json_string(http.request.body.raw, "product") eq ""', 0, 0, 0],
  // Response
  ['http.response.code ge 500', 1, 0, 0],
  ['http.response.content_type.media_type eq "text/html"', 1, 0, 0],
  ['not http.response.content_type.media_type eq "text/html"', 0, 1, 1],
  ['any(http.response.headers["server"][*] contains "nginx")', 1, 0, 0],
  ['len(http.response.headers.names) eq 3', 1, 0, 0],
  ['any(http.response.headers[*][*] eq "nginx") and http.request.method eq "POST"', 1, 0, 0],
];

/** [expression, its value for PAGE]; null is missing. */
const VALUES: readonly (readonly [string, string | null])[] = [
  ['"plain"', 'plain'],
  ['http.host', 'shop.example.com'],
  [
    'concat("https://", http.host, http.request.headers["x-none"][0], http.request.uri.path)',
    'https://shop.example.com/Blog/~foo/Page.HTML',
  ],
  ['regex_replace("/foo/bar", "/bar$", "/baz")', '/foo/baz'],
  ['regex_replace("/x", "^/y$", "/mumble")', '/x'],
  ['regex_replace("/foo", "^/FOO$", "/x")', '/foo'],
  ['regex_replace("/a/a", "/a", "/b")', '/b/a'],
  ['regex_replace("/b", "^/b$", "/b$$")', '/b$'],
  ['regex_replace("/foo/a/path", "^/foo/([^/]*)/(.*)$", "/bar/${2}/${1}")', '/bar/path/a'],
  [
    String.raw`regex_replace(http.request.uri.path, r"^/(\w+)/(x)?~", "${'$'}{2}-${'$'}{1}-${'$'}{0}|")`,
    '-Blog-/Blog/~|foo/Page.HTML',
  ],
  [String.raw`regex_replace(http.host, "\\.", "")`, 'shopexample.com'],
  [
    'wildcard_replace(http.request.full_uri, "https://*.example.com:8443/*/*", "https://example.com/${1}/${2}/${3}")',
    'https://example.com/shop/Blog/~foo/Page.HTML?filter=waf&filter=botm&q=red+apples&empty=&flag&x%20y=%41',
  ],
  ['wildcard_replace(http.request.uri.path, "/apps/*", "/${1}")', '/Blog/~foo/Page.HTML'],
  ['wildcard_replace(http.request.uri.path, "/blog/*", "/${1}")', '/~foo/Page.HTML'],
  ['wildcard_replace(http.request.uri.path, "/blog/*", "/${1}", "s")', '/Blog/~foo/Page.HTML'],
  [String.raw`remove_bytes(http.host, "\x2e\x6f")`, 'shpexamplecm'],
  ['remove_query_args(http.request.uri.query, "filter", "q")', 'empty=&flag&x%20y=%41'],
  ['remove_query_args(http.request.uri.query, "none")', 'filter=waf&filter=botm&q=red+apples&empty=&flag&x%20y=%41'],
  ['substring(http.host, 5)', 'example.com'],
  ['substring(http.host, 0, 4)', 'shop'],
  ['substring(http.host, -3)', 'com'],
  ['substring(http.host, 0, -4)', 'shop.example'],
  ['substring(http.host, 9, 3)', ''],
  ['substring(http.host, -99, 99)', 'shop.example.com'],
  ['to_string(http.request.timestamp.sec)', '1700000000'],
  ['to_string(ssl)', 'true'],
  ['to_string(http.request.headers.truncated)', 'false'],
  ['to_string(len(http.request.uri.query))', '57'],
  ['upper(http.host)', 'SHOP.EXAMPLE.COM'],
  ['url_decode("John%20Doe+%2")', 'John Doe %2'],
  ['url_decode("%2520")', '%20'],
  ['url_decode("%2520", "r")', ' '],
  ['url_decode("%u2601%uD800", "u")', '☁%uD800'],
  ['url_decode("%u2601")', '%u2601'],
  ['http.request.headers["x-none"][0]', null],
  ['lower(http.request.headers["x-none"][0])', null],
  ['join(http.request.headers["x-none"], ",")', null],
  ['join(http.request.uri.args["filter"], ",")', 'waf,botm'],
  ['http.request.uri', '/Blog/~foo/Page.HTML?filter=waf&filter=botm&q=red+apples&empty=&flag&x%20y=%41'],
];

/** Collects what differs, so that one run shows all of it. */
function differences(): { expect(actual: unknown, wanted: unknown, what: string): void; list: string[] } {
  const list: string[] = [];
  return {
    list,
    expect(actual, wanted, what) {
      if (actual !== wanted) list.push(`${what}: ${String(actual)}, expected ${String(wanted)}`);
    },
  };
}

test('conditions: engine and reference say what is expected', () => {
  const { expect, list } = differences();
  for (const [expression, ...wanted] of CONDITIONS) {
    const ruled = withRules(engine, [{ when: expression }], { lists });
    for (const [index, request] of [PAGE, BARE, JSON_BODY].entries()) {
      expect(ruled.effects(request).length, wanted[index], `engine: ${expression} for request ${index}`);
      expect(
        truthOf(parseCondition(expression), request, lists) ? 1 : 0,
        wanted[index],
        `reference: ${expression} for request ${index}`,
      );
    }
  }
  assert.deepEqual(list, []);
});

test('values: engine and reference say what is expected', () => {
  const { expect, list } = differences();
  for (const [expression, wanted] of VALUES) {
    const rule = {
      when: 'true',
      action: 'rewrite',
      rewriteHeaders: [{ name: 'x', value: expression }],
      rewriteQuery: expression,
    } as const;
    const effects = withRules(engine, [rule])
      .effects(PAGE)
      .filter(({ kind }) => kind === abi.EFFECT_VALUE);
    expect(effects.find(({ a }) => a === abi.VALUE_QUERY)?.value ?? null, wanted, `engine: ${expression}`);
    // A header whose value is missing is set to nothing, so that the client can't choose it.
    expect(effects.find(({ a }) => a === abi.VALUE_HEADER)?.value, wanted ?? '', `engine: ${expression} as a header`);
    const reference = textOf(parseValue(expression), PAGE, lists);
    const text =
      reference === undefined ? null : new TextDecoder().decode(Uint8Array.from(reference, (c) => c.charCodeAt(0)));
    expect(text, wanted, `reference: ${expression}`);
  }
  assert.deepEqual(list, []);
});
