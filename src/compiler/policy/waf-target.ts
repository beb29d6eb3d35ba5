/** Targets of exclusions: `ARGS:q`, `REQUEST_HEADERS:referer`, `ARGS:/^utm_/`, `REQUEST_COOKIES`. */
import type { DocumentPath, Reporter } from '../diagnostics.ts';
import { readExcluded } from '../seclang/index.ts';
import type { Target } from '../seclang/ruleset.ts';
import { shown } from '../spelling.ts';

/**
 * Undefined after reporting what is wrong. One target, to the end of the text: what SecLang puts in quotes, such as `|` in a
 * pattern, needs none here.
 */
export function readTarget(text: string, path: DocumentPath, reporter: Reporter): Target | undefined {
  const report = (message: string, fix: string, at: { offset: number; length: number }, cause?: string): undefined =>
    void reporter.report('error', path, 'bad-target', message, { fix, ...at, ...(cause !== undefined && { cause }) });
  const colon = text.indexOf(':');
  const written = colon < 0 ? text : text.slice(0, colon);
  if (/^[!&]/.test(written))
    return report(
      'an exclusion names what is not looked at',
      `write \`${shown(text.slice(1))}\``,
      { offset: 0, length: written.length },
      '`!` and `&` belong to SecLang',
    );
  const selector = colon < 0 ? '' : text.slice(colon + 1);
  const at = { offset: colon + 1, length: Math.max(1, selector.length) };
  const name = written.toUpperCase();
  if (colon >= 0 && selector === '')
    return report('a name is missing behind the colon', `write \`${name}\` for all of it`, at);
  const { target, diagnostics } = readExcluded(written, selector);
  for (const { severity, column, length, message, cause, fix } of diagnostics)
    reporter.report(severity, path, 'bad-target', message, {
      ...{ offset: column - 1, length },
      ...(cause !== undefined && { cause }),
      ...(fix !== undefined && { fix }),
    });
  // SPEC: XPath begins with a slash too.
  if (target !== null && /^\/(?:.*[^/])?$/s.test(selector) && name !== 'XML')
    return report('a regular expression stands between two slashes', `write \`${name}:/^utm_/\``, at);
  return target ?? undefined;
}
