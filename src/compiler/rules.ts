/** Rules of a policy to SECTION_RULES and SECTION_CODE. */
import * as abi from '../../assembly/abi.ts';
import { CodeWriter } from './expression/code.ts';
import type { Plan } from '../plan.ts';
import { bodyOf, condition, reporting, stageOf, textValue } from './expression/expression.ts';
import { valueBytes } from './expression/typed.ts';
import type { DocumentPath, Reporter } from './diagnostics.ts';
import type { Lists, Node } from './expression/expression.ts';
import type { Pools } from './image.ts';
import type { ListSource, RuleSource } from './sources.ts';

export { checkExpression } from './expression/expression.ts';
export { disassembleCode } from './expression/disassemble.ts';

export type Stages = Plan['stages'];

export interface CompiledRules {
  readonly rules: Uint8Array; // SECTION_RULES, empty without rules
  readonly code: Uint8Array; // SECTION_CODE
  /** Whether any rule needs the second and the third crossing. */
  readonly stages: Stages;
}

const ACTIONS = {
  block: abi.ACTION_BLOCK,
  log: abi.ACTION_LOG,
  skip: abi.ACTION_SKIP,
  redirect: abi.ACTION_REDIRECT,
  rewrite: abi.ACTION_REWRITE,
  route: abi.ACTION_ROUTE,
  rate: abi.ACTION_RATE,
  challenge: abi.ACTION_CHALLENGE,
  charge: abi.ACTION_CHARGE,
};
const PHASES = { inspect: abi.PHASE_INSPECTION, rules: abi.PHASE_RULES, waf: abi.PHASE_WAF };
const STAGE_NAMES = ['head', 'proof', 'body', 'response'];
/** What these do is done before the body is read or the origin answers. */
const HEAD_ONLY = new Set(['redirect', 'rewrite', 'route']);

/** What these ask for is settled before the request goes to its origin. */
const DEMANDS = new Set(['rate', 'challenge', 'charge']);

interface Staged {
  readonly source: RuleSource;
  readonly stage: number;
  readonly field: string; // that decides the stage
  readonly code: number;
  readonly always: boolean; // true for every request
  readonly bytes: boolean; // looks at the bytes of the body
  readonly protocol: boolean; // looks at what a protocol phase has read from it
  readonly operands: readonly (readonly [kind: number, index: number, code: number])[];
}

/**
 * Faults are reported; what is returned after an error is only good for finding further ones. `code`: where programs go,
 * for who has others to add.
 */
export function compileRules(
  rules: readonly RuleSource[],
  lists: readonly ListSource[],
  pools: Pools,
  reporter: Reporter,
  code = new CodeWriter(pools),
): CompiledRules {
  const named: Lists = new Map(lists.map((list) => [list.name, list.items]));
  if (rules.length > abi.MAX_RULES) {
    reporter.report(
      'error',
      rules[abi.MAX_RULES]!.path,
      'too-many-rules',
      `a policy has at most ${abi.MAX_RULES} rules`,
      {
        fix: 'join rules with or, or compare with a list',
      },
    );
  }
  const staged = rules.slice(0, abi.MAX_RULES).map((rule) => stageRule(rule, named, code, reporter));
  warnAboutOrder(staged, reporter);
  warnAboutUnreachable(staged, reporter);
  const names = new Map<string, number>();
  for (const [index, { source }] of staged.entries()) if (!names.has(source.name)) names.set(source.name, index);
  const skips = staged.map((rule, index) => resolveSkips(rule, index, staged, names, reporter));
  return {
    rules: encode(staged, skips),
    code: code.bytes(),
    stages: {
      body: staged.some((rule) => rule.bytes),
      protocol: staged.some((rule) => rule.protocol),
      response: staged.some((rule) => rule.stage === abi.STAGE_RESPONSE),
    },
  };
}

function stageRule(source: RuleSource, lists: Lists, code: CodeWriter, reporter: Reporter): Staged {
  const compiled = (path: DocumentPath, make: () => Node): { node: Node; at: number } | undefined =>
    reporting(reporter, path, () => {
      const node = make();
      return { node, at: code.add(node) };
    });
  const when = compiled([...source.path, 'when'], () => condition(source.when, lists));
  let { stage, field } = when === undefined ? { stage: abi.STAGE_HEAD, field: '' } : stageOf(when.node);
  if (when?.node.kind === 'boolean' && !when.node.value) {
    reporter.report('warning', [...source.path, 'when'], 'never-matches', 'this is false for every request', {
      length: source.when.length,
    });
  }
  if (stage > abi.STAGE_HEAD && HEAD_ONLY.has(source.action)) {
    const at = source.when.indexOf(field);
    reporter.report(
      'error',
      [...source.path, 'when'],
      'action-too-late',
      `${source.action} can not depend on ${field}`,
      {
        cause: `${field} exists from stage ${STAGE_NAMES[stage]} on, ${source.action} is done before`,
        fix: 'leave the field out, or use block, log or skip',
        ...(at < 0 ? {} : { offset: at, length: field.length }),
      },
    );
  }
  const operands: [number, number, number][] = [];
  let { bytes, protocol } = when === undefined ? { bytes: false, protocol: false } : bodyOf(when.node);
  // What is counted by has to be there as well, so a rate may be later than its condition.
  for (const [index, { path, value }] of (source.keys ?? []).entries()) {
    const key = compiled(path, () => textValue(value, lists));
    if (key === undefined) continue;
    operands.push([abi.VALUE_KEY, index, key.at]);
    const needs = stageOf(key.node);
    if (needs.stage > stage) ({ stage, field } = needs);
    const body = bodyOf(key.node);
    bytes ||= body.bytes;
    protocol ||= body.protocol;
  }
  if (stage > abi.STAGE_HEAD && source.group !== undefined) {
    reporter.report(
      'error',
      source.keys?.[0]?.path ?? source.path,
      'action-too-late',
      `agents can not be counted by ${field}`,
      {
        cause: `${field} exists from stage ${STAGE_NAMES[stage]} on, and \`agents\` of a route is decided before`,
        fix: 'write a rule with `action: rate`',
      },
    );
  }
  if (stage > abi.STAGE_BODY && DEMANDS.has(source.action)) {
    reporter.report(
      'error',
      [...source.path, 'when'],
      'action-too-late',
      `${source.action} can not depend on ${field}`,
      {
        cause: `${field} exists once the origin has answered`,
      },
    );
  }
  const operand = (kind: number, index: number, text: string | null, tail: DocumentPath): void => {
    if (text === null) return;
    const path = [...source.path, ...tail];
    const value = compiled(path, () => textValue(text, lists));
    if (value === undefined) return;
    const needs = stageOf(value.node);
    if (needs.stage > abi.STAGE_HEAD) {
      reporter.report('error', path, 'action-too-late', `${source.action} can not use ${needs.field}`, {
        cause: `${needs.field} exists from stage ${STAGE_NAMES[needs.stage]} on`,
      });
    }
    warnAboutValue(kind, value.node, text, path, reporter);
    operands.push([kind, index, value.at]);
  };
  operand(abi.VALUE_LOCATION, 0, source.location, ['redirect', 'location']);
  operand(abi.VALUE_PATH, 0, source.rewritePath, ['rewrite', 'path']);
  operand(abi.VALUE_QUERY, 0, source.rewriteQuery, ['rewrite', 'query']);
  for (const [index, header] of source.rewriteHeaders.entries()) {
    operand(abi.VALUE_HEADER, index, header.value, ['rewrite', 'headers', 'set', header.name]);
  }
  const always = when?.node.kind === 'boolean' && when.node.value;
  return { source, stage, field, code: when?.at ?? 0, always, bytes, protocol, operands };
}

/** A literal that can't be what it has to be. */
function warnAboutValue(kind: number, node: Node, text: string, path: DocumentPath, reporter: Reporter): void {
  const bytes = valueBytes(node);
  if (bytes === undefined) return;
  const literal = new TextDecoder().decode(bytes);
  if (kind === abi.VALUE_PATH && !literal.startsWith('/')) {
    reporter.report('error', path, 'bad-path', 'a path begins with /', { length: text.length });
  } else if (kind === abi.VALUE_LOCATION && literal === '') {
    reporter.report('error', path, 'bad-location', 'the location is empty', { length: text.length });
  }
}

/**
 * Rules run in order within a stage, and stages run in theirs. Where a rule stands before one of an earlier stage, and
 * one of the two can keep the other from running, what is written is not what happens.
 */
function warnAboutOrder(rules: readonly Staged[], reporter: Reporter): void {
  const ends = (rule: Staged): boolean =>
    rule.source.mode === 'enforce' && ['block', 'redirect', 'skip'].includes(rule.source.action);
  let late: Staged | undefined; // the latest-staged rule so far
  let lateEnding: Staged | undefined; // ... that can end or skip
  for (const rule of rules) {
    const earlier = ends(rule) ? late : lateEnding;
    if (earlier !== undefined && earlier.stage > rule.stage) {
      reporter.report(
        'warning',
        [...rule.source.path, 'when'],
        'rule-order',
        `this rule runs before ${earlier.source.name}, which is written above it`,
        {
          cause: `${earlier.source.name} looks at ${earlier.field}, which exists from stage ${STAGE_NAMES[earlier.stage]} on`,
          fix: `write it above ${earlier.source.name}`,
          length: Math.max(1, rule.source.when.length),
        },
      );
    }
    if (late === undefined || rule.stage > late.stage) late = rule;
    if (ends(rule) && (lateEnding === undefined || rule.stage > lateEnding.stage)) lateEnding = rule;
  }
}

/** A rule that blocks everything leaves nothing to those below it, unless it can be skipped itself. */
function warnAboutUnreachable(rules: readonly Staged[], reporter: Reporter): void {
  const skippable = new Set(rules.flatMap(({ source }) => source.skipRules));
  const end = rules.findIndex(
    ({ source, always }) =>
      always && source.action === 'block' && source.mode === 'enforce' && !skippable.has(source.name),
  );
  if (end < 0) return;
  const { name } = rules[end]!.source;
  for (const { source } of rules.slice(end + 1)) {
    reporter.report('warning', [...source.path, 'when'], 'unreachable-rule', `${source.name} is never reached`, {
      cause: `${name} above it blocks every request`,
      fix: `write it above ${name}`,
      length: Math.max(1, source.when.length),
    });
  }
}

/** Indices of the rules that a rule skips by name. */
function resolveSkips(
  rule: Staged,
  index: number,
  rules: readonly Staged[],
  names: ReadonlyMap<string, number>,
  reporter: Reporter,
): number[] {
  const skipped: number[] = [];
  for (const [at, name] of rule.source.skipRules.entries()) {
    const target = names.get(name) ?? -1;
    const path = [...rule.source.path, 'skip', 'rules', at];
    if (target < 0) {
      reporter.report('error', path, 'unknown-rule', `there is no rule ${name}`, {
        cause: 'only a rule of this policy that is not off can be skipped',
      });
    } else if (target === index) {
      reporter.report('error', path, 'skip-itself', 'a rule can not skip itself');
    } else if (rules[target]!.stage < rule.stage || (rules[target]!.stage === rule.stage && target < index)) {
      reporter.report('error', path, 'skip-too-late', `${name} has run already when this rule matches`, {
        ...(target < index ? { fix: `write this rule above ${name}` } : { cause: `this rule looks at ${rule.field}` }),
      });
    } else {
      skipped.push(target);
    }
  }
  if (rule.stage > abi.STAGE_HEAD && rule.source.skipPhases.includes('inspect')) {
    reporter.report(
      'error',
      [...rule.source.path, 'skip', 'phases'],
      'skip-too-late',
      'header inspection is over when this rule matches',
      {
        cause: `this rule looks at ${rule.field}`,
      },
    );
  }
  return skipped;
}

function encode(rules: readonly Staged[], skips: readonly (readonly number[])[]): Uint8Array {
  if (rules.length === 0) return new Uint8Array();
  const ends = rules.map((_, index) => index + 1);
  for (let i = rules.length - 2; i >= 0; i--)
    if (rules[i]!.source.group === rules[i + 1]!.source.group) ends[i] = ends[i + 1]!;
  const operandsAt = 2 + rules.length * abi.RULE_WORDS;
  const words = new Array<number>(operandsAt).fill(0);
  words[0] = rules.length;
  words[1] = operandsAt;
  for (const [index, rule] of rules.entries()) {
    const at = 2 + index * abi.RULE_WORDS;
    words[at + abi.RULE_ACTION] = ACTIONS[rule.source.action];
    words[at + abi.RULE_MODE] = rule.source.mode === 'log' ? abi.MODE_LOG : abi.MODE_ENFORCE;
    words[at + abi.RULE_STAGE] = rule.stage;
    words[at + abi.RULE_CODE] = rule.code;
    words[at + abi.RULE_PHASES] = rule.source.skipPhases.reduce((bits, phase) => bits | PHASES[phase], 0);
    words[at + abi.RULE_OPERANDS] = words.length;
    words[at + abi.RULE_OPERAND_COUNT] = rule.operands.length;
    words.push(...rule.operands.flat());
    words[at + abi.RULE_SKIPS] = words.length;
    words[at + abi.RULE_SKIP_COUNT] = skips[index]!.length;
    words.push(...skips[index]!);
    words[at + abi.RULE_GROUP] = rule.source.group ?? 0;
    words[at + abi.RULE_GROUP_END] = ends[index]!;
  }
  return new Uint8Array(Uint32Array.from(words).buffer);
}
