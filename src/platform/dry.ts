/** For `explain`: the same pipeline, and nothing leaves the process. The answer of a dry dial says what would be sent. */
import type { Bundle } from './bindings.ts';
import { memoryImages } from './images.ts';
import type { Platform } from './platform.ts';

export interface DryOptions {
  readonly bundle: Bundle;
  /** The peer to assume, such as `203.0.113.7`. */
  readonly peer: string;
  readonly secrets?: Readonly<Record<string, string>>;
  /** Called for each request that would leave; secrets are in its headers, so a caller must not print them. */
  readonly onDial?: (sent: DryRequest) => void;
  /** What origins answer; without it, a line that says that nothing was sent. */
  readonly answer?: (() => Response) | undefined;
  readonly plain?: boolean | undefined;
}

export interface DryRequest {
  readonly endpoint: string;
  readonly dial: string;
  readonly method: string;
  readonly url: string;
  readonly headers: [string, string][];
}

export function dryPlatform(options: DryOptions): Platform {
  return {
    name: 'dry',
    plain: options.plain === true,
    images: memoryImages(options.bundle),
    peer: () => options.peer,
    async dial(endpoint, url, init) {
      const headers = [...new Headers(init.headers as Headers)];
      options.onDial?.({ endpoint: endpoint.url, dial: endpoint.dial, method: init.method ?? 'GET', url, headers });
      if (options.answer !== undefined) return options.answer();
      return new Response(`dry run: nothing was sent to ${endpoint.url}\n`, {
        headers: { 'content-type': 'text/plain' },
      });
    },
    agents: null, // nothing is fetched
    secret: (name) => {
      const secrets = options.secrets;
      if (secrets !== undefined && Object.hasOwn(secrets, name)) return secrets[name];
      return `<secret ${name}>`;
    },
  };
}
