/**
 * YAML text to a syntax tree, and the tree to plain data.
 *
 * The data is built from the tree by hand rather than by the library, so that every expansion of an alias draws on one
 * budget, `__proto__` stays an ordinary (and then unknown) key, and a key that stands twice is an error.
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
import { MAX_POLICY_DEPTH, MAX_POLICY_NODES } from '../../assembly/abi.ts';

/** Reports about the text between two offsets. */
export type Report = (
  start: number,
  end: number,
  severity: 'error' | 'warning',
  code: string,
  message: string,
  cause?: string,
  fix?: string,
) => void;

export interface Tree {
  readonly document: YamlDocument;
  readonly anchors: ReadonlyMap<Node, Node | undefined>; // alias -> what it stands for
}

/** The syntax tree, or null after reporting what is wrong with the text. */
export function parseYaml(text: string, report: Report): Tree | null {
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

/** The data of a tree, or null after reporting why it cannot be had. */
export function readValue(tree: Tree, report: Report): { readonly value: unknown } | null {
  const reader = new ValueReader(tree, report);
  const value = reader.read();
  return reader.failed ? null : { value };
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

/** A key as text, or null when it is no scalar. */
export function keyName(key: Node | null): string | null {
  if (!isScalar(key)) return null;
  return typeof key.value === 'string' ? key.value : String(key.source ?? key.value);
}

export function isMergeKey(key: Node | null): boolean {
  return isScalar(key) && key.type === 'PLAIN' && (key.value === '<<' || key.source === '<<');
}
