/** Cloudflare Workers: images are modules of the bundle, origins by global fetch, the peer as the network vouches for. */
import { agentPlatform } from './agents.ts';
import { authorityOf, hostnameOf, portOf } from './authority.ts';
import type { Bundle, Env } from './bindings.ts';
import { memoryImages } from './images.ts';
import type { Platform } from './platform.ts';
import { secretOf } from './secrets.ts';
import { tunnelDial, tunnelExposure } from './tunnels.ts';

export function cloudflarePlatform(env: Env, bundle: Bundle): Platform {
  const tunnel = tunnelDial(env.TUNNEL_SESSION);
  const exposed = tunnelExposure(env.TUNNEL_SESSION);
  return {
    name: 'cloudflare',
    images: memoryImages(bundle),
    // Set by Cloudflare's edge, which overwrites what a client sends.
    peer: (request) => request.headers.get('cf-connecting-ip') ?? '',
    dial(endpoint, url, init, impatient) {
      const through = tunnel(endpoint.dial, url, init, impatient);
      if (through !== null) return through;
      // Host is the URL's authority here. Where the connection goes elsewhere, `resolveOverride` says so; it acts only
      // inside the own zone, which the compiler checks for this target.
      const authority = authorityOf(url);
      const host = hostnameOf(authority);
      const address = hostnameOf(authorityOf(endpoint.dial.split(' ', 1)[0] ?? ''));
      // The connection goes to the URL's port, which must not be the one that a client wrote into Host.
      const port = portOf(authorityOf(endpoint.url));
      const target =
        portOf(authority) === port ? url : withAuthority(url, authority, port === '' ? host : `${host}:${port}`);
      if (address === host) return fetch(target, init);
      return fetch(target, { ...init, cf: { resolveOverride: address } } as RequestInit);
    },
    ...(exposed !== null && { exposed }),
    agents: agentPlatform(env, (url, init) => fetch(url, init)),
    limiter: env.RATE_LIMITER ?? null,
    mcpSessions: env.MCP_SESSIONS ?? null,
    secret: (name) => secretOf(env, name),
  };
}

function withAuthority(url: string, old: string, authority: string): string {
  const at = url.indexOf('://') + 3;
  return url.slice(0, at) + authority + url.slice(at + old.length);
}
