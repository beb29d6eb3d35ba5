/** Signals of automation: what browsers send has none, what merely looks like them has several. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as signals from '../../../assembly/agents/abi.ts';
import { requestHead, testEngine } from '../../../test/support/engine.ts';
import { SETTINGS } from '../../../test/support/image.ts';
import { rulePolicy } from '../../../test/support/rules.ts';
import { SIGNAL_NAMES, signalNames } from '../../router/signals.ts';
import type { Engine, Generation, Head, Loaded } from '../../waf/engine.ts';
import { compileHosts } from '../hosts.ts';
import { compileAgents } from './agents.ts';

let engine: Engine;
let told: Generation;
let asked: Generation;
let quiet: Generation;
const loaded = (bytes: Uint8Array): Loaded => ({ hash: `${bytes.length}-${Math.random()}`, bytes });

before(async () => {
  engine = await testEngine();
  const hosts = loaded(compileHosts([{ name: 'test', hostnames: ['*'] }]));
  const agents = loaded(compileAgents());
  const load = (image: Uint8Array): Generation => engine.load({ id: 'signals', hosts, agents, apps: [loaded(image)] });
  told = load(rulePolicy([{ when: 'true' }], { settings: { ...SETTINGS, signals: true } }).image);
  asked = load(
    rulePolicy([
      { when: 'agent.score ge 60' },
      { when: 'agent.automated' },
      { when: 'any(agent.signals[*] eq "hints-version")' },
      { when: 'agent.signals[0] eq "language-absent"' },
    ]).image,
  );
  quiet = load(rulePolicy([{ when: 'true' }]).image);
});

type Headers = readonly (readonly [string, string])[];
const PROXY = '192.0.2.1:5000';
const head = (headers: Headers, scheme = 'https'): Head =>
  requestHead(`${scheme}://shop.example/`, { headers, peer: PROXY });
const of = (headers: Headers, scheme?: string): string[] => {
  const { score, signals: bits } = engine.head(told, head(headers, scheme), 1, 1);
  assert.equal(score > 0, bits !== 0);
  return signalNames(bits);
};

const NAVIGATION: Headers = [
  ['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'],
  ['accept-encoding', 'gzip, deflate, br, zstd'],
  ['accept-language', 'en-GB,en;q=0.9'],
];
const FETCH: Headers = [
  ['sec-fetch-dest', 'document'],
  ['sec-fetch-mode', 'navigate'],
  ['sec-fetch-site', 'none'],
  ['sec-fetch-user', '?1'],
];
const hints = (version: number, platform: string, mobile = '?0', brand = 'Google Chrome'): Headers => [
  ['sec-ch-ua', `"Not;A=Brand";v="8", "Chromium";v="${version}", "${brand}";v="${version}"`],
  ['sec-ch-ua-mobile', mobile],
  ['sec-ch-ua-platform', `"${platform}"`],
];
const agent = (text: string): Headers => [['user-agent', text]];
const chrome = (system: string, version = 153, rest = ''): string =>
  `Mozilla/5.0 (${system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 ${rest}Safari/537.36`;
const WINDOWS = 'Windows NT 10.0; Win64; x64';
const MAC = 'Macintosh; Intel Mac OS X 10_15_7';
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0';
const SAFARI = `Mozilla/5.0 (${MAC}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15`;
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)';

test('browsers as they are have none, over TLS and without', () => {
  const people: [name: string, headers: Headers][] = [
    ['Chrome on Windows', [...agent(chrome(WINDOWS)), ...hints(153, 'Windows')]],
    ['Chrome on macOS', [...agent(chrome(MAC)), ...hints(153, 'macOS')]],
    ['Chrome on Linux', [...agent(chrome('X11; Linux x86_64')), ...hints(153, 'Linux')]],
    ['Chrome on ChromeOS', [...agent(chrome('X11; CrOS x86_64 14541.0.0')), ...hints(153, 'Chrome OS')]],
    ['Chromium on ChromeOS', [...agent(chrome('X11; CrOS x86_64 14541.0.0')), ...hints(153, 'Chromium OS')]],
    ['Chrome on a phone', [...agent(chrome('Linux; Android 10; K', 153, 'Mobile ')), ...hints(153, 'Android', '?1')]],
    ['Chrome on a tablet', [...agent(chrome('Linux; Android 10; K')), ...hints(153, 'Android')]],
    ['Edge', [...agent(`${chrome(WINDOWS)} Edg/153.0.0.0`), ...hints(153, 'Windows', '?0', 'Microsoft Edge')]],
    [
      'Opera',
      [...agent(`${chrome(WINDOWS, 137)} OPR/121.0.0.0`), ['sec-ch-ua', '"Chromium";v="137", "Opera";v="121"']],
    ],
    [
      'Samsung Internet',
      [
        ...agent(chrome('Linux; Android 14; SM-S921B', 125, 'Mobile ').replace('Chrome', 'SamsungBrowser/27.0 Chrome')),
        ...hints(125, 'Android', '?1', 'Samsung Internet'),
      ],
    ],
    ['a CUBOT phone', [...agent(chrome('Linux; Android 11; CUBOT KINGKONG 5 Pro', 118, 'Mobile ')), ...hints(118, 'Android', '?1')]], // prettier-ignore
    ['Firefox', agent(FIREFOX)],
    ['Safari', agent(SAFARI)],
    ['Safari on a phone', agent(`${IPHONE} Version/18.1 Mobile/15E148 Safari/604.1`)],
    ['Chrome on an iPhone', agent(`${IPHONE} CriOS/153.0.6943.33 Mobile/15E148 Safari/604.1`)],
    ['Firefox on an iPhone', agent(`${IPHONE} FxiOS/145.0 Mobile/15E148 Safari/605.1.15`)],
    ['Instagram on an iPhone', agent(`${IPHONE} Mobile/15E148 Instagram 334.0.4.32.98 (iPhone14,5; iOS 17_5; en_US)`)],
  ];
  for (const [name, headers] of people) {
    assert.deepEqual(of([...headers, ...NAVIGATION, ...FETCH]), [], name);
    // Without TLS browsers send neither hints nor fetch metadata.
    const plain = headers.filter(([header]) => header === 'user-agent');
    assert.deepEqual(of([...plain, ...NAVIGATION], 'http'), [], `${name}, http`);
    // What a page loads, and what a script fetches.
    const image: Headers = [['accept', '*/*'], ...NAVIGATION.slice(1), ['sec-fetch-dest', 'empty'], ['sec-fetch-mode', 'cors'], ['sec-fetch-site', 'same-origin']]; // prettier-ignore
    assert.deepEqual(of([...headers, ...image]), [], `${name}, fetch`);
  }
  // The window of an app may have a user agent of its own, and no hints.
  const view = chrome('Linux; Android 14; Pixel 8 Build/UQ1A; wv', 131, 'Mobile ').replace(
    'Chrome',
    'Version/4.0 Chrome',
  );
  for (const app of [
    '',
    ' Instagram 355.1.0.44.103 Android',
    ' [FB_IAB/FB4A;FBAV/490.0.0.47.82;]',
    ' trill_340204 BytedanceWebview/d8a21c6',
  ])
    assert.deepEqual(of([...agent(view + app), ...NAVIGATION]), [], app);
});

test('what contradicts itself is told', () => {
  const cases: [name: string, headers: Headers, expected: string[]][] = [
    ['another version', [...agent(chrome(WINDOWS)), ...hints(120, 'Windows'), ...NAVIGATION, ...FETCH], ['hints-version']],
    ['another system', [...agent(chrome(WINDOWS)), ...hints(153, 'Linux'), ...NAVIGATION, ...FETCH], ['hints-platform']],
    ['a phone that is none', [...agent(chrome(MAC)), ...hints(153, 'macOS', '?1'), ...NAVIGATION, ...FETCH], ['hints-mobile']],
    ['Firefox with hints', [...agent(FIREFOX), ...hints(153, 'Linux'), ...NAVIGATION, ...FETCH], ['hints-foreign']],
    ['Safari with hints', [...agent(SAFARI), ...hints(153, 'macOS'), ...NAVIGATION, ...FETCH], ['hints-foreign']],
    ['no hints, no metadata', [...agent(chrome(WINDOWS)), ...NAVIGATION], ['hints-absent', 'fetch-absent']],
    ['Firefox without metadata', [...agent(FIREFOX), ...NAVIGATION], ['fetch-absent']],
    ['Safari without metadata', [...agent(SAFARI), ...NAVIGATION], ['fetch-absent']],
    ['a page that is an image', [...agent(FIREFOX), ...NAVIGATION, ['sec-fetch-mode', 'navigate'], ['sec-fetch-dest', 'image']], ['fetch-contradicts']],
    ['a page that is nothing', [...agent(FIREFOX), ...NAVIGATION, ['sec-fetch-mode', 'navigate']], ['fetch-contradicts']],
    ['a click without a page', [...agent(FIREFOX), ...NAVIGATION, ['sec-fetch-mode', 'cors'], ['sec-fetch-user', '?1']], ['fetch-contradicts']],
    ['a page of any kind', [...agent(FIREFOX), ...NAVIGATION.slice(1), ['accept', '*/*'], ...FETCH], ['accept-any']],
    ['headless by its brands', [...agent(chrome(WINDOWS)), ...hints(153, 'Windows', '?0', 'HeadlessChrome'), ...NAVIGATION, ...FETCH], ['headless']],
    ['nothing at all', [], ['user-agent-absent', 'accept-any', 'language-absent', 'encoding-absent']],
    ['curl', [...agent('curl/8.5.0'), ['accept', '*/*']], ['library', 'accept-any', 'language-absent', 'encoding-absent']],
    ['a crawler', [...agent('Mozilla/5.0 (compatible; bingbot/2.0)'), ['accept', '*/*'], ['accept-encoding', 'gzip']], ['crawler', 'accept-any', 'language-absent']],
    ['a headless browser', [...agent(chrome('X11; Linux x86_64').replace('Chrome', 'HeadlessChrome')), ...NAVIGATION], ['headless']],
  ]; // prettier-ignore
  for (const [name, headers, expected] of cases) assert.deepEqual(of(headers), expected, name);
  // The same as over TLS where a trusted proxy says that it was; but not where anybody says so.
  const forwarded: Headers = [...agent(chrome(WINDOWS)), ...NAVIGATION, ['x-forwarded-proto', 'https']];
  assert.deepEqual(of(forwarded, 'http'), []);
});

test('no signal is enough alone, and the score ends at 100', () => {
  const weights = Object.entries(signals).filter(([name]) => name.startsWith('WEIGHT_'));
  assert.equal(weights.length, signals.SIGNAL_COUNT);
  assert.equal(SIGNAL_NAMES.length, signals.SIGNAL_COUNT);
  for (const [name, weight] of weights) assert.ok(weight > 0 && weight < signals.AUTOMATED_SCORE, name);
  const { score } = engine.head(
    told,
    head([
      ...agent('Mozilla/5.0 HeadlessChrome/153.0 Chrome/153.0'),
      ...hints(1, 'Nothing', '?1'),
      ['sec-fetch-mode', 'navigate'],
    ]),
    1,
    1,
  );
  assert.equal(score, 100);
});

test('names are those of the log, bit by bit', () => {
  const names = Array.from({ length: signals.SIGNAL_COUNT }, (_, signal) => {
    const key = Object.entries(signals).find(
      ([name, value]) => name.startsWith('SIGNAL_') && name !== 'SIGNAL_COUNT' && value === signal,
    );
    return key![0].slice('SIGNAL_'.length).toLowerCase().replaceAll('_', '-');
  });
  assert.deepEqual(names, [...SIGNAL_NAMES]);
});

test('rules see them, the log has them only where somebody asks', () => {
  const matched = (headers: Headers): number[] =>
    engine.head(asked, head(headers), 1, 1).effects.map(({ index }) => index);
  assert.deepEqual(matched([...agent(FIREFOX), ...NAVIGATION, ...FETCH]), []);
  assert.deepEqual(matched([...agent(chrome(WINDOWS)), ...hints(120, 'Linux'), ...NAVIGATION, ...FETCH]), [0, 1, 2]);
  assert.deepEqual(matched([...agent(FIREFOX), ...NAVIGATION.slice(0, 2), ...FETCH]), [3]);
  const curl = head(agent('curl/8.5.0'));
  assert.deepEqual([engine.head(asked, curl, 1, 1).score, engine.head(told, curl, 1, 1).score], [95, 95]);
  const { score, signals: bits } = engine.head(quiet, curl, 1, 1);
  assert.deepEqual([score, bits], [0, 0]);
});

test('long and odd headers are looked at as far as the limit', () => {
  const limit = signals.MAX_SIGNAL_TEXT;
  const padded = (length: number): string => 'x'.repeat(length) + ' Chrome/153.0';
  assert.ok(of([...agent(padded(limit - 13)), ...NAVIGATION, ...FETCH]).includes('hints-absent'));
  assert.deepEqual(of([...agent(padded(limit)), ...NAVIGATION, ...FETCH]), []);
  for (const odd of [
    '',
    ' ',
    '"',
    '"Chromium";v="',
    '"Chromium";v="99999999999"',
    'Chrome/',
    ' Chrome/',
    '\u00e9'.repeat(2000),
  ])
    for (const name of [
      'user-agent',
      'sec-ch-ua',
      'sec-ch-ua-mobile',
      'sec-ch-ua-platform',
      'sec-fetch-mode',
      'accept',
    ])
      assert.ok(Array.isArray(of([...agent(chrome(WINDOWS)), [name, odd]])), `${name}: ${odd}`);
});
