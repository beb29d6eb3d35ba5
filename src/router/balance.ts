/** Which backend of a route, and which endpoint of a backend, takes a request. */
import { addressOf } from '../platform/authority.ts';
import type { Backend, WeightedBackend } from '../plan.ts';
import { cookieOf } from './cookie.ts';
import { type EndpointState, endpointsOf } from './endpoints.ts';
import type { Exchange } from './exchange.ts';
import { usable } from './outlier.ts';
import { hash32 } from './text.ts';

/** Draws by weight; null when there is nothing to draw (no backend, or all of weight 0). */
export function draw(backends: readonly WeightedBackend[]): WeightedBackend | null {
  const only = backends[0];
  if (only === undefined) return null;
  if (backends.length === 1) return only.weight > 0 ? only : null;
  let total = 0;
  for (const backend of backends) total += backend.weight;
  if (total <= 0) return null;
  let at = Math.random() * total;
  let last: WeightedBackend | null = null;
  for (const backend of backends) {
    if (backend.weight <= 0) continue;
    last = backend;
    at -= backend.weight;
    if (at < 0) return backend;
  }
  return last;
}

/**
 * Picks an endpoint; null when none can be used. `tried` are those that failed this request already: they come again
 * only when there is no other.
 */
export function pick(exchange: Exchange, backend: Backend, tried: readonly EndpointState[]): EndpointState | null {
  const all = endpointsOf(backend);
  let candidates = backend.health === null ? all : usable(all, backend.health, Date.now());
  if (tried.length > 0) {
    const fresh = candidates.filter((state) => !tried.includes(state));
    if (fresh.length > 0) candidates = fresh;
  }
  const { stickiness } = backend;
  if (stickiness === null) return choose(exchange, backend, candidates);
  const wanted = cookieOf(exchange.seen.cookie, stickiness.cookie);
  const stuck =
    wanted === '' ? undefined : candidates.find((state) => state.id === wanted && state.endpoint.weight > 0);
  if (stuck !== undefined) {
    exchange.sticky = '';
    return stuck;
  }
  const chosen = choose(exchange, backend, candidates);
  if (chosen !== null) {
    const age = stickiness.ttl > 0 ? `; Max-Age=${stickiness.ttl}` : '';
    const secure = exchange.scheme === 'https' ? '; Secure' : '';
    exchange.sticky = `${stickiness.cookie}=${chosen.id}; Path=/; HttpOnly; SameSite=Lax${age}${secure}`;
  }
  return chosen;
}

function choose(exchange: Exchange, backend: Backend, candidates: readonly EndpointState[]): EndpointState | null {
  const only = candidates[0];
  if (only === undefined) return null;
  if (candidates.length === 1) return only.endpoint.weight > 0 ? only : null;
  const { balance } = backend;
  if (balance.type === 'LeastRequest') return leastRequest(candidates);
  if (balance.type === 'ConsistentHash') {
    const key = keyOf(exchange, balance.by, balance.name);
    if (key !== '') return rendezvous(candidates, key);
  }
  return weightedRandom(candidates, null);
}

function weightedRandom(candidates: readonly EndpointState[], except: EndpointState | null): EndpointState | null {
  let total = 0;
  for (const state of candidates) if (state !== except) total += state.endpoint.weight;
  if (total <= 0) return null;
  let at = Math.random() * total;
  let last: EndpointState | null = null;
  for (const state of candidates) {
    if (state === except || state.endpoint.weight <= 0) continue;
    last = state;
    at -= state.endpoint.weight;
    if (at < 0) return state;
  }
  return last;
}

/** Power of two choices: of two drawn by weight, the one with fewer requests waiting. Counts are this isolate's. */
function leastRequest(candidates: readonly EndpointState[]): EndpointState | null {
  const first = weightedRandom(candidates, null);
  if (first === null) return null;
  const second = weightedRandom(candidates, first);
  return second === null || first.active <= second.active ? first : second;
}

/**
 * Weighted rendezvous hashing: the endpoint with the highest score for the key. No ring to keep, and when an endpoint
 * leaves, only its own keys move.
 */
export function rendezvous(candidates: readonly EndpointState[], key: string): EndpointState | null {
  let best: EndpointState | null = null;
  let bestScore = 0;
  for (const state of candidates) {
    if (state.endpoint.weight <= 0) continue;
    // (0, 1): never 0, whose logarithm has no value.
    const uniform = (hash32(key, state.seed) + 0.5) / 0x1_0000_0000;
    const score = -state.endpoint.weight / Math.log(uniform);
    if (best === null || score > bestScore) {
      best = state;
      bestScore = score;
    }
  }
  return best;
}

function keyOf(exchange: Exchange, by: 'header' | 'cookie' | 'address', name: string): string {
  if (by === 'address') return exchange.result?.client || addressOf(exchange.peer);
  if (by === 'cookie') return cookieOf(exchange.seen.cookie, name);
  return exchange.request.headers.get(name) ?? '';
}
