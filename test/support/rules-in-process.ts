/** SecLang text to a WAF in this process, for tests of the engine. */
import { newPools } from '../../src/compiler/image.ts';
import { readRuleSet } from '../../src/compiler/seclang/index.ts';
import { isRule, matchersOf } from '../../src/compiler/waf/artefact.ts';
import { wafImage } from '../../src/compiler/waf/image.ts';
import { matchedRules } from '../../src/compiler/waf/matched.ts';
import { compileProgram, DEFAULT_WAF_SETTINGS, type WafSettings } from '../../src/compiler/waf/program.ts';
import { createWaf, type RawTransaction, type Waf, type WafVerdict } from '../../src/waf/transaction.ts';
import { engineModule } from './engine.ts';

let engine: WebAssembly.Module | null = null;

export interface Images {
  readonly policy: Uint8Array;
  readonly rules: number;
}

/** Throws with what is wrong in the text. */
export async function imagesOf(text: string, settings: Partial<WafSettings> = {}): Promise<Images> {
  const { ruleSet, diagnostics } = readRuleSet({ name: 'test', entry: ['test.conf'], readFile: () => text });
  const wrong = diagnostics.filter(({ severity }) => severity === 'error');
  const { section, matchers, diagnostics: more } = await matchersOf(ruleSet.entries.filter(isRule));
  for (const { line, message } of [...wrong, ...more]) throw new Error(`line ${line}: ${message}`);
  const pools = newPools();
  const all = { ...DEFAULT_WAF_SETTINGS, ...settings };
  const program = compileProgram([matchedRules(ruleSet, matchers, null)], all, pools);
  for (const { message } of program.problems) throw new Error(message);
  return { policy: wafImage([program], section, pools), rules: program.rules.length };
}

export async function wafOf(text: string, settings: Partial<WafSettings> = {}): Promise<Waf> {
  const { policy } = await imagesOf(text, settings);
  engine ??= await engineModule();
  return createWaf(engine, { policy });
}

/** A request; `headers` as `Name: value`. */
export function request(
  uri: string,
  more: Partial<Omit<RawTransaction, 'headers'>> & { headers?: string[] } = {},
): RawTransaction {
  const { headers = [], body = '', ...rest } = more;
  return {
    method: body.length > 0 ? 'POST' : 'GET',
    uri,
    protocol: 'HTTP/1.1',
    peer: '192.0.2.1',
    ...rest,
    body,
    headers: ['Host: shop.example', ...headers].map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
    }),
  };
}

/** Events as `id target` and, behind that, `=log data` where there is any. */
export function told({ events }: WafVerdict): string[] {
  return events.map(({ rule, target, logdata }) => `${rule} ${target}${logdata === '' ? '' : `=${logdata}`}`);
}
