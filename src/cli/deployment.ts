/** Policy files compiled into what is served: the manifest, the images it names, and what they need around them. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { compile } from '../compiler/index.ts';
import type { Diagnostic } from '../compiler/diagnostics.ts';
import type { Manifest } from '../plan.ts';
import { Failure, sentence } from './failure.ts';
import { renderDiagnostic } from './report.ts';
import { artefact } from './workerd.ts';

export interface Deployment {
  readonly manifest: Manifest;
  /** By hash, lower-case hex SHA-256. */
  readonly images: ReadonlyMap<string, Uint8Array>;
  /** Distinct `Endpoint.dial` of all apps. */
  readonly dials: readonly string[];
  /** Names of the secrets that some policy refers to. */
  readonly secrets: readonly string[];
  /** Files that were read, so that they can be watched. */
  readonly read: readonly string[];
}

export interface Compiled {
  readonly diagnostics: readonly Diagnostic[];
  /** Null when there are errors. */
  readonly deployment: Deployment | null;
}

/** Compiles policy files, one app each. Throws a Failure when a file cannot be read or nothing is built. */
export async function compileFiles(
  files: readonly string[],
  target: 'workerd' | 'cloudflare' = 'workerd',
): Promise<Compiled> {
  const read: string[] = [];
  const readFile = (path: string): string => {
    read.push(resolve(path));
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new Failure(sentence(error));
    }
  };
  const agents = readAgents();
  const { diagnostics, deployment } = await compile(
    files.map((path) => ({ path, text: readFile(path) })),
    { target, readFile, agents },
  );
  return { diagnostics, deployment: deployment === null ? null : { ...deployment, read } };
}

/** The deployment, or a Failure after its diagnostics were printed. */
export function requireDeployment({ diagnostics, deployment }: Compiled, json: boolean): Deployment {
  if (!json) for (const diagnostic of diagnostics) process.stderr.write(`${renderDiagnostic(diagnostic)}\n`);
  if (deployment !== null) return deployment;
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, diagnostics })}\n`);
  throw new Failure('the policy has errors');
}

let cachedAgents: Uint8Array | null = null;

function readAgents(): Uint8Array {
  try {
    return (cachedAgents ??= readFileSync(artefact('agents.img')));
  } catch {
    throw new Failure('the table of agents is not built; run npm run build');
  }
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
