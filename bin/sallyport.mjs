#!/usr/bin/env node
// The command: works on Node 20 by handing over to a newer Node that is installed beside it.
// In a checkout it runs the sources, in an installed package dist/.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const checkout = existsSync(join(root, 'src', 'cli', 'main.ts')) && !root.split(/[\\/]/).includes('node_modules');
const main = checkout ? join(root, 'src', 'cli', 'main.ts') : join(root, 'dist', 'cli.js');
// Type stripping without a flag and SO_REUSEPORT came with these.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const fits = major > 23 || (major === 23 && minor >= 6) || (!checkout && major === 22 && minor >= 12);

if (!existsSync(main)) {
  process.stderr.write(`sallyport: ${main} is not there; run npm run build\n`);
  process.exit(1);
} else if (fits) {
  const { run } = await import(main);
  await run(process.argv.slice(2));
} else {
  const node = bundledNode();
  if (!node) {
    process.stderr.write(
      `sallyport: Node 24 is needed (this is ${process.versions.node}); npm install node@24 puts one beside this package\n`,
    );
    process.exit(1);
  }
  const { spawn } = await import('node:child_process'); // PERF: 5 ms of a start that needs none
  // The channel tells the child when this process is gone, however it went.
  const stdio = ['inherit', 'inherit', 'inherit', 'ipc'];
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  const parent = process.ppid;
  if (process.env.npm_command) setInterval(() => process.ppid !== parent && child.kill('SIGTERM'), 500).unref();
  child.on('exit', (code) => process.exit(code ?? 1));
}

/** The binary of the npm package `node`, from where this package or the user's project finds it. */
function bundledNode() {
  for (const from of [join(root, 'package.json'), join(process.cwd(), 'package.json')]) {
    try {
      const folder = dirname(createRequire(from).resolve('node/package.json'));
      const binary = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
      if (existsSync(binary)) return binary;
    } catch {
      // not installed there
    }
  }
  return null;
}
