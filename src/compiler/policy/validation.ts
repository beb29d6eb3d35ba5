/** Holds values against the schema and says what is wrong with them, in words. */
import { z } from 'zod';
import type { DocumentPath } from '../diagnostics.ts';
import type { Document } from '../document.ts';
import { pairsAreMapping, typeIsField } from './gateway-api.ts';
import { nearest, oneOf, shown } from '../spelling.ts';

type Issue = z.core.$ZodIssue;

/** The validated value with its defaults, or null after reporting every fault in it. `path` is where it stands. */
export function validate<T extends z.ZodType>(
  schema: T,
  value: unknown,
  path: DocumentPath,
  reporter: Document,
): z.output<T> | null {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    if (reporter.full) break;
    explain(schema, issue, path, reporter);
  }
  return null;
}

/** Unknown fields of the document itself, whose known ones are validated one by one. */
export function unknownField(key: string, known: readonly string[], path: DocumentPath, reporter: Document): void {
  // SAFETY: a hostile file can have millions of unknown fields, and looking for what was meant takes its time.
  if (reporter.full) return;
  const meant = nearest(key, known);
  const fix = typeIsField(key, known) ?? (meant === null ? null : `did you mean \`${meant}\`?`);
  reporter.report('error', [...path, key], 'unknown-field', `unknown field \`${shown(key)}\``, {
    at: 'key',
    ...(known.length <= 20 && { cause: `fields here: ${known.join(', ')}` }),
    ...(fix !== null && { fix }),
  });
}

function explain(schema: z.ZodType, issue: Issue, base: DocumentPath, reporter: Document): void {
  const path = [...base, ...(issue.path as (string | number)[])];
  const name = label(path);
  const [ours, oursFix] = issue.message.startsWith('must ') ? issue.message.split('\n') : [];
  const report = (code: string, message: string, more: { fix?: string; cause?: string; at?: 'key' } = {}) =>
    reporter.report('error', path, code, message, more);

  switch (issue.code) {
    case 'unrecognized_keys': {
      const at = schemaAt(schema, issue.path);
      const known = at instanceof z.ZodObject ? Object.keys(at.shape) : [];
      for (const key of issue.keys) unknownField(key, known, path, reporter);
      return;
    }
    case 'invalid_type': {
      if (issue.input === undefined)
        return report('missing-field', `${name} is missing`, { fix: `add \`${String(path.at(-1))}\`` });
      const what = ours ?? `must be ${TYPES[issue.expected] ?? issue.expected}`;
      const fix =
        oursFix ??
        (issue.expected === 'string' ? quoted(issue.input) : undefined) ??
        (issue.expected === 'record' ? (pairsAreMapping(issue.input) ?? undefined) : undefined);
      return report('wrong-type', `${name} ${what}, not ${kindOf(issue.input)}`, fix === undefined ? {} : { fix });
    }
    case 'too_big':
    case 'too_small': {
      const big = issue.code === 'too_big';
      const bound = big ? issue.maximum : issue.minimum;
      if (issue.origin === 'string' && !big && bound === 1) return report('out-of-range', `${name} must not be empty`);
      const unit = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' entries' : '';
      const verb = unit === '' ? 'be' : 'have';
      return report('out-of-range', `${name} must ${verb} at ${big ? 'most' : 'least'} ${bound}${unit}`);
    }
    case 'invalid_value': {
      if (issue.input === undefined)
        return report('missing-field', `${name} is missing`, {
          fix: `add \`${String(path.at(-1))}\`: ${oneOf(issue.values.map(String))}`,
        });
      const values = issue.values.map(String);
      const meant = typeof issue.input === 'string' ? nearest(issue.input, values) : null;
      const shown = values.length > 12 ? 'one of the known values' : oneOf(values);
      return report(
        'unknown-value',
        `${name} must be ${shown}, not ${shortly(issue.input)}`,
        meant === null ? {} : { fix: `did you mean \`${meant}\`?` },
      );
    }
    case 'invalid_format':
      return report(
        'bad-format',
        `${name} ${ours ?? 'has the wrong form'}, not ${shortly(issue.input)}`,
        oursFix === undefined ? {} : { fix: oursFix },
      );
    case 'invalid_key': {
      const [what, fix] = (issue.issues[0]?.message ?? '').split('\n');
      const text = what?.startsWith('must ') ? what : 'has the wrong form';
      return report('bad-format', `\`${String(path.at(-1))}\` ${text}`, {
        at: 'key',
        ...(fix !== undefined && { fix }),
      });
    }
    case 'invalid_union':
      return explainUnion(schema, issue, base, path, reporter);
    default:
      return report('bad-value', `${name} ${ours ?? issue.message.toLowerCase()}`);
  }
}

/** Of a union's branches, the one that takes this kind of value speaks; if none does, all are named. */
function explainUnion(
  schema: z.ZodType,
  issue: Extract<Issue, { code: 'invalid_union' }>,
  base: DocumentPath,
  path: DocumentPath,
  reporter: Document,
): void {
  const branches = issue.errors as Issue[][];
  const literals = branches.flatMap((branch) => (branch[0]?.code === 'invalid_value' ? branch[0].values : []));
  if (literals.length === branches.length) {
    return reporter.report(
      'error',
      path,
      'unknown-value',
      `${label(path)} must be ${oneOf(literals.map(String))}, not ${shortly(issue.input)}`,
    );
  }
  const speaking = branches.find(
    (branch) => !branch.some((one) => one.path.length === 0 && one.code === 'invalid_type'),
  );
  if (speaking !== undefined) {
    for (const one of speaking) {
      const inner = { ...one, path: [...issue.path, ...one.path] } as Issue;
      explain(schema, inner, base, reporter);
    }
    return;
  }
  const kinds = branches.map((branch) => {
    const first = branch[0];
    return first?.code === 'invalid_type' ? (TYPES[first.expected] ?? first.expected) : 'something else';
  });
  const fix = kinds.includes('text') ? quoted(issue.input) : undefined;
  const message = `${label(path)} must be ${oneOf(kinds)}, not ${kindOf(issue.input)}`;
  reporter.report('error', path, 'wrong-type', message, fix === undefined ? {} : { fix });
}

/** YAML reads `1` and `true` as a number and a truth value; what was meant is text. */
function quoted(value: unknown): string | undefined {
  return typeof value === 'number' || typeof value === 'boolean' ? `put it in quotes: "${value}"` : undefined;
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

/** What a person calls the thing at `path`: its field, or its place in a list. */
function label(path: DocumentPath): string {
  const last = path.at(-1);
  if (typeof last === 'string') return `\`${last}\``;
  if (last === undefined) return 'the document';
  const list = path.at(-2);
  return typeof list === 'string' ? `entry ${last + 1} of \`${list}\`` : `entry ${last + 1}`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return shortly(value);
  return String(value);
}

function shortly(value: unknown): string {
  return typeof value === 'string' ? `\`${shown(value)}\`` : kindOf(value);
}

/** The schema that an issue's path leads to, through optional fields, defaults and unions. */
function schemaAt(schema: z.ZodType, path: readonly PropertyKey[]): z.ZodType | null {
  let at: z.ZodType | null = unwrap(schema);
  for (const part of path) {
    if (at instanceof z.ZodObject) at = (at.shape as Record<string, z.ZodType>)[String(part)] ?? null;
    else if (at instanceof z.ZodArray) at = at.element as z.ZodType;
    else if (at instanceof z.ZodRecord) at = at.valueType as z.ZodType;
    else return null;
    if (at !== null) at = unwrap(at);
  }
  return at;
}

function unwrap(schema: z.ZodType): z.ZodType {
  let at = schema;
  while (
    at instanceof z.ZodOptional ||
    at instanceof z.ZodDefault ||
    at instanceof z.ZodPrefault ||
    at instanceof z.ZodNullable
  ) {
    at = at.unwrap() as z.ZodType;
  }
  if (at instanceof z.ZodUnion) {
    const object = (at.options as z.ZodType[]).find((option) => option instanceof z.ZodObject);
    if (object !== undefined) return object;
  }
  return at;
}
