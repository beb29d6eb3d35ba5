/** The command table. Each command is one file and is loaded when it is asked for. */
import { stripVTControlCharacters } from 'node:util';
import { defineCommand, renderUsage, runCommand, type CommandDef } from 'citty';
import pc from 'picocolors';
import { keepCode } from './code-cache.ts';
import { endAtExit } from './end.ts';
import type { Described } from './described.ts';
import { Failure, sentence } from './failure.ts';
import { refuseUnknown } from './options.ts';
import { version } from './version.ts';

type Loader = () => Promise<CommandDef>;

// citty types a command by its own arguments; in a table of all of them only the common part is known.
const load = (module: Promise<{ default: unknown }>) => module.then((loaded) => loaded.default as CommandDef);

const commands: Record<string, Loader> = {
  init: () => load(import('./init.ts')),
  check: () => load(import('./check.ts')),
  dev: () => load(import('./dev.ts')),
  serve: () => load(import('./serve.ts')),
  explain: () => load(import('./explain.ts')),
  build: () => load(import('./build.ts')),
  deploy: () => load(import('./deploy.ts')),
  rules: () => load(import('./rules.ts')),
  replay: () => load(import('./replay.ts')),
  agents: () => load(import('./agents.ts')),
  payments: () => load(import('./payments.ts')),
  status: () => load(import('./status.ts')),
  health: () => load(import('./health.ts')),
  metrics: () => load(import('./metrics.ts')),
  reload: () => load(import('./reload.ts')),
  tunnel: () => load(import('./tunnel.ts')),
};

const main = defineCommand({
  meta: {
    name: 'sallyport',
    version,
    description: 'Edge gateway: one worker on Cloudflare Workers and on-prem workerd',
  },
  subCommands: commands,
});

/** Runs one command line and sets the exit code; nothing is thrown. */
export async function run(args: readonly string[]): Promise<void> {
  const [name = '', ...rest] = args;
  // Of sources, coverage wants to see all that is run.
  if (import.meta.filename.endsWith('.js')) keepCode();
  endAtExit();
  // `| head` has read enough: no defect of ours. What serves has its own say, it drains first.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (process.stdout.listenerCount('error') === 1) process.exit(0);
  });
  try {
    if (name === '' || name === 'help' || name === '--help' || name === '-h') {
      await usage(main as CommandDef);
      if (name === '') process.exitCode = 1;
    } else if (name === 'version' || name === '--version' || name === '-v') {
      process.stdout.write(rest.includes('--json') ? `${JSON.stringify({ version })}\n` : `${version}\n`);
    } else {
      await command(name, rest);
    }
  } catch (error) {
    report(error, rest.includes('--json'));
  }
}

/** citty colours what it prints wherever it goes. */
async function usage(found: CommandDef, parent?: CommandDef): Promise<void> {
  const meta: Described = Object(await (typeof found.meta === 'function' ? found.meta() : found.meta));
  const examples = meta.examples === undefined ? '' : `EXAMPLES\n\n  ${meta.examples.join('\n  ')}\n`;
  const text = `${await renderUsage(found, parent)}\n${examples}`;
  process.stdout.write(pc.isColorSupported && process.stdout.isTTY ? text : stripVTControlCharacters(text));
}

async function command(name: string, rest: string[]): Promise<void> {
  if (!Object.hasOwn(commands, name))
    throw new Failure(
      `there is no command "${name}"; the commands are ${Object.keys(commands).join(', ')} and version`,
    );
  const found = await commands[name]!();
  if (found.subCommands !== undefined) return await action(name, found, rest);
  await runOne(found, rest, main as CommandDef);
}

/** A command that has commands of its own. */
async function action(name: string, found: CommandDef, [first = '', ...rest]: string[]): Promise<void> {
  const actions = found.subCommands as Readonly<Record<string, Loader>>;
  if (first === '' || first === 'help' || first === '--help' || first === '-h') {
    await usage(found, main as CommandDef);
    if (first === '') process.exitCode = 1;
    return;
  }
  if (!Object.hasOwn(actions, first))
    throw new Failure(`${name} takes ${Object.keys(actions).join(', ')}, not "${first}"`);
  // Help is to show what can be typed.
  await runOne(await actions[first]!(), rest, { meta: { name: `sallyport ${name}` } });
}

async function runOne(found: CommandDef, rest: string[], parent: CommandDef): Promise<void> {
  const definitions = typeof found.args === 'function' ? await found.args() : await (found.args ?? {});
  const end = rest.indexOf('--');
  if (rest.slice(0, end < 0 ? undefined : end).some((argument) => argument === '--help' || argument === '-h')) {
    return usage(found, parent);
  }
  refuseUnknown(rest, definitions);
  await runCommand(found, { rawArgs: rest });
}

/** A mistake is one sentence; anything else is a defect of ours, and says where. */
function report(error: unknown, json: boolean): void {
  // By name: a command in a bundle of its own has a class of its own.
  const failed = error instanceof Error && error.name === 'Failure';
  const known = failed || (error instanceof Error && (error.name === 'CLIError' || 'syscall' in error));
  const message = known
    ? `${sentence(error)}${error.name === 'CLIError' ? '; --help shows what belongs there' : ''}`
    : `internal error, please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  process.stderr.write(`sallyport: ${message}\n`);
  const details = failed ? (error as Failure).details : {};
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, error: message, ...details })}\n`);
  process.exitCode = 1;
}

if (import.meta.main) await run(process.argv.slice(2));
