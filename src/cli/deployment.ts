/** Policy files compiled into what is served: the manifest, the images it names, and what they need around them. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  compile,
  type AvailableRules,
  type Compiled,
  type CompileInput,
  type Diagnostic,
  type MissingRules,
  type MissingText,
  type Target,
} from '../compiler/index.ts';
import { withAddresses } from '../compiler/agents/addresses.ts';
import { nearest } from '../compiler/spelling.ts';
import type { Manifest } from '../plan.ts';
import { knownLists, readLists } from './agent-lists.ts';
import { Failure, sentence } from './failure.ts';
import { renderDiagnostics } from './report.ts';
import { readLock } from './lock.ts';
import { compiledRules, EMBEDDED, type Progress } from './rule-images.ts';
import { artefact } from './workerd.ts';

export interface Deployment {
  readonly manifest: Manifest;
  /** By hash, lower-case hex SHA-256. */
  readonly images: Compiled['images'];
  /** Distinct `Endpoint.dial` of all apps. */
  readonly dials: readonly string[];
  /** Names of the secrets that some policy refers to. */
  readonly secrets: readonly string[];
  /** The wildcard of the hosts that are tunnels, or null. */
  readonly tunnels: string | null;
  /** The apps that have a file. */
  readonly apps: readonly string[];
  /** Files beside the policies that these name. */
  readonly texts: readonly string[];
  /** Whether a rule has to count requests. */
  readonly counts: boolean;
}

export interface CompiledFiles {
  readonly diagnostics: readonly Diagnostic[];
  /** Null when there are errors. */
  readonly deployment: Deployment | null;
}

/**
 * Compiles policy files, one app each. Throws a Failure when a file cannot be read. `tunnels`: on this machine, tunnels
 * have hosts even where no policy says so.
 */
export async function compileFiles(
  files: readonly string[],
  target: Target = 'workerd',
  controlHost?: string,
  onProgress: Progress = reportProgress,
  tunnels = false,
): Promise<CompiledFiles> {
  const texts = new Set<string>();
  const compiled = await compile({
    files: files.map(readPolicy),
    target,
    controlHost,
    tunnels,
    agents: withAddresses(readFileSync(artefact('agents.img')), knownLists(readLists(process.cwd()))),
    rulesets: ruleSetFinder(process.cwd(), onProgress),
    texts(file, from) {
      texts.add(join(dirname(from), file));
      return readText(file, from);
    },
  });
  const { manifest, images, dials, plans, diagnostics } = compiled;
  if (manifest === null) return { diagnostics, deployment: null };
  const secrets = [...new Set(plans.flatMap((plan) => plan.secrets))];
  const apps = plans.slice(0, compiled.written).map(({ app }) => app);
  const counts = plans.some(({ rules }) => rules.some(({ rate }) => rate?.onError === 'closed'));
  const { tunnels: domain } = compiled;
  return {
    diagnostics,
    deployment: { manifest, images, dials, secrets, tunnels: domain, apps, texts: [...texts], counts },
  };
}

/** For this machine. Tunnels have hosts even where no policy says so, if there is an operator whose connectors could dial. */
export const compileHere = (files: readonly string[], operator: string | null): Promise<CompiledFiles> =>
  compileFiles(files, 'workerd', undefined, undefined, operator !== null);

/** A policy file as it is, or a Failure that says what is wrong with its name. */
export function readPolicy(path: string): { path: string; text: string } {
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EISDIR')
      throw new Failure(`${path} is a directory; name the files in it, such as ${join(path, '*.yaml')}`);
    throw new Failure(sentence(error));
  }
}

/** For `CompileInput.texts`. */
export function readText(file: string, from: string): string | MissingText {
  const path = join(dirname(from), file);
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return { problem: `${path} can not be read: ${sentence(error)}`, fix: 'paths are relative to the policy file' };
  }
}

/** The deployment, or a Failure with its diagnostics, which are printed here unless --json prints them. */
export function requireDeployment({ diagnostics, deployment }: CompiledFiles, json: boolean): Deployment {
  if (!json && diagnostics.length > 0) process.stderr.write(`${renderDiagnostics(diagnostics)}\n`);
  if (deployment !== null) return deployment;
  throw new Failure('the policy has errors', { diagnostics });
}

/** Rule sets of the project as the compiler asks for them; each is compiled at most once. */
export function ruleSetFinder(project: string, onProgress?: Progress): NonNullable<CompileInput['rulesets']> {
  const found = new Map<string, Promise<AvailableRules | MissingRules>>();
  const find = async (name: string): Promise<AvailableRules | MissingRules> => {
    try {
      return await compiledRules(project, name, onProgress);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const known = [EMBEDDED, ...Object.keys(readLock(project)), 'none'];
      const meant = nearest(name, known);
      const fix = meant === null || meant === name ? `known here: ${known.join(', ')}` : `did you mean \`${meant}\`?`;
      return { problem: error.message, fix };
    }
  };
  return (name) => {
    const known = found.get(name) ?? find(name);
    found.set(name, known);
    return known;
  };
}

let told = -1;

/** On a terminal a line that counts; elsewhere one line at the start, so that nobody wonders what takes so long. */
function reportProgress(name: string, done: number, total: number): void {
  const percent = Math.floor((done / Math.max(1, total)) * 100);
  if (percent === told) return;
  if (process.stderr.isTTY === true)
    process.stderr.write(`\r\u001b[2K${percent < 100 ? `compiling ${name}: ${percent} %` : ''}`);
  else if (told < 0) process.stderr.write(`compiling the rule set ${name}; the result is kept in .sallyport/cache\n`);
  told = percent;
}
