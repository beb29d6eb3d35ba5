/**
 * `npm run bench -- agents`: what it costs to know who is calling, and how often that is wrong.
 *
 * (a) `classify.*`: one user agent, from a JavaScript string to the answer. Sallyport copies the string into WebAssembly
 *     memory and returns which of 1,757 agents it is; isbot and the union of all patterns of crawler-user-agents say yes or
 *     no. `browsers` are the current browser strings of top-user-agents and user-agents, `crawlers` the instances that
 *     crawler-user-agents lists. `head.*` is the same as the difference of two whole head calls, with the table and without.
 * (b) `recall.*`, `false.*`: in percent of those instances, and in flagged strings of browsers. Those instances are also what
 *     word boundaries of patterns are learnt from, and what isbot is tested with; so `learnt` is the honest row: patterns
 *     from a random half of the package, instances from the other half. Our own table is not learnt from it.
 * (c) `address.*`: one look-up among 3,000 prefixes of four lists, half of the addresses inside.
 * (d) `verify.*`: one signed request (Web Bot Auth, Ed25519), key at hand. The package `web-bot-auth` leaves to its caller most
 *     of what ours checks; `webcrypto` is the bare signature over the same bytes, which both have to do.
 *
 * Contestants take turns within each round; medians and ratios within one run mean something, figures of two runs do not.
 */
import listed from 'crawler-user-agents';
import { isbot } from 'isbot';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { verify as peerVerify } from 'web-bot-auth';
import { verifierFromJWK } from 'web-bot-auth/crypto';
import { BODY_AT, IMAGES_AT, PAGE_BYTES } from '../assembly/abi.ts';
import { buildEngine } from '../scripts/build-engine.ts';
import { requestMessage } from '../src/agents/message.ts';
import { component } from '../src/agents/message-signature.ts';
import { verifyWebBotAuth } from '../src/agents/web-bot-auth.ts';
import { artefact } from '../src/cli/workerd.ts';
import { ADDRESS_LISTS } from '../src/compiler/agents/address-lists.ts';
import { withAddresses } from '../src/compiler/agents/addresses.ts';
import { compileAgents, LEFT_OUT, type Crawler } from '../src/compiler/agents/agents.ts';
import { parseAddress } from '../src/compiler/lists.ts';
import { newSigner, signedHeaders, TARGET } from '../test/support/signed-request.ts';
import { QUIET, quiet } from './harness/processes.ts';
import { quantile, type Benchmark, type Report } from './harness/runner.ts';
import { BROWSER_HEADERS } from './harness/table.ts';
import { HOST } from './peers/deployment.ts';
import { loadedEngine } from './peers/engine.ts';

const require = createRequire(import.meta.url);
const PREFIXES = 3000;
const crawlers: readonly Crawler[] = listed;

export const run: Benchmark = async (report, { quick }) => {
  const busy = await quiet(quick ? 5 : 60);
  if (busy > QUIET) report.note(`the machine was ${Math.round(busy * 100)} % busy with other things at the start`);
  const rounds = quick ? 5 : 21;
  const corpora = readCorpora();
  const engine = await Classifier.build();
  measureClassification(report, engine, corpora, rounds, quick);
  await measureHead(report, corpora, rounds, quick);
  measureRates(report, engine, corpora, quick);
  measureAddresses(report, engine, rounds);
  await measureVerification(report, rounds, quick);
};

interface Corpora {
  readonly top: readonly string[];
  readonly browsers: readonly string[]; // of user-agents, each once
  readonly crawlers: readonly string[];
  readonly ai: readonly string[];
}

function readCorpora(): Corpora {
  const top = require('top-user-agents') as string[];
  const file = new URL('user-agents.json', import.meta.resolve('user-agents'));
  const rows = JSON.parse(readFileSync(file, 'utf8')) as { readonly userAgent: string }[];
  const of = (list: readonly { readonly instances: readonly string[] }[]) => [
    ...new Set(list.flatMap(({ instances }) => instances)),
  ];
  return {
    top,
    browsers: [...new Set(rows.map(({ userAgent }) => userAgent))],
    crawlers: of(crawlers),
    ai: of(crawlers.filter(({ tags }) => tags?.includes('ai-crawler'))),
  };
}

interface Exports {
  open(at: number, length: number, room: number, all: number): number;
  agent(image: number, at: number, length: number): number;
  lookUp(image: number, at: number, count: number): number;
}

const encoder = new TextEncoder();

/** The engine's classification alone, as src/waf/engine.ts would call it. */
class Classifier {
  readonly #exports: Exports;
  readonly #memory: WebAssembly.Memory;
  readonly #window: Uint8Array;

  private constructor(module: WebAssembly.Module) {
    this.#memory = new WebAssembly.Memory({ initial: IMAGES_AT / PAGE_BYTES + 32 });
    this.#exports = new WebAssembly.Instance(module, { env: { memory: this.#memory } }).exports as unknown as Exports;
    this.#window = new Uint8Array(this.#memory.buffer, BODY_AT, 65_536);
    this.load(new Uint8Array(readFileSync(artefact('agents.img'))));
  }

  static async build(): Promise<Classifier> {
    const wasm = await buildEngine({ entry: 'bench/assembly/classify.ts', folder: 'build/bench' });
    return new Classifier(new WebAssembly.Module(new Uint8Array(wasm)));
  }

  load(image: Uint8Array): void {
    new Uint8Array(this.#memory.buffer, IMAGES_AT, image.length).set(image);
    const fault = this.#exports.open(IMAGES_AT, image.length, image.length, 1);
    if (fault !== 0) throw new Error(`the image is refused: ${fault}`);
  }

  /** Copies the text and classifies it. */
  classify(userAgent: string): boolean {
    const { written } = encoder.encodeInto(userAgent, this.#window);
    return this.#exports.agent(IMAGES_AT, BODY_AT, written) >= 0;
  }

  lookUp(addresses: Uint8Array): number {
    this.#window.set(addresses);
    return this.#exports.lookUp(IMAGES_AT, BODY_AT, addresses.length / 16);
  }
}

type Test = (userAgent: string) => boolean;

/** Nanoseconds for one call, over texts that are taken in turn. */
function timed(test: Test, texts: readonly string[], calls: number): number {
  let flagged = 0;
  const started = process.hrtime.bigint();
  for (let i = 0, at = 0; i < calls; i++) {
    if (test(texts[at]!)) flagged++;
    if (++at === texts.length) at = 0;
  }
  const elapsed = Number(process.hrtime.bigint() - started);
  if (flagged > calls) throw new Error('never'); // so that no call can be left out
  return elapsed / calls;
}

function contestants(engine: Classifier): Readonly<Record<string, { peer: string; test: Test }>> {
  const union = new RegExp(crawlers.map(({ pattern }) => pattern).join('|'));
  return {
    sallyport: { peer: 'Sallyport', test: (text) => engine.classify(text) },
    isbot: { peer: 'isbot', test: (text) => isbot(text) },
    crawlers: { peer: 'crawler-user-agents', test: (text) => union.test(text) },
  };
}

function measureClassification(
  report: Report,
  engine: Classifier,
  corpora: Corpora,
  rounds: number,
  quick: boolean,
): void {
  const sets = { browsers: [...corpora.top, ...corpora.browsers], crawlers: corpora.crawlers };
  const calls = quick ? 20_000 : 50_000;
  for (const [name, texts] of Object.entries(sets)) {
    const all = Object.entries(contestants(engine)).map(([id, { peer, test }]) => ({
      id,
      peer,
      test,
      samples: [] as number[],
    }));
    for (const { test } of all) timed(test, texts, calls);
    for (let round = 0; round < rounds; round++) for (const one of all) one.samples.push(timed(one.test, texts, calls));
    for (const { id, peer, samples } of all)
      report.row(
        `classify.${name}.${id}`,
        peer,
        `${texts.length} ${name}, one user agent from its string`,
        'ns',
        samples,
      );
    for (const peer of ['isbot', 'crawlers'])
      report.goal(
        `ahead.${name}.${peer}`,
        `${name}: classification with the copy of the string costs less than ${peer === 'isbot' ? 'isbot' : 'the union of crawler-user-agents'}`,
        `classify.${name}.sallyport / classify.${name}.${peer} < 1`,
        'x',
      );
  }
}

/** What the table adds to a whole head call, which has the string in memory anyway. */
async function measureHead(report: Report, { top, browsers }: Corpora, rounds: number, quick: boolean): Promise<void> {
  const { engine, generation } = await loadedEngine(10, false);
  const bare = await loadedEngine(10, false, undefined, false);
  const others = BROWSER_HEADERS.filter(([name]) => name !== 'user-agent');
  const heads = [...top, ...browsers].map((userAgent) => {
    const lines = [['host', HOST], ...others, ['user-agent', userAgent]].toSorted(([a], [b]) => (a! < b! ? -1 : 1));
    const text = `GET\0http://${HOST}/\x00127.0.0.1:40404\0${lines.map(([name, value]) => `${name}\0${value}\0`).join('')}`;
    return { text, fields: 3 + lines.length * 2 };
  });
  const calls = quick ? 20_000 : 50_000;
  const time = (one: typeof bare): number => {
    const started = process.hrtime.bigint();
    for (let i = 0, at = 0; i < calls; i++) {
      one.engine.head(one.generation, heads[at]!, 1, 1);
      if (++at === heads.length) at = 0;
    }
    return Number(process.hrtime.bigint() - started) / calls;
  };
  const whole = { engine, generation };
  const samples: Record<'table' | 'none', number[]> = { table: [], none: [] };
  time(whole);
  time(bare);
  for (let round = 0; round < rounds; round++) {
    samples.table.push(time(whole));
    samples.none.push(time(bare));
  }
  report.row('head.table', 'Sallyport', 'whole head call of a browser', 'ns', samples.table);
  report.row('head.none', 'Sallyport', 'the same without a table of agents', 'ns', samples.none);
  report.goal(
    'ahead.head',
    'what the table adds to a head call costs less than isbot',
    '(head.table - head.none) / classify.browsers.isbot < 1',
    'x',
  );
}

function measureRates(report: Report, engine: Classifier, corpora: Corpora, quick: boolean): void {
  const share = (test: Test, texts: readonly string[]): number => (texts.filter(test).length / texts.length) * 100;
  for (const [id, { peer, test }] of Object.entries(contestants(engine))) {
    report.row(`recall.ai.${id}`, peer, `${corpora.ai.length} AI agents of crawler-user-agents`, '%', [
      share(test, corpora.ai),
    ]);
    report.row(`recall.all.${id}`, peer, `${corpora.crawlers.length} crawlers of it`, '%', [
      share(test, corpora.crawlers),
    ]);
    const flagged = (texts: readonly string[]): number => texts.filter(test).length;
    report.row(`false.top.${id}`, peer, `${corpora.top.length} browsers of top-user-agents`, 'strings', [
      flagged(corpora.top),
    ]);
    report.row(`false.browsers.${id}`, peer, `${corpora.browsers.length} browsers of user-agents`, 'strings', [
      flagged(corpora.browsers),
    ]);
  }
  const ai: number[] = [];
  const all: number[] = [];
  for (let seed = 1; seed <= (quick ? 3 : 9); seed++) {
    const { learnt, kept } = halves(seed);
    engine.load(compileAgents(learnt));
    const of = (list: readonly Crawler[]): string[] => list.flatMap(({ instances }) => [...instances]);
    ai.push(share((text) => engine.classify(text), of(kept.filter(({ tags }) => tags?.includes('ai-crawler')))));
    all.push(share((text) => engine.classify(text), of(kept)));
  }
  engine.load(new Uint8Array(readFileSync(artefact('agents.img'))));
  report.row('learnt.ai.sallyport', 'Sallyport', 'AI agents of one half, patterns of the other', '%', ai);
  report.row('learnt.all.sallyport', 'Sallyport', 'crawlers of one half, patterns of the other', '%', all);
  report.note(`left out on purpose: ${[...LEFT_OUT.keys()].join(', ')}`);
  report.goal('recall.ai', 'at least 98 % of AI agents are known', 'recall.ai.sallyport >= 98', '%');
  report.goal(
    'false',
    'no browser of today is taken for a bot',
    'false.top.sallyport + false.browsers.sallyport <= 0',
    'strings',
  );
}

/** The package in two random halves, by pattern. */
function halves(seed: number): { learnt: readonly Crawler[]; kept: readonly Crawler[] } {
  const order = generator(seed);
  const shuffled = crawlers
    .map((one) => ({ one, at: order() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
  const middle = shuffled.length >> 1;
  return { learnt: shuffled.slice(0, middle), kept: shuffled.slice(middle) };
}

/** xorshift; 32 bits. */
function generator(seed: number): () => number {
  let state = (seed * 0x9e3779b1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
}

function measureAddresses(report: Report, engine: Classifier, rounds: number): void {
  const next = generator(7);
  const v4: string[] = [];
  const v6: string[] = [];
  while (v4.length < (PREFIXES * 2) / 3)
    v4.push(`${20 + (next() % 180)}.${next() % 256}.${next() % 256}.0/${24 + (next() % 9)}`);
  while (v6.length < PREFIXES / 3)
    v6.push(
      `2${(next() % 4096).toString(16).padStart(3, '0')}:${(next() % 65536).toString(16)}:${(next() % 65536).toString(16)}::/${48 + (next() % 17)}`,
    );
  const lists = [0, 1, 2, 3].map((index) => ({
    id: ADDRESS_LISTS[index]!.id,
    prefixes: [...v4, ...v6].filter((_, at) => at % 4 === index),
    fetched: 1,
  }));
  const table = new Uint8Array(readFileSync(artefact('agents.img')));
  const image = withAddresses(table, lists);
  engine.load(image);
  for (const [version, prefixes] of [
    ['v4', v4],
    ['v6', v6],
  ] as const) {
    const addresses = new Uint8Array(2048 * 16);
    for (let i = 0; i < 2048; i++) {
      const inside = parseAddress(prefixes[next() % prefixes.length]!.split('/')[0]!)!;
      if (i % 2 === 1) inside[version === 'v4' ? 13 : 3]! ^= next() % 256;
      addresses.set(inside, i * 16);
    }
    const samples: number[] = [];
    engine.lookUp(addresses);
    for (let round = 0; round < rounds; round++) {
      const started = process.hrtime.bigint();
      for (let i = 0; i < 50; i++) engine.lookUp(addresses);
      samples.push(Number(process.hrtime.bigint() - started) / (50 * 2048));
    }
    report.row(
      `address.${version}`,
      'Sallyport',
      `${PREFIXES} prefixes, ${image.length - table.length} bytes, one look-up`,
      'ns',
      samples,
    );
  }
  report.goal(
    'address',
    'an address is looked up in well under a microsecond',
    '(address.v4 + address.v6) / 2 < 250',
    'ns',
  );
}

async function measureVerification(report: Report, rounds: number, quick: boolean): Promise<void> {
  const signer = await newSigner();
  const created = Math.floor(Date.now() / 1000);
  // The form that the package knows: a string, and no `key` parameter.
  const given = await signedHeaders(signer, {
    agent: '"https://agent.example"',
    components: [component('@authority'), component('signature-agent')],
    parameters: { created, expires: created + 3600 },
  });
  const headers = new Headers(given);
  const ours = async (): Promise<void> => {
    const [result] = await verifyWebBotAuth(requestMessage('GET', TARGET, headers), {
      now: created,
      key: () => Promise.resolve(signer.directoryKey),
      body: () => Promise.resolve(new Uint8Array(0)),
      fresh: () => Promise.resolve(true),
    });
    if (result?.outcome !== 'verified') throw new Error(`not verified: ${JSON.stringify(result)}`);
  };
  const verifier = await verifierFromJWK({ ...signer.publicJwk } as JsonWebKey);
  const request = new Request(TARGET, { headers });
  const theirs = (): Promise<void> => peerVerify(request, verifier);
  const key = await crypto.subtle.importKey('jwk', { ...signer.publicJwk } as JsonWebKey, 'Ed25519', false, ['verify']);
  const bytes = encoder.encode('x'.repeat(300));
  const signature = new Uint8Array(64);
  const bare = async (): Promise<void> => void (await crypto.subtle.verify('Ed25519', key, signature, bytes));
  const calls = quick ? 300 : 2000;
  const time = async (verify: () => Promise<void>): Promise<number> => {
    const started = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) await verify();
    return Number(process.hrtime.bigint() - started) / calls / 1000;
  };
  const all = [
    { id: 'sallyport', peer: 'Sallyport', verify: ours, samples: [] as number[] },
    { id: 'package', peer: 'web-bot-auth', verify: theirs, samples: [] as number[] },
    { id: 'webcrypto', peer: 'WebCrypto', verify: bare, samples: [] as number[] },
  ];
  for (const { verify } of all) await time(verify);
  for (let round = 0; round < rounds; round++) for (const one of all) one.samples.push(await time(one.verify));
  for (const { id, peer, samples } of all)
    report.row(`verify.${id}`, peer, 'one signed request, Ed25519, key at hand', 'us', samples);
  report.goal(
    'verify',
    'a signed request costs no more than with the package web-bot-auth',
    'verify.sallyport / verify.package <= 1',
    'x',
  );
  if (quantile(all[2]!.samples, 0.5) > quantile(all[0]!.samples, 0.5))
    report.note('the bare signature took longer than the whole: noise');
}
