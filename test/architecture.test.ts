/**
 * The import table of ARCHITECTURE.md, held mechanically: who may import whom, which packages, which length.
 * A rule that is only written down is broken by the first hurried change.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from './gateway.ts';

const MAX_SOURCE_LINES = 400;
const MAX_ASSEMBLY_LINES = 600;

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const files = (pattern: string): string[] =>
  globSync(pattern, { cwd: ROOT })
    .map((file) => file.replaceAll('\\', '/'))
    .sort();
const sources = files('{assembly,src}/**/*.ts').filter((file) => !file.endsWith('.test.ts') && !file.endsWith('.d.ts'));

interface Import {
  readonly from: string;
  /** As written, or the file in the repository that a relative one names. */
  readonly to: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const text = read(file)
    .replace(/\/\*[^]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '');
  const found: Import[] = [];
  const patterns = [
    /^\s*(?:import|export)\s+(type\s)?[^'";]*?from\s+['"]([^'"]+)['"]/gm,
    /^\s*import\s+()['"]([^'"]+)['"]/gm,
    /\bimport\(\s*()['"]([^'"]+)['"]/g,
  ];
  for (const pattern of patterns) {
    for (const match of text.matchAll(pattern)) {
      const specifier = match[2] as string;
      const to = specifier.startsWith('.') ? posix.normalize(posix.join(dirname(file), specifier)) : specifier;
      found.push({ from: file, to, typeOnly: match[1] !== undefined && match[1] !== '' });
    }
  }
  return found;
}

const all = sources.flatMap(importsOf);
const isLocal = (to: string): boolean => /^(assembly|src|dist|build|test|scripts)\//.test(to);
const isNode = (to: string): boolean => to.startsWith('node:') || builtinModules.includes(to);
const packageOf = (to: string): string =>
  to.startsWith('@') ? to.split('/').slice(0, 2).join('/') : (to.split('/')[0] as string);
/** `assembly/x.ts` is imported as './x' there. */
const stem = (to: string): string => to.replace(/\.ts$/, '');

interface Row {
  readonly name: string;
  readonly files: RegExp;
  /** Files of the repository that these may import. */
  readonly local: RegExp;
  readonly packages: readonly string[];
  readonly node: boolean;
}

const ABI = 'assembly/(?:waf/|regex/|agents/)?abi';
const LEAVES = `${ABI}|src/plan|src/bytes|src/backlog|src/durable-object`;
const SIGNATURE = 'src/control/(?:signature|openapi-(?:tunnels|agents|payments|words))';
const ENGINE = '(dist|build)/.*\\.wasm|.*engine\\.wasm';
const TUNNEL = 'src/tunnel/(?:objects|capability|welcome|frame|access|register|registry|consent|shard)';
/** What the command line shares with the worker, and the connector that it runs. */
const CONNECTOR =
  'src/tunnel/(?:connector/.*|access|capability|consent|exchange|frame|head|objects|opening|redact|shard|shown)';
const RUNTIME = 'src/(router|waf|agents|observe|platform|control)/.*';
const TABLE: readonly Row[] = [
  { name: 'assembly', files: /^assembly\//, local: /^assembly\//, packages: [], node: false },
  {
    name: 'leaves of src/',
    files: /^src\/(site-plan|bytes|backlog|durable-object)\.ts$/,
    local: /^$/,
    packages: [],
    node: false,
  },
  { name: 'src/plan.ts', files: /^src\/plan\.ts$/, local: /^src\/site-plan(\.ts)?$/, packages: [], node: false },
  {
    name: 'src/compiler',
    files: /^src\/compiler\//,
    local: new RegExp(
      `^(${LEAVES}|src/compiler/.*|src/agents/(name-pattern|mcp/(?:(?:join-)?limits|version|resource-metadata)|a2a/method)|${ENGINE})$`,
    ),
    packages: ['zod', 'yaml', 'crawler-user-agents'],
    node: false,
  },
  {
    name: 'src/control/signature.ts is a leaf, for both ends of a control request',
    files: /^src\/control\/signature\.ts$/,
    local: /^$/,
    packages: [],
    node: false,
  },
  {
    name: 'src/tunnel: the protocol, for both ends',
    files:
      /^src\/tunnel\/(frame|head|credit|replay|stream|lane|lane-options|message-buffers|outbox|opening|message|welcome)\.ts$/,
    local:
      /^src\/tunnel\/(frame|head|credit|replay|stream|lane|lane-options|message-buffers|outbox|opening|message|welcome)$/,
    packages: [],
    node: false,
  },
  {
    name: 'src/tunnel: rights, for both ends',
    files: /^src\/tunnel\/(capability|sealed)\.ts$/,
    local: /^src\/(control\/signature|tunnel\/sealed)$/,
    packages: [],
    node: false,
  },
  {
    name: 'src/tunnel: what is shown of an exchange, for both ends',
    files: /^src\/tunnel\/(exchange|shown|redact)\.ts$/,
    local: /^src\/tunnel\/(exchange|shown|redact|head)$/,
    packages: [],
    node: false,
  },
  {
    name: 'src/tunnel: the registry',
    files: /^src\/tunnel\/(access|register|registry|consent|shard)\.ts$/,
    local: /^src\/tunnel\/(access|register|capability|sealed)$|^src\/control\/signature$/,
    packages: ['itty-durable'],
    node: false,
  },
  {
    name: 'src/tunnel: the edge',
    files: /^src\/tunnel\/(objects|session[\w-]*)\.ts$/,
    local: /^src\/(bytes|backlog|tunnel\/[\w-]+|platform\/(runtime|bindings))$/,
    packages: ['cloudflare:workers'],
    node: false,
  },
  {
    name: 'src/tunnel/connector: the other end, in Node',
    files: /^src\/tunnel\/connector\//,
    local:
      /^src\/(tunnel\/(connector\/.*|frame|head|credit|stream|lane|lane-options|message-buffers|opening|message|welcome|capability|exchange)|control\/signature)$/,
    packages: ['ws'],
    node: true,
  },
  {
    name: 'src/waf',
    files: /^src\/waf\//,
    local: new RegExp(`^(${LEAVES}|src/waf/.*|${ENGINE})$`),
    packages: ['hono', '@assemblyscript/loader'],
    node: false,
  },
  {
    name: 'src/platform',
    files: /^src\/platform\//,
    local: new RegExp(`^(${LEAVES}|${TUNNEL}|src/platform/.*|src/waf/.*|${ENGINE})$`),
    packages: ['hono', 'cloudflare:workers'],
    node: false,
  },
  {
    name: 'src/agents: proof of identity, for the worker, the command line and everybody',
    files: /^src\/agents\//,
    local: /^src\/(bytes|plan|durable-object|agents\/.*)/,
    packages: ['jose', '@mdream/js'],
    node: false,
  },
  {
    name: 'src/router, observe, control',
    files: /^src\/(router|observe|control)\//,
    local: new RegExp(`^(${LEAVES}|${TUNNEL}|src/tunnel/session|${RUNTIME}|${ENGINE})$`),
    packages: ['hono', '@assemblyscript/loader', 'jose', 'cloudflare:workers'],
    node: false,
  },
  {
    name: 'src/cli',
    files: /^src\/cli\//,
    local: new RegExp(
      `^(${LEAVES}|src/cli/.*|src/compiler/.*|src/agents/.*|${SIGNATURE}|${CONNECTOR}|(dist|build)/.*)$`,
    ),
    packages: ['citty', '@clack/prompts', 'picocolors', 'workerd', 'wrangler', 'esbuild'],
    node: true,
  },
];

describe('imports', () => {
  test('the table covers every source file', () => {
    assert.ok(sources.length > 20, 'there are sources');
    assert.ok(all.length > 20, 'imports are found');
    const uncovered = sources.filter((file) => !TABLE.some((row) => row.files.test(file)) && file !== 'src/index.ts');
    assert.deepEqual(uncovered, []);
  });

  for (const row of TABLE) {
    test(row.name, () => {
      const wrong = all
        .filter(({ from }) => row.files.test(from))
        .filter(({ to }) => {
          if (isNode(to)) return !row.node;
          if (isLocal(to)) return !row.local.test(stem(to)) && !row.local.test(to);
          return !row.packages.includes(packageOf(to));
        })
        // What a command runs from a bundle it may still name the types of.
        .filter(
          ({ from, to, typeOnly }) =>
            !(typeOnly && from.startsWith('src/cli/') && /^src\/(router|platform|waf|control|tunnel)\//.test(to)),
        );
      assert.deepEqual(wrong, []);
    });
  }

  test('abi files import nothing and hold integer constants only', () => {
    for (const file of ['assembly/abi.ts', 'assembly/regex/abi.ts']) {
      assert.deepEqual(importsOf(file), []);
      const code = read(file)
        .replace(/\/\/.*$/gm, '')
        .split('\n')
        .filter((line) => line.trim() !== '');
      for (const line of code)
        assert.match(line, /^export const [A-Z][A-Z0-9_]* = [-0-9a-fA-Fx A-Z_*|<+()]+;\s*$/, line);
    }
  });

  test('phases are imported by the pipeline alone and never import each other', () => {
    const names = phaseFiles();
    assert.ok(names.length >= 8, names.join());
    const wrong = all.filter(
      ({ from, to, typeOnly }) => names.includes(to) && from !== 'src/router/pipeline.ts' && !typeOnly,
    );
    assert.deepEqual(wrong, []);
  });

  test('only the worker imports what the runtime provides as classes', () => {
    const wrong = all.filter(
      ({ from, to }) =>
        to === 'cloudflare:workers' && !/^src\/(router\/worker|control\/|platform\/|tunnel\/session\.)/.test(from),
    );
    assert.deepEqual(wrong, []);
  });

  test('nothing imports in a circle', () => {
    const graph = new Map<string, string[]>();
    for (const { from, to, typeOnly } of all)
      if (!typeOnly && isLocal(to)) graph.set(from, [...(graph.get(from) ?? []), to.endsWith('.ts') ? to : `${to}.ts`]);
    const state = new Map<string, 'open' | 'done'>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') return void circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      state.set(file, 'open');
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      state.set(file, 'done');
    };
    // AssemblyScript files may name each other's functions: they are one compilation unit without module state.
    for (const file of graph.keys()) if (file.startsWith('src/')) visit(file, []);
    assert.deepEqual(circles, []);
  });
});

/** Files whose export the pipeline lists as a phase. */
function phaseFiles(): string[] {
  const text = read('src/router/pipeline.ts');
  const listed = phaseList();
  const found: string[] = [];
  for (const match of text.matchAll(/import\s+\{([^}]*)\}\s+from\s+['"]\.\/([\w-]+)\.ts['"]/g)) {
    const names = (match[1] as string).split(',').map((name) => name.trim().split(' as ').pop()?.trim() ?? '');
    if (names.some((name) => listed.identifiers.includes(name))) found.push(`src/router/${match[2]}.ts`);
  }
  return found;
}

/** The phases in order, from the arrays that `pipeline.ts` exports. */
function phaseList(): { identifiers: string[]; names: string[] } {
  const text = read('src/router/pipeline.ts');
  const identifiers: string[] = [];
  for (const match of text.matchAll(/const\s+\w*(?:PHASES|phases|Phases)\w*[^=]*=\s*\[([^\]]*)\]/g)) {
    const body = (match[1] as string).replace(/\/\/.*$/gm, '');
    identifiers.push(
      ...body
        .split(',')
        .map((name) => name.trim())
        .filter((name) => /^\w+$/.test(name)),
    );
  }
  const names = identifiers.map((identifier) => {
    const file = new RegExp(`import\\s+\\{[^}]*\\b${identifier}\\b[^}]*\\}\\s+from\\s+['"]\\./([\\w-]+)\\.ts['"]`).exec(
      text,
    )?.[1];
    const source = file === undefined ? '' : read(`src/router/${file}.ts`);
    return (
      /name:\s*'([\w-]+)'/.exec(source.slice(Math.max(0, source.search(new RegExp(`\\b${identifier}\\b`)))))?.[1] ??
      identifier
    );
  });
  // The event is written once the answer is there, so `serve` calls it last instead of listing it.
  if (/^ {2}if \(!exchange\.gone\) observe\(exchange, answer\.status\b/m.test(text)) names.push('observe');
  return { identifiers, names };
}

test('ARCHITECTURE.md and pipeline.ts name the same phases in the same order', () => {
  const section = /## The request's path\n([^]*?)\n## /.exec(read('ARCHITECTURE.md'))?.[1] ?? '';
  const documented = [...section.matchAll(/\d+\. \*\*([\w-]+)\*\*/g)].map((match) => match[1]);
  const { names } = phaseList();
  assert.ok(names.length >= 8, names.join());
  assert.deepEqual(names, documented);
});

describe('files', () => {
  test('are short', () => {
    const long = sources
      .map((file) => ({ file, lines: read(file).split('\n').length - 1 }))
      .filter(({ file, lines }) => lines > (file.startsWith('assembly/') ? MAX_ASSEMBLY_LINES : MAX_SOURCE_LINES));
    assert.deepEqual(long, []);
  });

  test('use no globals of Node on the worker side or in the compiler', () => {
    const wrong: string[] = [];
    for (const file of sources.filter((one) =>
      /^src\/(compiler|router|waf|agents|observe|platform|control|tunnel)\/[\w-]+\.ts$/.test(one),
    )) {
      const code = read(file)
        .replace(/\/\*[^]*?\*\//g, '')
        .replace(/\/\/.*$/gm, '')
        .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, '""');
      for (const match of code.matchAll(
        /(?<![.\w])(process|Buffer|__dirname|__filename|require|setImmediate|global)(?=[.(\s)])(?!\s*[:=?])/g,
      ))
        wrong.push(`${file}: ${match[1]}`);
    }
    assert.deepEqual(wrong, []);
  });

  test('the runtime holds no parser of human text', () => {
    const wrong = all.filter(
      ({ from, to }) => new RegExp(`^${RUNTIME}$`).test(from) && /^(yaml|zod|crawler-user-agents)$/.test(packageOf(to)),
    );
    assert.deepEqual(wrong, []);
  });

  test('every limit that is a number of bytes or counts in the ABI is named there once', () => {
    const names = [...read('assembly/abi.ts').matchAll(/^export const ([A-Z0-9_]+) =/gm)].map((match) => match[1]);
    assert.equal(new Set(names).size, names.length);
  });
});
