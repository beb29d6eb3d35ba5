/** WAF programs as a policy image of their own: what the in-process API loads. */
import {
  KIND_POLICY,
  SECTION_LISTS,
  SECTION_MATCHERS,
  SECTION_PLAN,
  SECTION_REGEXES,
  SECTION_SETTINGS,
  SECTION_STRINGS,
  SECTION_WAF,
  SECTION_WAF_RULES,
  SETTING_TRUSTED_LIST,
  SETTING_WORDS,
} from '../../../assembly/abi.ts';
import { ImageWriter, type Pools } from '../image.ts';
import { wafSection, type CompiledProgram } from './program.ts';

const encoder = new TextEncoder();

/** SECTION_WAF_RULES: what the events of the programs are told with. */
export function wafRulesSection(programs: readonly CompiledProgram[]): Uint8Array {
  if (programs.length === 0) return new Uint8Array();
  const infos = programs.map(({ rules, slots, removals }) => ({ rules, slots, removals }));
  return encoder.encode(JSON.stringify(infos));
}

/** `matchers`: those of rules whose set has no image of its own (compileRuleSet), empty for none. */
export function wafImage(programs: readonly CompiledProgram[], matchers: Uint8Array, pools: Pools): Uint8Array {
  const image = new ImageWriter(KIND_POLICY);
  const settings = new Uint32Array(SETTING_WORDS);
  settings[SETTING_TRUSTED_LIST] = 0xffffffff;
  image.section(SECTION_SETTINGS, new Uint8Array(settings.buffer));
  image.section(
    SECTION_PLAN,
    encoder.encode(JSON.stringify({ app: 'waf', routeActions: [], actions: [], rulesets: [] })),
  );
  image.section(
    SECTION_WAF,
    wafSection(
      programs.map(({ bytes }) => bytes),
      [],
    ),
  );
  image.section(SECTION_WAF_RULES, wafRulesSection(programs));
  image.section(SECTION_MATCHERS, matchers);
  image.section(SECTION_REGEXES, pools.regexes.bytes());
  image.section(SECTION_LISTS, pools.lists.bytes());
  image.section(SECTION_STRINGS, pools.strings.bytes());
  return image.finish();
}
