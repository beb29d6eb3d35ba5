// Runs a script of this repository on a machine that has only an old Node (20 or later) and npm.
//
//   node scripts/bootstrap.mjs scripts/test.ts [arguments]    a TypeScript file, under the bundled Node 24
//   node scripts/bootstrap.mjs oxlint [arguments]             a tool of node_modules/.bin
//
// Plain JavaScript without dependencies, because nothing is installed yet when it starts. It installs what the lock
// file names when that is not there, and then hands over.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const windows = process.platform === 'win32';
const node = join(root, 'node_modules', 'node', 'bin', windows ? 'node.exe' : 'node');
const OLDEST_NODE = 20;

function fail(sentence) {
  process.stderr.write(`sallyport: ${sentence}\n`);
  process.exit(1);
}

/** Whether node_modules is what the lock file says: npm keeps a copy of what it installed inside node_modules. */
function installed() {
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    const found = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')).packages;
    for (const [path, entry] of Object.entries(wanted)) {
      if (path === '') continue;
      // Packages for other platforms are in the lock and rightly absent on disk.
      if (found[path] === undefined ? entry.optional !== true : found[path].version !== entry.version) return false;
    }
    return existsSync(node);
  } catch {
    return false;
  }
}

function install() {
  process.stderr.write('sallyport: installing what package-lock.json names (npm ci)\n');
  // The npm that runs this script, so that its version and configuration are the user's own.
  const npm = process.env.npm_execpath;
  const flags = ['ci', '--no-fund', '--no-audit', '--no-progress', '--loglevel=error'];
  // Standard output belongs to the script that is about to run.
  const options = { cwd: root, stdio: ['inherit', 2, 'inherit'] };
  const result = npm
    ? spawnSync(process.execPath, [npm, ...flags], options)
    : spawnSync('npm', flags, { ...options, shell: windows });
  if (result.error || result.status !== 0) {
    fail(`npm ci failed${result.error ? ` (${result.error.message})` : ''}; the lines above say why`);
  }
  if (!installed())
    fail('npm ci ended well, but node_modules is not what package-lock.json says; remove node_modules and try again');
}

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  fail(`Node ${OLDEST_NODE} or later is needed to start; this is ${process.versions.node}`);
}
const [script, ...args] = process.argv.slice(2);
if (!script) fail('usage: node scripts/bootstrap.mjs SCRIPT.ts|TOOL [arguments]');
if (!installed()) install();

const tools = join(root, 'node_modules', '.bin');
const isFile = /\.(ts|mjs)$/.test(script);
const command = isFile ? node : join(tools, windows ? `${script}.cmd` : script);
if (!existsSync(isFile ? join(root, script) : command)) fail(`there is no ${script} here`);
const child = spawn(command, isFile ? [join(root, script), ...args] : args, {
  cwd: root,
  // The channel closes when this process dies, however it dies; scripts that keep processes running listen for that.
  stdio: isFile ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit',
  shell: windows && !isFile,
  env: { ...process.env, PATH: `${dirname(node)}${delimiter}${tools}${delimiter}${process.env.PATH ?? ''}` },
});

// Forwarded, since a signal may be sent to this process alone. Ctrl-C in a terminal reaches the child twice then, once
// through the process group; scripts take the two for one.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
// npm that is killed leaves its children behind; a script must not go on without the one who asked for it.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && child.kill('SIGTERM'), 500).unref();
child.on('error', (error) => fail(`${script} could not be started (${error.message})`));
child.on('exit', (code, signal) => {
  if (signal) process.stderr.write(`sallyport: ${script} was ended by ${signal}\n`);
  process.exit(code ?? 1);
});
