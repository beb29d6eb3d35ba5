/** The operators of SecLang and their arguments. */
import * as abi from '../../../assembly/waf/abi.ts';
import { RegexError } from '../regex/index.ts';
import { parse } from '../regex/parse.ts';
import { nearest, shown } from '../spelling.ts';
import { readAddresses, readAddressFiles, readPhraseFiles, readPhrases, type ReadNamed } from './data-file.ts';
import { plainText, readMacro } from './macro.ts';
import { asciiPattern, reportRegexError } from './pattern.ts';
import { Problems } from './problems.ts';
import type { Macro, Operator } from './ruleset.ts';
import type { Text } from './text.ts';
import type { Loss } from './variables.ts';

type Argument = 'regex' | 'text' | 'number' | 'phrases' | 'phrase-files' | 'addresses' | 'address-files' | 'bytes';
type Kind = Argument | 'literal' | 'card' | 'none';

// SPEC: the operators that ModSecurity v2 registers in re_operators.c, and aliases of v3 and Coraza.
const OPERATORS: readonly (readonly [string, number, Kind])[] = [
  ['rx', abi.OPERATOR_RX, 'regex'],
  ['pm', abi.OPERATOR_PM, 'phrases'],
  ['pmFromFile', abi.OPERATOR_PM, 'phrase-files'],
  ['pmf', abi.OPERATOR_PM, 'phrase-files'],
  ['detectSQLi', abi.OPERATOR_DETECT_SQLI, 'none'],
  ['detectXSS', abi.OPERATOR_DETECT_XSS, 'none'],
  ['strmatch', abi.OPERATOR_STR_MATCH, 'literal'],
  ['containsWord', abi.OPERATOR_CONTAINS_WORD, 'literal'],
  ['contains', abi.OPERATOR_CONTAINS, 'text'],
  ['streq', abi.OPERATOR_STREQ, 'text'],
  ['beginsWith', abi.OPERATOR_BEGINS_WITH, 'text'],
  ['endsWith', abi.OPERATOR_ENDS_WITH, 'text'],
  ['within', abi.OPERATOR_WITHIN, 'text'],
  ['eq', abi.OPERATOR_EQ, 'number'],
  ['ge', abi.OPERATOR_GE, 'number'],
  ['gt', abi.OPERATOR_GT, 'number'],
  ['le', abi.OPERATOR_LE, 'number'],
  ['lt', abi.OPERATOR_LT, 'number'],
  ['ipMatch', abi.OPERATOR_IP_MATCH, 'addresses'],
  ['ipMatchFromFile', abi.OPERATOR_IP_MATCH, 'address-files'],
  ['ipMatchF', abi.OPERATOR_IP_MATCH, 'address-files'],
  ['validateByteRange', abi.OPERATOR_VALIDATE_BYTE_RANGE, 'bytes'],
  ['validateUtf8Encoding', abi.OPERATOR_VALIDATE_UTF8_ENCODING, 'none'],
  ['validateUrlEncoding', abi.OPERATOR_VALIDATE_URL_ENCODING, 'none'],
  ['unconditionalMatch', abi.OPERATOR_UNCONDITIONAL_MATCH, 'none'],
  ['noMatch', abi.OPERATOR_NO_MATCH, 'none'],
  ['verifyCC', abi.OPERATOR_VERIFY_CC, 'card'],
];
const BY_NAME = new Map(OPERATORS.map(([name, id, kind]) => [name.toLowerCase(), { name, id, kind }]));

/** Operators of the language that cannot be had here, and why. */
const UNSUPPORTED: ReadonlyMap<string, string> = new Map([
  ...['rbl', 'gsbLookup', 'geoLookup'].map((name) => [name.toLowerCase(), 'it asks another service'] as const),
  ...['inspectFile', 'fuzzyHash'].map((name) => [name.toLowerCase(), 'it works on files on a disk'] as const),
  ...['validateDTD', 'validateSchema'].map((name) => [name.toLowerCase(), 'documents are not kept as trees'] as const),
  ...['rsub', 'validateHash'].map((name) => [name.toLowerCase(), 'it rewrites bodies'] as const),
  ...['verifyCPF', 'verifySSN', 'verifySVNR'].map((name) => [name.toLowerCase(), 'the engine lacks it'] as const),
]);

/** The name of OPERATOR_*, for those that have one only. */
export const operatorName = (id: number): string => OPERATORS.find(([, other]) => other === id)?.[0] ?? String(id);

export interface OperatorOptions {
  readonly read: ReadNamed;
  readonly id: number; // of the rule
  readonly loss: Loss;
  /** A pattern that needs backtracking: an error, or a warning with a rule that is left out. */
  readonly onUnsupportedPattern: 'error' | 'leave-out';
}

export const UNCONDITIONAL: Omit<Operator, 'place'> = {
  operator: abi.OPERATOR_UNCONDITIONAL_MATCH,
  negated: false,
  argument: [],
  phrases: [],
  text: '@unconditionalMatch',
};

/**
 * Null after reporting. SPEC: msre_rule_create: `!`, white space, `@name`, white space, the rest; without `@` all of it
 * is a regular expression.
 */
export function readOperator(text: Text, problems: Problems, options: OperatorOptions): Operator | 'leave-out' | null {
  const { value } = text;
  const negated = value.startsWith('!');
  let at = negated ? 1 : 0;
  if (negated) while (at < value.length && /\s/.test(value[at]!)) at++;
  let name: Text | null = null;
  if (value[at] === '@') {
    const from = ++at;
    while (at < value.length && !/\s/.test(value[at]!)) at++;
    name = text.slice(from, at);
    while (at < value.length && /\s/.test(value[at]!)) at++;
  }
  const argument = text.slice(at);
  const base = { place: argument.value === '' ? text.place() : argument.place(), negated, text: value };
  const found = BY_NAME.get(name === null ? 'rx' : name.value.toLowerCase());
  if (found === undefined) return unknown(name ?? text, base, problems, options);
  const empty = { argument: [], phrases: [] };
  const operator = { ...base, operator: found.id, ...empty };
  switch (found.kind) {
    case 'none':
      return operator;
    case 'regex':
      return readRegex(argument, operator, problems, options);
    case 'phrases':
    case 'phrase-files':
    case 'addresses':
    case 'address-files': {
      if (!needArgument(found.name, argument, text, problems)) return null;
      if (refuseMacro(found.name, argument, problems)) return null;
      const phrases = LISTS[found.kind](argument, problems, options.read);
      return { ...operator, phrases };
    }
    case 'literal':
      if (refuseMacro(found.name, argument, problems)) return null;
      return { ...operator, argument: readMacro(argument, problems, options.loss) };
    case 'bytes':
      if (!needArgument(found.name, argument, text, problems) || !checkByteRange(argument, problems)) return null;
      return { ...operator, argument: [argument.value] };
    case 'card':
      if (!needArgument(found.name, argument, text, problems)) return null;
      return readRegex(argument, operator, problems, options);
    case 'number':
      return { ...operator, argument: readNumber(argument, text, problems, options.loss) };
    case 'text':
      return { ...operator, argument: readMacro(argument, problems, options.loss) };
  }
}

const LISTS = {
  phrases: (argument: Text, problems: Problems) => readPhrases(argument, problems),
  'phrase-files': (argument: Text, problems: Problems, read: ReadNamed) => readPhraseFiles(argument, read, problems),
  addresses: (argument: Text, problems: Problems) => readAddresses(argument, problems),
  'address-files': (argument: Text, problems: Problems, read: ReadNamed) => readAddressFiles(argument, read, problems),
};

function unknown(
  name: Text,
  base: Pick<Operator, 'place' | 'negated' | 'text'>,
  problems: Problems,
  { loss }: OperatorOptions,
): Operator | null {
  const cause = UNSUPPORTED.get(name.value.toLowerCase());
  if (cause !== undefined) {
    problems.at(loss, 'unsupported-operator', name, `operator @${name.value} is not supported`, {
      cause: loss === 'error' ? cause : `${cause}: it never matches`,
      ...(loss === 'error' && { fix: 'remove the rule' }),
    });
    return { ...base, operator: abi.OPERATOR_NO_MATCH, argument: [], phrases: [] };
  }
  const like = nearest(
    name.value,
    OPERATORS.map(([known]) => known),
  );
  const fix = like === null ? 'write @rx, or \\x40 for an @ that begins a pattern' : `did you mean @${like}?`;
  problems.error('unknown-operator', name, `unknown operator \`@${shown(name.value)}\``, { fix });
  return null;
}

function needArgument(name: string, argument: Text, text: Text, problems: Problems): boolean {
  if (argument.value !== '') return true;
  problems.error('missing-argument', text, `@${name} needs an argument`, { fix: `write what @${name} looks for` });
  return false;
}

const MACRO = /%\{[A-Za-z_][A-Za-z0-9_]*(?:\.[^}]*)?\}/;

function refuseMacro(name: string, argument: Text, problems: Problems): boolean {
  const found = MACRO.exec(argument.value);
  if (found === null) return false;
  problems.error('macro-in-pattern', argument, `@${name} cannot hold a macro`, {
    offset: found.index,
    length: found[0].length,
    cause: 'what it looks for is compiled before any request',
    fix: 'use @streq, @contains, @within or @beginsWith',
  });
  return true;
}

function readRegex(
  argument: Text,
  operator: Operator,
  problems: Problems,
  { onUnsupportedPattern, id, loss }: OperatorOptions,
): Operator | 'leave-out' | null {
  const doubled = argument.raw.indexOf('\\\\');
  if (doubled >= 0 && loss === 'error') {
    problems.warning('double-backslash', argument, '`\\\\` is read as one backslash', {
      offset: 0,
      cause: 'ModSecurity v2 reads it so, v3 and Coraza see two',
      fix: 'write \\x5c where a backslash is meant, and one backslash elsewhere',
    });
  }
  const mine = onUnsupportedPattern === 'error' ? problems : new Problems();
  if (!refuseMacro('rx', argument, mine)) {
    const pattern = asciiPattern(argument.value);
    try {
      parse(pattern, { dotAll: true }, abi.MAX_RULE_PATTERN_BYTES);
      return { ...operator, argument: pattern === '' ? [] : [pattern] };
    } catch (error) {
      if (!(error instanceof RegexError)) throw error;
      reportRegexError(argument, error, mine);
    }
  }
  if (onUnsupportedPattern === 'error') return null;
  const [why] = mine.diagnostics;
  problems.place('warning', 'rule-left-out', why!, why!.length, `rule ${id} is left out: ${why!.message}`);
  return 'leave-out';
}

/** SPEC: atoi: what is no number is 0, which nobody means. */
function readNumber(argument: Text, text: Text, problems: Problems, loss: Loss): Macro {
  const macro = readMacro(argument, problems, loss);
  const plain = plainText(macro);
  if (plain !== null && !/^\s*[+-]?\d+\s*$/.test(plain)) {
    problems.warning('not-a-number', plain === '' ? text : argument, 'a number is expected', {
      cause: 'anything else compares as 0',
      fix: 'write digits, or a macro as in %{tx.name}',
    });
  }
  return macro;
}

function checkByteRange(argument: Text, problems: Problems): boolean {
  let fine = true;
  let at = 0;
  for (const item of argument.value.split(',')) {
    const found = /^\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?\s*$/.exec(item);
    const first = Number(found?.[1]);
    const last = Number(found?.[2] ?? found?.[1]);
    if (found === null || last > 255 || first > last) {
      fine = false;
      problems.error('bad-byte-range', argument, `\`${shown(item)}\` is no range of bytes`, {
        offset: at,
        length: item.length,
        fix: 'write bytes from 0 to 255, as in 9,10,13,32-126',
      });
    }
    at += item.length + 1;
  }
  return fine;
}
