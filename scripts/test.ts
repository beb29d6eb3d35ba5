/**
 * Runs the tests: builds what is stale, checks types, then every *.test.ts with node:test, and closes with
 * `N passed, N failed, N skipped`. Scenarios run beside other tests, over real processes and the clock of a machine that may
 * be busy: a file of them that fails is run once more with the machine to itself. What fails again has failed; what then
 * passes is named as unsteady, with what it said at first, so that it is mended and not forgotten. Run: npm test [-- FILE-OR-FOLDER ...] [--no-types] [--seed NUMBER|random]
 */
import { existsSync, globSync, statSync } from 'node:fs';
import { relative, resolve, sep } from 'node:path';
import { run } from 'node:test';
import { parseArgs } from 'node:util';
import { build, root } from './build.ts';
import { PROJECTS, typeErrors } from './types.ts';

const CONCURRENCY = 2; // files at once: each scenario file keeps a workerd busy beside itself
const TIMEOUT = 240_000; // ms for one file
const PATTERNS = [
  'assembly/**/*.test.ts',
  'src/**/*.test.ts',
  'scripts/**/*.test.ts',
  'test/**/*.test.ts',
  'bench/**/*.test.ts',
  'examples/**/*.test.ts',
];

interface Failed {
  readonly name: string;
  readonly file: string;
  readonly why: string;
}

let passed: string[] = [];
let failed: Failed[] = [];
let skipped: { readonly name: string; readonly why: string }[] = [];
let unsteady: Failed[] = [];

const { values: options, positionals: args } = parseArgs({
  options: { 'no-types': { type: 'boolean' }, seed: { type: 'string' } },
  allowPositionals: true,
});
const { seed } = options;
if (seed !== undefined && seed !== 'random' && !/^-?[0-9]{1,10}$/.test(seed)) {
  console.error(`sallyport: --seed takes a number or \`random\`, not ${seed}`);
  process.exit(1);
}
const files = testFiles(args);
const withTypes = args.length === 0 && options['no-types'] !== true;

try {
  const built = await build();
  if (built.length > 0) console.log(`built ${built.join(', ')}`);
} catch (error) {
  fail('build', 'scripts/build.ts', error instanceof Error ? error.message : String(error));
}
if (withTypes) PROJECTS.forEach(types);
await tests(files, CONCURRENCY);
await again();

for (const { name, file, why } of unsteady) console.log(`\nunsteady: ${name}\n  ${file}\n${why.replace(/^/gm, '  ')}`);
for (const { name, why } of skipped) console.log(`skipped: ${name} (${why})`);
for (const { name, file, why } of failed) console.log(`\nFAILED: ${name}\n  ${file}\n${why.replace(/^/gm, '  ')}`);
if (unsteady.length > 0) console.log(`\n${unsteady.length} unsteady: failed beside other tests, passed alone`);
console.log(`\n${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`);
process.exit(failed.length === 0 ? 0 : 1);

function fail(name: string, file: string, why: string): void {
  failed.push({ name, file, why });
}

/** The files given, those inside the folders given, or all. */
function testFiles(given: readonly string[]): string[] {
  const all =
    given.length === 0 ? PATTERNS.flatMap((pattern) => globSync(pattern, { cwd: root })) : given.flatMap(expand);
  const found = [...new Set(all.map((file) => resolve(root, file)))].sort();
  if (found.length === 0) {
    console.error(`sallyport: there are no tests in ${given.join(', ') || 'the repository'}`);
    process.exit(1);
  }
  return found;
}

function expand(path: string): string[] {
  if (!existsSync(resolve(root, path))) {
    console.error(`sallyport: there is no file ${path}`);
    process.exit(1);
  }
  return statSync(resolve(root, path)).isDirectory() ? globSync(`${path}/**/*.test.ts`, { cwd: root }) : [path];
}

function types(project: string): void {
  const errors = typeErrors(project);
  if (errors === '') passed.push(`types ${project}`);
  else fail(`types ${project}`, project, errors);
}

/** Scenario files that failed, a second time and one at a time; what they say now counts. */
async function again(): Promise<void> {
  const scenarios = `test${sep}scenarios${sep}`;
  const names = new Set(
    failed.map(({ file }) => file.replace(/:\d+$/, '')).filter((file) => file.startsWith(scenarios)),
  );
  if (names.size === 0) return;
  const ofThem = (label: string): boolean => names.has(label.slice(0, label.indexOf(':')));
  const first = failed.filter(({ file }) => ofThem(file));
  passed = passed.filter((label) => !ofThem(label));
  failed = failed.filter(({ file }) => !ofThem(file));
  skipped = skipped.filter(({ name }) => !ofThem(name));
  console.log(`once more, alone: ${[...names].join(', ')}`);
  await tests(
    [...names].map((name) => resolve(root, name)),
    1,
  );
  unsteady = first.filter((one) => !failed.some(({ name, file }) => name === one.name && file === one.file));
}

function tests(files: readonly string[], concurrency: number): Promise<void> {
  const stream = run({
    files: [...files],
    concurrency,
    timeout: TIMEOUT,
    cwd: root,
    execArgv: ['seed', 'end'].flatMap((name) => [
      '--import',
      new URL(`../test/support/${name}.ts`, import.meta.url).href,
    ]),
    env: { ...process.env, ...(seed !== undefined && { SALLYPORT_TEST_SEED: seed }) },
  });
  stream.on('test:pass', ({ name, skip, todo, details, file }) => {
    // A suite that is skipped has no tests to speak for it.
    if (details.type === 'suite' && skip === undefined) return;
    const label = `${where(file)}: ${name}`;
    // A test without a reason to be skipped would be a test that is silently not there.
    if (skip !== undefined) skipped.push({ name: label, why: typeof skip === 'string' ? skip : 'no reason given' });
    else if (todo !== undefined) skipped.push({ name: label, why: `to do: ${String(todo)}` });
    else passed.push(label);
  });
  stream.on('test:fail', ({ name, todo, details, file, line }) => {
    // A suite or a test with parts fails when a part does, which is counted already.
    if ((details.error as Error & { failureType?: string }).failureType === 'subtestsFailed') return;
    if (todo !== undefined) skipped.push({ name: `${where(file)}: ${name}`, why: `to do: ${String(todo)}` });
    else fail(name, `${where(file)}:${line ?? 1}`, errorText(details.error));
    console.log(`not ok: ${where(file)}: ${name}`);
  });
  stream.on('test:stderr', ({ message }) => void process.stderr.write(message));
  return new Promise((settle) => {
    stream.on('end', () => settle());
    stream.resume();
  });
}

function where(file: string | undefined): string {
  return file === undefined ? '?' : relative(root, file);
}

function errorText(error: Error): string {
  const cause = error.cause;
  if (cause instanceof Error) return cause.stack ?? cause.message;
  return cause === undefined ? error.message : String(cause);
}
