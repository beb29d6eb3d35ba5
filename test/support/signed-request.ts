/** Requests signed by keys of our own, right in everything but what a test wants wrong. */
import { base64Url, type JsonWebKeyMembers, thumbprint } from '../../src/agents/json-web-key.ts';
import type { DirectoryFault, DirectoryKey } from '../../src/agents/key-directory.ts';
import { requestMessage } from '../../src/agents/message.ts';
import { component, signMessage } from '../../src/agents/message-signature.ts';
import { importKey, type SignatureKey } from '../../src/agents/signature-algorithm.ts';
import type { BareItem, Item } from '../../src/agents/structured-field.ts';
import { type AgentResult, conclude, verifyWebBotAuth, type WebBotAuthOptions } from '../../src/agents/web-bot-auth.ts';

export const NOW = 1_790_000_000;

export interface Signer {
  readonly publicJwk: JsonWebKeyMembers;
  readonly privateJwk: JsonWebKeyMembers;
  readonly keyid: string;
  readonly sign: SignatureKey;
  readonly directoryKey: DirectoryKey;
}

export async function newSigner(): Promise<Signer> {
  const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const { d, x } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  const publicJwk: JsonWebKeyMembers = { kty: 'OKP', crv: 'Ed25519', x: x ?? '' };
  const privateJwk: JsonWebKeyMembers = { ...publicJwk, d: d ?? '' };
  const keyid = await thumbprint(publicJwk);
  const imported = await importKey(publicJwk, 'ed25519');
  const directoryKey: DirectoryKey = {
    ...{ members: publicJwk, algorithm: 'ed25519', kid: '', notBefore: 0, expires: Infinity },
    ...{ thumbprint: keyid, imported },
  };
  return { publicJwk, privateJwk, keyid, sign: await importKey(privateJwk, 'ed25519'), directoryKey };
}

export interface Draft {
  readonly label?: string;
  readonly method?: string;
  readonly url?: string;
  /** Headers beside those of the signature; covered or not. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Value of Signature-Agent, null for none. */
  readonly agent?: string | null;
  readonly components?: readonly Item[];
  /** null leaves a parameter out. */
  readonly parameters?: Readonly<Record<string, string | number | null>>;
}

export const AGENT_URL = 'https://agent.example/keys.json';
export const TARGET = 'https://shop.example/things?id=7';

/** All headers of a signed request. */
export async function signedHeaders(signer: Signer, draft: Draft = {}): Promise<Record<string, string>> {
  const label = draft.label ?? 'sig1';
  const agent = draft.agent === undefined ? `${label}="${AGENT_URL}"` : draft.agent;
  const headers = { ...draft.headers, ...(agent === null ? {} : { 'signature-agent': agent }) };
  const components = draft.components ?? [component('@authority'), component('signature-agent', { key: label })];
  const nonce = base64Url(crypto.getRandomValues(new Uint8Array(16)));
  const given = {
    ...{ created: NOW, expires: NOW + 60, keyid: signer.keyid, alg: 'ed25519', nonce, tag: 'web-bot-auth' },
    ...draft.parameters,
  };
  const parameters = new Map<string, BareItem>();
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'number') parameters.set(name, { type: 'integer', value });
    else if (value !== null) parameters.set(name, { type: 'string', value });
  }
  const message = requestMessage(draft.method ?? 'GET', draft.url ?? TARGET, new Headers(headers));
  const made = await signMessage(message, { label, components, parameters }, signer.sign);
  return { ...headers, 'signature-input': made.signatureInput, signature: made.signature };
}

export interface Judgement {
  readonly method?: string;
  readonly url?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | null;
  readonly options?: WebBotAuthOptions;
  /** By the URL that is fetched. */
  readonly directories?: Readonly<Record<string, readonly DirectoryKey[] | DirectoryFault>>;
  readonly fresh?: boolean | null;
  readonly now?: number;
}

/** What a verifier concludes of a request. */
export async function judgeRequest(judgement: Judgement): Promise<AgentResult | null> {
  const { method = 'GET', url = TARGET, headers, body = new Uint8Array(0), directories = {}, now = NOW } = judgement;
  const message = requestMessage(method, url, new Headers(headers));
  const results = await verifyWebBotAuth(
    message,
    {
      now,
      key({ fetched }, _member, keyid) {
        const found = directories[fetched] ?? 'directory-unreachable';
        if (typeof found === 'string') return Promise.resolve(found);
        return Promise.resolve(found.find((key) => key.thumbprint === keyid || key.kid === keyid) ?? 'key-unknown');
      },
      body: () => Promise.resolve(body),
      fresh: () => Promise.resolve(judgement.fresh === undefined ? true : judgement.fresh),
    },
    judgement.options,
  );
  return conclude(results);
}
