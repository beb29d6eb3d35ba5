/**
 * The text that is signed.
 *
 * SPEC: RFC 9421 section 2.5. The covered components in their order, then the signature's own parameters.
 */
import { ComponentError, componentValue, type FieldTypes } from './component.ts';
import { MAX_COMPONENTS, MAX_SIGNATURE_BASE } from './limits.ts';
import type { Message } from './message.ts';
import { writeInnerList, writeItem } from './structured-field-text.ts';
import type { InnerList, Item } from './structured-field.ts';

const NO_TYPES: FieldTypes = {};

/** `signature` is the member of Signature-Input: components, and parameters in their order. Throws ComponentError. */
export function signatureBase(message: Message, signature: InnerList, types: FieldTypes = NO_TYPES): string {
  const { items } = signature;
  if (items.length > MAX_COMPONENTS)
    throw new ComponentError('component-malformed', `more than ${MAX_COMPONENTS} components are covered`);
  const seen = new Set<string>();
  let base = '';
  for (const item of items) {
    const id = identity(item);
    if (seen.has(id)) throw new ComponentError('component-duplicate', `${id} is covered twice`);
    seen.add(id);
    base += `${item.parameters.size < 2 ? id : writeItem(item)}: ${componentValue(message, item, types)}\n`;
    if (base.length > MAX_SIGNATURE_BASE)
      throw new ComponentError(
        'component-malformed',
        `the signed text is longer than ${MAX_SIGNATURE_BASE} characters`,
      );
  }
  return `${base}"@signature-params": ${writeInnerList(signature)}`;
}

/** SPEC: section 2: the order of parameters does not matter when two identifiers are compared. */
export function identity(item: Item): string {
  if (item.parameters.size < 2) return writeItem(item);
  const parameters = [...item.parameters].sort(([a], [b]) => (a < b ? -1 : 1));
  return writeItem({ item: item.item, parameters: new Map(parameters) });
}
