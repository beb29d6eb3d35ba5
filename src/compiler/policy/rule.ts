/** Rules: what they do (for the plan) and what they compute (for the rule compiler). */
import type { RulePlan } from '../../plan.ts';
import type { DocumentPath } from '../diagnostics.ts';
import type { RuleSource } from '../sources.ts';
import { nearest, shown } from '../spelling.ts';
import { BY_CLIENT, readRate } from './demand.ts';
import { checkHeaderName, isCredential, reportLiteralSecret } from './header.ts';
import { backendIndex, type Reading } from './reading.ts';
import type { Rule } from './schema.ts';

export interface ReadRule {
  /** `skipRules` holds names in order only: rules that exist, stand later and are not off. */
  readonly source: RuleSource;
  readonly plan: RulePlan;
  /** False for `mode: off`: checked, but not compiled into the image. */
  readonly on: boolean;
}

/** The operands of actions, and which action each belongs to. */
const OPERANDS = {
  status: ['block'],
  reason: ['block', 'rate', 'challenge'],
  skip: ['skip'],
  redirect: ['redirect'],
  rewrite: ['rewrite'],
  route: ['route'],
  rate: ['rate'],
  charge: ['charge'],
} as const;

/** What clients get of actions that do more than refuse, where the rule does not say. */
const STATUS: Readonly<Record<string, number>> = { rate: 429 };
const REASON: Readonly<Record<string, string>> = {
  rate: 'there were too many requests of this kind',
  challenge: 'this is for browsers',
};

/** `names`: where each name stands first among the rules of the document; `off`: those of rules that are off. */
export function readRule(
  source: Rule,
  index: number,
  names: ReadonlyMap<string, number>,
  off: ReadonlySet<string>,
  reading: Reading,
): ReadRule {
  const path: DocumentPath = ['rules', index];
  const { reporter } = reading;
  const { action } = source;
  for (const [field, actions] of Object.entries(OPERANDS) as [keyof typeof OPERANDS, readonly string[]][]) {
    if (source[field] !== undefined && !actions.includes(action)) {
      reporter.report(
        'error',
        [...path, field],
        'conflict',
        `\`${field}\` belongs to \`action: ${actions[0]}\`, this rule's is \`${action}\``,
        { at: 'key', fix: 'remove it, or change `action`' },
      );
    }
  }
  if (action !== 'block' && action !== 'log' && action !== 'challenge' && source[action] === undefined) {
    reporter.report('error', path, 'missing-field', `\`action: ${action}\` needs \`${action}\``, {
      fix: MISSING[action],
    });
  }
  if (source.reason !== undefined && /[\u0000-\u001f\u007f]/.test(source.reason)) {
    reporter.report('error', [...path, 'reason'], 'bad-format', '`reason` must be one line without control characters');
  }
  const earlier = names.get(source.name) ?? -1;
  if (earlier >= 0 && earlier < index) {
    reporter.report('error', [...path, 'name'], 'duplicate-name', `the name \`${source.name}\` is taken`, {
      cause: `rule ${earlier + 1} has it`,
      fix: 'name it otherwise: log and `skip` go by name',
    });
  }

  const set = action === 'rewrite' ? Object.entries(source.rewrite?.headers?.set ?? {}) : [];
  const remove = action === 'rewrite' ? (source.rewrite?.headers?.remove ?? []) : [];
  checkRewrite(source, set, remove, path, reading);
  const skip = action === 'skip' ? source.skip : undefined;
  checkSkip(skip, index, names, path, reading);

  const mode = source.mode === 'log' ? 'log' : 'enforce';
  const rate =
    action === 'rate' && source.rate !== undefined
      ? readRate(source.rate, [...path, 'rate'], { policy: source.name, by: BY_CLIENT }, reporter)
      : null;
  return {
    on: source.mode !== 'off',
    source: {
      path,
      name: source.name,
      when: source.when,
      action,
      mode,
      location: action === 'redirect' ? (source.redirect?.location ?? null) : null,
      rewritePath: action === 'rewrite' ? (source.rewrite?.path ?? null) : null,
      rewriteQuery: action === 'rewrite' ? (source.rewrite?.query ?? null) : null,
      rewriteHeaders: set.map(([name, value]) => ({ name, value })),
      skipRules: (skip?.rules ?? []).filter((name) => (names.get(name) ?? -1) > index && !off.has(name)),
      skipPhases: skip?.phases ?? [],
      ...(rate !== null && { keys: rate.keys }),
    },
    plan: {
      name: source.name,
      action,
      mode,
      status: action === 'redirect' ? (source.redirect?.status ?? 302) : (source.status ?? STATUS[action] ?? 403),
      reason: source.reason ?? REASON[action] ?? source.name,
      backend:
        action === 'route' && source.route !== undefined
          ? backendIndex(reading, source.route.backend, [...path, 'route', 'backend'])
          : -1,
      headers: set.map(([name]) => name.toLowerCase()),
      removeHeaders: remove.map((name) => name.toLowerCase()),
      preserveQuery: source.redirect?.preserveQuery ?? false,
      ...(rate !== null && { rate: rate.plan }),
      ...(action === 'charge' && source.charge !== undefined && { charge: source.charge }),
    },
  };
}

const MISSING = {
  skip: 'add `skip: { rules: [name] }` or `skip: { phases: [inspect] }`',
  redirect: 'add `redirect: { location: \'"https://example.com/"\' }`',
  rewrite: 'add `rewrite: { path: … }`',
  route: 'add `route: { backend: NAME }`',
  rate: 'add `rate: { requests: 10, per: 1m }`',
  charge: 'add `charge: { price: USD 0.01 }`',
} as const;

function checkRewrite(
  source: Rule,
  set: readonly [string, string][],
  remove: readonly string[],
  path: DocumentPath,
  { reporter }: Reading,
): void {
  if (source.action !== 'rewrite' || source.rewrite === undefined) return;
  const at = [...path, 'rewrite'];
  if (source.rewrite.path === undefined && source.rewrite.query === undefined && set.length + remove.length === 0) {
    reporter.report('error', at, 'no-effect', 'this rewrite changes nothing', {
      at: 'key',
      fix: 'give it `path`, `query` or `headers`',
    });
  }
  const seen = new Set<string>();
  for (const [name, value] of set) {
    const here = [...at, 'headers', 'set', name];
    checkHeaderName(name, 'request', here, reporter);
    if (seen.has(name.toLowerCase()))
      reporter.report('error', here, 'duplicate-header', `\`${name}\` is set twice`, {
        at: 'key',
        fix: 'keep one of them',
      });
    seen.add(name.toLowerCase());
    if (isCredential(name) && /^\s*"(?:[^"\\]|\\.)+"\s*$/.test(value)) reportLiteralSecret(name, here, reporter);
  }
  remove.forEach((name, index) => checkHeaderName(name, 'request', [...at, 'headers', 'remove', index], reporter));
}

function checkSkip(
  skip: Rule['skip'],
  index: number,
  names: ReadonlyMap<string, number>,
  path: DocumentPath,
  { reporter }: Reading,
): void {
  if (skip === undefined) return;
  if ((skip.rules ?? []).length + (skip.phases ?? []).length === 0) {
    reporter.report('error', [...path, 'skip'], 'no-effect', 'this rule skips nothing', {
      at: 'key',
      fix: 'give it `rules` or `phases`',
    });
  }
  skip.rules?.forEach((name, at) => {
    const here = [...path, 'skip', 'rules', at];
    const found = names.get(name) ?? -1;
    if (found < 0) {
      if (reporter.full) return;
      const meant = nearest(name, names.keys());
      reporter.report(
        'error',
        here,
        'unknown-rule',
        `there is no rule \`${shown(name)}\``,
        meant === null ? {} : { fix: `did you mean \`${meant}\`?` },
      );
    } else if (found <= index) {
      const self = found === index;
      reporter.report(
        'error',
        here,
        'rule-order',
        self ? 'a rule cannot skip itself' : `\`${name}\` stands before this rule and has run already`,
        {
          cause: 'rules are evaluated in the order in which they are written',
          ...(!self && { fix: 'move this rule before it' }),
        },
      );
    }
  });
}
