/**
 * Our engine behind the protocol of peer.ts, so that it is timed as the others are: `sallyport.ts LEVEL RULES.conf`, where
 * LEVEL is the paranoia level that the policy would name and programs are folded with.
 */
import { readFileSync, readSync } from 'node:fs';
import { openRules } from '../../../test/support/waf.ts';
import type { RawTransaction } from '../../../src/waf/transaction.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function readFully(count: number): Buffer | null {
  const bytes = Buffer.allocUnsafe(count);
  for (let at = 0; at < count;) {
    const read = readSync(0, bytes, at, count - at, null);
    if (read === 0) return null;
    at += read;
  }
  return bytes;
}
function bytesOf(count: number): Buffer {
  const bytes = readFully(count);
  if (!bytes) throw new Error('input ends inside a command');
  return bytes;
}
const number = (): number => bytesOf(4).readUInt32LE();
const octets = (): Uint8Array => bytesOf(number());

function message(): Pick<RawTransaction, 'protocol' | 'headers' | 'body'> {
  const protocol = octets();
  const headers: [Uint8Array, Uint8Array][] = [];
  for (let count = number(); count > 0; count--) {
    const name = octets();
    headers.push([name, octets()]);
  }
  return { protocol, headers, body: octets() };
}
function exchange(): RawTransaction {
  const peer = Buffer.from(octets()).toString('latin1');
  const read: Mutable<RawTransaction> = { peer, method: octets(), uri: octets(), ...message() };
  const status = number();
  if (status !== 0) read.response = { status, ...message() };
  return read;
}

const [level = '', rules = ''] = process.argv.slice(2);
const paranoia = Number(level);
if (!(paranoia >= 1 && paranoia <= 4) || rules === '') throw new Error('usage: sallyport.ts LEVEL RULES.conf');
const begun = performance.now();
const { waf } = await openRules(readFileSync(rules, 'utf8'), {
  mode: 'detect',
  bodyLimit: 1 << 20,
  paranoia: { blocking: paranoia, detection: paranoia },
});
const rss = (): number => process.memoryUsage.rss();
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
say({ ready: 'Sallyport', loadMs: Math.round((performance.now() - begun) * 10) / 10, rss: rss() });

for (let command = readFully(4); command; command = readFully(4)) {
  const kind = command.readUInt32LE();
  if (kind === 1) {
    const { events, status } = waf.inspect(exchange());
    const told = events
      .filter(({ log }) => log)
      .map(({ rule, phase, action, message: text, logdata }) => ({
        id: rule,
        phase,
        disruptive: action !== 'pass',
        message: text,
        data: logdata,
      }));
    say({ status, hits: told });
  } else if (kind === 2) {
    const warm = number();
    const passes = number();
    const list = Array.from({ length: number() }, exchange);
    for (let pass = 0; pass < warm; pass++) for (const one of list) waf.inspect(one);
    const limits = list.filter((one) => waf.inspect(one).action === 'limit').length;
    const samples = new Float64Array(passes * list.length);
    let at = 0;
    for (let pass = 0; pass < passes; pass++) {
      for (const one of list) {
        const from = process.hrtime();
        waf.inspect(one);
        const [seconds, nanoseconds] = process.hrtime(from);
        samples[at++] = seconds * 1e9 + nanoseconds;
      }
    }
    const mean = samples.reduce((sum, sample) => sum + sample, 0) / Math.max(1, samples.length);
    samples.sort();
    const share = (part: number): number => samples[Math.floor(part * (samples.length - 1))] ?? 0;
    say({ mean, p50: share(0.5), p99: share(0.99), rss: rss(), linear: waf.memory, limits });
  } else {
    throw new Error(`unknown command ${kind}`);
  }
}
