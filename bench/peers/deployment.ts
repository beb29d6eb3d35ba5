/** A route table compiled into images by the product's own compiler, with the product's table of agents. */
import { existsSync, readFileSync } from 'node:fs';
import { artefact } from '../../src/cli/workerd.ts';
import { compile, formatDiagnostics, type Compiled } from '../../src/compiler/index.ts';
import { routeTable } from '../harness/table.ts';
import { policyText } from './policy.ts';

export const HOST = 'bench.localhost';

export async function deployment(size: number, origin: string, rules: boolean): Promise<Compiled> {
  const text = policyText(routeTable(size), HOST, origin, rules);
  const agents = existsSync(artefact('agents.img')) ? readFileSync(artefact('agents.img')) : null;
  const compiled = await compile({ files: [{ path: `table-${size}.yaml`, text }], target: 'workerd', agents });
  if (!compiled.ok)
    throw new Error(
      `the table of ${size} routes does not compile:\n${formatDiagnostics(compiled.diagnostics.slice(0, 3))}`,
    );
  return compiled;
}
