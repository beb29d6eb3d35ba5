/**
 * What this isolate knows of agents since its last write, and the write: at most one in REPORT_FLUSH_MS. What is lost with
 * an isolate is what it gathered since then.
 */
import type { ObjectNamespace } from '../durable-object.ts';
import { agentEvents, type AgentEvents } from '../agents/agent-events.ts';
import { batches, sendTallies } from '../agents/agent-report.ts';
import { addEvents, addRefusal, addTally, gather, type AgentName, type AgentTally } from '../agents/agent-tally.ts';
import { MAX_PENDING_AGENTS, REPORT_FLUSH_MS, REPORT_SHARDS } from '../agents/report-limits.ts';
import { callerOf } from '../router/caller.ts';
import type { Exchange } from '../router/exchange.ts';

let pending = new Map<string, AgentTally>();
/** Of this isolate; drawn with the first write. */
let shard = -1;
/** When the write that is on its way began, or is to begin, ms since the epoch; 0: none is. */
let due = 0;
let sentAt = 0;
/** The runtime may drop the request whose context a write belongs to, and the write with it. */
const LOST_MS = 10_000;

/** Counts an exchange that has its answer, where an agent sent it, or where somebody wrote events. */
export function reportAgent(exchange: Exchange): void {
  const { result, agentEvents: events, platform } = exchange;
  // PERF: all that the request of a person costs.
  if (events === null && (result === null || result.identity === 0)) return;
  const report = platform.agents?.report ?? null;
  if (report === null) return;
  const tally = gather(pending, agentOf(exchange), MAX_PENDING_AGENTS);
  tally.requests++;
  if (events !== null) addEvents(tally, events);
  const refusal = exchange.verdicts.findLast((one) => one.mode === 'enforce' && one.action === 'block');
  if (refusal !== undefined) {
    tally.refused++;
    addRefusal(tally, { phase: refusal.phase, rule: refusal.rule, reason: refusal.reason, requests: 1 });
  }
  flush(exchange, report);
}

/** What became known after the answer had begun, such as the tokens of a stream; the request was counted before. */
export function reportLate(exchange: Exchange, write: (events: AgentEvents) => void): void {
  const report = exchange.platform.agents?.report ?? null;
  if (report === null) return;
  const holder = { agentEvents: null };
  write(agentEvents(holder));
  addEvents(gather(pending, agentOf(exchange), MAX_PENDING_AGENTS), agentEvents(holder));
  flush(exchange, report);
}

/** Who sent a request, as the report names it. */
function agentOf(exchange: Exchange): AgentName {
  const { name: agent, operator, category, identity } = callerOf(exchange);
  return { app: exchange.plan?.app ?? '', agent, operator, category, identity };
}

function flush(exchange: Exchange, report: ObjectNamespace): void {
  const now = exchange.startedAt;
  if (due !== 0 && now < due + LOST_MS) return;
  const wait = Math.max(0, sentAt + REPORT_FLUSH_MS - now);
  due = now + wait;
  // The context outlives the client now, so what is dialled has to be told when the client leaves: nothing is, by here.
  exchange.context.waitUntil(send(report, wait));
}

/** Writes of one exchange's context: what comes while one is on its way goes with the next. */
const MAX_WRITES = 3;

async function send(report: ObjectNamespace, first: number): Promise<void> {
  let wait = first;
  for (let write = 0; write < MAX_WRITES && pending.size > 0; write++) {
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    wait = REPORT_FLUSH_MS;
    sentAt = Date.now();
    const sent = pending;
    pending = new Map();
    if (shard < 0) shard = Math.floor(Math.random() * REPORT_SHARDS);
    let arrived = true;
    for (const batch of batches([...sent.values()])) {
      if (arrived && (await sendTallies(report, shard, batch))) continue;
      arrived = false;
      // Counted on; what does not fit is `other`. Tried again with what comes next.
      for (const tally of batch) addTally(gather(pending, tally, MAX_PENDING_AGENTS), tally);
    }
    if (!arrived) break;
  }
  due = 0;
}
