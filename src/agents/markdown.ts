/** A page as Markdown: bytes of HTML in, text out. */

/**
 * Bytes of HTML that are converted, as they come and decoded; longer pages stay HTML. PERF: pages of this length take some
 * 30 ms, the worst that is known (quotations without end) 1 s.
 */
export const MAX_MARKDOWN_BYTES = 524_288;
/** Bytes in which a page may name its encoding. SPEC: HTML, section 13.2.3.2. */
const PRESCAN_BYTES = 1024;

/**
 * Null: the encoding of the page is not known, or the page is more than the converter bears. `type` is its Content-Type.
 * PERF: the library is a sixth of the worker, so it is a module of its own (scripts/build.ts) that is read when first asked
 * for, not when a worker starts.
 */
export async function markdownOf(bytes: Uint8Array, type: string): Promise<string | null> {
  const html = decode(bytes, type);
  if (html === null) return null;
  const { htmlToMarkdown } = await import('@mdream/js/core');
  try {
    return `${htmlToMarkdown(html).trim()}
`;
  } catch {
    return null; // such as rows outside of any table
  }
}

/** What a tokenizer would count, nearly: four characters each. */
export function estimatedTokens(text: string): number {
  return Math.ceil(text.length / 4);
}

/** SPEC: HTML, section 13.2.3: a byte order mark, else what HTTP says, else what the page says; else UTF-8. */
function decode(bytes: Uint8Array, type: string): string | null {
  const said = /;\s*charset\s*=\s*"?([^\s";]{1,40})/i.exec(type)?.[1];
  try {
    return new TextDecoder(marked(bytes) ?? said ?? declared(bytes) ?? 'utf-8').decode(bytes);
  } catch {
    return null; // no encoding of that name
  }
}

function marked(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : undefined;
}

function declared(bytes: Uint8Array): string | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, PRESCAN_BYTES)).replaceAll(/<!--[^]*?(?:-->|$)/g, '');
  const named = /<meta\s[^>]*?charset\s*=\s*["']?\s*([^\s"'/>;]{1,40})/i.exec(text)?.[1];
  // SPEC: the same section: a page that can be read so far is not of UTF-16.
  return named !== undefined && /^utf-?16/i.test(named) ? 'utf-8' : named;
}
