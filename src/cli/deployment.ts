/** Policy files compiled into what is served: the manifest, the images it names, and what they need around them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, type Compiled, type Diagnostic, type Target } from '../compiler/index.ts';
import type { Manifest } from '../plan.ts';
import { Failure, sentence } from './failure.ts';
import { renderDiagnostics } from './report.ts';
import { artefact } from './workerd.ts';

export interface Deployment {
  readonly manifest: Manifest;
  /** By hash, lower-case hex SHA-256. */
  readonly images: Compiled['images'];
  /** Distinct `Endpoint.dial` of all apps. */
  readonly dials: readonly string[];
  /** Names of the secrets that some policy refers to. */
  readonly secrets: readonly string[];
}

export interface CompiledFiles {
  readonly diagnostics: readonly Diagnostic[];
  /** Null when there are errors. */
  readonly deployment: Deployment | null;
}

/** Compiles policy files, one app each. Throws a Failure when a file cannot be read. */
export async function compileFiles(
  files: readonly string[],
  target: Target = 'workerd',
  controlHost?: string,
): Promise<CompiledFiles> {
  const { manifest, images, dials, plans, diagnostics } = await compile({
    files: files.map(readPolicy),
    target,
    controlHost,
    agents: readFileSync(artefact('agents.img')),
  });
  if (manifest === null) return { diagnostics, deployment: null };
  const secrets = [...new Set(plans.flatMap((plan) => plan.secrets))];
  return { diagnostics, deployment: { manifest, images, dials, secrets } };
}

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

/** The deployment, or a Failure with its diagnostics, which are printed here unless --json prints them. */
export function requireDeployment({ diagnostics, deployment }: CompiledFiles, json: boolean): Deployment {
  if (!json && diagnostics.length > 0) process.stderr.write(`${renderDiagnostics(diagnostics)}\n`);
  if (deployment !== null) return deployment;
  throw new Failure('the policy has errors', { diagnostics });
}
