/**
 * Cards, by which agents describe themselves, and registries, which are lists of cards.
 *
 * SPEC: draft-meunier-webbotauth-registry: a card is an OAuth client ID metadata document with keys.
 */
import { isPublicName } from './signature-agent.ts';

export interface SignatureAgentCard {
  readonly name: string;
  /** Either the keys themselves or where they are. */
  readonly jwks: unknown;
  readonly jwksUri: string | null;
}

export type CardFault = 'card-malformed' | 'card-client-id' | 'card-two-key-sets' | 'card-no-keys';

/** `url` is where the card was fetched; it must name itself by that very URL, or anybody could serve another's card. */
export function readCard(url: string, value: unknown): SignatureAgentCard | CardFault {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'card-malformed';
  const { client_id: id, client_name: name, jwks, jwks_uri: uri } = value as Record<string, unknown>;
  if (id !== url) return 'card-client-id';
  if (jwks !== undefined && uri !== undefined) return 'card-two-key-sets';
  if (jwks === undefined && uri === undefined) return 'card-no-keys';
  if (uri !== undefined && typeof uri !== 'string') return 'card-malformed';
  return { name: typeof name === 'string' ? name : '', jwks, jwksUri: uri ?? null };
}

/** URLs of cards, one a line; `#` begins a remark. Lines that hold no public https URL are in `faults`, by their number. */
export function readRegistry(text: string): { readonly cards: readonly string[]; readonly faults: readonly number[] } {
  const cards: string[] = [];
  const faults: number[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    const entry = line.split('#', 1)[0]?.trim() ?? '';
    if (entry === '') continue;
    const url = URL.parse(entry);
    if (url === null || url.protocol !== 'https:' || !isPublicName(url.hostname)) faults.push(at + 1);
    else cards.push(entry);
  }
  return { cards, faults };
}
