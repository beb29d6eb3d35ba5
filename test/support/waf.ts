/** Rule sets from files to a WAF in this process; automata are kept under build/ by what they were made from. */
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newPools } from '../../src/compiler/image.ts';
import { readRuleSet, type RuleSet } from '../../src/compiler/seclang/index.ts';
import { compileRuleSet, readIr, type RuleSetArtefact } from '../../src/compiler/waf/artefact.ts';
import { wafImage } from '../../src/compiler/waf/image.ts';
import { matchedRules } from '../../src/compiler/waf/matched.ts';
import { guardBodies } from '../../src/compiler/waf/malformed.ts';
import { compileProgram, DEFAULT_WAF_SETTINGS, type WafSettings } from '../../src/compiler/waf/program.ts';
import { createWaf, type Waf } from '../../src/waf/transaction.ts';
import { ROOT } from '../gateway.ts';

const CACHE = join(ROOT, 'build/waf');

export interface OpenRules {
  readonly waf: Waf;
  readonly ruleSet: RuleSet;
  readonly images: { readonly policy: Uint8Array; readonly ruleSet: Uint8Array };
}

/**
 * `configuration` is SecLang; what it includes is read from disk. `malformed` is as in a policy, but for its default: a
 * configuration says itself what it does about such bodies. Throws with all diagnostics when it has errors.
 */
export async function openRules(
  configuration: string,
  settings: Partial<WafSettings> = {},
  malformed: 'reject' | 'log' | 'pass' = 'pass',
): Promise<OpenRules> {
  const main = join(ROOT, 'rules.conf');
  const { ruleSet, diagnostics, files } = readRuleSet({
    name: 'test',
    entry: [main],
    readFile: (path) => (path === main ? configuration : existsSync(path) ? readFileSync(path) : null),
    listFolder: (path) => (existsSync(path) ? readdirSync(path) : null),
  });
  refuse(diagnostics.filter(({ severity }) => severity === 'error'));
  const { image, ir } = await kept([configuration, ...files.filter((file) => file !== main).map(read)], () =>
    compileRuleSet(ruleSet).then(({ artefact, diagnostics: problems }) => {
      if (!artefact) refuse(problems);
      return artefact!;
    }),
  );
  const pools = newPools();
  const program = compileProgram(
    [matchedRules(guardBodies(ir.ruleSet, malformed), ir.matchers, 0)],
    { ...DEFAULT_WAF_SETTINGS, ...settings },
    pools,
  );
  if (program.problems.length > 0)
    throw new Error(program.problems.map(({ place, message }) => `${place.file}:${place.line}: ${message}`).join('\n'));
  const policy = wafImage([program], new Uint8Array(0), pools);
  const module = new WebAssembly.Module(readFileSync(join(ROOT, 'dist/engine.wasm')));
  return {
    waf: createWaf(module, { policy, ruleSets: [image] }),
    ruleSet: ir.ruleSet,
    images: { policy, ruleSet: image },
  };
}

const read = (file: string): string => readFileSync(file, 'latin1');

function refuse(problems: readonly { file: string; line: number; column: number; message: string }[]): void {
  if (problems.length > 0)
    throw new Error(
      problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`).join('\n'),
    );
}

/** Made once from these texts by this compiler. */
async function kept(texts: readonly string[], make: () => Promise<RuleSetArtefact>): Promise<RuleSetArtefact> {
  const hash = createHash('sha256');
  for (const file of globSync('{assembly/**/abi.ts,src/compiler/**/*.ts}', { cwd: ROOT }).sort())
    if (!file.endsWith('.test.ts')) hash.update(read(join(ROOT, file)));
  for (const text of texts) hash.update(text).update('\0');
  const base = join(CACHE, hash.digest('hex').slice(0, 32));
  if (existsSync(`${base}.img`) && existsSync(`${base}.json`)) {
    const ir = readIr(readFileSync(`${base}.json`, 'utf8'));
    if (ir) return { image: readFileSync(`${base}.img`), ir };
  }
  const made = await make();
  mkdirSync(CACHE, { recursive: true });
  for (const [name, content] of [
    ['img', made.image],
    ['json', JSON.stringify(made.ir)],
  ] as const) {
    writeFileSync(`${base}.${name}.${process.pid}`, content);
    renameSync(`${base}.${name}.${process.pid}`, `${base}.${name}`);
  }
  return made;
}
