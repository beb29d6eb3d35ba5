/** Rules in the engine, for tests: one policy of one route and any rules, lists and inspections. */
import * as abi from '../../assembly/abi.ts';
import { compileInspections } from '../../src/compiler/inspection.ts';
import { ImageWriter } from '../../src/compiler/image.ts';
import { compileRoutes } from '../../src/compiler/routes.ts';
import { compileRules } from '../../src/compiler/rules.ts';
import { compileSettings } from '../../src/compiler/settings.ts';
import { requestHead } from './engine.ts';
import { collector, loadOne, newPools, routeSources, SETTINGS, type Report } from './image.ts';
import type { InspectionSource, ListSource, RuleSource } from '../../src/compiler/sources.ts';
import type { Effect, Engine, Generation, Head, StageResult } from '../../src/waf/engine.ts';
import type { Lists, TestRequest } from './reference-expression.ts';

export function rule(source: Partial<RuleSource> & { when: string }, index = 0): RuleSource {
  return {
    path: ['rules', index],
    name: `rule-${index}`,
    action: 'log',
    mode: 'enforce',
    location: null,
    rewritePath: null,
    rewriteQuery: null,
    rewriteHeaders: [],
    skipRules: [],
    skipPhases: [],
    ...source,
  };
}

export interface RulePolicy {
  readonly image: Uint8Array;
  readonly code: Uint8Array;
  readonly stages: { readonly body: boolean; readonly protocol: boolean; readonly response: boolean };
  readonly reports: readonly Report[];
}

export function rulePolicy(
  rules: readonly (Partial<RuleSource> & { when: string })[],
  options: {
    lists?: Lists;
    inspections?: readonly InspectionSource[];
    clientAddress?: typeof SETTINGS.clientAddress;
    settings?: typeof SETTINGS;
  } = {},
): RulePolicy {
  const pools = newPools();
  const reporter = collector();
  const image = new ImageWriter(abi.KIND_POLICY);
  image.section(abi.SECTION_SETTINGS, compileSettings(options.settings ?? SETTINGS, pools));
  for (const [id, bytes] of compileRoutes(routeSources([{}]), pools, reporter, { mergeSlashes: false }).sections)
    image.section(id, bytes);
  const lists: ListSource[] = Array.from(options.lists ?? [], ([name, items]) => ({
    path: ['lists', name],
    name,
    items,
  }));
  const compiled = compileRules(rules.map(rule), lists, pools, reporter);
  image.section(abi.SECTION_RULES, compiled.rules);
  image.section(abi.SECTION_CODE, compiled.code);
  image.section(abi.SECTION_INSPECTION, compileInspections(options.inspections ?? [], pools, reporter));
  image.section(
    abi.SECTION_PLAN,
    new TextEncoder().encode(JSON.stringify({ app: 'test', routeActions: [0], actions: [{}] })),
  );
  image.section(abi.SECTION_NAMES, pools.names.bytes());
  image.section(abi.SECTION_REGEXES, pools.regexes.bytes());
  image.section(abi.SECTION_LISTS, pools.lists.bytes());
  image.section(abi.SECTION_STRINGS, pools.strings.bytes());
  return { image: image.finish(), code: compiled.code, stages: compiled.stages, reports: reporter.reports };
}

/** What all stages that the policy needs say of a request, in their order; a stage that terminates is the last. */
export function judge(
  engine: Engine,
  generation: Generation,
  policy: Pick<RulePolicy, 'stages'>,
  request: TestRequest,
): StageResult[] {
  const head = headOf(request);
  const now = request.now ?? 1_700_000_000;
  const first = engine.head(generation, head, 1, now);
  const results: StageResult[] = [first];
  let { state } = first;
  if (first.terminal === 0 && policy.stages.body) {
    const bytes = new TextEncoder().encode(request.body ?? '');
    const result = engine.body(
      generation,
      0,
      head,
      bytes,
      request.size ?? bytes.length,
      request.truncated ?? false,
      1,
      now,
      state,
    );
    results.push(result);
    state = result.state;
  }
  if (results.at(-1)!.terminal === 0 && policy.stages.response) {
    let text = `${request.response!.status}\0`;
    for (const [name, value] of request.response!.headers) text += `${name}\0${value}\0`;
    const response = { text, fields: 1 + request.response!.headers.length * 2 };
    results.push(engine.response(generation, 0, head, response, 1, now, state));
  }
  return results;
}

function headOf({ url, method = 'GET', headers = [], peer = '192.0.2.1:5000' }: TestRequest): Head {
  return requestHead(url, { method, headers, peer });
}

export interface Ruled {
  effects(request: TestRequest): Effect[];
  results(request: TestRequest): StageResult[];
  release(): void;
  readonly policy: RulePolicy;
}

/** A policy of these rules, loaded; throws when it has errors. */
export function withRules(
  engine: Engine,
  rules: readonly (Partial<RuleSource> & { when: string })[],
  options: Parameters<typeof rulePolicy>[1] = {},
): Ruled {
  const policy = rulePolicy(rules, options);
  const errors = policy.reports.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new Error(errors.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
  const generation = loadOne(engine, policy.image);
  const results = (request: TestRequest): StageResult[] => judge(engine, generation, policy, request);
  return {
    policy,
    results,
    release: () => engine.release(generation),
    effects: (request) => results(request).flatMap((result) => result.effects),
  };
}
