/** `a2a:` of a route, for the plan. */
import { A2A_METHODS } from '../../agents/a2a/method.ts';
import { matchesPattern } from '../../agents/name-pattern.ts';
import type { A2aPlan, NameList } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import { nearest, shown } from '../spelling.ts';
import { readBodyLimit } from './body-limit.ts';
import type { A2aFields } from './a2a-schema.ts';
import type { Reading } from './reading.ts';

/** `path`: of `a2a`. Null: off. */
export function readA2a(fields: A2aFields, path: DocumentPath, reading: Reading): A2aPlan | null {
  const { reporter } = reading;
  const limit = readBodyLimit(fields.bodyLimit, path, reporter);
  for (const list of ['allow', 'deny'] as const)
    fields.methods[list]?.forEach((pattern, index) => {
      if (A2A_METHODS.some((method) => matchesPattern(pattern, method)) || pattern.includes('*')) return;
      // Extensions have methods of their own, so it may be meant.
      const near = nearest(pattern, A2A_METHODS);
      reporter.report(
        'warning',
        [...path, 'methods', list, index],
        'unknown-method',
        `\`${shown(pattern)}\` is no method of A2A`,
        {
          cause: 'methods have the names of version 1.0 here, whatever version a request is of',
          ...(near !== null && { fix: `did you mean \`${near}\`?` }),
        },
      );
    });
  if (fields.mode === 'off') return null;
  return {
    mode: fields.mode,
    versions: [...new Set(fields.versions)],
    methods: listOf(fields.methods),
    skills: listOf(fields.skills),
    sticky: fields.sticky,
    limit,
  };
}

function listOf({ allow, deny }: A2aFields['methods']): NameList {
  return { allow: allow ?? null, deny };
}
