/** Errors of A2A, in the form of the binding that was used. SPEC: A2A 5.4, 9.5 and 11.6. */

export interface A2aError {
  readonly code: number; // of JSON-RPC
  readonly status: number; // of HTTP
  /** Of google.rpc.Status. */
  readonly name: string;
  /** UPPER_SNAKE_CASE; '' for an error that is not A2A's. */
  readonly reason: string;
}

export const VERSION_NOT_SUPPORTED: A2aError = {
  ...{ code: -32009, status: 400, name: 'FAILED_PRECONDITION', reason: 'VERSION_NOT_SUPPORTED' },
};
export const UNSUPPORTED_OPERATION: A2aError = {
  ...{ code: -32004, status: 400, name: 'FAILED_PRECONDITION', reason: 'UNSUPPORTED_OPERATION' },
};
export const METHOD_NOT_FOUND: A2aError = { code: -32601, status: 404, name: 'NOT_FOUND', reason: '' };
export const INVALID_REQUEST: A2aError = { code: -32600, status: 400, name: 'INVALID_ARGUMENT', reason: '' };
export const PARSE_ERROR: A2aError = { code: -32700, status: 400, name: 'INVALID_ARGUMENT', reason: '' };

/** `id`: of the JSON-RPC request, null where it is not known; undefined: the REST binding. `request`: the gateway's id of it. */
export function errorBody(
  error: A2aError,
  message: string,
  id: string | number | null | undefined,
  request: string,
  metadata: Readonly<Record<string, string>> = {},
): string {
  const info = {
    '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
    reason: error.reason === '' ? error.name : error.reason,
    domain: error.reason === '' ? 'sallyport' : 'a2a-protocol.org',
    metadata: { ...metadata, requestId: request },
  };
  const body =
    id === undefined
      ? { error: { code: error.status, status: error.name, message, details: [info] } }
      : { jsonrpc: '2.0', id, error: { code: error.code, message, data: [info] } };
  return `${JSON.stringify(body)}\n`;
}
