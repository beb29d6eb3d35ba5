/** Calls back when one of some files changed. Editors write beside and rename, so their directories are watched. */
import { createHash } from 'node:crypto';
import { readFileSync, watch, type FSWatcher } from 'node:fs';
import { dirname, resolve } from 'node:path';

const SETTLE = 50; // ms without another event before the files are looked at

export interface Watcher {
  close(): void;
}

/** `files`: asked again after each change, since what is named in one of them changes with it. */
export function watchFiles(files: () => readonly string[], changed: () => Promise<unknown>): Watcher {
  /** What was in them when they were looked at last. */
  let seen = new Map<string, string>();
  const folders = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  const look = async (): Promise<void> => {
    const now = new Map([...seen.keys()].map((path) => [path, fingerprint(path)]));
    // Touched but equal, or some other file of the directory.
    if ([...now].every(([path, print]) => print === seen.get(path))) return;
    seen = now;
    await changed();
    if (!closed) follow();
  };
  const follow = (): void => {
    const paths = files().map((file) => resolve(file));
    // What was known keeps its print: it may have changed again since.
    seen = new Map(paths.map((path) => [path, seen.get(path) ?? fingerprint(path)]));
    const wanted = new Set(paths.map((path) => dirname(path)));
    for (const [folder, watcher] of folders) {
      if (wanted.has(folder)) continue;
      watcher.close();
      folders.delete(folder);
    }
    for (const folder of wanted) {
      if (folders.has(folder)) continue;
      const watcher = watch(folder, { persistent: false }, () => {
        if (timer !== null) clearTimeout(timer);
        timer = setTimeout(() => void look(), SETTLE);
      });
      folders.set(folder, watcher);
    }
  };
  follow();
  return {
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      for (const watcher of folders.values()) watcher.close();
    },
  };
}

function fingerprint(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return 'absent';
  }
}
