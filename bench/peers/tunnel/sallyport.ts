/**
 * Sallyport as people run it: `sallyport serve` with a policy in which a tunnel is the backend, and `sallyport tunnel
 * listen` on the private end. `direct` is the same policy with the origin as backend: what the tunnel is compared with.
 */
import { join } from 'node:path';
import { ROOT } from '../../../test/gateway.ts';
import { family, freePort, listens, type Processes } from '../../harness/processes.ts';
import { runTunnel, straight, type TunnelPeer } from './tunnels.ts';

export const HOST = 'bench.example.com';

/** The command as an installed package runs it, from its bundle; a checkout would take its time to read the sources. */
function command(processes: Processes): string {
  const main = JSON.stringify(join(ROOT, 'dist/cli.js'));
  return processes.write('sallyport.mjs', `import { run } from ${main};\nawait run(process.argv.slice(2));\n`);
}

/** An edge, with a state folder and an operator's key of its own; `more` are further lines of its policy. */
export async function startEdge(
  processes: Processes,
  backend: string,
  more = '',
): Promise<{ pid: number; port: number }> {
  const port = await freePort();
  const folder = processes.folder;
  const policy = processes.write(
    `edge-${port}.yaml`,
    `app: bench\nhostnames: [${HOST}]\nbackends: { origin: ${backend} }\nroutes: [{ backend: origin }]\n${more}`,
  );
  const words = [command(processes), 'serve', policy, '--listen', `127.0.0.1:${port}`, '--allow-loopback', '--json'];
  process.env['XDG_CONFIG_HOME'] = join(folder, 'config');
  process.env['XDG_STATE_HOME'] = join(folder, 'state');
  const { pid } = await processes.start(process.execPath, words, port, undefined, listens);
  return { pid, port };
}

export const direct: TunnelPeer = {
  id: 'direct',
  name: 'Sallyport, no tunnel',
  start: async (processes, originPort) => {
    const edge = await startEdge(processes, `{ url: "http://127.0.0.1:${originPort}" }`);
    return {
      port: edge.port,
      edge: () => family(edge.pid),
      connector: () => [],
      firstByte: 0,
      again: () => Promise.resolve(0),
      stop: () => processes.end(edge),
    };
  },
};

export const sallyport: TunnelPeer = {
  id: 'sallyport',
  name: 'Sallyport',
  start: async (processes, originPort, through = straight) => {
    const edge = await startEdge(processes, '{ tunnel: bench }');
    const dialled = `http://127.0.0.1:${await through(edge.port)}`;
    const words = [command(processes), 'tunnel', 'listen', String(originPort), 'bench', '--edge', dialled, '--json'];
    return await runTunnel(processes, edge, edge.port, () => processes.start(process.execPath, words, edge.port));
  },
};
