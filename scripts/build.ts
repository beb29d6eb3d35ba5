/**
 * Builds dist/ from the sources: the engine, the worker bundle, explain.js and the command as
 * JavaScript. Only what is stale is built again: each part remembers a digest of the files it was made from.
 * Run: npm run build [-- --force]
 */
import { build as bundle, stop as stopBundler, type BuildOptions, type Metafile, type Plugin } from 'esbuild';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export const root = dirname(import.meta.dirname);
const dist = join(root, 'dist');
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};
const stampFile = join(dist, 'stamp.json');

interface Part {
  readonly name: string;
  /** Globs of everything that the outputs depend on, beside package-lock.json and this file. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly make: () => Promise<void>;
}

/** The options for code that runs in workerd and on Cloudflare alike. */
const workerOptions: BuildOptions = {
  bundle: true,
  format: 'esm',
  platform: 'neutral',
  target: 'es2024',
  mainFields: ['module', 'main'],
  conditions: ['workerd', 'worker', 'browser'],
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
};

/** The library that few requests need, a module of its own in the worker. */
const MARKDOWN = '@mdream/js/core';
const apart: Plugin = {
  name: 'apart',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^@mdream\/js\/core$/ }, () => ({ path: './markdown.js', external: true })),
};

/** What `tunnel listen` needs of packages, in the command itself. PERF: to find and read them takes 10 ms of its start. */
const WITHIN: ReadonlySet<string> = new Set(['citty', 'picocolors', 'ws']);
/** What `ws` asks for when it is loaded: compression, which nothing here uses, and TLS. PERF: 3 and 10 ms where neither is used. */
const late: Plugin = {
  name: 'late',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^(?:zlib|tls|https)$/ }, ({ path }) => ({ path, namespace: 'late' }));
    onLoad({ filter: /./, namespace: 'late' }, ({ path }) => ({
      contents: `module.exports = new Proxy({}, { get: (_, name) => process.getBuiltinModule('${path}')[name] });`,
    }));
  },
};

/** `tunnel listen`, which is to start fast, is one file. PERF: in chunks that it shares with others it is 20, 0.5 ms each. */
const listenApart: Plugin = {
  name: 'listen-apart',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\.\/tunnel\/listen\.ts$/ }, () => ({ path: './cli-listen.js', external: true })),
};

/**
 * Bundles code for Node. Node's own modules come by `process.getBuiltinModule`: PERF: an `import` of node:http or node:tls
 * reads every export that they have, which loads undici, HTTP/2 and the root certificates: 45 ms of a start.
 */
async function bundleForNode(options: BuildOptions): Promise<void> {
  const { outputFiles } = await bundle({
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    legalComments: 'none',
    logLevel: 'warning',
    // No look for native parts of `ws` that are not there.
    define: { 'process.env.WS_NO_BUFFER_UTIL': '"1"', 'process.env.WS_NO_UTF_8_VALIDATE': '"1"' },
    plugins: [late],
    ...options,
    write: false,
  });
  for (const { path, text } of outputFiles) {
    const found = (name: string): string => `process.getBuiltinModule("${name}")`;
    const written = text
      .replaceAll(/^import \{([^{}]*)\} from "node:([a-z_/]+)";$/gm, (_, names: string, name: string) => {
        return `const {${names.replaceAll(' as ', ': ')}} = ${found(name)};`;
      })
      .replaceAll(/^import (\w+) from "node:([a-z_/]+)";$/gm, (_, all: string, name: string) => {
        return `const ${all} = ${found(name)};`;
      })
      .replaceAll(/\b__require\("(?:node:)?([a-z_/]+)"\)/g, (_, name: string) => found(name));
    const left = /^(?:import|export) .* from "node:.*$|\b__require\(".*$/m.exec(written);
    if (left !== null) throw new Error(`${path} still has ${left[0]}`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, written);
  }
}

const parts: readonly Part[] = [
  {
    name: 'engine.wasm',
    inputs: ['assembly/**/*.ts', 'scripts/build-engine.ts'],
    outputs: ['dist/engine.wasm'],
    async make() {
      const { buildEngine } = await import('./build-engine.ts');
      writeFileSync(join(dist, 'engine.wasm'), await buildEngine());
    },
  },
  {
    name: 'agents.img',
    inputs: [
      'assembly/**/abi.ts',
      'assembly/regex/abi.ts',
      'src/compiler/agents/*.ts',
      'src/compiler/regex/*.ts',
      'src/compiler/image.ts',
    ],
    outputs: ['dist/agents.img'],
    async make() {
      const { compileAgents } = await import('../src/compiler/agents/agents.ts');
      writeFileSync(join(dist, 'agents.img'), compileAgents());
    },
  },
  {
    name: 'core.img',
    inputs: [
      ...['rules/**/*', 'assembly/**/abi.ts', 'src/compiler/image.ts'],
      ...['src/compiler/{regex,seclang,waf}/*.ts', 'src/cli/{archive,rulesets,rule-images}.ts'],
    ],
    outputs: ['dist/core.img', 'dist/core.ir.json'],
    async make() {
      const { readFolder } = await import('../src/cli/archive.ts');
      const { compileFilesOf, EMBEDDED, writeKept } = await import('../src/cli/rule-images.ts');
      writeKept(join(dist, EMBEDDED), await compileFilesOf(EMBEDDED, readFolder(join(root, 'rules')), undefined));
    },
  },
  {
    name: 'worker.js',
    inputs: ['src/**/*.ts', 'assembly/**/abi.ts'],
    outputs: ['dist/worker.js'],
    async make() {
      const { metafile } = await bundle({
        ...workerOptions,
        entryPoints: [join(root, 'src/router/worker.ts')],
        outfile: join(dist, 'worker.js'),
        // PERF: 2 of 50 ms of a start, which is mostly reading; names stay, so that stacks in the log can be read.
        minifyWhitespace: true,
        minifySyntax: true,
        external: ['./engine.wasm', './images.js', 'cloudflare:*', 'node:*'],
        plugins: [apart],
      });
      refuseNode(metafile!, 'worker.js');
    },
  },
  {
    name: 'markdown.js',
    inputs: [],
    outputs: ['dist/markdown.js'],
    async make() {
      const { metafile } = await bundle({
        ...workerOptions,
        stdin: { contents: `export { htmlToMarkdown } from '${MARKDOWN}';`, resolveDir: root },
        outfile: join(dist, 'markdown.js'),
        minifyWhitespace: true,
        minifySyntax: true,
      });
      refuseNode(metafile!, 'markdown.js');
    },
  },
  {
    name: 'explain.js',
    inputs: ['src/**/*.ts', 'assembly/**/abi.ts'],
    outputs: ['dist/explain.js'],
    async make() {
      const { metafile } = await bundle({
        ...workerOptions,
        entryPoints: [join(root, 'src/router/explain.ts')],
        outfile: join(dist, 'explain.js'),
        external: ['./engine.wasm', './images.js', 'cloudflare:*', 'node:*'],
      });
      refuseNode(metafile!, 'explain.js');
    },
  },
  {
    name: 'pkg',
    inputs: [
      'src/waf/*.ts',
      'src/agents/*.ts',
      'src/plan.ts',
      'assembly/**/*.ts',
      'rules/**/*',
      'src/compiler/**/*.ts',
      'scripts/package.ts',
    ],
    outputs: [
      ...['pkg/index.js', 'pkg/agents.js', 'pkg/engine.wasm', 'pkg/core.bin', 'pkg/package.json'],
      ...['pkg/types/src/waf/index.d.ts', 'pkg/types/src/agents/index.d.ts'],
    ],
    async make() {
      const { metafile } = await bundle({
        ...workerOptions,
        entryPoints: [join(root, 'src/waf/index.ts')],
        outfile: join(root, 'pkg/index.js'),
      });
      refuseNode(metafile!, 'index.js');
      const agents = await bundle({
        ...workerOptions,
        entryPoints: [join(root, 'src/agents/index.ts')],
        outfile: join(root, 'pkg/agents.js'),
      });
      refuseNode(agents.metafile!, 'agents.js');
      const { writePackage } = await import('./package.ts');
      await writePackage(join(root, 'pkg'));
    },
  },
  {
    name: 'connector.js',
    inputs: ['src/tunnel/**/*.ts', 'src/control/signature.ts', 'scripts/package.ts'],
    outputs: ['pkg/connector.js', 'pkg/types/src/tunnel/connector/index.d.ts'],
    async make() {
      await bundleForNode({
        external: ['ws'],
        entryPoints: [join(root, 'src/tunnel/connector/index.ts')],
        outfile: join(root, 'pkg/connector.js'),
      });
      const { writeConnectorTypes } = await import('./package.ts');
      writeConnectorTypes(join(root, 'pkg/types'));
    },
  },
  {
    name: 'cli.js',
    inputs: ['src/**/*.ts', 'assembly/**/abi.ts'],
    outputs: ['dist/cli.js', 'dist/cli-listen.js'],
    async make() {
      const external = Object.keys(dependencies).filter((name) => !WITHIN.has(name));
      await bundleForNode({
        external,
        splitting: true,
        entryPoints: { cli: join(root, 'src/cli/main.ts') },
        outdir: dist,
        chunkNames: 'cli-[hash]',
        plugins: [late, listenApart],
      });
      await bundleForNode({
        external,
        entryPoints: { 'cli-listen': join(root, 'src/cli/tunnel/listen.ts') },
        outdir: dist,
      });
    },
  },
];

/** The worker must run where no Node API exists, so an import of one is an error here and not there. */
function refuseNode(metafile: Metafile, name: string): void {
  for (const [file, input] of Object.entries(metafile.inputs)) {
    const found = input.imports.find(
      (imported) => imported.path.startsWith('node:') || imported.path === 'crypto' || imported.path === 'fs',
    );
    if (found !== undefined) {
      rmSync(join(dist, name), { force: true });
      throw new Error(`${file} imports ${found.path}; ${name} must run without Node`);
    }
  }
}

/** Builds what is stale, or everything; answers with the names of what was built. */
export async function build(options: { force?: boolean; only?: readonly string[] } = {}): Promise<string[]> {
  mkdirSync(dist, { recursive: true });
  const stamps = readStamps();
  const built: string[] = [];
  for (const part of parts) {
    if (options.only !== undefined && !options.only.includes(part.name)) continue;
    const digest = digestOf([...part.inputs, 'package-lock.json', 'scripts/build.ts']);
    const there = part.outputs.every((output) => existsSync(join(root, output)));
    if (!options.force && there && stamps[part.name] === digest) continue;
    delete stamps[part.name];
    if (part.name === 'cli.js') for (const chunk of globSync('cli-*.js', { cwd: dist })) rmSync(join(dist, chunk));
    await part.make();
    stamps[part.name] = digest;
    built.push(part.name);
    writeFileSync(stampFile, `${JSON.stringify(stamps, null, 2)}\n`);
  }
  // Its process would stay for as long as `npm start` serves.
  if (built.length > 0) await stopBundler();
  return built;
}

function readStamps(): Record<string, string> {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8')) as Record<string, string>;
  } catch {
    return {};
  }
}

/** SHA-256 over names and contents, tests apart. */
function digestOf(globs: readonly string[]): string {
  const hash = createHash('sha256');
  const files = globs.flatMap((glob) => globSync(glob, { cwd: root, withFileTypes: true }));
  const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  for (const path of [...new Set(paths)].sort()) {
    if (path.endsWith('.test.ts')) continue;
    hash
      .update(`${relative(root, path)}\0`)
      .update(readFileSync(path))
      .update('\0');
  }
  return hash.digest('hex');
}

if (import.meta.main) {
  const started = performance.now();
  const built = await build({ force: process.argv.includes('--force') });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (built.length > 0 || !process.argv.includes('--quiet'))
    console.log(built.length === 0 ? 'dist/ is up to date' : `built ${built.join(', ')} in ${seconds} s`);
}
