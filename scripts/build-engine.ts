/** Compiles assembly/ to build/engine.wasm and prints its size. Run: node scripts/build-engine.ts */
import asc from 'assemblyscript/asc';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { RESULT_AT, STATIC_AT } from '../assembly/abi.ts';

const root = new URL('..', import.meta.url);

/** Flags: memory is the host's, so that an instance can be replaced after a trap while images stay; no allocator, no
 *  collector, no exceptions; SIMD. `-O3`: the engine is small, speed is what it is for. Static data that grows into what a
 *  call writes (RESULT_AT on) is an error. */
export async function buildEngine({
  entry = 'assembly/index.ts',
  folder = 'build',
  staticEnd = RESULT_AT,
} = {}): Promise<Uint8Array> {
  const { error, stderr } = await asc.main(
    [
      entry,
      ...['--outFile', `${folder}/engine.wasm`, '--textFile', `${folder}/engine.wat`],
      ...['--runtime', 'stub', '--use', 'abort=', '--importMemory', '--memoryBase', String(STATIC_AT)],
      ...['--lowMemoryLimit', String(staticEnd)],
      ...['--enable', 'simd', '--disable', 'mutable-globals', '--noAssert', '-O3'],
    ],
    {
      readFile: async (name, base) => {
        try {
          return await readFile(new URL(name, new URL(`${base}/`, root)), 'utf8');
        } catch {
          return null;
        }
      },
      writeFile: async (name, contents, base) => {
        await mkdir(new URL(`${folder}/`, root), { recursive: true });
        await writeFile(new URL(name, new URL(`${base}/`, root)), contents);
      },
      listFiles: () => [],
    },
  );
  if (error !== null) throw new Error(`the engine does not compile\n${stderr.toString()}`);
  const warnings = stderr.toString();
  if (warnings !== '') process.stderr.write(warnings);
  return readFile(new URL(`${folder}/engine.wasm`, root));
}

if (import.meta.main) {
  const wasm = await buildEngine();
  console.log(`build/engine.wasm: ${wasm.length} bytes, ${gzipSync(wasm).length} gzipped`);
}
