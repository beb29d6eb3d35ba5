/** Phase `inspect`: the engine's body call, only where a rule of the policy looks at the body, or the route's WAF does. */
import {
  DEFAULT_BODY_LIMIT,
  HOLD_SECONDS,
  MAX_BODY_BYTES,
  OUTCOME_OK,
  REASON_QUARANTINE,
  REASON_TRAP,
} from '../../assembly/abi.ts';
import { MAX_HELD_BODY_BYTES, SHORT_BODY_BYTES } from '../../assembly/waf/abi.ts';
import type { BodyPlan, Plan } from '../plan.ts';
import { declaredLength, HeldBody, type HoldFailure, inflate } from './body.ts';
import { type Exchange, type Phase, watch } from './exchange.ts';
import { FileTracker, withoutRanges } from './multipart.ts';
import { patiently } from './open-exchanges.ts';
import { refuse } from './problem.ts';
import { judge } from './rules.ts';
import { judgeWaf, unjudged } from './waf.ts';

export const inspect: Phase = {
  name: 'inspect',
  run(exchange) {
    const { plan, waf, request } = exchange;
    if (plan === null) return;
    if (request.body === null) {
      // A rule may also ask whether there is no body, so the call is made without one too. The WAF's phase 2 has run.
      if (plan.stages.body || plan.stages.protocol) decide(exchange, plan, EMPTY, 0, false);
      return;
    }
    if (plan.stages.body || waf !== null) return holdAndDecide(exchange, plan);
    // Rules look at what a protocol phase has read, if one has: for them alone no body is held.
    if (plan.stages.protocol) decide(exchange, plan, EMPTY, Math.max(declaredLength(exchange.seen.length), 0), true);
  },
};

const EMPTY = new Uint8Array(0);

/** What holds for a body: the WAF's limits where the route has one. In its mode log nothing is refused on its account. */
function limitsOf({ waf }: Exchange, plan: Plan): { body: BodyPlan; enforced: boolean } {
  if (waf === null) return { body: plan.body, enforced: true };
  const enforced = plan.stages.body || waf.plan.mode === 'enforce';
  const { limit, over } = waf.plan.body;
  return { body: { limit, over: enforced || over !== 'reject' ? over : 'inspect-prefix' }, enforced };
}

async function holdAndDecide(exchange: Exchange, plan: Plan): Promise<void> {
  const { request, seen } = exchange;
  const { body: limits, enforced } = limitsOf(exchange, plan);
  const limit = Math.min(limits.limit > 0 ? limits.limit : DEFAULT_BODY_LIMIT, MAX_BODY_BYTES);
  const declared = declaredLength(seen.length);
  const policy = overOf(request, limits);
  // Rules of the policy see the body as it is; contents of files are only the WAF's to leave out.
  const files =
    plan.stages.body || seen.encoding !== '' ? null : FileTracker.of(request.headers.get('content-type') ?? '');
  const most = files === null ? limit : Math.max(limit, MAX_HELD_BODY_BYTES);
  if (declared > most && policy === 'reject') return tooLarge(exchange, null);
  if (declared > most && policy === 'pass')
    return unread(exchange, plan, 'the body is larger than the limit', declared);
  // A GET with a body can only be forwarded as the very request that came in, so its copy is what is read.
  const bare = request.method === 'GET' || request.method === 'HEAD';
  // Whoever looked at it before holds all of it.
  const before = exchange.body;
  const stream = before !== null ? null : bare ? request.clone().body : request.body;
  if (before === null && stream === null) return decide(exchange, plan, EMPTY, 0, false);
  const body = before ?? new HeldBody(stream as ReadableStream<Uint8Array>, declared);
  if (before !== null) files?.push(before.bytes);
  const short = declared >= 0 && declared <= Math.min(limit, SHORT_BODY_BYTES) && files === null && !bare;
  let failure: HoldFailure | null = null;
  if (before === null && short) {
    exchange.body = body; // given back should the client leave meanwhile
    failure = await body.take(patiently(exchange, request.arrayBuffer(), HOLD_SECONDS * 1000));
  } else {
    watch(exchange);
    if (before === null) failure = await body.read(limit, request.signal, files);
  }
  if (failure === 'busy') return fail(exchange, 503, 'too many request bodies are being held');
  if (failure === 'slow') return fail(exchange, 408, 'the request body did not arrive in time');
  if (failure === 'broken') return fail(exchange, 400, 'the request body broke off');
  if (bare) body.release();
  else exchange.body = body;
  const { bytes: counted, elided } = withoutRanges(body.bytes, files === null ? [] : files.ranges);
  const over = !body.complete || counted.byteLength > limit;
  if (over && policy === 'reject') return tooLarge(exchange, body);
  if (over && policy === 'pass') return unread(exchange, plan, 'the body is larger than the limit', declared);
  let bytes = over ? counted.subarray(0, limit) : counted;
  let truncated = over;
  if (seen.encoding !== '' && seen.encoding.trim().toLowerCase() !== 'identity' && bytes.byteLength > 0) {
    const plain = await inflate(bytes, seen.encoding, limit, !over);
    // What cannot be inflated is malformed like other bodies: `waf.body.malformed` decides.
    if (plain === 'corrupt' && !plan.stages.body)
      return unread(exchange, plan, UNREADABLE[plain], declared, 'unreadable');
    if (typeof plain === 'string' && !enforced) return unread(exchange, plan, UNREADABLE[plain], declared);
    if (plain === 'encoding') return fail(exchange, 415, UNREADABLE[plain]);
    if (plain === 'corrupt') return fail(exchange, 400, UNREADABLE[plain]);
    if (plain === 'ratio') return tooLarge(exchange, body);
    if (plain.truncated && !over && policy === 'reject') return tooLarge(exchange, body);
    bytes = plain.bytes;
    truncated = plain.truncated;
  }
  const size = Math.max(declared, files === null ? bytes.byteLength : body.bytes.byteLength);
  decide(exchange, plan, bytes, size, truncated, elided);
}

/** The body goes on unread. The WAF's later phases run on what else there is: it is there that scores are judged. */
function unread(
  exchange: Exchange,
  plan: Plan,
  why: string,
  size: number,
  truncated: true | 'unreadable' = true,
): void {
  passed(exchange, why);
  if (exchange.waf !== null) decide(exchange, plan, EMPTY, Math.max(size, 0), truncated);
}

const UNREADABLE = {
  encoding: 'the content encoding of the request body can not be inspected',
  corrupt: 'the request body is not what its content encoding says',
  ratio: 'the request body inflates too much',
};

/** Types that an application reads as a whole: cut short for us, they could hide what stands behind the cut. */
const STRUCTURED =
  /^[\t ]*(?:(?:application|text)\/(?:json|xml)|[^;,\s]+\+(?:json|xml)|application\/x-www-form-urlencoded|multipart\/form-data)(?![!#$%&'*+\-.^_`|~0-9a-z])/i;

/**
 * `reject` holds for forms, JSON, XML and bodies without a type, or with more than one, of which readers choose
 * differently; any other type is judged by its beginning then.
 */
function overOf(request: Request, { over }: BodyPlan): BodyPlan['over'] {
  if (over !== 'reject') return over;
  const type = request.headers.get('content-type') ?? '';
  return type === '' || type.includes(',') || STRUCTURED.test(type) ? 'reject' : 'inspect-prefix';
}

function decide(
  exchange: Exchange,
  plan: Plan,
  bytes: Uint8Array,
  size: number,
  truncated: boolean | 'unreadable',
  elided?: Uint32Array,
): void {
  if (exchange.lease.released) return fail(exchange, 503, 'the policy was replaced while the request body arrived');
  const { engine, generation, head, result, seed, now } = exchange;
  if (result === null) throw new Error('the body call comes after the head call');
  const found = engine.body(generation, result.app, head, bytes, size, truncated, seed, now, exchange.state, elided);
  exchange.state = found.state;
  exchange.bodyEffects = found.effects;
  judge(exchange, plan, found.effects, found.terminal, found.rule);
  const gaveUp = found.outcome !== OUTCOME_OK || found.waf?.action === 'limit';
  if (exchange.response === null && gaveUp) {
    const broken = found.waf === null ? found.reason === REASON_TRAP : found.waf.reason === REASON_QUARANTINE;
    if (broken && exchange.waf !== null) unjudged(exchange, exchange.waf.plan, 'request');
    else if (limitsOf(exchange, plan).body.over === 'reject') return tooLarge(exchange, exchange.body);
    // `over` says what happens to what lies beyond a limit of bytes. Here no rule may have come to a verdict at all, about
    // the head and its score as little as about the body.
    else if (found.waf?.action === 'limit') judgeWaf(exchange, found.waf, 'request');
    else if (exchange.waf !== null) unjudged(exchange, exchange.waf.plan, 'request');
    else passed(exchange, 'the body takes too many steps to judge');
  } else if (exchange.response === null) judgeWaf(exchange, found.waf, 'request');
  if (exchange.response !== null) exchange.body?.discard();
}

function passed(exchange: Exchange, reason: string): void {
  exchange.verdicts.push({ action: 'log', phase: 'inspect', rule: 'body.over', status: 0, reason, mode: 'log' });
}

function tooLarge(exchange: Exchange, body: HeldBody | null): void {
  body?.discard();
  fail(exchange, 413, 'the request body is larger than this application inspects');
}

function fail(exchange: Exchange, status: number, reason: string): void {
  const error = status >= 500 ? 'destination_unavailable' : 'http_request_denied';
  refuse(exchange, { action: 'block', phase: 'inspect', rule: 'body', status, reason, mode: 'enforce' }, error);
}
