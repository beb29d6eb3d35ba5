/** Ways in which a transaction could be judged by less than it holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRules } from '../../test/support/waf.ts';
import type { RawTransaction, WafVerdict } from './transaction.ts';

const request = (more: Partial<RawTransaction> = {}): RawTransaction => ({
  method: 'GET',
  uri: '/',
  protocol: 'HTTP/1.1',
  headers: [['Host', 'h']],
  body: '',
  peer: '192.0.2.1',
  ...more,
});
const form = (body: string): Partial<RawTransaction> => ({
  method: 'POST',
  headers: [
    ['Host', 'h'],
    ['Content-Type', 'application/x-www-form-urlencoded'],
  ],
  body,
});
const ids = ({ events }: WafVerdict): number[] => events.map(({ rule }) => rule);
const ENGINE = 'SecRuleEngine On\nSecRequestBodyAccess On\n';

test('a variable can be set to nothing, also as the first of a call', async () => {
  const { waf } = await openRules(`${ENGINE}
SecRule ARGS:a "@unconditionalMatch" "id:1,phase:1,pass,log,setvar:'tx.copy=%{MATCHED_VAR}'"
SecRule &TX:copy "@eq 1" "id:2,phase:1,deny,status:403"`);
  assert.deepEqual(ids(waf.inspect(request({ uri: '/?a=' }))), [1, 2]);
  assert.deepEqual(ids(waf.inspect(request({ uri: '/?a=1' }))), [1, 2]);
});

test('an empty variable does not keep those behind it from the next phase', async () => {
  const { waf } = await openRules(`${ENGINE}
SecAction "id:1,phase:1,pass,nolog,setvar:'tx.score=5'"
SecRule ARGS:a "@unconditionalMatch" "id:2,phase:1,pass,nolog,setvar:'tx.copy=%{MATCHED_VAR}'"
SecRule &TX:copy "@eq 7" "id:3,phase:2,pass,nolog"
SecRule TX:score "@eq 5" "id:4,phase:2,deny,status:403"`);
  for (const value of ['', 'x'])
    assert.equal(waf.inspect(request({ uri: `/?a=${value}`, ...form('b=1') })).rule, 4, `a=${value}`);
});

test('a name made of a request is no way around either', async () => {
  const { waf } = await openRules(`${ENGINE}
SecRule ARGS_NAMES "@unconditionalMatch" "id:1,phase:1,pass,nolog,setvar:'tx.seen_%{MATCHED_VAR}=%{ARGS.a}',setvar:'tx.count=+1'"
SecRule TX:count "@ge 1" "id:2,phase:2,deny,status:403"`);
  for (const uri of ['/?a=', '/?=&a', '/?seen_=', `/?${'n'.repeat(900)}=1`])
    assert.equal(waf.inspect(request({ uri, ...form('b=1') })).rule, 2, uri.slice(0, 20));
});

test('variables that do not fit into the state are a limit, not a loss', async () => {
  const { waf } = await openRules(`${ENGINE}
SecRule ARGS_NAMES "@unconditionalMatch" "id:1,phase:1,pass,nolog,setvar:'tx.seen_%{MATCHED_VAR}=1',setvar:'tx.count=+1'"
SecRule TX:/^seen_/ "@eq 1" "id:2,phase:2,deny,status:403"`);
  assert.equal(waf.inspect(request({ uri: `/?${'n'.repeat(5000)}`, ...form('b=1') })).action, 'limit');
});

test('what the logging phase runs into takes no decision back', async () => {
  const heavy = Array.from(
    { length: 1500 },
    (_, i) => `SecRule ARGS:c "@within %{ARGS.b}" "id:${1000 + i},phase:5,pass,log"`,
  );
  const { waf } = await openRules(`${ENGINE}
SecRule ARGS:a "@streq evil" "id:1,phase:2,deny,status:403"
${heavy.join('\n')}`);
  const inspect = (a: string): WafVerdict => waf.inspect(request(form(`a=${a}&c=nowhere&b=${'z'.repeat(1_000_000)}`)));
  assert.equal(inspect('good').action, 'limit');
  const { action, rule, status } = inspect('evil');
  assert.deepEqual([action, rule, status], ['deny', 1, 403]);
});

test('a capture is seen in full by a later rule', async () => {
  const { waf } = await openRules(`${ENGINE}
SecRule ARGS:a "@rx ^(.*)$" "id:1,phase:1,pass,nolog,capture,t:lowercase"
SecRule TX:1 "@endsWith evil" "id:2,phase:1,deny,status:403"`);
  for (const length of [0, 4091, 4092, 4093, 60_000])
    assert.equal(waf.inspect(request({ uri: `/?a=${'X'.repeat(length)}EVIL` })).rule, 2, String(length));
});

test('verifyCC finds numbers of cards', async () => {
  const { waf } = await openRules(`${ENGINE}
SecRule ARGS "@verifyCC \\b\\d{4}(?:[- ]?\\d{4}){3}\\b" "id:1,phase:1,deny,status:403,capture,t:none,logdata:'%{TX.0}'"
SecRule ARGS:n "!@verifyCC \\d{16}" "id:2,phase:1,pass,log"`);
  const of = (value: string): WafVerdict => waf.inspect(request({ uri: `/?a=${value}` }));
  const found = of('at+4111-1111-1111-1112+or+4111-1111-1111-1111+it+is');
  assert.deepEqual([found.rule, found.events[0]?.logdata], [1, '4111-1111-1111-1111']);
  assert.equal(of('4111-1111-1111-1112').action, 'pass');
  assert.equal(of('').action, 'pass');
  assert.deepEqual(ids(waf.inspect(request({ uri: '/?n=4111111111111112' }))), [2]);
});

test('containsWord with a macro, which no automaton can hold, is refused', async () => {
  await assert.rejects(openRules('SecRule ARGS "@containsWord %{TX.word}" "id:1,phase:1,pass"'), /containsWord/);
});
