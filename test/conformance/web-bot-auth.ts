/**
 * Web Bot Auth: the published vectors (read from the reference data) and the cases that a verifier must refuse, signed
 * here with a key of our own, so that nothing but the named fault is wrong with each.
 *
 * Where a published vector lives longer than a policy would let it, or uses a key that RFCs print, that one rule is
 * lifted for it; the clock is set to its time.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type JsonWebKeyMembers, readPublicKey, thumbprint } from '../../src/agents/json-web-key.ts';
import type { DirectoryKey } from '../../src/agents/key-directory.ts';
import { requestMessage } from '../../src/agents/message.ts';
import { readSignatures, signMessage, verifySignature } from '../../src/agents/message-signature.ts';
import { importKey } from '../../src/agents/signature-algorithm.ts';
import { readSignatureAgent } from '../../src/agents/signature-agent.ts';
import { readCard, readRegistry } from '../../src/agents/signature-agent-card.ts';
import { conclude, verifyWebBotAuth, type WebBotAuthOptions } from '../../src/agents/web-bot-auth.ts';
import { dataFolder } from '../data.ts';
import type { Outcome } from './gateway-api.ts';
import { runNegative } from './web-bot-auth/negative.ts';

interface ArchitectureVector {
  readonly key: JsonWebKeyMembers & { readonly kid: string };
  readonly target_url: string;
  readonly created_ms: number;
  readonly signature: string;
  readonly signature_input: string;
  readonly signature_agent?: string;
}

export async function runWebBotAuth(only: readonly string[], report: (outcome: Outcome) => void): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const tell = (id: string, result: Outcome['result'], detail = ''): void => {
    if (only.length > 0 && !only.some((start) => id.startsWith(start))) return;
    const outcome: Outcome = { id, result, detail };
    report(outcome);
    outcomes.push(outcome);
  };
  const judged = (id: string, detail: string): void => tell(id, detail === '' ? 'passed' : 'failed', detail);
  let folder: string | null = null;
  try {
    folder = dataFolder('web-bot-auth');
  } catch (error) {
    tell('published vectors', 'skipped', error instanceof Error ? error.message : String(error));
  }
  if (folder !== null) await runPublished(folder, judged);
  for (const [id, detail] of await runNegative()) judged(`refusals: ${id}`, detail);
  return outcomes;
}

async function runPublished(folder: string, judged: (id: string, detail: string) => void): Promise<void> {
  const read = <T>(name: string): T[] => {
    const value: unknown = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    return (Array.isArray(value) ? value : [value]) as T[];
  };
  for (const file of ['web_bot_auth_architecture_v1.json', 'web_bot_auth_architecture_v2.json'])
    for (const [index, vector] of read<ArchitectureVector>(file).entries())
      judged(`${file}:${index}`, await judgeArchitecture(vector));
  for (const one of read<{ name: string; header: string; entries: { label: string; uri: string; type: string }[] }>(
    'web_bot_auth_signature_agent_v1.json',
  )) {
    const members = readSignatureAgent(one.header)?.members ?? new Map();
    const wanted = one.entries.map(({ label, uri, type }) => [label, uri, type === 'cimd' ? 'card' : 'keys']);
    const found = [...members].map(([key, { value, resource }]) => [key, value, resource]);
    judged(`signature_agent ${one.name}`, isDeepStrictEqual(found, wanted) ? '' : JSON.stringify(found));
  }
  for (const one of read<{ name: string; url: string; valid: boolean; card: unknown }>(
    'web_bot_auth_signature_agent_card_v1.json',
  )) {
    const card = readCard(one.url, one.card);
    judged(`card ${one.name}`, (typeof card === 'object') === one.valid ? '' : JSON.stringify(card));
  }
  for (const one of read<{ name: string; registry_txt: string; signature_agent_cards: string[] }>(
    'web_bot_auth_registry_v1.json',
  )) {
    const registry = readRegistry(one.registry_txt);
    const right = isDeepStrictEqual(registry, { cards: one.signature_agent_cards, faults: [] });
    judged(`registry ${one.name}`, right ? '' : JSON.stringify(registry));
  }
  for (const one of read<{ name: string; jwk: string; thumbprint: string }>('vectors.json')) {
    const found = await thumbprint(JSON.parse(one.jwk) as JsonWebKeyMembers);
    judged(`thumbprint ${one.name}`, found === one.thumbprint ? '' : found);
  }
  const [key] = read<JsonWebKeyMembers>('ed25519.json');
  const readable = key === undefined ? 'not-a-key' : readPublicKey({ kty: key.kty, crv: key.crv, x: key.x });
  judged(
    'key ed25519',
    typeof readable === 'object' && readable.algorithm === 'ed25519' ? '' : JSON.stringify(readable),
  );
}

/** Verified as it is; refused once it comes to another host; and signed by us with its private key, the same or as good. */
async function judgeArchitecture(vector: ArchitectureVector): Promise<string> {
  const { d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...published } = vector.key;
  if (d === undefined) return 'it has no private key';
  const key = readPublicKey(published);
  if (typeof key === 'string') return `its key is ${key}`;
  const found: DirectoryKey = {
    ...key,
    thumbprint: await thumbprint(key.members),
    imported: await importKey(key.members, key.algorithm),
  };
  const now = Math.floor(vector.created_ms / 1000) + 1;
  const options: WebBotAuthOptions = { testKeys: true, maxLifetime: Infinity };
  const judge = async (url: string, fields: Record<string, string>) => {
    const message = requestMessage('GET', url, new Headers(fields));
    const asked: string[] = [];
    const results = await verifyWebBotAuth(
      message,
      {
        now,
        key: (agent, _member, keyid) => {
          asked.push(agent.fetched);
          return Promise.resolve(keyid === found.thumbprint ? found : 'key-unknown');
        },
        body: () => Promise.resolve(null),
        fresh: () => Promise.resolve(true),
      },
      options,
    );
    return { message, asked, result: conclude(results) };
  };
  const agent: Record<string, string> =
    vector.signature_agent === undefined ? {} : { 'signature-agent': vector.signature_agent };
  const fields = { 'signature-input': vector.signature_input, signature: vector.signature, ...agent };
  const { message, asked, result } = await judge(vector.target_url, fields);
  const [signature] = readSignatures(message);
  if (signature === undefined) return 'it has no signature';
  if (vector.signature_agent === undefined) {
    // Nothing says whose key it is: what can be told is that the holder of this key signed.
    if (result?.outcome !== 'unverified' || result.reason !== 'agent-absent') return JSON.stringify(result);
    if (!(await verifySignature(message, signature, found.imported))) return 'its signature is not genuine';
    const other = requestMessage('GET', 'https://elsewhere.test/', new Headers(fields));
    return (await verifySignature(other, signature, found.imported)) ? 'it is genuine for another host' : '';
  }
  if (result?.outcome !== 'verified') return JSON.stringify(result);
  const directory = 'https://signature-agent.test/.well-known/http-message-signatures-directory';
  if (!isDeepStrictEqual(asked, [directory])) return `keys were looked for at ${asked.join()}`;
  const elsewhere = await judge('https://elsewhere.test/', fields);
  if (elsewhere.result?.outcome !== 'invalid') return `for another host: ${JSON.stringify(elsewhere.result)}`;
  const { items: components, parameters } = signature.input;
  const sign = await importKey(vector.key, key.algorithm);
  const made = await signMessage(message, { label: signature.label, components, parameters }, sign);
  if (made.signatureInput !== vector.signature_input) return `our Signature-Input is ${made.signatureInput}`;
  if (key.algorithm === 'ed25519' && made.signature !== vector.signature) return `our Signature is ${made.signature}`;
  const ours = await judge(vector.target_url, { ...fields, signature: made.signature });
  return ours.result?.outcome === 'verified' ? '' : `signed by us: ${JSON.stringify(ours.result)}`;
}
