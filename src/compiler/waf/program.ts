/**
 * Rule sets and settings to a WAF program (assembly/waf/abi.ts, A PROGRAM): the rules that can still matter under these
 * settings, in the order of their phases, as tables.
 */
import * as abi from '../../../assembly/waf/abi.ts';
import type { Pools } from '../image.ts';
import type { Place, RuleSet } from '../seclang/ruleset.ts';
import { encodeProgram } from './encode.ts';
import { foldRules } from './fold.ts';
import { prepareRules } from './prepare.ts';
import type { WafSettings } from './settings.ts';

export type { WafExclusionSetting, WafSettings } from './settings.ts';
export { DEFAULT_WAF_SETTINGS } from './settings.ts';

/** A rule set with the matchers that its heavy operators became. */
export interface MatchedRules {
  readonly ruleSet: RuleSet;
  /** Index into the app's rule-set images (Plan), or null: the matchers are in the policy image itself. */
  readonly image: number | null;
  /** Number of matchers in that section. */
  readonly matchers: number;
  /** Matcher of link `link` of entry `entry`, -1 for an operator that has none. */
  matcher(entry: number, link: number): number;
}

export interface CompiledProgram {
  readonly bytes: Uint8Array;
  /** Rules that are left, by index: what events are told with (SECTION_WAF_RULES). */
  readonly rules: readonly ProgramRule[];
  /** Names of the TX slots. */
  readonly slots: readonly string[];
  /** Number of ctl removals. */
  readonly removals: number;
  readonly problems: readonly ProgramProblem[];
}

export interface ProgramRule {
  readonly id: number;
  readonly phase: number;
  /** As written; where it holds macros, events bring it expanded. */
  readonly message: string;
  readonly severity: number;
  readonly tags: readonly string[];
  readonly action: string;
  /** Names of the transformations of its last link. */
  readonly transformations: readonly string[];
}

/** What cannot be honoured. */
export interface ProgramProblem {
  readonly place: Place;
  readonly message: string;
  readonly fix: string | undefined;
}

/** Rule sets are evaluated in the order given. Throws RangeError where a limit of the format is passed. */
export function compileProgram(sets: readonly MatchedRules[], settings: WafSettings, pools: Pools): CompiledProgram {
  const problems: ProgramProblem[] = [];
  const prepared = prepareRules(sets, settings, problems);
  return {
    ...encodeProgram(
      settings.fold ? foldRules(prepared, settings.mode === 'enforce') : prepared,
      settings,
      pools,
      problems,
    ),
    problems,
  };
}

/** SECTION_WAF of the programs of a policy; `routes`: program of each route, -1 for none. */
export function wafSection(programs: readonly Uint8Array[], routes: readonly number[]): Uint8Array {
  if (programs.length === 0) return new Uint8Array();
  if (programs.length > abi.MAX_WAF_PROGRAMS)
    throw new RangeError(`more than ${abi.MAX_WAF_PROGRAMS} different \`waf:\` settings`);
  const head = 8 + programs.length * 4 + ((routes.length + 3) & ~3);
  const bytes = new Uint8Array(head + programs.reduce((total, program) => total + program.length, 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, programs.length, true);
  view.setUint32(4, routes.length, true);
  let at = head;
  for (const [index, program] of programs.entries()) {
    view.setUint32(8 + index * 4, at, true);
    bytes.set(program, at);
    at += program.length;
  }
  for (const [route, program] of routes.entries()) {
    bytes[8 + programs.length * 4 + route] = program < 0 ? abi.NO_PROGRAM : program;
  }
  return bytes;
}
