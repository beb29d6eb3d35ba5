/**
 * Route tables of any size with one shape, and the requests that go with them: what every peer of `routing` is given.
 *
 * Ten routes make a service, as a team would write them: pages, an API with a version, assets, a health check; half
 * exact, half prefixes, two bound to a method. Bigger tables are more services, so that only the size changes.
 * Every prefix ends on a segment and no two routes tie, so Gateway API's precedence has one winner for each request
 * and a router that takes the first registered match finds the same one when routes are registered by precedence.
 */
export interface TableRoute {
  readonly name: string;
  readonly type: 'Exact' | 'PathPrefix';
  readonly path: string;
  readonly method: string | null;
}
export interface TableRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly path: string;
  /** Index of the one route that must win. */
  readonly route: number;
}

const SHAPES: readonly (readonly [suffix: string, type: TableRoute['type'], method: string | null, rest: string])[] = [
  ['', 'PathPrefix', null, '/pages/about-us'],
  ['/api/v1/orders', 'PathPrefix', null, '/{n}/lines?page=2&sort=asc'],
  ['/api/v1/orders', 'PathPrefix', 'POST', '/{n}/refund'],
  ['/api/v1/orders/export', 'Exact', null, '?format=csv&since=2026-01-{d}'],
  ['/api/v2/customers', 'PathPrefix', null, '/{n}?fields=name,address'],
  ['/assets', 'PathPrefix', 'GET', '/app-{n}/main.8f3a9c.js'],
  ['/login', 'Exact', null, '?next=%2Faccount%2F{n}'],
  ['/healthz', 'Exact', null, ''],
  ['/favicon.ico', 'Exact', null, ''],
  ['/api/v2/search/suggest', 'Exact', null, '?q=blue+shoes+{n}'],
];
const SERVICES = [
  'billing',
  'catalog',
  'checkout',
  'delivery',
  'identity',
  'inventory',
  'media',
  'notify',
  'pricing',
  'returns',
];

function serviceOf(index: number): string {
  const service = Math.floor(index / SHAPES.length);
  return `/${SERVICES[service % SERVICES.length]}-${service}`;
}

export function routeTable(size: number): TableRoute[] {
  return Array.from({ length: size }, (_, index) => {
    const [suffix, type, method] = SHAPES[index % SHAPES.length]!;
    return { name: `route-${index}`, type, path: serviceOf(index) + suffix, method };
  });
}

/** `count` requests spread evenly over a table of `size` routes; the same for every peer. */
export function requestsFor(size: number, count: number): TableRequest[] {
  // A stride prime to the table's size visits every shape and, on large tables, services far apart.
  const stride = 7919;
  return Array.from({ length: count }, (_, turn) => {
    const index = (turn * stride) % size;
    const [suffix, , method, rest] = SHAPES[index % SHAPES.length]!;
    const target =
      serviceOf(index) +
      suffix +
      rest.replaceAll('{n}', String(10000 + turn * 37)).replaceAll('{d}', String(10 + (turn % 18)));
    return { method: method ?? 'GET', target, path: target.split('?')[0]!, route: index };
  });
}

/** Routes in Gateway API precedence: exact before prefix, longer before shorter, with a method before without. */
export function byPrecedence(routes: readonly TableRoute[]): number[] {
  return routes
    .map((_, index) => index)
    .sort((left, right) => {
      const a = routes[left]!;
      const b = routes[right]!;
      if (a.type !== b.type) return a.type === 'Exact' ? -1 : 1;
      if (a.path.length !== b.path.length) return b.path.length - a.path.length;
      return Number(b.method !== null) - Number(a.method !== null) || left - right;
    });
}

/** The path in Hono's form; its `/x/*` matches `/x` as well, as PathPrefix does. */
export function honoPath(route: TableRoute): string {
  return route.type === 'Exact' ? route.path : `${route.path}/*`;
}

/** What a current desktop browser sends with a navigation or a fetch, beside Host. */
export const BROWSER_HEADERS: readonly (readonly [name: string, value: string])[] = [
  [
    'user-agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  ],
  ['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8'],
  ['accept-encoding', 'gzip, deflate, br, zstd'],
  ['accept-language', 'en-GB,en;q=0.9,nl;q=0.8'],
  ['cookie', 'session=9f2c1e0b7d5a4c3f8e6b1a2d3c4e5f60; theme=dark; _ga=GA1.1.1294857361.1760000000; consent=1'],
  ['referer', 'https://shop.example.com/catalog/shoes?page=1'],
  ['sec-ch-ua', '"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"'],
  ['sec-ch-ua-mobile', '?0'],
  ['sec-ch-ua-platform', '"Linux"'],
  ['sec-fetch-dest', 'document'],
  ['sec-fetch-mode', 'navigate'],
  ['sec-fetch-site', 'same-origin'],
];
