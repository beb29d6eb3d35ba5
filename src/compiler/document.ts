/**
 * One YAML file: its data, and where in the text each part of the data stands.
 *
 * The data is built from the syntax tree by hand rather than by the library, so that every expansion of an alias draws on
 * one budget, `__proto__` stays an ordinary (and then unknown) key, and a key that stands twice is an error.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  type Document as YamlDocument,
  type Node,
  type YAMLMap,
} from 'yaml';
import type { Diagnostic, DocumentPath, Reporter } from './diagnostics.ts';

/** Characters of one policy file. PERF: 100,000 routes are about 13 million. */
export const MAX_POLICY_CHARACTERS = 67_108_864;
/** Values in one document after its aliases are expanded. */
export const MAX_POLICY_NODES = 8_000_000;
/** Nesting of one document; a policy needs nine levels. */
export const MAX_POLICY_DEPTH = 64;
/** Problems listed for one file; a file with more gets one line that says so. */
export const MAX_DIAGNOSTICS = 1000;

export interface Document extends Reporter {
  readonly file: string;
  readonly value: unknown;
  /** Line of what stands at `path`, from 1. */
  lineOf(path: DocumentPath): number;
}

type Report = (
  start: number,
  end: number,
  severity: 'error' | 'warning',
  code: string,
  message: string,
  cause?: string,
  fix?: string,
) => void;

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
  const json = parseJson(text);
  if (json !== undefined) {
    value = json;
  } else {
    tree = parseYaml(text, report);
    if (tree === null) return null;
    const reader = new ValueReader(tree, report);
    value = reader.read();
    if (reader.failed) return null;
  }

  const span = (path: DocumentPath, more: Place): [number, number] => {
    // A JSON file has no syntax tree until something in it is wrong.
    tree ??= parseYaml(text, () => {});
    return tree === null ? [0, 1] : spanOf(tree, text, path, more);
  };
  return {
    file,
    value,
    report(severity, path, code, message, more = {}) {
      report(...span(path, more), severity, code, message, more.cause, more.fix);
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

interface Tree {
  readonly document: YamlDocument;
  readonly anchors: ReadonlyMap<Node, Node | undefined>; // alias -> what it stands for
}

function parseYaml(text: string, report: Report): Tree | null {
  let document: YamlDocument;
  try {
    // Uniqueness of keys is checked by the reader below: the library's check is quadratic in the number of keys.
    document = parseDocument(text, {
      version: '1.2',
      uniqueKeys: false,
      prettyErrors: false,
      stringKeys: false,
      logLevel: 'error',
    });
  } catch (error) {
    // SAFETY: the parser recurses; nesting of some thousand levels ends here as a RangeError, not as a crash.
    report(
      0,
      1,
      'error',
      'yaml-syntax',
      'the file cannot be read as YAML',
      error instanceof RangeError ? 'it is nested too deeply' : String(error),
    );
    return null;
  }
  for (const problem of [...document.errors, ...document.warnings]) {
    report(
      problem.pos[0],
      problem.pos[1],
      'error',
      'yaml-syntax',
      lowerFirst(problem.message),
      undefined,
      YAML_FIXES[problem.code],
    );
  }
  if (document.errors.length > 0 || document.warnings.length > 0) return null;
  return { document, anchors: new Map() };
}

const YAML_FIXES: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with spaces',
  MULTIPLE_DOCS: 'write one app per file, without `---`',
  BAD_INDENT: 'align the line with its neighbours',
  TAG_RESOLVE_FAILED: 'leave the tag out',
};

function lowerFirst(text: string): string {
  const line = (text.split('\n')[0] ?? '').replace(/\.$/, '');
  return /^[A-Z][a-z ]/.test(line) ? line[0]!.toLowerCase() + line.slice(1) : line;
}

/** Turns the syntax tree into plain data, counting what it makes. */
class ValueReader {
  failed = false;
  private nodes = 0;
  private readonly anchors = new Map<string, { node: Node; value: unknown; size: number; open: boolean }>();
  private readonly resolved: Map<Node, Node | undefined>;
  private readonly tree: Tree;
  private readonly report: Report;

  constructor(tree: Tree, report: Report) {
    this.tree = tree;
    this.report = report;
    this.resolved = tree.anchors as Map<Node, Node | undefined>;
  }

  read(): unknown {
    return this.value(this.tree.document.contents, 0);
  }

  private fail(node: Node | null, code: string, message: string, cause?: string, fix?: string): undefined {
    this.failed = true;
    const range = node?.range;
    this.report(range?.[0] ?? 0, range?.[1] ?? 1, 'error', code, message, cause, fix);
    return undefined;
  }

  private value(node: Node | null, depth: number): unknown {
    if (node === null) return null;
    if (this.nodes > MAX_POLICY_NODES) return undefined;
    if (++this.nodes > MAX_POLICY_NODES) return this.tooLarge(node);
    if (depth > MAX_POLICY_DEPTH)
      return this.fail(node, 'nested-too-deeply', `nested deeper than ${MAX_POLICY_DEPTH} levels`);
    if (isAlias(node)) return this.alias(node);

    const anchor = (node as { anchor?: string }).anchor;
    const entry = anchor === undefined ? null : { node, value: undefined as unknown, size: this.nodes, open: true };
    if (entry !== null) this.anchors.set(anchor!, entry);
    let value: unknown;
    if (isScalar(node)) value = typeof node.value === 'symbol' ? String(node.source) : node.value;
    else if (isSeq(node)) value = node.items.map((item) => this.value(item as Node | null, depth + 1));
    else if (isMap(node)) value = this.map(node, depth);
    if (entry !== null) {
      entry.value = value;
      entry.size = this.nodes - entry.size + 1;
      entry.open = false;
    }
    return value;
  }

  /** Aliases share the value of their anchor; what they add to the document's size is counted all the same. */
  private alias(node: Node & { source: string }): unknown {
    const entry = this.anchors.get(node.source);
    if (entry === undefined)
      return this.fail(node, 'unknown-anchor', `no anchor &${node.source} stands above this alias`);
    if (entry.open) return this.fail(node, 'unknown-anchor', `alias *${node.source} stands inside of its own anchor`);
    this.resolved.set(node, entry.node);
    this.nodes += entry.size;
    return this.nodes > MAX_POLICY_NODES ? this.tooLarge(node) : entry.value;
  }

  private tooLarge(node: Node): undefined {
    return this.fail(
      node,
      'document-too-large',
      `more than ${MAX_POLICY_NODES} values`,
      'aliases count as often as they are used',
    );
  }

  private map(node: YAMLMap, depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    const merged: Record<string, unknown>[] = [];
    const seen = new Set<string>();
    for (const pair of node.items) {
      const key = pair.key as Node | null;
      const name = keyName(key);
      if (name === null) {
        this.fail(key ?? node, 'bad-key', 'a key must be plain text');
        continue;
      }
      if (isMergeKey(key)) {
        const source = this.value(pair.value as Node | null, depth + 1);
        for (const one of Array.isArray(source) ? source : [source]) {
          if (typeof one === 'object' && one !== null && !Array.isArray(one))
            merged.push(one as Record<string, unknown>);
          else this.fail(key, 'bad-merge', '`<<` must be followed by a mapping, or a list of mappings');
        }
        continue;
      }
      if (seen.has(name)) {
        this.fail(
          key,
          'duplicate-key',
          `\`${name}\` stands twice in this mapping`,
          'only one of them could count',
          'remove or rename one',
        );
        continue;
      }
      seen.add(name);
      define(result, name, this.value(pair.value as Node | null, depth + 1));
    }
    for (const source of merged) {
      for (const [name, value] of Object.entries(source)) {
        if (++this.nodes > MAX_POLICY_NODES) return this.tooLarge(node) ?? result;
        if (!Object.hasOwn(result, name)) define(result, name, value);
      }
    }
    return result;
  }
}

/** SAFETY: assignment to `__proto__` would set the prototype. */
function define(target: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: true, writable: true, configurable: true });
}

function keyName(key: Node | null): string | null {
  if (!isScalar(key)) return null;
  return typeof key.value === 'string' ? key.value : String(key.source ?? key.value);
}

function isMergeKey(key: Node | null): boolean {
  return isScalar(key) && key.type === 'PLAIN' && (key.value === '<<' || key.source === '<<');
}

interface Place {
  readonly offset?: number;
  readonly length?: number;
  readonly at?: 'key' | 'value';
}

/** Offsets of what stands at `path`, or of the nearest thing around it that exists. */
function spanOf(tree: Tree, text: string, path: DocumentPath, more: Place): [number, number] {
  let node = follow(tree, tree.document.contents);
  let key: Node | null = null;
  let found = true;
  for (const part of path) {
    let next: Node | null | undefined;
    let nextKey: Node | null = null;
    if (isSeq(node) && typeof part === 'number') next = node.items[part] as Node | undefined;
    else if (isMap(node)) {
      const pair = findPair(tree, node, String(part));
      if (pair !== undefined) [nextKey, next] = pair;
    }
    if (next === undefined) {
      found = false;
      break;
    }
    key = nextKey;
    node = follow(tree, next);
    if (node === null) break;
  }
  if ((more.at === 'key' || !found || node === null || !isScalar(node)) && key?.range)
    return [key.range[0], key.range[1]];
  if (!node?.range) return [0, 1];
  const [start, end] = node.range;
  if (isScalar(node) && more.offset !== undefined) {
    const first = sourceOffset(text, start, end, String(node.value), node.type ?? 'PLAIN', more.offset);
    const last = sourceOffset(
      text,
      start,
      end,
      String(node.value),
      node.type ?? 'PLAIN',
      more.offset + Math.max(1, more.length ?? 1) - 1,
    );
    return [first, Math.max(first, last) + 1];
  }
  return isScalar(node) ? [start, end] : [start, start + 1];
}

function follow(tree: Tree, node: Node | null | undefined): Node | null {
  if (!isAlias(node)) return node ?? null;
  return tree.anchors.get(node) ?? node.resolve(tree.document) ?? null;
}

const pairIndex = new WeakMap<YAMLMap, Map<string, [Node | null, Node | null]>>();

function findPair(tree: Tree, map: YAMLMap, name: string, depth = 0): [Node | null, Node | null] | undefined {
  let index = pairIndex.get(map);
  if (index === undefined) {
    index = new Map();
    for (const pair of map.items) {
      const key = pair.key as Node | null;
      const text = keyName(key);
      if (text !== null && !index.has(text)) index.set(text, [key, pair.value as Node | null]);
    }
    pairIndex.set(map, index);
  }
  const own = index.get(name);
  if (own !== undefined || depth > MAX_POLICY_DEPTH) return own;
  const merge = index.get('<<');
  if (merge === undefined || !isMergeKey(merge[0])) return undefined;
  const source = follow(tree, merge[1]);
  for (const one of isSeq(source) ? source.items : [source]) {
    const from = follow(tree, one as Node | null);
    const pair = isMap(from) ? findPair(tree, from, name, depth + 1) : undefined;
    if (pair !== undefined) return pair;
  }
  return undefined;
}

/** Where the character `offset` of a scalar's value stands in the source: walks escapes, folded lines and block indents. */
function sourceOffset(text: string, start: number, end: number, value: string, type: string, offset: number): number {
  let at = start;
  if (type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE') at++;
  if (type === 'BLOCK_LITERAL' || type === 'BLOCK_FOLDED') at = skipBlank(text, text.indexOf('\n', start), end);
  for (let index = 0; index < offset && index < value.length && at < end; index++) {
    const wanted = value[index]!;
    const here = text[at]!;
    if (type === 'QUOTE_DOUBLE' && here === '\\') at += escapeLength(text, at);
    else if (type === 'QUOTE_SINGLE' && here === "'") at += 2;
    else if (/\s/.test(here) && here !== wanted) at = skipBlank(text, at, end);
    else at += here === '\n' ? skipBlank(text, at, end) - at : 1;
  }
  return Math.min(at, Math.max(start, end - 1));
}

function skipBlank(text: string, at: number, end: number): number {
  while (at < end && /\s/.test(text[at]!)) at++;
  return at;
}

function escapeLength(text: string, at: number): number {
  const kind = text[at + 1];
  return kind === 'x' ? 4 : kind === 'u' ? 6 : kind === 'U' ? 10 : 2;
}

/** Line and column of character offsets. */
class Lines {
  private starts: number[] | null = null;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  place(start: number, end: number): { line: number; column: number; length: number } {
    if (this.starts === null) {
      this.starts = [0];
      for (let at = this.text.indexOf('\n'); at >= 0; at = this.text.indexOf('\n', at + 1)) this.starts.push(at + 1);
    }
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle]! <= start) low = middle;
      else high = middle - 1;
    }
    const lineStart = this.starts[low]!;
    const lineEnd = (this.starts[low + 1] ?? this.text.length + 1) - 1;
    return { line: low + 1, column: start - lineStart + 1, length: Math.max(1, Math.min(end, lineEnd) - start) };
  }
}
