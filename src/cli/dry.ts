/** A deployment as the worker would run it, in this process: of nothing it does anything leaves. */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { Bundle } from '../platform/bindings.ts';
import type { DryRun, openDry as open } from '../router/explain.ts';
import type { Deployment } from './deployment.ts';
import { artefact } from './workerd.ts';

export async function openDeployment(deployment: Deployment): Promise<DryRun> {
  const { openDry } = (await import(pathToFileURL(artefact('explain.js')).href)) as { openDry: typeof open };
  const engine = await WebAssembly.compile(readFileSync(artefact('engine.wasm')));
  return openDry({ engine, bundle: bundleOf(deployment) });
}

function bundleOf({ manifest, images }: Deployment): Bundle {
  // A copy each: the worker gets buffers of its own too.
  return {
    manifest,
    images: Object.fromEntries([...images].map(([hash, bytes]) => [hash, new Uint8Array(bytes).buffer])),
  };
}
