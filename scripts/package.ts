/** The rest of pkg/: the engine, the embedded rules as a bundle, types, and a package.json, so that it stands on its own. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { compile } from '../src/compiler/index.ts';
import { writeBundle } from '../src/compiler/waf/bundle.ts';
import { compiledRules } from '../src/cli/rule-images.ts';

const root = dirname(import.meta.dirname);
/** Every host, every path; the embedded rule set blocks, and looks at answers too. */
const POLICY = 'app: waf\nwaf: { response: { inspect: true } }\nroutes: [{ name: all }]\n';

export async function writePackage(folder: string): Promise<void> {
  copyFileSync(join(root, 'dist/engine.wasm'), join(folder, 'engine.wasm'));
  const { manifest, images, diagnostics } = await compile({
    files: [{ path: 'core.yaml', text: POLICY }],
    target: 'workerd',
    agents: null,
    rulesets: (name) => compiledRules(root, name),
  });
  if (manifest === null) throw new Error(JSON.stringify(diagnostics));
  writeFileSync(join(folder, 'core.bin'), writeBundle(manifest, images));
  writeTypes(
    join(folder, 'types'),
    ['src/waf', 'src/agents'],
    ['--lib', 'es2024', '--types', '@cloudflare/workers-types'],
  );
  const { version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, string>;
  const exports = {
    '.': { types: './types/src/waf/index.d.ts', default: './index.js' },
    './agents': { types: './types/src/agents/index.d.ts', default: './agents.js' },
    './engine.wasm': './engine.wasm',
    './core.bin': './core.bin',
  };
  const manifestText = { name: 'sallyport-waf', version, license, type: 'module', exports };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifestText, null, 2)}\n`);
}

/** Types of `sallyport/connector`, which runs in Node. */
export function writeConnectorTypes(folder: string): void {
  writeTypes(
    folder,
    ['src/tunnel/connector'],
    ['--lib', 'es2024,dom,dom.iterable', '--types', 'node', '--skipLibCheck'],
  );
}

/** Of the `index.ts` of each part, and whatever these import. */
function writeTypes(folder: string, parts: readonly string[], world: readonly string[]): void {
  for (const part of parts) rmSync(join(folder, part), { recursive: true, force: true });
  const options = [
    ...['--declaration', '--emitDeclarationOnly', '--outDir', folder, '--rootDir', root, '--target', 'es2024'],
    ...['--module', 'esnext', '--moduleResolution', 'bundler', '--allowImportingTsExtensions', '--strict'],
    ...['--ignoreConfig', ...world],
  ];
  const entries = parts.map((part) => join(root, part, 'index.ts'));
  const args = [join(root, 'node_modules/typescript/bin/tsc'), ...entries, ...options];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`no types could be written:\n${stdout}`);
  // Beside them stands no source: where an import says .ts, readers look for .js and find .d.ts.
  for (const file of globSync('**/*.d.ts', { cwd: folder })) {
    const path = join(folder, file);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/(from '|import\(')(\.[^']*)\.ts'/g, "$1$2.js'"));
  }
}
