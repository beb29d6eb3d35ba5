/**
 * Requests, mutated, through the whole engine in-process: never a trap, always a verdict, the same one each time, and
 * no trace of one request in the next.
 *
 * Heads are made from good ones by changes of bytes, of structure and of size, and then handed over as the host half
 * would (with a count of fields that is sometimes wrong, which the engine has to notice).
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  MAX_STEPS,
  OUTCOME_LIMIT,
  OUTCOME_NO_APP,
  OUTCOME_NO_ROUTE,
  OUTCOME_OK,
  OUTCOME_REJECT,
  REASON_SEPARATOR,
} from '../../assembly/abi.ts';
import { compile } from '../../src/compiler/index.ts';
import { createEngine, type Engine, type Generation, type Head } from '../../src/waf/engine.ts';
import { random, type Random } from './random.ts';

const ROOT = join(import.meta.dirname, '../..');
const SLOWEST_CALL = 2000; // ms; a call within its step budget takes a fraction of that

type Line = [name: string, value: string];
interface Request {
  method: string;
  url: string;
  peer: string;
  lines: Line[];
  body: Uint8Array;
}

const SEEDS: readonly Omit<Request, 'body'>[] = [
  {
    method: 'GET',
    url: 'http://ref.localhost/',
    peer: '127.0.0.1:5000',
    lines: [
      ['host', 'ref.localhost'],
      ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36'],
    ],
  },
  {
    method: 'POST',
    url: 'http://api.ref.localhost/api/things?q=abc&x=1',
    peer: '[2001:db8::7]:443',
    lines: [
      ['host', 'api.ref.localhost'],
      ['version', 'two'],
      ['user-agent', 'GPTBot/1.2'],
      ['cookie', 'beta=1; a=b; beta=2'],
    ],
  },
  {
    method: 'GET',
    url: 'http://ref.localhost/tea/12?q=union%20all%20select',
    peer: '192.0.2.77',
    lines: [
      ['host', 'ref.localhost'],
      ['user-agent', 'curl/8'],
      ['x-forwarded-for', '1.2.3.4, 10.0.0.1'],
      ['referer', 'http://x/'],
    ],
  },
  {
    method: 'PUT',
    url: 'http://blog.ref.localhost/v1/../admin/%2e%2e/x%2fy?a[]=1&a[]=2',
    peer: '',
    lines: [
      ['host', 'blog.ref.localhost:8080'],
      ['user-agent', ''],
      ['accept', '*/*'],
      ['content-type', 'application/x-www-form-urlencoded'],
    ],
  },
];

const PIECES = [
  '..',
  '%2e%2e',
  '%2f',
  '%5c',
  '%00',
  '%',
  '%zz',
  '//',
  '\\',
  '?',
  '&',
  '=',
  ';',
  ',',
  '#',
  '@',
  ':',
  '[::1]',
  '*',
  ' ',
  '\t',
  '\0',
  '\r\n',
  '\u0001',
  '\u007f',
  '\u00e9',
  '\ufffd',
  '😀',
  '\ud800',
  '%f0%9f%98%80',
  '%c0%af',
  '+',
  'union select',
  '<script>',
  '0',
  '-1',
  '99999999999999999999',
  '::ffff:1.2.3.4',
  'xn--',
  '.',
  'a'.repeat(300),
  '/'.repeat(200),
  '%25'.repeat(50),
  '(((((',
  '[[[[',
  'GPTBot',
  'Googlebot/2.1',
] as const;
const NAMES = [
  'host',
  'cookie',
  'user-agent',
  'x-forwarded-for',
  'forwarded',
  'version',
  'x-user',
  'x-debug',
  'x-internal',
  'referer',
  'content-type',
  'content-length',
  '__proto__',
  'a'.repeat(200),
  '',
  'x',
] as const;

function mutateText(text: string, r: Random): string {
  const at = r.below(text.length + 1);
  switch (r.below(7)) {
    case 0:
      return text.slice(0, at) + r.pick(PIECES) + text.slice(at);
    case 1:
      return text.slice(0, at) + String.fromCharCode(r.below(r.below(4) === 0 ? 65536 : 256)) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + r.below(8));
    case 3:
      return text.slice(0, at) + text.slice(r.below(text.length + 1)) + text.slice(at);
    case 4:
      return text.slice(0, at) + r.pick(PIECES).repeat(r.below(r.below(50) === 0 ? 2000 : 20)) + text.slice(at);
    case 5:
      return text.replace(/[a-z]/, (letter) =>
        r.below(2) ? letter.toUpperCase() : `%${letter.charCodeAt(0).toString(16)}`,
      );
    default:
      return r.pick(PIECES);
  }
}

function mutate(request: Request, r: Random): void {
  for (let changes = 1 + r.below(6); changes > 0; changes--) {
    const { lines } = request;
    switch (r.below(9)) {
      case 0:
        request.method = mutateText(request.method, r);
        break;
      case 1:
      case 2:
      case 3:
        request.url = mutateText(request.url, r);
        break;
      case 4:
        request.peer = mutateText(request.peer, r);
        break;
      case 5:
        lines.splice(r.below(lines.length + 1), 0, [r.pick(NAMES), mutateText('value', r)]);
        break;
      case 6:
        if (lines.length > 0) lines.splice(r.below(lines.length), 1);
        break;
      case 7: {
        const line = lines[r.below(lines.length)];
        if (line) line[r.below(8) === 0 ? 0 : 1] = mutateText(line[1], r);
        break;
      }
      default:
        for (let n = r.below(r.below(20) === 0 ? 700 : 10); n > 0; n--) lines.push([`x-${n}`, 'v'.repeat(r.below(60))]);
    }
  }
  request.body = Uint8Array.from({ length: r.below(r.below(20) === 0 ? 60_000 : 300) }, () => r.below(256));
}

const join0 = ({ method, url, peer, lines }: Omit<Request, 'body'>): Head => ({
  text: [method, url, peer, ...lines.flat()].map((field) => `${field}\0`).join(''),
  fields: 3 + lines.length * 2,
});

const OUTCOMES = new Set([OUTCOME_OK, OUTCOME_REJECT, OUTCOME_NO_APP, OUTCOME_NO_ROUTE, OUTCOME_LIMIT]);

export async function fuzz(seconds: number, seed: number): Promise<number> {
  const r = random(seed);
  const { engine, generation } = await load();
  const control = SEEDS.map((request) => {
    const head = join0(request);
    return { head, want: JSON.stringify(engine.head(generation, head, 7, 1_800_000_000)) };
  });
  assert.ok(
    control.some(({ want }) => want.includes(`"outcome":${OUTCOME_OK}`)),
    'a plain request is served',
  );
  const end = performance.now() + seconds * 1000;
  let cases = 0;
  for (; performance.now() < end; cases++) {
    const request: Request = { ...structuredClone(r.pick(SEEDS) as Request), body: new Uint8Array() };
    mutate(request, r);
    const head = join0(request);
    const miscounted = r.below(30) === 0;
    const given = miscounted
      ? { text: head.text, fields: Math.max(0, head.fields + r.pick([-3, -2, -1, 1, 2, 100])) }
      : head;
    try {
      one(engine, generation, given, request, r);
      const checked = control[cases % control.length]!;
      assert.equal(
        JSON.stringify(engine.head(generation, checked.head, 7, 1_800_000_000)),
        checked.want,
        'a request left a trace in the next one',
      );
    } catch (error) {
      throw new Error(`seed ${seed}, case ${cases}: ${(error as Error).message}\nhead: ${JSON.stringify(given)}`, {
        cause: error,
      });
    }
  }
  return cases;
}

function one(engine: Engine, generation: Generation, head: Head, request: Request, r: Random): void {
  const [seed, now] = [r.below(2 ** 31), 1_700_000_000 + r.below(1e8)];
  const started = performance.now();
  const result = engine.head(generation, head, seed, now);
  assert.equal(engine.traps, 0, 'the engine trapped');
  assert.ok(OUTCOMES.has(result.outcome), `outcome ${result.outcome}`);
  assert.ok(result.steps >= 0 && result.steps <= MAX_STEPS, `${result.steps} steps`);
  assert.deepEqual(engine.head(generation, head, seed, now), result, 'the same call gave another answer');
  const separators = head.text.split('\0').length - 1;
  if (separators !== head.fields) {
    assert.equal(result.outcome, OUTCOME_REJECT, 'a wrong count of fields was not noticed');
    if (new TextEncoder().encode(head.text).length < 200_000)
      assert.ok(result.reason === REASON_SEPARATOR || result.reason > 0);
  }
  if (result.outcome === OUTCOME_OK || result.outcome === OUTCOME_NO_ROUTE) {
    assert.ok(result.app >= 0 && result.app < generation.apps.length, `app ${result.app}`);
    assert.ok(result.path.startsWith('/') || request.method === 'OPTIONS', `path ${JSON.stringify(result.path)}`);
    for (const segment of result.path.split('/'))
      assert.ok(!/^(\.|%2e){1,2}$/i.test(segment), `dot segment in ${JSON.stringify(result.path)}`);
    assert.doesNotMatch(result.path, /[\0\r\n ?#]/);
    assert.doesNotMatch(result.host, /[\0-\u0020@/?#]|[A-Z]/);
    assert.ok(result.prefixLength >= 0 && result.prefixLength <= result.path.length);
  }
  if (result.outcome === OUTCOME_OK) {
    const plan = generation.apps[result.app]!;
    assert.ok(
      result.terminal !== 0 || (result.route >= 0 && result.route < plan.routeNames.length),
      `route ${result.route}`,
    );
    const length = new TextEncoder().encode(request.body.toString()).length;
    const stage = engine.body(
      generation,
      result.app,
      head,
      request.body,
      length,
      r.below(4) === 0,
      seed,
      now,
      result.state,
    );
    assert.ok(OUTCOMES.has(stage.outcome), `body outcome ${stage.outcome}`);
    const response: Head = {
      text: `${r.pick(['200', '500', '', 'x'])}\0content-type\0${mutateText('text/plain', r).replaceAll('\0', '')}\0`,
      fields: 3,
    };
    const last = engine.response(generation, result.app, head, response, seed, now, stage.state);
    assert.ok(OUTCOMES.has(last.outcome), `response outcome ${last.outcome}`);
    assert.equal(engine.traps, 0, 'the engine trapped');
  }
  const took = performance.now() - started;
  assert.ok(took < SLOWEST_CALL, `took ${took.toFixed(0)} ms`);
}

async function load(): Promise<{ engine: Engine; generation: Generation }> {
  const path = join(ROOT, 'examples/reference/sallyport.yaml');
  const compiled = await compile({ files: [{ path, text: readFileSync(path, 'utf8') }], target: 'workerd' });
  const { manifest, images } = compiled;
  if (manifest === null)
    throw new Error(`the reference policy does not compile: ${JSON.stringify(compiled.diagnostics)}`);
  const engine = createEngine(new WebAssembly.Module(readFileSync(join(ROOT, 'dist/engine.wasm'))));
  const loaded = (hash: string): { hash: string; bytes: Uint8Array } => ({
    hash,
    bytes: images.get(hash) as Uint8Array,
  });
  const generation = engine.load({
    id: manifest.generation,
    hosts: loaded(manifest.hosts),
    agents: manifest.agents === null ? null : loaded(manifest.agents),
    apps: manifest.apps.map(({ image }) => loaded(image)),
  });
  return { engine, generation };
}
