/**
 * `sallyport build`: a policy as the files that workerd runs: images, worker, engine and configuration. With --binary
 * one executable that carries all of it; with --disassemble what the images say, as text.
 */
import { defineCommand } from 'citty';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  closeSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { disassemble } from '../compiler/disassemble.ts';
import { compileFiles, requireDeployment, type Deployment } from './deployment.ts';
import { egressPolicy, pin, type Pinned } from './egress.ts';
import { Failure } from './failure.ts';
import { every, listenAddress, policyFiles } from './options.ts';
import { copyWorker, WORKER_FILES, workerdBinary, workerdConfig } from './workerd.ts';

const buildArguments = {
  files: { type: 'positional', description: 'policy files, one app each', valueHint: 'FILE...', required: false },
  outdir: { type: 'string', description: 'where to write', valueHint: 'directory', default: 'build' },
  binary: { type: 'boolean', description: 'one self-contained executable, outdir/sallyport' },
  disassemble: { type: 'boolean', description: 'print what the images say' },
  listen: {
    type: 'string',
    description: 'address that the executable listens on',
    valueHint: 'host:port',
    default: '127.0.0.1:8080',
  },
  'allow-loopback': { type: 'boolean', description: 'origins may have loopback addresses' },
  'egress-allow': {
    type: 'string',
    description: 'an address or CIDR block that origins may have; repeatable',
    valueHint: 'cidr',
  },
  json: { type: 'boolean', description: 'print JSON' },
} as const;

export default defineCommand({
  meta: { name: 'build', description: 'write images and worker; --binary: one executable' },
  args: buildArguments,
  async run({ args, rawArgs }) {
    const json = args.json === true;
    const deployment = requireDeployment(await compileFiles(policyFiles(args._)), json);
    if (args.disassemble === true) return print(deployment, json);
    const outdir = resolve(args.outdir);
    writeImages(join(outdir, 'images'), deployment);
    copyWorker(outdir);
    const files = [
      'images/current.json',
      ...[...deployment.images.keys()].map((hash) => `images/${hash}.img`),
      ...WORKER_FILES,
    ];
    if (args.binary === true) {
      // Refused rather than built: each request that a rate looks at would be answered 503.
      if (deployment.counts)
        throw new Failure(
          'rates need objects that count, which an executable does not have; leave them out, or use serve',
        );
      const policy = egressPolicy(every(rawArgs, buildArguments, 'egress-allow'), args['allow-loopback'] === true);
      const origins = await Promise.all(deployment.dials.map((dial) => pin(dial, policy)));
      const { host, port } = listenAddress(args.listen);
      writeBinary(outdir, deployment, origins, `${host.includes(':') ? `[${host}]` : host}:${port}`);
      files.push('sallyport');
    }
    const sizes = files.map((file) => ({ file, bytes: statSync(join(outdir, file)).size }));
    const result = {
      ok: true,
      outdir,
      generation: deployment.manifest.generation,
      files: sizes,
      secrets: deployment.secrets,
    };
    process.stdout.write(
      json
        ? `${JSON.stringify(result)}\n`
        : `${sizes.map(({ file, bytes }) => `${String(bytes).padStart(10)} bytes  ${file}`).join('\n')}\n${outdir}\n`,
    );
  },
});

function print(deployment: Deployment, json: boolean): void {
  const images = [...deployment.images].map(([hash, bytes]) => ({ hash, text: disassemble(bytes) }));
  process.stdout.write(
    json
      ? `${JSON.stringify({ ok: true, manifest: deployment.manifest, images })}\n`
      : images.map(({ hash, text }) => `; ${hash}.img\n${text}\n`).join('\n'),
  );
}

function writeImages(folder: string, deployment: Deployment): void {
  mkdirSync(folder, { recursive: true });
  // What an earlier build left: nothing names it any more.
  for (const name of readdirSync(folder))
    if (/^[0-9a-f]{64}\.img$/.test(name) && !deployment.images.has(name.slice(0, 64))) rmSync(join(folder, name));
  for (const [hash, bytes] of deployment.images) writeFileSync(join(folder, `${hash}.img`), bytes);
  writeFileSync(join(folder, 'current.json'), `${JSON.stringify(deployment.manifest)}\n`);
}

/** workerd with the configuration and every file of it inside. Origins' names are resolved here, once and for all. */
function writeBinary(outdir: string, deployment: Deployment, origins: readonly Pinned[], listen: string): void {
  for (const { problem } of origins) if (problem !== null) throw new Failure(problem);
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-build-'));
  const binary = join(outdir, 'sallyport');
  try {
    copyWorker(folder);
    writeImages(folder, deployment);
    const config = workerdConfig({
      origins,
      secrets: new Map(deployment.secrets.map((name) => [name, `SALLYPORT_SECRET_${name}`])),
      tls: null,
      authorities: [],
      v8Flags: [],
      images: { embedded: ['current.json', ...[...deployment.images.keys()].map((hash) => `${hash}.img`)] },
      listen,
      control: null,
    });
    writeFileSync(join(folder, 'config.capnp'), config);
    // Its standard output is the executable, 160 MB: straight into the file.
    const output = openSync(binary, 'w', 0o755);
    const { status, stderr } = spawnSync(workerdBinary(), ['compile', join(folder, 'config.capnp')], {
      stdio: ['ignore', output, 'pipe'],
      encoding: 'utf8',
    });
    closeSync(output);
    if (status !== 0) throw new Failure(`workerd could not compile: ${stderr.trim()}`);
    chmodSync(binary, 0o755);
  } catch (error) {
    rmSync(binary, { force: true });
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
