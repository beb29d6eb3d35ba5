/** Targets of exclusions: `ARGS:q`, `REQUEST_HEADERS:referer`, `ARGS:/^utm_/`, `REQUEST_COOKIES`. */
import * as abi from '../../../assembly/waf/abi.ts';
import type { DocumentPath, Reporter } from '../diagnostics.ts';
import { compileRegex } from '../regex/index.ts';
import type { Target } from '../seclang/ruleset.ts';
import { nearest, shown } from '../spelling.ts';

const PREFIX = 'VARIABLE_';
/** The names of SecLang by id, from the names of the constants. */
export const VARIABLES: ReadonlyMap<string, number> = new Map(
  Object.entries(abi)
    .filter(([name]) => name.startsWith(PREFIX) && name !== 'VARIABLE_COUNT')
    .map(([name, id]) => [name.slice(PREFIX.length), id]),
);

/** Collections: a name can stand behind them. */
const COLLECTIONS: ReadonlySet<number> = new Set([
  ...[abi.VARIABLE_ARGS, abi.VARIABLE_ARGS_NAMES, abi.VARIABLE_ARGS_GET, abi.VARIABLE_ARGS_GET_NAMES],
  ...[abi.VARIABLE_ARGS_POST, abi.VARIABLE_ARGS_POST_NAMES, abi.VARIABLE_REQUEST_COOKIES],
  ...[abi.VARIABLE_REQUEST_COOKIES_NAMES, abi.VARIABLE_REQUEST_HEADERS, abi.VARIABLE_REQUEST_HEADERS_NAMES],
  ...[abi.VARIABLE_FILES, abi.VARIABLE_FILES_NAMES, abi.VARIABLE_FILES_SIZES, abi.VARIABLE_FILES_TMP_CONTENT],
  ...[abi.VARIABLE_MULTIPART_PART_HEADERS, abi.VARIABLE_MULTIPART_FILENAME, abi.VARIABLE_MULTIPART_NAME],
  ...[abi.VARIABLE_XML, abi.VARIABLE_JSON, abi.VARIABLE_RESPONSE_HEADERS, abi.VARIABLE_RESPONSE_HEADERS_NAMES],
  ...[abi.VARIABLE_TX, abi.VARIABLE_MATCHED_VARS, abi.VARIABLE_MATCHED_VARS_NAMES],
]);

/** Undefined after reporting what is wrong. */
export function readTarget(text: string, path: DocumentPath, reporter: Reporter): Target | undefined {
  const report = (message: string, fix: string, at: { offset: number; length: number }, cause?: string): undefined =>
    void reporter.report('error', path, 'bad-target', message, { fix, ...at, ...(cause !== undefined && { cause }) });
  const colon = text.indexOf(':');
  const written = colon < 0 ? text : text.slice(0, colon);
  const whole = { offset: 0, length: Math.max(1, written.length) };
  if (/^[!&]/.test(written))
    return report(
      'an exclusion names what is not looked at',
      `write \`${shown(text.slice(1))}\``,
      whole,
      '`!` and `&` belong to SecLang',
    );
  const name = written.toUpperCase();
  const variable = VARIABLES.get(name);
  if (variable === undefined) {
    const meant = nearest(name, VARIABLES.keys());
    const fix =
      meant === null ? 'write it as ARGS:q, REQUEST_HEADERS:referer or REQUEST_COOKIES' : `did you mean \`${meant}\`?`;
    return report(`there is no variable \`${shown(written)}\``, fix, whole);
  }
  const target = { variable, count: false, exclude: true };
  if (colon < 0) return { ...target, selector: null };
  const selector = text.slice(colon + 1);
  const at = { offset: colon + 1, length: Math.max(1, selector.length) };
  if (!COLLECTIONS.has(variable)) return report(`\`${name}\` has no entries`, `write \`${name}\``, at);
  if (selector === '') return report('a name is missing behind the colon', `write \`${name}\` for all of it`, at);
  if (!selector.startsWith('/')) return { ...target, selector: { exact: selector.toLowerCase() } };
  if (selector.length < 3 || !selector.endsWith('/'))
    return report('a regular expression stands between two slashes', `write \`${name}:/^utm_/\``, at);
  const regex = selector.slice(1, -1);
  try {
    compileRegex(regex, { captures: false });
  } catch (error) {
    return report(
      `\`${shown(regex)}\` is no regular expression that runs in linear time`,
      'leave out look-around and backreferences',
      at,
      error instanceof Error ? error.message : String(error),
    );
  }
  return { ...target, selector: { regex } };
}
