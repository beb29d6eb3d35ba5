/**
 * `npm run bench -- waf`: what it costs to run the OWASP Core Rule Set, beside libmodsecurity 3 and Coraza 3 on the same
 * rules and the same requests (bench/waf/traffic.ts).
 *
 * (a) `CASE.plN.ENGINE`: one whole transaction, all phases, in the process of the engine, at paranoia level N: mean of a
 *     round. `.p50` and `.p99` are of single transactions. Each engine is a process of its own behind one protocol
 *     (bench/peers/waf/peer.ts); they take turns case by case, so that whatever else the machine does weighs on all. No
 *     rule blocks, so that every engine does its work to the end; nothing is logged.
 * (b) `clear.SIZE`, `prose.SIZE`: bodies up to 1 MB for our engine, for the slope: `clear` is a run of one letter, where
 *     no literal of any rule occurs, `prose` is English. Peers stop at 100 KB.
 * (c) `memory.*`: resident memory of the processes after all rounds; `linear.*`: linear memory of our engine, before and
 *     after many more requests.
 * (d) `cpu.plN`, `rate.plN`: whole servers in front of one origin, workerd with CRS and nginx with ModSecurity and CRS,
 *     in mode enforce: CPU time of the server process for a request, and its inverse. `start.plN`: from spawn to the first
 *     answer. `image.crs`, `worker`: sizes compressed.
 *
 * Rounds are interleaved and medians taken; `spread` is the distance between the quartiles. Ratios within a run mean
 * something; figures of two runs, or of two machines, do not compare.
 */
import { fileURLToPath } from 'node:url';
import type { RawTransaction } from '../src/waf/transaction.ts';
import { dataFolder } from '../test/data.ts';
import { QUIET, quiet } from './harness/processes.ts';
import type { Benchmark, Options, Report } from './harness/runner.ts';
import { buildPeers } from './peers/waf/build.ts';
import { Peer } from './peers/waf/peer.ts';
import { peerConfiguration } from './peers/waf/rules.ts';
import { measureGateways } from './waf/gateways.ts';
import { attacks, gets, post, type BodyKind } from './waf/traffic.ts';

const LEVELS = [1, 2, 4] as const;
type Level = (typeof LEVELS)[number];
const KB = 1024;

interface Case {
  readonly id: string;
  readonly about: string;
  readonly transactions: readonly RawTransaction[];
  /** Ours alone: the slope. */
  readonly alone?: boolean;
}
function cases(): Case[] {
  const sized = (kind: BodyKind, sizes: readonly number[], alone = false): Case[] =>
    sizes.map((size) => {
      const name = size >= KB * KB ? `${size / KB / KB}m` : `${size / KB}k`;
      return { id: `${kind}.${name}`, about: `POST of ${kind}, ${name}`, transactions: [post(kind, size)], alone };
    });
  return [
    { id: 'get', about: '60 page views of browsers', transactions: gets() },
    {
      id: 'attacks',
      about: '78 attacks of 26 kinds, in query, form, JSON, XML, cookie, header',
      transactions: attacks(),
    },
    ...sized('json', [KB, 10 * KB, 100 * KB]),
    ...sized('form', [KB, 10 * KB, 100 * KB]),
    ...sized('prose', [KB, 10 * KB, 100 * KB]),
    ...sized('clear', [KB, 10 * KB, 100 * KB]),
    ...sized('upload', [10 * KB, 100 * KB]),
    ...sized('prose', [KB * KB], true),
    ...sized('clear', [KB * KB], true),
  ];
}

/** Spent on one engine in one turn, roughly. */
const TURN = 120e6;

export const run: Benchmark = async (report, options) => {
  const busy = await quiet(options.quick ? 5 : 60);
  if (busy > QUIET) report.note(`the machine was ${Math.round(busy * 100)} % busy with other things at the start`);
  for (const level of LEVELS) await measureLevel(level, report, options);
  await measureGateways(report, options);
  goals(report);
};

async function measureLevel(level: Level, report: Report, { quick }: Options): Promise<void> {
  const crs = dataFolder('crs');
  const rules = peerConfiguration({ crs, mode: 'log', paranoia: level });
  const { built, missing } = await buildPeers();
  if (level === LEVELS[0]) for (const sentence of missing) report.note(sentence);
  const engines = new Map<string, Peer>();
  try {
    const own = fileURLToPath(new URL('peers/waf/sallyport.ts', import.meta.url));
    engines.set('sallyport', await Peer.start(process.execPath, rules, [own, String(level)]));
    for (const [name, program] of Object.entries(built)) engines.set(name, await Peer.start(program, rules));
    const samples = new Map<string, { mean: number[]; p50: number[]; p99: number[] }>();
    const passes = new Map<string, number>();
    const list = cases();
    const asked = (one: Case, engine: string): boolean => one.alone !== true || engine === 'sallyport';
    // The first turn finds how many passes fill the time, and warms up.
    for (const one of list) {
      for (const [name, engine] of engines) {
        if (!asked(one, name)) continue;
        const warm = await engine.time(one.transactions, name === 'sallyport' ? 20 : 1, 1);
        const most = Math.ceil((quick ? TURN / 4 : TURN) / (warm.mean * one.transactions.length));
        if ((warm.limits ?? 0) > 0)
          report.note(`PL${level}, ${one.about}: ${engine.name} ran into a limit, so its row has no samples`);
        passes.set(`${one.id} ${name}`, Math.max(1, Math.min(2000, most)));
        samples.set(`${one.id} ${name}`, { mean: [], p50: [], p99: [] });
      }
    }
    for (let round = 0; round < (quick ? 3 : 9); round++) {
      for (const one of list) {
        for (const [name, engine] of engines) {
          if (!asked(one, name)) continue;
          const ran = await engine.time(one.transactions, 1, passes.get(`${one.id} ${name}`)!);
          // A row without samples never makes a goal hold.
          if ((ran.limits ?? 0) > 0) continue;
          const { mean, p50, p99 } = ran;
          const kept = samples.get(`${one.id} ${name}`)!;
          kept.mean.push(mean / 1000);
          kept.p50.push(p50 / 1000);
          kept.p99.push(p99 / 1000);
        }
      }
    }
    for (const one of list) {
      for (const [name, engine] of engines) {
        const kept = samples.get(`${one.id} ${name}`);
        if (!kept) continue;
        const id = `${one.id}.pl${level}.${name}`;
        report.row(id, engine.name, `PL${level}: ${one.about}, mean`, 'us', kept.mean);
        if (one.transactions.length === 1) continue;
        report.row(`${id}.p50`, engine.name, `PL${level}: ${one.about}, p50`, 'us', kept.p50);
        report.row(`${id}.p99`, engine.name, `PL${level}: ${one.about}, p99`, 'us', kept.p99);
      }
    }
    await measureMemory(level, engines, report, quick);
  } finally {
    for (const engine of engines.values()) engine.stop();
  }
}

/** After all rounds, and again after many more requests: nothing may grow. */
async function measureMemory(
  level: Level,
  engines: ReadonlyMap<string, Peer>,
  report: Report,
  quick: boolean,
): Promise<void> {
  const list = gets();
  for (const [name, engine] of engines) {
    const { rss } = await engine.time(list, 0, 1);
    report.row(`memory.pl${level}.${name}`, engine.name, `PL${level}: resident after all rounds`, 'MB', [
      rss / KB / KB,
    ]);
    if (name !== 'sallyport') continue;
    const about = `PL${level}: linear memory of the engine`;
    const before = await engine.time(list, 0, 1);
    const after = await engine.time(list, 0, quick ? 100 : 1000);
    report.row(`linear.pl${level}`, engine.name, about, 'MB', [(before.linear ?? Number.NaN) / KB / KB]);
    report.row(`linear.pl${level}.later`, engine.name, `${about} after more`, 'MB', [
      (after.linear ?? Number.NaN) / KB / KB,
    ]);
    report.row(`growth.pl${level}`, engine.name, `PL${level}: resident memory gained by 60,000 more`, 'MB', [
      (after.rss - before.rss) / KB / KB,
    ]);
  }
}

function goals(report: Report): void {
  const has = (name: string): boolean => report.rows.some(({ id }) => id === `get.pl1.${name}`);
  if (has('libmodsecurity')) {
    const against = (level: number, times: number): void =>
      report.goal(
        `get.pl${level}.libmodsecurity`,
        `an ordinary GET at PL${level} costs at most 1/${times} of libmodsecurity`,
        `get.pl${level}.libmodsecurity / get.pl${level}.sallyport >= ${times}`,
        'x',
      );
    against(1, 50);
    against(4, 40);
    report.goal(
      'get.pl1.hundred',
      'and, further, at most 1/100 at PL1',
      'get.pl1.libmodsecurity / get.pl1.sallyport >= 100',
      'x',
    );
  }
  if (has('coraza'))
    report.goal(
      'get.pl1.coraza',
      'an ordinary GET at PL1 costs at most 1/20 of Coraza',
      'get.pl1.coraza / get.pl1.sallyport >= 20',
      'x',
    );
  const slope = (kind: string, level: number, from: string, to: string, bytes: number): string =>
    `(${kind}.${to}.pl${level}.sallyport - ${kind}.${from}.pl${level}.sallyport) * 1000 / ${bytes}`;
  const limits = [
    ['clear', 10],
    ['prose', 40],
  ] as const;
  for (const [kind, limit] of limits) {
    for (const level of LEVELS) {
      const steep = slope(kind, level, '100k', '1m', 946_176);
      if (level === 1)
        report.goal(
          `slope.${kind}.pl1`,
          `${kind} at PL1 costs at most ${limit} ns a byte`,
          `${steep} <= ${limit}`,
          'ns',
        );
      report.goal(
        `linear.${kind}.pl${level}`,
        `${kind} at PL${level}: a byte of a body of 1 MB costs at most 1.3 times one of 100 KB`,
        `(${steep}) / (${slope(kind, level, '10k', '100k', 92_160)}) <= 1.3`,
        'x',
      );
    }
  }
  report.goal('memory', 'linear memory with CRS at PL4 is at most 24 MB', 'linear.pl4 <= 24', 'MB');
  report.goal(
    'growth',
    'linear memory does not grow with the number of requests',
    'linear.pl4.later - linear.pl4 <= 0',
    'MB',
  );
}
