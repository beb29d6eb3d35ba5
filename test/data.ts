/**
 * Reference data that lies beside the repository and never in it: rule sets, test suites and corpora of others.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './gateway.ts';

/**
 * The folder `name` of the reference data: `$SALLYPORT_DATA/name`, or `shared/data/name` beside the repository or one
 * of the folders above it.
 */
export function dataFolder(name: string): string {
  const told = process.env['SALLYPORT_DATA'];
  const tried: string[] = [];
  if (told) tried.push(join(told, name));
  else
    for (let folder = ROOT; dirname(folder) !== folder; folder = dirname(folder))
      tried.push(join(dirname(folder), 'shared', 'data', name));
  const found = tried.find((folder) => existsSync(folder));
  if (!found)
    throw new Error(`the data folder ${name} is not there; set SALLYPORT_DATA (looked for ${tried.join(', ')})`);
  return found;
}
