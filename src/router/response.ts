/**
 * Phase `response`: the engine's response call, only where the policy has a rule that looks at the response, or the route's WAF
 * does. What the WAF is to see of the body is held until it has been judged.
 */
import { OUTCOME_OK } from '../../assembly/abi.ts';
import type { Plan, WafPlan } from '../plan.ts';
import { responseInit } from '../platform/runtime.ts';
import { HeldAnswer } from './answer.ts';
import { inflate } from './body.ts';
import type { Exchange, Phase } from './exchange.ts';
import { withMessages } from './messages.ts';
import { refuse } from './problem.ts';
import { judge } from './rules.ts';
import { judgeWaf, unjudged } from './waf.ts';
import { upgraded } from './websocket.ts';

export const response: Phase = {
  name: 'response',
  run(exchange) {
    const { plan, result, response: answer, waf } = exchange;
    // What the gateway answered itself is not the origin's, and needs no judging.
    const { status, error } = exchange.upstream;
    if (plan === null || result === null || answer === null || status === 0 || error !== '') return;
    const looks = waf === null ? null : waf.plan.response;
    if (waf !== null && looks !== null && answer.body !== null && isListed(answer, looks.types))
      return holdAndDecide(exchange, plan, answer, waf.plan, looks);
    if (plan.stages.response || looks !== null) decide(exchange, plan, answer, EMPTY, false);
    // An answer that was replaced has no messages.
    if (waf !== null && exchange.response === answer) exchange.response = withMessages(exchange, answer);
    if (exchange.response !== answer) exchange.owned = true;
  },
};

const EMPTY = new Uint8Array(0);

/** Whether a body of this type is looked at. */
function isListed(answer: Response, types: readonly string[]): boolean {
  if (upgraded(answer)) return false;
  const type = (answer.headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  if (type === 'text/event-stream') return false; // has no end to wait for: see messages.ts
  return types.includes(type) || types.includes(`${type.slice(0, type.indexOf('/') + 1)}*`);
}

async function holdAndDecide(
  exchange: Exchange,
  plan: Plan,
  answer: Response,
  waf: WafPlan,
  looks: NonNullable<WafPlan['response']>,
): Promise<void> {
  const held = new HeldAnswer(answer.body as ReadableStream<Uint8Array>);
  exchange.answer = held;
  try {
    await held.read(looks.limit, looks.holdMs);
  } catch {
    held.discard();
    const reason = 'the origin broke off its answer';
    const verdict = { action: 'respond', phase: 'response', rule: '', status: 502, reason, mode: 'enforce' } as const;
    return refuse(exchange, verdict, 'http_response_incomplete');
  }
  const { headers } = answer;
  const { body, truncated, problem } = await readable(held, headers.get('content-encoding') ?? '', looks.limit);
  if (problem !== '') unjudgedAnswer(exchange, waf, problem);
  else decide(exchange, plan, answer, body, truncated, held);
  if (exchange.response !== answer) return held.discard();
  const { status, statusText } = answer;
  const init = { status, statusText, headers, encodeBody: 'manual' } as const;
  const rest = held.send(headers.get('content-length') ?? '');
  exchange.response = new Response(rest as Uint8Array<ArrayBuffer>, responseInit(init));
  exchange.owned = true;
}

interface Readable {
  readonly body: Uint8Array;
  readonly truncated: boolean;
  readonly problem: string; // '' when `body` is what a client will read
}

/** What a client will make of the held bytes. */
async function readable(held: HeldAnswer, encoding: string, limit: number): Promise<Readable> {
  const name = encoding.trim().toLowerCase();
  const cut = held.bytes.byteLength > limit ? held.bytes.subarray(0, limit) : held.bytes;
  const truncated = !held.complete || cut.byteLength < held.bytes.byteLength;
  if (name === '' || name === 'identity' || cut.byteLength === 0) return { body: cut, truncated, problem: '' };
  const plain = await inflate(cut, name, limit, !truncated);
  if (plain === 'encoding')
    return { body: EMPTY, truncated, problem: 'the content encoding of the answer can not be inspected' };
  if (plain === 'corrupt')
    return { body: EMPTY, truncated, problem: 'the answer of the origin is not what its content encoding says' };
  if (plain === 'ratio') return { body: EMPTY, truncated, problem: 'the answer of the origin inflates too much' };
  return { body: plain.bytes, truncated: truncated || plain.truncated, problem: '' };
}

/** Without an enforced refusal the answer stays what it was. */
function unjudgedAnswer(exchange: Exchange, waf: WafPlan, why: string): void {
  const { response: answer, owned } = exchange;
  exchange.response = null;
  unjudged(exchange, waf, 'response', why);
  if (exchange.response !== null) return;
  exchange.response = answer;
  exchange.owned = owned;
}

/** The engine's response call. Leaves the answer as it is, or one of the gateway's in its place. */
function decide(
  exchange: Exchange,
  plan: Plan,
  answer: Response,
  body: Uint8Array,
  truncated: boolean,
  held: HeldAnswer | null = null,
): void {
  const { owned, result } = exchange;
  const end = (): void => (held === null ? drop(answer) : held.discard());
  if (result === null) throw new Error('the response call comes after the head call');
  if (exchange.lease.released) {
    const reason = 'the policy was replaced while the origin answered';
    end();
    return refuse(
      exchange,
      { action: 'block', phase: 'response', rule: '', status: 503, reason, mode: 'enforce' },
      'destination_unavailable',
    );
  }
  let text = answer.status + '\0';
  let fields = 1;
  for (const [name, value] of answer.headers as unknown as Iterable<[string, string]>) {
    text += name + '\0' + value + '\0';
    fields += 2;
  }
  const { engine, generation, head, seed, now, state } = exchange;
  const response = { text, fields };
  const { app } = result;
  const found = engine.response(generation, app, head, response, seed, now, state, body, truncated);
  exchange.response = null;
  judge(exchange, plan, found.effects, found.terminal, found.rule);
  if (exchange.response === null) judgeWaf(exchange, found.waf, 'response');
  if (exchange.response === null && found.outcome !== OUTCOME_OK) outOfLimits(exchange, plan);
  if (exchange.response !== null) return end();
  exchange.response = answer;
  exchange.owned = owned;
}

/** Handled as a body is that is too large to judge; where the WAF looks at answers, as it wants unless that is stricter. */
function outOfLimits(exchange: Exchange, plan: Plan): void {
  const reason = 'the answer of the origin could not be judged';
  if (exchange.waf !== null && (!plan.stages.response || plan.body.over !== 'reject'))
    unjudged(exchange, exchange.waf.plan, 'response', reason);
  else if (plan.body.over === 'reject')
    refuse(
      exchange,
      { action: 'block', phase: 'response', rule: 'limit', status: 502, reason, mode: 'enforce' },
      'http_protocol_error',
    );
  else exchange.verdicts.push({ action: 'log', phase: 'response', rule: 'limit', status: 0, reason, mode: 'log' });
}

/** An origin's answer that is replaced is not read to its end. */
function drop(answer: Response): void {
  answer.body?.cancel().catch(() => {});
}
