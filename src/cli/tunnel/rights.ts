/** What proves the rights of a connector that the command starts: a file of `tunnel create`, or the operator's own key. */
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { given, issued, type PrivateJwk } from '../../tunnel/connector/credentials.ts';
import type { Exposure } from '../../tunnel/capability.ts';
import type { Credentials } from '../../tunnel/connector/connector.ts';
import { printable } from '../accesslog.ts';
import { Failure, sentence } from '../failure.ts';
import { ownOperatorKey } from '../operator.ts';

/** `file`: JSON with `capability` and `key` (a JWK), mode 0600. Without one, the operator issues to itself. */
export async function rightsOf(
  file: string | undefined,
  names: readonly string[],
  reach: readonly string[] = [],
  exposure: Exposure | null = null,
): Promise<Credentials> {
  if (file === undefined) {
    return issued(await ownOperatorKey(), names, reach, exposure);
  }
  if (exposure !== null)
    throw new Failure('how the tunnel of a capability is exposed is said by sallyport tunnel create --access');
  const { capability, key } = readRights(file);
  return given(capability, key);
}

/** The tunnel that a file is for: the one that was named, or the only one that it covers. */
export function coveredName(file: string, named: string | undefined): string {
  const names = namesOf(readRights(file).capability);
  const covered = `${file} covers ${names.length === 0 ? 'no tunnel' : names.map(printable).join(', ')}`;
  if (named !== undefined) {
    if (!names.includes(named)) throw new Failure(`${covered}, not ${named}`);
    return named;
  }
  if (names.length !== 1) throw new Failure(names.length === 0 ? covered : `${covered}: name one of them`);
  return names[0]!;
}

/** What it says, whoever signed it: that is the edge's to find out. */
function namesOf(capability: string): string[] {
  try {
    const payload: unknown = JSON.parse(Buffer.from(capability.split('.')[1] ?? '', 'base64url').toString());
    const { names } = payload as { names?: unknown };
    return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
  } catch {
    return [];
  }
}

function readRights(file: string): { capability: string; key: PrivateJwk } {
  let text: string;
  try {
    // systemd shows the files that it gives to one unit as readable by their group, who is nobody.
    const own =
      (process.env['CREDENTIALS_DIRECTORY'] ?? '') !== '' && dirname(file) === process.env['CREDENTIALS_DIRECTORY'];
    if (!own && (statSync(file).mode & 0o077) !== 0) throw new Failure(`${file} is open to others; chmod 600 it`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(sentence(error));
  }
  try {
    const { capability, key } = JSON.parse(text) as { capability?: unknown; key?: Partial<PrivateJwk> };
    if (
      typeof capability === 'string' &&
      key?.crv === 'Ed25519' &&
      typeof key.x === 'string' &&
      typeof key.d === 'string'
    )
      return { capability, key: { kty: 'OKP', crv: 'Ed25519', x: key.x, d: key.d } };
  } catch {
    // SAFETY: what the parser says may quote the key
  }
  throw new Failure(`${file} holds no capability with its key; sallyport tunnel create writes one`);
}
