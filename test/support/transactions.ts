/** Transactions that reach every part of the WAF, hostile on purpose, and a rule set that uses every operator and action. */
import type { RawTransaction } from '../../src/waf/transaction.ts';
import type { Random } from '../fuzz/random.ts';

/** Without the rules that would decide: every phase runs to its end. */
export const EVERYTHING = String.raw`
SecRuleEngine On
SecRequestBodyAccess On
SecResponseBodyAccess On
SecAction "id:1,phase:1,pass,nolog,setvar:tx.score=0,setvar:'tx.allowed=|GET| |POST|'"
SecRule REQUEST_HEADERS:Content-Type "@contains forced" "id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=XML,ctl:forceRequestBodyVariable=On"
SecRule ARGS_NAMES "@rx ^off(\d)$" "id:3,phase:1,pass,log,capture,ctl:ruleRemoveById=20-23,ctl:ruleRemoveTargetByTag=deep;ARGS:a,setvar:tx.seen_%{MATCHED_VAR}=%{TX.1}"
SecRule REQUEST_COOKIES|!REQUEST_COOKIES:/^_/|REQUEST_COOKIES_NAMES "@pm alpha beta gamma delta <script" "id:4,phase:1,pass,log,capture,t:lowercase,msg:'%{MATCHED_VAR_NAME}',logdata:'%{TX.0} in %{MATCHED_VAR}'"
SecRule REQUEST_METHOD "!@within %{tx.allowed}" "id:5,phase:1,pass,log,skip:1"
SecRule REQUEST_URI_RAW "@validateUrlEncoding" "id:6,phase:1,pass,log"
SecRule REMOTE_ADDR "@ipMatch 192.0.2.0/24,2001:db8::/32" "id:7,phase:1,pass,log,skipAfter:END"
SecRule REQUEST_HEADERS|REQUEST_HEADERS_NAMES "@validateByteRange 32-126" "id:8,phase:1,pass,log,setvar:tx.score=+%{tx.score}"
SecMarker END
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/*|REQUEST_BODY "@detectSQLi" "id:20,phase:2,pass,log,capture,multiMatch,t:urlDecodeUni,t:removeNulls,tag:deep,logdata:'%{TX.0}'"
SecRule ARGS|REQUEST_HEADERS:User-Agent|XML:/*|XML://@* "@detectXSS" "id:21,phase:2,pass,log,t:utf8toUnicode,t:urlDecodeUni,t:htmlEntityDecode,t:jsDecode,t:cssDecode,tag:deep"
SecRule ARGS|REQUEST_FILENAME "@rx (?i)(?:union\s+(?:all\s+)?select|\.\./|etc/passwd)" "id:22,phase:2,pass,log,capture,t:none,t:normalizePathWin,t:cmdLine,tag:deep,chain"
  SecRule MATCHED_VARS|MATCHED_VARS_NAMES "@rx ([a-z]+).{0,9}([a-z]+)" "capture,t:lowercase,chain"
    SecRule MATCHED_VAR "!@streq %{TX.1}" "setvar:'tx.last=%{MATCHED_VAR}',setvar:tx.score=+5"
SecRule ARGS "@rx ^(?:.*x){9}(.+)+$" "id:23,phase:2,pass,log,t:base64DecodeExt,t:hexDecode,t:sqlHexDecode,t:replaceComments,t:compressWhitespace"
SecRule FILES|FILES_NAMES|FILES_TMP_CONTENT|MULTIPART_PART_HEADERS|MULTIPART_NAME "@rx \.ph(?:p|tml)\d?" "id:24,phase:2,pass,log,t:lowercase,t:md5,t:hexEncode"
SecRule MULTIPART_STRICT_ERROR|REQBODY_ERROR|MULTIPART_UNMATCHED_BOUNDARY|URLENCODED_ERROR "!@eq 0" "id:25,phase:2,pass,log,logdata:'%{REQBODY_ERROR_MSG}'"
SecRule &ARGS|ARGS_COMBINED_SIZE|FILES_COMBINED_SIZE|REQUEST_BODY_LENGTH "@gt 9" "id:26,phase:2,pass,log"
SecRule ARGS:/^[a-c]/|!ARGS:b "@containsWord word" "id:27,phase:2,pass,log,t:escapeSeqDecode,t:trim,t:removeComments,t:sha1,t:base64Encode"
SecRule ARGS "@strmatch |2e2e|/" "id:28,phase:2,pass,log,t:removeWhitespace,t:removeCommentsChar,t:replaceNulls,t:uppercase"
SecRule ARGS "@verifyCC \d{13,16}" "id:29,phase:2,pass,log,capture,logdata:'%{TX.0}'"
SecRule ARGS|REQUEST_HEADERS "@validateUtf8Encoding" "id:30,phase:2,pass,log,t:length,t:normalisePath"
SecRule TX:/^seen_/|&TX:score "@ge 0" "id:31,phase:2,pass,log,t:urlEncode,setvar:!tx.last"
SecRule RESPONSE_BODY "@rx (?i)sql syntax|stack trace" "id:40,phase:4,pass,log,capture,logdata:'%{TX.0}'"
SecRule RESPONSE_HEADERS:Set-Cookie|RESPONSE_STATUS|RESPONSE_CONTENT_TYPE "@rx 5\d\d|alpha" "id:41,phase:3,pass,log"
SecRule TX:score "@gt 100" "id:42,phase:4,pass,log,msg:'%{TX.score} %{TX.last} %{REQUEST_URI}'"
SecRule ARGS "@endsWith end" "id:50,phase:5,pass,log"
SecRule HIGHEST_SEVERITY|UNIQUE_ID|SERVER_NAME|REQUEST_LINE "@beginsWith GET" "id:51,phase:5,pass,log"
`;

const PIECES = [
  ...["1' OR '1'='1' -- ", 'union select a from b', '<script>alert(1)</script>', '../../etc/passwd', '%252e%252e%255c'],
  ...[
    'word',
    'alpha',
    'off1',
    'a',
    '',
    '\0',
    '\xff\xfe',
    'é',
    '%',
    '%u0041',
    '%zz',
    '&#x41;',
    '\\u0041',
    '\\41 ',
    '/*',
    '*/',
  ],
  ...[
    '4111111111111111',
    'x'.repeat(40),
    'AAAA',
    'PHNjcmlwdD4=',
    '3c736372',
    '0x414141',
    '${jndi:ldap://x}',
    '{{7*7}}',
    ';id',
  ],
  ...[
    "'",
    '"',
    '`',
    '\\',
    '\r\n',
    '\n',
    ' ',
    '\t',
    '+',
    '&',
    '=',
    ';',
    ',',
    '<',
    '>',
    '/',
    '-',
    '--',
    '#',
    '{',
    '[',
    ':',
    '|',
  ],
];
const NAMES = ['a', 'b', 'c', 'off1', '_g', 'id', '', 'A', 'user[name]', 'x'.repeat(300), '\0', 'password'];
const TYPES = [
  ...[
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'multipart/form-data; boundary="x"',
    'application/json',
  ],
  ...[
    'text/xml',
    'application/soap+xml; forced',
    'text/plain',
    '',
    'multipart/form-data',
    'multipart/form-data; boundary=x; boundary=y',
  ],
];

export function randomValue(next: Random): string {
  let text = '';
  for (let count = next.below(5); count >= 0; count--) text += next.pick(PIECES);
  if (next.below(40) === 0) text = text.repeat(1 + next.below(4000)).slice(0, 60_000);
  if (next.below(12) === 0)
    text += String.fromCharCode(...Array.from({ length: next.below(64) }, () => next.below(256)));
  return text;
}

const many = (next: Random, most: number): number => (next.below(60) === 0 ? next.below(most) : next.below(6));

function formOf(next: Random): string {
  return Array.from({ length: many(next, 9000) }, () => `${next.pick(NAMES)}=${randomValue(next)}`).join('&');
}

function multipartOf(next: Random): string {
  let text = next.below(9) === 0 ? randomValue(next) : '';
  const end = (): string => (next.below(12) === 0 ? '\n' : '\r\n');
  for (let parts = many(next, 300); parts > 0; parts--) {
    text += `--x${end()}Content-Disposition: form-data; name="${next.pick(NAMES)}"`;
    if (next.below(3) === 0) text += `; filename="${randomValue(next).slice(0, 90)}"`;
    for (let lines = next.below(3); lines > 0; lines--)
      text += `${end()}${next.pick(['X-A', 'Content-Type', ' ', ''])}: ${randomValue(next)}`;
    text += `${end()}${end()}${randomValue(next)}${end()}`;
  }
  return text + next.pick(['--x--\r\n', '--x--', '--x', '', '--x\r\n', '\r\n--y--']);
}

function jsonOf(next: Random, depth = 0): string {
  const most = next.below(30) === 0 ? 80 : 4;
  switch (depth < most ? next.below(5) : 4) {
    case 0:
      return `{${Array.from({ length: next.below(4) }, () => `${JSON.stringify(next.pick(NAMES))}:${jsonOf(next, depth + 1)}`).join(',')}}`;
    case 1:
    case 2:
      return `[${Array.from({ length: 1 + next.below(3) }, () => jsonOf(next, depth + 1)).join(',')}]`;
    default:
      return next.pick([JSON.stringify(randomValue(next)), 'null', '-1.5e3', 'true', `"${randomValue(next)}`]);
  }
}

function xmlOf(next: Random, depth = 0): string {
  if (depth > 3 || next.below(3) === 0) return randomValue(next);
  const name = next.pick(['a', 'soap:b', 'c']);
  const inside = next.pick([
    (): string => xmlOf(next, depth + 1),
    () => `<![CDATA[${randomValue(next)}]]>`,
    () => `<!-- ${randomValue(next)}`,
  ]);
  return `<${name} t="${randomValue(next)}">${inside()}${next.pick([`</${name}>`, '', '</z>'])}`;
}

export function randomBody(next: Random): string {
  const body = next.pick([formOf, multipartOf, (one: Random) => jsonOf(one), (one: Random) => xmlOf(one), randomValue])(
    next,
  );
  return body.slice(0, next.below(8) === 0 ? next.below(500_000) : 500_000);
}

/** Every byte is one character. */
export function randomTransaction(next: Random): RawTransaction {
  const headers: [string, string][] = [['Host', next.pick(['h', 'h:80', '', 'x, y'])]];
  if (next.below(2) === 0)
    headers.push([
      'Cookie',
      Array.from({ length: many(next, 9000) }, () => `${next.pick(NAMES)}=${randomValue(next)}`).join('; '),
    ]);
  for (let count = next.below(4); count > 0; count--)
    headers.push([next.pick(['User-Agent', 'Content-Type', 'X-A', '', 'Referer', 'cOOKIE']), randomValue(next)]);
  const body = next.below(2) === 0 ? '' : randomBody(next);
  if (body !== '') headers.push(['Content-Type', next.pick(TYPES)]);
  const query = next.below(2) === 0 ? '' : `?${formOf(next)}`;
  const uri = `${next.pick(['', '/', '*', 'http://h', 'http://h/', '/a.php', '//'])}${next.below(3) === 0 ? randomValue(next) : ''}${query}`;
  const latin = (text: string): string => text.replaceAll(/[^\0-\xff]/g, '?');
  return {
    method: next.pick(['GET', 'POST', 'PUT', '', 'X'.repeat(90)]),
    uri: latin(uri).slice(0, 200_000),
    protocol: next.pick(['HTTP/1.1', 'HTTP/1.0', '', 'x']),
    headers: headers.map(([name, value]) => [name, latin(value).slice(0, 40_000)] as const),
    body: latin(body),
    peer: next.pick(['192.0.2.1', '[2001:db8::1]:443', '', 'x']),
    seed: next.bits() | 0,
    ...(next.below(2) === 0 && {
      response: {
        status: next.pick([200, 302, 500, 0, 99_999]),
        protocol: 'HTTP/1.1',
        headers: [
          ['Content-Type', 'text/html'],
          ['Set-Cookie', randomValue(next).slice(0, 4000)],
        ] as const,
        body: latin(next.pick(['', 'You have an error in your SQL syntax', randomValue(next)])),
      },
    }),
  };
}
