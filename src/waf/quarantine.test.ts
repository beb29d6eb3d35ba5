/** Traps are made by hand: no request is known that brings one about. What follows from them is the engine's own doing. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  REASON_QUARANTINE,
  REASON_TRAP,
  RESULT_APP,
  RESULT_AT,
  RESULT_WAF_PROGRAM,
  RESULT_WAF_RUNNING,
} from '../../assembly/abi.ts';
import { MAX_TRAPS_A_MINUTE } from '../../assembly/waf/abi.ts';
import { compile } from '../compiler/index.ts';
import { createEngine, type Engine, type Generation } from './engine.ts';
import type { SwitchedOff } from './quarantine.ts';

const module = new WebAssembly.Module(readFileSync(new URL('../../dist/engine.wasm', import.meta.url)));

interface World {
  readonly engine: Engine;
  generation: Generation;
  /** The same images as one more generation. */
  load(): Generation;
  readonly told: SwitchedOff[];
  /** While set, head calls trap, and memory says that this rule was running. */
  trap: number | null;
  ask(query: string, now?: number): ReturnType<Engine['head']>;
}

async function world(onError: 'open' | 'closed'): Promise<World> {
  const text = `app: a
backends: { b: { url: "http://127.0.0.1:1" } }
waf:
  ruleset: none
  onError: ${onError}
  secLang: |
    SecRule ARGS "@rx one" "id:11,phase:1,deny,status:401"
    SecRule ARGS "@rx two" "id:12,phase:1,deny,status:402"
routes: [{ backend: b }]
`;
  const { manifest, images } = await compile({ files: [{ path: 'a.yaml', text }], target: 'workerd', agents: null });
  const loaded = (hash: string) => ({ hash, bytes: images.get(hash)! });
  const told: SwitchedOff[] = [];
  const { Instance } = WebAssembly;
  const made: World = {
    trap: null,
    told,
    ask(query, now = 1000) {
      const head = ['GET', `http://a/?q=${query}`, '192.0.2.1', 'host', 'a', ''].join('\0');
      return made.engine.head(made.generation, { text: head, fields: 5 }, 0, now, false);
    },
  } as World;
  function Trapping(this: unknown, source: WebAssembly.Module, imports: { env: { memory: WebAssembly.Memory } }) {
    const { exports } = new Instance(source, imports);
    const head = exports['head'] as (...args: number[]) => number;
    const broken = (...args: number[]): number => {
      if (made.trap === null) return head(...args);
      const words = new Int32Array(imports.env.memory.buffer, RESULT_AT);
      words[RESULT_APP] = words[RESULT_WAF_PROGRAM] = 0;
      words[RESULT_WAF_RUNNING] = made.trap;
      throw new WebAssembly.RuntimeError('unreachable');
    };
    return { exports: { ...exports, head: broken } };
  }
  WebAssembly.Instance = Trapping as unknown as typeof WebAssembly.Instance;
  const engine = createEngine(module, (what) => told.push(what));
  const [app] = manifest!.apps;
  const load = (): Generation =>
    engine.load({ id: 'g', hosts: loaded(manifest!.hosts), agents: null, apps: [loaded(app!.image)] });
  return Object.assign(made, { engine, load, generation: load() });
}

const real = WebAssembly.Instance;
test.afterEach(() => {
  WebAssembly.Instance = real;
});

const trapTimes = (world: World, rule: number, times: number, now = 1000): void => {
  world.trap = rule;
  for (let i = 0; i < times; i++) assert.equal(world.ask('x', now).reason, REASON_TRAP);
  world.trap = null;
};

test('the rules are found at rows 0 and 1, and deny', async () => {
  const one = await world('open');
  assert.deepEqual([one.ask('one').waf?.rule, one.ask('two').waf?.rule, one.ask('x').waf?.action], [11, 12, 'pass']);
});

test('open: a rule that traps more than three times a minute is left out, others go on', async () => {
  const open = await world('open');
  trapTimes(open, 0, MAX_TRAPS_A_MINUTE);
  assert.deepEqual([open.told, open.ask('one').waf?.rule], [[], 11]);
  trapTimes(open, 0, 1);
  assert.deepEqual(open.told, [{ app: 'a', rule: 11, onError: 'open' }]);
  assert.deepEqual([open.ask('one').waf?.action, open.ask('two').waf?.rule], ['pass', 12]);
  trapTimes(open, 0, 5);
  assert.equal(open.told.length, 1, 'once is enough');
  assert.equal(open.engine.traps, MAX_TRAPS_A_MINUTE + 6);
});

test('closed: where it would run there is no verdict; requests that do not reach it pass', async () => {
  const closed = await world('closed');
  trapTimes(closed, 1, MAX_TRAPS_A_MINUTE + 1);
  assert.deepEqual(closed.told, [{ app: 'a', rule: 12, onError: 'closed' }]);
  const reached = closed.ask('two').waf;
  assert.deepEqual([reached?.action, reached?.reason], ['limit', REASON_QUARANTINE]);
  assert.deepEqual([closed.ask('x').waf?.action, closed.ask('one').waf?.rule], ['pass', 11]);
});

test('before any rule ran, it is the program', async () => {
  const open = await world('open');
  trapTimes(open, -1, MAX_TRAPS_A_MINUTE + 1);
  assert.deepEqual(open.told, [{ app: 'a', rule: 0, onError: 'open' }]);
  assert.equal(open.ask('one').waf, null);
  const closed = await world('closed');
  trapTimes(closed, -1, MAX_TRAPS_A_MINUTE + 1);
  assert.equal(closed.ask('x').waf?.action, 'limit');
});

test('what is switched off stays so while a generation has the policy, and no longer', async () => {
  const open = await world('open');
  trapTimes(open, 0, MAX_TRAPS_A_MINUTE + 1);
  const before = open.generation;
  open.generation = open.load();
  open.engine.release(before);
  assert.equal(open.ask('one').waf?.action, 'pass');
  open.engine.release(open.generation);
  open.generation = open.load();
  assert.equal(open.ask('one').waf?.rule, 11);
});

test('traps a minute apart do not add up', async () => {
  const open = await world('open');
  for (let minute = 0; minute < 5; minute++) trapTimes(open, 0, MAX_TRAPS_A_MINUTE, 1000 + minute * 60);
  assert.deepEqual([open.told, open.ask('one', 2000).waf?.rule], [[], 11]);
});
