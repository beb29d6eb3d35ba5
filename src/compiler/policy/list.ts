/** `lists:` of a policy: addresses, strings or integers, all of one kind. */
import type { DocumentPath } from '../diagnostics.ts';
import type { Document } from '../document.ts';
import { parseCidr } from '../lists.ts';
import type { ListSource } from '../sources.ts';
import { shown } from '../spelling.ts';
import { listSchema } from './schema.ts';
import { validate } from './validation.ts';

export function readList(name: string, value: unknown, document: Document): ListSource | null {
  const path = ['lists', name];
  const items = validate(listSchema, value, path, document);
  if (items === null) return null;
  if (items.length === 0)
    document.report('warning', path, 'empty-list', `the list \`${name}\` is empty: nothing is in it`, { at: 'key' });
  const first = items[0];
  const mixed = items.findIndex((item) => typeof item !== typeof first);
  if (mixed >= 0) {
    const fix =
      typeof first === 'string' && typeof items[mixed] === 'number'
        ? { fix: `put it in quotes: "${items[mixed]}"` }
        : {};
    document.report(
      'error',
      [...path, mixed],
      'mixed-list',
      `\`${shown(String(items[mixed]))}\` is of another kind than the entries before it`,
      { cause: 'a list holds addresses, or strings, or integers', ...fix },
    );
    return null;
  }
  let sound = true;
  if (typeof first === 'string') {
    const addresses = items.map((item) => parseCidr(String(item)));
    // What looks like an address in most entries is an address list with a slip in it, not a list of strings.
    if (addresses.filter((cidr) => cidr !== undefined).length * 2 > items.length) {
      items.forEach((item, index) => {
        if (addresses[index] !== undefined) return;
        sound = false;
        document.report(
          'error',
          [...path, index],
          'bad-address',
          `\`${shown(String(item))}\` is not an address or CIDR block`,
          { cause: 'the other entries are', fix: 'write it as 192.0.2.0/24 or 2001:db8::/32' },
        );
      });
      items.forEach((item, index) => checkHostBits(String(item), [...path, index], document));
    }
  }
  return sound ? { path, name, items } : null;
}

/** `10.1.2.3/8` is read as 10.0.0.0/8, which may not be what was meant. */
export function checkHostBits(text: string, path: DocumentPath, document: Document): void {
  const cidr = parseCidr(text);
  if (cidr === undefined || !text.includes('/')) return;
  const prefix = cidr.version === 4 ? cidr.prefix + 96 : cidr.prefix;
  const loose = cidr.address.some(
    (byte, index) => (byte & (0xff >> Math.min(8, Math.max(0, prefix - index * 8)))) !== 0 && prefix < (index + 1) * 8,
  );
  if (loose)
    document.report('warning', path, 'host-bits', `\`${shown(text)}\` has bits set behind its prefix`, {
      cause: 'they are ignored: the whole block is meant',
      fix: 'write the first address of the block, or /32 (/128) for one address',
    });
}
