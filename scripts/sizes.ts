/**
 * What is shipped, in bytes: sizes.json is committed, so that a change shows in a diff.
 * Run: npm run sizes [-- --update]; without --update, a size that moved is an error.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, root } from './build.ts';

export interface Size {
  readonly bytes: number;
  readonly gzip: number;
}

const MEASURED = ['worker.js', 'markdown.js', 'engine.wasm', 'agents.img'];
const snapshot = join(root, 'sizes.json');

export function measure(): Record<string, Size> {
  return Object.fromEntries(
    MEASURED.map((name) => {
      const content = readFileSync(join(root, 'dist', name));
      return [name, { bytes: content.length, gzip: gzipSync(content, { level: 9 }).length }];
    }),
  );
}

/** One line per size that is not what the snapshot says. */
export function moved(before: Readonly<Record<string, Size>>, now: Readonly<Record<string, Size>>): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return names.flatMap((name) => {
    const [old, current] = [before[name], now[name]];
    if (old?.bytes === current?.bytes && old?.gzip === current?.gzip) return [];
    const show = (size: Size | undefined) => (size === undefined ? 'absent' : `${size.bytes} bytes, ${size.gzip} gzip`);
    return [`${name}: ${show(old)} -> ${show(current)}`];
  });
}

if (import.meta.main) {
  await build();
  const now = measure();
  const before = existsSync(snapshot) ? (JSON.parse(readFileSync(snapshot, 'utf8')) as Record<string, Size>) : {};
  const changes = moved(before, now);
  for (const change of changes) console.log(change);
  if (process.argv.includes('--update')) {
    writeFileSync(snapshot, `${JSON.stringify(now, null, 2)}\n`);
    console.log('sizes.json is written');
  } else if (changes.length > 0) {
    console.log('sizes moved; if that is meant, run npm run sizes -- --update and commit sizes.json');
    process.exitCode = 1;
  } else {
    console.log(
      `sizes: ${Object.entries(now)
        .map(([name, size]) => `${name} ${size.bytes} (${size.gzip} gzip)`)
        .join(', ')}`,
    );
  }
}
