/**
 * Sees through `t:lowercase`: what looks for letters in either case finds the same in a value and in the value in lower
 * case, so the scan need not make the second string and search it too.
 */
import { ASSERT_END } from '../../../assembly/regex/abi.ts';
import * as abi from '../../../assembly/waf/abi.ts';
import { parse } from '../regex/parse.ts';
import { foldAscii, type Ranges } from '../regex/ranges.ts';
import type { Node, Regex } from '../regex/syntax.ts';
import type { Link, Operator } from '../seclang/ruleset.ts';

/** Transformations for which the case of what they get decides nothing but the case of what they give. */
const BLIND: ReadonlySet<number> = new Set([
  abi.TRANSFORM_LOWERCASE,
  abi.TRANSFORM_COMPRESS_WHITESPACE,
  abi.TRANSFORM_REMOVE_WHITESPACE,
  abi.TRANSFORM_REMOVE_NULLS,
  abi.TRANSFORM_REPLACE_NULLS,
  abi.TRANSFORM_REMOVE_COMMENTS,
  abi.TRANSFORM_REMOVE_COMMENTS_CHAR,
  abi.TRANSFORM_REPLACE_COMMENTS,
  abi.TRANSFORM_NORMALIZE_PATH,
  abi.TRANSFORM_NORMALIZE_PATH_WIN,
  abi.TRANSFORM_TRIM,
  abi.TRANSFORM_TRIM_LEFT,
  abi.TRANSFORM_TRIM_RIGHT,
]);
/** The same of these, but they may put capitals into a text that has none. */
const BLIND_DECODERS: ReadonlySet<number> = new Set([
  abi.TRANSFORM_URL_DECODE,
  abi.TRANSFORM_URL_DECODE_UNI,
  abi.TRANSFORM_HTML_ENTITY_DECODE,
]);

/** Whether the operator of a link gets nothing but lower case: then its matcher may be one that ignores case. */
export function isLowered({ transformations, multiMatch }: Pick<Link, 'transformations' | 'multiMatch'>): boolean {
  if (multiMatch) return false; // looks at what was before, too
  const last = transformations.lastIndexOf(abi.TRANSFORM_LOWERCASE);
  return last >= 0 && transformations.slice(last).every((id) => BLIND.has(id));
}

/** `regex` with letters of either case wherever it takes the one in lower case: the same on texts without capitals. */
export function ignoreCase(regex: Regex): Regex {
  return {
    ...regex,
    root: mapClasses(regex.root, (set) => {
      const rest = without(set, 0x41, 0x5a);
      return rest.length === 0 ? NEVER : { type: 'class', set: foldAscii(rest) };
    }),
  };
}

/** Pipeline after which the scan may look for the operator of a link, to the same effect. */
export function scannedPipeline(
  link: Pick<Link, 'transformations' | 'multiMatch'> & { readonly operator: Operator },
): readonly number[] {
  let pipeline = link.transformations;
  // With multiMatch each step is looked at by itself.
  if (link.multiMatch || !pipeline.includes(abi.TRANSFORM_LOWERCASE) || !ignoresCase(link)) return pipeline;
  for (let last = pipeline.length; (last = pipeline.lastIndexOf(abi.TRANSFORM_LOWERCASE, last - 1)) >= 0;) {
    const after = pipeline.slice(last + 1);
    if (!after.every((id) => BLIND.has(id) || BLIND_DECODERS.has(id))) break;
    pipeline = [...pipeline.slice(0, last), ...after];
    if (last === 0) break;
  }
  return pipeline;
}

/** Whether the matcher that a link gets finds the same whatever the case of letters. */
function ignoresCase(link: Pick<Link, 'transformations' | 'multiMatch'> & { readonly operator: Operator }): boolean {
  const { operator, argument } = link.operator;
  if (operator === abi.OPERATOR_PM) return true;
  if (operator > abi.OPERATOR_LAST_MATCHER || operator === abi.OPERATOR_DETECT_SQLI) return false;
  if (operator === abi.OPERATOR_DETECT_XSS) return false;
  if (isLowered(link)) return true;
  if (operator !== abi.OPERATOR_RX) return false;
  const text = argument.filter((part) => typeof part === 'string').join('');
  let same = true;
  mapClasses(parse(text, { dotAll: true }, abi.MAX_RULE_PATTERN_BYTES).root, (set) => {
    same &&= foldAscii(set).join() === set.join();
    return NEVER;
  });
  return same;
}

/** A byte behind the end. Automata have no empty class. */
const NEVER: Node = {
  type: 'concat',
  items: [
    { type: 'assert', kind: ASSERT_END },
    { type: 'class', set: [0, 255] },
  ],
};

function without(set: Ranges, first: number, last: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < set.length; i += 2) {
    const low = set[i]!;
    const high = set[i + 1]!;
    if (low < first) out.push(low, Math.min(high, first - 1));
    if (high > last) out.push(Math.max(low, last + 1), high);
  }
  return out;
}

function mapClasses(node: Node, map: (set: Ranges) => Node): Node {
  switch (node.type) {
    case 'class':
      return map(node.set);
    case 'group':
    case 'repeat':
      return { ...node, item: mapClasses(node.item, map) };
    case 'concat':
    case 'alternate':
      return { ...node, items: node.items.map((item) => mapClasses(item, map)) };
    default:
      return node;
  }
}
