/** What the readers of a policy's parts share while one document is read. */
import type { Document } from '../document.ts';
import type { Intersection } from './hostname.ts';
import { nearest } from '../spelling.ts';
import type { DocumentPath } from '../diagnostics.ts';

export type Target = 'workerd' | 'cloudflare';

/** Why a text is not there, and what to do. */
export interface MissingText {
  readonly problem: string;
  readonly fix: string;
}

export interface Reading {
  readonly reporter: Document;
  readonly target: Target;
  /** Zone of the Cloudflare account, lower case, or null. */
  readonly zone: string | null;
  /** Host names of the app, lower case. */
  readonly hostnames: readonly string[];
  readonly intersection: Intersection;
  /** The wildcard of the hosts that are tunnels, or null. */
  readonly tunnelDomain: string | null;
  /** What may be held of a body, and what happens to a longer one. */
  readonly over: 'reject' | 'inspect-prefix' | 'pass';
  /** Every name under `backends`, also those with faults; the index is that of the plan. */
  readonly backends: ReadonlyMap<string, number>;
  /** A file beside the policy, or why it is not to be had. */
  readonly text: (file: string) => string | MissingText;
  /** Names of the secrets met so far. */
  readonly secrets: Set<string>;
}

/** Index of a backend; -1 after reporting that there is none of this name. */
export function backendIndex(reading: Reading, name: string, path: DocumentPath): number {
  const index = reading.backends.get(name);
  if (index !== undefined) return index;
  if (reading.reporter.full) return -1;
  const meant = nearest(name, reading.backends.keys());
  reading.reporter.report('error', path, 'unknown-backend', `there is no backend \`${name}\``, {
    ...(reading.backends.size <= 12 && {
      cause:
        reading.backends.size === 0
          ? 'the policy has no `backends`'
          : `backends: ${[...reading.backends.keys()].join(', ')}`,
    }),
    fix: meant === null ? `add \`${name}\` under \`backends\`` : `did you mean \`${meant}\`?`,
  });
  return -1;
}
