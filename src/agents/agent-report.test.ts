import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { AgentReport, batches, dayOf, readReport, sendTallies } from './agent-report.ts';
import { addCharge, addEvents, addRefusal, emptyTally, gather, type AgentTally } from './agent-tally.ts';
import {
  MAX_LISTED_AGENTS,
  MAX_PENDING_AGENTS,
  MAX_PENDING_KINDS,
  MAX_REPORT_AGENTS,
  MAX_REPORT_REFUSALS,
  MAX_REPORT_TEXT,
  REPORT_DAYS,
} from './report-limits.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-11-21T12:00:00Z');

function storage() {
  let database = new DatabaseSync(':memory:');
  const alarms: number[] = [];
  return {
    alarms,
    sql: {
      exec(query: string, ...values: (string | number)[]) {
        const statement = database.prepare(query);
        if (query.startsWith('SELECT')) {
          const rows = statement.all(...values) as Record<string, unknown>[];
          return { rowsWritten: 0, toArray: () => rows };
        }
        return { rowsWritten: Number(statement.run(...values).changes), toArray: () => [] };
      },
    },
    getAlarm: () => Promise.resolve(alarms.at(-1) ?? null),
    setAlarm: (time: number) => Promise.resolve(void alarms.push(time)),
    deleteAll() {
      database = new DatabaseSync(':memory:');
      alarms.length = 0;
      return Promise.resolve();
    },
  };
}

/** Objects of one process, by name. */
function namespace(clock: { now: number }) {
  const objects = new Map<string, AgentReport>();
  return {
    objects,
    idFromName: (name: string) => name,
    get(name: never) {
      let object = objects.get(name);
      if (object === undefined)
        objects.set(name, (object = new AgentReport({ storage: storage() }, null, () => clock.now)));
      const found = object;
      return { fetch: (url: string, init?: RequestInit) => found.fetch(new Request(url, init)) };
    },
  };
}

const NAME = { app: 'shop', agent: 'GPTBot', operator: 'OpenAI', category: 'training', identity: 'claimed' };

function tally(more: Partial<AgentTally> = {}): AgentTally {
  return { ...emptyTally(NAME), requests: 1, ...more };
}

describe('the report', () => {
  test('adds what isolates send, of all shards', async () => {
    const space = namespace({ now: NOW });
    const one = tally();
    addEvents(one, {
      robots: true,
      tokens: [
        { input: 10, output: 5, estimated: false },
        { input: 1, output: 2, estimated: true },
      ],
      charges: [{ currency: 'USD', millionths: 10_000 }],
    });
    one.refused = 1;
    addRefusal(one, { phase: 'rules', rule: 'no training', reason: 'go away', requests: 1 });
    for (const shard of [0, 3, 3]) assert.equal(await sendTallies(space, shard, [one]), true);
    assert.deepEqual(await readReport(space, dayOf('2026-11-21', NOW)!), {
      since: '2026-11-21',
      until: '2026-11-21',
      agents: [
        {
          ...NAME,
          ...{ requests: 3, robotsViolations: 3, refused: 3, tokens: { input: 33, output: 21, estimated: 9 } },
          refusals: [{ phase: 'rules', rule: 'no training', reason: 'go away', requests: 3 }],
          charges: [{ currency: 'USD', millionths: 30_000, requests: 3 }],
        },
      ],
    });
  });

  test('keeps days apart, and REPORT_DAYS of them', async () => {
    const clock = { now: NOW };
    const space = namespace(clock);
    for (let day = 0; day < REPORT_DAYS + 5; day++) {
      clock.now = NOW + day * DAY;
      await sendTallies(space, 0, [tally()]);
    }
    const asked = async (since: string) => (await readReport(space, dayOf(since, clock.now)!)).agents[0]!.requests;
    assert.equal(await asked('1d'), 1);
    assert.equal(await asked('7d'), 7);
    assert.equal(await asked('90d'), REPORT_DAYS);
    const { since, until } = await readReport(space, dayOf('7d', clock.now)!);
    assert.deepEqual([since, until], ['2026-12-19', '2026-12-25']);
  });

  test('the alarm drops what is over, and all once nothing is left', async () => {
    const clock = { now: NOW };
    const state = storage();
    const object = new AgentReport({ storage: state }, null, () => clock.now);
    const send = () => object.fetch(new Request('http://report/', { method: 'POST', body: JSON.stringify([tally()]) }));
    assert.equal((await send()).status, 204);
    assert.deepEqual(state.alarms, [Date.parse('2026-11-22T00:00:00Z')]);
    clock.now += DAY;
    await object.alarm();
    assert.equal(state.alarms.at(-1), Date.parse('2026-11-23T00:00:00Z'));
    clock.now += REPORT_DAYS * DAY;
    await object.alarm();
    assert.deepEqual(state.alarms, []);
    assert.equal((await send()).status, 204);
  });

  test('has MAX_REPORT_AGENTS rows a day and shard; what comes later is counted as other', async () => {
    const space = namespace({ now: NOW });
    const many = Array.from({ length: MAX_REPORT_AGENTS + 7 }, (_, index) =>
      tally({ agent: `a${index}`, requests: 2, refusals: [{ phase: 'p', rule: 'r', reason: '', requests: 2 }] }),
    );
    await sendTallies(space, 0, many);
    await sendTallies(space, 0, many.slice(-7));
    const { agents } = await readReport(space, dayOf('1d', NOW)!);
    const other = agents.find(({ agent }) => agent === 'other')!;
    assert.equal(other.requests, 28);
    assert.equal(other.refusals[0]!.requests, 28);
    assert.equal(
      agents.reduce((sum, { requests }) => sum + requests, 0),
      2 * MAX_REPORT_AGENTS + 28,
    );
  });

  test('lists MAX_LISTED_AGENTS, the busiest, and counts the rest', async () => {
    const space = namespace({ now: NOW });
    for (const shard of [0, 1, 2])
      await sendTallies(
        space,
        shard,
        Array.from({ length: MAX_REPORT_AGENTS }, (_, index) =>
          tally({ agent: `s${shard}-${index}`, requests: shard + 1 }),
        ),
      );
    const { agents } = await readReport(space, dayOf('1d', NOW)!);
    assert.equal(agents.length, MAX_LISTED_AGENTS + 1);
    assert.equal(agents.find(({ agent }) => agent === 'other')!.requests, MAX_REPORT_AGENTS);
    assert.ok(agents.filter(({ agent }) => agent !== 'other').every(({ requests }) => requests >= 2));
  });

  test('has MAX_REPORT_REFUSALS different refusals a day and shard', async () => {
    const space = namespace({ now: NOW });
    const total = MAX_REPORT_REFUSALS + 64;
    for (let from = 0; from < total; from += MAX_PENDING_KINDS)
      await sendTallies(space, 0, [
        tally({
          agent: `a${from}`,
          refusals: Array.from({ length: MAX_PENDING_KINDS }, (_, index) => ({
            ...{ phase: 'rules', rule: `r${from + index}`, reason: '', requests: 1 },
          })),
        }),
      ]);
    const { agents } = await readReport(space, dayOf('1d', NOW)!);
    const refusals = agents.flatMap((agent) => agent.refusals);
    assert.equal(
      refusals.reduce((sum, { requests }) => sum + requests, 0),
      total,
    );
    assert.equal(refusals.filter(({ rule }) => rule === 'other').length, 2);
  });

  test('takes nothing that is no list of tallies', async () => {
    const object = new AgentReport({ storage: storage() }, null, () => NOW);
    const send = async (body: string) =>
      (await object.fetch(new Request('http://report/', { method: 'POST', body }))).status;
    assert.equal(await send('[]'), 204);
    for (const wrong of ['', '{}', '[1]', '[null]', JSON.stringify([{ ...tally(), requests: -1 }])])
      assert.equal(await send(wrong), 400, wrong);
    assert.equal(await send(JSON.stringify([{ ...tally(), refusals: [{ phase: 1 }] }])), 400);
    assert.equal(await send(' '.repeat(1_048_577)), 400);
  });

  test('takes all that an isolate may gather, in as many writes as that needs', async () => {
    const long = (what: string, n: number) => `${what}${n} `.padEnd(MAX_REPORT_TEXT, '"');
    const refusals = Array.from({ length: MAX_PENDING_KINDS }, (_, n) => ({
      ...{ phase: 'rules', rule: long('rule', n), reason: long('reason', n), requests: 1 },
    }));
    const all = Array.from({ length: MAX_PENDING_AGENTS }, (_, n) => tally({ agent: long('agent', n), refusals }));
    const space = namespace({ now: NOW });
    let arrived = 0;
    for (const batch of batches(all)) {
      assert.equal(await sendTallies(space, 0, batch), true, `${batch.length} agents`);
      arrived += batch.length;
    }
    assert.equal(arrived, MAX_PENDING_AGENTS);
    assert.deepEqual([...batches([])], []);
    assert.deepEqual([...batches([tally()])], [[tally()]]);
  });

  test('a shard that does not answer fails the report, and a write says so', async () => {
    const space = { idFromName: () => '', get: () => ({ fetch: () => Promise.reject(new Error('gone')) }) };
    await assert.rejects(readReport(space, 0));
    assert.equal(await sendTallies(space, 0, []), false);
  });
});

describe('a tally', () => {
  test('is of one app, agent and identity; names are cut', () => {
    const map = new Map<string, AgentTally>();
    const first = gather(map, NAME, 2);
    assert.equal(gather(map, { ...NAME, operator: 'Other' }, 2), first);
    assert.notEqual(gather(map, { ...NAME, identity: 'verified' }, 2), first);
    assert.equal(gather(map, { ...NAME, agent: 'x' }, 2).agent, 'other');
    assert.equal(gather(map, { ...NAME, agent: 'y' }, 2), gather(map, { ...NAME, agent: 'z' }, 2));
    assert.equal(emptyTally({ ...NAME, agent: 'x'.repeat(300) }).agent.length, MAX_REPORT_TEXT);
  });

  test('has MAX_PENDING_KINDS refusals, the last of them for all others', () => {
    const one = tally();
    for (let index = 0; index < 50; index++)
      addRefusal(one, { phase: 'rules', rule: `r${index}`, reason: '', requests: 1 });
    assert.equal(one.refusals.length, MAX_PENDING_KINDS);
    assert.deepEqual(one.refusals.at(-1), {
      phase: '',
      rule: 'other',
      reason: '',
      requests: 50 - MAX_PENDING_KINDS + 1,
    });
    for (let index = 0; index < 50; index++) addCharge(one, { currency: `c${index}`, millionths: 1, requests: 1 });
    assert.equal(one.charges.length, MAX_PENDING_KINDS);
  });
});

test('days', () => {
  assert.equal(dayOf('1d', NOW), Math.floor(NOW / DAY));
  assert.equal(dayOf('7d', NOW), Math.floor(NOW / DAY) - 6);
  assert.equal(dayOf('2026-11-21', NOW), Math.floor(NOW / DAY));
  for (const wrong of ['', '0d', '7', '2026-02-30', '2026-13-01', 'today', '1000d'])
    assert.equal(dayOf(wrong, NOW), null, wrong);
});
