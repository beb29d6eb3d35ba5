/** `waf:` of an app and of its routes: each route's effective settings, for the WAF compiler and for the plan. */
import { DEFAULT_RESPONSE_HOLD_MS, MAX_RESPONSE_BODY_BYTES, MAX_WAF_PROGRAMS } from '../../../assembly/waf/abi.ts';
import { MAX_BODY_BYTES } from '../../../assembly/abi.ts';
import type { BodyPlan, WafPlan } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import type { Document } from '../document.ts';
import type { Selection } from '../seclang/ruleset.ts';
import type { WafExclusion, WafSource } from '../sources.ts';
import { parsePercent, parseSize } from './quantity.ts';
import type { ExclusionFields, WafFields } from './waf-schema.ts';
import { readTarget } from './waf-target.ts';

export const DEFAULT_RULESET = 'core';
const DEFAULT_INBOUND = 5; // SPEC: CRS: one critical rule blocks a request
const DEFAULT_OUTBOUND = 4; // SPEC: CRS: one rule of severity error replaces a response
const DEFAULT_TYPES = ['text/html', 'text/plain', 'text/xml', 'application/xml', 'application/json', 'text/css'];

/** Programs and plans by index; the same effective settings are one. */
export interface Wafs {
  readonly programs: readonly WafSource[];
  readonly plans: readonly WafPlan[];
}

interface Block {
  readonly fields: WafFields;
  readonly path: DocumentPath;
}

/** Collects the effective settings of routes, each once. */
export class WafReader {
  readonly #document: Document;
  readonly #app: Block | null;
  readonly #body: BodyPlan;
  readonly #programs: WafSource[] = [];
  readonly #plans: WafPlan[] = [];
  readonly #programIndex = new Map<string, number>();
  readonly #planIndex = new Map<string, number>();
  #ofApp: number | null = null;

  /** `fields`: `waf:` of the app, if it has one; `body`: the app's own limits, which are the WAF's defaults. */
  constructor(fields: WafFields | undefined, body: BodyPlan, document: Document) {
    this.#document = document;
    this.#app = fields === undefined ? null : { fields, path: ['waf'] };
    this.#body = body;
    if (this.#app !== null) this.#check(this.#app);
  }

  /** Index of the plan that holds for a route, -1 for none. */
  route(fields: WafFields | undefined, path: DocumentPath): number {
    if (fields === undefined) {
      // PERF: thousands of routes without a `waf:` of their own share the app's.
      this.#ofApp ??= this.#app === null ? -1 : this.#add([this.#app]);
      return this.#ofApp;
    }
    const block = { fields, path: [...path, 'waf'] };
    this.#check(block);
    return this.#add(this.#app === null ? [block] : [this.#app, block]);
  }

  get wafs(): Wafs {
    return { programs: this.#programs, plans: this.#plans };
  }

  /** What a block says by itself, whatever stands beneath it. */
  #check({ fields, path }: Block): void {
    const { body, response, sampling } = fields;
    const tooLarge = (field: string, most: string, cause: string) =>
      this.#document.report('error', [...path, field, 'limit'], 'out-of-range', `\`limit\` must be at most ${most}`, {
        cause,
      });
    if (body?.limit !== undefined && (parseSize(body.limit) ?? 0) > MAX_BODY_BYTES)
      tooLarge('body', '1MB', 'held bodies share the memory of one isolate');
    if (response?.limit !== undefined && (parseSize(response.limit) ?? 0) > MAX_RESPONSE_BODY_BYTES)
      tooLarge('response', '512KB', 'a client waits for all of what is held');
    if (typeof sampling === 'string' && parsePercent(sampling) === null)
      this.#document.report('error', [...path, 'sampling'], 'out-of-range', '`sampling` must be at most 100%');
  }

  /** `blocks`: the app's, then the route's; the last one that gives a field decides. */
  #add(blocks: readonly Block[]): number {
    const pick = <T>(get: (fields: WafFields) => T | undefined): T | undefined =>
      blocks.map(({ fields }) => get(fields)).findLast((value) => value !== undefined);
    const mode = pick(({ mode }) => mode) ?? 'enforce';
    if (mode === 'off') return -1;
    const response = pick(({ response }) => response?.inspect) ?? false;
    const sampling = pick(({ sampling }) => sampling) ?? 100;
    const asked = pick(({ messages }) => messages) ?? 'off';
    const messages = mode === 'log' && asked === 'enforce' ? 'log' : asked; // nothing has effect in mode log
    const body: BodyPlan = {
      limit: Math.min(parseSize(pick(({ body }) => body?.limit) ?? '') ?? this.#body.limit, MAX_BODY_BYTES),
      over: pick(({ body }) => body?.over) ?? this.#body.over,
    };
    const responseLimit = Math.min(
      parseSize(pick(({ response }) => response?.limit) ?? '') ?? MAX_RESPONSE_BODY_BYTES,
      MAX_RESPONSE_BODY_BYTES,
    );
    const program: WafSource = {
      path: blocks.at(-1)!.path,
      ruleset: pick(({ ruleset }) => ruleset) ?? DEFAULT_RULESET,
      mode,
      paranoia: this.#paranoia(blocks),
      thresholds: {
        inbound: pick(({ thresholds }) => thresholds?.inbound) ?? DEFAULT_INBOUND,
        outbound: pick(({ thresholds }) => thresholds?.outbound) ?? DEFAULT_OUTBOUND,
      },
      variables: variablesOf(blocks),
      exclude: blocks.flatMap(({ fields, path }) =>
        (fields.exclude ?? []).flatMap((entry, index) => this.#exclusion(entry, [...path, 'exclude', index]) ?? []),
      ),
      inline: blocks.flatMap(({ fields, path }) => inlineOf(fields, [...path, 'secLang'])),
      sampling: (typeof sampling === 'string' ? (parsePercent(sampling) ?? 100) : sampling) / 100,
      // Server-sent events are looked at as bodies of answers.
      response: response || messages !== 'off',
      malformed: pick(({ body }) => body?.malformed) ?? 'reject',
      bodyLimit: body.limit,
      responseBodyLimit: responseLimit,
    };
    const index = this.#program(program);
    const plan: WafPlan = {
      ruleset: program.ruleset,
      mode,
      program: index,
      body,
      response: response
        ? {
            limit: responseLimit,
            holdMs: pick(({ response }) => response?.holdMs) ?? DEFAULT_RESPONSE_HOLD_MS,
            types: (pick(({ response }) => response?.types) ?? DEFAULT_TYPES).map((type) => type.toLowerCase()),
          }
        : null,
      onError: pick(({ onError }) => onError) ?? 'closed',
      messages,
      evidence: pick(({ evidence }) => evidence) ?? 'redacted',
    };
    return indexOf(this.#planIndex, this.#plans, JSON.stringify(plan), plan);
  }

  #program(program: WafSource): number {
    const index = indexOf(this.#programIndex, this.#programs, wafKey(program), program);
    if (index === MAX_WAF_PROGRAMS)
      this.#document.report(
        'error',
        program.path,
        'too-many-programs',
        'there are too many different `waf:` settings',
        {
          at: 'key',
          cause: `routes of one app have at most ${MAX_WAF_PROGRAMS} different ones in effect`,
          fix: 'let routes share theirs, or make this an app of its own',
        },
      );
    return index;
  }

  #paranoia(blocks: readonly Block[]): WafSource['paranoia'] {
    const given = (field: 'blocking' | 'detection') =>
      blocks.findLast(({ fields }) => fields.paranoia?.[field] !== undefined);
    const blocking = given('blocking')?.fields.paranoia?.blocking ?? 1;
    const from = given('detection');
    const detection = from?.fields.paranoia?.detection ?? blocking;
    if (from !== undefined && detection < blocking) {
      const at = given('blocking') ?? from;
      // Both may stand in the app, and the mistake is then the same for every route.
      const path =
        at.path.length > from.path.length
          ? [...at.path, 'paranoia', 'blocking']
          : [...from.path, 'paranoia', 'detection'];
      if (blocks.length === 1 || blocks.at(-1)!.fields.paranoia !== undefined)
        this.#document.report(
          'error',
          path,
          'paranoia',
          `detection at level ${detection} is below blocking at level ${blocking}`,
          {
            cause: 'a rule that is not evaluated cannot block',
            fix: `write \`detection: ${blocking}\`, or leave it out`,
          },
        );
    }
    return { blocking, detection };
  }

  #exclusion(entry: ExclusionFields, path: DocumentPath): WafExclusion | null {
    const fields = (['rule', 'range', 'tag', 'message'] as const).filter((field) => entry[field] !== undefined);
    const [field = null, second] = fields;
    if (second !== undefined) {
      this.#document.report(
        'error',
        [...path, second],
        'conflict',
        `an exclusion has \`${field}\` or \`${second}\`, not both`,
        {
          at: 'key',
          fix: 'write two entries',
        },
      );
      return null;
    }
    if (field === null && entry.target === undefined) {
      this.#document.report('error', path, 'missing-field', 'this exclusion names neither rules nor a target', {
        fix: 'add `rule: ID`, `tag: NAME`, `range: FROM-TO` or `message: TEXT`; `mode: off` leaves out all',
      });
      return null;
    }
    const rules = field === null ? null : this.#selection(entry, field, path);
    const target = entry.target === undefined ? null : readTarget(entry.target, [...path, 'target'], this.#document);
    if (rules === undefined || target === undefined) return null;
    return { path, field, rules, target, when: entry.when ?? null };
  }

  /** Undefined after reporting that there is none. */
  #selection(entry: ExclusionFields, field: 'rule' | 'range' | 'tag' | 'message', path: DocumentPath) {
    switch (field) {
      case 'rule':
        return { by: 'id', ranges: [entry.rule!].flat().map((id) => [id, id] as const) } satisfies Selection;
      case 'range': {
        const [first = 0, last = 0] = entry.range!.split('-').map(Number);
        if (first <= last) return { by: 'id', ranges: [[first, last]] } satisfies Selection;
        this.#document.report('error', [...path, 'range'], 'bad-range', `the range \`${entry.range}\` is empty`, {
          fix: `write \`${last}-${first}\``,
        });
        return undefined;
      }
      case 'tag':
      case 'message':
        return { by: field, pattern: patternOf(entry[field]!) } satisfies Selection;
    }
  }
}

/** Two sources with the same key are the same program. */
export function wafKey(source: WafSource): string {
  return JSON.stringify({
    ...source,
    path: null,
    variables: source.variables.map(({ name, value }) => [name, value]),
    exclude: source.exclude.map(({ rules, target, when }) => [rules, target, when]),
    inline: source.inline.map(({ text }) => text),
  });
}

/** A route's variables are added to the app's, and win. */
function variablesOf(blocks: readonly Block[]): WafSource['variables'] {
  const variables = new Map<string, WafSource['variables'][number]>();
  for (const { fields, path } of blocks)
    for (const [written, value] of Object.entries(fields.variables ?? {})) {
      const name = written.toLowerCase().replace(/^tx\./, '');
      variables.delete(name);
      variables.set(name, { path: [...path, 'variables', written], name, value: String(value) });
    }
  return [...variables.values()];
}

function inlineOf({ secLang }: WafFields, path: DocumentPath): WafSource['inline'] {
  if (secLang === undefined) return [];
  return typeof secLang === 'string'
    ? [{ path, text: secLang }]
    : secLang.map((text, index) => ({ path: [...path, index], text }));
}

/** SPEC: SecLang selects by regular expression. Here text is text, unless it stands between slashes. */
function patternOf(text: string): string {
  if (text.length > 2 && text.startsWith('/') && text.endsWith('/')) return text.slice(1, -1);
  return `^${text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')}$`;
}

function indexOf<T>(known: Map<string, number>, list: T[], key: string, value: T): number {
  let index = known.get(key);
  if (index === undefined) {
    index = list.push(value) - 1;
    known.set(key, index);
  }
  return index;
}
