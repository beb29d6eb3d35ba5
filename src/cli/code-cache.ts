/**
 * What V8 has made of the code of the commands, kept in the cache folder of the user for the next start. PERF: a third of
 * what is between the start of Node and the first socket of `tunnel listen`.
 */
import { statSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

const KEPT_AFTER = 1000; // ms: a command that runs on may be killed, and keep nothing at its end

/** SPEC: XDG Base Directory: a relative path in XDG_CACHE_HOME is ignored. */
function cacheHome(env: NodeJS.ProcessEnv): { readonly owned: string; readonly cache: string } {
  const named = env['XDG_CACHE_HOME'] ?? '';
  return isAbsolute(named) ? { owned: named, cache: named } : { owned: homedir(), cache: join(homedir(), '.cache') };
}

export function codeCacheFolder(env: NodeJS.ProcessEnv): string {
  return join(cacheHome(env).cache, 'sallyport', 'code');
}

/** For modules that are loaded from here on. Where nothing can be kept, nothing is. */
export function keepCode(env: NodeJS.ProcessEnv = process.env): void {
  try {
    // SAFETY: what lies there is run. So not Node's default, a folder in /tmp that anybody may have made before, and none
    // in the home of another user, which is where root may be by sudo.
    if (statSync(cacheHome(env).owned).uid !== process.getuid?.()) return;
    enableCompileCache(codeCacheFolder(env));
    setTimeout(flushCompileCache, KEPT_AFTER).unref();
    // Node does so itself, but not behind `process.exit`.
    process.once('exit', () => flushCompileCache());
  } catch {
    // no home
  }
}
