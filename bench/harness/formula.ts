/**
 * The formula of a goal: arithmetic over row ids with one comparison, `cpu.sallyport / cpu.copying <= 1.1`.
 * An id stands for the median of its row. Small on purpose: a result file can be checked by anyone with a few lines.
 */
export interface Judgement {
  readonly measured: number; // the left side of the comparison
  readonly limit: number; // its right side
  readonly holds: boolean;
}

export function judge(formula: string, valueOf: (id: string) => number): Judgement {
  const tokens = formula.match(/[a-z_][\w.]*|\d+(?:\.\d+)?|<=|>=|[-+*/()<>]|\S/gi) ?? [];
  let at = 0;
  const fail = (): never => {
    throw new Error(`formula ${JSON.stringify(formula)}: cannot read ${JSON.stringify(tokens[at] ?? 'its end')}`);
  };
  const atom = (): number => {
    const token = tokens[at++];
    if (token === undefined) return fail();
    if (/^\d/.test(token)) return Number(token);
    if (/^[a-z_]/i.test(token)) return valueOf(token);
    if (token === '-') return -atom();
    if (token !== '(') return (at--, fail());
    const value = sum();
    if (tokens[at++] !== ')') return (at--, fail());
    return value;
  };
  const product = (): number => {
    let value = atom();
    while (tokens[at] === '*' || tokens[at] === '/') value = tokens[at++] === '*' ? value * atom() : value / atom();
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (tokens[at] === '+' || tokens[at] === '-')
      value = tokens[at++] === '+' ? value + product() : value - product();
    return value;
  };
  const measured = sum();
  const comparison = tokens[at++];
  if (comparison === undefined || !['<=', '<', '>=', '>'].includes(comparison)) return (at--, fail());
  const limit = sum();
  if (at !== tokens.length) return fail();
  // NaN compares false with everything: a row that could not be measured never makes a goal hold.
  const holds =
    comparison === '<='
      ? measured <= limit
      : comparison === '<'
        ? measured < limit
        : comparison === '>='
          ? measured >= limit
          : measured > limit;
  return { measured, limit, holds };
}
