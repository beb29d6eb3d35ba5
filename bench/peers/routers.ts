/**
 * One router with one table in a process of its own, so that no peer's garbage or inline caches weigh on another:
 * `routers.ts KIND SIZE`, forked by bench/routing/routers.ts. Answers each message with the mean cost of a match over
 * one round, and checks every answer of the table once before anything is timed.
 */
import { RegExpRouter } from 'hono/router/reg-exp-router';
import { TrieRouter } from 'hono/router/trie-router';
import type { Router } from 'hono/router';
import { byPrecedence, honoPath, requestsFor, routeTable, type TableRequest, type TableRoute } from '../harness/table.ts';
import { engineRouter } from './engine.ts';

export interface Ready {
  readonly buildMs: number;
}
export interface Round {
  readonly nanoseconds: number;
}

/** Answers the index of the route that won, -1 for none. */
export type Find = (request: TableRequest, index: number) => number;

/** Enough that neither the branch predictor nor a cache of one path learns the list. */
const REQUESTS = 1024;

const [kind, sizeText] = process.argv.slice(2);
const size = Number(sizeText);
const routes = routeTable(size);
const requests = requestsFor(size, REQUESTS);

function honoRouter(router: Router<number>, table: readonly TableRoute[]): Find {
  // Hono answers every handler that matches, in order of registration; the first is what a request ends at.
  for (const index of byPrecedence(table)) router.add(table[index]!.method ?? 'ALL', honoPath(table[index]!), index);
  return (request) => router.match(request.method, request.path)[0][0]?.[0] ?? -1;
}

const begun = performance.now();
const find: Find =
  kind === 'RegExpRouter'
    ? honoRouter(new RegExpRouter<number>(), routes)
    : kind === 'TrieRouter'
      ? honoRouter(new TrieRouter<number>(), routes)
      : await engineRouter(routes, requests, kind!);
find(requests[0]!, 0); // Hono builds its matcher on the first match.
const buildMs = performance.now() - begun;
requests.forEach((request, index) => {
  const route = find(request, index);
  if (route !== request.route) throw new Error(`${kind} with ${size} routes: ${request.method} ${request.target} went to route ${route}, not ${request.route}`);
});

function round(milliseconds: number): number {
  const start = performance.now();
  let done = 0;
  let elapsed = 0;
  let sum = 0;
  do {
    for (let index = 0; index < REQUESTS; index++) sum += find(requests[index]!, index);
    done += REQUESTS;
    elapsed = performance.now() - start;
  } while (elapsed < milliseconds);
  if (sum < 0) throw new Error('a request found no route'); // also keeps the calls from being optimised away
  return (elapsed / done) * 1e6;
}

round(300); // until V8 has optimised
process.on('message', (milliseconds: number) => process.send!({ nanoseconds: round(milliseconds) } satisfies Round));
process.on('disconnect', () => process.exit());
process.send!({ buildMs } satisfies Ready);
