/**
 * The operator's key: an Ed25519 pair that signs control requests to deployments on Cloudflare. It is one file in the
 * user's config folder, is made once and never written over; deployments hold the public half.
 */
import { createPrivateKey, createPublicKey, randomUUID } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { isPublicKey, sign, thumbprint, type Message } from '../control/signature.ts';
import { Failure, sentence } from './failure.ts';

interface PrivateJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly d: string;
}

export interface OperatorKey {
  readonly file: string;
  /** The public half, as in a JWK. */
  readonly x: string;
  readonly created: boolean;
}

/** SPEC: XDG Base Directory: a relative path in XDG_CONFIG_HOME is ignored. */
export function operatorKeyFile(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_CONFIG_HOME'] ?? '';
  return join(isAbsolute(base) ? base : join(homedir(), '.config'), 'sallyport', 'operator.jwk');
}

/** The key of this user; made when there is none. */
export async function ensureOperatorKey(file = operatorKeyFile()): Promise<OperatorKey> {
  const { privateKey } = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const { x = '', d = '' } = await crypto.subtle.exportKey('jwk', privateKey);
  const jwk: PrivateJwk = { kty: 'OKP', crv: 'Ed25519', x, d };
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // Written whole and then linked: a link is refused where there is a file, so neither a key that exists nor half of a
  // new one can be lost to a second process.
  const draft = `${file}.${randomUUID()}.new`;
  writeFileSync(draft, `${JSON.stringify(jwk)}\n`, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(draft, file);
    return { file, x, created: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw new Failure(sentence(error));
    return { file, x: readOperatorKey(file).x, created: false };
  } finally {
    rmSync(draft, { force: true });
  }
}

/** The key of this user, whole; made when there is none. */
export async function ownOperatorKey(file = operatorKeyFile()): Promise<PrivateJwk> {
  // PERF: to make a key that is not needed is 2 ms of a connector's start.
  if (!existsSync(file)) await ensureOperatorKey(file);
  return readOperatorKey(file);
}

/** The public half for a deployment of this user, whose connectors it lets in; null, and a notice, when there can be none. */
export async function operatorFor(
  report: (event: { readonly event: 'notice'; readonly message: string }) => void,
): Promise<string | null> {
  try {
    return (await ensureOperatorKey()).x;
  } catch (error) {
    report({ event: 'notice', message: `there are no tunnels without an operator key: ${sentence(error)}` });
    return null;
  }
}

/** The key in `file`, or a Failure that says what is wrong with it. */
export function readOperatorKey(file = operatorKeyFile()): PrivateJwk {
  let text: string;
  try {
    const { mode } = statSync(file);
    if ((mode & 0o077) !== 0) throw new Failure(`${file} is open to others; chmod 600 it, or make a new key`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new Failure(`there is no operator key in ${file}; sallyport init --operator-key makes one`);
    throw error instanceof Failure ? error : new Failure(sentence(error));
  }
  try {
    const key = JSON.parse(text) as PrivateJwk;
    // Of a pair whose halves differ every signature would be refused, without anybody knowing why.
    const derived = createPublicKey(createPrivateKey({ key: { ...key }, format: 'jwk' })).export({ format: 'jwk' });
    if (key.crv === 'Ed25519' && isPublicKey(key.x) && derived.x === key.x) return key;
  } catch {
    // SAFETY: what the parsers say may quote the key
  }
  throw new Failure(`${file} holds no Ed25519 key pair as a JWK`);
}

/** Headers that sign a request with the key of this user. */
export async function signed(message: Message): Promise<Record<string, string>> {
  const { kty, crv, x, d } = readOperatorKey();
  const key = await crypto.subtle.importKey('jwk', { kty, crv, x, d }, 'Ed25519', false, ['sign']);
  return await sign(key, await thumbprint(x), message, Math.floor(Date.now() / 1000));
}
