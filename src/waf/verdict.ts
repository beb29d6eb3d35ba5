/** What the WAF said in a call, read out of the engine's memory: a plain object that the caller owns. */
import {
  EFFECTS_AT,
  EFFECT_WAF,
  EFFECT_WORDS,
  RESULT_AT,
  RESULT_EFFECT_COUNT,
  RESULT_STATE_LENGTH,
  RESULT_STEPS,
  RESULT_TRUNCATED,
  RESULT_WAF_ACTION,
  RESULT_WAF_LOCATION_AT,
  RESULT_WAF_LOCATION_LENGTH,
  RESULT_WAF_MATCHES,
  RESULT_WAF_PHASE,
  RESULT_WAF_PROGRAM,
  RESULT_WAF_REASON,
  RESULT_WAF_RULE,
  RESULT_WAF_STATE,
  RESULT_WAF_STATUS,
  SECTION_WAF_RULES,
  STATE_AT,
} from '../../assembly/abi.ts';
import {
  RULE_BODY_MALFORMED,
  RULE_BODY_UNMATCHED_BOUNDARY,
  EVENT_HEADER_BYTES,
  TX_NAMED,
  TX_UNSET,
  WAF_STATE_FIXED_BYTES,
} from '../../assembly/waf/abi.ts';
import type { WafEvent, WafVerdict } from './transaction.ts';

/** One program as SECTION_WAF_RULES tells it; written by the compiler. */
export interface ProgramInfo {
  readonly rules: readonly RuleInfo[];
  /** Names of the TX slots. */
  readonly slots: readonly string[];
  /** Number of ctl removals: their bits stand before the variables in the state. */
  readonly removals: number;
}

export interface RuleInfo {
  readonly id: number;
  readonly phase: number;
  readonly message: string;
  readonly severity: number;
  readonly tags: readonly string[];
  readonly action: string;
  readonly transformations: readonly string[];
}

const ACTIONS: readonly WafVerdict['action'][] = ['pass', 'deny', 'drop', 'redirect', 'allow', 'allow', 'allow'];
const NO_EVENTS: readonly WafEvent[] = [];
const NO_SCORES: WafVerdict['scores'] = {};
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** SECTION_WAF_RULES of the image at `at`; the compiler wrote it and a digest guards it. */
export function readInfos(bytes: Uint8Array, at: number): readonly ProgramInfo[] {
  const view = new DataView(bytes.buffer);
  const entry = at + 24 + SECTION_WAF_RULES * 8;
  const start = at + view.getUint32(entry, true);
  const text = decoder.decode(bytes.subarray(start, start + view.getUint32(entry + 4, true)));
  return text === '' ? [] : (JSON.parse(text) as ProgramInfo[]);
}

/** Whether a rule is one of `waf.body.malformed`: the client is told what is wrong, since it says nothing of other rules. */
export function isAboutMalformedBody(rule: number): boolean {
  return rule >= RULE_BODY_MALFORMED && rule <= RULE_BODY_UNMATCHED_BOUNDARY;
}

/** Null when no program has run. `infos`: the programs of the app, asked for only when there is something to tell. */
export function readVerdict(
  bytes: Uint8Array,
  words: Int32Array,
  infos: () => readonly ProgramInfo[],
): WafVerdict | null {
  const program = words[RESULT_WAF_PROGRAM]!;
  if (program < 0) return null;
  const matches = words[RESULT_WAF_MATCHES]!;
  const reason = words[RESULT_WAF_REASON]!;
  const info = matches > 0 || words[RESULT_WAF_RULE]! >= 0 ? infos()[program] : undefined;
  const rule = info?.rules[words[RESULT_WAF_RULE]!];
  const action = ACTIONS[words[RESULT_WAF_ACTION]!] ?? 'pass';
  const location = words[RESULT_WAF_LOCATION_AT]!;
  const size = words[RESULT_WAF_LOCATION_LENGTH]!;
  return {
    action: reason !== 0 ? 'limit' : action,
    status: action === 'pass' ? 0 : words[RESULT_WAF_STATUS]!,
    location: size === 0 ? '' : decoder.decode(bytes.subarray(location, location + size)), // PERF: a call costs 1 µs
    rule: rule?.id ?? 0,
    phase: words[RESULT_WAF_PHASE]!,
    reason,
    scores: info === undefined ? NO_SCORES : readScores(bytes, words, info),
    events: info === undefined ? NO_EVENTS : readEvents(bytes, words, info),
    truncated: words[RESULT_TRUNCATED] === 1,
    matches,
    steps: words[RESULT_STEPS]!,
  };
}

function readEvents(bytes: Uint8Array, words: Int32Array, info: ProgramInfo): WafEvent[] {
  const events: WafEvent[] = [];
  const view = new DataView(bytes.buffer);
  let word = (EFFECTS_AT - RESULT_AT) / 4;
  for (let i = 0; i < words[RESULT_EFFECT_COUNT]!; i++, word += EFFECT_WORDS) {
    if (words[word] !== EFFECT_WAF) continue;
    const rule = info.rules[words[word + 1]!];
    if (rule === undefined) continue;
    const about = words[word + 3]!;
    const at = words[word + 5]!;
    const known = words[word + 6]! >= EVENT_HEADER_BYTES;
    let from = at + EVENT_HEADER_BYTES;
    const [target, matched, message, logdata] = [0, 2, 4, 6].map((field) => {
      const length = known ? view.getUint16(at + field, true) : 0;
      from += length;
      return bytes.slice(from - length, from);
    }) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    events.push({
      rule: rule.id,
      phase: about & 7,
      message: message.length > 0 ? decoder.decode(message) : rule.message,
      ...(message.length > 0 && { template: rule.message }),
      severity: rule.severity,
      tags: rule.tags,
      target: decoder.decode(target),
      matched,
      transformations: rule.transformations.slice(0, about >>> 16),
      logdata: decoder.decode(logdata),
      log: (about & 0x100) !== 0,
      action: rule.action,
    });
  }
  return events;
}

/** TX variables that are numbers, out of the state that the call has left. */
function readScores(bytes: Uint8Array, words: Int32Array, info: ProgramInfo): Record<string, number> {
  const scores: Record<string, number> = {};
  const end = STATE_AT + words[RESULT_STATE_LENGTH]!;
  const removals = (((info.removals + 7) >> 3) + 3) & ~3;
  let at = STATE_AT + words[RESULT_WAF_STATE]! + WAF_STATE_FIXED_BYTES + removals;
  const view = new DataView(bytes.buffer);
  const keep = (name: string, from: number, length: number): void => {
    if (length > 11) return;
    const text = decoder.decode(bytes.subarray(from, from + length));
    if (/^-?\d+$/.test(text)) scores[name] = Number(text);
  };
  while (at + 4 <= end) {
    const slot = view.getUint16(at, true);
    const length = view.getUint16(at + 2, true);
    at += 4;
    if (slot === TX_NAMED) {
      const size = view.getUint16(at, true);
      at += 2;
      if (length <= 256) keep(decoder.decode(bytes.subarray(at, at + length)).toLowerCase(), at + length, size);
      at += length + size;
    } else if (length !== TX_UNSET) {
      keep(info.slots[slot] ?? String(slot), at, length);
      at += length;
    }
  }
  return scores;
}
