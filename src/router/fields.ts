/**
 * Names of the rules language's fields by their id in the ABI, for evidence in log lines. The compiler has types and
 * stages beside them; a test holds the two against each other.
 */
import * as abi from '../../assembly/abi.ts';

const NAMES: Readonly<Record<number, string>> = {
  [abi.FIELD_HOST]: 'http.host',
  [abi.FIELD_COOKIE]: 'http.cookie',
  [abi.FIELD_REFERER]: 'http.referer',
  [abi.FIELD_USER_AGENT]: 'http.user_agent',
  [abi.FIELD_X_FORWARDED_FOR]: 'http.x_forwarded_for',
  [abi.FIELD_METHOD]: 'http.request.method',
  [abi.FIELD_FULL_URI]: 'http.request.full_uri',
  [abi.FIELD_URI]: 'http.request.uri',
  [abi.FIELD_PATH]: 'http.request.uri.path',
  [abi.FIELD_EXTENSION]: 'http.request.uri.path.extension',
  [abi.FIELD_QUERY]: 'http.request.uri.query',
  [abi.FIELD_RAW_FULL_URI]: 'raw.http.request.full_uri',
  [abi.FIELD_RAW_URI]: 'raw.http.request.uri',
  [abi.FIELD_RAW_PATH]: 'raw.http.request.uri.path',
  [abi.FIELD_RAW_QUERY]: 'raw.http.request.uri.query',
  [abi.FIELD_ARGS]: 'http.request.uri.args',
  [abi.FIELD_ARGS_NAMES]: 'http.request.uri.args.names',
  [abi.FIELD_ARGS_VALUES]: 'http.request.uri.args.values',
  [abi.FIELD_HEADERS]: 'http.request.headers',
  [abi.FIELD_HEADERS_NAMES]: 'http.request.headers.names',
  [abi.FIELD_HEADERS_VALUES]: 'http.request.headers.values',
  [abi.FIELD_HEADERS_TRUNCATED]: 'http.request.headers.truncated',
  [abi.FIELD_COOKIES]: 'http.request.cookies',
  [abi.FIELD_ACCEPTED_LANGUAGES]: 'http.request.accepted_languages',
  [abi.FIELD_TIMESTAMP]: 'http.request.timestamp.sec',
  [abi.FIELD_SSL]: 'ssl',
  [abi.FIELD_ADDRESS]: 'ip.src',
  [abi.FIELD_AGENT_NAME]: 'agent.name',
  [abi.FIELD_AGENT_OPERATOR]: 'agent.operator',
  [abi.FIELD_AGENT_CATEGORY]: 'agent.category',
  [abi.FIELD_AGENT_BOT]: 'agent.bot',
  [abi.FIELD_AGENT_IDENTITY]: 'agent.identity',
  [abi.FIELD_AGENT_VERIFIED]: 'agent.verified',
  [abi.FIELD_AGENT_DOMAIN]: 'agent.domain',
  [abi.FIELD_BODY_RAW]: 'http.request.body.raw',
  [abi.FIELD_BODY_SIZE]: 'http.request.body.size',
  [abi.FIELD_BODY_TRUNCATED]: 'http.request.body.truncated',
  [abi.FIELD_BODY_MIME]: 'http.request.body.mime',
  [abi.FIELD_FORM]: 'http.request.body.form',
  [abi.FIELD_FORM_NAMES]: 'http.request.body.form.names',
  [abi.FIELD_FORM_VALUES]: 'http.request.body.form.values',
  [abi.FIELD_RESPONSE_CODE]: 'http.response.code',
  [abi.FIELD_RESPONSE_HEADERS]: 'http.response.headers',
  [abi.FIELD_RESPONSE_HEADERS_NAMES]: 'http.response.headers.names',
  [abi.FIELD_RESPONSE_HEADERS_VALUES]: 'http.response.headers.values',
  [abi.FIELD_RESPONSE_MEDIA_TYPE]: 'http.response.content_type.media_type',
};

/** Name of a field, '' for none. */
export function fieldName(id: number): string {
  return NAMES[id] ?? '';
}
