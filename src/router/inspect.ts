/** Phase 7: the engine's body call, only where the policy has a rule that looks at the body. */
import { DEFAULT_BODY_LIMIT, MAX_BODY_BYTES, OUTCOME_OK } from '../../assembly/abi.ts';
import type { Plan } from '../plan.ts';
import { declaredLength, HeldBody, inflate } from './body.ts';
import { type Exchange, type Phase, watch } from './exchange.ts';
import { refuse } from './problem.ts';
import { judge } from './rules.ts';

export const inspect: Phase = {
  name: 'inspect',
  run(exchange) {
    const { plan } = exchange;
    if (plan === null || !plan.stages.body) return;
    // A rule may also ask whether there is no body, so the call is made without one too.
    if (exchange.request.body === null) return decide(exchange, plan, EMPTY, 0, false);
    return holdAndDecide(exchange, plan);
  },
};

const EMPTY = new Uint8Array(0);

async function holdAndDecide(exchange: Exchange, plan: Plan): Promise<void> {
  const { request, seen } = exchange;
  const limit = Math.min(plan.body.limit > 0 ? plan.body.limit : DEFAULT_BODY_LIMIT, MAX_BODY_BYTES);
  const declared = declaredLength(seen.length);
  const policy = overOf(request, plan);
  if (declared > limit && policy === 'reject') return tooLarge(exchange, null);
  if (declared > limit && policy === 'pass') return passed(exchange, 'the body is larger than the limit');
  // A GET with a body can only be forwarded as the very request that came in, so its copy is what is read.
  const bare = request.method === 'GET' || request.method === 'HEAD';
  const stream = bare ? request.clone().body : request.body;
  if (stream === null) return decide(exchange, plan, EMPTY, 0, false);
  watch(exchange);
  const body = new HeldBody(stream as ReadableStream<Uint8Array>, declared);
  const failure = await body.read(limit, request.signal);
  if (failure === 'busy') return fail(exchange, 503, 'too many request bodies are being held');
  if (failure === 'slow') return fail(exchange, 408, 'the request body did not arrive in time');
  if (failure === 'broken') return fail(exchange, 400, 'the request body broke off');
  if (bare) body.release();
  else exchange.body = body;
  const over = !body.complete;
  if (over && policy === 'reject') return tooLarge(exchange, body);
  if (over && policy === 'pass') return passed(exchange, 'the body is larger than the limit');
  let bytes = over ? body.bytes.subarray(0, limit) : body.bytes;
  let truncated = over;
  if (seen.encoding !== '' && seen.encoding.trim().toLowerCase() !== 'identity' && bytes.byteLength > 0) {
    const plain = await inflate(bytes, seen.encoding, limit, !over);
    if (plain === 'encoding')
      return fail(exchange, 415, 'the content encoding of the request body can not be inspected');
    if (plain === 'corrupt') return fail(exchange, 400, 'the request body is not what its content encoding says');
    if (plain === 'ratio') return tooLarge(exchange, body);
    if (plain.truncated && !over && policy === 'reject') return tooLarge(exchange, body);
    bytes = plain.bytes;
    truncated = plain.truncated;
  }
  decide(exchange, plan, bytes, Math.max(declared, bytes.byteLength), truncated);
}

/** Types that an application reads as a whole: cut short for us, they could hide what stands behind the cut. */
const STRUCTURED =
  /^[\t ]*(?:(?:application|text)\/(?:json|xml)|[^;,\s]+\+(?:json|xml)|application\/x-www-form-urlencoded|multipart\/form-data)(?![!#$%&'*+\-.^_`|~0-9a-z])/i;

/**
 * `reject` holds for forms, JSON, XML and bodies without a type, or with more than one, of which readers choose
 * differently; any other type is judged by its beginning then.
 */
function overOf(request: Request, plan: Plan): Plan['body']['over'] {
  if (plan.body.over !== 'reject') return plan.body.over;
  const type = request.headers.get('content-type') ?? '';
  return type === '' || type.includes(',') || STRUCTURED.test(type) ? 'reject' : 'inspect-prefix';
}

function decide(exchange: Exchange, plan: Plan, bytes: Uint8Array, size: number, truncated: boolean): void {
  if (exchange.lease.released) return fail(exchange, 503, 'the policy was replaced while the request body arrived');
  const { engine, generation, head, result, seed, now } = exchange;
  if (result === null) throw new Error('the body call comes after the head call');
  const found = engine.body(
    generation,
    result.app,
    head,
    result.client,
    bytes,
    size,
    truncated,
    seed,
    now,
    exchange.state,
  );
  exchange.state = found.state;
  exchange.bodyEffects = found.effects;
  judge(exchange, plan, found.effects, found.terminal, found.rule);
  if (exchange.response === null && found.outcome !== OUTCOME_OK) {
    if (plan.body.over === 'reject') return tooLarge(exchange, exchange.body);
    passed(exchange, 'the body takes too many steps to judge');
  }
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
