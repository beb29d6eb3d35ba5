/**
 * Phase `identity`: who signed the request, where it is signed. Comes before the engine's head call, so that rules of any stage
 * know it (`agent.*`). Nothing is refused here: that is for rules to say.
 */
import { conclude, claimsWebBotAuth, verifyWebBotAuth, type AgentResult } from '../agents/web-bot-auth.ts';
import { KeyDirectories } from '../agents/key-directory.ts';
import { knownAgent } from '../agents/known-agents.ts';
import { MAX_DIGEST_BODY } from '../agents/limits.ts';
import { headerSource, type RequestMessage, splitUrl } from '../agents/message.ts';
import { askReplayGuard } from '../agents/replay-guard.ts';
import type { AgentPlatform } from '../platform/platform.ts';
import type { Proof } from '../waf/proof.ts';
import { declaredLength, HeldBody } from './body.ts';
import { type Exchange, type Phase, watch } from './exchange.ts';
import { refuse } from './problem.ts';

export const identity: Phase = {
  name: 'identity',
  run(exchange) {
    const { seen, platform } = exchange;
    // PERF: all that an unsigned request costs.
    if (platform.agents === null || !claimsWebBotAuth(seen.signatureAgent, seen.signatureInput)) return;
    return prove(exchange, platform.agents);
  },
};

/** Of this isolate. */
const directories = new WeakMap<AgentPlatform, KeyDirectories>();

function directoriesOf(agents: AgentPlatform): KeyDirectories {
  let found = directories.get(agents);
  if (found === undefined) {
    found = new KeyDirectories({ ...agents.options, fetch: agents.fetch, now: Date.now });
    directories.set(agents, found);
  }
  return found;
}

async function prove(exchange: Exchange, agents: AgentPlatform): Promise<void> {
  const { context } = exchange;
  let body: Promise<Uint8Array<ArrayBuffer> | null> | null = null;
  watch(exchange);
  const results = await verifyWebBotAuth(
    messageOf(exchange, agents),
    {
      now: exchange.now,
      key: (url, member, keyid) => directoriesOf(agents).key(url, member, keyid, (work) => context.waitUntil(work)),
      body: () => (body ??= hold(exchange)),
      fresh: (agent, nonce, expires) =>
        agents.guard === null ? Promise.resolve(null) : askReplayGuard(agents.guard, agent, nonce, expires),
    },
    agents.options,
  );
  const result = conclude(results);
  if (result === null) return;
  exchange.identity = result;
  exchange.head = { ...exchange.head, proof: proofOf(result) };
}

function messageOf(exchange: Exchange, { options }: AgentPlatform): RequestMessage {
  const { request } = exchange;
  const { path, query } = splitUrl(exchange.url);
  // Host is what this gateway goes by, and what is signed as @authority.
  const scheme = options.https === true ? 'https' : exchange.scheme;
  const authority = exchange.seen.host;
  return { kind: 'request', method: request.method, scheme, authority, path, query, ...headerSource(request.headers) };
}

function proofOf(result: AgentResult): Proof {
  if (result.outcome === 'verified')
    return { identity: 'verified', ...knownAgent(result), domain: result.wellKnown ? result.host : '' };
  const identity = result.outcome === 'invalid' ? 'spoofed' : 'claimed';
  return { identity, name: '', operator: '', category: '', domain: '' };
}

/** The whole body, held for the phases after this one too; null when it is too long, or its length is not told. */
async function hold(exchange: Exchange): Promise<Uint8Array<ArrayBuffer> | null> {
  const { request, seen } = exchange;
  if (request.body === null) return new Uint8Array(0);
  const declared = declaredLength(seen.length);
  if (declared < 0 || declared > MAX_DIGEST_BODY) return null;
  // A GET with a body is forwarded as the very request that came in, so its copy is what is read.
  const bare = request.method === 'GET' || request.method === 'HEAD';
  const stream = bare ? request.clone().body : request.body;
  const body = new HeldBody(stream as ReadableStream<Uint8Array>, declared);
  const failure = await body.read(declared, request.signal);
  if (failure === null) {
    if (bare) body.release();
    else exchange.body = body;
    return body.bytes as Uint8Array<ArrayBuffer>;
  }
  const status = failure === 'busy' ? 503 : failure === 'slow' ? 408 : 400;
  const reason = 'the request body, which a signature covers, could not be read';
  const error = status === 503 ? 'destination_unavailable' : 'http_request_denied';
  refuse(exchange, { action: 'block', phase: 'identity', rule: 'body', status, reason, mode: 'enforce' }, error);
  return null;
}
