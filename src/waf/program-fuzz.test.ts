/** Programs with wrong words: `open` refuses them, or what they make of a request stays inside of the engine's regions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SECTION_MATCHERS, SECTION_STRINGS, SECTION_WAF } from '../../assembly/abi.ts';
import { engineModule } from '../../test/support/engine.ts';
import { random } from '../../test/support/policies.ts';
import { imagesOf, request } from '../../test/support/rules-in-process.ts';
import { ImageError } from './images.ts';
import { createWaf, type Waf } from './transaction.ts';

/** Every kind of row that a program has. */
const RULES = `
SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=1,setvar:'tx.%{REQUEST_METHOD}_x=+2',setvar:!tx.c"
SecRule ARGS|!ARGS:ok|REQUEST_HEADERS:/^x-/ "@rx (a)(b)?" "id:2,phase:1,pass,log,capture,t:urlDecodeUni,t:lowercase,multiMatch,msg:'m %{TX.1}',logdata:'%{MATCHED_VAR_NAME} %{MATCHED_VAR}',setvar:tx.a=+%{tx.b}"
SecRule ARGS_NAMES|REQUEST_COOKIES "@pm one two" "id:3,phase:1,pass,log,t:htmlEntityDecode,chain,skipAfter:END"
  SecRule MATCHED_VARS|TX:/^a/ "!@rx zzz" "setvar:tx.b=%{MATCHED_VARS_NAMES}"
SecRule ARGS "@detectSQLi" "id:4,phase:2,pass,log,t:urlDecodeUni"
SecRule ARGS|REQUEST_URI "@detectXSS" "id:5,phase:2,pass,log,t:none,t:jsDecode,t:cssDecode"
SecMarker END
SecRule &ARGS "@ge %{tx.a}" "id:6,phase:2,pass,log,ctl:ruleRemoveTargetById=2;ARGS:x,ctl:ruleRemoveByTag=z,ctl:forceRequestBodyVariable=On"
SecRule REMOTE_ADDR "@ipMatch 192.0.2.0/24" "id:7,phase:2,pass,log,tag:z"
SecRule REQUEST_BODY|ARGS "@validateByteRange 32-126" "id:8,phase:2,pass,log,t:sha1,t:hexEncode"
SecRule REQUEST_HEADERS:Host "@within %{tx.a} shop.example" "id:9,phase:2,pass,log"
SecRule RESPONSE_BODY "@contains secret" "id:10,phase:4,deny,log"
SecRule TX:a "@gt 0" "id:11,phase:5,pass,log"
`;
const WORDS = [0, 1, 2, 7, 31, 255, 256, 0xffff, 0x10000, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff];
const ROUNDS = 400;

test('a program with wrong words is refused or harmless', async () => {
  const { policy } = await imagesOf(RULES, { fold: false });
  const module = await engineModule();
  const next = random(20261121);
  const view = new DataView(policy.buffer, policy.byteOffset);
  const section = (id: number): readonly [number, number] => [
    view.getUint32(24 + id * 8, true),
    view.getUint32(28 + id * 8, true),
  ];
  const places = [
    section(SECTION_WAF),
    section(SECTION_WAF),
    section(SECTION_WAF),
    section(SECTION_MATCHERS),
    section(SECTION_STRINGS),
  ];
  const response = { status: 200, protocol: 'HTTP/1.1', headers: [['Server', 's']] as const, body: 'a secret' };
  const requests = [
    request('/?x=AB&ok=ab&one=two', { headers: ['Cookie: a=one', 'X-A: ab'], response }),
    request('/a', {
      body: 'q=1%27+or+1%3D1--+&b=<script>',
      headers: ['Content-Type: application/x-www-form-urlencoded'],
    }),
  ];
  let opened = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const image = policy.slice();
    const words = new DataView(image.buffer);
    for (let changes = 1 + (next() % 2); changes > 0; changes--) {
      const [at, length] = places[next() % places.length]!;
      const place = at + (next() % (length >> 2)) * 4;
      const value = words.getUint32(place, true);
      const choice = next() % 4;
      if (choice === 0) words.setUint32(place, WORDS[next() % WORDS.length]!, true);
      else if (choice === 1) words.setUint32(place, value + (next() % 9) - 4, true);
      else if (choice === 2) words.setUint32(place, value ^ (1 << (next() % 32)), true);
      else words.setUint32(place, words.getUint32(at + (next() % (length >> 2)) * 4, true), true);
    }
    let waf: Waf;
    try {
      waf = createWaf(module, { policy: image });
    } catch (error) {
      assert.ok(error instanceof ImageError, String(error));
      continue;
    }
    opened++;
    for (const one of requests) {
      try {
        waf.inspect(one);
      } catch (error) {
        // A program that belongs to other matchers is told as such.
        assert.ok(error instanceof RangeError && /rule set/.test(error.message), `round ${round}: ${String(error)}`);
      }
    }
    assert.equal(waf.traps, 0, `round ${round} trapped`);
  }
  // Both have to happen, or the changes are too wild or too tame to show anything.
  assert.ok(opened > 40 && opened < ROUNDS - 40, `${opened} of ${ROUNDS} opened`);
});
