/**
 * One router with one table in a process of its own, so that no peer's garbage or inline caches weigh on another:
 * `routers.ts KIND SIZE [WASM]`, forked by bench/routing/routers.ts. Checks every answer of the table once before
 * anything is timed, then answers each message with the mean cost of a match over one round.
 *
 * KIND is a class of Hono, `engine` for whole head calls, or `stages` for what each stage of the head call adds.
 */
import { RegExpRouter } from 'hono/router/reg-exp-router';
import { TrieRouter } from 'hono/router/trie-router';
import type { Router } from 'hono/router';
import { OUTCOME_OK } from '../../assembly/abi.ts';
import { byPrecedence, honoPath, requestsFor, routeTable, type TableRequest } from '../harness/table.ts';
import { headsOf, loadedEngine } from './engine.ts';

export interface Ready {
  readonly buildMs: number;
}
/** Nanoseconds a request, by what was timed. */
export type Round = Readonly<Record<string, number>>;

/** Answers the index of the route that won, -1 for none. */
type Find = (request: TableRequest, index: number) => number;

/** Enough that neither the branch predictor nor a cache of one path learns the list. */
const REQUESTS = 1024;

const [kind, sizeText, wasm] = process.argv.slice(2);
const size = Number(sizeText);
const requests = requestsFor(size, REQUESTS);

function honoRouter(router: Router<number>): Find {
  const routes = routeTable(size);
  // Hono answers every handler that matches, in order of registration; the first is what a request ends at.
  for (const index of byPrecedence(routes)) {
    const route = routes[index]!;
    router.add(route.method ?? 'ALL', honoPath(route), index);
  }
  return (request) => router.match(request.method, request.path)[0][0]?.[0] ?? -1;
}

/** With the benchmark's engine (bench/assembly/stages.ts), `stage` is where the head call stops. */
async function engineRouter(): Promise<(stage: number) => Find> {
  const { engine, generation } = await loadedEngine(size, false, wasm);
  const heads = headsOf(requests);
  return (stage) => (_, index) => {
    const result = engine.head(generation, heads[index]!, stage, 0);
    return result.outcome === OUTCOME_OK ? result.route : -1;
  };
}

function time(find: Find, milliseconds: number): number {
  const start = performance.now();
  let done = 0;
  let elapsed = 0;
  let sum = 0;
  do {
    for (let index = 0; index < REQUESTS; index++) sum += find(requests[index]!, index);
    done += REQUESTS;
    elapsed = performance.now() - start;
  } while (elapsed < milliseconds);
  if (Number.isNaN(sum)) throw new Error('no route is a number'); // keeps the calls from being optimised away
  return (elapsed / done) * 1e6;
}

const begun = performance.now();
const timed: Record<string, Find> = {};
if (kind === 'RegExpRouter') timed['match'] = honoRouter(new RegExpRouter<number>());
else if (kind === 'TrieRouter') timed['match'] = honoRouter(new TrieRouter<number>());
else {
  const upTo = await engineRouter();
  if (kind === 'engine') timed['head'] = upTo(0);
  else ['copy', 'parse', 'app', 'route', 'rest'].forEach((name, stage) => (timed[name] = upTo(stage)));
}
const answering = timed['match'] ?? timed['head'] ?? timed['rest']!;
answering(requests[0]!, 0); // Hono builds its matcher on the first match.
const buildMs = performance.now() - begun;
requests.forEach((request, index) => {
  const route = answering(request, index);
  if (route !== request.route)
    throw new Error(
      `${kind} with ${size} routes: ${request.method} ${request.target} went to route ${route}, not ${request.route}`,
    );
});

function round(milliseconds: number): Round {
  const names = Object.keys(timed);
  return Object.fromEntries(names.map((name) => [name, time(timed[name]!, milliseconds / names.length)]));
}

round(500); // until V8 has optimised
process.on('message', (milliseconds: number) => process.send!(round(milliseconds)));
process.on('disconnect', () => process.exit());
process.send!({ buildMs } satisfies Ready);
