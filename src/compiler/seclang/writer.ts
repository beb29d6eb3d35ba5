/** Rules back to SecLang, for people: what the compiler made of them, defaults and updates included. */
import { OPERATOR_UNCONDITIONAL_MATCH, VARIABLE_XML } from '../../../assembly/waf/abi.ts';
import { severityName } from './actions.ts';
import { writeMacro } from './macro.ts';
import type { Control, Link, RuleEntry, Target } from './ruleset.ts';
import { writeSelection } from './selection.ts';
import { writeSetVariable } from './set-variable.ts';
import { transformationName } from './transformations.ts';
import { nameOf } from './variables.ts';

/** `!ARGS:q`, `&REQUEST_HEADERS:host`, `ARGS:'/a|b/'`. */
export function writeTarget({ variable, count, exclude, selector }: Target): string {
  const sign = exclude ? '!' : count ? '&' : '';
  if (selector === null) return sign + nameOf(variable);
  const text = 'exact' in selector ? selector.exact : `/${selector.regex}/`;
  const quoted = variable !== VARIABLE_XML && /[\s|,]/.test(text) ? `'${text}'` : text;
  return `${sign}${nameOf(variable)}:${quoted}`;
}

const inDouble = (text: string): string => text.replaceAll(/\\(?=["\\]|$)|"/g, '\\$&');
const inSingle = (text: string): string => `'${text.replaceAll(/\\(?=['\\]|$)|'/g, '\\$&')}'`;
/** Quoted where it has to be. */
const value = (text: string): string => (/^[\w./-]+$/.test(text) ? text : inSingle(text));

function writeControl(control: Control): string {
  switch (control.ctl) {
    case 'ruleRemove':
    case 'ruleRemoveTarget': {
      const by = { id: 'ById', tag: 'ByTag', message: 'ByMsg' }[control.rules.by];
      const rules = writeSelection(control.rules);
      const target = control.ctl === 'ruleRemove' ? '' : `;${writeTarget({ ...control.target, exclude: false })}`;
      return `ctl:${value(`${control.ctl}${by}=${rules}${target}`)}`;
    }
    default: {
      const text = typeof control.value === 'boolean' ? (control.value ? 'On' : 'Off') : control.value;
      return `ctl:${control.ctl}=${text}`;
    }
  }
}

function linkActions(link: Link): string[] {
  return [
    ...(link.capture ? ['capture'] : []),
    't:none',
    ...link.transformations.map((id) => `t:${transformationName(id)}`),
    ...(link.multiMatch ? ['multiMatch'] : []),
    ...(link.logdata === null ? [] : [`logdata:${inSingle(writeMacro(link.logdata))}`]),
    ...link.ctls.map(writeControl),
    ...link.setvars.map((variable) => `setvar:${inSingle(writeSetVariable(variable))}`),
  ];
}

function disruptive(rule: RuleEntry): string {
  if (rule.blocks) return 'block';
  if (rule.disruptive === 'redirect') return `redirect:${inSingle(rule.redirect)}`;
  return rule.disruptive === 'allow' && rule.allow !== '' ? `allow:${rule.allow}` : rule.disruptive;
}

function headActions(rule: RuleEntry, link: Link): string[] {
  const optional = (name: string, text: string): string[] => (text === '' ? [] : [`${name}:${value(text)}`]);
  const number = (name: string, is: number, unset: number): string[] => (is === unset ? [] : [`${name}:${is}`]);
  return [
    `id:${rule.id}`,
    `phase:${rule.phase}`,
    disruptive(rule),
    ...number('status', rule.status, 0),
    rule.log ? 'log' : 'nolog',
    // `log` says nothing of the audit log, and `nolog` turns it off.
    ...(rule.auditlog === rule.log ? [] : [rule.auditlog ? 'auditlog' : 'noauditlog']),
    ...linkActions(link),
    ...(rule.msg === null ? [] : [`msg:${inSingle(writeMacro(rule.msg))}`]),
    ...rule.tags.map((tag) => `tag:${inSingle(tag)}`),
    ...optional('ver', rule.ver),
    ...optional('rev', rule.rev),
    ...number('maturity', rule.maturity, -1),
    ...number('accuracy', rule.accuracy, -1),
    ...(rule.severity < 0 ? [] : [`severity:${inSingle(severityName(rule.severity))}`]),
    ...number('skip', rule.skip, 0),
    ...optional('skipAfter', rule.skipAfter),
  ];
}

/** One directive for each link of the chain, one action a line; reading it again gives the same rule. */
export function writeRule(rule: RuleEntry): string {
  const lines: string[] = [];
  for (const [index, link] of rule.links.entries()) {
    const indent = '  '.repeat(index);
    const actions = index === 0 ? headActions(rule, link) : linkActions(link);
    if (index + 1 < rule.links.length) actions.push('chain');
    const isAction = link.targets.length === 0 && link.operator.operator === OPERATOR_UNCONDITIONAL_MATCH;
    const condition = `${quoteTargets(link.targets)} "${inDouble(link.operator.text)}"`;
    lines.push(`${indent}${isAction ? 'SecAction' : `SecRule ${condition}`} \\`);
    const written = actions.map((action) => `${indent}    ${inDouble(action)}`).join(',\\\n');
    lines.push(`${indent}    "${written.trimStart()}"`);
  }
  return lines.join('\n');
}

function quoteTargets(targets: readonly Target[]): string {
  const text = targets.map(writeTarget).join('|');
  return /\s|"|\\\\/.test(text) ? `"${inDouble(text)}"` : text;
}
