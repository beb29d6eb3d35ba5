/** Variables as the engine keeps them: which are records of their own, which are views of others, which change under way. */
import * as abi from '../../../assembly/waf/abi.ts';

/** The names of SecLang by id, from the names of the constants; '' for ids without a variable. */
export const VARIABLE_TEXTS: readonly string[] = (() => {
  const texts: string[] = Array.from({ length: abi.VARIABLE_COUNT }, () => '');
  for (const [name, id] of Object.entries(abi)) {
    if (name.startsWith('VARIABLE_') && name !== 'VARIABLE_COUNT') texts[id] = name.slice('VARIABLE_'.length);
  }
  return texts;
})();

/** Where the values of a variable are kept: the records of another one, whose names may be the values. */
interface View {
  readonly storage: readonly number[];
  readonly named: boolean;
}

const VIEWS: ReadonlyMap<number, View> = new Map([
  [abi.VARIABLE_ARGS, { storage: [abi.VARIABLE_ARGS_GET, abi.VARIABLE_ARGS_POST], named: false }],
  [abi.VARIABLE_ARGS_NAMES, { storage: [abi.VARIABLE_ARGS_GET, abi.VARIABLE_ARGS_POST], named: true }],
  [abi.VARIABLE_ARGS_GET_NAMES, { storage: [abi.VARIABLE_ARGS_GET], named: true }],
  [abi.VARIABLE_ARGS_POST_NAMES, { storage: [abi.VARIABLE_ARGS_POST], named: true }],
  [abi.VARIABLE_REQUEST_COOKIES_NAMES, { storage: [abi.VARIABLE_REQUEST_COOKIES], named: true }],
  [abi.VARIABLE_REQUEST_HEADERS_NAMES, { storage: [abi.VARIABLE_REQUEST_HEADERS], named: true }],
  [abi.VARIABLE_RESPONSE_HEADERS_NAMES, { storage: [abi.VARIABLE_RESPONSE_HEADERS], named: true }],
]);

export function viewOf(variable: number): View {
  return VIEWS.get(variable) ?? { storage: [variable], named: false };
}

/** Values that rules themselves change, so that they can't be scanned before the rules run. */
export const VOLATILE: ReadonlySet<number> = new Set([
  abi.VARIABLE_TX,
  abi.VARIABLE_MATCHED_VAR,
  abi.VARIABLE_MATCHED_VAR_NAME,
  abi.VARIABLE_MATCHED_VARS,
  abi.VARIABLE_MATCHED_VARS_NAMES,
  abi.VARIABLE_RULE,
  abi.VARIABLE_HIGHEST_SEVERITY,
  abi.VARIABLE_REQBODY_PROCESSOR,
]);

export const OF_RESPONSE: ReadonlySet<number> = new Set([
  abi.VARIABLE_RESPONSE_STATUS,
  abi.VARIABLE_RESPONSE_PROTOCOL,
  abi.VARIABLE_RESPONSE_HEADERS,
  abi.VARIABLE_RESPONSE_HEADERS_NAMES,
  abi.VARIABLE_RESPONSE_BODY,
  abi.VARIABLE_RESPONSE_CONTENT_LENGTH,
  abi.VARIABLE_RESPONSE_CONTENT_TYPE,
  abi.VARIABLE_STATUS_LINE,
]);
