/** `sallyport rules`: brings rule sets here, lists them, shows their rules, and compiles them for a test. */
import { defineCommand } from 'citty';
import { existsSync, writeFileSync } from 'node:fs';
import pc from 'picocolors';
import { formatDiagnostics, type Diagnostic } from '../compiler/diagnostics.ts';
import { severityName, writeRule, type RuleEntry, type RuleSet } from '../compiler/seclang/index.ts';
import { isLeftOut, isRule, paranoiaOf } from '../compiler/waf/artefact.ts';
import { guardBodies } from '../compiler/waf/malformed.ts';
import { writeBundle } from '../compiler/waf/bundle.ts';
import { printable } from './accesslog.ts';
import type { RuleFiles } from './archive.ts';
import { compileFiles, requireDeployment } from './deployment.ts';
import { Failure } from './failure.ts';
import { readLock } from './lock.ts';
import { compiledRules, compileFilesOf, EMBEDDED, readFiles } from './rule-images.ts';
import { addRules, type Added, folderOf, lockedFiles, parseName } from './rulesets.ts';

const rulesArguments = {
  action: { type: 'positional', description: 'add, list, show, test or bundle', required: true },
  name: {
    type: 'positional',
    description: 'a rule set (crs@4.28.0); show: the id of a rule; bundle: a policy',
    required: false,
  },
  from: { type: 'string', description: 'add: a directory or archive on this machine', valueHint: 'path' },
  url: { type: 'string', description: 'add: another place to download from', valueHint: 'url' },
  ruleset: { type: 'string', description: 'show: the rule set to look in', valueHint: 'name' },
  out: { type: 'string', description: 'bundle: where to write', valueHint: 'file', default: 'waf.bin' },
  'leave-out-unsupported': {
    type: 'boolean',
    description: 'add: leave out rules with patterns that need backtracking, such as six of CRS 3',
  },
  json: { type: 'boolean', description: 'print JSON' },
} as const;

interface Parsed {
  readonly action: string;
  readonly name?: string | undefined;
  readonly from?: string | undefined;
  readonly url?: string | undefined;
  readonly ruleset?: string | undefined;
  readonly out: string;
  readonly 'leave-out-unsupported'?: boolean | undefined;
  readonly json?: boolean | undefined;
}

const ACTIONS: Readonly<Record<string, (args: Parsed, project: string) => void | Promise<void>>> = {
  add,
  list,
  show,
  test: testRules,
  bundle,
};

export default defineCommand({
  meta: { name: 'rules', description: 'rule sets of the web application firewall: add, list, show, test' },
  args: rulesArguments,
  async run({ args }) {
    const action = Object.hasOwn(ACTIONS, args.action) ? ACTIONS[args.action] : undefined;
    if (action === undefined) throw new Failure(`rules takes ${Object.keys(ACTIONS).join(', ')}, not "${args.action}"`);
    await action(args, process.cwd());
  },
});

const print = (args: Parsed, value: Record<string, unknown>, text: string): void =>
  void process.stdout.write(args.json === true ? `${JSON.stringify({ ok: true, ...value })}\n` : `${text}\n`);

/** One rule set, or every one that the lock has. */
async function add(args: Parsed, project: string): Promise<void> {
  const names = args.name === undefined ? Object.keys(readLock(project)) : [args.name];
  if (names.length === 0) throw new Failure('which rule set? Write sallyport rules add crs@4.28.0');
  if (args.name === undefined && (args.from !== undefined || args.url !== undefined))
    throw new Failure('--from and --url belong to one rule set: name it');
  if (args.name === undefined && args['leave-out-unsupported'] !== undefined)
    throw new Failure('--leave-out-unsupported belongs to one rule set: name it');
  const added = [];
  for (const name of names) {
    const progress = progressLine(args);
    const one = await addRules(project, name, {
      from: args.from,
      url: args.url,
      leaveOut: args['leave-out-unsupported'],
      onProgress: (bytes, total) => progress(`${name}: ${bytes}${total > 0 ? ` of ${total}` : ''} bytes`),
    });
    progress('');
    const leftOut = one.unsupported === undefined ? [] : leftOutOf(project, one);
    added.push({ ...one, leftOut });
  }
  const lines = added.flatMap(({ name, sha256, count, fresh, leftOut }) => [
    `${name}  ${count} files  SHA-256 ${sha256}${fresh ? '  (new in sallyport.lock: commit it)' : ''}`,
    ...leftOut.map(({ file, line, column, message }) => `  ${printable(`${file}:${line}:${column}  ${message}`)}`),
  ]);
  print(args, { rulesets: added }, lines.join('\n'));
}

const leftOutOf = (project: string, { name, unsupported }: Added): readonly Diagnostic[] =>
  readFiles(name, lockedFiles(project, name), unsupported).diagnostics.filter(isLeftOut);

function list(args: Parsed, project: string): void {
  const rows = [EMBEDDED, ...Object.keys(readLock(project))].map((name) => {
    const locked = name === EMBEDDED ? null : (readLock(project)[name] ?? null);
    const here = name === EMBEDDED || existsSync(folderOf(project, name));
    const unsupported = locked?.unsupported ?? 'error';
    return { name, source: locked?.source ?? 'part of Sallyport', sha256: locked?.sha256 ?? null, here, unsupported };
  });
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(
    ({ name, source, sha256, here, unsupported }) =>
      `${name.padEnd(width)}  ${here ? '' : pc.yellow('not here: sallyport rules add  ')}${source}${sha256 === null ? '' : pc.dim(`  ${sha256.slice(0, 12)}`)}${unsupported === 'error' ? '' : '  leaves out unsupported rules'}`,
  );
  print(args, { rulesets: rows }, lines.join('\n'));
}

/** The rules of a set without compiling it. */
async function ruleSetOf(project: string, name: string): Promise<RuleSet> {
  if (name === EMBEDDED) return (await compiledRules(project, name)).ir.ruleSet;
  return readFiles(name, lockedFiles(project, name), readLock(project)[name]?.unsupported).ruleSet;
}

/** Rules that a policy puts before any rule set are shown once, with those that are always here. */
const withPolicyRules = (name: string, rules: RuleSet): RuleSet =>
  name === EMBEDDED ? guardBodies(rules, 'reject') : rules;

async function show(args: Parsed, project: string): Promise<void> {
  if (args.name === undefined) throw new Failure('which rule? Write sallyport rules show 942100');
  const names =
    args.ruleset !== undefined
      ? [args.ruleset]
      : [EMBEDDED, ...Object.keys(readLock(project)).filter((name) => existsSync(folderOf(project, name)))];
  const found: { ruleset: string; entry: RuleEntry }[] = [];
  const wanted = /^\d{1,10}$/.test(args.name) ? Number(args.name) : null;
  for (const name of names)
    for (const entry of withPolicyRules(name, await ruleSetOf(project, name)).entries.filter(isRule))
      if (wanted === null ? entry.tags.includes(args.name) : entry.id === wanted) found.push({ ruleset: name, entry });
  if (found.length === 0)
    throw new Failure(
      `no rule ${args.name} in ${names.join(', ')}${wanted === null ? '; show takes an id or a tag' : ''}`,
    );
  const rules = found.map(({ ruleset, entry }) => ({ ruleset, ...summary(entry), text: writeRule(entry) }));
  print(args, { rules }, rules.map(describe).join('\n\n'));
}

function summary(entry: RuleEntry) {
  const { id, phase, tags, place, severity } = entry;
  return {
    id,
    phase,
    paranoia: paranoiaOf(entry),
    severity: severity < 0 ? null : severityName(severity),
    message: (entry.msg ?? []).map((part) => (typeof part === 'string' ? part : '%{…}')).join(''),
    tags,
    file: place.file,
    line: place.line,
  };
}

function describe({
  ruleset,
  id,
  phase,
  paranoia,
  severity,
  message,
  file,
  line,
  text,
}: ReturnType<typeof summary> & { ruleset: string; text: string }): string {
  const head = [`${ruleset} ${id}`, `phase ${phase}`, `paranoia ${paranoia}`, severity, message].filter(
    (part) => part !== null && part !== '',
  );
  return `${pc.bold(head.map((part) => printable(String(part))).join('  '))}\n${pc.dim(`${file}:${line}`)}\n${text}`;
}

/** Reads and compiles rule sets as `serve` would, and reports what is wrong with them. */
async function testRules(args: Parsed, project: string): Promise<void> {
  const names = args.name === undefined ? [EMBEDDED, ...Object.keys(readLock(project))] : [parseName(args.name).name];
  const results = [];
  const texts: string[] = [];
  let errors = 0;
  for (const name of names) {
    const startedAt = performance.now();
    const progress = progressLine(args);
    const files: RuleFiles = name === EMBEDDED ? new Map() : lockedFiles(project, name);
    let diagnostics: readonly Diagnostic[] = [];
    let compiled = null;
    try {
      // Afresh, cached or not: that is what a test is for.
      compiled =
        name === EMBEDDED
          ? await compiledRules(project, name)
          : await compileFilesOf(name, files, readLock(project)[name]?.unsupported, (_, done, total) =>
              progress(`${name}: ${Math.floor((done / total) * 100)} %`),
            );
      diagnostics = compiled.diagnostics;
    } catch (error) {
      if (!(error instanceof Failure) || !Array.isArray(error.details['diagnostics'])) throw error;
      diagnostics = error.details['diagnostics'] as readonly Diagnostic[];
    }
    progress('');
    const rules = compiled?.ir.ruleSet.entries.filter(isRule) ?? [];
    if (compiled === null) errors++;
    const readText = (path: string) => textOf(files.get(path));
    texts.push(formatDiagnostics(diagnostics, { readText, color: pc.isColorSupported }));
    results.push({
      name,
      ok: compiled !== null,
      rules: rules.length,
      paranoia: [1, 2, 3, 4].map((level) => rules.filter((rule) => paranoiaOf(rule) === level).length),
      matchers: Object.keys(compiled?.ir.matchers ?? {}).length,
      bytes: compiled?.image.length ?? 0,
      milliseconds: Math.round(performance.now() - startedAt),
      diagnostics,
    });
  }
  if (args.json === true) {
    process.stdout.write(`${JSON.stringify({ ok: errors === 0, rulesets: results })}\n`);
  } else {
    for (const [index, { name, ok, rules, matchers, bytes, milliseconds }] of results.entries()) {
      if (texts[index] !== '') process.stderr.write(`${texts[index]}\n`);
      process.stdout.write(
        ok
          ? `${pc.green('good')} ${name}  ${rules} rules, ${matchers} patterns and lists, image ${bytes} bytes (${milliseconds} ms)\n`
          : `${pc.red('bad')}  ${name}\n`,
      );
    }
  }
  if (errors > 0) process.exitCode = 1;
}

/** The WAF of a policy as one file, for `sallyport/waf` in a worker of one's own. */
async function bundle(args: Parsed): Promise<void> {
  if (args.name === undefined)
    throw new Failure('which policy? Write sallyport rules bundle sallyport.yaml --out waf.bin');
  const { manifest, images } = requireDeployment(await compileFiles([args.name]), args.json === true);
  const bytes = writeBundle(manifest, images);
  writeFileSync(args.out, bytes);
  print(args, { file: args.out, bytes: bytes.length }, `${String(bytes.length)} bytes  ${args.out}`);
}

const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');

/** One line on a terminal that replaces itself; nothing elsewhere. '' ends it. */
export function progressLine(args: { readonly json?: boolean | undefined }): (text: string) => void {
  if (args.json === true || process.stderr.isTTY !== true) return () => {};
  return (text) => void process.stderr.write(`\r\u001b[2K${text}`);
}
