/**
 * Reads one policy document: every part is validated by itself, so that a fault in one route hides no fault in another.
 * What comes out has its defaults filled in and its names checked; the compilers of the parts and the plan take it from here.
 */
import {
  DEFAULT_BODY_LIMIT,
  MAX_BACKENDS,
  MAX_BODY_BYTES,
  MAX_LISTS,
  MAX_ROUTES,
  MAX_RULES,
} from '../../../assembly/abi.ts';
import type {
  Backend,
  BodyPlan,
  ContentPlan,
  ForwardedPlan,
  PaymentsPlan,
  RouteAction,
  SitePlan,
  TunnelsPlan,
} from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import type { Document } from '../document.ts';
import type { InspectionSource, ListSource, RouteSource, SettingsSource } from '../sources.ts';
import { shown } from '../spelling.ts';
import { AgentsReader } from './agents.ts';
import { readBackend } from './backend.ts';
import { ContentReader } from './content.ts';
import { readClientAddress } from './client-address.ts';
import { Intersection, readHostname } from './hostname.ts';
import { readList } from './list.ts';
import { ProtocolReader, type Protocols } from './protocols.ts';
import { checkCharges, readPayments } from './payments.ts';
import { parseSize } from './quantity.ts';
import type { Reading, Target } from './reading.ts';
import { exceptRobots, readSite } from './robots.ts';
import { readRoute } from './route.ts';
import { readRule, type ReadRule } from './rule.ts';
import * as schema from './schema.ts';
import { readDomain, readTunnels, withTunnels } from './tunnels.ts';
import { unknownField, validate } from './validation.ts';
import { WafReader, type Wafs } from './waf.ts';

export interface PolicyRoute {
  readonly route: RouteSource;
  readonly action: RouteAction;
  /** Of the rules of `agents`. */
  readonly group: number;
}

export interface Policy {
  readonly document: Document;
  readonly app: string;
  readonly hostnames: readonly string[];
  /** Host names as written, lower case, by index in the document; none when the default stands in. */
  readonly written: readonly string[];
  readonly settings: SettingsSource;
  readonly lists: readonly ListSource[];
  readonly backends: readonly Backend[];
  readonly routes: readonly PolicyRoute[];
  readonly rules: readonly ReadRule[];
  /** Whether some rules hold for groups of routes. */
  readonly grouped: boolean;
  readonly inspections: readonly InspectionSource[];
  readonly forwarded: ForwardedPlan;
  readonly cdnLoop: { readonly id: string; readonly max: number };
  readonly proxyStatus: boolean;
  readonly body: BodyPlan;
  readonly wafs: Wafs;
  readonly protocols: Protocols;
  readonly site: SitePlan | null;
  readonly contents: readonly ContentPlan[];
  readonly tunnels: TunnelsPlan | null;
  readonly payments: PaymentsPlan | null;
  readonly secrets: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

const noText: Reading['text'] = () => ({ problem: 'no files can be read here', fix: 'write the text itself' });

/** Reads and checks the whole document; faults are reported, and what they concern is left out. Null: not a mapping. */
export function readPolicy(document: Document, target: Target, text: Reading['text'] = noText): Policy | null {
  if (typeof document.value !== 'object' || document.value === null || Array.isArray(document.value)) {
    document.report('error', [], 'wrong-type', 'a policy is a mapping of fields', { fix: 'begin with `app: NAME`' });
    return null;
  }
  let fields = document.value as Fields;
  const known = Object.keys(schema.policySchema.shape);
  for (const key of Object.keys(fields)) if (!known.includes(key)) unknownField(key, known, [], document);

  const settings = readSettings(fields, document);
  const tunnelDomain = settings.tunnels === undefined ? null : readDomain(settings.tunnels, target, document);
  // An app that says nothing but `tunnels` is for their hosts, not for any.
  const only = tunnelDomain !== null && (fields['hostnames'] ?? fields['routes'] ?? null) === null;
  if (tunnelDomain !== null) fields = withTunnels(fields, tunnelDomain);
  const written = only ? [] : settings.hostnames;
  const hostnames = written
    .map((name, index) => readHostname(name, true, ['hostnames', index], document))
    .filter((name) => name !== null);
  const backendFields = mapping(fields, 'backends', schema.nameSchemas.backends, MAX_BACKENDS, document);
  const zone =
    settings.cloudflare === undefined
      ? null
      : readHostname(settings.cloudflare.zone, false, ['cloudflare', 'zone'], document);
  const distinct = [...new Set(hostnames)];
  // Hosts of tunnels are the app's, but a route takes them only where it names them, or where there are no others.
  const all = tunnelDomain === null ? distinct : [...new Set([...hostnames, tunnelDomain])];
  const reading: Reading = {
    reporter: document,
    target,
    zone,
    hostnames: distinct.length > 0 ? distinct : all,
    intersection: new Intersection(all),
    tunnelDomain,
    over: settings.body.over,
    text,
    backends: new Map(backendFields.map(([name], index) => [name, index])),
    secrets: new Set(),
  };
  hostnames.forEach((name, index) => {
    if (hostnames.indexOf(name) < index && index < 64)
      document.report('warning', ['hostnames', index], 'duplicate-name', `\`${name}\` is listed twice`);
  });

  const backends = backendFields.map(([name, value]) => {
    const source = validate(schema.backendSchema, value, ['backends', name], document);
    return source === null ? emptyBackend(name) : readBackend(name, source, ['backends', name], reading);
  });
  const lists = mapping(fields, 'lists', schema.nameSchemas.lists, MAX_LISTS, document)
    .map(([name, value]) => readList(name, value, document))
    .filter((list) => list !== null);
  const body = readBody(settings, document);
  const wafs = new WafReader(settings.waf, body, document);
  const contents = new ContentReader(settings.content, document);
  const protocols = new ProtocolReader();
  const agents = new AgentsReader(settings.agents, document);
  const ofDocument = readRules(fields, reading);
  const { routes, inspections } = readRoutes(fields, settings, { wafs, contents, protocols, agents }, reading);
  const rules = [...exceptRobots(agents.rules), ...ofDocument];
  const payments = settings.payments === undefined ? null : readPayments(settings.payments, reading);
  checkCharges(rules, settings.payments, document);

  return {
    document,
    app: settings.app,
    hostnames: all,
    written: fields['hostnames'] === undefined ? [] : settings.hostnames.map((name) => name.toLowerCase()),
    settings: {
      clientAddress: readClientAddress(settings, reading),
      ...settings.path,
      signals: settings.agents?.signals === 'log',
    },
    lists,
    backends,
    routes,
    rules,
    grouped: agents.differs,
    inspections,
    forwarded: settings.forwarded,
    cdnLoop: settings.cdnLoop,
    proxyStatus: settings.proxyStatus,
    body,
    wafs: wafs.wafs,
    protocols: protocols.protocols,
    site: readSite(settings, routes, reading),
    contents: contents.plans,
    tunnels:
      settings.tunnels === undefined || tunnelDomain === null
        ? null
        : readTunnels(settings.tunnels, tunnelDomain, reading),
    payments,
    secrets: [...reading.secrets].sort(),
  };
}

/** Each field by itself; a faulty one counts as left out. */
function readSettings(fields: Fields, document: Document): schema.Settings {
  const settings: Record<string, unknown> = {};
  for (const [name, one] of Object.entries(schema.settingSchemas)) {
    const given = Object.hasOwn(fields, name) ? fields[name] : undefined;
    settings[name] = validate(one, given, [name], document) ?? (one.safeParse(undefined).data as unknown);
  }
  return { ...settings, app: settings['app'] ?? '' } as unknown as schema.Settings;
}

function emptyBackend(name: string): Backend {
  return { name, endpoints: [], balance: { type: 'WeightedRandom' }, stickiness: null, health: null };
}

/** The entries of a mapping whose names are in order; the entries themselves are not looked at. */
function mapping(
  fields: Fields,
  field: 'backends' | 'lists',
  name: (typeof schema.nameSchemas)['backends'],
  most: number,
  document: Document,
): [string, unknown][] {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (value === undefined || value === null) return [];
  if (typeof value !== 'object' || Array.isArray(value)) {
    document.report('error', [field], 'wrong-type', `\`${field}\` must be a mapping`, {
      fix: `write \`${field}: { name: … }\``,
    });
    return [];
  }
  const entries = Object.entries(value);
  if (entries.length > most)
    document.report('error', [field], 'out-of-range', `\`${field}\` must have at most ${most} entries`, { at: 'key' });
  return entries.slice(0, most).filter(([key]) => {
    const result = name.safeParse(key);
    if (result.success) return true;
    const [what, fix] = result.error.issues[0]!.message.split('\n');
    document.report('error', [field, key], 'bad-format', `\`${shown(key)}\` ${what}`, {
      at: 'key',
      ...(fix !== undefined && { fix }),
    });
    return false;
  });
}

/** The entries of a list, not looked at. */
function sequence(fields: Fields, field: 'rules' | 'routes', most: number, document: Document): readonly unknown[] {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    document.report('error', [field], 'wrong-type', `\`${field}\` must be a list`, {
      fix: 'begin each entry with `-`',
    });
    return [];
  }
  if (value.length > most)
    document.report('error', [field], 'out-of-range', `\`${field}\` must have at most ${most} entries`, { at: 'key' });
  return value.slice(0, most);
}

function readRules(fields: Fields, reading: Reading): ReadRule[] {
  const document = reading.reporter;
  const values = sequence(fields, 'rules', MAX_RULES, document);
  const off = new Set<string>();
  const names = new Map<string, number>();
  values.forEach((value, index) => {
    const { name, mode } = (typeof value === 'object' && value !== null ? value : {}) as Fields;
    if (typeof name !== 'string') return;
    if (mode === 'off') off.add(name);
    if (!names.has(name)) names.set(name, index);
  });
  const rules: ReadRule[] = [];
  values.forEach((value, index) => {
    const source = validate(schema.ruleSchema, value, ['rules', index], document);
    if (source !== null) rules.push(readRule(source, index, names, off, reading));
  });
  return rules;
}

/** What routes differ in from the app, field by field. */
interface RouteReaders {
  readonly wafs: WafReader;
  readonly contents: ContentReader;
  readonly protocols: ProtocolReader;
  readonly agents: AgentsReader;
}

function readRoutes(
  fields: Fields,
  settings: schema.Settings,
  { wafs, contents, protocols, agents }: RouteReaders,
  reading: Reading,
) {
  const document = reading.reporter;
  const routes: PolicyRoute[] = [];
  const inspections: InspectionSource[] = [];
  const names = new Map<string, number>();
  if (settings.inspect !== undefined) readInspection(settings.inspect, ['inspect'], -1, inspections, document);
  const values = sequence(fields, 'routes', MAX_ROUTES, document);
  values.forEach((value, index) => {
    const source = validate(schema.routeSchema, value, ['routes', index], document);
    if (source === null) return;
    const read = readRoute(source, index, reading);
    const earlier = names.get(read.route.name);
    if (earlier !== undefined) {
      const at: DocumentPath = source.name === undefined ? read.route.path : [...read.route.path, 'name'];
      document.report('error', at, 'duplicate-name', `the name \`${read.route.name}\` is taken`, {
        cause: `route ${earlier + 1} has it`,
        fix: 'name it otherwise: log and explain go by name',
      });
    } else names.set(read.route.name, index);
    if (source.inspect !== undefined)
      readInspection(source.inspect, [...read.route.path, 'inspect'], routes.length, inspections, document);
    const action = protocols.route(source, read, reading);
    const numbers = {
      waf: wafs.route(source.waf, read.route.path),
      content: contents.route(source.content, read.route.path),
      robots: source.robots?.enforce ?? settings.robots?.enforce ?? 'off',
    };
    const group = agents.route(source.agents, read.route.path, read.route.name);
    const whole = { ...action, ...numbers };
    routes.push({ route: read.route, action: whole, group });
    const metadata = protocols.metadata(read.route, whole);
    if (metadata !== null) routes.push({ ...metadata, group });
  });
  if ((fields['routes'] ?? fields['tunnels'] ?? null) === null) {
    document.report('warning', ['routes'], 'no-routes', 'the policy has no routes: every request is answered 404', {
      fix: 'add `routes: [{ backend: NAME }]`',
    });
  }
  return { routes, inspections };
}

function readInspection(
  source: schema.Inspect,
  path: DocumentPath,
  route: number,
  inspections: InspectionSource[],
  document: Document,
): void {
  const required = source.required.map((name) => name.toLowerCase());
  const forbidden = source.forbidden.map((name) => name.toLowerCase());
  forbidden.forEach((name, index) => {
    if (required.includes(name))
      document.report(
        'error',
        [...path, 'forbidden', index],
        'conflict',
        `\`${name}\` is both required and forbidden`,
        { cause: 'no request could pass', fix: 'keep one of the two' },
      );
  });
  if (source.mode === 'off') return;
  inspections.push({
    path,
    route,
    mode: source.mode,
    required,
    forbidden,
    maxCount: source.maxCount,
    maxLength: source.maxLength,
    lengths: Object.entries(source.lengths).map(([name, max]) => ({ name: name.toLowerCase(), max })),
    bytes: source.bytes,
  });
}

function readBody(settings: schema.Settings, document: Document): BodyPlan {
  const limit = parseSize(settings.body.limit) ?? DEFAULT_BODY_LIMIT;
  if (limit > MAX_BODY_BYTES)
    document.report('error', ['body', 'limit'], 'out-of-range', '`limit` must be at most 1MB', {
      cause: 'held bodies share the memory of one isolate',
    });
  return { limit, over: settings.body.over };
}
