/** The engine for tests: built once, and again when its sources are newer. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { buildEngine } from '../../scripts/build-engine.ts';
import { createEngine, type Engine, type Head } from '../../src/waf/engine.ts';

const root = new URL('../../', import.meta.url);

export async function engineModule(): Promise<WebAssembly.Module> {
  const wasm = new URL('build/engine.wasm', root);
  const built = await stat(wasm).then(
    (info) => info.mtimeMs,
    () => 0,
  );
  const sources = await readdir(new URL('assembly/', root), { recursive: true });
  const times = await Promise.all(sources.map(async (name) => (await stat(new URL(`assembly/${name}`, root))).mtimeMs));
  const bytes = built > Math.max(...times) ? await readFile(wasm) : await buildEngine();
  return WebAssembly.compile(new Uint8Array(bytes));
}

export async function testEngine(): Promise<Engine> {
  return createEngine(await engineModule());
}

/** A request head as the router joins it; `Host` is added from the URL when it is missing. */
export function requestHead(
  url: string,
  options: { method?: string; headers?: readonly (readonly [string, string])[]; peer?: string } = {},
): Head {
  let headers = options.headers ?? [];
  if (!headers.some(([name]) => name === 'host')) {
    const host = /^[a-z]+:\/\/([^/?#]*)/i.exec(url)?.[1] ?? '';
    headers = [['host', host], ...headers];
  }
  let text = `${options.method ?? 'GET'}\0${url}\0${options.peer ?? '192.0.2.1:5000'}\0`;
  for (const [name, value] of headers) text += `${name}\0${value}\0`;
  return { text, fields: 3 + headers.length * 2 };
}
