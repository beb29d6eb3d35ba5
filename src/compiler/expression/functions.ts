/**
 * The functions of the rules language: what they take and give.
 * SPEC: Cloudflare Rules language, "Functions": order of arguments and limits as there. A literal is allowed where
 * Cloudflare wants a field, since it is folded away.
 */
import * as abi from '../../../assembly/abi.ts';

const { TYPE_ADDRESS, TYPE_ARRAY, TYPE_BOOL, TYPE_INT, TYPE_STRING } = abi;

/**
 * What one parameter may be: `types` are TYPE_* of a computed value; `literal` parameters are read at compile time
 * (`text`, `pattern` of a regex, `wildcard`, `template`, `integer`, `key`) and may be nothing else.
 */
export interface Parameter {
  readonly types?: readonly number[];
  readonly map?: boolean;
  readonly literal?: 'text' | 'pattern' | 'wildcard' | 'template' | 'integer' | 'key';
  readonly name: string;
}

export interface FunctionSignature {
  readonly name: string;
  readonly id: number; // FUNCTION_*
  readonly parameters: readonly Parameter[];
  /** How many of the parameters must be there; the rest are optional. */
  readonly required: number;
  /** The last parameter may repeat. */
  readonly variadic: boolean;
  readonly result: number; // TYPE_*; 0 = the type of the first argument
}

const STRINGS = TYPE_ARRAY | TYPE_STRING;
const source: Parameter = { name: 'source', types: [TYPE_STRING] };

function define(
  name: string,
  id: number,
  result: number,
  parameters: readonly Parameter[],
  more: { required?: number; variadic?: boolean } = {},
): FunctionSignature {
  return {
    name,
    id,
    parameters,
    result,
    required: more.required ?? parameters.length,
    variadic: more.variadic ?? false,
  };
}

const FUNCTIONS = new Map(
  [
    define('any', abi.FUNCTION_ANY, TYPE_BOOL, [{ name: 'conditions', types: [TYPE_ARRAY | TYPE_BOOL] }]),
    define('all', abi.FUNCTION_ALL, TYPE_BOOL, [{ name: 'conditions', types: [TYPE_ARRAY | TYPE_BOOL] }]),
    define('cidr', abi.FUNCTION_CIDR, TYPE_ADDRESS, [
      { name: 'address', types: [TYPE_ADDRESS] },
      { name: 'ipv4_network_bits', literal: 'integer' },
      { name: 'ipv6_network_bits', literal: 'integer' },
    ]),
    define('cidr6', abi.FUNCTION_CIDR, TYPE_ADDRESS, [
      { name: 'address', types: [TYPE_ADDRESS] },
      { name: 'ipv6_network_bits', literal: 'integer' },
    ]),
    define('concat', abi.FUNCTION_CONCAT, 0, [{ name: 'value', types: [TYPE_STRING, STRINGS] }], { variadic: true }),
    define('decode_base64', abi.FUNCTION_DECODE_BASE64, TYPE_STRING, [source]),
    define('ends_with', abi.FUNCTION_ENDS_WITH, TYPE_BOOL, [source, { name: 'substring', types: [TYPE_STRING] }]),
    define('starts_with', abi.FUNCTION_STARTS_WITH, TYPE_BOOL, [source, { name: 'substring', types: [TYPE_STRING] }]),
    define('join', abi.FUNCTION_JOIN, TYPE_STRING, [
      { name: 'items', types: [STRINGS] },
      { name: 'separator', types: [TYPE_STRING] },
    ]),
    define('split', abi.FUNCTION_SPLIT, STRINGS, [
      source,
      { name: 'separator', literal: 'text' },
      { name: 'limit', literal: 'integer' },
    ]),
    define('len', abi.FUNCTION_LEN, TYPE_INT, [
      { name: 'value', types: [TYPE_STRING, STRINGS, TYPE_ARRAY | TYPE_BOOL, TYPE_ARRAY | TYPE_INT] },
    ]),
    define('lower', abi.FUNCTION_LOWER, TYPE_STRING, [source]),
    define('upper', abi.FUNCTION_UPPER, TYPE_STRING, [source]),
    define('lookup_json_string', abi.FUNCTION_JSON_STRING, TYPE_STRING, [source, { name: 'key', literal: 'key' }], {
      variadic: true,
    }),
    define('lookup_json_integer', abi.FUNCTION_JSON_INTEGER, TYPE_INT, [source, { name: 'key', literal: 'key' }], {
      variadic: true,
    }),
    define('regex_replace', abi.FUNCTION_REGEX_REPLACE, TYPE_STRING, [
      source,
      { name: 'regular_expression', literal: 'pattern' },
      { name: 'replacement', literal: 'template' },
    ]),
    define(
      'wildcard_replace',
      abi.FUNCTION_WILDCARD_REPLACE,
      TYPE_STRING,
      [
        source,
        { name: 'wildcard_pattern', literal: 'wildcard' },
        { name: 'replacement', literal: 'template' },
        { name: 'flags', literal: 'text' },
      ],
      { required: 3 },
    ),
    define('remove_bytes', abi.FUNCTION_REMOVE_BYTES, TYPE_STRING, [source, { name: 'bytes', literal: 'text' }]),
    define(
      'remove_query_args',
      abi.FUNCTION_REMOVE_ARGS,
      TYPE_STRING,
      [
        { name: 'query', types: [TYPE_STRING] },
        { name: 'query_param', literal: 'text' },
      ],
      { variadic: true },
    ),
    define(
      'substring',
      abi.FUNCTION_SUBSTRING,
      TYPE_STRING,
      [source, { name: 'start', types: [TYPE_INT] }, { name: 'end', types: [TYPE_INT] }],
      { required: 2 },
    ),
    define('to_string', abi.FUNCTION_TO_STRING, TYPE_STRING, [
      { name: 'value', types: [TYPE_INT, TYPE_BOOL, TYPE_ADDRESS] },
    ]),
    define('url_decode', abi.FUNCTION_URL_DECODE, TYPE_STRING, [source, { name: 'options', literal: 'text' }], {
      required: 1,
    }),
    define('has_key', abi.FUNCTION_HAS, TYPE_BOOL, [
      { name: 'map', map: true },
      { name: 'key', literal: 'text' },
    ]),
    define('has_value', abi.FUNCTION_HAS_VALUE, TYPE_BOOL, [
      { name: 'array', types: [STRINGS] },
      { name: 'value', types: [TYPE_STRING] },
    ]),
  ].map((signature) => [signature.name, signature] as const),
);

const ABSENT = new Map<string, { cause: string; fix?: string }>([
  [
    'is_timed_hmac_valid_v0',
    { cause: 'its key would stand in the policy as a literal, and secrets are named here, never written' },
  ],
  [
    'uuidv4',
    {
      cause: 'the engine is given 32 random bits a request, too few to be unique',
      fix: 'x-request-id carries a unique id to the origin',
    },
  ],
  ['sha256', { cause: 'the engine has no digests' }],
  ['encode_base64', { cause: 'the engine has no encoder' }],
  ['bit_slice', { cause: 'only HTTP is seen here, not packets' }],
]);

export function functionByName(name: string): FunctionSignature | undefined {
  return FUNCTIONS.get(name);
}
export function absentFunction(name: string): { cause: string; fix?: string } | undefined {
  return ABSENT.get(name);
}
export function functionNames(): readonly string[] {
  return [...FUNCTIONS.keys()];
}
/** Name by FUNCTION_*, for the disassembler. */
export function functionName(id: number): string {
  for (const signature of FUNCTIONS.values()) if (signature.id === id) return signature.name;
  return `function ${id}`;
}
