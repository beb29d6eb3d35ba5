/** What rules mean, construct by construct: SecLang in, events and verdicts out. SPEC: ModSecurity v2.9 throughout. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { request, told, wafOf } from '../../test/support/rules-in-process.ts';
import { MAX_WAF_EVENTS, MAX_WAF_VALUES } from '../../assembly/waf/abi.ts';
import { MAX_BODY_BYTES, REASON_STATE, REASON_VALUES } from '../../assembly/abi.ts';
import type { RawTransaction } from './transaction.ts';

type Case = readonly [what: string, rules: string, transaction: RawTransaction, expected: readonly string[]];
const FORM = 'Content-Type: application/x-www-form-urlencoded';
const form = (body: string, uri = '/'): RawTransaction => request(uri, { body, headers: [FORM] });

const CASES: readonly Case[] = [
  [
    'a target is each value of a collection, in order, query before body',
    `SecRule ARGS "@rx ^x" "id:1,phase:2,pass,log,logdata:'%{MATCHED_VAR}'"`,
    form('c=x3&d=y', '/?a=x1&b=x2'),
    ['1 ARGS:a=x1', '1 ARGS:b=x2', '1 ARGS:c=x3'],
  ],
  [
    'names are values too',
    `SecRule ARGS_NAMES|REQUEST_HEADERS_NAMES|REQUEST_COOKIES_NAMES "@rx (?i)^x-" "id:1,phase:1,pass,log,logdata:'%{MATCHED_VAR}'"`,
    request('/?x-a=1', { headers: ['X-B: 1', 'Cookie: x-c=1'] }),
    ['1 ARGS_NAMES:x-a=x-a', '1 REQUEST_HEADERS_NAMES:X-B=X-B', '1 REQUEST_COOKIES_NAMES:x-c=x-c'],
  ],
  [
    'a selector takes a name whatever its case, or a pattern',
    `SecRule ARGS:Q|REQUEST_HEADERS:/^x-/ "@contains a" "id:1,phase:1,pass,log"`,
    request('/?q=a&r=a', { headers: ['X-One: a', 'Y: a', 'x-two: a'] }),
    ['1 ARGS:q', '1 REQUEST_HEADERS:X-One', '1 REQUEST_HEADERS:x-two'],
  ],
  [
    'an exclusion takes away what stands before it, under the name as written',
    `SecRule ARGS|!ARGS:a|!ARGS:/^b/|!ARGS_GET:c "@rx x" "id:1,phase:1,pass,log"`,
    request('/?a=x&bb=x&c=x&d=x'),
    ['1 ARGS:c', '1 ARGS:d'],
  ],
  [
    'an exclusion of a whole variable',
    `SecRule ARGS|REQUEST_URI|!ARGS "@contains x" "id:1,phase:1,pass,log"`,
    request('/?a=x'),
    ['1 REQUEST_URI'],
  ],
  [
    '& counts',
    `SecRule &ARGS "@eq 2" "id:1,phase:1,pass,log"
     SecRule &ARGS:a "@eq 2" "id:2,phase:1,pass,log"
     SecRule &REQUEST_HEADERS:Accept "@eq 0" "id:3,phase:1,pass,log"
     SecRule &TX:nothing "@eq 0" "id:4,phase:1,pass,log"`,
    request('/?a=1&a=2'),
    ['1 &ARGS', '2 &ARGS:a', '3 &REQUEST_HEADERS:accept', '4 &TX:nothing'],
  ],
  [
    'a negated operator matches each value that it does not hold for',
    `SecRule ARGS "!@rx ^[0-9]+$" "id:1,phase:1,pass,log"`,
    request('/?a=1&b=x&c=2'),
    ['1 ARGS:b'],
  ],
  [
    'what is not there matches nothing, negated or not',
    `SecRule REQUEST_HEADERS:X-None "!@rx x" "id:1,phase:1,pass,log"
     SecRule ARGS "!@streq x" "id:2,phase:1,pass,log"`,
    request('/'),
    [],
  ],
  [
    'transformations run in their order, and the matched value is what they made',
    `SecRule ARGS "@streq <a>" "id:1,phase:1,pass,log,t:urlDecodeUni,t:htmlEntityDecode,t:lowercase,logdata:'%{MATCHED_VAR}'"`,
    request('/?a=%2526lt;A%253e'),
    ['1 ARGS:a=<a>'],
  ],
  [
    'multiMatch asks before the first transformation and after each that changes the value',
    `SecRule ARGS "@rx a" "id:1,phase:1,pass,log,multiMatch,t:lowercase,t:removeWhitespace,t:urlDecodeUni,logdata:'%{MATCHED_VAR}'"`,
    request('/?a=A%20a'),
    ['1 ARGS:a=A a', '1 ARGS:a=a a', '1 ARGS:a=aa'],
  ],
  [
    'multiMatch without transformations asks once',
    `SecRule ARGS "@rx a" "id:1,phase:1,pass,log,multiMatch,t:none"`,
    request('/?a=a'),
    ['1 ARGS:a'],
  ],
  [
    'captures are TX.0 to TX.9; a group between that took no part is empty, one behind is not set',
    `SecRule ARGS "@rx (a)(b)?(c)(d)?" "id:1,phase:1,pass,log,capture,logdata:'%{TX.0}|%{TX.1}|%{TX.2}|%{TX.3}|%{TX.4}'"
     SecRule &TX:2 "@eq 1" "id:2,phase:1,pass,log"
     SecRule &TX:4 "@eq 0" "id:3,phase:1,pass,log"`,
    request('/?q=xacx'),
    ['1 ARGS:q=ac|a||c|', '2 &TX:2', '3 &TX:4'],
  ],
  [
    'setvar: assignment, arithmetic, removal; counters stay above zero; once for each match',
    `SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=5,setvar:tx.b=%{tx.a}0,setvar:tx.c"
     SecRule ARGS "@rx x" "id:2,phase:1,pass,nolog,setvar:tx.a=+%{tx.c},setvar:tx.d=-7,setvar:!tx.c2"
     SecRule TX:a|TX:b|TX:c|TX:d "@unconditionalMatch" "id:3,phase:1,pass,log,logdata:'%{MATCHED_VAR}'"`,
    request('/?q=x&r=x&s=y'),
    ['3 TX:a=7', '3 TX:b=50', '3 TX:c=1', '3 TX:d=0'],
  ],
  [
    'a macro in the name of a variable',
    `SecRule ARGS "@rx x" "id:1,phase:1,pass,nolog,setvar:'tx.seen_%{MATCHED_VAR_NAME}=+1'"
     SecRule TX:/^seen_/ "@gt 1" "id:2,phase:1,pass,log,logdata:'%{MATCHED_VAR}'"`,
    request('/?q=x&q=x&r=x'),
    ['2 TX:seen_ARGS:q=2'],
  ],
  [
    'a chain needs all of its links; those that match have acted',
    `SecRule ARGS:a "@streq 1" "id:1,phase:1,pass,log,chain,setvar:tx.first=1"
       SecRule ARGS:b "@streq 2" "chain,setvar:tx.second=1"
         SecRule ARGS:c "@streq 3" "setvar:tx.third=1"
     SecRule TX:first|TX:second|TX:third "@eq 1" "id:2,phase:1,pass,log"`,
    request('/?a=1&b=2&c=4'),
    ['2 TX:first', '2 TX:second'],
  ],
  [
    'MATCHED_VARS gathers what the links before have matched',
    `SecRule ARGS "@rx x" "id:1,phase:1,pass,log,chain"
       SecRule MATCHED_VARS "@rx y" "t:none,logdata:'%{MATCHED_VAR_NAME}'"`,
    request('/?a=x&b=xy&c=y'),
    ['1 ARGS:b'],
  ],
  [
    'MATCHED_VARS_NAMES',
    `SecRule ARGS "@rx x" "id:1,phase:1,pass,log,chain,logdata:'%{MATCHED_VAR}'"
       SecRule MATCHED_VARS_NAMES "@endsWith b"`,
    request('/?a=x&b=x'),
    ['1 ARGS:b=ARGS:b'],
  ],
  [
    'skipAfter goes on behind its marker, in its phase',
    `SecRule ARGS:a "@streq 1" "id:1,phase:1,pass,nolog,skipAfter:END"
     SecAction "id:2,phase:1,pass,log"
     SecMarker END
     SecAction "id:3,phase:1,pass,log"
     SecRule ARGS:a "@streq 1" "id:4,phase:1,pass,log,skipAfter:LAST"
     SecAction "id:5,phase:1,pass,log"
     SecMarker LAST
     SecAction "id:6,phase:2,pass,log"`,
    request('/?a=1'),
    ['3 REMOTE_ADDR', '4 ARGS:a', '6 REMOTE_ADDR'],
  ],
  [
    'skip leaves out as many rules of its phase, chains counting once',
    `SecRule ARGS:a "@streq 1" "id:1,phase:1,pass,nolog,skip:2"
     SecAction "id:2,phase:2,pass,log"
     SecAction "id:3,phase:1,pass,log"
     SecRule ARGS:a "@streq 1" "id:4,phase:1,pass,log,chain"
       SecRule ARGS:a "@streq 1"
     SecAction "id:5,phase:1,pass,log"`,
    request('/?a=1'),
    ['5 REMOTE_ADDR', '2 REMOTE_ADDR'],
  ],
  [
    'ctl removes rules by id, range and tag, for this request',
    `SecRule ARGS:a "@streq 1" "id:1,phase:1,pass,nolog,ctl:ruleRemoveById=10-11,ctl:ruleRemoveByTag=^off$"
     SecAction "id:10,phase:1,pass,log"
     SecAction "id:11,phase:2,pass,log"
     SecAction "id:12,phase:2,pass,log,tag:off"
     SecAction "id:13,phase:2,pass,log,tag:offer"`,
    request('/?a=1'),
    ['13 REMOTE_ADDR'],
  ],
  [
    'ctl removes a target of a rule',
    `SecRule ARGS:a "@streq 1" "id:1,phase:1,pass,nolog,ctl:ruleRemoveTargetById=10;ARGS:a,ctl:ruleRemoveTargetByTag=t;ARGS"
     SecRule ARGS "@rx 1" "id:10,phase:1,pass,log"
     SecRule ARGS|REQUEST_URI "@contains 1" "id:11,phase:1,pass,log,tag:t"`,
    request('/?a=1&b=1'),
    ['10 ARGS:b', '11 REQUEST_URI'],
  ],
  [
    'ctl:ruleEngine=Off ends it all',
    `SecRule ARGS:a "@streq 1" "id:1,phase:1,pass,log,ctl:ruleEngine=Off"
     SecAction "id:2,phase:1,pass,log"
     SecAction "id:3,phase:5,pass,log"`,
    request('/?a=1'),
    ['1 ARGS:a'],
  ],
  [
    'ctl:requestBodyProcessor and forceRequestBodyVariable choose how the body is read',
    `SecAction "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
     SecRule REQBODY_PROCESSOR "@streq JSON" "id:2,phase:1,pass,log"
     SecRule ARGS "@streq 1" "id:3,phase:2,pass,log"`,
    request('/', { body: '{"a":1}', headers: ['Content-Type: text/plain'] }),
    ['2 REQBODY_PROCESSOR', '3 ARGS:a'],
  ],
  [
    'HIGHEST_SEVERITY is the lowest number so far, EMERGENCY left out',
    `SecAction "id:1,phase:1,pass,log,severity:WARNING"
     SecAction "id:2,phase:1,pass,log,severity:EMERGENCY"
     SecRule HIGHEST_SEVERITY "@eq 4" "id:3,phase:1,pass,log"`,
    request('/'),
    ['1 REMOTE_ADDR', '2 REMOTE_ADDR', '3 HIGHEST_SEVERITY'],
  ],
  [
    'the forms of the request target',
    `SecRule REQUEST_URI_RAW|REQUEST_URI|REQUEST_FILENAME|REQUEST_BASENAME|QUERY_STRING|REQUEST_LINE|REQUEST_METHOD|REQUEST_PROTOCOL "@unconditionalMatch" "id:1,phase:2,pass,log,logdata:'%{MATCHED_VAR}'"`,
    request('http://h.example/a/b%20c.php?q=1#f'),
    [
      '1 REQUEST_URI_RAW=http://h.example/a/b%20c.php?q=1#f',
      '1 REQUEST_URI=/a/b c.php?q=1',
      '1 REQUEST_FILENAME=/a/b c.php',
      '1 REQUEST_BASENAME=b c.php',
      '1 QUERY_STRING=q=1',
      '1 REQUEST_LINE=GET http://h.example/a/b%20c.php?q=1#f HTTP/1.1',
      '1 REQUEST_METHOD=GET',
      '1 REQUEST_PROTOCOL=HTTP/1.1',
    ],
  ],
  [
    'operators that compare text and numbers, with macros',
    `SecAction "id:1,phase:1,pass,nolog,setvar:'tx.list=|a| |b|',setvar:tx.n=10"
     SecRule ARGS:in "@within %{tx.list}" "id:2,phase:1,pass,log"
     SecRule ARGS:ge "@ge %{tx.n}" "id:3,phase:1,pass,log"
     SecRule ARGS:ge "@lt 11" "id:4,phase:1,pass,log"
     SecRule ARGS:ends "@endsWith .%{request_headers.host}" "id:5,phase:1,pass,log"
     SecRule REMOTE_ADDR "@ipMatch 192.0.2.0/24,::1" "id:6,phase:1,pass,log"
     SecRule ARGS:bytes "@validateByteRange 32-126" "id:7,phase:1,pass,log"
     SecRule ARGS:in|ARGS:ends "@pm shop NONE" "id:8,phase:1,pass,log"
     SecRule ARGS:in "@noMatch" "id:9,phase:1,pass,log"`,
    request('/?in=|b|&ge=10x&ends=www.shop.example&bytes=%01'),
    ['2 ARGS:in', '3 ARGS:ge', '4 ARGS:ge', '5 ARGS:ends', '6 REMOTE_ADDR', '7 ARGS:bytes', '8 ARGS:ends'],
  ],
  [
    'detectors are operators',
    `SecRule ARGS "@detectSQLi" "id:1,phase:1,pass,log"
     SecRule ARGS "@detectXSS" "id:2,phase:1,pass,log"`,
    request('/?a=1%27%20or%201=1--%20&b=%3Cscript%3Ealert(1)%3C/script%3E&c=hello'),
    ['1 ARGS:a', '2 ARGS:b'],
  ],
  [
    'phases run in their order, and the last one always',
    `SecAction "id:5,phase:5,pass,log"
     SecAction "id:2,phase:2,deny,log"
     SecAction "id:1,phase:1,pass,log"
     SecAction "id:3,phase:2,pass,log"`,
    request('/'),
    ['1 REMOTE_ADDR', '2 REMOTE_ADDR', '5 REMOTE_ADDR'],
  ],
  [
    'the time of the request, in UTC',
    `SecRule TIME|TIME_EPOCH|TIME_HOUR|TIME_MIN|TIME_SEC|TIME_DAY|TIME_MON|TIME_WDAY|TIME_YEAR "@unconditionalMatch" "id:1,phase:1,pass,log,logdata:'%{MATCHED_VAR}'"`,
    request('/', { now: Date.UTC(2028, 1, 29, 7, 8, 9) / 1000 }),
    [
      '1 TIME=20280229070809',
      `1 TIME_EPOCH=${Date.UTC(2028, 1, 29, 7, 8, 9) / 1000}`,
      '1 TIME_HOUR=07',
      '1 TIME_MIN=08',
      '1 TIME_SEC=09',
      '1 TIME_DAY=29',
      '1 TIME_MON=02',
      '1 TIME_WDAY=2',
      '1 TIME_YEAR=2028',
    ],
  ],
  ['nolog tells nobody', `SecRule ARGS "@rx x" "id:1,phase:1,pass,nolog"`, request('/?q=x'), []],
];

describe('rules', () => {
  for (const [what, rules, transaction, expected] of CASES) {
    test(what, async () => {
      for (const fold of [false, true]) {
        const waf = await wafOf(rules, { fold });
        assert.deepEqual(told(waf.inspect(transaction)), expected, fold ? 'folded' : 'as written');
        assert.equal(waf.traps, 0);
      }
    });
  }
});

describe('verdicts', () => {
  const verdict = async (rules: string, transaction: RawTransaction, settings = {}) => {
    const { action, status, rule, phase, location } = (await wafOf(rules, settings)).inspect(transaction);
    return [action, status, rule, phase, location];
  };
  const DENY = `SecRule ARGS:a "@streq 1" "id:1,phase:1,deny,status:418,log"`;

  test('deny, drop and redirect end the transaction, by the first rule that does', async () => {
    assert.deepEqual(await verdict(`${DENY}\nSecAction "id:2,phase:1,deny"`, request('/?a=1')), [
      'deny',
      418,
      1,
      1,
      '',
    ]);
    assert.deepEqual(await verdict(`SecAction "id:2,phase:2,drop"`, request('/')), ['drop', 403, 2, 2, '']);
    const redirect = `SecAction "id:3,phase:1,redirect:'https://shop.example/sorry'"`;
    assert.deepEqual(await verdict(redirect, request('/')), ['redirect', 302, 3, 1, 'https://shop.example/sorry']);
  });

  test('nothing ends it in detection mode', async () => {
    assert.deepEqual(await verdict(DENY, request('/?a=1'), { mode: 'detect' }), ['pass', 0, 0, 0, '']);
  });

  test('ctl:ruleEngine switches detection off and on', async () => {
    const on = `SecRule ARGS:b "@streq 1" "id:9,phase:1,pass,nolog,ctl:ruleEngine=On"\n${DENY}`;
    assert.equal((await verdict(on, request('/?a=1&b=1'), { mode: 'detect' }))[0], 'deny');
    assert.equal((await verdict(on, request('/?a=1'), { mode: 'detect' }))[0], 'pass');
    const off = `SecRule ARGS:b "@streq 1" "id:9,phase:1,pass,nolog,ctl:ruleEngine=DetectionOnly"\n${DENY}`;
    assert.equal((await verdict(off, request('/?a=1&b=1')))[0], 'pass');
  });

  test('allow ends its phase, those of the request, or all but logging', async () => {
    const rules = (scope: string): string =>
      `SecRule ARGS:a "@streq 1" "id:1,phase:1,allow${scope},nolog"
       ${[1, 2, 3, 4, 5].map((phase) => `SecAction "id:${10 + phase},phase:${phase},pass,log"`).join('\n')}`;
    const answer = { status: 200, protocol: 'HTTP/1.1', headers: [], body: '' };
    const ids = async (scope: string): Promise<number[]> => {
      const { events } = (await wafOf(rules(scope))).inspect(request('/?a=1', { response: answer }));
      return events.map(({ rule }) => rule).filter((rule) => rule > 1);
    };
    assert.deepEqual(await ids(':phase'), [12, 13, 14, 15]);
    assert.deepEqual(await ids(':request'), [13, 14, 15]);
    assert.deepEqual(await ids(''), [15]);
  });

  test('answers are judged in phases 3 and 4, with what the request has left in TX', async () => {
    const waf = await wafOf(`
      SecRule ARGS:a "@streq 1" "id:1,phase:2,pass,nolog,setvar:tx.mark=yes"
      SecRule RESPONSE_STATUS "@eq 500" "id:3,phase:3,pass,log"
      SecRule RESPONSE_HEADERS:Server "@rx ^ba" "id:4,phase:3,pass,log,chain"
        SecRule TX:mark "@streq yes"
      SecRule RESPONSE_BODY "@rx SECRET" "id:5,phase:4,deny,log"
      SecAction "id:6,phase:5,pass,log"`);
    const response = { status: 500, protocol: 'HTTP/1.1', headers: [['Server', 'bad']] as const, body: 'a SECRET' };
    const body = waf.inspect(request('/', { body: 'a=1', headers: [FORM], response }));
    assert.deepEqual(told(body), ['3 RESPONSE_STATUS', '4 TX:mark', '5 RESPONSE_BODY', '6 REMOTE_ADDR']);
    assert.deepEqual([body.action, body.rule, body.phase], ['deny', 5, 4]);
    const other = waf.inspect(request('/?a=2', { response: { ...response, status: 200, body: '' } }));
    assert.deepEqual(told(other), ['6 REMOTE_ADDR']);
  });

  test('scores are what TX holds in numbers at the end', async () => {
    const waf = await wafOf(`SecRule ARGS "@rx x" "id:1,phase:1,pass,log,setvar:tx.score=+5,setvar:tx.name=x"
      SecRule TX:score|TX:name "@rx ." "id:2,phase:5,pass,log"`);
    assert.deepEqual(waf.inspect(request('/?a=x&b=x')).scores, { score: 10 });
  });
});

describe('limits', () => {
  test('state that does not fit ends the transaction as limit', async () => {
    // What a later phase reads has to be carried; 4 KB are there.
    const rules = (bytes: number): string =>
      `SecAction "id:1,phase:1,pass,nolog,setvar:tx.long=${'x'.repeat(bytes)}%{REMOTE_ADDR}"
       SecRule TX:long "@contains x192.0.2.1" "id:2,phase:2,pass,log"`;
    const fits = (await wafOf(rules(3000))).inspect(form('a=1'));
    assert.deepEqual([fits.action, told(fits)], ['pass', ['2 TX:long']]);
    const over = (await wafOf(rules(4100))).inspect(form('a=1'));
    assert.deepEqual([over.action, over.reason], ['limit', REASON_STATE]);
    // Nobody reads it later: nothing has to be carried.
    const unread = (await wafOf(rules(4100).replace('phase:2', 'phase:1'))).inspect(form('a=1'));
    assert.equal(unread.action, 'pass');
  });

  test('values beyond MAX_WAF_VALUES are a limit, and the rules still see those before', async () => {
    const waf = await wafOf(`SecRule ARGS:a0 "@streq x" "id:1,phase:2,pass,log"`, { bodyLimit: MAX_BODY_BYTES });
    const body = Array.from({ length: MAX_WAF_VALUES + 1 }, (_, index) => `a${index}=x`).join('&');
    const verdict = waf.inspect(form(body));
    assert.deepEqual([verdict.action, verdict.reason], ['limit', REASON_VALUES]);
  });

  test('the longest body is judged, in one value or in many, by pipelines that change it at each step', async () => {
    const steps = 't:urlDecodeUni,t:removeWhitespace,t:base64Decode,t:urlDecodeUni,t:jsDecode';
    const rules = ['ARGS', 'REQUEST_BODY'].flatMap((target, index) => [
      `SecRule ${target} "@rx (?i)(.*)qq(.*)" "id:${index * 4 + 1},phase:2,pass,log,capture,${steps},setvar:tx.n=+1"`,
      `SecRule ${target} "@rx (n+).*X" "id:${index * 4 + 2},phase:2,pass,log,capture,t:utf8toUnicode,t:urlDecodeUni"`,
      `SecRule ${target} "@pm qq zz" "id:${index * 4 + 3},phase:2,pass,log,t:cmdLine,t:lowercase"`,
    ]);
    const waf = await wafOf([...rules, 'SecRule TX:1 "@rx n" "id:9,phase:2,pass,log"'].join('\n'), {
      bodyLimit: MAX_BODY_BYTES,
    });
    const most = MAX_BODY_BYTES - 16;
    const encoded = (text: string): string => text.repeat(Math.floor(most / text.length));
    for (const body of [
      `a=${encoded('bm4gIG5u ')}`,
      `a=${encoded('Abc+%5cx41%2b%41 ')}`,
      `a=${encoded('\xd0\xbfX')}`,
      encoded('a=nX&').slice(0, 5 * 45_000),
    ])
      assert.equal(waf.inspect(form(body)).action, 'pass', body.slice(0, 20));
  });

  test('events beyond MAX_WAF_EVENTS only count, and every rule has one first', async () => {
    const rules = Array.from({ length: 40 }, (_, id) => `SecRule ARGS "@contains x" "id:${id + 1},phase:1,pass,log"`);
    const uri = `/?${Array.from({ length: 50 }, (_, index) => `a${index}=x`).join('&')}`;
    const verdict = (await wafOf(rules.join('\n'))).inspect(request(uri));
    assert.equal(verdict.matches, 2000);
    assert.equal(verdict.truncated, true);
    assert.ok(verdict.events.length <= MAX_WAF_EVENTS);
    assert.ok(new Set(verdict.events.map(({ rule }) => rule)).size >= MAX_WAF_EVENTS / 2);
  });

  test('the same transaction gets the same verdict, whatever came before it', async () => {
    const waf =
      await wafOf(`SecRule ARGS "@rx (x+)" "id:1,phase:2,pass,log,capture,setvar:tx.n=+1,logdata:'%{TX.1} %{tx.n}'"
      SecRule ARGS:off "@streq 1" "id:2,phase:1,pass,nolog,ctl:ruleRemoveById=1"`);
    const first = waf.inspect(form('a=xx'));
    waf.inspect(form('off=1'));
    waf.inspect(request(`/?a=${'x'.repeat(30_000)}&off=1`));
    assert.deepEqual(waf.inspect(form('a=xx')), first);
  });
});
