/** The URL of a try: its authority is the Host that the origin sees. */
import type { EndpointState } from './endpoints.ts';
import type { Exchange } from './exchange.ts';

export function urlFor(exchange: Pick<Exchange, 'authority' | 'target'>, state: EndpointState): string {
  const { target } = exchange;
  const { host } = state.endpoint;
  // A filter that rewrites the host name has the last word.
  const authority =
    target.host !== ''
      ? target.host
      : host === 'preserve'
        ? exchange.authority
        : host === 'url'
          ? state.authority
          : host;
  // The runtime turns `\` in a path into `/` when it parses the URL; what was matched must be what is sent.
  const path = target.path.includes('\\') ? target.path.replaceAll('\\', '%5C') : target.path;
  return state.scheme + authority + state.base + path + target.query;
}
