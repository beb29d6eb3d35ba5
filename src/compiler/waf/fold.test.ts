/** Folding changes nothing but the work: random rules and requests, folded and as written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { imagesOf, request, told, wafOf } from '../../../test/support/rules-in-process.ts';
import type { RawTransaction, WafVerdict } from '../../waf/transaction.ts';

const names = fc.constantFrom('a', 'b', 'c', 'level', 'score');
const small = fc.integer({ min: 0, max: 4 }).map(String);
const setvar = fc.oneof(
  fc.tuple(names, small).map(([name, value]) => `setvar:tx.${name}=${value}`),
  fc.tuple(names, small).map(([name, value]) => `setvar:tx.${name}=+${value}`),
  fc.tuple(names, small).map(([name, value]) => `setvar:tx.${name}=-${value}`),
  fc.tuple(names, names).map(([name, from]) => `setvar:tx.${name}=%{tx.${from}}`),
  fc.tuple(names, names).map(([name, from]) => `setvar:tx.${name}=+%{tx.${from}}`),
  names.map((name) => `setvar:!tx.${name}`),
  names.map((name) => `setvar:'tx.%{MATCHED_VAR}=${name}'`),
);
const compare = fc
  .tuple(
    fc.constantFrom('@eq', '@ge', '@lt', '!@eq', '@gt'),
    fc.oneof(
      small,
      names.map((name) => `%{tx.${name}}`),
    ),
  )
  .map((parts) => parts.join(' '));
const condition = fc.oneof(
  fc.tuple(names, compare).map(([name, operator]) => `TX:${name} "${operator}"`),
  fc.tuple(names, compare).map(([name, operator]) => `&TX:${name} "${operator}"`),
  fc.tuple(names, fc.constantFrom('p', 'q')).map(([name, arg]) => `ARGS:${arg}|TX:${name} "@streq 1"`),
  fc.constantFrom('ARGS "@streq a"', 'ARGS:p "@contains 1"', 'ARGS "!@within a1"', 'TX:/^a$/ "@ge 2"', '&ARGS "@ge 2"'),
);
const control = fc.oneof(
  fc.integer({ min: 1, max: 14 }).map((id) => `ctl:ruleRemoveById=${id}`),
  fc.constantFrom('x', 'y').map((tag) => `ctl:ruleRemoveByTag=^${tag}$`),
  fc.integer({ min: 1, max: 14 }).map((id) => `ctl:ruleRemoveTargetById=${id};ARGS:p`),
  fc.tuple(fc.integer({ min: 1, max: 14 }), names).map(([id, name]) => `ctl:ruleRemoveTargetById=${id};TX:${name}`),
  fc.integer({ min: 1, max: 14 }).map((id) => `ctl:ruleRemoveTargetById=${id};ARGS`),
  fc.constantFrom('ctl:ruleEngine=Off', 'ctl:ruleEngine=DetectionOnly', 'ctl:ruleEngine=On'),
);

interface Rule {
  readonly conditions: readonly string[];
  readonly phase: number;
  readonly actions: readonly string[];
  readonly log: boolean;
  readonly end: string;
  readonly tag: string;
  readonly jump: boolean;
  readonly mark: boolean;
}

const rule: fc.Arbitrary<Rule> = fc.record({
  conditions: fc.array(condition, { maxLength: 2 }),
  phase: fc.constantFrom(1, 1, 1, 2, 2, 5),
  actions: fc.array(fc.oneof({ weight: 5, arbitrary: setvar }, { weight: 1, arbitrary: control }), { maxLength: 3 }),
  log: fc.boolean(),
  end: fc.constantFrom('pass', 'pass', 'pass', 'pass', 'deny', 'allow', 'allow:phase', 'allow:request'),
  tag: fc.constantFrom('', '', 'x', 'y'),
  jump: fc.boolean(),
  mark: fc.boolean(),
});

/** Markers stand behind rules; a jump goes to the next one. */
function write(rules: readonly Rule[]): string {
  const marks = rules.flatMap(({ mark }, index) => (mark ? [index] : []));
  return rules
    .map(({ conditions, phase, actions, log, end, tag, jump, mark }, index) => {
      const target = marks.find((at) => at > index);
      const all = [`id:${index + 1}`, `phase:${phase}`, phase === 5 ? 'pass' : end, log ? 'log' : 'nolog'];
      if (log) all.push(`logdata:'%{tx.a} %{tx.score} %{MATCHED_VAR}'`, "msg:'%{tx.level}'");
      if (tag !== '') all.push(`tag:${tag}`);
      if (jump && target !== undefined && end === 'pass') all.push(`skipAfter:M${target}`);
      // Half of the actions belong to the first link, where it is a chain.
      const chained = conditions.length > 1;
      const first = chained ? actions.slice(0, 1) : actions;
      const text =
        conditions.length === 0
          ? `SecAction "${[...all, ...first].join()}"`
          : `SecRule ${conditions[0]} "${[...all, ...(chained ? ['chain'] : []), ...first].join()}"`;
      const rest = actions.slice(1).filter((action) => action !== '');
      const link = chained ? `\n  SecRule ${conditions[1]}${rest.length === 0 ? '' : ` "${rest.join()}"`}` : '';
      return text + link + (mark ? `\nSecMarker M${index}` : '');
    })
    .join('\n');
}

const argument = fc.tuple(fc.constantFrom('p', 'q', 'r'), fc.constantFrom('a', '1', 'a1', 'x', 'b', ''));
const transaction: fc.Arbitrary<RawTransaction> = fc
  .tuple(fc.array(argument, { maxLength: 3 }), fc.boolean())
  .map(([pairs, posted]) => {
    const text = pairs.map(([name, value]) => `${name}=${value}`).join('&');
    return posted
      ? request('/', { body: text, headers: ['Content-Type: application/x-www-form-urlencoded'] })
      : request(`/?${text}`);
  });

/** What somebody outside can see. Scores are left out: variables that nobody reads are. */
function seen({ action, status, rule, phase, events }: WafVerdict) {
  return { action, status, rule, phase, events };
}

test('a constant that its own rule has looked at before stays where it is set', async () => {
  const text = `
SecAction "id:1,phase:1,pass,nolog,setvar:tx.c=+%{tx.a},setvar:tx.a=1"
SecRule TX:c "@eq 0" "id:2,phase:1,pass,log"`;
  for (const fold of [false, true]) {
    const waf = await wafOf(text, { fold });
    assert.deepEqual(told(waf.inspect(request('/'))), ['2 TX:c'], `fold: ${fold}`);
  }
});

test('a count goes only with the whole of its collection, folded or not', async () => {
  // SPEC: fetch_target_exception of ModSecurity v2 compares names, and the name of a count is that of its collection.
  for (const [target, left] of [
    ['TX:b', ['1 &TX:b', '3 &ARGS', '4 &ARGS:p', '5 ARGS:p']],
    ['TX:/b/', ['1 &TX:b', '3 &ARGS', '4 &ARGS:p', '5 ARGS:p']],
    ['ARGS:p', ['1 &TX:b', '2 TX:b', '3 &ARGS', '4 &ARGS:p']],
    ['ARGS:/p/', ['1 &TX:b', '2 TX:b', '3 &ARGS', '4 &ARGS:p']],
    ['ARGS', ['1 &TX:b', '2 TX:b']],
  ] as const)
    for (const condition of ['SecAction', 'SecRule &ARGS "@ge 1"'])
      for (const fold of [false, true]) {
        const waf = await wafOf(
          `SecAction "id:8,phase:1,pass,nolog,setvar:tx.b=1"
${condition} "id:9,phase:1,pass,nolog,ctl:ruleRemoveTargetById=1-5;${target}"
SecRule &TX:b "@ge 1" "id:1,phase:1,pass,log"
SecRule TX:b "@ge 1" "id:2,phase:1,pass,log"
SecRule &ARGS "@ge 1" "id:3,phase:1,pass,log"
SecRule &ARGS:p "@ge 1" "id:4,phase:1,pass,log"
SecRule ARGS:p "@ge 1" "id:5,phase:1,pass,log"`,
          { fold },
        );
        assert.deepEqual(told(waf.inspect(request('/?p=1'))), left, `${condition} ${target} fold: ${fold}`);
      }
});

test('a folded program comes to the same verdicts and events', async () => {
  let shorter = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(rule, { minLength: 1, maxLength: 14 }),
      fc.array(transaction, { minLength: 1, maxLength: 6 }),
      fc.record({
        mode: fc.constantFrom('enforce' as const, 'detect' as const),
        variables: fc.array(fc.record({ name: names, value: small }), { maxLength: 2 }),
        response: fc.boolean(),
      }),
      async (rules, transactions, settings) => {
        const text = write(rules);
        const [plain, folded] = await Promise.all([false, true].map((fold) => wafOf(text, { ...settings, fold })));
        for (const one of transactions) {
          assert.deepEqual(seen(folded!.inspect(one)), seen(plain!.inspect(one)), `${text}\n${one.uri} ${one.body}`);
        }
        const [before, after] = await Promise.all([false, true].map((fold) => imagesOf(text, { ...settings, fold })));
        if (after!.rules < before!.rules) shorter++;
      },
    ),
    { numRuns: Number(process.env['FOLD_RUNS'] ?? 150) },
  );
  // It has to leave something out for this to mean anything.
  assert.ok(shorter > 20, `${shorter} programs became shorter`);
});
