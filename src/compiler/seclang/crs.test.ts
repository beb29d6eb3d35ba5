/**
 * The Core Rule Set as it is published reads without an error, and what is in it is counted. Nothing of it is in this
 * repository: its data is looked for in a folder, and without it these tests are skipped.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import * as abi from '../../../assembly/waf/abi.ts';
import { dataFolder } from '../../../test/data.ts';
import { formatDiagnostics } from '../diagnostics.ts';
import { nameOf, readRuleSet, writeRule, writeTarget, type Link, type RuleEntry } from './index.ts';

const [CRS, skip] = locate();

function locate(): [folder: string, skip: string | false] {
  try {
    return [dataFolder('crs'), false];
  } catch (error) {
    return ['', String(error)];
  }
}

const files = {
  readFile: (path: string) => (existsSync(path) ? readFileSync(path) : null),
  listFolder: (path: string) => (existsSync(path) ? readdirSync(path) : null),
};
const read = () =>
  readRuleSet({ name: 'crs', entry: [`${CRS}/crs-setup.conf.example`, `${CRS}/rules/*.conf`], ...files });

describe('the Core Rule Set', { skip }, () => {
  const reading = skip === false ? read() : null!;
  const rules = reading?.ruleSet.entries.filter((entry): entry is RuleEntry => entry.kind === 'rule') ?? [];
  const links = rules.flatMap(({ links: all }) => all);
  const setup = rules.filter(({ place }) => place.file.includes('crs-setup'));

  test('reads without an error', () => {
    const errors = reading.diagnostics.filter(({ severity }) => severity === 'error');
    assert.equal(formatDiagnostics(errors), '');
    // Persistent collections are created by a rule that is off.
    assert.deepEqual(
      reading.diagnostics.map(({ code, message }) => [code, message]),
      [['no-effect', 'initcol has no effect']],
    );
  });

  test('has its rules, chains, markers and detection rules', () => {
    const actions = links.filter(({ targets }) => targets.length === 0);
    const level = (rule: RuleEntry, n: number) => rule.tags.includes(`paranoia-level/${n}`);
    const detection = rules.filter(({ tags }) => tags.some((tag) => tag.startsWith('paranoia-level/')));
    assert.deepEqual(
      {
        heads: rules.length - setup.length,
        secRules: links.length - actions.length,
        secActions: actions.length - setup.length,
        chained: links.length - rules.length,
        chains: rules.filter((rule) => rule.links.length > 1).length,
        markers: reading.ruleSet.entries.length - rules.length,
        detection: detection.length,
        byLevel: [1, 2, 3, 4].map((n) => detection.filter((rule) => level(rule, n)).length),
        byPhase: [1, 2, 3, 4, 5].map((n) => rules.filter((rule) => !setup.includes(rule) && rule.phase === n).length),
        components: reading.ruleSet.components.length,
      },
      {
        heads: 629,
        secRules: 695,
        secActions: 7,
        chained: 73,
        chains: 55,
        markers: 30,
        detection: 345,
        byLevel: [214, 90, 32, 9],
        byPhase: [172, 292, 43, 109, 13],
        components: 1,
      },
    );
  });
  const count = (keys: readonly string[]): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const key of keys) counts[key] = (counts[key] ?? 0) + 1;
    return counts;
  };
  const written = (link: Link): string => /^!?\s*@(\w+)/.exec(link.operator.text)?.[1] ?? 'rx';
  const noActions = links.filter(({ targets }) => targets.length > 0);

  test('has its operators', () => {
    assert.deepEqual(count(noActions.map(written)), {
      ...{ rx: 318, lt: 190, eq: 53, ge: 42, pmFromFile: 21, gt: 15, pm: 12, streq: 9, within: 9, endsWith: 6 },
      ...{ validateByteRange: 6, contains: 4, ipMatch: 2, detectXSS: 2, detectSQLi: 2, unconditionalMatch: 1 },
      ...{ validateUtf8Encoding: 1, validateUrlEncoding: 1, beginsWith: 1 },
    });
    const negated = noActions.filter(({ operator }) => operator.negated);
    assert.deepEqual(count(negated.map(written)), {
      ...{ rx: 21, within: 6, eq: 4, endsWith: 3, pm: 2, streq: 2 },
      ...{ lt: 1, beginsWith: 1, validateByteRange: 1, pmFromFile: 1 },
    });
    assert.equal(
      noActions.filter(({ operator }) => operator.argument.some((part) => typeof part !== 'string')).length,
      30,
    );
    const patterns = noActions.filter(({ operator }) => operator.operator === abi.OPERATOR_RX);
    assert.equal(new Set(patterns.map(({ operator }) => operator.argument[0])).size, 294);
  });

  test('has its actions', () => {
    const ctls = rules.flatMap((rule) => rule.links).flatMap(({ ctls: all }) => all);
    const crs = rules.filter((rule) => !setup.includes(rule));
    assert.deepEqual(
      {
        setvars: crs.flatMap((rule) => rule.links.flatMap(({ setvars }) => setvars)).length,
        tags: crs.flatMap(({ tags }) => tags).length,
        msgs: crs.filter(({ msg }) => msg !== null).length,
        logdata: links.filter(({ logdata }) => logdata !== null).length,
        captures: links.filter(({ capture }) => capture).length,
        multiMatch: links.filter(({ multiMatch }) => multiMatch).length,
        skipAfter: crs.filter(({ skipAfter }) => skipAfter !== '').length,
        blocks: crs.filter(({ blocks }) => blocks).length,
        denies: crs.filter(({ disruptive }) => disruptive === 'deny').length,
        severities: [2, 3, 4, 5].map((n) => crs.filter(({ severity }) => severity === n).length),
        ctls: count(ctls.map(({ ctl }) => ctl)),
      },
      {
        setvars: 683,
        tags: 3088,
        msgs: 355,
        logdata: 331,
        captures: 279,
        multiMatch: 8,
        skipAfter: 206,
        blocks: 345,
        denies: 6,
        severities: [305, 16, 20, 5],
        ctls: {
          ruleRemove: 4,
          forceRequestBodyVariable: 2,
          auditEngine: 2,
          requestBodyProcessor: 1,
          ruleRemoveTarget: 1,
        },
      },
    );
  });

  test('updates targets by id, as its last file asks', () => {
    const text = readFileSync(`${CRS}/rules/REQUEST-999-COMMON-EXCEPTIONS-AFTER.conf`, 'utf8');
    const updates = [...text.matchAll(/^SecRuleUpdateTargetById (\d+) "(!\S+)"/gm)];
    assert.equal(updates.length, 54); // and one in a comment
    for (const [, id, target] of updates) {
      const rule = rules.find((one) => one.id === Number(id));
      const targets = rule?.links.map((link) => link.targets.map(writeTarget));
      for (const names of targets ?? [])
        assert.ok(
          names.map((name) => name.toLowerCase()).includes(target!.toLowerCase()),
          `${id} ${target} in ${names.join('|')}`,
        );
    }
  });

  test('looks at nothing that is empty here', () => {
    const names = new Set(links.flatMap(({ targets }) => targets.map(({ variable }) => nameOf(variable))));
    assert.ok(!names.has('EMPTY'), [...names].join(' '));
  });

  test('is the same after it is written and read again', () => {
    const text = rules.map(writeRule).join('\n\n');
    const names = new Map(reading.files.map((file) => [file.split('/').at(-1)!, file]));
    const again = readRuleSet({
      name: 'again',
      entry: ['again.conf'],
      readFile: (path) => {
        if (path !== 'again.conf') return files.readFile(names.get(path) ?? path);
        const markers = reading.ruleSet.entries.filter(({ kind }) => kind === 'marker');
        return `${text}\n${markers.map((marker) => `SecMarker ${'name' in marker ? marker.name : ''}`).join('\n')}\n`;
      },
    });
    assert.equal(formatDiagnostics(again.diagnostics.filter(({ severity }) => severity === 'error')), '');
    const plain = (entry: unknown) =>
      JSON.parse(
        JSON.stringify(entry, (key, value: unknown) => (/^(place|blockMeans)$/.test(key) ? undefined : value)),
      );
    const rulesAgain = again.ruleSet.entries.filter(({ kind }) => kind === 'rule');
    assert.equal(rulesAgain.length, rules.length);
    for (const [index, rule] of rules.entries()) assert.deepEqual(plain(rulesAgain[index]), plain(rule));
  });
});
