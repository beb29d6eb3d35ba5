/** What proves the rights of a connector that the command starts: a file of `tunnel create`, or the operator's own key. */
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { connectorKey, issued, type PrivateJwk } from '../../tunnel/connector/credentials.ts';
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
  return ofFile(file);
}

const RENEW_BEFORE = 300_000; // ms before the end of a capability from which its file is read for the next one
const LOOK_AGAIN = 60_000; // ms until it is read again where it had no other

/** Reads the file again for each dial: another capability in it is for the next socket. */
export function ofFile(file: string): Credentials {
  let last = readRights(file);
  return async (now) => {
    try {
      last = readRights(file);
    } catch {
      // It is being written, or is gone: what was read holds for as long as it does.
    }
    const { capability, key } = last;
    const expires = expiryOf(capability);
    if (expires <= now)
      throw new Failure(
        `the capability in ${file} expired at ${new Date(expires).toISOString()}; sallyport tunnel create --renew, at its operator's, writes another`,
      );
    const credential = { capability, key: await connectorKey(key) };
    if (expires === Infinity) return credential;
    return { ...credential, expires, renewAt: Math.max(expires - RENEW_BEFORE, Math.min(now + LOOK_AGAIN, expires)) };
  };
}

/** As it says itself, ms since the epoch; Infinity where it does not. */
function expiryOf(capability: string): number {
  const { expires } = payloadOf(capability);
  return typeof expires === 'number' && Number.isSafeInteger(expires) && expires > 0 && expires <= 8.64e15
    ? expires
    : Infinity;
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
  const { names } = payloadOf(capability);
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
}

function payloadOf(capability: string): { readonly names?: unknown; readonly expires?: unknown } {
  try {
    const payload: unknown = JSON.parse(Buffer.from(capability.split('.')[1] ?? '', 'base64url').toString());
    return Object(payload) as object;
  } catch {
    return {};
  }
}

export function readRights(file: string): { capability: string; key: PrivateJwk } {
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
