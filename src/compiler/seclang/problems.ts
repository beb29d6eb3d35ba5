/** Collects what is wrong with a rule set; nothing is thrown for the mistakes of a file. */
import type { Diagnostic } from '../diagnostics.ts';
import { MAX_RULE_DIAGNOSTICS } from './limits.ts';
import type { Place } from './ruleset.ts';
import type { Text } from './text.ts';

export interface Advice {
  readonly cause?: string;
  readonly fix?: string;
}

export class Problems {
  readonly diagnostics: Diagnostic[] = [];
  private left = 0; // how many did not fit
  private worst: Diagnostic['severity'] = 'warning'; // of those
  private readonly said = new Set<string>();

  /** At the part of `text` from `offset`; `length` defaults to the rest of it. */
  at(
    severity: Diagnostic['severity'],
    code: string,
    text: Text,
    message: string,
    advice: Advice & { readonly offset?: number; readonly length?: number } = {},
  ): void {
    const { offset = 0, length = text.value.length - offset, ...more } = advice;
    this.place(severity, code, text.place(offset), length, message, more);
  }

  error(code: string, text: Text, message: string, advice: Advice & { offset?: number; length?: number } = {}): void {
    this.at('error', code, text, message, advice);
  }

  warning(code: string, text: Text, message: string, advice: Advice & { offset?: number; length?: number } = {}): void {
    this.at('warning', code, text, message, advice);
  }

  place(
    severity: Diagnostic['severity'],
    code: string,
    place: Place,
    length: number,
    message: string,
    advice: Advice = {},
  ): void {
    if (this.diagnostics.length >= MAX_RULE_DIAGNOSTICS) {
      this.left++;
      if (severity === 'error') this.worst = 'error';
      return;
    }
    const { file, line, column } = place;
    this.diagnostics.push({ severity, code, file, line, column, length: Math.max(1, length), message, ...advice });
  }

  /** True the first time that it is asked about `key`: for what needs saying once a rule set. */
  first(key: string): boolean {
    if (this.said.has(key)) return false;
    this.said.add(key);
    return true;
  }

  finish(): readonly Diagnostic[] {
    const last = this.diagnostics.at(-1);
    if (this.left > 0 && last !== undefined) {
      const message = `${this.left} more problems are not shown`;
      this.diagnostics.push({ ...last, severity: this.worst, code: 'too-many-problems', length: 1, message });
      delete (this.diagnostics.at(-1) as { cause?: string }).cause;
      delete (this.diagnostics.at(-1) as { fix?: string }).fix;
    }
    return this.diagnostics;
  }
}
