/**
 * Builds chisel and frp on demand into `build/peers/`, at the versions that go.mod and go.sum name; nothing of them is in
 * the repository. One module for both, since `go install` takes no program whose module replaces a dependency, as frp's
 * does. ssh comes from the system (Debian: openssh-server, openssh-client).
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { installed } from '../../harness/processes.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const target = fileURLToPath(new URL('../../../build/peers/', import.meta.url));
const PACKAGES: Readonly<Record<GoProgram, string>> = {
  chisel: 'github.com/jpillora/chisel',
  frps: 'github.com/fatedier/frp/cmd/frps',
  frpc: 'github.com/fatedier/frp/cmd/frpc',
};

export type GoProgram = 'chisel' | 'frps' | 'frpc';
export type Built = { readonly path: (program: GoProgram) => string } | { readonly missing: string };

export async function buildTunnelPeers(): Promise<Built> {
  const path = (program: GoProgram): string => join(target, program);
  const programs = Object.keys(PACKAGES) as GoProgram[];
  const newest = Math.max(...['go.mod', 'go.sum'].map((file) => statSync(join(here, file)).mtimeMs));
  if (programs.every((program) => existsSync(path(program)) && statSync(path(program)).mtimeMs >= newest))
    return { path };
  if (!installed('go')) return { missing: 'chisel and frp are not built: this machine lacks Go 1.25 or later' };
  mkdirSync(target, { recursive: true });
  try {
    const words = ['build', '-mod=mod', '-trimpath', '-o', target, ...Object.values(PACKAGES)];
    await promisify(execFile)('go', words, { cwd: here, timeout: 600_000 });
    return { path };
  } catch (error) {
    return { missing: `chisel and frp could not be built: ${error instanceof Error ? error.message : String(error)}` };
  }
}
