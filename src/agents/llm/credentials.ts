/** Keys of providers: where clients and gateways put them. */
import type { Provider } from './operation.ts';

/** Headers in which some API of this kind takes a key; none of them leaves with what a client wrote. */
export const CREDENTIAL_HEADERS = ['authorization', 'x-api-key', 'x-goog-api-key', 'api-key'] as const;
/** Headers that name an account beside it. */
export const ACCOUNT_HEADERS = ['openai-organization', 'openai-project', 'x-goog-user-project'] as const;

export function keyHeader(provider: Provider, secret: string): readonly [name: string, value: string] {
  switch (provider) {
    case 'openai':
      return ['authorization', `Bearer ${secret}`];
    case 'anthropic':
      return ['x-api-key', secret];
    case 'gemini':
      return ['x-goog-api-key', secret];
  }
}

const NAMES = new Set(['key', 'access_token', 'oauth_token']);

/** The query without keys; SPEC: Google's APIs take `key` and `access_token`. `query` begins with `?`, or is ''. */
export function withoutKeys(query: string): string {
  if (query === '') return '';
  const kept = query
    .slice(1)
    .split('&')
    .filter((part) => !NAMES.has(nameOf(part)));
  return kept.length === 0 ? '' : `?${kept.join('&')}`;
}

function nameOf(part: string): string {
  const name = part.split('=', 1)[0]!.replaceAll('+', ' ');
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
