/** Checks types of the two worlds: what runs in the worker and what runs in Node. Run: npm run types */
import { spawnSync } from 'node:child_process';
import { root } from './build.ts';

export const PROJECTS = ['tsconfig.worker.json', 'tsconfig.node.json'];

/** What the compiler complains about, '' when nothing. */
export function typeErrors(project: string): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project], {
    cwd: root,
    encoding: 'utf8',
  });
  return status === 0 ? '' : `${stdout}${stderr}`.trim() || `tsc ended with ${status}`;
}

if (import.meta.main) {
  for (const project of PROJECTS) {
    const errors = typeErrors(project);
    console.log(`${project}: ${errors === '' ? 'no errors' : `\n${errors}`}`);
    if (errors !== '') process.exitCode = 1;
  }
}
