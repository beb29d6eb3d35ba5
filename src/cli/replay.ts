/**
 * `sallyport replay`: recorded requests through a draft of a policy, offline, beside what they led to before: what would
 * change if the draft were enforced. Nothing is sent anywhere.
 */
import { defineCommand } from 'citty';
import { isIP } from 'node:net';
import pc from 'picocolors';
import type { DryRun, Explanation } from '../router/explain.ts';
import type { WafEvidence } from '../waf/evidence.ts';
import { printable } from './accesslog.ts';
import { compileFiles, requireDeployment } from './deployment.ts';
import { openDeployment } from './dry.ts';
import { Failure } from './failure.ts';
import { readHar, readLog, type Recorded, type RecordedResponse, type Recording } from './recording.ts';
import { makeRequest } from './request.ts';
import { progressLine } from './rules.ts';

const replayArguments = {
  har: { type: 'string', description: 'requests that a browser or proxy recorded', valueHint: 'file' },
  log: { type: 'string', description: 'an access log: ours, or the combined format', valueHint: 'file' },
  policy: { type: 'string', description: 'the draft', valueHint: 'file', required: true },
  base: {
    type: 'string',
    description: 'compare with this policy; default: with what was recorded',
    valueHint: 'file',
  },
  host: {
    type: 'string',
    description: 'host of the requests in a combined log',
    valueHint: 'name',
    default: 'localhost',
  },
  peer: {
    type: 'string',
    description: 'client address where none is recorded',
    valueHint: 'address',
    default: '192.0.2.1',
  },
  enforce: { type: 'boolean', description: 'count what mode log would have blocked as blocked', default: true },
  json: { type: 'boolean', description: 'print JSON' },
} as const;

export default defineCommand({
  meta: { name: 'replay', description: 'run recorded requests against a draft of a policy' },
  args: replayArguments,
  async run({ args }) {
    if (isIP(args.peer) === 0) throw new Failure(`--peer takes an IP address, not "${args.peer}"`);
    const recording = await readRecording(args);
    const json = args.json === true;
    const draft = await openPolicy(args.policy, json);
    const base = args.base === undefined ? null : await openPolicy(args.base, json);
    const progress = progressLine(args);
    const report = await replay(recording, draft, base, args.peer, args.enforce !== false, (done) => {
      progress(`${done} of ${recording.requests.length} requests`);
    });
    progress('');
    process.stdout.write(json ? `${JSON.stringify({ ok: true, ...report })}\n` : `${describe(report)}\n`);
  },
});

async function readRecording(args: {
  har?: string | undefined;
  log?: string | undefined;
  host: string;
}): Promise<Recording> {
  if ((args.har === undefined) === (args.log === undefined)) throw new Failure('replay takes --har FILE or --log FILE');
  const recording = args.har !== undefined ? readHar(args.har) : await readLog(args.log!, args.host);
  if (recording.requests.length > 0) return recording;
  const [first] = recording.skipped;
  throw new Failure(`there is no request to replay${first === undefined ? '' : `: ${first.place}: ${first.reason}`}`);
}

async function openPolicy(file: string, json: boolean): Promise<DryRun> {
  return openDeployment(requireDeployment(await compileFiles([file]), json));
}

/** How a request ended: `pass` to an origin, or an answer in its place. */
interface Outcome {
  readonly blocked: boolean;
  readonly status: number; // of the answer in place of an origin's, 0 for pass
  readonly rules: readonly { readonly rule: string; readonly target: string; readonly message: string }[];
  readonly reason: string;
}

export interface Change {
  readonly place: string;
  readonly method: string;
  readonly url: string;
  readonly before: Outcome;
  readonly after: Outcome;
}

export interface ReplayReport {
  readonly requests: number;
  readonly skipped: Recording['skipped'];
  readonly skippedCount: number;
  readonly truncated: boolean;
  readonly leavesOut: string;
  readonly comparedWith: 'recording' | 'base';
  readonly unchanged: number;
  readonly blocked: { readonly before: number; readonly after: number };
  /** Requests that the draft would block and that passed before, and the other way round. */
  readonly newlyBlocked: readonly Change[];
  readonly newlyPassed: readonly Change[];
  /** Rules behind `newlyBlocked`, the most frequent first. */
  readonly byRule: readonly {
    readonly rule: string;
    readonly target: string;
    readonly message: string;
    readonly requests: number;
  }[];
}

/** Replays one request after the other; `onProgress` is told how many are done. */
export async function replay(
  recording: Recording,
  draft: DryRun,
  base: DryRun | null,
  peer: string,
  enforce: boolean,
  onProgress: (done: number) => void = () => {},
): Promise<ReplayReport> {
  const newlyBlocked: Change[] = [];
  const newlyPassed: Change[] = [];
  const skipped = [...recording.skipped];
  let { skippedCount } = recording;
  const blocked = { before: 0, after: 0 };
  let done = 0;
  for (const recorded of recording.requests) {
    if (++done % 100 === 0) onProgress(done);
    let before: Outcome;
    let after: Outcome;
    try {
      after = await outcome(draft, recorded, peer, enforce);
      before = base === null ? asRecorded(recorded) : await outcome(base, recorded, peer, enforce);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      skippedCount++;
      if (skipped.length < 20) skipped.push({ place: recorded.place, reason: error.message });
      continue;
    }
    if (before.blocked) blocked.before++;
    if (after.blocked) blocked.after++;
    const { place, method, url } = recorded;
    if (after.blocked && !before.blocked) newlyBlocked.push({ place, method, url, before, after });
    else if (before.blocked && !after.blocked) newlyPassed.push({ place, method, url, before, after });
  }
  const requests = recording.requests.length - (skippedCount - recording.skippedCount);
  return {
    ...{ requests, skipped, skippedCount, truncated: recording.truncated, leavesOut: recording.leavesOut },
    ...{ comparedWith: base === null ? 'recording' : 'base', blocked, newlyBlocked, newlyPassed },
    unchanged: requests - newlyBlocked.length - newlyPassed.length,
    byRule: countRules(newlyBlocked),
  };
}

async function outcome(dry: DryRun, recorded: Recorded, peer: string, enforce: boolean): Promise<Outcome> {
  const { method, url, headers, body, response } = recorded;
  const answer = response === null ? undefined : () => answerOf(response);
  const explained = await dry.explain({
    request: makeRequest(method, url, headers, body),
    peer: recorded.peer === '' ? peer : recorded.peer,
    answer,
  });
  return outcomeOf(explained, enforce);
}

export function outcomeOf({ ended, waf, phases }: Explanation, enforce: boolean): Outcome {
  const would = enforce
    ? phases.flatMap(({ verdicts }) => verdicts).find(({ action, mode }) => action === 'block' && mode === 'log')
    : undefined;
  const verdict = ended?.action === 'block' ? ended : (would ?? null);
  if (verdict === null) return PASSED;
  const rules =
    verdict.phase === 'waf' && waf !== null
      ? distinct(waf.events.filter(({ score, target }) => score > 0 && !target.startsWith('TX')))
      : [];
  return {
    blocked: true,
    status: verdict.status,
    rules:
      rules.length > 0
        ? rules
        : [{ rule: verdict.rule, target: verdict.evidence?.target ?? '', message: verdict.reason }],
    reason: verdict.reason,
  };
}

const PASSED: Outcome = { blocked: false, status: 0, rules: [], reason: '' };

function distinct(events: readonly WafEvidence[]): Outcome['rules'] {
  const found = new Map<string, Outcome['rules'][number]>();
  for (const { rule, target, message } of events)
    found.set(`${rule} ${target}`, { rule: String(rule), target, message });
  return [...found.values()];
}

/** 403 is what a firewall answers; an application may do so too, and the report says by which status it goes. */
function asRecorded({ status }: Recorded): Outcome {
  return status === 403
    ? { blocked: true, status, rules: [], reason: 'recorded with status 403' }
    : { ...PASSED, status };
}

/** Headers about the length and the connection are worked out anew; HAR keeps bodies decoded. */
function answerOf({ status, headers, body }: RecordedResponse): Response {
  const kept = new Headers();
  for (const [name, value] of headers) {
    if (/^(content-(length|encoding)|transfer-encoding|connection)$/i.test(name)) continue;
    try {
      kept.append(name, value);
    } catch {
      // no header that HTTP allows
    }
  }
  const bare = body === null || [204, 205, 304].includes(status);
  return new Response(bare ? null : (body as Uint8Array<ArrayBuffer>), {
    status: status > 599 ? 502 : status,
    headers: kept,
  });
}

function countRules(changes: readonly Change[]): ReplayReport['byRule'] {
  const counts = new Map<string, { rule: string; target: string; message: string; requests: number }>();
  for (const { after } of changes)
    for (const { rule, target, message } of after.rules) {
      const key = `${rule} ${target}`;
      const known = counts.get(key);
      if (known === undefined) counts.set(key, { rule, target, message, requests: 1 });
      else known.requests++;
    }
  return [...counts.values()].sort((a, b) => b.requests - a.requests || (a.rule < b.rule ? -1 : 1));
}

const SHOWN = 20; // changes that are listed for people

function describe(report: ReplayReport): string {
  const { requests, newlyBlocked, newlyPassed, unchanged, blocked, byRule, skippedCount, skipped } = report;
  const against = report.comparedWith === 'base' ? 'the base policy' : 'what was recorded';
  const lines = [
    `${requests} requests, compared with ${against}: ${unchanged} unchanged, ${pc.red(`${newlyBlocked.length} newly blocked`)}, ${pc.green(`${newlyPassed.length} newly passed`)} (blocked ${blocked.before} before, ${blocked.after} with the draft)`,
  ];
  if (report.leavesOut !== '') lines.push(pc.yellow(report.leavesOut));
  if (report.truncated) lines.push(pc.yellow('the recording is longer; its first requests were replayed'));
  if (skippedCount > 0)
    lines.push(
      `${skippedCount} skipped: ${skipped
        .slice(0, 3)
        .map(({ place, reason }) => `${place}: ${printable(reason)}`)
        .join('; ')}`,
    );
  if (byRule.length > 0) {
    lines.push('', 'rules behind newly blocked requests');
    for (const { rule, target, message, requests: count } of byRule.slice(0, SHOWN))
      lines.push(
        `  ${String(count).padStart(6)}  ${printable(rule)}  ${printable(target)}  ${pc.dim(printable(message))}`,
      );
  }
  const list = (title: string, changes: readonly Change[]): void => {
    if (changes.length === 0) return;
    lines.push('', title);
    for (const { place, method, url, before, after } of changes.slice(0, SHOWN)) {
      const why = (after.blocked ? after : before).rules.map(
        ({ rule, target }) => `${rule}${target === '' ? '' : ` ${target}`}`,
      );
      lines.push(`  ${place}: ${printable(method)} ${printable(url)}  ${pc.dim(printable(why.join(', ')))}`);
    }
    if (changes.length > SHOWN) lines.push(`  … and ${changes.length - SHOWN} more; --json lists all`);
  };
  list('newly blocked', newlyBlocked);
  list('newly passed', newlyPassed);
  return lines.join('\n');
}
