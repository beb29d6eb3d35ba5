/** Copies of a request to another backend, whose answers nobody waits for (Gateway API HTTPRequestMirrorFilter). */
import { MIRROR_SECONDS } from '../../assembly/abi.ts';
import { pick } from './balance.ts';
import type { EndpointState } from './endpoints.ts';
import type { Exchange } from './exchange.ts';
import { withoutCredentials } from './llm.ts';
import { urlFor } from './target.ts';

/** Backends that get a copy of this request: each mirror filter draws on its own. */
export function mirrorsOf(exchange: Exchange): number[] {
  const backends: number[] = [];
  for (const filter of exchange.filters)
    if (filter.type === 'mirror' && (filter.percent >= 100 || Math.random() * 100 < filter.percent))
      backends.push(filter.backend);
  return backends;
}

/** Sends copies. A body has to be held whole: what streams can't be sent twice, and is then not mirrored. */
export function sendMirrors(exchange: Exchange, backends: readonly number[]): void {
  const { request, plan, body, outgoing } = exchange;
  if (plan === null || outgoing === null) return;
  if (request.body !== null && (body === null || !body.complete)) return;
  const { sticky } = exchange;
  for (const index of backends) {
    const backend = plan.backends[index];
    const state = backend === undefined ? null : pick(exchange, backend, []);
    if (state === null) continue;
    const init: RequestInit = {
      method: request.method,
      headers: exchange.llm === null ? outgoing : withoutCredentials(outgoing),
      body: body === null ? null : (body.bytes as Uint8Array<ArrayBuffer>),
      redirect: 'manual',
      signal: AbortSignal.timeout(MIRROR_SECONDS * 1000),
    };
    exchange.kept = true;
    exchange.context.waitUntil(sendCopy(exchange, state, init));
  }
  exchange.sticky = sticky; // picking for a mirror must not stick the client to it
}

/** Never rejects: a mirror's failure is its own. */
async function sendCopy(exchange: Exchange, state: EndpointState, init: RequestInit): Promise<void> {
  const giveBack = exchange.body?.lend();
  try {
    const response = await exchange.platform.dial(state.endpoint, urlFor(exchange, state), init);
    await response.body?.cancel();
  } catch {
    // fire and forget
  } finally {
    giveBack?.();
  }
}
