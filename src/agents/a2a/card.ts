/**
 * Agent cards as clients of a gateway may see them: interfaces are the gateway's, versions and skills those that it lets
 * through. A signature is over what the agent said: it stays only where nothing had to change.
 */
import { type JsonText, memberOf, readJsonObject } from '../json-text.ts';
import { allows, type NameFilter } from '../name-pattern.ts';

/** Longer cards are not passed on. */
export const MAX_CARD_BYTES = 262_144;

export interface CardRewriting {
  /** The URL at which an interface is reached here; null for a URL that is none. */
  readonly url: (url: string) => string | null;
  /** As `1.0`. */
  readonly versions: readonly string[];
  readonly skills: NameFilter;
}

export type CardFault = 'malformed' | 'no-interface';

type Fields = Record<string, unknown>;

/** Bindings that pass an HTTP gateway. gRPC does not, and its URL would lead around the gateway. */
const BINDINGS = new Set(['JSONRPC', 'HTTP+JSON']);

/** The text of the card, or of a JSON-RPC answer whose `result` is one; the very text that came where nothing changes. */
export function rewriteCard(bytes: Uint8Array, rewriting: CardRewriting, rpc: boolean): string | CardFault {
  const json = readJsonObject(bytes);
  if (typeof json === 'string') return 'malformed';
  if (!rpc) return rewritten(json, json.value, (card) => card, rewriting);
  const result = memberOf(json.value, 'result');
  // An error, or nothing that could be a card.
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return json.text;
  return rewritten(json, result as Fields, (card) => ({ ...json.value, result: card }), rewriting);
}

function rewritten(
  json: JsonText,
  card: Fields,
  whole: (card: Fields) => Fields,
  rewriting: CardRewriting,
): string | CardFault {
  const changed = cardOf(card, rewriting);
  if (changed === null) return 'no-interface';
  const same = JSON.stringify(changed) === JSON.stringify(card);
  if (same) return json.text;
  const { signatures: _, ...unsigned } = changed;
  return JSON.stringify(whole(unsigned));
}

/** Null when no interface is left. */
function cardOf(card: Fields, rewriting: CardRewriting): Fields | null {
  const out: Fields = { ...card };
  let interfaces = 0;
  // Version 1.0.
  const supported = memberOf(card, 'supportedInterfaces');
  if (Array.isArray(supported)) {
    const kept: Fields[] = supported.flatMap((one: unknown) => listed(interfaceOf(one, 'protocolBinding', rewriting)));
    out['supportedInterfaces'] = kept;
    interfaces += kept.length;
  } else delete out['supportedInterfaces'];
  interfaces += oldInterfaces(card, out, rewriting);
  const skills = memberOf(card, 'skills');
  if (Array.isArray(skills))
    out['skills'] = skills.filter((skill) => {
      const id = memberOf(skill, 'id');
      return typeof id === 'string' && allows(rewriting.skills, id);
    });
  return interfaces === 0 ? null : out;
}

/** SPEC: A2A 0.3, section 5.5: a preferred interface, `url`, and others beside it. How many are left. */
function oldInterfaces(card: Fields, out: Fields, rewriting: CardRewriting): number {
  const main = memberOf(card, 'url');
  const others = memberOf(card, 'additionalInterfaces');
  const kept: Fields[] = Array.isArray(others)
    ? others.flatMap((one: unknown) => listed(interfaceOf(one, 'transport', rewriting)))
    : [];
  if (Array.isArray(others)) out['additionalInterfaces'] = kept;
  else delete out['additionalInterfaces'];
  if (main === undefined) return kept.length;
  const transport = memberOf(card, 'preferredTransport') ?? 'JSONRPC';
  const version = memberOf(card, 'protocolVersion');
  const first: Fields | undefined =
    interfaceOf(
      { url: main, transport, ...(version !== undefined && { protocolVersion: version }) },
      'transport',
      rewriting,
    ) ?? kept[0];
  if (first === undefined) {
    for (const name of ['url', 'preferredTransport', 'additionalInterfaces']) delete out[name];
    return 0;
  }
  out['url'] = first['url'];
  if (first['transport'] !== transport) out['preferredTransport'] = first['transport'];
  return kept.length + 1;
}

const listed = (one: Fields | null): Fields[] => (one === null ? [] : [one]);

function interfaceOf(one: unknown, binding: string, { url, versions }: CardRewriting): Fields | null {
  const name = memberOf(one, binding);
  const at = memberOf(one, 'url');
  const version = memberOf(one, 'protocolVersion');
  if (typeof name !== 'string' || !BINDINGS.has(name.toUpperCase()) || typeof at !== 'string') return null;
  if (
    version !== undefined &&
    (typeof version !== 'string' || !versions.includes(version.split('.').slice(0, 2).join('.')))
  )
    return null;
  const here = url(at);
  return here === null ? null : { ...(one as Fields), url: here };
}
