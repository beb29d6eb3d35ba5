/**
 * What an event of the WAF may say in a log. A rule that matches a password field has the password in its hands: by
 * default credentials, what is named like one, and bodies are told by their length alone.
 */
import type { WafEvent, WafVerdict } from './transaction.ts';
import { isAboutMalformedBody } from './verdict.ts';

/** An event as logs, `explain` and callers of `sallyport/waf` get it. */
export interface WafEvidence {
  readonly rule: number;
  readonly phase: number;
  readonly message: string;
  readonly severity: string; // `CRITICAL` ..., '' when the rule has none
  readonly tags: readonly string[];
  /** What the rule added to the anomaly score; 0 when it has no severity. */
  readonly score: number;
  readonly target: string; // `ARGS:q`
  /** The matched bytes as text, at most 256 characters, or `[redacted, N bytes]`. */
  readonly matched: string;
  readonly transformations: readonly string[];
}

export interface EvidenceOptions {
  readonly plain: boolean;
  /** Query of the request, with or without its `?`: what stands there under a name is no part of a body. */
  readonly query: string;
  /** Whether the request has a body that was parsed, so that an argument may come from there. */
  readonly body: boolean;
}

const MAX_TEXT = 256;
const SEVERITIES = ['EMERGENCY', 'ALERT', 'CRITICAL', 'ERROR', 'WARNING', 'NOTICE', 'INFO', 'DEBUG'];
/** SPEC: CRS: points by severity, unless set-up variables say otherwise. */
const POINTS: Readonly<Record<string, number>> = { CRITICAL: 5, ERROR: 4, WARNING: 3, NOTICE: 2 };

/** Names of fields and parameters whose values nobody wants in a log. */
const SECRET_NAME =
  /pass(?!age|ive|enger)|pwd|secret|token|api[-_.]?key|credential|auth(?!or\b|ors\b)|session|sid$|jwt|otp|cvv|cvc|card|iban|ssn|signature|private/i;
const BODIES = new Set([
  ...['REQUEST_BODY', 'RESPONSE_BODY', 'FULL_REQUEST', 'FILES_TMP_CONTENT', 'XML', 'JSON', 'ARGS_POST'],
  ...['MULTIPART_PART_HEADERS', 'ARGS_POST_NAMES'],
]);
const COOKIES = new Set(['REQUEST_COOKIES', 'RESPONSE_HEADERS:set-cookie', 'REQUEST_HEADERS:cookie']);
/** These hold a query as text, secrets among the rest. */
const URIS = new Set([
  ...['REQUEST_URI', 'REQUEST_URI_RAW', 'REQUEST_LINE', 'QUERY_STRING', 'REQUEST_HEADERS:referer'],
  'RESPONSE_HEADERS:location',
  ...['REQUEST_FILENAME', 'REQUEST_BASENAME'],
]);

/** Whether the value of a target is not for logs. `ARGS` without its place is a body's unless the query has the name. */
export function isSecret(target: string, { query, body }: Pick<EvidenceOptions, 'query' | 'body'>): boolean {
  const colon = target.indexOf(':');
  const variable = colon < 0 ? target : target.slice(0, colon);
  const name = colon < 0 ? '' : target.slice(colon + 1);
  if (BODIES.has(variable) || COOKIES.has(variable) || COOKIES.has(`${variable}:${name.toLowerCase()}`)) return true;
  if (variable === 'TX' || variable.startsWith('MATCHED_VAR')) return true; // copies of anything
  if (SECRET_NAME.test(name)) return true;
  return body && variable === 'ARGS' && !namesOf(query).has(name.toLowerCase());
}

function namesOf(query: string): Set<string> {
  return new Set([...new URLSearchParams(query).keys()].map((name) => name.toLowerCase()));
}

const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** SAFETY: `matched` is hostile; it is cut, and JSON.stringify is what keeps it in its line. */
export function evidenceOf(event: WafEvent, scores: WafVerdict['scores'], options: EvidenceOptions): WafEvidence {
  const severity = SEVERITIES[event.severity] ?? '';
  const secret = !options.plain && isSecret(event.target, options);
  let matched = cut(decoder.decode(event.matched));
  let { message } = event;
  if (secret) {
    // A message may repeat what matched, whole or in part, and before it was cut or transformed.
    message = event.template ?? message;
    matched = `[redacted, ${event.matched.length} bytes]`;
  } else if (!options.plain && URIS.has(targetKey(event.target))) {
    matched = hideParameters(matched);
    message = hideParameters(message);
  }
  return {
    rule: event.rule,
    phase: event.phase,
    message: cut(message),
    severity,
    tags: event.tags,
    score: isAboutMalformedBody(event.rule)
      ? 0
      : (scores[`${severity.toLowerCase()}_anomaly_score`] ?? POINTS[severity] ?? 0),
    target: cut(event.target),
    matched,
    transformations: event.transformations,
  };
}

function targetKey(target: string): string {
  const colon = target.indexOf(':');
  return colon < 0 ? target : target.slice(0, colon) + target.slice(colon).toLowerCase();
}

/** Values of parameters that are named like a secret, in text that holds a query. */
function hideParameters(text: string): string {
  return text.replaceAll(/([^?&;=\s]{1,64})=([^&;\s]*)/g, (whole, name: string) =>
    SECRET_NAME.test(name) ? `${name}=[redacted]` : whole,
  );
}

const cut = (text: string): string => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text);
