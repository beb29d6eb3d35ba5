/** Compiles functions of assembly/ on their own, for unit tests of its parts. */
import asc from 'assemblyscript/asc';
import { readFile } from 'node:fs/promises';
import { IMAGES_AT, PAGE_BYTES, STATIC_AT } from '../../assembly/abi.ts';

const root = new URL('../..', import.meta.url);

export interface Assembly<Exports> {
  readonly exports: Exports;
  readonly memory: WebAssembly.Memory;
  /** Writes bytes where images live, 4-byte aligned; returns the address. */
  place(bytes: Uint8Array): number;
  /** Forgets what was placed. */
  clear(): void;
}

/** `entry` is AssemblyScript that exports what the test calls; its imports are relative to assembly/. */
export async function compileAssembly<Exports>(entry: string, pages = 256): Promise<Assembly<Exports>> {
  let binary: Uint8Array | null = null;
  const { error, stderr } = await asc.main(
    [
      'assembly/entry-of-test.ts',
      ...['--outFile', 'out.wasm', '--runtime', 'stub', '--use', 'abort=', '--importMemory'],
      ...['--memoryBase', String(STATIC_AT), '--enable', 'simd', '--noAssert', '-O3'],
    ],
    {
      readFile: async (name, base) => {
        if (name.endsWith('entry-of-test.ts')) return entry;
        return readFile(new URL(name, new URL(`${base}/`, root)), 'utf8').catch(() => null);
      },
      writeFile: (_name, contents) => {
        binary = contents as unknown as Uint8Array;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || binary === null) throw new Error(`does not compile\n${stderr.toString()}`);
  const memory = new WebAssembly.Memory({ initial: pages });
  const { instance } = await WebAssembly.instantiate(binary as BufferSource, { env: { memory } });
  let top = IMAGES_AT;
  return {
    exports: instance.exports as Exports,
    memory,
    place(bytes) {
      const at = top;
      if (at + bytes.length > pages * PAGE_BYTES) throw new RangeError('no room; call clear()');
      new Uint8Array(memory.buffer).set(bytes, at);
      top = (at + bytes.length + 7) & ~7;
      return at;
    },
    clear() {
      top = IMAGES_AT;
    },
  };
}
