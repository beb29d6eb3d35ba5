/** Texts that a pattern matches, or nearly matches, and the pattern as V8 reads it. */
import type { Node } from '../../src/compiler/regex/syntax.ts';

export type Pick = (below: number) => number;

/** Numbers that are the same in every run. */
export function picker(seed: number): Pick {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A text of bytes (one character each) that `node` matches, assertions aside. */
export function sample(node: Node, pick: Pick): string {
  switch (node.type) {
    case 'empty':
    case 'assert':
      return '';
    case 'class': {
      const bytes: number[] = [];
      for (let i = 0; i < node.set.length; i += 2) {
        for (let byte = node.set[i]!; byte <= node.set[i + 1]!; byte++) bytes.push(byte);
      }
      if (bytes.length === 0) return '';
      const ascii = bytes.filter((byte) => byte >= 0x20 && byte < 0x7f);
      const from = ascii.length > 0 && pick(20) > 0 ? ascii : bytes;
      return String.fromCharCode(from[pick(from.length)]!);
    }
    case 'group':
      return sample(node.item, pick);
    case 'concat':
      return node.items.map((item) => sample(item, pick)).join('');
    case 'alternate':
      return sample(node.items[pick(node.items.length)]!, pick);
    case 'repeat': {
      const more = node.max < 0 ? 4 : Math.min(node.max - node.min, 4);
      let text = '';
      for (let i = node.min + pick(more + 1); i > 0; i--) text += sample(node.item, pick);
      return text;
    }
  }
}

const EDGES = ['', ' ', 'a', '"', "'", '\n', '=', ';', '/', 'x y', '$', '1', '(', '\\', '\0', 'é'];

/** The text with something done to it, so that it just does not match any more, or does all the same. */
export function mutate(text: string, other: string, pick: Pick): string {
  const at = pick(text.length + 1);
  switch (pick(9)) {
    case 0:
      return EDGES[pick(EDGES.length)] + text;
    case 1:
      return text + EDGES[pick(EDGES.length)];
    case 2:
      return text.slice(0, at) + text.slice(at + 1);
    case 3:
      return text.slice(0, at) + EDGES[pick(EDGES.length)] + text.slice(at);
    case 4:
      return text.toUpperCase();
    case 5:
      return text.slice(at) + text.slice(0, at);
    case 6:
      return text.slice(0, at) + other.slice(pick(other.length + 1));
    case 7:
      return text.slice(0, at) + text.slice(at).replace(/[a-z]/g, (letter) => (pick(3) ? letter : `${letter}"$a\\`));
    default:
      return text;
  }
}

/** `pattern` of SecLang for V8, for texts of ASCII: there `\s` and case folding go beyond it. */
export function nativeOf(pattern: string): RegExp {
  let flags = 's';
  const source = pattern
    .replace(/^\(\?([is]+)\)/, (_, letters: string) => {
      if (letters.includes('i')) flags += 'i';
      return '';
    })
    .replace(/\\x\{([0-9a-f]{2})\}/gi, '\\x$1')
    .replace(/\\z/g, '$')
    .replace(/^\^\(\?i\)(.*)$/, '^(?i:$1)');
  return new RegExp(source, flags);
}
