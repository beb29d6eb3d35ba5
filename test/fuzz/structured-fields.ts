/**
 * Structured fields: mutated texts are read or refused, never anything else; what was read is written in a form that is
 * read the same. Held against the package `structured-headers` too, where that keeps to the RFC.
 */
import assert from 'node:assert/strict';
import * as peer from 'structured-headers';
import { parseDictionary, parseItem, parseList, StructuredFieldError } from '../../src/agents/structured-field.ts';
import { writeDictionary, writeItem, writeList } from '../../src/agents/structured-field-text.ts';
import { random, spoil, type Random } from './random.ts';

const PIECES = ['"', ':', ';', '=', ',', ', ', '(', ')', ' ', '\t', '?', '?1', '@', '@-1', '%"', '%', '\\', '*', '-', '.', '1', '1.0', 'a', 'A', 'sig1=', '"@method"', ';key="x"', ':AAAA:', '\n', '\0', 'é', '\ud800', '😀', '%c3%a9']; // prettier-ignore
const SEEDS = [
  'sig1=("@method" "@authority" "content-digest";req "x";key="a";sf);created=1618884473;keyid="k";alg="ed25519"',
  'a=(1 2.5);x=:aGk=:, b;c=?0, d=@17, e=%"f%c3%bc", f=tok/en:x',
  '"a string \\" with \\\\ escapes";q=0.5, tok, (1 "two" three);n',
  'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBmbDzpVyS1A=:',
];

const FORMS = [
  { read: parseItem, write: writeItem, peer: (text: string) => peer.serializeItem(peer.parseItem(text)) },
  { read: parseList, write: writeList, peer: (text: string) => peer.serializeList(peer.parseList(text)) },
  {
    read: parseDictionary,
    write: writeDictionary,
    peer: (text: string) => peer.serializeDictionary(peer.parseDictionary(text)),
  },
] as unknown as readonly {
  read(text: string, options?: { unique: boolean }): never;
  write(value: never): string;
  peer(text: string): string;
}[];

/** Tries cases for so many seconds; how many. Rejects at the first that is wrong. */
export function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const until = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < until; cases++) judge(spoil(r.pick(SEEDS), r, PIECES, 5), r);
  return Promise.resolve(cases);
}

function judge(text: string, r: Random): void {
  const form = r.pick(FORMS);
  const ours = attempt(() => form.write(form.read(text)));
  if (ours !== null) assert.equal(form.write(form.read(ours)), ours, `written again: ${JSON.stringify(text)}`);
  if (attempt(() => form.write(form.read(text, { unique: true }))) !== null)
    assert.notEqual(ours, null, `unique takes more than it may: ${JSON.stringify(text)}`);
  if (!comparable(text)) return;
  let theirs: string | null = null;
  try {
    theirs = form.peer(text);
  } catch {
    // refused
  }
  assert.equal(ours, theirs, `${JSON.stringify(text)}: the package differs`);
}

/** Where the package is not the RFC's: decimals with a fraction of zeros, dates, and what its display strings let pass. */
function comparable(text: string): boolean {
  return !/[.@%]/.test(text);
}

function attempt(make: () => string): string | null {
  try {
    return make();
  } catch (error) {
    assert.ok(error instanceof StructuredFieldError, `${error instanceof Error ? error.stack : String(error)}`);
    return null;
  }
}
