/** Small images for tests, built with the compiler's own parts. */
import {
  KIND_POLICY,
  SECTION_LISTS,
  SECTION_NAMES,
  SECTION_PLAN,
  SECTION_REGEXES,
  SECTION_SETTINGS,
  SECTION_STRINGS,
} from '../../assembly/abi.ts';
import type { Diagnostic, Reporter } from '../../src/compiler/diagnostics.ts';
import { compileHosts } from '../../src/compiler/hosts.ts';
import { ImageWriter, newPools } from '../../src/compiler/image.ts';
import { compileRoutes } from '../../src/compiler/routes.ts';
import { compileSettings } from '../../src/compiler/settings.ts';
import type { MatchSource, RouteSource, SettingsSource } from '../../src/compiler/sources.ts';
import type { Engine, Generation, Loaded } from '../../src/waf/engine.ts';

export { newPools };

export type Report = Pick<Diagnostic, 'severity' | 'code' | 'message'> & {
  readonly path: readonly (string | number)[];
};

export function collector(): Reporter & { readonly reports: Report[] } {
  const reports: Report[] = [];
  return {
    reports,
    report(severity, path, code, message) {
      reports.push({ severity, path, code, message });
    },
  };
}

export interface RouteText {
  readonly hostnames?: readonly string[];
  readonly matches?: readonly Partial<
    Omit<MatchSource, 'path' | 'pathMatch'> & { exact: string; prefix: string; regex: string }
  >[];
}

export function routeSources(routes: readonly RouteText[]): RouteSource[] {
  return routes.map(({ hostnames = ['*'], matches = [{}] }, route) => ({
    path: ['routes', route],
    name: `route-${route}`,
    hostnames,
    matches: matches.map(({ exact, prefix, regex, method = null, headers = [], queryParams = [] }, match) => ({
      path: ['routes', route, 'matches', match],
      pathMatch:
        exact !== undefined
          ? { type: 'Exact', value: exact }
          : regex !== undefined
            ? { type: 'RegularExpression', value: regex }
            : { type: 'PathPrefix', value: prefix ?? '/' },
      method,
      headers,
      queryParams,
    })),
  }));
}

export const SETTINGS: SettingsSource = {
  clientAddress: { from: 'peer', trustedHops: 0, trustedCIDRs: [], failClosed: false },
  escapedSlashes: 'keep',
  mergeSlashes: false,
  signals: false,
};

export function policyImage(
  routes: readonly RouteSource[],
  settings: SettingsSource = SETTINGS,
  reporter: Reporter = collector(),
): Uint8Array {
  const pools = newPools();
  const image = new ImageWriter(KIND_POLICY);
  image.section(SECTION_SETTINGS, compileSettings(settings, pools));
  for (const [id, bytes] of compileRoutes(routes, pools, reporter, { mergeSlashes: settings.mergeSlashes }).sections) {
    image.section(id, bytes);
  }
  const plan = { app: 'test', routeActions: routes.map(() => 0), actions: [{}] };
  image.section(SECTION_PLAN, new TextEncoder().encode(JSON.stringify(plan)));
  image.section(SECTION_NAMES, pools.names.bytes());
  image.section(SECTION_REGEXES, pools.regexes.bytes());
  image.section(SECTION_LISTS, pools.lists.bytes());
  image.section(SECTION_STRINGS, pools.strings.bytes());
  return image.finish();
}

let serial = 0;
/** The engine trusts the hash that it is given; a serial number keeps images apart. */
export function loaded(bytes: Uint8Array): Loaded {
  return { hash: `image-${serial++}`, bytes };
}

/** A generation of one app with host `*`. */
export function loadOne(engine: Engine, policy: Uint8Array, hostnames: readonly string[] = ['*']): Generation {
  const hosts = loaded(compileHosts([{ name: 'test', hostnames }]));
  return engine.load({ id: `generation-${serial++}`, hosts, agents: null, apps: [loaded(policy)] });
}
