import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PROOF_CLAIMED } from '../../assembly/abi.ts';
import type { AgentTally } from '../agents/agent-tally.ts';
import { REPORT_FLUSH_MS } from '../agents/report-limits.ts';
import type { AgentPlatform } from '../platform/platform.ts';
import { action, backend, plan, run } from '../router/testing.ts';
import { reportLate } from './agent-report.ts';

/** An object that takes what is written, or fails. */
function object() {
  const writes: { tallies: AgentTally[] }[] = [];
  const state = { fails: false, failures: 0, writes };
  const fetch = (_url: string, init?: RequestInit): Promise<Response> => {
    if (state.fails) {
      state.failures++;
      return Promise.reject(new Error('gone'));
    }
    writes.push({ tallies: JSON.parse(init?.body as string) as AgentTally[] });
    return Promise.resolve(new Response(null, { status: 204 }));
  };
  const report = { idFromName: (name: string) => name, get: () => ({ fetch }) };
  const agents: AgentPlatform = { fetch: () => Promise.reject(new Error('no')), guard: null, report, options: {} };
  return { state, agents };
}

const SHOP = plan({ '/': action() }, [backend('web', ['http://origin.test'])]);
const ask = (agents: AgentPlatform, path: string, identity: number) =>
  run(SHOP, path, {}, { head: (result) => ({ ...result, identity }) }, { agents });

const requests = (writes: readonly { tallies: AgentTally[] }[]): number =>
  writes.flatMap(({ tallies }) => tallies).reduce((sum, tally) => sum + tally.requests, 0);

/** Until so many requests were written. */
async function until(writes: readonly { tallies: AgentTally[] }[], count: number): Promise<void> {
  const late = Date.now() + 10_000;
  while (requests(writes) < count && Date.now() < late) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('the report of an isolate', () => {
  test('has agents and what was written of them, not people; a write a second', { timeout: 20_000 }, async () => {
    const { state, agents } = object();
    const begun = Date.now();
    await ask(agents, '/person', 0);
    assert.equal(state.writes.length, 0);
    for (let index = 0; index < 4; index++) {
      const { exchange } = await ask(agents, '/agent', PROOF_CLAIMED);
      if (index === 0) reportLate(exchange, ({ tokens }) => void tokens.push({ input: 3, output: 4, estimated: true }));
    }
    await until(state.writes, 4);
    assert.equal(requests(state.writes), 4);
    const tallies = state.writes.flatMap((write) => write.tallies);
    assert.deepEqual(
      tallies.map(({ tokens }) => tokens).filter(({ input }) => input > 0),
      [{ input: 3, output: 4, estimated: 7 }],
    );
    assert.deepEqual([...new Set(tallies.map(({ app, identity }) => `${app} ${identity}`))], ['test claimed']);
    assert.ok(state.writes.length <= (Date.now() - begun) / REPORT_FLUSH_MS + 2, `${state.writes.length} writes`);
  });

  test('a write that fails is made up for', { timeout: 20_000 }, async () => {
    const { state, agents } = object();
    state.fails = true;
    await ask(agents, '/agent', PROOF_CLAIMED);
    while (state.failures === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(state.writes.length, 0);
    state.fails = false;
    await ask(agents, '/agent', PROOF_CLAIMED);
    await until(state.writes, 2);
    assert.equal(requests(state.writes), 2);
  });
});
