/** Sallyport as `sallyport serve` runs it, supervisor apart: the same configuration, the images in a directory. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Deployment } from '../../src/cli/deployment.ts';
import { copyWorker, workerdConfig } from '../../src/cli/workerd.ts';
import { deployment } from './deployment.ts';

/** Puts worker, engine and the images of a table of `size` routes into `folder`; answers its configuration for a port. */
export async function gateway(folder: string, origin: string, size: number): Promise<(port: number) => string> {
  return worker(folder, await deployment(size, origin, true));
}

/** The same for images that are compiled already. */
export function worker(
  folder: string,
  { manifest, images, dials }: Pick<Deployment, 'manifest' | 'images' | 'dials'>,
): (port: number) => string {
  const directory = join(folder, 'images');
  mkdirSync(directory, { recursive: true });
  for (const [hash, bytes] of images) writeFileSync(join(directory, `${hash}.img`), bytes);
  writeFileSync(join(directory, 'current.json'), JSON.stringify(manifest));
  copyWorker(folder);
  const origins = dials.map((key) => ({ key, address: '127.0.0.1', problem: null }));
  return (port) =>
    workerdConfig({
      origins,
      secrets: new Map(),
      tls: null,
      authorities: [],
      v8Flags: [],
      images: { directory },
      listen: `127.0.0.1:${port}`,
      control: null,
    });
}
