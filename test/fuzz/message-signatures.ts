/**
 * Signature fields, mutated: read or refused with a reason, and their base built or refused with one; what was read is
 * one signature a label, and a base is ASCII with as many lines as components.
 */
import assert from 'node:assert/strict';
import { ComponentError } from '../../src/agents/component.ts';
import { MAX_SIGNATURE_BASE, MAX_SIGNATURES } from '../../src/agents/limits.ts';
import { requestMessage } from '../../src/agents/message.ts';
import { readSignatures, SignatureError } from '../../src/agents/message-signature.ts';
import { signatureBase } from '../../src/agents/signature-base.ts';
import { random, type Random } from './random.ts';

const INPUTS = [
  'sig1=("@authority" "signature-agent";key="sig1");created=1735689600;keyid="poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U";expires=4889289600;nonce="e8N7S2MFd/qrd6T2R3tdf==";tag="web-bot-auth"',
  'a=("@method" "@target-uri" "@query-param";name="b" "x-a";bs "content-digest";key="sha-256" "x-b");created=1, b=("x-b";sf)',
];
const VALUES = ['sig1=:jdq0SqOwHdyHr9+r5jw3iYZH6aNGKijYp/EstF4RQTQdi5N5YYKrD+mCT1HA1nZDsi6nJKuHxUi/5Syp3rLWBA==:', 'a=:AAAA:, b=:BBBB:']; // prettier-ignore
const AGENTS = ['sig1="https://agent.test/jwks.json"', '"https://agent.test"', 'a="https://agent.test";type=cimd, b=1'];
const PIECES = ['"', ';', '=', ', ', '(', ')', ' ', ':', '@', 'sig1=', ';key="x"', ';sf', ';bs', ';req', ';tr', ';name="%"', '"@status"', '\\"', '-1', '1.5', '?0', 'é']; // prettier-ignore
const URLS = [
  'https://example.com/a?b=c&b',
  'http://EXAMPLE.com:80',
  'https://[::1]:443/%ff?%zz=%',
  'https://a/?b=%F0%9F',
];

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) judge(r);
  return Promise.resolve(cases);
}

function mutate(r: Random, text: string): string {
  let out = text;
  for (let i = r.below(4); i > 0; i--) {
    const at = r.below(out.length + 1);
    const piece = r.below(3) === 0 ? String.fromCharCode(0x20 + r.below(0xdf)) : r.pick(PIECES);
    out = out.slice(0, at) + piece.repeat(r.below(50) === 0 ? r.below(900) : 1) + out.slice(at + r.below(5));
  }
  return out;
}

function judge(r: Random): void {
  const headers = new Headers();
  const set = (name: string, value: string): void => {
    // What no header can hold never arrives.
    if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) headers.set(name, value);
  };
  const at = r.below(2);
  set('signature-input', mutate(r, INPUTS[at] ?? ''));
  set('signature', mutate(r, VALUES[at] ?? ''));
  set('signature-agent', mutate(r, r.pick(AGENTS)));
  set('content-digest', mutate(r, 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBmbDzpVyS1A=:'));
  if (r.below(2) === 0) set('x-a', mutate(r, 'one, two'));
  const message = requestMessage('GET', r.pick(URLS), headers);
  try {
    const signatures = readSignatures(message);
    assert.ok(signatures.length <= MAX_SIGNATURES);
    assert.equal(new Set(signatures.map(({ label }) => label)).size, signatures.length);
    for (const { input } of signatures) {
      const base = signatureBase(message, input);
      assert.match(base, /^[\n\t -~]*$/);
      assert.equal(base.split('\n').length, input.items.length + 1);
      assert.ok(base.length < MAX_SIGNATURE_BASE * 2);
    }
  } catch (error) {
    assert.ok(error instanceof SignatureError || error instanceof ComponentError, String(error));
    assert.notEqual(error.fault, '');
  }
}
