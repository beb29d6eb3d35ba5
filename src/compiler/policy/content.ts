/** `content:` of an app and of its routes: each route's effective settings, field by field, each once. */
import type { ContentPlan } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import type { Document } from '../document.ts';
import { shown } from '../spelling.ts';
import type { ContentFields, SignalFields, UsageFields } from './content-schema.ts';

/** SPEC: draft-ietf-aipref-vocab of August 2026. Others are sent as they are written: the list is still being made. */
const USAGE_LABELS = new Set(['train-ai', 'search']);

export class ContentReader {
  readonly #document: Document;
  readonly #app: ContentFields | undefined;
  readonly #plans: ContentPlan[] = [];
  readonly #index = new Map<string, number>();
  #ofApp: number | null = null;

  constructor(fields: ContentFields | undefined, document: Document) {
    this.#document = document;
    this.#app = fields;
    if (fields !== undefined) checkUsage(fields.usage, ['content', 'usage'], document);
  }

  /** Index of the plan that holds for a route, -1 for none. */
  route(fields: ContentFields | undefined, path: DocumentPath): number {
    if (fields === undefined) return (this.#ofApp ??= this.#add(this.#app ?? {}));
    checkUsage(fields.usage, [...path, 'content', 'usage'], this.#document);
    return this.#add({ ...this.#app, ...fields });
  }

  get plans(): readonly ContentPlan[] {
    return this.#plans;
  }

  #add({ signal, usage, license, tdm, markdown = false }: ContentFields): number {
    const headers: [string, string][] = [];
    if (license !== undefined) headers.push(['link', `<${license}>; rel="license"; type="application/rsl+xml"`]);
    if (tdm !== undefined) headers.push(['tdm-reservation', tdm.reservation ? '1' : '0']);
    if (tdm?.policy !== undefined) headers.push(['tdm-policy', tdm.policy]);
    const plan: ContentPlan = { signal: readSignal(signal), usage: readUsage(usage), headers, markdown };
    if (plan.signal.length + plan.usage.length + headers.length === 0 && !markdown) return -1;
    const key = JSON.stringify(plan);
    let index = this.#index.get(key);
    if (index === undefined) this.#index.set(key, (index = this.#plans.push(plan) - 1));
    return index;
  }
}

export function readSignal(fields: SignalFields = {}): ContentPlan['signal'] {
  return Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value === true || value === 'yes' ? 'yes' : 'no'] as const],
  );
}

export function readUsage(fields: UsageFields = {}): ContentPlan['usage'] {
  return Object.entries(fields).map(([label, value]) => [
    label,
    value === true || value === 'yes' || value === 'y' ? 'y' : 'n',
  ]);
}

export function checkUsage(fields: UsageFields | undefined, path: DocumentPath, document: Document): void {
  for (const label of Object.keys(fields ?? {}))
    if (!USAGE_LABELS.has(label))
      document.report(
        'warning',
        [...path, label],
        'unknown-label',
        `nobody has defined the label \`${shown(label)}\``,
        {
          at: 'key',
          cause: `labels as of now: ${[...USAGE_LABELS].join(', ')}`,
        },
      );
}
