/**
 * `npm run bench -- NAME [--quick]` measures and writes `bench/results/NAME.json`;
 * `npm run bench -- NAME --verify` recomputes medians and goals from that file and fails when they do not agree.
 */
import { existsSync, readdirSync } from 'node:fs';
import { closing, readResult, runBenchmark, verify, type Benchmark } from '../bench/harness/runner.ts';

const words = process.argv.slice(2);
const name = words.find((word) => !word.startsWith('--')) ?? '';
const flags = words.filter((word) => word.startsWith('--'));
const folder = new URL('../bench/', import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));
const unknown = flags.find((flag) => flag !== '--quick' && flag !== '--verify');

if (!names.includes(name) || unknown) {
  console.error(`usage: npm run bench -- NAME [--quick | --verify]; NAME is one of: ${names.join(', ')}`);
  process.exitCode = 2;
} else if (flags.includes('--verify')) {
  if (!existsSync(new URL(`results/${name}.json`, folder))) {
    console.error(`bench/results/${name}.json is not there: run \`npm run bench -- ${name}\` first`);
    process.exitCode = 1;
  } else {
    const result = readResult(name);
    const faults = verify(result);
    for (const fault of faults) console.error(`mismatch: ${fault}`);
    console.log(closing(result));
    if (faults.length > 0) process.exitCode = 1;
  }
} else {
  const { run } = (await import(new URL(`${name}.ts`, folder).href)) as { run: Benchmark };
  await runBenchmark(name, run, { quick: flags.includes('--quick') }, `npm run bench -- ${words.join(' ')}`);
}
