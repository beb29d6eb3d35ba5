/** Part (b) of `routing`: what finding the route costs at 10, 1,000 and 100,000 routes. */
import { fork, type ChildProcess } from 'node:child_process';
import type { Options, Report } from '../harness/runner.ts';
import type { Ready, Round } from '../peers/routers.ts';

const SIZES = [10, 1000, 100_000] as const;
const PEERS = [
  { id: 'head', kind: 'engine', peer: 'Sallyport', what: 'whole head call: host, canonical path, client address, agent class, route' },
  { id: 'route', kind: 'engine-route', peer: 'Sallyport', what: 'route match alone, inside the engine' },
  { id: 'regexp', kind: 'RegExpRouter', peer: 'Hono RegExpRouter', what: 'match(method, path)' },
  { id: 'trie', kind: 'TrieRouter', peer: 'Hono TrieRouter', what: 'match(method, path)' },
] as const;
/** A table that takes longer to build has no place in a worker; what is given up is reported. */
const BUILD_SECONDS = 120;

interface Contestant {
  readonly id: string;
  readonly peer: string;
  readonly what: string;
  readonly size: number;
  readonly child: ChildProcess;
  readonly samples: number[];
}

export async function measureRouters(report: Report, { quick }: Options): Promise<void> {
  const contestants: Contestant[] = [];
  const rounds = quick ? 3 : 15;
  try {
    for (const size of SIZES) {
      for (const { id, kind, peer, what } of PEERS) {
        const child = fork(new URL('../peers/routers.ts', import.meta.url), [kind, String(size)], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
        const contestant = { id: `${id}.${size}`, peer, what, size, child, samples: [] };
        const { buildMs, failure } = await built(child, quick ? 20 : BUILD_SECONDS);
        if (failure) {
          child.kill('SIGKILL');
          report.note(`${peer} with ${size} routes: ${failure}`);
          report.row(contestant.id, peer, `${size} routes, ${what}`, 'ns', []);
        } else {
          contestants.push(contestant);
          report.row(`build.${contestant.id}`, peer, `${size} routes, until the first answer`, 'ms', [buildMs]);
        }
      }
    }
    for (let round = 0; round < rounds; round++) {
      for (const contestant of contestants) contestant.samples.push(await measured(contestant.child, quick ? 50 : 200));
    }
  } finally {
    for (const { child } of contestants) child.kill('SIGKILL');
  }
  for (const { id, peer, what, size, samples } of contestants) report.row(id, peer, `${size} routes, ${what}`, 'ns', samples);

  report.goal('flat', 'the head call costs the same at 100,000 routes as at 10', 'head.100000 / head.10 <= 1.3', 'x');
  for (const size of SIZES) {
    for (const router of ['regexp', 'trie']) {
      if (report.rows.find((row) => row.id === `${router}.${size}`)?.samples.length === 0) continue; // noted above
      const name = router === 'trie' ? 'TrieRouter' : 'RegExpRouter';
      report.goal(`ahead.${router}.${size}`, `the whole head call costs less than ${name} alone, ${size} routes`, `head.${size} / ${router}.${size} <= 1`, 'x');
      report.goal(`ahead.route.${router}.${size}`, `the engine's route match costs less than ${name}, ${size} routes`, `route.${size} / ${router}.${size} <= 1`, 'x');
    }
  }
}

function built(child: ChildProcess, seconds: number): Promise<{ buildMs: number; failure: string }> {
  return new Promise((done) => {
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
    const timer = setTimeout(() => done({ buildMs: Number.NaN, failure: `not built after ${seconds} s, given up` }), seconds * 1000);
    child.once('message', (ready: Ready) => (clearTimeout(timer), done({ buildMs: ready.buildMs, failure: '' })));
    child.once('exit', () => {
      clearTimeout(timer);
      done({ buildMs: Number.NaN, failure: /^\w*Error: .*$/m.exec(said)?.[0] ?? (said.trim() || 'ended without an answer') });
    });
  });
}

function measured(child: ChildProcess, milliseconds: number): Promise<number> {
  return new Promise((done, fail) => {
    const ended = (): void => fail(new Error('a router process ended while it was measured'));
    child.once('exit', ended);
    child.once('message', (round: Round) => (child.off('exit', ended), done(round.nanoseconds)));
    child.send(milliseconds);
  });
}
