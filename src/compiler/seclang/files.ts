/** The files of a rule set: found, read and decoded once, within limits. */
import { shown } from '../spelling.ts';
import { expandPattern, isPattern, normalizePath, resolvePath } from './include.ts';
import type { RuleSetInput } from './index.ts';
import { MAX_RULE_FILES, MAX_RULE_SET_BYTES } from './limits.ts';
import type { Advice } from './problems.ts';

/** Reports what is wrong with the place that names the file. */
export type Complain = (code: string, message: string, advice: Advice) => void;

export class Files {
  /** In the order of reading. */
  readonly read: string[] = [];
  private readonly texts = new Map<string, string>();
  private readonly input: RuleSetInput;
  private characters = 0;

  constructor(input: RuleSetInput) {
    this.input = input;
  }

  /** The files that `path`, written in the file `from`, means; at least one, or a complaint. */
  find(path: string, from: string, optional: boolean, complain: Complain): string[] {
    const whole = from === '' ? normalizePath(path) : resolvePath(from, path);
    if (!isPattern(whole)) return [whole];
    const list = this.input.listFolder;
    if (list === undefined) {
      complain('no-folders', 'patterns of files cannot be used here', { fix: 'name each file' });
      return [];
    }
    const found = expandPattern(whole, (folder) => {
      try {
        return list(folder);
      } catch {
        return null;
      }
    });
    if (found.length === 0 && !optional) {
      complain('no-file', `no file matches \`${shown(path)}\``, {
        cause: `looked for ${whole}`,
        fix: 'correct the path',
      });
    }
    return found;
  }

  /** Null after complaining, or where an optional file is absent. */
  text(path: string, optional: boolean, complain: Complain): string | null {
    const known = this.texts.get(path);
    if (known !== undefined) return known;
    let found: string | Uint8Array | null;
    try {
      found = this.input.readFile(path);
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      complain('unreadable-file', `\`${shown(path)}\` cannot be read`, { cause });
      return null;
    }
    if (found === null) {
      if (!optional) complain('no-file', `there is no file \`${shown(path)}\``, { fix: 'correct the path' });
      return null;
    }
    this.characters += found.length;
    if (this.read.length >= MAX_RULE_FILES || this.characters > MAX_RULE_SET_BYTES) {
      const limit =
        this.read.length >= MAX_RULE_FILES ? `${MAX_RULE_FILES} files` : `${MAX_RULE_SET_BYTES >> 20} MB of text`;
      complain('limit', `a rule set has at most ${limit}`, { fix: 'split the rule set' });
      return null;
    }
    const text = typeof found === 'string' ? found : decode(found);
    if (text === null) {
      complain('not-utf8', `\`${shown(path)}\` is not UTF-8`, { fix: 'write bytes as \\xHH, and save it as UTF-8' });
      return null;
    }
    this.read.push(path);
    this.texts.set(path, text);
    return text;
  }
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
