/** Files that only this user may read. */
import { renameSync, writeFileSync } from 'node:fs';

/** Written beside and renamed, so that a reader sees the whole file or the one before. */
export function writePrivate(path: string, content: string | Uint8Array): void {
  const draft = `${path}.new`;
  writeFileSync(draft, content, { mode: 0o600 });
  renameSync(draft, path);
}
