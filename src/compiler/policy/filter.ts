/** Filters of a route or of one of its backends: what may stand together, and what the plan says of them. */
import type { CorsPlan, Filter, PathReplacement, RedirectPlan } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import { shown } from '../spelling.ts';
import { readPercent } from './backend.ts';
import { readHeaderModifier } from './header.ts';
import { inZone, isHostname, readHostname } from './hostname.ts';
import { parseDuration } from './quantity.ts';
import { backendIndex, type Reading } from './reading.ts';
import type { Filter as Source, PathReplacementInput } from './filter-schema.ts';

type Kind = keyof Source;

export interface Filters {
  readonly filters: Filter[];
  readonly cors: CorsPlan | null;
  /** Where the filter that answers by itself stands, if there is one. */
  readonly answer: { readonly kind: 'requestRedirect' | 'directResponse'; readonly path: DocumentPath } | null;
}

const NULL_BODY = new Set([204, 205, 304]);

/** `prefixes`: whether every match of the route is a PathPrefix. `inner`: these are the filters of one backend. */
export function readFilters(
  sources: readonly Source[],
  path: DocumentPath,
  prefixes: boolean,
  inner: boolean,
  reading: Reading,
): Filters {
  const { reporter } = reading;
  const filters: Filter[] = [];
  const first = new Map<Kind, number>();
  let cors: CorsPlan | null = null;
  let answer: Filters['answer'] = null;

  sources.forEach((source, index) => {
    const at = [...path, index];
    const kinds = Object.keys(source) as Kind[];
    const kind = kinds[0];
    if (kind === undefined || kinds.length > 1) {
      reporter.report(
        'error',
        at,
        'conflict',
        kind === undefined ? 'this filter is empty' : `one entry holds one filter, this one has ${kinds.join(' and ')}`,
        { fix: 'write each filter as an entry of its own' },
      );
      return;
    }
    const here = [...at, kind];
    // SPEC: Gateway API, HTTPRouteFilter: only RequestMirror may stand more than once.
    if (first.has(kind) && kind !== 'requestMirror') {
      reporter.report('error', here, 'duplicate-filter', `\`${kind}\` stands twice`, {
        at: 'key',
        fix: 'merge the two',
      });
      return;
    }
    first.set(kind, index);
    switch (kind) {
      case 'requestHeaderModifier':
        filters.push({
          type: 'requestHeaders',
          change: readHeaderModifier(source.requestHeaderModifier!, 'request', here, reading),
        });
        return;
      case 'responseHeaderModifier':
        filters.push({
          type: 'responseHeaders',
          change: readHeaderModifier(source.responseHeaderModifier!, 'response', here, reading),
        });
        return;
      case 'requestRedirect':
        answer ??= { kind, path: here };
        filters.push({ type: 'redirect', redirect: readRedirect(source.requestRedirect!, here, prefixes, reading) });
        return;
      case 'urlRewrite':
        filters.push({ type: 'rewrite', rewrite: readRewrite(source.urlRewrite!, here, prefixes, reading) });
        return;
      case 'requestMirror': {
        const { backend, percent, fraction } = source.requestMirror!;
        if (percent !== undefined && fraction !== undefined)
          reporter.report('error', here, 'conflict', 'a mirror has `percent` or `fraction`, not both', { at: 'key' });
        if (fraction !== undefined && fraction.numerator > fraction.denominator) {
          reporter.report(
            'error',
            [...here, 'fraction'],
            'out-of-range',
            '`numerator` must not be more than `denominator`',
            { at: 'key' },
          );
        }
        const share =
          percent !== undefined
            ? readPercent(percent, [...here, 'percent'], reading)
            : fraction !== undefined
              ? (100 * fraction.numerator) / fraction.denominator
              : 100;
        filters.push({ type: 'mirror', backend: backendIndex(reading, backend, [...here, 'backend']), percent: share });
        return;
      }
      case 'cors':
        if (inner)
          reporter.report('error', here, 'conflict', '`cors` belongs to the route, not to one of its backends', {
            at: 'key',
            fix: 'move it to the `filters` of the route',
          });
        cors = readCors(source.cors!, here, reading);
        return;
      case 'directResponse': {
        const { status, body, contentType } = source.directResponse!;
        answer ??= { kind, path: here };
        if (NULL_BODY.has(status) && body !== '')
          reporter.report('error', [...here, 'body'], 'conflict', `a response with status ${status} has no body`, {
            fix: 'leave `body` out',
          });
        if (!/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:[ \t]*;[\t\x20-\x7e]*)?$/.test(contentType)) {
          reporter.report(
            'error',
            [...here, 'contentType'],
            'bad-format',
            `\`${shown(contentType)}\` is not a media type`,
            { fix: 'write it as `text/plain; charset=utf-8`' },
          );
        }
        filters.push({ type: 'direct', direct: { status, body, contentType } });
      }
    }
  });

  const redirect = first.get('requestRedirect');
  for (const other of ['urlRewrite', 'directResponse'] as const) {
    const index = first.get(other);
    if (redirect === undefined || index === undefined) continue;
    const cause = other === 'urlRewrite' ? 'a redirected request does not go to an origin' : 'a request has one answer';
    reporter.report(
      'error',
      [...path, index, other],
      'conflict',
      `\`${other}\` cannot stand beside \`requestRedirect\``,
      { at: 'key', cause, fix: 'keep one of the two' },
    );
  }
  return { filters, cors, answer };
}

function readReplacement(
  source: PathReplacementInput | undefined,
  path: DocumentPath,
  prefixes: boolean,
  { reporter }: Reading,
): PathReplacement | null {
  if (source === undefined) return null;
  const given = (['replaceFullPath', 'replacePrefixMatch'] as const).filter((field) => source[field] !== undefined);
  const field = given[0];
  if (field === undefined || given.length > 1) {
    reporter.report('error', path, 'conflict', '`path` needs one of `replaceFullPath` and `replacePrefixMatch`', {
      at: 'key',
    });
    return null;
  }
  const value = source[field]!;
  const at = [...path, field];
  if (field === 'replacePrefixMatch' && !prefixes) {
    reporter.report('error', at, 'conflict', '`replacePrefixMatch` needs matches of type PathPrefix', {
      at: 'key',
      cause: 'there is no prefix to replace',
      fix: 'match by PathPrefix, or write `replaceFullPath`',
    });
  }
  if (!value.startsWith('/') && value !== '') {
    reporter.report('error', at, 'bad-path', `\`${shown(value)}\` does not begin with /`, {
      fix: `write \`/${shown(value)}\``,
    });
  } else if (/[?#\\\u0000-\u0020\u007f]/.test(value)) {
    reporter.report('error', at, 'bad-path', `\`${shown(value)}\` is not a path`, {
      cause: 'a path holds no `?`, `#`, `\\`, space or control character',
      fix: 'percent-encode them',
    });
  }
  return { type: field === 'replaceFullPath' ? 'full' : 'prefix', value: value === '' ? '/' : encodePath(value) };
}

/** Characters above ASCII as a URL carries them. */
export function encodePath(path: string): string {
  return path.toWellFormed().replaceAll(/[^\u0000-\u007f]+/g, encodeURIComponent);
}

function readRedirect(
  source: NonNullable<Source['requestRedirect']>,
  path: DocumentPath,
  prefixes: boolean,
  reading: Reading,
): RedirectPlan {
  if (
    source.scheme === undefined &&
    source.hostname === undefined &&
    source.port === undefined &&
    source.path === undefined
  ) {
    // A warning: with a 303 after a POST, or behind another scheme or port, the same place may answer otherwise.
    reading.reporter.report('warning', path, 'redirect-loop', 'this redirect leads to where the request already is', {
      at: 'key',
      fix: 'give it `scheme`, `hostname`, `port` or `path`',
    });
  }
  return {
    scheme: source.scheme ?? null,
    hostname:
      source.hostname === undefined
        ? null
        : readHostname(source.hostname, false, [...path, 'hostname'], reading.reporter),
    port: source.port ?? null,
    path: readReplacement(source.path, [...path, 'path'], prefixes, reading),
    status: source.statusCode,
  };
}

function readRewrite(
  source: NonNullable<Source['urlRewrite']>,
  path: DocumentPath,
  prefixes: boolean,
  reading: Reading,
): { hostname: string | null; path: PathReplacement | null } {
  if (source.hostname === undefined && source.path === undefined) {
    reading.reporter.report('error', path, 'no-effect', '`urlRewrite` needs `hostname` or `path`', { at: 'key' });
  }
  const hostname =
    source.hostname === undefined
      ? null
      : readHostname(source.hostname, false, [...path, 'hostname'], reading.reporter);
  if (hostname !== null && reading.target === 'cloudflare' && !inZone(hostname, reading.zone)) {
    reading.reporter.report(
      'error',
      [...path, 'hostname'],
      'host-outside-zone',
      `Cloudflare cannot send Host \`${shown(hostname)}\` to another origin`,
      {
        cause: "fetch writes Host from the URL; another one needs a name in the account's zone",
        fix: 'use a backend whose `url` has that name',
      },
    );
  }
  return { hostname, path: readReplacement(source.path, [...path, 'path'], prefixes, reading) };
}

const ORIGIN = /^(https?):\/\/(\*|(?:\*\.)?[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/;

function readCors(source: NonNullable<Source['cors']>, path: DocumentPath, { reporter }: Reading): CorsPlan {
  const credentials = source.allowCredentials;
  const origins = source.allowOrigins.map((origin, index) => {
    const lower = origin.toLowerCase();
    if (lower === '*') return lower;
    const match = ORIGIN.exec(lower);
    const host = match?.[2]?.replace(/^\*\.?/, '');
    if (
      match === null ||
      host === undefined ||
      (host !== '' && !isHostname(host)) ||
      Number(match[3] ?? 1) > 65535 ||
      match[3] === '0'
    ) {
      const fix = /^https?:\/\/[^/]+\/.*$/.test(lower)
        ? `write \`${shown(lower.replace(/^(https?:\/\/[^/]+)\/.*$/, '$1'))}\``
        : 'write it as `https://app.example.com`, `https://*.example.com` or `*`';
      reporter.report(
        'error',
        [...path, 'allowOrigins', index],
        'bad-origin',
        `\`${shown(origin)}\` is not an origin`,
        { cause: 'an origin is scheme, host and port, without a path', fix },
      );
    }
    // SPEC: Fetch section 3.2: browsers leave the default port out of Origin.
    return lower.replace(/^(http:\/\/.*):80$/, '$1').replace(/^(https:\/\/.*):443$/, '$1');
  });
  for (const field of ['allowOrigins', 'allowMethods', 'allowHeaders', 'exposeHeaders'] as const) {
    const list: readonly string[] = source[field];
    if (list.length > 1 && list.includes('*')) {
      reporter.report('error', [...path, field, list.indexOf('*')], 'conflict', `\`*\` in \`${field}\` stands alone`, {
        fix: 'keep `*`, or the others',
      });
    }
  }
  if (credentials && origins.includes('*')) {
    // SPEC: the Gateway API asks for the echo of any origin here, so it is not refused.
    reporter.report(
      'warning',
      [...path, 'allowOrigins'],
      'cors-any-origin',
      'every site can read answers made with the cookies of its visitor',
      {
        at: 'key',
        cause: '`allowCredentials` with `*` allows any origin',
        fix: 'list the origins, or leave `allowCredentials` out',
      },
    );
  }
  if (credentials && source.exposeHeaders.includes('*')) {
    reporter.report(
      'error',
      [...path, 'exposeHeaders'],
      'conflict',
      '`*` in `exposeHeaders` means nothing with `allowCredentials`',
      { at: 'key', fix: 'list the headers' },
    );
  }
  if (origins.length === 0) {
    reporter.report('warning', path, 'no-effect', '`cors` without `allowOrigins` allows no origin', {
      at: 'key',
      fix: 'add `allowOrigins`',
    });
  }
  const maxAge = typeof source.maxAge === 'number' ? source.maxAge : Math.floor(parseDuration(source.maxAge)! / 1000);
  if (maxAge < 1 || maxAge > 86_400)
    reporter.report('error', [...path, 'maxAge'], 'out-of-range', '`maxAge` must be 1s to 24h', {
      cause: 'no browser keeps an answer longer',
    });
  return {
    allowOrigins: origins,
    allowMethods: source.allowMethods,
    allowHeaders: source.allowHeaders.map((name) => name.toLowerCase()),
    exposeHeaders: source.exposeHeaders.map((name) => name.toLowerCase()),
    maxAge,
    allowCredentials: credentials,
  };
}
