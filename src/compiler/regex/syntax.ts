/** What patterns are made of. */
import type { Ranges } from './ranges.ts';

export interface RegexFlags {
  /** ASCII letters; with `unicode`, Unicode simple case folding. */
  readonly foldCase?: boolean;
  /** `.` matches a line feed too. */
  readonly dotAll?: boolean;
  /** `^` and `$` match at line feeds too. */
  readonly multiline?: boolean;
  /** `.` and classes match whole code points in UTF-8; otherwise single bytes. */
  readonly unicode?: boolean;
  /** The pattern has to match the whole value. */
  readonly anchored?: boolean;
  /** Also compile what `captures` needs. */
  readonly captures?: boolean;
}

export type Node =
  | { readonly type: 'empty' }
  | { readonly type: 'class'; readonly set: Ranges } // code points with `unicode`, else bytes
  | { readonly type: 'assert'; readonly kind: number }
  | { readonly type: 'concat'; readonly items: readonly Node[] }
  | { readonly type: 'alternate'; readonly items: readonly Node[] }
  | {
      readonly type: 'repeat';
      readonly item: Node;
      readonly min: number;
      readonly max: number;
      readonly greedy: boolean;
    }
  | { readonly type: 'group'; readonly index: number; readonly item: Node };

export interface Regex {
  readonly root: Node;
  readonly groups: number; // with the whole match
  readonly names: readonly (string | null)[]; // by group
  readonly unicode: boolean;
}

export const EMPTY: Node = { type: 'empty' };
