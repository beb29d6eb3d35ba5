/** What an isolate remembers about the endpoints of a backend: parts of their URLs, requests in flight, health. */
import { authorityOf } from '../platform/authority.ts';
import type { Backend, Endpoint } from '../plan.ts';
import { hash32 } from './text.ts';

export interface EndpointState {
  readonly endpoint: Endpoint;
  readonly scheme: string; // with `://`
  readonly authority: string;
  readonly base: string; // path of the URL, without trailing slash
  /** Names the endpoint in a cookie without telling its address. */
  readonly id: string;
  readonly seed: number; // for rendezvous hashing
  active: number; // requests that wait for their response
  fiveHundreds: number; // in a row
  gatewayErrors: number; // in a row
  ejections: number;
  ejectedUntil: number; // ms since the epoch, 0 = in
}

const states = new WeakMap<Backend, readonly EndpointState[]>();

/**
 * State of each endpoint of a backend, in order; one of weight 0 gets nothing, so it is neither healthy nor company for
 * another. It lives as long as the plan: a swap starts with a clean slate.
 */
export function endpointsOf(backend: Backend): readonly EndpointState[] {
  const known = states.get(backend);
  if (known !== undefined) return known;
  const weighty = backend.endpoints.filter(({ weight }) => weight > 0);
  const made = weighty.map((endpoint): EndpointState => {
    const { url } = endpoint;
    const scheme = url.slice(0, url.indexOf('://') + 3);
    const authority = authorityOf(url);
    const base = url.slice(scheme.length + authority.length);
    const seed = hash32(url);
    return {
      ...{ endpoint, scheme, authority, base: base.endsWith('/') ? base.slice(0, -1) : base },
      ...{ id: seed.toString(36), seed, active: 0, fiveHundreds: 0, gatewayErrors: 0, ejections: 0, ejectedUntil: 0 },
    };
  });
  states.set(backend, made);
  return made;
}
