/**
 * `npm run fuzz -- --seconds N [--seed S] [NAME ...]`: every fuzzer in test/fuzz/, the time shared evenly. A fuzzer is a
 * module with `fuzz(seconds, seed)`, which resolves with the number of cases it tried and rejects at the first that is
 * wrong. The seed is printed, so that a failure can be run again.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const FOLDER = join(import.meta.dirname, '../test/fuzz');
/** A fuzzer that has not come back by then hangs. */
const GRACE = 30; // s beyond its share

interface Fuzzer {
  /** Cases tried, alone or with more to tell. */
  fuzz(seconds: number, seed: number): Promise<number | { readonly rounds: number }>;
}

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String((Math.random() * 0x7fffffff) | 0) },
  },
  allowPositionals: true,
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isInteger(seed)) {
  console.error('usage: npm run fuzz -- --seconds N [--seed S] [NAME ...]');
  process.exit(2);
}

let stray: unknown = null;
process.on('unhandledRejection', (reason) => (stray = reason ?? new Error('undefined')));
process.on('uncaughtException', (error) => (stray = error));

const modules = new Map<string, Fuzzer>();
for (const file of readdirSync(FOLDER)
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .sort()) {
  const name = file.slice(0, -3);
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const module = (await import(join(FOLDER, file))) as Partial<Fuzzer>;
  if (typeof module.fuzz === 'function') modules.set(name, module as Fuzzer);
}
if (modules.size === 0) {
  console.error(`no fuzzers in ${FOLDER}${positionals.length > 0 ? ` named ${positionals.join(' ')}` : ''}`);
  process.exit(2);
}

let failed = 0;
const share = seconds / modules.size;
console.log(`seed ${seed}, ${share.toFixed(1)} s for each of ${[...modules.keys()].join(', ')}`);
for (const [name, fuzzer] of modules) {
  stray = null;
  const started = performance.now();
  let watchdog: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    watchdog = setTimeout(() => reject(new Error('it hangs')), (share + GRACE) * 1000);
  });
  try {
    const result = await Promise.race([fuzzer.fuzz(share, seed), late]);
    const cases = typeof result === 'number' ? result : result.rounds;
    // Rejections that nobody waits for are reported after the promise jobs of this turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (stray !== null) throw stray;
    if (!(cases > 0)) throw new Error('no case was tried');
    console.log(`✓ ${name}: ${cases} cases in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  } catch (error) {
    failed++;
    console.log(
      `✗ ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n  again: npm run fuzz -- --seconds ${seconds} --seed ${seed} ${name}`,
    );
  } finally {
    clearTimeout(watchdog);
  }
}
console.log(`fuzz: ${modules.size - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
