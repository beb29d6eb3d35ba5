/**
 * `npm run bench -- routing`: what it costs to be in the path of a request.
 *
 * (a) `cpu.*`, `rate.*`: whole proxies in front of one nginx that answers `ok`, over 32 connections. Each request has the
 *     12 headers of a browser and goes to one of 1,000 routes in turn, one in ten is a POST. All workers run in plain
 *     workerd with one form of configuration and the same compatibility flags. `cpu` is the CPU time of the server
 *     process, user and system, all threads, over the requests it answered: read this one. It is taken in bursts of 300
 *     requests, peer after peer, so that whatever else the machine does weighs on all alike; each sample is the mean
 *     over three processes of the peer, since two processes of the same program differ by some percent for their lives.
 *     `rate` comes from `wrk`, in rounds of seconds, and depends on how load, origin and server share the cores.
 *     `bare` and `copying` are the baselines of the goals; `hono`, `headers`, `log`, `engine` add one layer at a time
 *     (bench/peers/layers.ts), so that the difference between two rows is the price of a layer. Before anything is
 *     measured, the copying worker and Sallyport are asked the same question and must send the origin the same headers,
 *     give the client the same answer and write the same log line, ids and times apart; otherwise the run stops.
 * (b) `head.N`, `regexp.N`, `trie.N`: the engine's whole head call (src/waf/engine.ts, in Node) at N routes beside the
 *     `match` of Hono's routers on the same table, each in a process of its own. They do not do the same work: the
 *     routers get a method and a path that somebody has cut out already, and return the handlers that match. The head
 *     call gets raw text with all headers, and finds host, app, canonical path, client address, agent class and route.
 *     `copy`, `parse`, `app`, `route`, `rest` are the parts of the head call, each the difference of two cut-off calls
 *     in the same round; `route.N` is what does the same work as the routers, and what to compare them with.
 * (c) `cpu.nginx`: nginx with `proxy_pass` and keep-alive, for orientation: one location, no log, no headers of a gateway.
 * (d) `start.*` is the time from spawn to the first 200 through a route; `memory.*` is resident memory after it and after
 *     all rounds.
 *
 * Rounds are interleaved and medians taken; `spread` is the distance between the quartiles. Ratios within a run mean
 * something; figures of two runs, or of two machines, do not compare.
 */
import { QUIET, quiet } from './harness/processes.ts';
import type { Benchmark } from './harness/runner.ts';
import { measureProxies } from './routing/proxies.ts';
import { measureRouters } from './routing/routers.ts';

export const run: Benchmark = async (report, options) => {
  const busy = await quiet(options.quick ? 5 : 60);
  if (busy > QUIET) report.note(`the machine was ${Math.round(busy * 100)} % busy with other things at the start`);
  await measureRouters(report, options);
  await measureProxies(report, options);
};
