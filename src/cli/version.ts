/** The version of this package, from its package.json: one level up from dist/, two from src/cli/. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const manifest = [
  join(import.meta.dirname, '..', 'package.json'),
  join(import.meta.dirname, '..', '..', 'package.json'),
].find((path) => existsSync(path));

export const version: string =
  manifest === undefined ? 'unknown' : (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
