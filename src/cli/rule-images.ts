/** Compiled rule sets: the embedded one from the build, others compiled once and kept in `.sallyport/cache/`. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VERSION } from '../../assembly/abi.ts';
import type { Diagnostic } from '../compiler/diagnostics.ts';
import { readRuleSet, type RuleSet } from '../compiler/seclang/index.ts';
import { compileRuleSet, IR_VERSION, isLeftOut, readIr, type RuleSetIr } from '../compiler/waf/artefact.ts';
import type { RuleFiles } from './archive.ts';
import { Failure } from './failure.ts';
import { digestOf, readLock, sha256, type LockedRules } from './lock.ts';
import { entryFiles, lockedFiles } from './rulesets.ts';
import { version } from './version.ts';
import { artefact } from './workerd.ts';

export const CACHE_FOLDER = join('.sallyport', 'cache');
export const EMBEDDED = 'core';

/** Called while a rule set is compiled, which takes a minute for the CRS. */
export type Progress = (name: string, done: number, total: number) => void;

export interface CompiledRules {
  readonly hash: string; // of the image
  readonly image: Uint8Array;
  readonly ir: RuleSetIr;
  /** Of its SecLang; none of them is an error. From the cache only what is left out. */
  readonly diagnostics: readonly Diagnostic[];
  readonly cached: boolean;
}

/** Reads the SecLang of a rule set's files. */
export function readFiles(
  name: string,
  files: RuleFiles,
  unsupported: LockedRules['unsupported'],
): { ruleSet: RuleSet; diagnostics: readonly Diagnostic[] } {
  return readRuleSet({
    onUnsupportedPattern: unsupported ?? 'error',
    name,
    entry: entryFiles(files),
    readFile: (path) => files.get(path) ?? null,
    listFolder: (folder) => namesIn(files, folder),
  });
}

function namesIn(files: RuleFiles, folder: string): string[] | null {
  const prefix = folder === '' || folder === '.' ? '' : `${folder.replace(/\/$/, '')}/`;
  const names = new Set<string>();
  for (const path of files.keys()) if (path.startsWith(prefix)) names.add(path.slice(prefix.length).split('/', 1)[0]!);
  return names.size === 0 ? null : [...names];
}

/** A rule set of the project, compiled; from the cache where it has been before. Throws a Failure with diagnostics. */
export async function compiledRules(project: string, name: string, onProgress?: Progress): Promise<CompiledRules> {
  if (name === EMBEDDED) return embeddedRules();
  const files = lockedFiles(project, name);
  const unsupported = readLock(project)[name]?.unsupported;
  const base = join(project, CACHE_FOLDER, `${name}-${keyOf(files, unsupported)}`);
  const kept = readKept(base);
  if (kept !== null) return kept;
  const compiled = await compileFilesOf(name, files, unsupported, onProgress);
  writeKept(base, compiled);
  return compiled;
}

export async function compileFilesOf(
  name: string,
  files: RuleFiles,
  unsupported: LockedRules['unsupported'],
  onProgress?: Progress,
): Promise<CompiledRules> {
  const { ruleSet, diagnostics } = readFiles(name, files, unsupported);
  const refuse = (problems: readonly Diagnostic[]): Failure => {
    const patterns = problems.some(({ code }) => code === 'bad-regex' || code === 'macro-in-pattern');
    const more = patterns
      ? `, sallyport rules add ${name} --leave-out-unsupported does without rules whose patterns cannot be had`
      : '';
    return new Failure(`the rule set ${name} has errors; sallyport rules test ${name} shows them${more}`, {
      diagnostics: problems,
    });
  };
  if (diagnostics.some(({ severity }) => severity === 'error')) throw refuse(diagnostics);
  const options =
    onProgress === undefined ? {} : { onProgress: (done: number, all: number) => onProgress(name, done, all) };
  const found = await compileRuleSet(ruleSet, { ...options, leftOut: diagnostics.filter(isLeftOut) });
  if (found.artefact === null) throw refuse([...diagnostics, ...found.diagnostics]);
  const { image, ir } = found.artefact;
  return { hash: sha256(image), image, ir, diagnostics, cached: false };
}

/** The embedded rule set, as `npm run build` left it. */
function embeddedRules(): CompiledRules {
  const kept = readKept(artefact('core.img').replace(/\.img$/, ''));
  if (kept === null) throw new Failure('the embedded rule set is missing; npm run build makes it');
  return kept;
}

function readKept(base: string): CompiledRules | null {
  if (!existsSync(`${base}.img`) || !existsSync(`${base}.ir.json`)) return null;
  const ir = readIr(readFileSync(`${base}.ir.json`, 'utf8'));
  if (ir === null) return null;
  const image = readFileSync(`${base}.img`);
  return { hash: sha256(image), image, ir, diagnostics: ir.leftOut, cached: true };
}

export function writeKept(base: string, { image, ir }: Pick<CompiledRules, 'image' | 'ir'>): void {
  mkdirSync(dirname(base), { recursive: true });
  // The image first: an IR without its image is none.
  for (const [suffix, content] of [
    ['.img', image],
    ['.ir.json', JSON.stringify(ir)],
  ] as const) {
    writeFileSync(`${base}${suffix}.new`, content);
    renameSync(`${base}${suffix}.new`, base + suffix);
  }
}

/** Of the files and of the compiler: either of them changed, and it is compiled again. */
export function keyOf(files: RuleFiles, unsupported: LockedRules['unsupported']): string {
  const parts = [digestOf(files), unsupported ?? '', VERSION, IR_VERSION, version, compilerStamp()];
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 32);
}

/** What the build says the rule-set compiler is made of. */
function compilerStamp(): string {
  try {
    const stamps = JSON.parse(readFileSync(artefact('stamp.json'), 'utf8')) as Record<string, string>;
    return stamps['core.img'] ?? '';
  } catch {
    return '';
  }
}
