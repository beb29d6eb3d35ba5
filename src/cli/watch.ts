/** Calls back when one of some files changed. Editors write beside and rename, so their directories are watched. */
import { createHash } from 'node:crypto';
import { readFileSync, watch, type FSWatcher } from 'node:fs';
import { dirname, resolve } from 'node:path';

const SETTLE = 50; // ms without another event before the files are looked at

export interface Watcher {
  close(): void;
}

export function watchFiles(files: readonly string[], changed: () => void): Watcher {
  const paths = [...new Set(files.map((file) => resolve(file)))];
  let seen = fingerprint(paths);
  let timer: NodeJS.Timeout | null = null;
  const look = () => {
    const now = fingerprint(paths);
    // Touched but equal, or some other file of the directory.
    if (now === seen) return;
    seen = now;
    changed();
  };
  const watchers: FSWatcher[] = [...new Set(paths.map((path) => dirname(path)))].map((folder) =>
    watch(folder, { persistent: false }, () => {
      if (timer !== null) clearTimeout(timer);
      timer = setTimeout(look, SETTLE);
    }),
  );
  return {
    close() {
      if (timer !== null) clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}

function fingerprint(paths: readonly string[]): string {
  const hash = createHash('sha256');
  for (const path of paths) {
    hash.update(path);
    try {
      hash.update(readFileSync(path));
    } catch {
      hash.update('absent');
    }
  }
  return hash.digest('hex');
}
