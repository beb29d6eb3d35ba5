/** One YAML or JSON file: its data, and where in the text each part of the data stands. */
import { MAX_DIAGNOSTICS, MAX_POLICY_CHARACTERS, MAX_POLICY_DEPTH } from '../../assembly/abi.ts';
import type { Diagnostic, DocumentPath, Reporter } from './diagnostics.ts';
import { Lines, spanOf, type Place } from './place.ts';
import { readPlainYaml } from './plain-yaml.ts';
import { parseYaml, readValue, type Report, type Tree } from './yaml.ts';

/** Characters from which on the fast reader is tried first. */
const FAST_FROM = 65_536;

export interface Document extends Reporter {
  readonly file: string;
  readonly value: unknown;
  /** Whether MAX_DIAGNOSTICS is reached: no report counts any more, so none needs to be worked out. */
  readonly full: boolean;
  /** Line of what stands at `path`, from 1. */
  lineOf(path: DocumentPath): number;
}

/** Reads a file; problems go to `diagnostics`. Null when there is no data to go on with. Never throws. */
export function readDocument(file: string, text: string, diagnostics: Diagnostic[]): Document | null {
  const lines = new Lines(text);
  let reported = 0;
  const report: Report = (start, end, severity, code, message, cause, fix) => {
    if (++reported > MAX_DIAGNOSTICS) {
      if (reported === MAX_DIAGNOSTICS + 1) {
        const message = `more than ${MAX_DIAGNOSTICS} problems; the rest is not listed`;
        diagnostics.push({
          severity: 'error',
          code: 'too-many-problems',
          file,
          line: 1,
          column: 1,
          length: 1,
          message,
        });
      }
      return;
    }
    diagnostics.push({
      severity,
      code,
      file,
      ...lines.place(start, end),
      message,
      ...(cause && { cause }),
      ...(fix && { fix }),
    });
  };

  if (text.length > MAX_POLICY_CHARACTERS) {
    report(
      0,
      1,
      'error',
      'file-too-large',
      `the file has ${text.length} characters; the limit is ${MAX_POLICY_CHARACTERS}`,
    );
    return null;
  }

  let tree: Tree | null = null;
  let value: unknown;
  const fast = parseJson(text) ?? (text.length > FAST_FROM ? readPlainYaml(text) : undefined);
  if (fast !== undefined) {
    value = fast;
  } else {
    tree = parseYaml(text, report);
    if (tree === null) return null;
    const read = readValue(tree, report);
    if (read === null) return null;
    value = read.value;
  }

  const span = (path: DocumentPath, more: Place): [number, number] => {
    // What the fast readers read has no syntax tree until something in it is wrong.
    tree ??= parseYaml(text, () => {});
    return tree === null ? [0, 1] : spanOf(tree, text, path, more);
  };
  return {
    file,
    value,
    report(severity, path, code, message, more = {}) {
      if (reported > MAX_DIAGNOSTICS) return;
      report(...span(path, more), severity, code, message, more.cause, more.fix);
    },
    get full() {
      return reported > MAX_DIAGNOSTICS;
    },
    lineOf: (path) => lines.place(...span(path, {})).line,
  };
}

/**
 * JSON is YAML, and a generated policy of 100,000 routes is JSON. PERF: JSON.parse takes 0.24 s where the YAML parser takes
 * 10.5 s (12.8 MB). JSON.parse is silent about keys that stand twice: then the keys found are fewer than the colons
 * outside of strings, and the YAML parser gets the file, to say where.
 */
function parseJson(text: string): unknown {
  if (!/^\s*\{/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  let colons = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) inString = !inString;
    else if (code === 0x5c) at++;
    else if (code === 0x3a && !inString) colons++;
  }
  let keys = 0;
  const stack: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (next.depth > MAX_POLICY_DEPTH) return undefined;
    if (typeof next.value !== 'object' || next.value === null) continue;
    const values: unknown[] = Object.values(next.value);
    if (!Array.isArray(next.value)) keys += values.length;
    for (const value of values)
      if (typeof value === 'object' && value !== null) stack.push({ value, depth: next.depth + 1 });
  }
  return keys === colons ? value : undefined;
}
