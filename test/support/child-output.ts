import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** All that a program prints once it was given `input`; fails with what it complains of when it does. */
export async function output(child: ChildProcess, input: Buffer | string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let said = '';
  child.stdout!.on('data', (part: Buffer) => parts.push(part));
  child.stderr!.on('data', (part: Buffer) => (said += part.toString()));
  child.stdin!.on('error', () => {});
  child.stdin!.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 0, said);
  return Buffer.concat(parts);
}
