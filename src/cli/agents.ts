/** `sallyport agents`: keys for an agent of one's own, their directory, signed requests; what agents did here. */
import { readFileSync, writeFileSync } from 'node:fs';
import { defineCommand } from 'citty';
import { createAgentKey, keyDirectory, readAgentKey, type AgentKey } from '../agents/agent-key.ts';
import type { JsonWebKeyMembers } from '../agents/json-web-key.ts';
import { agentSigner, type AgentSignerOptions } from '../agents/signer.ts';
import { agentsReport } from './agents-report.ts';
import { update } from './agent-update.ts';
import { Failure, sentence } from './failure.ts';
import { every, integer } from './options.ts';

const agentsArguments = {
  action: { type: 'positional', description: 'update, keygen, directory, sign or report', required: true },
  url: {
    type: 'positional',
    description: 'sign: what is asked for; report: control host on Cloudflare',
    required: false,
  },
  key: { type: 'string', description: 'file of a private key; directory: of each key', valueHint: 'file' },
  agent: { type: 'string', description: 'sign: where the keys are published', valueHint: 'url' },
  method: { type: 'string', description: 'sign: of the request', default: 'GET', valueHint: 'name' },
  header: { type: 'string', description: 'sign: a header to cover, as "name: value"', valueHint: 'line' },
  body: { type: 'string', description: 'sign: a file that will be the body', valueHint: 'file' },
  lifetime: { type: 'string', description: 'sign: seconds that it is good for', default: '60', valueHint: 'seconds' },
  form: { type: 'string', description: 'sign: dictionary or string', default: 'dictionary', valueHint: 'name' },
  out: { type: 'string', description: 'keygen, directory: the file to write', valueHint: 'file' },
  control: { type: 'string', description: 'report: control socket of the deployment', valueHint: 'path' },
  since: { type: 'string', description: 'report: a day, as 2026-11-21, or days, as 7d', valueHint: 'day' },
  list: { type: 'string', description: 'update: one list; repeatable, all without', valueHint: 'id' },
  from: { type: 'string', description: 'update: a folder on this machine that has the lists', valueHint: 'folder' },
  mirror: { type: 'string', description: 'update: another place that has all lists', valueHint: 'url' },
  force: { type: 'boolean', description: 'update: take lists that lost most of their addresses' },
  json: { type: 'boolean', description: 'print JSON' },
} as const;

interface Parsed {
  readonly url?: string | undefined;
  readonly agent?: string | undefined;
  readonly method: string;
  readonly body?: string | undefined;
  readonly lifetime: string;
  readonly form: string;
  readonly out?: string | undefined;
  readonly control?: string | undefined;
  readonly since?: string | undefined;
  readonly from?: string | undefined;
  readonly mirror?: string | undefined;
  readonly force?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly lists: readonly string[];
  readonly keys: readonly string[];
  readonly headers: readonly string[];
}

const ACTIONS: Readonly<Record<string, (args: Parsed) => Promise<void>>> = {
  keygen,
  directory,
  sign,
  update,
  report: agentsReport,
};

export default defineCommand({
  meta: { name: 'agents', description: 'keys and signatures for an agent of yours; what agents did here' },
  args: agentsArguments,
  async run({ args, rawArgs }) {
    const action = Object.hasOwn(ACTIONS, args.action) ? ACTIONS[args.action] : undefined;
    if (action === undefined)
      throw new Failure(`agents takes ${Object.keys(ACTIONS).join(', ')}, not "${args.action}"`);
    const keys = every(rawArgs, agentsArguments, 'key');
    const lists = every(rawArgs, agentsArguments, 'list');
    await action({ ...args, keys, lists, headers: every(rawArgs, agentsArguments, 'header') });
  },
});

async function keygen(args: Parsed): Promise<void> {
  const out = args.out ?? 'agent.jwk';
  const jwk = await createAgentKey();
  const { keyid, publicJwk } = await readAgentKey(jwk);
  // `wx`: a key that is written over is lost, and with it who the agent was.
  write(out, `${JSON.stringify({ ...jwk, kid: keyid })}\n`, { mode: 0o600, flag: 'wx' });
  if (args.json === true) print({ ok: true, file: out, keyid, publicKey: publicJwk });
  else
    process.stdout.write(
      `${out} holds the private key: keep it secret\nkeyid ${keyid}\nnext: sallyport agents directory --key ${out} --out directory.json\n`,
    );
}

async function directory(args: Parsed): Promise<void> {
  if (args.keys.length === 0) throw new Failure('directory needs --key FILE, once for each key');
  const document = keyDirectory(await Promise.all(args.keys.map(readKey)));
  const text = `${JSON.stringify(document, null, 2)}\n`;
  if (args.out === undefined) return void process.stdout.write(text);
  write(args.out, text, {});
  if (args.json === true) print({ ok: true, file: args.out, keys: document.keys.length });
  else
    process.stdout.write(
      `${args.out} is written. Serve it at https://YOUR-HOST/.well-known/http-message-signatures-directory\nas application/http-message-signatures-directory+json, without a redirect\n`,
    );
}

async function sign(args: Parsed): Promise<void> {
  const [file, ...more] = args.keys;
  if (file === undefined || more.length > 0) throw new Failure('sign needs one --key FILE');
  if (args.agent === undefined) throw new Failure('sign needs --agent URL, where the keys are published');
  if (args.url === undefined || URL.parse(args.url) === null) throw new Failure('sign needs the URL of the request');
  const { form } = args;
  if (form !== 'dictionary' && form !== 'string') throw new Failure(`--form takes dictionary or string, not "${form}"`);
  const headers = args.headers.map(headerOf);
  const key = await readKey(file);
  const lifetime = integer(args.lifetime, '--lifetime', 1, 86_400);
  const options: AgentSignerOptions = {
    key,
    agent: args.agent,
    form,
    lifetime,
    headers: headers.map(([name]) => name),
  };
  const body = args.body === undefined ? undefined : new Uint8Array(read(args.body));
  let signed: Record<string, string>;
  try {
    signed = await agentSigner(options).sign({ method: args.method, url: args.url, headers, body });
  } catch (error) {
    throw new Failure(sentence(error));
  }
  const all = [...headers, ...Object.entries(signed)];
  if (args.json === true) print({ ok: true, headers: Object.fromEntries(all) });
  else for (const [name, value] of all) process.stdout.write(`${name}: ${value}\n`);
}

function headerOf(line: string): [name: string, value: string] {
  const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~]*?)[ \t]*$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Failure(`--header takes "name: value", not "${line}"`);
  return [name.toLowerCase(), value];
}

async function readKey(file: string): Promise<AgentKey> {
  let jwk: JsonWebKeyMembers;
  try {
    jwk = JSON.parse(read(file).toString('utf8')) as JsonWebKeyMembers;
  } catch (error) {
    // SAFETY: what the parser says may quote the key.
    throw error instanceof Failure ? error : new Failure(`${file} holds no JSON`);
  }
  try {
    return await readAgentKey(jwk);
  } catch (error) {
    throw new Failure(`${file}: ${sentence(error)}`);
  }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Failure(sentence(error));
  }
}

function write(file: string, text: string, options: { mode?: number; flag?: string }): void {
  try {
    writeFileSync(file, text, options);
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new Failure(exists ? `${file} is there already; --out names another file` : sentence(error));
  }
}

const print = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
