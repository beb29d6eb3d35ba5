/** `bodyLimit` of a protocol that is read from bodies. */
import { MAX_AGENT_BODY_BYTES } from '../../../assembly/abi.ts';
import type { DocumentPath, Reporter } from '../diagnostics.ts';
import { parseSize } from './quantity.ts';

/** Bytes. `path`: of the protocol. */
export function readBodyLimit(text: string, path: DocumentPath, reporter: Reporter): number {
  const limit = parseSize(text)!;
  if (limit > MAX_AGENT_BODY_BYTES || limit === 0)
    reporter.report(
      'error',
      [...path, 'bodyLimit'],
      'out-of-range',
      '`bodyLimit` must be at least 1B and at most 16MB',
      { cause: 'held bodies share the memory of one isolate' },
    );
  return limit;
}
