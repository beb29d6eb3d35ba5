/** What an error of a connection to a target is on a stream. */
import { RESET_CODE } from '../frame.ts';

const NOT_REACHED = new Set([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT', 'EADDRNOTAVAIL', 'EHOSTDOWN'],
  ...['ENETDOWN', 'EMFILE', 'ENFILE'],
]);

/** `text` is for the edge's log and the answer: it names the service's label and no more of this network. */
export function failureOf(error: NodeJS.ErrnoException, label: string): { code: number; text: string } {
  // Several addresses were tried: the first says as much as all.
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error;
  const code = first.code ?? error.code ?? '';
  // Its message holds an address of this network.
  if (code === 'EFORBIDDEN')
    return { code: RESET_CODE.refused, text: `${label} is an address that no name may stand for` };
  if (NOT_REACHED.has(code)) return { code: RESET_CODE.unreachable, text: `nobody listens at ${label} (${code})` };
  if (code === 'ETIMEDOUT') return { code: RESET_CODE.timedOut, text: `${label} does not answer` };
  if (code.startsWith('HPE_')) return { code: RESET_CODE.internal, text: `${label} does not speak HTTP/1.1 (${code})` };
  return { code: RESET_CODE.internal, text: `${label} closed the connection${code === '' ? '' : ` (${code})`}` };
}
