/** Finds a deployment that runs on this machine and talks to its control socket. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from './failure.ts';
import { STATE_FOLDER } from './gateway.ts';
import { unixRequest } from './unixhttp.ts';

const PATIENCE = 60_000; // ms: a reload compiles the policies

/** `socket` as given with --control, else the one of the only deployment that was started in this directory. */
export async function askControl(
  socket: string | undefined,
  method: string,
  path: string,
): Promise<{ status: number; body: unknown }> {
  const target = socket ?? onlySocket();
  let answer;
  try {
    answer = await unixRequest(target, method, path, undefined, PATIENCE);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') throw new Failure(`${target} belongs to another user`);
    throw new Failure(
      code === 'ENOENT' || code === 'ECONNREFUSED'
        ? `nothing is running behind ${target}`
        : `${target} does not answer (${String(error)})`,
    );
  }
  return { status: answer.status, body: JSON.parse(answer.body) as unknown };
}

function onlySocket(): string {
  const found = globSync(join(STATE_FOLDER, '*', 'serve.json')).map(
    (file) => (JSON.parse(readFileSync(file, 'utf8')) as { control: string }).control,
  );
  if (found.length === 1) return found[0]!;
  if (found.length === 0)
    throw new Failure(`no deployment was started in this directory; name its socket with --control`);
  throw new Failure(
    `several deployments were started in this directory; choose one with --control: ${found.join(', ')}`,
  );
}
