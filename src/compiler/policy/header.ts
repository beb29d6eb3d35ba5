/** Headers that a policy sets: which names and values may be written, and which would give a secret away. */
import type { DocumentPath, Reporter } from '../diagnostics.ts';
import type { HeaderChange, Value } from '../../plan.ts';
import type { HeaderModifier } from './filter-schema.ts';
import type { Reading } from './reading.ts';

/** SPEC: RFC 9110 section 7.6.1 (hop by hop) and 8.6: the HTTP layer writes them, or nobody does. */
const CONNECTION = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'expect',
]);
/** SPEC: RFC 8586 section 2: an operator cannot take CDN-Loop away or set it to what it is not. */
const RESERVED = new Set(['cdn-loop']);
const CREDENTIALS =
  /^(?:authorization|proxy-authorization|cookie|(?:x-)?(?:[a-z]+-)*(?:api-?key|access-key|secret|secret-key|token|auth-token|access-token|password))$/;
const PUBLIC_TOKENS = new Set(['x-csrf-token', 'csrf-token', 'x-xsrf-token']);

/** Reports a name that cannot be set or removed. */
export function checkHeaderName(
  name: string,
  side: 'request' | 'response',
  path: DocumentPath,
  reporter: Reporter,
): void {
  const lower = name.toLowerCase();
  const report = (cause: string, fix?: string) =>
    reporter.report('error', path, 'forbidden-header', `\`${name}\` cannot be changed here`, {
      at: 'key',
      cause,
      ...(fix !== undefined && { fix }),
    });
  if (lower === 'host' && side === 'request')
    return report(
      'the Host towards the origin follows from backend and route',
      'use `urlRewrite: { hostname: … }`, or `host` of the backend',
    );
  if (CONNECTION.has(lower)) return report('it belongs to one connection and is written by the HTTP layer');
  if (RESERVED.has(lower)) return report('it guards against loops between proxies', 'use `cdnLoop`');
  if (lower.startsWith('x-sallyport-')) return report('names that begin with x-sallyport- are ours');
}

/** SAFETY: a line break in a value would end the header and begin another. */
export function checkHeaderValue(value: string, path: DocumentPath, reporter: Reporter): void {
  const at = value.search(/[\u0000-\u0008\u000a-\u001f\u007f]/);
  if (at >= 0) {
    reporter.report('error', path, 'bad-header-value', 'a header value cannot hold control characters', {
      offset: at,
      length: 1,
      fix: 'remove the line break or control character',
    });
  } else if (value !== value.trim()) {
    reporter.report('error', path, 'bad-header-value', 'a header value cannot begin or end with a space');
  } else if (/[^\u0000-\u00ff]/.test(value)) {
    reporter.report('error', path, 'bad-header-value', 'a header value cannot hold characters above U+00FF', {
      fix: 'encode it, for example percent-encoded',
    });
  }
}

export function isCredential(name: string): boolean {
  const lower = name.toLowerCase();
  return CREDENTIALS.test(lower) && !PUBLIC_TOKENS.has(lower);
}

export function reportLiteralSecret(name: string, path: DocumentPath, reporter: Reporter): void {
  const secret = name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_');
  reporter.report('error', path, 'literal-secret', `\`${name}\` is set to a literal`, {
    cause: 'a policy is stored, compiled and shown: whoever reads it reads the secret',
    fix: `write { secret: ${secret} } and give the secret at run time`,
  });
}

/** Checks a modifier and returns it as the plan wants it: lower case, in order. */
export function readHeaderModifier(
  modifier: HeaderModifier,
  side: 'request' | 'response',
  path: DocumentPath,
  reading: Reading,
): HeaderChange {
  const { reporter } = reading;
  const values = (field: 'set' | 'add'): [string, Value][] => {
    const seen = new Map<string, string>();
    return Object.entries(modifier[field] ?? {}).map(([name, value]) => {
      const at = [...path, field, name];
      const lower = name.toLowerCase();
      if (seen.has(lower)) {
        reporter.report(
          'error',
          at,
          'duplicate-header',
          `\`${name}\` and \`${seen.get(lower)!}\` are the same header`,
          { at: 'key', fix: 'keep one of them' },
        );
      }
      seen.set(lower, name);
      checkHeaderName(name, side, at, reporter);
      if (typeof value === 'string') {
        checkHeaderValue(value, at, reporter);
        if (side === 'request' && isCredential(name) && value !== '') reportLiteralSecret(name, at, reporter);
      } else if (side === 'response') {
        reporter.report('error', at, 'secret-in-response', 'a secret cannot be sent to clients', {
          fix: 'set it on the request, or write a literal',
        });
      } else {
        reading.secrets.add(value.secret);
      }
      return [lower, value];
    });
  };
  const set = values('set');
  const add = values('add');
  const remove = (modifier.remove ?? []).map((name, index) => {
    checkHeaderName(name, side, [...path, 'remove', index], reporter);
    if (set.some(([other]) => other === name.toLowerCase())) {
      reporter.report(
        'warning',
        [...path, 'remove', index],
        'no-effect',
        `\`${name}\` is set and removed by the same filter`,
        { cause: 'headers are set first and removed last' },
      );
    }
    return name.toLowerCase();
  });
  if (set.length + add.length + remove.length === 0) {
    reporter.report('warning', path, 'no-effect', 'this filter changes no header', { at: 'key' });
  }
  return { set, add, remove };
}
