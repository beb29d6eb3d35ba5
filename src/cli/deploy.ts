/**
 * `sallyport deploy --dry-run`: the bundle for Cloudflare, from the same worker and engine, with the images as data
 * modules. Nothing is uploaded: wrangler bundles offline, and what it would upload stands in --outdir.
 */
import { defineCommand, type ArgsDef } from 'citty';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isHostname, parseAddress } from '../compiler/index.ts';
import { isPublicKey } from '../control/signature.ts';
import { compileFiles, requireDeployment, type Deployment } from './deployment.ts';
import { readAgentOptions } from './agent-options.ts';
import { Failure } from './failure.ts';
import { every, policyFiles } from './options.ts';
import { readOperatorKey } from './operator.ts';
import { serveArguments } from './serve.ts';
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS, OBJECT_CLASSES, copyWorker } from './workerd.ts';

export default defineCommand({
  meta: { name: 'deploy', description: 'bundle for Cloudflare Workers (with --dry-run)' },
  args: {
    files: { type: 'positional', description: 'policy files, one app each', valueHint: 'FILE...', required: false },
    'dry-run': { type: 'boolean', description: 'bundle, print sizes, upload nothing' },
    name: { type: 'string', description: 'name of the worker', default: 'sallyport' },
    outdir: {
      type: 'string',
      description: 'where the bundle is written',
      valueHint: 'directory',
      default: 'dist-cloudflare',
    },
    'control-host': {
      type: 'string',
      description: 'host of the control API, which no app may have; default: no control API',
      valueHint: 'control.example.com',
    },
    'operator-key': {
      type: 'string',
      description:
        'public key of who may use the control API and open tunnels; default: the one that init --operator-key made',
      valueHint: 'x',
    },
    agents: serveArguments.agents,
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args, rawArgs, cmd }) {
    if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(args.name))
      throw new Failure(`--name takes lower-case letters, digits and hyphens, not "${args.name}"`);
    if (!args['dry-run'])
      throw new Failure(
        'deploy works with --dry-run only so far; what it writes can be uploaded with wrangler deploy --no-bundle',
      );
    const { CONTROL_HOST } = controlVariables(args['control-host']);
    const deployment = requireDeployment(
      await compileFiles(policyFiles(args._), 'cloudflare', CONTROL_HOST),
      args.json === true,
    );
    const needed = CONTROL_HOST !== undefined || deployment.tunnels !== null;
    const control = { ...controlVariables(args['control-host']), ...operatorVariables(args['operator-key'], needed) };
    const project = mkdtempSync(join(tmpdir(), 'sallyport-deploy-'));
    try {
      writeProject(project, args.name, deployment);
      const outdir = resolve(args.outdir);
      bundle(project, outdir);
      writeConfiguration(outdir, args.name, { ...control, ...agentVariable(rawArgs, cmd.args as ArgsDef) });
      const modules = readdirSync(outdir).filter((file) => /\.(js|wasm|img)$/.test(file));
      const sizes = modules.map((file) => ({ file, ...sizeOf(join(outdir, file)) }));
      const total = sizes.reduce((sum, { bytes, gzip }) => ({ bytes: sum.bytes + bytes, gzip: sum.gzip + gzip }), {
        bytes: 0,
        gzip: 0,
      });
      const result = {
        ok: true,
        outdir,
        generation: deployment.manifest.generation,
        modules: sizes,
        total,
        controlHost: CONTROL_HOST ?? null,
        secrets: deployment.secrets.map((name) => `SECRET_${name}`),
      };
      process.stdout.write(args.json ? `${JSON.stringify(result)}\n` : `${describe(result)}\n`);
    } finally {
      rmSync(project, { recursive: true, force: true });
    }
  },
});

/** AGENTS (src/platform/bindings.ts), where anything was chosen. */
function agentVariable(rawArgs: readonly string[], args: ArgsDef): { readonly AGENTS?: string } {
  const given = every(rawArgs, args, 'agents');
  const options = readAgentOptions(given);
  return given.length === 0 ? {} : { AGENTS: options === null ? 'off' : JSON.stringify(options) };
}

/** Bindings of the control API and of tunnels (src/platform/bindings.ts). */
interface ControlVariables {
  readonly CONTROL_HOST?: string;
  readonly OPERATOR_KEY?: string;
}

function controlVariables(host: string | undefined): ControlVariables {
  if (host === undefined) return {};
  const name = host.toLowerCase().replace(/\.$/, '');
  if (!isHostname(name) || parseAddress(name) !== undefined)
    throw new Failure(`--control-host takes a host name without port, not "${host}"`);
  return { CONTROL_HOST: name };
}

/** `needed`: there is a control API, or there are tunnels. */
function operatorVariables(x: string | undefined, needed: boolean): ControlVariables {
  if (x !== undefined && !isPublicKey(x))
    throw new Failure('--operator-key takes the x of an Ed25519 JWK, 43 characters of base64url');
  if (x !== undefined) return { OPERATOR_KEY: x };
  return needed ? { OPERATOR_KEY: readOperatorKey().x } : {};
}

/** A wrangler project: the worker as built, the engine, and `./images.js` that imports every image as bytes. */
export function writeProject(folder: string, name: string, deployment: Deployment): void {
  copyWorker(folder);
  for (const [hash, bytes] of deployment.images) writeFileSync(join(folder, `${hash}.img`), bytes);
  writeFileSync(join(folder, 'images.js'), imagesModule(deployment));
  const rules = [
    { type: 'CompiledWasm', globs: ['**/*.wasm'], fallthrough: false },
    { type: 'Data', globs: ['**/*.img'], fallthrough: false },
  ];
  writeFileSync(
    join(folder, 'wrangler.json'),
    JSON.stringify({ ...configuration(name, {}), main: 'worker.js', rules }, null, 2),
  );
}

export function imagesModule(deployment: Deployment): string {
  const hashes = [...deployment.images.keys()];
  const imports = hashes.map((hash, index) => `import image${index} from './${hash}.img';`);
  const entries = hashes.map((hash, index) => `'${hash}': image${index}`);
  return `${imports.join('\n')}\nexport default { manifest: ${JSON.stringify(deployment.manifest)}, images: { ${entries.join(', ')} } };\n`;
}

const classesOf = (part: string): string[] =>
  OBJECT_CLASSES.filter((one) => one.part === part).map(({ className }) => className);

function configuration(name: string, variables: Readonly<Record<string, string>>): Record<string, unknown> {
  return {
    name,
    compatibility_date: COMPATIBILITY_DATE,
    compatibility_flags: COMPATIBILITY_FLAGS,
    vars: { PLATFORM: 'cloudflare', ...variables },
    durable_objects: {
      bindings: OBJECT_CLASSES.map(({ binding, className }) => ({ name: binding, class_name: className })),
    },
    // Classes are only ever added: a tag that was deployed once is never changed.
    migrations: [...new Set(OBJECT_CLASSES.map(({ part }) => part))].map((part) => ({
      tag: `${part}-1`,
      new_sqlite_classes: classesOf(part),
    })),
    workers_dev: true,
  };
}

/** Beside the bundle, so that `wrangler deploy` in that folder uploads it as it is. */
function writeConfiguration(outdir: string, name: string, variables: Readonly<Record<string, string>>): void {
  const rules = [
    { type: 'ESModule', globs: ['**/*.js'] },
    { type: 'CompiledWasm', globs: ['**/*.wasm'] },
    { type: 'Data', globs: ['**/*.img'] },
  ];
  writeFileSync(
    join(outdir, 'wrangler.json'),
    `${JSON.stringify({ ...configuration(name, variables), main: 'worker.js', no_bundle: true, find_additional_modules: true, rules }, null, 2)}\n`,
  );
}

function bundle(project: string, outdir: string): void {
  if (existsSync(outdir))
    for (const file of readdirSync(outdir)) if (/\.(js|js\.map|wasm|img)$/.test(file)) rmSync(join(outdir, file));
  mkdirSync(outdir, { recursive: true });
  const args = [wrangler(), 'deploy', '--dry-run', '--outdir', outdir, '--config', join(project, 'wrangler.json')];
  const env = {
    ...process.env,
    WRANGLER_SEND_METRICS: 'false',
    CI: '1',
    NO_COLOR: '1',
    WRANGLER_LOG_PATH: join(project, 'logs'),
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8', env });
  if (status !== 0) throw new Failure(`wrangler could not bundle:\n${stderr.trim() || stdout.trim()}`);
}

/** Wrangler's program, from the user's project or from beside this package. */
function wrangler(): string {
  for (const from of [join(process.cwd(), 'package.json'), import.meta.filename]) {
    try {
      const manifest = createRequire(from).resolve('wrangler/package.json');
      const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: Record<string, string> };
      return join(dirname(manifest), bin['wrangler'] ?? '');
    } catch {
      // not installed there
    }
  }
  throw new Failure('wrangler is not installed; npm install --save-dev wrangler puts it here');
}

function sizeOf(path: string): { bytes: number; gzip: number } {
  const content = readFileSync(path);
  return { bytes: content.length, gzip: gzipSync(content, { level: 9 }).length };
}

function describe(result: {
  outdir: string;
  modules: readonly { file: string; bytes: number; gzip: number }[];
  total: { bytes: number; gzip: number };
  controlHost: string | null;
  secrets: readonly string[];
}): string {
  const row = (name: string, { bytes, gzip }: { bytes: number; gzip: number }) =>
    `${String(bytes).padStart(9)} bytes ${String(gzip).padStart(8)} gzip  ${name}`;
  const lines = [
    ...result.modules.map((module) => row(module.file, module)),
    row('in all', result.total),
    `dry run: nothing was uploaded; the bundle is in ${result.outdir}`,
  ];
  if (result.controlHost !== null)
    lines.push(
      `control API: route ${result.controlHost} to the worker, then sallyport status --url ${result.controlHost}`,
    );
  if (result.secrets.length > 0) lines.push(`secrets to set with wrangler secret put: ${result.secrets.join(', ')}`);
  return lines.join('\n');
}
