/** What the scan remembers of headers between calls changes no verdict, and is no secret. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SCAN_AT, SCAN_BYTES } from '../../assembly/abi.ts';
import { engineModule } from '../../test/support/engine.ts';
import { pick, random } from '../../test/support/policies.ts';
import { imagesOf, request } from '../../test/support/rules-in-process.ts';
import { createWaf, type RawTransaction, type Waf } from './transaction.ts';

const RULES = `
SecRule REQUEST_HEADERS:User-Agent "@rx evil[0-9]" "id:1,phase:1,pass,log,msg:'agent'"
SecRule REQUEST_HEADERS "@rx (?i)union\\s+select" "id:2,phase:1,pass,log,t:none,t:urlDecodeUni,capture,logdata:'%{TX.0}'"
SecRule REQUEST_HEADERS "@pm gzip attack" "id:3,phase:1,pass,log,t:none,t:lowercase"
SecRule REQUEST_HEADERS|ARGS "@detectSQLi" "id:4,phase:2,pass,log"
SecRule REQUEST_HEADERS "@detectXSS" "id:5,phase:2,pass,log"
SecRule REQUEST_HEADERS_NAMES "@rx ^x-evil" "id:6,phase:1,pass,log"
SecRule REQUEST_HEADERS_NAMES "@rx ^.*$" "id:7,phase:1,pass,nolog,t:lowercase,capture,setvar:'tx.h_%{TX.0}=1'"
SecRule TX:/^h_accept/ "@eq 1" "id:8,phase:1,pass,log"
SecRule REQUEST_HEADERS "!@rx ^[\\x20-\\x7e]*$" "id:9,phase:1,pass,log"
SecRule REQUEST_HEADERS:Accept "@rx [0-9]{3}" "id:10,phase:1,pass,log,t:removeWhitespace"
SecRule REQUEST_HEADERS "@rx a" "id:11,phase:1,pass,log,t:none"
SecRule REQUEST_HEADERS "@rx a" "id:12,phase:1,pass,log,t:none,t:removeNulls"
SecRule REQUEST_HEADERS "@rx a" "id:13,phase:1,pass,log,t:none,t:urlDecodeUni,t:removeWhitespace"
SecRule REQUEST_HEADERS "@rx b" "id:14,phase:1,pass,log,t:none"
SecRule REQUEST_HEADERS "@rx b" "id:15,phase:1,pass,log,t:none,t:removeNulls"
SecRule REQUEST_HEADERS "@rx c" "id:16,phase:1,pass,log,t:none,t:removeNulls"
SecRule REQUEST_HEADERS "@rx c" "id:17,phase:1,pass,log,t:none"
`;
const NAMES = [
  'User-Agent',
  'Accept',
  'accept-encoding',
  'Sec-Fetch-Mode',
  'Sec-CH-UA',
  'Host',
  'Origin',
  'X-Evil',
  'Cookie',
  'DNT',
];
const VALUES = [
  ...[
    '',
    'a',
    'gzip, br',
    'evil7',
    'Mozilla/5.0 (X11)',
    'union select',
    'UNION%20select 1',
    "1' or 1=1--",
    '<script>x</script>',
  ],
  ...[
    'abc',
    'cab 1 2 3',
    '123',
    '\xe9',
    'x'.repeat(239),
    'x'.repeat(240),
    `${'x'.repeat(239)}a`,
    'x'.repeat(241),
    'attack '.repeat(20),
  ],
];

const images = await imagesOf(RULES);
const module = await engineModule();
const open = (): Waf => createWaf(module, images);

test('a verdict does not depend on what other requests have brought', () => {
  const next = random(11);
  const known = open();
  for (let i = 0; i < 150; i++) {
    const headers = Array.from({ length: 1 + (next() % 6) }, () => [pick(next, NAMES), pick(next, VALUES)] as const);
    const transaction: RawTransaction = { ...request('/?q=1'), headers };
    const first = i % 5 === 0 ? open().inspect(transaction) : null;
    for (let again = 0; again < 2; again++) {
      const verdict = known.inspect(transaction);
      if (first) assert.deepEqual(verdict, first, JSON.stringify(headers));
      else if (again > 0) assert.deepEqual(verdict, known.inspect(transaction));
    }
  }
});

test('only names, and values of headers that are no secret, stay behind', () => {
  const Memory = WebAssembly.Memory;
  const made: WebAssembly.Memory[] = [];
  class Seen extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      made.push(this);
    }
  }
  WebAssembly.Memory = Seen as typeof Memory;
  let waf: Waf;
  try {
    waf = open();
  } finally {
    WebAssembly.Memory = Memory;
  }
  const secrets = [
    'Authorization',
    'Cookie',
    'X-Api-Key',
    'Accept-Token',
    'Hosts',
    'Sec-WebSocket-Key',
    'Referer',
    'user-agents',
  ];
  const open_ = [
    'User-Agent',
    'ACCEPT',
    'Accept-Language',
    'sec-ch-ua-platform',
    'Host',
    'DNT',
    'Priority',
    'Cache-Control',
  ];
  const headers = [...secrets, ...open_].map((name) => [name, `${name} holds 1 or 2`] as const);
  waf.inspect({ ...request('/secret-path?secret-name=secret-value'), headers });
  const kept = Buffer.from(made[0]!.buffer, SCAN_AT, SCAN_BYTES).toString('latin1');
  for (const name of secrets) assert.ok(!kept.includes(`${name} holds`), name);
  for (const name of open_) assert.ok(kept.includes(`${name} holds`), name);
  assert.ok(kept.includes('X-Api-Key'), 'names are kept');
  assert.ok(!kept.includes('secret-'));
});
