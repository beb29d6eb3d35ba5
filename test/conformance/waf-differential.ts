/**
 * Our WAF beside libmodsecurity, Coraza and ModSecurity 2 on requests that nobody wrote (crs/mutation.ts): every rule
 * that fires on one side only must have a cause in crs/disagreements.ts.
 *
 *   npm run conformance -- waf-differential [count=20000] [seed=1] [libmodsecurity] [coraza] [apache] [show=CAUSE]
 *
 * `show` prints what a cause explains. Without `apache` nobody judges, and a cause is taken at its word.
 *
 * An engine that cannot be had on this machine is named and left out; with none at all, every case is skipped.
 */
import { Apache, apacheInstalled } from '../../bench/peers/waf/apache.ts';
import { buildPeers } from '../../bench/peers/waf/build.ts';
import { Peer, type Outcome as Ran } from '../../bench/peers/waf/peer.ts';
import { OPERATOR_RX } from '../../assembly/waf/abi.ts';
import type { RuleSet } from '../../src/compiler/seclang/index.ts';
import type { RawTransaction } from '../../src/waf/transaction.ts';
import { causeOf, type Disagreement, type Other, type RuleParts } from './crs/disagreements.ts';
import { mutants } from './crs/mutation.ts';
import { reflect } from './crs/reflection.ts';
import { transactionOf } from './crs/request.ts';
import { type OwnOutcome, Sallyport, suiteRules } from './crs/sallyport.ts';
import { loadSuite } from './crs/suite.ts';
import type { Outcome } from './gateway-api.ts';

interface Engine {
  run(transaction: RawTransaction): Promise<Ran & { readonly refused?: number }>;
  stop(): void;
}

/** Scores follow from the other rules, so that each disagreement would be told twice. */
const FOLLOWS = (rule: number): boolean => rule === 0 || /^(?:949|959|980)/.test(String(rule));
/** Disagreements without a cause that are shown in full. */
const SHOWN = 3;
const names = new Set<string>(['libmodsecurity', 'coraza', 'apache'] satisfies Other[]);

export async function runWafDifferential(
  words: readonly string[],
  report: (outcome: Outcome) => void,
): Promise<Outcome[]> {
  const number = (name: string, fallback: number): number => {
    const word = words.find((candidate) => candidate.startsWith(`${name}=`));
    const value = word === undefined ? fallback : Number(word.slice(name.length + 1));
    if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${word}: a whole number above 0 is due`);
    return value;
  };
  const count = number('count', 20_000);
  const seed = number('seed', 1);
  const show = words.find((word) => word.startsWith('show='))?.slice('show='.length) ?? '';
  const rules = suiteRules();
  const ours = await Sallyport.start(rules);
  const others = await startOthers(rules);
  for (const name of others.keys())
    if (words.some((word) => names.has(word)) && !words.includes(name)) {
      others.get(name)!.stop();
      others.delete(name);
    }
  try {
    return await compare(ours, others, { seed, count, show }, report);
  } finally {
    for (const engine of others.values()) engine.stop();
  }
}

async function startOthers(rules: string): Promise<Map<Other, Engine>> {
  const { built, missing } = await buildPeers();
  for (const sentence of missing) console.log(sentence);
  const others = new Map<Other, Engine>();
  for (const [name, command] of Object.entries(built)) others.set(name as Other, await Peer.start(command, rules));
  if (apacheInstalled()) others.set('apache', await Apache.start(rules, reflect));
  else console.log('ModSecurity 2 is not asked: Debian has it as apache2-bin and libapache2-mod-security2');
  return others;
}

async function compare(
  ours: Sallyport,
  others: ReadonlyMap<Other, Engine>,
  { seed, count, show }: { readonly seed: number; readonly count: number; readonly show: string },
  report: (outcome: Outcome) => void,
): Promise<Outcome[]> {
  const suite = loadSuite().map(({ input }) => transactionOf(input));
  const outcomes: Outcome[] = [];
  const parts = partsOf(ours.ruleSet);
  const causes = new Map<string, { count: number; judged: number; samples: string[] }>();
  const unexplained = new Map<string, { count: number; samples: string[] }>();
  let index = 0;
  for (const { name, transaction: bare } of mutants(suite, seed, count)) {
    const transaction = answered(bare);
    const id = `${seed}-${++index}`;
    if (others.size === 0) {
      outcomes.push({ id, result: 'skipped', detail: 'no other engine on this machine' });
      continue;
    }
    const answer = await ours.run(transaction);
    if (answer.limit !== 0) {
      report({
        id,
        result: 'failed',
        detail: `the engine gave up for reason ${answer.limit}: ${name}\n${shown(transaction)}`,
      });
      outcomes.push({ id, result: 'failed', detail: `limit ${answer.limit}` });
      continue;
    }
    if (answer.truncated) {
      outcomes.push({ id, result: 'skipped', detail: 'more rules fired than one transaction tells (MAX_WAF_EVENTS)' });
      continue;
    }
    const mine = rulesOf(answer);
    const open: string[] = [];
    const answers = new Map<Other, Ran>();
    for (const [other, engine] of others) {
      const ran = await engine.run(transaction);
      if (!ran.refused) answers.set(other, ran);
    }
    const judged = answers.get('apache');
    const judge = judged === undefined ? null : rulesOf(judged);
    for (const [other, ran] of answers) {
      for (const disagreement of between(
        { mine, ours: answer, theirs: rulesOf(ran), ran, other, transaction, judge },
        parts,
      )) {
        const cause = causeOf(disagreement);
        const { where, side, rule } = disagreement;
        const key = `${side} alone ${rule} (${other})`;
        if (cause) {
          const named = `${other}: ${cause.id}`;
          const known = causes.get(named) ?? { count: 0, judged: 0, samples: [] };
          causes.set(named, known);
          known.count++;
          if (judge !== null) known.judged++;
          if (show === cause.id && known.samples.length < count)
            known.samples.push(`${id} ${name}: ${key} in ${where.join(' ')}\n${shown(transaction)}`);
          continue;
        }
        open.push(key);
        const cluster = unexplained.get(key) ?? { count: 0, samples: [] };
        unexplained.set(key, cluster);
        cluster.count++;
        if (cluster.samples.length < SHOWN)
          cluster.samples.push(`${id} ${name}: in ${where.join(' ')}\n${shown(transaction)}`);
      }
    }
    outcomes.push({ id, result: open.length === 0 ? 'passed' : 'failed', detail: `${name}: ${open.join(', ')}` });
  }
  for (const [cause, { count: times, judged, samples }] of [...causes].sort(([, a], [, b]) => b.count - a.count)) {
    console.log(
      `${times} × ${cause}${cause.startsWith('apache') ? '' : `, ${judged} of them judged by ModSecurity 2`}`,
    );
    for (const sample of samples) console.log(sample);
  }
  for (const [key, { count: times, samples }] of [...unexplained].sort(([, a], [, b]) => b.count - a.count))
    report({ id: key, result: 'failed', detail: `${times} times, such as\n${samples.join('\n')}` });
  return outcomes;
}

/** With the answer that the origin behind every engine gives. */
function answered(transaction: RawTransaction): RawTransaction {
  const latin1 = (octets: RawTransaction['body']): string =>
    typeof octets === 'string' ? octets : Buffer.from(octets).toString('latin1');
  const answer = reflect(
    latin1(transaction.method),
    latin1(transaction.uri),
    Buffer.from(latin1(transaction.body), 'latin1'),
  );
  return { ...transaction, response: { protocol: 'HTTP/1.1', ...answer } };
}

const rulesOf = ({ hits }: Ran): Set<number> => new Set(hits.map(({ id }) => id).filter((id) => !FOLLOWS(id)));

const NOTHING: RuleParts = {
  variables: new Set(),
  operators: new Set(),
  transformations: new Set(),
  patterns: [],
  chained: false,
};

interface Pair {
  readonly mine: ReadonlySet<number>;
  readonly ours: OwnOutcome;
  readonly theirs: ReadonlySet<number>;
  readonly ran: Ran;
  readonly other: Other;
  readonly transaction: RawTransaction;
  readonly judge: ReadonlySet<number> | null;
}

function* between(pair: Pair, parts: ReadonlyMap<number, RuleParts>): Generator<Disagreement> {
  const { mine, ours, theirs, ran, other, transaction, judge } = pair;
  const both = { other, transaction, mine, theirs, judge };
  for (const rule of mine) {
    if (theirs.has(rule)) continue;
    const where = ours.hits.filter(({ id }) => id === rule).map(({ target }) => target);
    yield { ...both, rule, side: 'ours', where, what: parts.get(rule) ?? NOTHING };
  }
  for (const rule of theirs) {
    if (mine.has(rule)) continue;
    // Others tell it in the text of their log, as CRS words it, or not at all.
    const where = ran.hits.flatMap(({ id, data }) => {
      const found = id === rule ? /found within ([A-Z_]+(?::[^\s:]*)?)/.exec(data)?.[1] : undefined;
      return found === undefined ? [] : [found];
    });
    yield { ...both, rule, side: 'theirs', where, what: parts.get(rule) ?? NOTHING };
  }
}

function partsOf({ entries }: RuleSet): Map<number, RuleParts> {
  const found = new Map<number, RuleParts>();
  for (const entry of entries) {
    if (entry.kind !== 'rule') continue;
    found.set(entry.id, {
      chained: entry.links.length > 1,
      variables: new Set(entry.links.flatMap(({ targets }) => targets.map(({ variable }) => variable))),
      operators: new Set(entry.links.map(({ operator }) => operator.operator)),
      transformations: new Set(entry.links.flatMap(({ transformations }) => transformations)),
      patterns: entry.links
        .filter(({ operator }) => operator.operator === OPERATOR_RX)
        .map(({ operator }) => operator.text),
    });
  }
  return found;
}

function shown({ method, uri, protocol, headers, body }: RawTransaction): string {
  const printable = (octets: RawTransaction['body']): string =>
    JSON.stringify(typeof octets === 'string' ? octets : Buffer.from(octets).toString('latin1')).slice(1, -1);
  const lines = headers
    .filter(([name]) => !/^(?:accept|host|connection)$/i.test(printable(name)))
    .map(([name, value]) => `${printable(name)}: ${printable(value)}`);
  const all = [`${printable(method)} ${printable(uri)} ${printable(protocol)}`, ...lines, printable(body)];
  return all.map((line) => `    ${line.slice(0, 600)}`).join('\n');
}
