/** Where a part of a document stands in its text: from a path to offsets, and from offsets to line and column. */
import { isAlias, isMap, isScalar, isSeq, type Node, type YAMLMap } from 'yaml';
import { MAX_POLICY_DEPTH } from '../../assembly/abi.ts';
import type { DocumentPath } from './diagnostics.ts';
import { isMergeKey, keyName, type Tree } from './yaml.ts';

/** What of it is meant; see `Reporter`. */
export interface Place {
  readonly offset?: number;
  readonly length?: number;
  readonly at?: 'key' | 'value';
}

/** Offsets of what stands at `path`, or of the nearest thing around it that exists. */
export function spanOf(tree: Tree, text: string, path: DocumentPath, more: Place): [number, number] {
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
export class Lines {
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
