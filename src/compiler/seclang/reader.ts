/** Directive by directive: keeps what rules depend on that stand below. */
import { type Actions, noActions, readActions } from './actions.ts';
import { readUpdate, reportMissed, type Rules, UPDATE_NAMES } from './exclusions.ts';
import { Files } from './files.ts';
import { resolvePath } from './include.ts';
import type { RuleSetInput } from './index.ts';
import { type Directive, readDirectives } from './lexer.ts';
import { MAX_CHAIN_LINKS, MAX_INCLUDE_DEPTH, MAX_RULES } from './limits.ts';
import { readOperator, UNCONDITIONAL } from './operators.ts';
import { type Advice, Problems } from './problems.ts';
import {
  applyActions,
  applyLinkActions,
  checkDefaultActions,
  checkLinkActions,
  reportLateMacros,
  type Draft,
  startLink,
  startRule,
} from './rule.ts';
import type { MarkerEntry, Operator, Place, RuleEntry, RuleSet, Selection, Target } from './ruleset.ts';
import { readSetting, SETTING_NAMES } from './settings.ts';
import { Source, type Text } from './text.ts';
import { nearest, shown } from '../spelling.ts';
import { lossOf, readTargets } from './variables.ts';

const NAMES = [
  ...['SecRule', 'SecAction', 'SecMarker', 'SecDefaultAction', 'SecComponentSignature', 'Include', 'IncludeOptional'],
  ...UPDATE_NAMES,
  ...SETTING_NAMES,
];
const NO_OPERATOR = (place: Place): Operator => ({ ...UNCONDITIONAL, place });

export class Reader implements Rules {
  readonly problems = new Problems();
  private readonly store: Files;
  private readonly input: RuleSetInput;
  private readonly components: string[] = [];
  private readonly settings: Map<string, string>;
  private readonly base: (Draft | MarkerEntry)[];
  private readonly entries: (Draft | MarkerEntry)[] = [];
  private readonly removed = new Set<Draft>();
  private readonly ids = new Map<number, Place>();
  private readonly skips = new Map<Draft, Text>();
  private readonly blocks = new Map<Draft, Text>();
  private readonly unmatched: { selection: Selection; written: Text }[] = [];
  private readonly defaults = new Map<number, Actions>();
  private lastDefaults: Actions | null = null;
  /** The rule whose next link is awaited, and where it asked for it. */
  private chain: { readonly rule: Draft; asked: Text } | null = null;
  private updates = 0;
  private folders: string[] = []; // files that are being read, the outermost first

  constructor(input: RuleSetInput) {
    this.input = input;
    this.store = new Files(input);
    this.settings = new Map(Object.entries(input.base?.settings ?? {}));
    this.components.push(...(input.base?.components ?? []));
    // The rules of the base may be updated, and it is not ours.
    this.base = (input.base?.entries ?? []).map((entry) =>
      entry.kind === 'rule' ? { ...entry, links: entry.links.map((link) => ({ ...link })) } : entry,
    );
    for (const entry of this.base) if (entry.kind === 'rule') this.ids.set(entry.id, entry.place);
  }

  get files(): readonly string[] {
    return this.store.read;
  }

  readEntry(path: string): void {
    const start: Place = { file: path, line: 1, column: 1 };
    const complain = (code: string, message: string, advice: Advice): void =>
      this.problems.place('error', code, start, 1, message, advice);
    for (const file of this.store.find(path, '', false, complain)) {
      const text = this.store.text(file, false, complain);
      if (text !== null) this.readText(file, text);
    }
    this.endChain(null);
  }

  private readText(file: string, text: string): void {
    this.folders.push(file);
    for (const directive of readDirectives(new Source(file, text), this.problems)) this.read(directive);
    this.folders.pop();
  }

  private read(directive: Directive): void {
    const { name, words } = directive;
    switch (name.value.toLowerCase()) {
      case 'secrule':
        return this.readRule(directive, words[0], words[1], words[2]);
      case 'secaction':
        return this.readRule(directive, null, null, words[0]);
      case 'secmarker':
        return this.readMarker(directive);
      case 'secdefaultaction':
        return this.readDefault(directive);
      case 'seccomponentsignature':
        if (words[0] !== undefined) this.components.push(words[0].value);
        return;
      case 'include':
      case 'includeoptional':
        return this.include(directive);
    }
    if (readUpdate(directive, this, this.problems)) return;
    if (readSetting(directive, this.settings, this.problems)) return;
    if (name.value.startsWith('<')) {
      this.problems.error('unknown-directive', name, 'sections of Apache are not read', {
        fix: 'remove the section and keep what is in it, or choose rules by route in the policy',
      });
      return;
    }
    const like = nearest(name.value, NAMES);
    this.problems.error('unknown-directive', name, `unknown directive \`${shown(name.value)}\``, {
      fix: like === null ? 'remove it' : `did you mean ${like}?`,
    });
  }

  /** The rules so far; see exclusions.ts. */
  get rules(): readonly Draft[] {
    return [...this.base, ...this.entries].filter(
      (entry): entry is Draft => entry.kind === 'rule' && !this.removed.has(entry),
    );
  }

  remove(rule: Draft): void {
    this.removed.add(rule);
  }

  countUpdate(): number {
    return ++this.updates;
  }

  missed(selection: Selection, written: Text): void {
    this.unmatched.push({ selection, written });
  }

  private defaultsOf(phase: number): Actions | null {
    // ModSecurity v2 knows the last SecDefaultAction only, v3 one for each phase. Who writes one for each means that;
    // where a phase has none, the last one counts, as in v2, so that a lone `phase:2,deny` guards phase 1 too.
    return this.defaults.get(phase) ?? this.lastDefaults;
  }

  /** `targets` and `operator` are null for SecAction. */
  private readRule(
    directive: Directive,
    targets: Text | null | undefined,
    operator: Text | null | undefined,
    written: Text | undefined,
  ): void {
    const { name, words, end, broken } = directive;
    const most = targets === null ? 1 : 3;
    if (targets === undefined || operator === undefined || (targets === null && written === undefined)) {
      const what = targets === undefined ? 'variables' : operator === undefined ? 'an operator' : 'actions';
      if (!broken) {
        this.problems.error('missing-argument', end, `${name.value} needs ${what}`, {
          fix:
            targets === null ? 'write SecAction "id:1000,phase:1,pass"' : 'write SecRule ARGS "@rx x" "id:1000,deny"',
        });
      }
    } else if (words.length > most) {
      this.problems.error('unexpected-argument', words[most]!, `${name.value} takes at most ${most} words`, {
        fix: 'put " around words with spaces',
      });
    }
    const head = this.chain?.rule ?? null;
    const actions =
      written === undefined
        ? { ...noActions(), chain: broken && /\bchain\b/.test(directive.line) }
        : readActions(written, this.problems, head === null ? null : lossOf(head.id));
    const rule = head ?? this.startRule(directive, actions, written);
    if (head !== null) checkLinkActions(actions, this.problems);
    const place = name.place();
    const link = startLink(place, ...this.condition(rule, targets, operator, place), this.defaultsOf(rule.phase));
    applyLinkActions(link, actions);
    if (head === null) applyActions(rule, actions);
    rule.links.push(link);
    reportLateMacros(rule.phase, actions, this.problems);
    if (head === null) this.add(rule, actions);
    this.continueChain(rule, actions, name);
  }

  /** A rule with an id of its own; one that lacks it is kept out, with an error. */
  private startRule(directive: Directive, actions: Actions, written: Text | undefined): Draft {
    const { name, end, broken } = directive;
    const place = name.place();
    const id = actions.id ?? 0;
    if (id === 0 && !actions.places.has('id') && !broken && (written !== undefined || directive.words.length > 1)) {
      this.problems.error('missing-id', written === undefined ? end : name, 'the rule has no id', {
        fix: 'add id:1000',
      });
    }
    const known = this.ids.get(id);
    if (id !== 0 && known !== undefined) {
      this.problems.error('duplicate-id', actions.places.get('id') ?? name, `rule ${id} exists already`, {
        cause: `it stands in ${known.file}:${known.line}`,
        fix: 'give this rule another id',
      });
    } else if (id !== 0) this.ids.set(id, place);
    const phase = actions.phase ?? 2;
    const rule = startRule(id, phase, place, this.defaultsOf(phase));
    if (id === 0 || known !== undefined) this.removed.add(rule);
    return rule;
  }

  private condition(
    rule: Draft,
    targets: Text | null | undefined,
    operator: Text | null | undefined,
    place: Place,
  ): [Target[], Operator] {
    const loss = lossOf(rule.id);
    const read = (name: Text): { file: string; text: string } | null => {
      const file = resolvePath(this.folders.at(-1) ?? '', name.value);
      const text = this.store.text(file, false, (code, message, advice) =>
        this.problems.error(code, name, message, advice),
      );
      return text === null ? null : { file, text };
    };
    const found =
      targets === null || targets === undefined ? [] : readTargets(targets, this.problems, loss, rule.phase);
    if (operator === null || operator === undefined) return [found, NO_OPERATOR(place)];
    const onUnsupportedPattern = this.input.onUnsupportedPattern ?? 'error';
    const result = readOperator(operator, this.problems, { read, id: rule.id, loss, onUnsupportedPattern });
    if (result === 'leave-out') this.removed.add(rule);
    return [found, result === null || result === 'leave-out' ? NO_OPERATOR(place) : result];
  }

  private add(rule: Draft, actions: Actions): void {
    if (this.base.length + this.entries.length >= MAX_RULES) {
      if (this.problems.first('limit rules')) {
        this.problems.place('error', 'limit', rule.place, 1, `a rule set has at most ${MAX_RULES} rules and markers`);
      }
      return;
    }
    this.entries.push(rule);
    const skip = actions.places.get('skipafter');
    if (skip !== undefined && rule.skipAfter !== '') this.skips.set(rule, skip);
    const block = actions.places.get('block');
    if (block !== undefined) this.blocks.set(rule, block);
    // SPEC: add_rule: nothing can be stopped in the logging phase.
    if (rule.phase === 5 && !['pass', 'allow'].includes(rule.disruptive)) {
      const written = ['deny', 'drop', 'redirect', 'block'].map((name) => actions.places.get(name)).find(Boolean);
      const message = `${rule.blocks ? 'block stands for ' : ''}${rule.disruptive}, which cannot be in the logging phase`;
      const advice = { fix: 'write pass, or another phase' };
      if (written !== undefined) this.problems.error('late-action', written, message, advice);
      else this.problems.place('error', 'late-action', rule.place, 1, message, advice);
    }
  }

  private continueChain(rule: Draft, actions: Actions, name: Text): void {
    if (actions.chain !== true) {
      this.chain = null;
      return;
    }
    const asked = actions.places.get('chain') ?? name;
    if (rule.links.length >= MAX_CHAIN_LINKS) {
      this.problems.error('limit', asked, `a chain has at most ${MAX_CHAIN_LINKS} rules`, { fix: 'use two chains' });
      this.removed.add(rule);
    }
    this.chain = { rule, asked };
  }

  /** Where no more rule of a chain can follow. */
  private endChain(before: Text | null): void {
    if (this.chain === null) return;
    this.problems.error('open-chain', this.chain.asked, 'no rule follows in the chain', {
      ...(before !== null && { cause: `${before.value} stands there, in line ${before.place().line}` }),
      fix: 'remove chain, or add the rule',
    });
    this.chain = null;
  }

  private readMarker(directive: Directive): void {
    const { name, words, end } = directive;
    this.endChain(name);
    const word = words[0]?.trim();
    if (word === undefined || word.value === '') {
      if (!directive.broken) {
        this.problems.error('missing-argument', end, `${name.value} needs a name`, { fix: 'write SecMarker END' });
      }
      return;
    }
    if (this.base.length + this.entries.length < MAX_RULES) {
      this.entries.push({ kind: 'marker', name: word.value.replaceAll("'", ''), place: name.place() });
    }
  }

  private readDefault({ name, words, end, broken }: Directive): void {
    const word = words[0];
    if (word === undefined) {
      if (!broken) this.problems.error('missing-argument', end, `${name.value} needs actions`, { fix: 'add them' });
      return;
    }
    const actions = readActions(word, this.problems);
    for (const key of ['phase', 'disruptive'] as const) {
      if (actions[key] !== undefined || actions.places.has(key)) continue;
      const what = key === 'phase' ? 'a phase' : 'a disruptive action';
      this.problems.error('missing-action', word, `defaults need ${what}`, {
        fix: 'write "phase:2,log,auditlog,pass"',
      });
      return;
    }
    if (!checkDefaultActions(actions, this.problems) || actions.phase === undefined) return;
    this.defaults.set(actions.phase, actions);
    this.lastDefaults = actions;
  }

  private include({ name, words, end, broken }: Directive): void {
    const word = words[0];
    if (word === undefined) {
      if (!broken) this.problems.error('missing-argument', end, `${name.value} needs a file`, { fix: 'name one' });
      return;
    }
    const optional = name.value.toLowerCase() === 'includeoptional';
    const complain = (code: string, message: string, advice: Advice): void =>
      this.problems.error(code, word, message, advice);
    for (const file of this.store.find(word.value, this.folders.at(-1) ?? '', optional, complain)) {
      if (this.folders.includes(file)) {
        complain('include-cycle', `\`${shown(file)}\` includes itself`, {
          cause: [...this.folders.slice(this.folders.indexOf(file)), file].join(' > '),
          fix: 'remove it',
        });
      } else if (this.folders.length >= MAX_INCLUDE_DEPTH) {
        complain('limit', `files are included at most ${MAX_INCLUDE_DEPTH} deep`, { fix: 'include it higher up' });
      } else {
        const text = this.store.text(file, optional, complain);
        if (text !== null) this.readText(file, text);
      }
    }
  }

  finish(): RuleSet {
    reportMissed(this.unmatched, this.rules, this.problems);
    this.reportIdleBlocks();
    const ordered =
      this.input.position === 'before' ? [...this.entries, ...this.base] : [...this.base, ...this.entries];
    const kept = ordered.filter((entry) => entry.kind === 'marker' || !this.removed.has(entry));
    return {
      name: this.input.name,
      components: this.components,
      entries: this.resolveSkips(kept) as (RuleEntry | MarkerEntry)[],
      settings: Object.fromEntries(this.settings),
    };
  }

  /** Rules of a scoring rule set block by what they add up; one that adds nothing was meant to stop the request. */
  private reportIdleBlocks(): void {
    for (const [rule, block] of this.blocks) {
      if (this.removed.has(rule) || !rule.blocks || rule.disruptive !== 'pass') continue;
      if (rule.links.some(({ setvars }) => setvars.length > 0)) continue;
      this.problems.warning('idle-block', block, 'block stands for pass here', {
        cause: 'so says SecDefaultAction, and so it is where there is none',
        fix: `write deny, or SecDefaultAction "phase:${rule.phase},deny" above the rule`,
      });
    }
  }

  /**
   * SPEC: skipAfter goes on behind the next marker of that name, or behind the next rule of the same phase that has
   * this id, which gets a marker. Without either, ModSecurity skips the rest of the phase in silence.
   */
  private resolveSkips(entries: readonly (Draft | MarkerEntry)[]): (Draft | MarkerEntry)[] {
    const last = new Map<string, number>();
    for (const [index, entry] of entries.entries()) {
      last.set(entry.kind === 'marker' ? entry.name : `${entry.id} ${entry.phase}`, index);
    }
    const marked = new Map<number, string>();
    for (const [index, entry] of entries.entries()) {
      const written = entry.kind === 'rule' ? this.skips.get(entry) : undefined;
      if (entry.kind !== 'rule' || written === undefined || (last.get(entry.skipAfter) ?? -1) > index) continue;
      const target = last.get(`${entry.skipAfter} ${entry.phase}`) ?? -1;
      if (target > index) {
        marked.set(target, entry.skipAfter);
        continue;
      }
      const behind = last.has(entry.skipAfter);
      const markers = [...last.keys()].filter((name) => !name.includes(' '));
      const like = behind ? null : nearest(entry.skipAfter, markers);
      this.problems.error('unknown-marker', written, `no marker \`${shown(entry.skipAfter)}\` follows`, {
        ...(behind && { cause: 'it stands above the rule, and rules are never run twice' }),
        fix: like === null ? `add SecMarker ${shown(entry.skipAfter)}` : `did you mean ${like}?`,
      });
    }
    return entries.flatMap((entry, index) => {
      const name = marked.get(index);
      return name === undefined ? [entry] : [entry, { kind: 'marker', name, place: entry.place } as const];
    });
  }
}
