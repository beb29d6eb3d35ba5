/** Directives that are not rules: settings of the engine, and those that have no meaning here. */
import { MAX_JSON_DEPTH, MAX_PARTS, MAX_WAF_VALUES } from '../../../assembly/waf/abi.ts';
import { shown } from '../spelling.ts';
import type { Directive } from './lexer.ts';
import type { Problems } from './problems.ts';
import type { Text } from './text.ts';

type Check = (word: Text, problems: Problems) => boolean;

const choice =
  (...values: readonly string[]): Check =>
  (word, problems) => {
    if (values.some((known) => known.toLowerCase() === word.value.toLowerCase())) return true;
    problems.error('bad-setting', word, `unexpected value \`${shown(word.value)}\``, {
      fix: `write ${values.join(' or ')}`,
    });
    return false;
  };
const number: Check = (word, problems) => {
  if (/^\d{1,15}$/.test(word.value)) return true;
  problems.error('bad-setting', word, `\`${shown(word.value)}\` is no number`, { fix: 'write it in digits' });
  return false;
};
const only =
  (wanted: string, cause: string): Check =>
  (word, problems) => {
    if (word.value === wanted) return true;
    problems.error('unsupported-setting', word, `only \`${wanted}\` is supported`, { cause, fix: `write ${wanted}` });
    return false;
  };

interface Setting {
  readonly check: Check | null;
  /** More than one word; they add to those that were given before. */
  readonly list?: boolean;
  /** Why it changes nothing. */
  readonly cause?: string;
}

const ON_OFF = choice('On', 'Off');
const LIMIT_ACTION = choice('Reject', 'ProcessPartial');
const MODE = 'the policy says it: `mode`';
const BODIES = 'the policy says it: `body`';
const ANSWERS = 'the policy says it: `response`';
// ModSecurity's recommended configuration has most of them, and a rule set means them for the server that it is part of.
const SETTINGS: readonly (readonly [string, Setting])[] = [
  ['SecRuleEngine', { check: choice('On', 'Off', 'DetectionOnly'), cause: MODE }],
  ['SecRequestBodyAccess', { check: ON_OFF, cause: BODIES }],
  ['SecRequestBodyLimit', { check: number, cause: BODIES }],
  ['SecRequestBodyNoFilesLimit', { check: number, cause: BODIES }],
  ['SecRequestBodyJsonDepthLimit', { check: number, cause: `JSON is read ${MAX_JSON_DEPTH} levels deep` }],
  ['SecRequestBodyLimitAction', { check: LIMIT_ACTION, cause: BODIES }],
  ['SecResponseBodyAccess', { check: ON_OFF, cause: ANSWERS }],
  ['SecResponseBodyLimit', { check: number, cause: ANSWERS }],
  ['SecResponseBodyLimitAction', { check: LIMIT_ACTION, cause: ANSWERS }],
  ['SecResponseBodyMimeType', { check: null, list: true, cause: ANSWERS }],
  ['SecArgumentsLimit', { check: number, cause: `a request has at most ${MAX_WAF_VALUES} values` }],
  ['SecUploadFileLimit', { check: number, cause: `a multipart body has at most ${MAX_PARTS} parts` }],
  ['SecArgumentSeparator', { check: only('&', 'arguments are what browsers send: they stand between &') }],
  ['SecCookieFormat', { check: only('0', 'no browser sends cookies of version 1') }],
];
const SETTINGS_BY_NAME = new Map(SETTINGS.map(([name, setting]) => [name.toLowerCase(), setting]));

const LOGS = 'the policy says what is logged';
const NO_DISK = 'nothing is written to a disk here';
const LINEAR = 'patterns run in linear time, so there is no limit to them';
const RUNTIME = 'the runtime owns the connection';
/** Accepted, since ModSecurity's recommended configuration has them; they protect nothing by themselves. */
const IGNORED: readonly (readonly [string, readonly string[]])[] = [
  [
    LOGS,
    [
      'SecAuditEngine',
      'SecAuditLog',
      'SecAuditLog2',
      'SecAuditLogDirMode',
      'SecAuditLogFileMode',
      'SecAuditLogFormat',
      'SecAuditLogParts',
      'SecAuditLogPrefix',
      'SecAuditLogRelevantStatus',
      'SecAuditLogStorageDir',
      'SecAuditLogType',
      'SecDebugLog',
      'SecDebugLogLevel',
      'SecGuardianLog',
      'SecSensorId',
      'SecRulePerfTime',
    ],
  ],
  [
    NO_DISK,
    [
      'SecDataDir',
      'SecTmpDir',
      'SecTmpSaveUploadedFiles',
      'SecUploadDir',
      'SecUploadFileMode',
      'SecUploadKeepFiles',
      'SecRequestBodyInMemoryLimit',
      'SecChrootDir',
    ],
  ],
  [LINEAR, ['SecPcreMatchLimit', 'SecPcreMatchLimitRecursion', 'SecRxPreFilter']],
  [
    RUNTIME,
    [
      'SecServerSignature',
      'SecDisableBackendCompression',
      'SecConnEngine',
      'SecInterceptOnError',
      'SecStatusEngine',
      'SecCacheTransformations',
      'SecWebAppId',
      'SecRequestEncoding',
      'SecCookieV0Separator',
    ],
  ],
  ['nothing persists between requests here', ['SecCollectionTimeout']],
  ['the map of best fits is built in', ['SecUnicodeMapFile', 'SecUnicodeCodePage', 'SecUnicodeMap']],
  ['external entities are never read', ['SecXmlExternalEntity']],
];
const IGNORED_BY_NAME: ReadonlyMap<string, string> = new Map(
  IGNORED.flatMap(([cause, names]) => names.map((name) => [name.toLowerCase(), cause] as const)),
);

/** What would protect and does not: an error wherever it is used. */
const UNSUPPORTED: ReadonlyMap<string, readonly [cause: string, fix: string]> = new Map(
  (
    [
      ['SecRuleScript', 'there is no Lua here', 'write rules instead'],
      ['SecGeoLookupDb', 'there is no database of places here', 'use the address lists of the policy'],
      ['SecGsbLookupDb', 'there is no Safe Browsing here', 'remove it'],
      ['SecHttpBlKey', 'rules do not ask other services', 'remove it'],
      ['SecRemoteRules', 'files are not fetched from the network', 'store the rules beside the policy'],
      ['SecRemoteRulesFailAction', 'files are not fetched from the network', 'remove it'],
      ['SecRuleInheritance', 'there are no contexts to inherit from', 'choose a rule set for each route'],
      ['SecContentInjection', 'responses are not rewritten', 'remove it'],
      ['SecStreamInBodyInspection', 'bodies are not rewritten', 'remove it'],
      ['SecStreamOutBodyInspection', 'bodies are not rewritten', 'remove it'],
      ['SecHashEngine', 'responses are not rewritten', 'remove it'],
      ['SecHashKey', 'responses are not rewritten', 'remove it'],
      ['SecHashMethodPm', 'responses are not rewritten', 'remove it'],
      ['SecHashMethodRx', 'responses are not rewritten', 'remove it'],
      ['SecHashParam', 'responses are not rewritten', 'remove it'],
      ['SecReadStateLimit', 'the runtime owns the connection', 'limit connections in front of it'],
      ['SecWriteStateLimit', 'the runtime owns the connection', 'limit connections in front of it'],
      ['SecConnReadStateLimit', 'the runtime owns the connection', 'limit connections in front of it'],
      ['SecConnWriteStateLimit', 'the runtime owns the connection', 'limit connections in front of it'],
    ] as const
  ).map(([name, cause, fix]) => [name.toLowerCase(), [cause, fix]]),
);
/** `Off` asks for nothing. */
const OFF = new Set(['off', '0']);

export const SETTING_NAMES: readonly string[] = [
  ...SETTINGS.map(([name]) => name),
  ...IGNORED.flatMap(([, names]) => names),
  'SecResponseBodyMimeTypesClear',
];

/** False when the directive is none of these. */
export function readSetting(directive: Directive, settings: Map<string, string>, problems: Problems): boolean {
  const { name, words } = directive;
  const key = name.value.toLowerCase();
  const cause = IGNORED_BY_NAME.get(key);
  if (cause !== undefined) {
    if (problems.first(`directive ${key}`)) {
      problems.warning('no-effect', name, `${name.value} has no effect`, { cause });
    }
    return true;
  }
  const unsupported = UNSUPPORTED.get(key);
  if (unsupported !== undefined) {
    if (OFF.has(words[0]?.value.toLowerCase() ?? '')) return true;
    const [why, fix] = unsupported;
    problems.error('unsupported-directive', name, `${name.value} is not supported`, { cause: why, fix });
    return true;
  }
  if (key === 'secresponsebodymimetypesclear') {
    settings.delete('secresponsebodymimetype');
    return true;
  }
  const setting = SETTINGS_BY_NAME.get(key);
  if (setting === undefined) return false;
  const [word, more] = words;
  if (word === undefined) {
    if (!directive.broken) problems.error('missing-argument', name, `${name.value} needs a value`, { fix: 'add one' });
    return true;
  }
  if (setting.list === true) {
    const before = settings.get(key);
    const added = words.map(({ value }) => value.toLowerCase());
    settings.set(key, [...(before === undefined ? [] : [before]), ...added].join(' '));
  } else if (more !== undefined) {
    problems.error('unexpected-argument', more, `${name.value} takes one value`, { fix: 'remove the others' });
    return true;
  } else if (setting.check === null || setting.check(word, problems)) {
    settings.set(key, word.value);
  } else return true;
  if (setting.cause !== undefined && problems.first(`directive ${key}`))
    problems.warning('no-effect', name, `${name.value} has no effect`, { cause: setting.cause });
  return true;
}
