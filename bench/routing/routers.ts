/** Part (b) of `routing`: what finding the route costs at 10, 1,000 and 100,000 routes. */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildEngine } from '../../scripts/build-engine.ts';
import type { Options, Report } from '../harness/runner.ts';
import type { Ready, Round } from '../peers/routers.ts';

const SIZES = [10, 1000, 100_000] as const;
/** A table that takes longer to build has no place in a worker; what is given up is reported. */
const BUILD_SECONDS = 120;

interface Contestant {
  readonly kind: string;
  readonly size: number;
  readonly child: ChildProcess;
  readonly rounds: Round[];
}

const HONO = { RegExpRouter: 'regexp', TrieRouter: 'trie' } as const;
/** What each stage of the head call adds to the one before. */
const STAGES = [
  ['copy', 'head text into the memory, the crossing itself, the answer read out'],
  ['parse', 'separators, control bytes, header index, URL and Host'],
  ['app', 'host to app, canonical path, client address'],
  ['route', 'the route match alone'],
  ['rest', 'the rest of the head call: agent class'],
] as const;

export async function measureRouters(report: Report, { quick }: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  const contestants: Contestant[] = [];
  try {
    const stages = join(folder, 'stages.wasm');
    writeFileSync(stages, await buildEngine({ entry: 'bench/assembly/stages.ts', folder: 'build/bench' }));
    for (const size of SIZES) {
      for (const kind of ['engine', 'stages', 'RegExpRouter', 'TrieRouter']) {
        const script = new URL('../peers/routers.ts', import.meta.url);
        const words = [kind, String(size), ...(kind === 'stages' ? [stages] : [])];
        const child = fork(script, words, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
        const { buildMs, failure } = await built(child, quick ? 20 : BUILD_SECONDS);
        if (failure === '') {
          contestants.push({ kind, size, child, rounds: [] });
          if (kind !== 'stages') {
            const peer = kind === 'engine' ? 'Sallyport' : `Hono ${kind}`;
            report.row(
              `build.${kind.toLowerCase()}.${size}`,
              peer,
              `${size} routes, from the table to the first answer`,
              'ms',
              [buildMs],
            );
          }
        } else {
          child.kill('SIGKILL');
          if (!(kind in HONO)) throw new Error(`${kind} with ${size} routes: ${failure}`);
          report.note(`Hono ${kind} with ${size} routes: ${failure}`);
        }
      }
    }
    for (let round = 0; round < (quick ? 3 : 21); round++) {
      for (const { kind, child, rounds } of contestants) {
        rounds.push(await measured(child, (quick ? 60 : 150) * (kind === 'stages' ? STAGES.length : 1)));
      }
    }
  } finally {
    for (const { child } of contestants) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }

  for (const { kind, size, rounds } of contestants) {
    const samples = (name: string): number[] => rounds.map((round) => round[name]!);
    if (kind === 'engine') {
      report.row(
        `head.${size}`,
        'Sallyport',
        `${size} routes, whole head call with 12 browser headers`,
        'ns',
        samples('head'),
      );
    } else if (kind === 'stages') {
      STAGES.forEach(([name, what], index) => {
        const before = index === 0 ? [] : samples(STAGES[index - 1]![0]);
        const added = samples(name).map((sample, turn) => sample - (before[turn] ?? 0));
        report.row(`${name}.${size}`, 'Sallyport', `${size} routes, ${what}`, 'ns', added);
      });
    } else {
      report.row(
        `${HONO[kind as keyof typeof HONO]}.${size}`,
        `Hono ${kind}`,
        `${size} routes, match(method, path) on a path cut out already`,
        'ns',
        samples('match'),
      );
    }
  }

  report.goal('flat', 'the head call costs the same at 100,000 routes as at 10', 'head.100000 / head.10 <= 1.3', 'x');
  for (const { kind, size } of contestants) {
    if (!(kind in HONO)) continue;
    const id = HONO[kind as keyof typeof HONO];
    report.goal(
      `ahead.${id}.${size}`,
      `at ${size} routes, a whole head call costs less than ${kind} alone`,
      `head.${size} / ${id}.${size} < 1`,
      'x',
    );
    report.goal(
      `ahead.route.${id}.${size}`,
      `at ${size} routes, the engine's route match costs less than ${kind}`,
      `route.${size} / ${id}.${size} < 1`,
      'x',
    );
  }
}

function built(child: ChildProcess, seconds: number): Promise<{ buildMs: number; failure: string }> {
  return new Promise((done) => {
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
    const timer = setTimeout(
      () => done({ buildMs: Number.NaN, failure: `not built after ${seconds} s, given up` }),
      seconds * 1000,
    );
    child.once('message', (ready: Ready) => (clearTimeout(timer), done({ buildMs: ready.buildMs, failure: '' })));
    child.once('exit', () => {
      clearTimeout(timer);
      done({
        buildMs: Number.NaN,
        failure: /^\w*Error: .*$/m.exec(said)?.[0] ?? (said.trim() || 'ended without an answer'),
      });
    });
  });
}

function measured(child: ChildProcess, milliseconds: number): Promise<Round> {
  return new Promise((done, fail) => {
    const ended = (): void => fail(new Error('a router process ended while it was measured'));
    child.once('exit', ended);
    child.once('message', (round: Round) => (child.off('exit', ended), done(round)));
    child.send(milliseconds);
  });
}
