/** robots.txt: cases of RFC 9309 and of Google's matcher, told in our words. */
import { RobotsMatcher, readRobots } from '../../src/agents/robots.ts';
import { robotsLines, robotsText } from '../../src/agents/robots-line.ts';
import { robotsPattern } from '../../src/agents/robots-pattern.ts';
import type { Outcome } from './gateway-api.ts';
import type { LinesCase, RobotsCase } from './robots/cases.ts';
import { GOOGLE_CASES, GOOGLE_ESCAPES, GOOGLE_LINES, GOOGLE_SKIPPED } from './robots/google.ts';
import { RFC_CASES } from './robots/rfc9309.ts';

const encoder = new TextEncoder();
const textOf = (file: RobotsCase['file']): string =>
  robotsText(
    file instanceof Uint8Array ? file : encoder.encode(typeof file === 'string' ? file : `${file.join('\n')}\n`),
  );

export function runRobots(only: readonly string[], report: (outcome: Outcome) => void): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const add = (id: string, result: Outcome['result'], detail = ''): void => {
    if (only.length > 0 && !only.some((text) => id.includes(text))) return;
    outcomes.push({ id, result, detail });
    report(outcomes.at(-1)!);
  };
  const check = (id: string, actual: unknown, expected: unknown): void => {
    const same = JSON.stringify(actual) === JSON.stringify(expected);
    add(id, same ? 'passed' : 'failed', same ? '' : `${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
  };
  const cases = [
    ...RFC_CASES.map((one) => ['rfc9309', one] as const),
    ...GOOGLE_CASES.map((one) => ['google', one] as const),
  ];
  for (const [source, { id, file, asks }] of cases) {
    const matcher = new RobotsMatcher(readRobots(textOf(file)));
    for (const [agent, path, allowed] of asks) {
      const name = `${source}: ${id}: ${agent} ${path.length > 60 ? `${path.slice(0, 60)}…` : path}`;
      if (typeof allowed === 'string') add(name, 'skipped', allowed);
      else check(name, matcher.allows(agent, path), allowed);
    }
  }
  for (const one of GOOGLE_LINES) checkLines(one, check);
  for (const { id, pattern, form } of GOOGLE_ESCAPES)
    check(`google: ${id}`, robotsPattern(robotsText(encoder.encode(pattern)))?.parts, [form]);
  for (let index = 1; index <= GOOGLE_SKIPPED.count; index++)
    add(`google: path of a URL ${index}`, 'skipped', GOOGLE_SKIPPED.reason);
  return Promise.resolve(outcomes);
}

function checkLines(
  { id, file, directives, lastLine, unknown, kinds, sitemap }: LinesCase,
  check: (id: string, actual: unknown, expected: unknown) => void,
): void {
  const text = textOf(file);
  const lines = [...robotsLines(text)];
  const defined = lines.filter(({ kind }) => kind !== 'none' && kind !== 'other');
  if (directives !== undefined) check(`google: ${id}: directives`, defined.length, directives);
  if (lastLine !== undefined) check(`google: ${id}: last line`, lines.length, lastLine);
  if (unknown !== undefined)
    check(`google: ${id}: unknown`, lines.filter(({ kind }) => kind === 'other').length, unknown);
  kinds?.forEach((kind, index) => check(`google: ${id}: line ${index + 1}`, lines[index]?.kind, kind));
  if (sitemap !== undefined)
    check(
      `google: ${id}: sitemap`,
      lines.filter(({ kind }) => kind === 'sitemap').map(({ value }) => value),
      [sitemap],
    );
}
