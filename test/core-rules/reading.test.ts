/** The embedded rule set reads without a problem and keeps its own house rules. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { formatDiagnostics } from '../../src/compiler/diagnostics.ts';
import { readRuleSet, type RuleEntry } from '../../src/compiler/seclang/index.ts';
import { ROOT } from '../gateway.ts';
import { ATTACKS, LEVEL_2 } from './attacks.ts';

const folder = join(ROOT, 'rules');
const { ruleSet, diagnostics } = readRuleSet({
  name: 'core',
  entry: ['main.conf'],
  readFile: (path) => (existsSync(join(folder, path)) ? readFileSync(join(folder, path)) : null),
});
const rules = ruleSet.entries.filter((entry): entry is RuleEntry => entry.kind === 'rule');
const detection = rules.filter(({ tags }) => tags.some((tag) => tag.startsWith('paranoia-level/')));
const levelOf = ({ tags }: RuleEntry): string => tags.find((tag) => tag.startsWith('paranoia-level/'))!.slice(-1);

describe('the embedded rule set', () => {
  test('reads without a problem', () => assert.equal(formatDiagnostics(diagnostics), ''));

  test('has its own ids, messages and severities', () => {
    for (const rule of rules) assert.ok(rule.id >= 9_000_000 && rule.id <= 9_099_999, String(rule.id));
    for (const rule of detection) {
      assert.ok(rule.msg !== null && rule.severity >= 0 && rule.blocks && rule.tags.length >= 2, String(rule.id));
      assert.deepEqual(rule.ver, 'sallyport-core/1.0.0');
    }
    assert.ok(detection.length >= 60 && detection.length <= 110, String(detection.length));
  });

  test('each rule that detects adds to the score of its level and direction', () => {
    for (const rule of detection) {
      const direction = rule.phase === 4 ? 'outbound' : 'inbound';
      const [score, ...others] = rule.links.at(-1)!.setvars;
      assert.deepEqual([score!.name, score!.operation], [[`${direction}_anomaly_score_pl${levelOf(rule)}`], 'add']);
      assert.equal(others.length, 0);
      for (const link of rule.links.slice(0, -1)) assert.equal(link.setvars.length, 0, `${rule.id} scores too early`);
    }
  });

  test('level 2 stands behind a gate of its phase', () => {
    let marker = '';
    const open = new Set<number>();
    for (const entry of ruleSet.entries) {
      if (entry.kind === 'marker') {
        if (entry.name === marker) open.clear();
      } else if (entry.skipAfter !== '') {
        marker = entry.skipAfter;
        open.add(entry.phase);
      } else if (detection.includes(entry)) {
        assert.equal(open.has(entry.phase), levelOf(entry) === '2', `${entry.id} and its gate`);
      }
    }
  });

  test('every rule that detects is asked for by an attack', () => {
    const asked = new Set([...ATTACKS, ...LEVEL_2].flatMap((attack) => attack.rules));
    const never = detection.filter(({ id }) => !asked.has(id)).map(({ id }) => id);
    assert.deepEqual(never, [9010210, 9010220], 'limits that only a policy sets');
    for (const id of asked)
      assert.ok(
        detection.some((rule) => rule.id === id),
        `no rule ${id}`,
      );
  });
});
