/**
 * Builds the peers of the WAF on demand into `build/peers/`; nothing of them is in the repository but our harnesses, and
 * nothing of the product needs them. libmodsecurity comes from the system (Debian: libmodsecurity-dev), Coraza from the
 * Go module that go.mod and go.sum name.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { installed } from '../../harness/processes.ts';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const target = fileURLToPath(new URL('../../../build/peers/', import.meta.url));

export type PeerName = 'libmodsecurity' | 'coraza';
export interface Peers {
  /** Programs for `Peer.start`, by name. */
  readonly built: Readonly<Partial<Record<PeerName, string>>>;
  /** Why a peer is not there, in sentences. */
  readonly missing: readonly string[];
}

interface Recipe {
  readonly name: PeerName;
  readonly sources: readonly string[];
  /** What is missing on this machine, '' when nothing is. */
  lacks(): string;
  build(output: string): Promise<unknown>;
}

const recipes: readonly Recipe[] = [
  {
    name: 'libmodsecurity',
    sources: ['modsecurity/harness.cpp'],
    lacks: () =>
      !installed('g++')
        ? 'a C++ compiler (g++)'
        : !existsSync('/usr/include/modsecurity/modsecurity.h')
          ? 'libmodsecurity 3 with its headers (Debian: apt-get install libmodsecurity-dev)'
          : '',
    build: (output) =>
      run('g++', ['-std=c++17', '-O2', '-o', output, join(here, 'modsecurity/harness.cpp'), '-lmodsecurity']),
  },
  {
    name: 'coraza',
    sources: ['coraza/main.go', 'coraza/go.mod', 'coraza/go.sum'],
    lacks: () => (installed('go') ? '' : 'Go 1.25 or later'),
    // The tag gives regexes the flags that CRS is written for: no multiline.
    build: (output) =>
      run('go', ['build', '-trimpath', '-tags', 'coraza.rule.no_regex_multiline', '-o', output, '.'], {
        cwd: join(here, 'coraza'),
        timeout: 300_000,
      }),
  },
];

/** Builds what is not built yet or older than its sources. */
export async function buildPeers(): Promise<Peers> {
  mkdirSync(target, { recursive: true });
  const built: Partial<Record<PeerName, string>> = {};
  const missing: string[] = [];
  for (const recipe of recipes) {
    const output = join(target, recipe.name);
    const newest = Math.max(...recipe.sources.map((source) => statSync(join(here, source)).mtimeMs));
    const lacks = recipe.lacks();
    if (lacks !== '') {
      missing.push(`${recipe.name} is not built: this machine lacks ${lacks}`);
      continue;
    }
    if (!existsSync(output) || statSync(output).mtimeMs < newest) {
      try {
        await recipe.build(output);
      } catch (error) {
        missing.push(`${recipe.name} could not be built: ${error instanceof Error ? error.message : String(error)}`);
        continue;
      }
    }
    built[recipe.name] = output;
  }
  return { built, missing };
}
