/** What is signed: a request or a response, as far as signatures see it. */

export interface FieldSource {
  /** Values of a header field, one a line, in their order; empty when it is absent. `name` in lower case. */
  header(name: string): readonly string[];
  /** The same of trailers; absent where they can't be seen. */
  trailer?(name: string): readonly string[];
  /** True where lines were joined with `, ` on their way, so that nobody can tell where one ended. */
  readonly joined: boolean;
}

export interface RequestMessage extends FieldSource {
  readonly kind: 'request';
  readonly method: string;
  readonly scheme: string;
  /** Host and port as the client wrote them. */
  readonly authority: string;
  /** As it stands in the request, not decoded and not normalised; '' is read as `/`. */
  readonly path: string;
  /** With its question mark; '' without one. */
  readonly query: string;
}

export interface ResponseMessage extends FieldSource {
  readonly kind: 'response';
  readonly status: number;
  /** The request that it answers, null where that is not known. */
  readonly request: RequestMessage | null;
}

export type Message = RequestMessage | ResponseMessage;

/** Lines of a Headers object, which joins them. */
export function headerSource(headers: Headers): FieldSource {
  return {
    joined: true,
    header(name) {
      const value = headers.get(name);
      return value === null ? NONE : [value];
    },
  };
}

/** A request as it is about to be sent, or as it came in: `url` is absolute, and its path is taken as it is. */
export function requestMessage(method: string, url: string, headers: Headers): RequestMessage {
  const { scheme, authority, path, query } = splitUrl(url);
  return { kind: 'request', method, scheme, authority, path, query, ...headerSource(headers) };
}

/** Parts of an absolute URL, none of them changed. The fragment is left out: it is never sent. */
export function splitUrl(url: string): { scheme: string; authority: string; path: string; query: string } {
  const colon = url.indexOf('://');
  const hash = url.indexOf('#');
  const end = hash < 0 ? url.length : hash;
  const start = colon < 0 ? 0 : colon + 3;
  let question = url.indexOf('?', start);
  if (question < 0 || question > end) question = end;
  let slash = url.indexOf('/', start);
  if (slash < 0 || slash > question) slash = question;
  return {
    scheme: colon < 0 ? '' : url.slice(0, colon).toLowerCase(),
    authority: url.slice(start, slash),
    path: url.slice(slash, question),
    query: url.slice(question, end),
  };
}

const NONE: readonly string[] = [];
