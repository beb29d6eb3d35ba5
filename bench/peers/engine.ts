/** Sallyport's engine in Node, as src/waf/engine.ts drives it in the worker, given the same tables as other routers. */
import { readFileSync } from 'node:fs';
import { artefact } from '../../src/cli/workerd.ts';
import { createEngine, type Engine, type Generation, type Head } from '../../src/waf/engine.ts';
import { BROWSER_HEADERS, type TableRequest } from '../harness/table.ts';
import { deployment, HOST } from './deployment.ts';

export async function loadedEngine(
  size: number,
  rules: boolean,
  wasm = artefact('engine.wasm'),
  table = true,
): Promise<{ engine: Engine; generation: Generation }> {
  const { manifest, images } = await deployment(size, '127.0.0.1:9', rules);
  const load = (hash: string): { hash: string; bytes: Uint8Array } => ({ hash, bytes: images.get(hash)! });
  const { generation: id, hosts, agents, apps } = manifest;
  const engine = createEngine(new WebAssembly.Module(readFileSync(wasm)));
  const generation = engine.load({
    id,
    hosts: load(hosts),
    agents: agents === null || !table ? null : load(agents),
    apps: apps.map((app) => load(app.image)),
  });
  return { engine, generation };
}

export function headsOf(requests: readonly TableRequest[]): Head[] {
  const lines = [['host', HOST], ...BROWSER_HEADERS].toSorted(([a], [b]) => (a! < b! ? -1 : 1)); // as workerd sorts them
  return requests.map(({ method, target }) => {
    const text = `${method}\0http://${HOST}${target}\x00127.0.0.1:40404\0${lines.map(([name, value]) => `${name}\0${value}\0`).join('')}`;
    return { text, fields: 3 + lines.length * 2 };
  });
}
