/** `sallyport check`: is this policy right, and could a running deployment swap to it without a restart. */
import { resolve } from 'node:path';
import { defineCommand } from 'citty';
import pc from 'picocolors';
import { compile, formatDiagnostics, type Compiled, type Target } from '../compiler/index.ts';
import { listNotice, readLists } from './agent-lists.ts';
import { readPolicy, readText, ruleSetFinder } from './deployment.ts';
import { Failure } from './failure.ts';
import type { GatewayStatus } from './gateway.ts';
import { policyFiles } from './options.ts';
import { askControl, jsonOf } from './running.ts';

const args = {
  file: { type: 'positional', description: 'policy files, one app each', valueHint: 'FILE...', required: false },
  target: { type: 'string', default: 'workerd', description: 'workerd (on-prem) or cloudflare', valueHint: 'name' },
  json: { type: 'boolean', description: 'print JSON' },
} as const;

export interface Checked {
  readonly compiled: Compiled;
  /** Text by file, for the frames around problems. */
  readonly texts: ReadonlyMap<string, string>;
}

/** Compiles files without writing anything. Throws a Failure when one cannot be read. */
export async function check(files: readonly string[], target: Target): Promise<Checked> {
  const texts = new Map<string, string>();
  for (const file of files) texts.set(file, readPolicy(file).text);
  // Whatever is wrong with a policy, the table of agents is not: it is left out, which saves a second.
  const policies = [...texts].map(([path, text]) => ({ path, text }));
  const compiled = await compile({
    files: policies,
    target,
    agents: null,
    rulesets: ruleSetFinder(process.cwd()),
    texts: readText,
  });
  return { compiled, texts };
}

/**
 * Connections that the deployment which serves these files does not have yet: on-prem each is a service of the process, so
 * a new one restarts the workers. Null when no such deployment runs in this directory.
 */
async function newDials(files: readonly string[], dials: readonly string[]): Promise<string[] | null> {
  try {
    const running = jsonOf(await askControl({}, 'GET', '/v1/status')) as GatewayStatus;
    const served = new Set(running.files.map((file) => resolve(file)));
    if (served.size !== files.length || !files.every((file) => served.has(resolve(file)))) return null;
    return dials.filter((dial) => !running.dials.includes(dial));
  } catch {
    return null;
  }
}

export default defineCommand({
  meta: { name: 'check', description: 'say what is wrong with policies, and where' },
  args,
  async run({ args }) {
    const { target } = args;
    if (target !== 'workerd' && target !== 'cloudflare')
      throw new Failure(`--target is workerd or cloudflare, not "${target}"`);
    const files = policyFiles(args._);
    const { compiled, texts } = await check(files, target);
    const { ok, diagnostics, plans } = compiled;
    if (!ok) process.exitCode = 1;
    const apps = plans.map((plan) => ({
      name: plan.app,
      routes: plan.routeNames.length,
      rules: plan.rules.length,
      backends: plan.backends.length,
    }));
    // A policy that asks nobody who it is needs no list.
    const asks = [...texts.values()].some((text) => /\bagents:|\bagent\.(?:identity|verified)\b/.test(text));
    const notice = asks ? listNotice(readLists(process.cwd()), Date.now()) : null;
    const restart = ok && target === 'workerd' ? await newDials(files, compiled.dials) : null;
    if (args.json)
      return void process.stdout.write(
        `${JSON.stringify({ ok, target, apps, dials: compiled.dials, restart, diagnostics, ...(notice !== null && { notice }) })}\n`,
      );

    const color = pc.isColorSupported;
    process.stdout.write(formatDiagnostics(diagnostics, { readText: (file) => texts.get(file), color }));
    if (!ok) return;
    const count = (n: number, word: string) => `${n} ${word}${n === 1 ? '' : 's'}`;
    for (const app of apps) {
      process.stdout.write(
        `${pc.green('ok')} ${app.name}: ${count(app.routes, 'route')}, ${count(app.rules, 'rule')}, ${count(app.backends, 'backend')}\n`,
      );
    }
    if (notice !== null) process.stdout.write(`${pc.yellow('note')} ${notice}\n`);
    if (restart !== null && restart.length > 0) {
      process.stdout.write(
        `${pc.yellow('restart')} the running deployment restarts with a drain for ${restart.join(', ')}\n`,
      );
    } else if (restart !== null) {
      process.stdout.write('the running deployment swaps to it without a restart\n');
    }
  },
});
