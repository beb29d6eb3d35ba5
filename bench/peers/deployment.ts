/** A route table compiled into images as the command line compiles a policy file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileFiles, requireDeployment, type Deployment } from '../../src/cli/deployment.ts';
import { routeTable } from '../harness/table.ts';
import { policyText } from './policy.ts';

export const HOST = 'bench.localhost';

export async function deployment(size: number, origin: string, rules: boolean): Promise<Deployment> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  try {
    const file = join(folder, `table-${size}.yaml`);
    writeFileSync(file, policyText(routeTable(size), HOST, origin, rules));
    return requireDeployment(await compileFiles([file]), false);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
