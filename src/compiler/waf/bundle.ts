/** Writes what src/waf/bundle.ts reads. */
import { BUNDLE_MAGIC } from '../../../assembly/waf/abi.ts';
import type { Manifest } from '../../plan.ts';
import { ByteWriter } from '../image.ts';

export function writeBundle(manifest: Manifest, images: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const listed = [...images].map(([hash, { length }]) => ({ hash, length }));
  const header = new TextEncoder().encode(JSON.stringify({ manifest, images: listed }));
  const writer = new ByteWriter().u32(BUNDLE_MAGIC).u32(header.length).bytes(header).align();
  for (const bytes of images.values()) writer.bytes(bytes).align();
  return writer.finish();
}
