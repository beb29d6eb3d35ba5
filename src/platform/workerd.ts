/** On-prem workerd: images from a disk service, origins by service bindings, the peer from the socket. */
import type { Endpoint } from '../plan.ts';
import { agentPlatform } from './agents.ts';
import { authorityOf } from './authority.ts';
import type { Env, Fetcher } from './bindings.ts';
import { diskImages } from './images.ts';
import type { Platform } from './platform.ts';
import { secretOf } from './secrets.ts';
import { tunnelDial, tunnelExposure } from './tunnels.ts';

export function workerdPlatform(env: Env): Platform {
  const dials = readDials(env.DIALS);
  // Looked up once per endpoint: a string key of the plan to a binding object.
  const bindings = new Map<string, Fetcher>();
  for (const [dial, name] of Object.entries(dials)) {
    const binding = env[name];
    if (!isFetcher(binding)) throw new Error(`DIALS names the binding ${name}, which is not a service`);
    bindings.set(dial, binding);
  }
  const tunnel = tunnelDial(env.TUNNEL_SESSION);
  const exposed = tunnelExposure(env.TUNNEL_SESSION);
  return {
    name: 'workerd',
    images: env.IMAGES === undefined ? noImages : diskImages(env.IMAGES),
    peer(request) {
      // Only the socket knows: CF-Connecting-IP is whatever the client wrote.
      const address = (request as { cf?: { clientIp?: unknown } }).cf?.clientIp;
      return typeof address === 'string' ? address : '';
    },
    dial(endpoint, url, init, impatient) {
      const through = tunnel(endpoint.dial, url, init, impatient);
      if (through !== null) return through;
      const binding = bindings.get(endpoint.dial);
      if (binding !== undefined) return binding.fetch(url, init);
      if (env.ORIGINS === undefined)
        return Promise.reject(new Error(`no connection is configured for ${endpoint.dial}`));
      // A network service connects to the authority of the URL, so Host can't differ from the address there.
      return env.ORIGINS.fetch(toAddress(endpoint, url), init);
    },
    ...(exposed !== null && { exposed }),
    agents: agentPlatform(env, env.PUBLIC === undefined ? null : env.PUBLIC.fetch.bind(env.PUBLIC)),
    limiter: env.RATE_LIMITER ?? null,
    mcpSessions: env.MCP_SESSIONS ?? null,
    secret: (name) => secretOf(env, name),
  };
}

/** Puts the endpoint's own authority into a URL. */
function toAddress(endpoint: Endpoint, url: string): string {
  const path = url.indexOf('/', url.indexOf('://') + 3);
  const scheme = endpoint.url.slice(0, endpoint.url.indexOf('://') + 3);
  return scheme + authorityOf(endpoint.url) + (path < 0 ? '/' : url.slice(path));
}

function readDials(value: Env['DIALS']): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  return typeof value === 'string' ? (JSON.parse(value) as Record<string, string>) : value;
}

function isFetcher(value: unknown): value is Fetcher {
  return typeof value === 'object' && value !== null && 'fetch' in value;
}

const noImages: Platform['images'] = {
  get: () => Promise.reject(new Error('the IMAGES service is not configured')),
  current: () => Promise.resolve(null),
};
