/**
 * What the scan looks for where: the pipelines of all scanned links as one tree, and for each kind of value which matchers
 * apply at which node of it. See PROGRAM_NODES to PROGRAM_KINDS in assembly/waf/abi.ts.
 */
import * as abi from '../../../assembly/waf/abi.ts';
import type { StringPool } from '../image.ts';
import type { Target } from '../seclang/ruleset.ts';
import { OF_RESPONSE, VARIABLE_TEXTS, viewOf, VOLATILE } from './variables.ts';

/** A link whose matcher the scan is to look for. */
export interface ScannedLink {
  readonly phase: number; // 1 to 4
  readonly targets: readonly Target[];
  readonly pipeline: readonly number[];
  readonly multiMatch: boolean;
  readonly matcher: number;
}

/** Whether the scan can see all that a first link looks at, in the phase of its rule. */
export function canScan(targets: readonly Target[], phase: number): boolean {
  const seen = targets.filter(({ exclude }) => !exclude);
  if (seen.length === 0 || phase > 4) return false;
  return seen.every(
    ({ variable, count }) => !count && !VOLATILE.has(variable) && OF_RESPONSE.has(variable) === phase > 2,
  );
}

interface TreeNode {
  readonly transformation: number;
  readonly children: Map<number, TreeNode>;
  index: number;
  parent: number;
}

export class PipelineTree {
  readonly #root: TreeNode = { transformation: 0, children: new Map(), index: 0, parent: 0 };
  #ordered: TreeNode[] = [];

  add(pipeline: readonly number[]): void {
    let node = this.#root;
    for (const transformation of pipeline) {
      let child = node.children.get(transformation);
      if (child === undefined) {
        child = { transformation, children: new Map(), index: -1, parent: -1 };
        node.children.set(transformation, child);
      }
      node = child;
    }
  }

  /** Numbers the nodes breadth first, so that the children of one stand together. */
  finish(): void {
    this.#ordered = [this.#root];
    for (let i = 0; i < this.#ordered.length; i++) {
      const node = this.#ordered[i]!;
      node.index = i;
      for (const child of node.children.values()) {
        child.parent = i;
        this.#ordered.push(child);
      }
    }
  }

  get size(): number {
    return this.#ordered.length;
  }

  /** Nodes that a value passes, from the root on. */
  path(pipeline: readonly number[]): number[] {
    let node = this.#root;
    return [0, ...pipeline.map((transformation) => (node = node.children.get(transformation)!).index)];
  }

  transformationOf(node: number): number {
    return this.#ordered[node]!.transformation;
  }

  parentOf(node: number): number {
    return this.#ordered[node]!.parent;
  }

  rows(): number[] {
    return this.#ordered.flatMap(({ transformation, children, parent }) => [
      transformation,
      children.values().next().value?.index ?? 0,
      children.size,
      parent,
    ]);
  }
}

export interface Profiles {
  readonly profiles: readonly number[];
  readonly profileCount: number;
  readonly masks: Uint8Array;
  readonly maskCount: number;
  readonly names: readonly number[];
  readonly kinds: readonly number[];
}

const SCOPE_PHASES: readonly (readonly number[])[] = [[1], [2], [1, 2], [3, 4]];

/** `sets`: first matcher and number of matchers of each set. */
export function buildProfiles(
  links: readonly ScannedLink[],
  tree: PipelineTree,
  sets: readonly { readonly first: number; readonly count: number }[],
  strings: StringPool,
): Profiles {
  const maskBytes = sets.length * abi.MATCHER_SET_BYTES + abi.MASK_TAIL_BYTES;
  const masks: Uint8Array[] = [];
  const maskIndex = new Map<string, number>();
  const profiles: number[] = [];
  const profileIndex = new Map<string, number>();
  const names: number[] = [];

  const maskOf = (matchers: ReadonlySet<number>): number => {
    const mask = new Uint8Array(maskBytes);
    for (const matcher of matchers) {
      if (matcher === abi.MATCHER_SQLI) mask[maskBytes - 8]! |= abi.DETECTOR_SQLI;
      else if (matcher === abi.MATCHER_XSS) mask[maskBytes - 8]! |= abi.DETECTOR_XSS;
      else {
        const set = sets.findIndex(({ first, count }) => matcher >= first && matcher < first + count);
        const local = matcher - sets[set]!.first;
        mask[set * abi.MATCHER_SET_BYTES + (local >> 3)]! |= 1 << (local & 7);
      }
    }
    return intern(maskIndex, String(mask), () => masks.push(mask) - 1);
  };

  /** Profile of a value that these links look at. */
  const profileOf = (applicable: readonly ScannedLink[]): number => {
    if (applicable.length === 0) return abi.NONE;
    const at = new Map<number, Set<number>>();
    for (const { pipeline, multiMatch, matcher } of applicable) {
      const path = tree.path(pipeline);
      for (const node of multiMatch ? path : path.slice(-1)) {
        const matchers = at.get(node) ?? new Set();
        at.set(node, matchers.add(matcher));
      }
    }
    const row = new Array<number>(tree.size).fill(0);
    let changes = 0n;
    for (const [node, matchers] of at) {
      row[node] = maskOf(matchers) | abi.PROFILE_HAS_MASK;
      for (let up = node; ; up = tree.parentOf(up)) {
        row[up]! |= abi.PROFILE_NEEDED;
        if (up === 0) break;
        changes |= 1n << BigInt(tree.transformationOf(up));
      }
    }
    const all = maskOf(new Set([...at.values()].flatMap((matchers) => [...matchers])));
    const whole = [Number(changes & 0xffffffffn), Number(changes >> 32n), all, ...row];
    return intern(profileIndex, whole.join(), () => {
      profiles.push(...whole);
      return profileIndex.size;
    });
  };

  const kinds: number[] = [];
  for (const named of [false, true]) {
    for (let storage = 0; storage < abi.VARIABLE_COUNT; storage++) {
      const views = VARIABLE_TEXTS.flatMap((text, variable) => {
        const view = viewOf(variable);
        return text !== '' && view.named === named && view.storage.includes(storage) ? [variable] : [];
      });
      const here = links.filter(({ targets }) =>
        targets.some(({ exclude, variable }) => !exclude && views.includes(variable)),
      );
      const of = (phases: readonly number[], name: string | null): number =>
        profileOf(
          here.filter((link) => phases.includes(link.phase) && views.some((view) => looksAt(link, view, name))),
        );
      const fallback = SCOPE_PHASES.map((phases) => of(phases, null));
      const first = names.length / abi.NAME_ROW_WORDS;
      for (const name of namesOf(here, views)) {
        const row = SCOPE_PHASES.map((phases) => of(phases, name));
        if (row.join() === fallback.join()) continue;
        const { at, length } = strings.add(name);
        names.push(at, length, ...row);
      }
      const count = names.length / abi.NAME_ROW_WORDS - first;
      const text = strings.add(VARIABLE_TEXTS[storage]!);
      kinds.push(...fallback, count === 0 ? 0 : first, count, text.at, text.length);
    }
  }
  const bytes = new Uint8Array(masks.length * maskBytes);
  for (const [index, mask] of masks.entries()) bytes.set(mask, index * maskBytes);
  return { profiles, profileCount: profileIndex.size, masks: bytes, maskCount: masks.length, names, kinds };
}

/** Names that any of the links singles out. */
function namesOf(links: readonly ScannedLink[], views: readonly number[]): string[] {
  const names = links.flatMap(({ targets }) =>
    targets.flatMap(({ variable, selector }) =>
      views.includes(variable) && selector !== null && 'exact' in selector ? [selector.exact.toLowerCase()] : [],
    ),
  );
  return [...new Set(names)].sort();
}

/**
 * Whether a link may look at a value of a view with this name (null: any name that is not singled out). More often true than
 * needed: the evaluation of a rule decides exactly, the scan must only not miss anything.
 */
function looksAt({ targets }: ScannedLink, view: number, name: string | null): boolean {
  let looks = false;
  for (const { variable, exclude, selector } of targets) {
    if (variable !== view) continue;
    const exact = selector !== null && 'exact' in selector;
    const takes = selector === null || !exact || (name !== null && selector.exact.toLowerCase() === name);
    // An exclusion by pattern is left to the evaluation.
    if (exclude) looks &&= !(selector === null || (exact && takes));
    else looks ||= takes;
  }
  return looks;
}

function intern(known: Map<string, number>, key: string, add: () => number): number {
  let index = known.get(key);
  if (index === undefined) {
    index = add();
    known.set(key, index);
  }
  return index;
}
