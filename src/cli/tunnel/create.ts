/**
 * `sallyport tunnel create`: reserves a name, says who may enter, and writes a file with which a connector serves it: the
 * capability and the key that it was made for. `--connector-key` leaves the key where it was made.
 */
import { defineCommand } from 'citty';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pc from 'picocolors';
import { isPublicKey, thumbprint } from '../../control/signature.ts';
import {
  basicDigest,
  keyDigest,
  MIN_SECRET_LENGTH,
  newSalt,
  PUBLIC,
  readAccessRule,
  type AccessRule,
} from '../../tunnel/access.ts';
import {
  generateConnectorKey,
  issueCapability,
  LABEL,
  MAX_CAPABILITY_DAYS,
  MAX_REACH,
} from '../../tunnel/capability.ts';
import type { PrivateJwk } from '../../tunnel/connector/private-jwk.ts';
import type { TunnelRecord } from '../../tunnel/register.ts';
import { described } from '../described.ts';
import { Failure } from '../failure.ts';
import { operatorKeyFile } from '../operator.ts';
import { every, integer } from '../options.ts';
import { writePrivate } from '../private.ts';
import { askControl, jsonOf, placeArguments, requireOk } from '../running.ts';
import { readSecrets } from '../secrets.ts';
import { operatorOf } from './project.ts';
import { readRights } from './rights.ts';

const createArguments = {
  name: { type: 'positional', description: 'of the tunnel', required: true },
  ...placeArguments,
  access: {
    type: 'string',
    description: 'public, restricted or private; default: what the policy says',
    valueHint: 'access',
  },
  allow: { type: 'string', description: 'restricted: clients of this address or block; repeatable', valueHint: 'cidr' },
  basic: {
    type: 'string',
    description: 'restricted: a user; its password is made here, or given; repeatable',
    valueHint: 'user[=env:VAR|file:PATH]',
  },
  'access-key': { type: 'boolean', description: 'restricted: a key for programs, made here (Authorization: Bearer)' },
  reach: {
    type: 'string',
    description: 'what its connector may reach by access: office, db.office, db.* or "*"; repeatable',
    valueHint: 'service.tunnel',
  },
  days: { type: 'string', description: 'life of the capability', valueHint: 'N', default: '90' },
  sessions: { type: 'string', description: 'objects that share the load of a busy tunnel', valueHint: 'N' },
  'connector-key': {
    type: 'string',
    description: 'public key of the connector (x of its JWK), where it was made there',
    valueHint: 'x',
  },
  out: { type: 'string', description: 'file for the connector; default: in the config folder', valueHint: 'file' },
  renew: { type: 'boolean', description: 'the tunnel exists: write another capability for it' },
  json: { type: 'boolean', description: 'print JSON' },
} as const;

export default defineCommand({
  meta: described({
    name: 'create',
    description: 'reserve a name and write the rights of its connector',
    examples: [
      'sallyport tunnel create office --days 30 --access private',
      'sallyport tunnel create demo --basic ann --access-key   # restricted; password and key are made here',
      'sallyport tunnel create office --renew',
    ],
  }),
  args: createArguments,
  async run({ args, rawArgs }) {
    const all = (option: string) => every(rawArgs, createArguments, option);
    if (!LABEL.test(args.name))
      throw new Failure(`a tunnel has a name like laptop: letters, digits and - in lower case, not "${args.name}"`);
    const reach = reachOf(all('reach'));
    const days = integer(args.days, '--days', 1, MAX_CAPABILITY_DAYS);
    const connector = args['connector-key'];
    if (connector !== undefined && !isPublicKey(connector))
      throw new Failure('--connector-key takes the x of an Ed25519 JWK, 43 characters of base64url');
    const { rule, secrets } = await accessOf(args.access, all('allow'), all('basic'), args['access-key'] === true);
    const sessions = args.sessions === undefined ? undefined : integer(args.sessions, '--sessions', 1, 64);
    const operator = await operatorOf();

    const call = args.renew === true ? 'PATCH' : 'POST';
    const path = args.renew === true ? `/v1/tunnels/${args.name}` : '/v1/tunnels';
    const fields = { ...(rule !== null && { access: rule }), ...(sessions !== undefined && { sessions }) };
    const asked = await askControl(args, call, path, args.renew === true ? fields : { name: args.name, ...fields });
    if (asked.status === 409 && /exists/.test(asked.body))
      throw new Failure(`the tunnel ${args.name} exists; --renew writes another capability for it`);
    const record = jsonOf(requireOk(asked)) as TunnelRecord;

    const file = args.out ?? join(dirname(operatorKeyFile()), 'tunnels', `${args.name}.json`);
    // With the key that it has a connector goes on with what is open; whoever wants another one removes the file.
    const kept = args.renew === true && existsSync(file) ? readRights(file).key : null;
    const key = connector === undefined ? (kept ?? (await newKey())) : null;
    // Later than what was revoked, whatever the clocks say.
    const generation = Math.max(Date.now(), record.revoked + 1);
    const expires = generation + days * 86_400_000;
    const capability = await issueCapability(operator.key, {
      ...{ project: operator.project, names: [args.name], reach, generation, expires, exposure: null },
      connector: await thumbprint(connector ?? key!.x),
    });
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const content = key === null ? { capability } : { capability, key };
    writePrivate(file, `${JSON.stringify(content)}\n`);
    const result = { ok: true, name: args.name, project: operator.project, file, generation, expires, secrets };
    if (args.json) return void process.stdout.write(`${JSON.stringify({ ...result, capability })}\n`);
    const lines = [
      `${pc.green(args.renew === true ? 'renewed' : 'created')} ${args.name}  until ${new Date(expires).toISOString()}`,
      `rights of its connector ${file}`,
      ...secrets.map(({ user, secret }) => (user === '' ? `key ${secret}` : `user ${user}  password ${secret}`)),
      `next: sallyport tunnel listen 3000 ${args.name} --capability ${file}`,
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  },
});

async function newKey(): Promise<PrivateJwk> {
  const { privateKey, x } = await generateConnectorKey(true);
  const { d = '' } = await crypto.subtle.exportKey('jwk', privateKey);
  return { kty: 'OKP', crv: 'Ed25519', x, d };
}

function reachOf(given: readonly string[]): string[] {
  for (const one of given)
    if (!/^(?:\*|[a-z0-9-]{1,63}(?:\.(?:\*|[a-z0-9-]{1,63}))?)$/.test(one))
      throw new Failure(`--reach takes office, db.office, db.* or "*", not "${one}"`);
  if (given.length > MAX_REACH) throw new Failure(`--reach can be given ${MAX_REACH} times`);
  return [...new Set(given)];
}

/** A secret that is to be told to its user, once; '' as the user: a key. */
interface Told {
  readonly user: string;
  readonly secret: string;
}

/** What is said of access; null where nothing is. Passwords that are made here come back to be told. */
async function accessOf(
  access: string | undefined,
  addresses: readonly string[],
  users: readonly string[],
  key: boolean,
): Promise<{ rule: AccessRule | null; secrets: Told[] }> {
  const limits = addresses.length + users.length > 0 || key;
  if (access === undefined && !limits) return { rule: null, secrets: [] };
  const word = access ?? 'restricted';
  if (word !== 'public' && word !== 'restricted' && word !== 'private')
    throw new Failure(`--access takes public, restricted or private, not "${word}"`);
  if (word !== 'restricted' && limits)
    throw new Failure(`--allow, --basic and --access-key belong to --access restricted, not to ${word}`);
  if (word === 'restricted' && !limits)
    throw new Failure('--access restricted needs --allow, --basic or --access-key: to whom?');
  for (const one of addresses)
    if (typeof readAccessRule({ ...PUBLIC, addresses: [one] }) === 'string')
      throw new Failure(
        `--allow takes an address or a CIDR block, such as 192.0.2.0/24 or 2001:db8::/32, not "${one}"`,
      );
  const salt = newSalt();
  const secrets: Told[] = [];
  const basic: string[] = [];
  for (const one of users) {
    const equals = one.indexOf('=');
    const user = equals < 0 ? one : one.slice(0, equals);
    if (!/^[A-Za-z0-9._@-]{1,64}$/.test(user))
      throw new Failure(`--basic takes a user name of letters, digits, . _ @ and -, not "${user}"`);
    const password = equals < 0 ? made() : given(user, one.slice(equals + 1));
    if (equals < 0) secrets.push({ user, secret: password });
    basic.push(await basicDigest(salt, user, password));
  }
  const keys: string[] = [];
  if (key) {
    const secret = made();
    secrets.push({ user: '', secret });
    keys.push(await keyDigest(salt, secret));
  }
  return { rule: { ...PUBLIC, access: word, addresses: [...addresses], salt, basic, keys }, secrets };
}

function given(user: string, source: string): string {
  const password = readSecrets([`PASSWORD=${source}`]).get('PASSWORD') ?? '';
  // One round of a digest guards it, see access.ts: it must be too long to be searched for.
  if (password.length < MIN_SECRET_LENGTH)
    throw new Failure(`the password of ${user} has ${password.length} characters; it needs ${MIN_SECRET_LENGTH}`);
  return password;
}

/** 144 random bits. */
const made = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(18))).toString('base64url');
