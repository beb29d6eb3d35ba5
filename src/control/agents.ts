/** Agents in the control API: who came, what was refused and why, tokens and charges. */
import { Hono } from 'hono';
import { dayOf, readReport } from '../agents/agent-report.ts';
import { refuse, type ControlContext } from './call.ts';

/** The days that a report is about unless it is asked for others. */
const DEFAULT_SINCE = '7d';

export const agents = new Hono<{ Bindings: ControlContext }>();

agents.get('/v1/agents', async (c) => {
  const { AGENT_REPORT: report } = c.env.env;
  if (report === undefined) return refuse(c.req.raw, 501, 'this deployment keeps no report about agents');
  const since = dayOf(c.req.query('since') ?? DEFAULT_SINCE, Date.now());
  if (since === null) return refuse(c.req.raw, 400, 'since takes a day, as 2026-11-21, or a number of them, as 7d');
  try {
    return c.json(await readReport(report, since));
  } catch {
    return refuse(c.req.raw, 503, 'not all of the objects that keep the report answer');
  }
});
