/** Reads SecLang out of strings. */
import assert from 'node:assert/strict';
import { readRuleSet, type RuleEntry, type RuleSet, type RuleSetInput } from '../../src/compiler/seclang/index.ts';

export interface Seen {
  readonly ruleSet: RuleSet;
  readonly rules: readonly RuleEntry[];
  /** `error 1:9 unknown-variable`, with the file in front where it is not `main.conf`. */
  readonly problems: readonly string[];
  readonly messages: readonly string[];
  readonly files: readonly string[];
}

type Others = Omit<Partial<RuleSetInput>, 'readFile'>;

export function see(
  text: string | Readonly<Record<string, string | Uint8Array>>,
  { listFolder, ...input }: Others = {},
): Seen {
  const files = new Map(Object.entries(typeof text === 'string' ? { 'main.conf': text } : text));
  const list = (folder: string): string[] => {
    const prefix = folder === '.' ? '' : `${folder}/`;
    const inside = [...files.keys()].filter((file) => file.startsWith(prefix));
    return [...new Set(inside.map((file) => file.slice(prefix.length).split('/')[0]!))];
  };
  const {
    ruleSet,
    diagnostics,
    files: read,
  } = readRuleSet({
    name: 'test',
    entry: ['main.conf'],
    readFile: (path) => files.get(path) ?? null,
    listFolder: listFolder ?? list,
    ...input,
  });
  for (const { message, cause, fix, length } of diagnostics) {
    assert.ok(length >= 1);
    for (const line of [message, cause ?? '', fix ?? '']) assert.doesNotMatch(line, /[\n\r]|\.$|undefined|NaN/, line);
  }
  return {
    ruleSet,
    rules: ruleSet.entries.filter((entry): entry is RuleEntry => entry.kind === 'rule'),
    problems: diagnostics.map(
      ({ severity, file, line, column, code }) =>
        `${severity} ${file === 'main.conf' ? '' : `${file}:`}${line}:${column} ${code}`,
    ),
    messages: diagnostics.map(({ message, cause, fix }) => [message, cause, fix].filter(Boolean).join('; ')),
    files: read,
  };
}

/** The one rule of a text that has no problem. */
export function theRule(text: string): RuleEntry {
  const { rules, problems, messages } = see(text);
  assert.deepEqual(problems, [], messages.join('\n'));
  assert.equal(rules.length, 1);
  return rules[0]!;
}
