/**
 * Tunnels in the control API: what there is, what may enter, what is revoked, what is offered to whom. The registry of
 * the project keeps it, the sessions of a tunnel act on it; a change is answered when both have it.
 */
import { Hono } from 'hono';
import type { Env } from '../platform/bindings.ts';
import { registryOf, type Registry } from '../platform/registry.ts';
import { tunnelPolicy } from '../router/tunnel-policy.ts';
import { LABEL } from '../tunnel/capability.ts';
import { CONSENT_DENIALS, MAX_CONSENT_LENGTH, readConsent } from '../tunnel/consent.ts';
import { sessionName, type SessionStatus, type TunnelSessionStub } from '../tunnel/objects.ts';
import { holds, isRefused, type Offer, type Refused, type TunnelRecord } from '../tunnel/register.ts';
import { log, readBody, refuse, type ControlContext } from './call.ts';
import { thumbprint } from './signature.ts';

const MAX_BODY = 65_536; // bytes of a request

const STATUS: Readonly<Record<Refused['refused'], number>> = {
  unknown: 404,
  exists: 409,
  stale: 409,
  malformed: 400,
  limit: 507,
};

/** A refusal on its way to the answer. */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

interface Parts {
  readonly registry: Registry;
  /** Thumbprint of the operator's key. */
  readonly project: string;
  session(tunnel: string, index: number): TunnelSessionStub;
}

export const tunnels = new Hono<{ Bindings: ControlContext }>();

tunnels.get('/v1/tunnels', async (c) => {
  const { registry, project } = await partsOf(c.env.env);
  return c.json({ project, tunnels: await registry.list() });
});

tunnels.post('/v1/tunnels', async (c) => {
  const { registry, project, session } = await partsOf(c.env.env);
  const { name, access, sessions } = await fieldsOf(c.req.raw, ['name', 'access', 'sessions']);
  const label = labelOf(name);
  if (!(await session(label, 0).reserve(project)))
    throw new Refusal(409, `the tunnel ${label} belongs to another project`);
  const record = done(await registry.create(label, access ?? null, sessions ?? 1, Date.now()));
  await apply(record, session);
  log('tunnel created', { project, name: label });
  return c.json(record, 201);
});

tunnels.get('/v1/tunnels/:name', async (c) => {
  const { registry, session } = await partsOf(c.env.env);
  const record = done(await registry.read(labelOf(c.req.param('name'))));
  return c.json({ ...record, status: await statusOf(record, session) });
});

tunnels.patch('/v1/tunnels/:name', async (c) => {
  const { registry, project, session } = await partsOf(c.env.env);
  const name = labelOf(c.req.param('name'));
  const { access, sessions } = await fieldsOf(c.req.raw, ['access', 'sessions']);
  const before = done(await registry.read(name)).sessions;
  const record = done(await registry.change(name, access === undefined ? false : access, sessions ?? false));
  await apply(record, session);
  // What nobody asks any more is not left open: no revocation would reach it.
  for (let index = record.sessions; index < before; index++) await session(name, index).retire();
  log('tunnel changed', { project, name });
  return c.json(record);
});

/** What the tunnel's sessions note while somebody asks; `next` of an answer is `after` of the next question. */
tunnels.get('/v1/tunnels/:name/requests', async (c) => {
  const { registry, project, session } = await partsOf(c.env.env);
  const record = done(await registry.read(labelOf(c.req.param('name'))));
  const after = c.req.query('after') ?? '';
  if (!/^(?:\d{1,15}(?:\.\d{1,15}){0,63})?$/.test(after))
    throw new Refusal(400, 'after must be what the last answer called next');
  const places = after === '' ? [] : after.split('.').map(Number);
  const inspect = c.req.query('inspect') === '1';
  const all = await Promise.all(
    Array.from({ length: record.sessions }, (_, index) =>
      session(record.name, index).requests(project, places[index] ?? -1, inspect),
    ),
  );
  const noted = all.filter((one) => one !== null);
  if (noted.length < all.length) throw new Refusal(409, 'the tunnel belongs to another project');
  const requests = noted.flatMap((one) => one.requests);
  requests.sort((one, other) => (one.started < other.started ? -1 : one.started > other.started ? 1 : 0));
  const missed = noted.reduce((sum, one) => sum + one.missed, 0);
  const open = noted.flatMap((one) => one.open);
  return c.json({ requests, next: noted.map(({ next }) => next).join('.'), missed, open });
});

tunnels.post('/v1/tunnels/:name/revoke', async (c) => {
  const { registry, project, session } = await partsOf(c.env.env);
  const name = labelOf(c.req.param('name'));
  const { until } = await fieldsOf(c.req.raw, ['until']);
  const record = done(await registry.read(name));
  const bound = boundOf(until);
  const closed = await revoke(record, bound, session);
  await registry.revoke(name, bound);
  log('tunnel revoked', { project, name, until: bound, closed });
  return c.json({ name, revoked: bound, closed });
});

/** What was issued for it is revoked with it, so that no connector takes the name again by coming back. */
tunnels.delete('/v1/tunnels/:name', async (c) => {
  const { registry, project, session } = await partsOf(c.env.env);
  const record = done(await registry.read(labelOf(c.req.param('name'))));
  const bound = boundOf(undefined);
  const closed = await revoke(record, bound, session);
  await onEach(record, session, (one) => one.forget(bound));
  done(await registry.remove(record.name));
  log('tunnel deleted', { project, name: record.name, closed });
  return c.json({ name: record.name, revoked: bound, closed });
});

tunnels.get('/v1/offers', async (c) => {
  const { registry, project } = await partsOf(c.env.env);
  return c.json({ project, offers: (await registry.offers()).map((offer) => ({ ...offer, holds: holds(offer) })) });
});

tunnels.post('/v1/offers', async (c) => {
  await partsOf(c.env.env);
  const { consent } = await fieldsOf(c.req.raw, ['consent']);
  const { generations, env } = c.env;
  return speak(typeof consent === 'string' ? consent : '', env, generations.current?.generation.apps ?? []);
});

tunnels.onError((error, c) => {
  if (error instanceof Refusal) return refuse(c.req.raw, error.status, error.message);
  log('error', { reason: error.message });
  return refuse(c.req.raw, 500, 'the control API failed');
});

/**
 * A word about an offer, by whoever hands it in: it is signed. When it ends an offer, what the guest has open ends before
 * the answer.
 */
export async function speak(
  text: string,
  env: Env,
  apps: Parameters<typeof tunnelPolicy>[0],
  now = Date.now(),
): Promise<Response> {
  const refused = (status: number, detail: string): Response =>
    Response.json({ status, detail }, { status, headers: { 'content-type': 'application/problem+json' } });
  const { operators } = await tunnelPolicy(apps, env.OPERATOR_KEY ?? '');
  const consent = await readConsent(text.slice(0, MAX_CONSENT_LENGTH + 1), operators, now);
  if (typeof consent === 'string') return refused(consent === 'malformed' ? 400 : 403, CONSENT_DENIALS[consent]);
  const { owner, guest, tunnel, service, side, yes, time } = consent;
  const registry = registryOf(env, owner);
  const namespace = env.TUNNEL_SESSION;
  if (registry === null || namespace === undefined) return refused(501, 'this deployment holds no tunnels');
  const offer = await registry.speak(side, { owner, guest, tunnel, service }, yes, time);
  if (isRefused(offer)) return refused(STATUS[offer.refused], offer.reason);
  let closed = 0;
  if (!holds(offer)) {
    const record = await registry.read(tunnel);
    const session = (name: string, index: number) => namespace.getByName(sessionName(name, index));
    if (!isRefused(record))
      for (const count of await onEach(record, session, (one) => one.cut(guest, service))) closed += count;
  }
  log(yes ? 'offer' : 'offer withdrawn', { owner, guest, tunnel, service, side, closed });
  const answer: Offer & { holds: boolean; closed: number } = { ...offer, holds: holds(offer), closed };
  return Response.json(answer);
}

async function partsOf(env: Env): Promise<Parts> {
  const namespace = env.TUNNEL_SESSION;
  const project = env.OPERATOR_KEY === undefined ? '' : await thumbprint(env.OPERATOR_KEY);
  const registry = project === '' ? null : registryOf(env, project);
  if (namespace === undefined || registry === null) throw new Refusal(501, 'this deployment holds no tunnels');
  return { registry, project, session: (tunnel, index) => namespace.getByName(sessionName(tunnel, index)) };
}

function onEach<T>(
  { name, sessions }: Pick<TunnelRecord, 'name' | 'sessions'>,
  session: Parts['session'],
  act: (one: TunnelSessionStub) => Promise<T>,
): Promise<T[]> {
  return Promise.all(Array.from({ length: sessions }, (_, index) => act(session(name, index))));
}

async function apply({ name, access, sessions }: TunnelRecord, session: Parts['session']): Promise<void> {
  await session(name, 0).expose(access);
  await session(name, 0).spread(sessions);
}

async function revoke(record: TunnelRecord, bound: number, session: Parts['session']): Promise<number> {
  const closed = await onEach(record, session, (one) => one.revoke(bound));
  return closed.reduce((sum, count) => sum + count, 0);
}

async function statusOf(record: TunnelRecord, session: Parts['session']): Promise<readonly SessionStatus[]> {
  return await onEach(record, session, (one) => one.status());
}

/** The operator's clock may be ahead of ours: what it has issued by now is what it means. A minute is as far as it goes. */
function boundOf(until: unknown): number {
  const now = Date.now();
  if (until === undefined) return now;
  if (typeof until !== 'number' || !Number.isSafeInteger(until) || until <= 0 || until > now + 60_000)
    throw new Refusal(400, 'until must be milliseconds since the epoch, at most a minute from now');
  return Math.max(now, until);
}

function labelOf(name: unknown): string {
  if (typeof name === 'string' && LABEL.test(name)) return name;
  throw new Refusal(400, 'the name of a tunnel is small letters, digits and -, at most 63');
}

function done<T extends object>(result: T | Refused): T {
  if (!isRefused(result)) return result;
  throw new Refusal(STATUS[result.refused], result.reason);
}

/** The members of a JSON object, all of which are known; none for no body. */
async function fieldsOf(request: Request, known: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await readBody(request, MAX_BODY);
  if (bytes === null) throw new Refusal(413, 'the body is too large');
  if (bytes.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    throw new Refusal(400, 'the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Refusal(400, 'the body is not an object');
  const strange = Object.keys(value).find((field) => !known.includes(field));
  if (strange !== undefined) throw new Refusal(400, `there is no field ${JSON.stringify(strange.slice(0, 40))} here`);
  return value as Record<string, unknown>;
}
