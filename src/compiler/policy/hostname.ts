/** Host names: what may be written, and which requests two lists of them have in common. */
import type { DocumentPath, Reporter } from '../diagnostics.ts';
import { parseAddress } from '../lists.ts';
import { shown } from '../spelling.ts';

const LABELS = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** A name or address without port, lower case. */
export function isHostname(text: string): boolean {
  if (text.startsWith('[') && text.endsWith(']'))
    return text.includes(':') && parseAddress(text.slice(1, -1)) !== undefined;
  // `1.2.3.4.5` and `300.1.1.1` are neither names nor addresses: URL parsers refuse them.
  if (/(^|\.)[0-9]+$/.test(text)) return parseAddress(text) !== undefined;
  return LABELS.test(text);
}

/** The name in lower case, or null after reporting what is wrong with it. */
export function readHostname(text: string, wildcards: boolean, path: DocumentPath, reporter: Reporter): string | null {
  const name = text.toLowerCase();
  if (isHostname(name)) return name;
  if (wildcards && (name === '*' || (name.startsWith('*.') && LABELS.test(name.slice(2))))) return name;
  const [cause, fix] = hostnameFault(name, wildcards);
  reporter.report('error', path, 'bad-hostname', `\`${shown(text)}\` is not a host name`, {
    cause,
    ...(fix !== undefined && { fix }),
  });
  return null;
}

function hostnameFault(name: string, wildcards: boolean): [cause: string, fix?: string] {
  if (name.includes('://'))
    return ['a host name has no scheme', `write \`${shown(name.replace(/^.*:\/\//, '').replace(/[/?#].*$/, ''))}\``];
  if (name.includes('/'))
    return ['a host name has no path', `write \`${shown(name.replace(/\/.*$/, ''))}\` and match the path in a route`];
  if (/^[^:]+:[0-9]+$/.test(name)) return ['a host name has no port', `write \`${shown(name.replace(/:.*$/, ''))}\``];
  if (name.includes('*')) {
    if (!wildcards) return ['no wildcard can stand here'];
    return ['a wildcard stands for whole labels, once and at the left', 'write it as `*.example.com`'];
  }
  if (name.endsWith('.')) return ['the root dot is left out', `write \`${shown(name.slice(0, -1))}\``];
  if (/[^\u0000-\u007f]/.test(name)) {
    const ascii = asciiHostname(name);
    return [
      'requests carry the ASCII form of a name',
      ...(ascii === null ? ([] as const) : ([`write \`${ascii}\``] as const)),
    ] as [string, string?];
  }
  return ['labels are letters, digits and -, at most 63 each and 253 in all'];
}

function asciiHostname(name: string): string | null {
  try {
    return new URL(`http://${name}/`).hostname;
  } catch {
    return null;
  }
}

/** Whether every host that `narrow` stands for is one that `wide` stands for. */
export function covers(wide: string, narrow: string): boolean {
  if (wide === '*' || wide === narrow) return true;
  return wide.startsWith('*.') && narrow !== '*' && narrow.length >= wide.length && narrow.endsWith(wide.slice(1));
}

/** SPEC: Gateway API, HTTPRouteSpec.hostnames: what listener (the app) and route have in common. */
export class Intersection {
  private readonly app: readonly string[];
  private readonly wildcards: readonly string[];
  private readonly known: Map<string, readonly string[]>;
  private readonly lists = new Map<string, readonly string[]>();

  constructor(app: readonly string[]) {
    this.app = app;
    this.wildcards = app.filter((host) => host.startsWith('*'));
    this.known = new Map(app.map((host) => [host, [host]]));
  }

  /** The hosts of the app that `route` narrows or is among; none when it lies outside. */
  with(route: string): readonly string[] {
    // PERF: thousands of routes name the same few hosts.
    let common = this.known.get(route);
    if (common === undefined) {
      if (this.wildcards.some((host) => covers(host, route))) common = [route];
      else common = route.startsWith('*') ? this.app.filter((host) => covers(route, host)) : [];
      this.known.set(route, common);
    }
    return common;
  }

  /** One array for equal lists: policies repeat a few lists in thousands of routes, and what compares them compares arrays. */
  shared(hosts: readonly string[]): readonly string[] {
    const key = hosts.join();
    const list = this.lists.get(key) ?? hosts;
    this.lists.set(key, list);
    return list;
  }
}

/** Whether a host is a zone or inside of it. */
export function inZone(host: string, zone: string | null): boolean {
  return zone !== null && (host === zone || host.endsWith(`.${zone}`));
}
