/** A manifest with its images in one piece of bytes: what `sallyport/waf` is given (BUNDLE in assembly/waf/abi.ts). */
import { BUNDLE_MAGIC, MAX_BUNDLE_HEADER_BYTES } from '../../assembly/waf/abi.ts';
import type { Manifest } from '../plan.ts';
import type { Loaded } from './images.ts';

export interface Bundle {
  readonly manifest: Manifest;
  readonly images: ReadonlyMap<string, Loaded>;
}

interface Header {
  readonly manifest: Manifest;
  readonly images: readonly { readonly hash: string; readonly length: number }[];
}

/** Throws a RangeError for what is no bundle; what is in the images is checked when they are opened. */
export function readBundle(source: ArrayBuffer | Uint8Array): Bundle {
  const bytes = source instanceof Uint8Array ? source : new Uint8Array(source);
  const refuse = (why: string): RangeError => new RangeError(`this is no bundle of sallyport rules: ${why}`);
  if (bytes.length < 8) throw refuse('it is too short');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(0, true) !== BUNDLE_MAGIC) throw refuse('it begins with something else');
  const length = view.getUint32(4, true);
  if (length > MAX_BUNDLE_HEADER_BYTES || 8 + length > bytes.length) throw refuse('its header is cut off');
  let header: Partial<Header> | null;
  try {
    header = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, 8 + length)),
    ) as Header | null;
  } catch {
    throw refuse('its header is not JSON');
  }
  if (header?.manifest === undefined || !Array.isArray(header.images)) throw refuse('its header is not one');
  const images = new Map<string, Loaded>();
  let at = 8 + ((length + 3) & ~3);
  for (const { hash, length: size } of header.images as Header['images']) {
    if (!Number.isSafeInteger(size) || size < 0 || at + size > bytes.length) throw refuse('an image is cut off');
    // A copy: an image is aligned in the engine's memory, whatever it was here.
    images.set(hash, { hash, bytes: bytes.slice(at, at + size) });
    at += (size + 3) & ~3;
  }
  return { manifest: header.manifest, images };
}
