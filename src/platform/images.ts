/** Where images come from. Every store verifies a file against the hash that names it before handing it on. */
import { MAX_IMAGE_BYTES, MAX_RULESETS } from '../../assembly/abi.ts';
import type { Manifest } from '../plan.ts';
import type { Bundle, Fetcher } from './bindings.ts';
import type { ImageStore } from './platform.ts';

const HASH = /^[0-9a-f]{64}$/;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Reads files from an on-prem `disk` service. */
export function diskImages(disk: Fetcher): ImageStore {
  return {
    async get(hash) {
      requireHash(hash);
      const response = await disk.fetch(`http://images/${hash}.img`);
      if (!response.ok) throw new Error(`image ${hash} is not on disk (status ${response.status})`);
      return await verified(hash, await response.arrayBuffer());
    },
    async current() {
      const response = await disk.fetch('http://images/current.json');
      if (response.status === 404) return null;
      if (!response.ok) throw new Error(`current.json can't be read (status ${response.status})`);
      return readManifest(await response.json());
    },
  };
}

/** Images that are modules of the bundle, or otherwise in memory. */
export function memoryImages(bundle: Bundle): ImageStore {
  return {
    async get(hash) {
      requireHash(hash);
      const bytes = bundle !== null && Object.hasOwn(bundle.images, hash) ? bundle.images[hash] : undefined;
      if (bytes === undefined) throw new Error(`image ${hash} is not in the bundle`);
      return await verified(hash, bytes);
    },
    async current() {
      return bundle === null ? null : readManifest(bundle.manifest);
    },
  };
}

async function verified(hash: string, buffer: ArrayBuffer): Promise<Uint8Array> {
  if (buffer.byteLength > MAX_IMAGE_BYTES) throw new Error(`image ${hash} is larger than ${MAX_IMAGE_BYTES} bytes`);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', buffer));
  let text = '';
  for (const byte of digest) text += HEX[byte];
  if (text !== hash) throw new Error(`image ${hash} is altered: its SHA-256 is ${text}`);
  return new Uint8Array(buffer);
}

function requireHash(hash: string): void {
  // The hash becomes part of a file name: nothing but hex may pass.
  if (!HASH.test(hash)) throw new Error('an image is named by 64 lower-case hex digits');
}

export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

/** Checks that a JSON value is a Manifest and copies it, so that nothing else of the value is kept. */
export function readManifest(value: unknown): Manifest {
  const source = record(value, 'manifest');
  const generation = source['generation'];
  if (typeof generation !== 'string' || generation === '' || generation.length > 200)
    throw new ManifestError('manifest.generation must be a text of 1 to 200 characters');
  const agents = source['agents'] ?? null;
  const apps = source['apps'];
  if (!Array.isArray(apps)) throw new ManifestError('manifest.apps must be a list');
  return {
    generation,
    hosts: readHash(source['hosts'], 'manifest.hosts'),
    agents: agents === null ? null : readHash(agents, 'manifest.agents'),
    apps: apps.map((item: unknown, index) => {
      const app = record(item, `manifest.apps[${index}]`);
      const name = app['name'];
      if (typeof name !== 'string' || name === '' || name.length > 200)
        throw new ManifestError(`manifest.apps[${index}].name must be a text of 1 to 200 characters`);
      const rulesets = app['rulesets'] ?? [];
      if (!Array.isArray(rulesets) || rulesets.length > MAX_RULESETS)
        throw new ManifestError(`manifest.apps[${index}].rulesets must be a list of at most ${MAX_RULESETS}`);
      return {
        name,
        image: readHash(app['image'], `manifest.apps[${index}].image`),
        rulesets: rulesets.map((one: unknown, at) => readHash(one, `manifest.apps[${index}].rulesets[${at}]`)),
      };
    }),
  };
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ManifestError(`${what} must be an object`);
  return value as Record<string, unknown>;
}

function readHash(value: unknown, what: string): string {
  if (typeof value !== 'string' || !HASH.test(value))
    throw new ManifestError(`${what} must be 64 lower-case hex digits`);
  return value;
}
