import crawlers from 'crawler-user-agents';
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { BODY_AT, HEADER_BYTES, SECTION_AGENTS, SECTION_LITERALS } from '../../../assembly/abi.ts';
import { compileAssembly, type Assembly } from '../../../test/support/assembly.ts';
import { compileAgents, LEFT_OUT, listAgents, type Agent } from './agents.ts';
import { AGENT_CATEGORIES } from './category.ts';
import { AGENT_TABLE } from './table.ts';

interface Exports {
  classify(image: number, at: number, length: number): number;
  agentTextAt(image: number, agent: number, field: number): number;
  agentTextLength(image: number, agent: number, field: number): number;
  checkImage(image: number, length: number, room: number, wanted: number): number;
  checkAgents(image: number): number;
  reset(): void;
  stepsUsed(): number;
  failure(): number;
}

let engine: Assembly<Exports>;
let at: number;
const image = compileAgents();
const agents = listAgents();

before(async () => {
  engine = await compileAssembly<Exports>(`
    export { classify, agentTextAt, agentTextLength, checkAgents } from './agent';
    export { checkImage } from './image';
    export { reset, stepsUsed, failure } from './arena';
  `);
  at = engine.place(image);
  engine.exports.reset();
  assert.equal(engine.exports.checkImage(at, image.length, image.length, 0), 0);
  assert.equal(engine.exports.checkAgents(at), -1);
});

function classify(userAgent: string): Agent | null {
  const bytes = new TextEncoder().encode(userAgent);
  new Uint8Array(engine.memory.buffer).set(bytes, BODY_AT);
  engine.exports.reset();
  const index = engine.exports.classify(at, BODY_AT, bytes.length);
  assert.equal(engine.exports.failure(), 0);
  return index < 0 ? null : agents[index]!;
}

const isWord = (char: string | undefined): boolean => char !== undefined && /[A-Za-z0-9]/.test(char);

test('finds every user agent that crawler-user-agents lists', (t) => {
  // LEFT_OUT says why; every other instance is found, so the floor is all of them.
  let instances = 0;
  let excepted = 0;
  const missed: string[] = [];
  for (const { pattern, instances: listed } of crawlers) {
    for (const userAgent of listed) {
      instances++;
      if (LEFT_OUT.has(pattern)) excepted++;
      else if (classify(userAgent) === null) missed.push(`${pattern}: ${userAgent}`);
    }
  }
  assert.ok(instances > 2000, `${instances} instances`);
  t.diagnostic(`${instances} user agents, ${excepted} of them left out on purpose`);
  assert.deepEqual(missed, []);
  assert.ok(excepted <= 5);
});

test('finds our own tokens, in any case and only as words', () => {
  for (const [name, token, , , match] of AGENT_TABLE) {
    if (match === 'none') continue;
    for (const text of [token, token.toUpperCase(), token.toLowerCase()]) {
      assert.notEqual(classify(`${text}/1.0`), null, `${name} at the front`);
      const inside = classify(`Mozilla/5.0 (compatible; ${text}; +https://example.com)`);
      if (match === 'word') assert.notEqual(inside, null, `${name} inside`);
    }
    // A letter next to it makes it another word (tokens that another row finds inside are not told apart here).
    if (isWord(token[0]) && match === 'word' && !/bot|crawler|spider/i.test(token)) {
      const found = classify(`Mozilla/5.0 (X11) q${token}q`);
      assert.ok(found === null || found.name !== name, `${name} inside a word`);
    }
  }
});

test('names what it finds', () => {
  const cases: [userAgent: string, name: string, category: string][] = [
    [
      'Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)',
      'GPTBot',
      'training',
    ],
    ['Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)', 'ClaudeBot', 'training'],
    ['Mozilla/5.0 (compatible; Claude-User/1.0; +Claude-User@anthropic.com)', 'Claude-User', 'fetch'],
    ['Claude-User (claude-code/1.0.5; +https://support.anthropic.com/)', 'Claude Code WebFetch', 'fetch'],
    [
      'Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot',
      'ChatGPT-User',
      'fetch',
    ],
    ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', 'Googlebot', 'search'],
    ['Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)', 'AhrefsBot', 'seo'],
    ['curl/8.5.0', 'curl', 'library'],
    ['python-requests/2.31.0', 'python-requests', 'library'],
    ['Go-http-client/2.0', 'Go-http-client', 'library'],
    ['Java/17.0.1', 'Java', 'library'],
    [
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36',
      'Headless Chrome',
      'automation',
    ],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) HeadlessChrome/120.0 Safari/537.36 (compatible; Google-NotebookLM)',
      'Google-NotebookLM (legacy token)',
      'fetch',
    ],
    ['facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)', 'facebookexternalhit', 'preview'],
    ['WhatsApp/2.23.20.0', 'WhatsApp', 'preview'],
    ['Spider/1.0', 'Spider', 'training'],
    ['Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)', 'bingbot', 'search'],
  ];
  for (const [userAgent, name, category] of cases) {
    const found = classify(userAgent);
    assert.deepEqual([found?.name, found?.category], [name, category], userAgent);
  }
});

test('knows those that nobody lists by how they describe themselves', () => {
  const bots = [
    'NeverHeardOfBot/1.0',
    'Mozilla/5.0 (compatible; neverheardofbot/2; +https://never.example/bot)',
    'Mozilla/5.0 (compatible; Never; +http://never.example)',
    'Never (https://never.example/about)',
    'never-crawler/1.0',
    'Never Spider)',
    'never-bot',
  ];
  for (const userAgent of bots) {
    const found = classify(userAgent);
    assert.deepEqual([found?.name, found?.category], ['unlisted bot', 'crawler'], userAgent);
  }
  assert.equal(classify('GPTBot/1.0 (+https://openai.com/gptbot)')?.name, 'GPTBot');
});

test('takes no person for a bot', () => {
  const people = [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/152.0.0.0 Safari/537.36',
    'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Mobile Safari/537.36',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/153.0.6943.33 Mobile/15E148 Safari/604.1',
    'Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0',
    'Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
    'Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/145.0 Mobile/15E148 Safari/605.1.15',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
    'Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36 Edg/153.0.0.0',
    'Mozilla/5.0 (Linux; Android 10; HD1913) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Mobile Safari/537.36 EdgA/153.0.0.0',
    'Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36 OPR/117.0.0.0',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36 Vivaldi/7.0.3495.15',
    'Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko',
    'Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; WOW64; Trident/4.0; SLCC2; .NET CLR 2.0.50727; Media Center PC 6.0)',
    'Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36',
    'Mozilla/5.0 (Linux; Android 7.0; CUBOT_NOTE_S Build/NRD90M; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/99.0 Mobile Safari/537.36',
    'Mozilla/5.0 (Linux; Android 11; CUBOT KINGKONG 5 Pro) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 Mobile Safari/537.36',
    'Mozilla/5.0 (Linux; Android 14; Pixel 8 Pro Build/UQ1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36 Instagram 355.1.0.44.103 Android (34/14; 420dpi; 1008x2244; Google/google; Pixel 8 Pro; husky; husky; en_US; 654111336)',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 334.0.4.32.98 (iPhone14,5; iOS 17_5; en_US; en; scale=3.00; 1170x2532; 600000000)',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/465.0.1.41.103;FBBV/602060281;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/17.5;FBSS/3;FBID/phone;FBLC/en_US;FBOP/5]',
    'Mozilla/5.0 (Linux; Android 14; SM-A546B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/490.0.0.47.82;]',
    'Mozilla/5.0 (Linux; Android 16; Pixel 10 Build/CP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/146.0 Mobile Safari/537.36 MetaIAB Facebook',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Snapchat/12.90.0.46 (like Safari/8618.2.12.0.1, panda)',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [Pinterest/iOS]',
    'Mozilla/5.0 (Linux; Android 13; SM-G991B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0 Mobile Safari/537.36 trill_340204 BytedanceWebview/d8a21c6',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari/604.1 LINE/13.20.0',
    'Mozilla/5.0 (Linux; Android 12; wv) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0 Mobile Safari/537.36 Viber/21.0.0.5',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/330.0.667 Mobile/15E148 Safari/604.1',
    'Mozilla/5.0 (Linux; Android 13; Mi 9T Pro) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36 DuckDuckGo/5',
    'Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/3.1 TV Safari/537.36',
    'Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108.0.5359.211 Safari/537.36 WebAppManager',
    'Mozilla/5.0 (Linux; Android 9; AFTMM Build/PS7633; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/112.0 Mobile Safari/537.36',
    'Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/120.4.1 like Chrome/120.0.6099.230 Safari/537.36',
    'Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15',
    'Mozilla/5.0 (Nintendo Switch; WebApplet) AppleWebKit/613.0 (KHTML, like Gecko) NF/6.0.3.26.4 NintendoBrowser/5.1.0.32511',
    'Roku/DVP-12.5 (12.5.0.4178-88)',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.41.98 Chrome/130.0.6723.152 Electron/33.2.1 Safari/537.36',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Code/1.95.3 Chrome/128.0.6613.186 Electron/32.2.1 Safari/537.36',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Cursor/0.43.4 Chrome/128.0 Electron/32.2.1 Safari/537.36',
    'Mozilla/5.0 (Linux; U; Android 13; en-us; Redmi Note 12) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/112.0 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.4.0-g',
    'Mozilla/5.0 (Linux; U; Android 12; en-US; RMX3085) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0 UCBrowser/13.4.2.1307 Mobile Safari/537.36',
    'Mozilla/5.0 (Linux; Android 12; HarmonyOS; NOH-AN01) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0 HuaweiBrowser/15.0.4.312 Mobile Safari/537.36',
    'Lynx/2.8.9rel.1 libwww-FM/2.14 SSL-MM/1.4.1 OpenSSL/1.1.1d',
    'Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/191.308; U; en) Presto/2.5.25 Version/10.54',
    'MyShop/4.2 CFNetwork/1490.0.4 Darwin/23.2.0',
    'Mozilla/5.0 (Linux; Android 9; CUBOT/X18 Build/PPR1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36',
    'Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; EmbeddedWB 14.52 from: http://www.bsalsa.com/ EmbeddedWB 14.52)',
    '',
    'Mozilla/5.0',
  ];
  for (const userAgent of people) assert.equal(classify(userAgent)?.name, undefined, userAgent);
});

test('says only what its vocabulary has', () => {
  for (const { name, operator, category } of agents) {
    assert.ok(
      name !== '' && operator !== '' && AGENT_CATEGORIES.includes(category),
      `${name}, ${operator}, ${category}`,
    );
  }
  const text = (agent: number, field: number): string =>
    new TextDecoder().decode(
      new Uint8Array(
        engine.memory.buffer,
        engine.exports.agentTextAt(at, agent, field),
        engine.exports.agentTextLength(at, agent, field),
      ),
    );
  for (const index of [0, 7, agents.length - 1]) {
    const { name, operator, category } = agents[index]!;
    assert.deepEqual([text(index, 0), text(index, 2), text(index, 4)], [name, operator, category]);
  }
});

test('costs steps in proportion to the text', () => {
  const cost = (userAgent: string): number => {
    classify(userAgent);
    return engine.exports.stepsUsed();
  };
  const hard = 'Spider spider.co '; // calls for a regex that never matches
  for (const unit of ['bot', 'a', 'Googlebo', hard, 'Current Netumo_ BlogTraffic/']) {
    const once = cost(unit.repeat(64));
    const more = cost(unit.repeat(64 * 16));
    assert.ok(more <= once * 17 + 4096, `${unit}: ${once} then ${more}`);
  }
});

test('stays within half of the size that was budgeted', (t) => {
  t.diagnostic(`agents image: ${image.length} bytes, ${agents.length} agents`);
  assert.ok(image.length < 750_000);
});

test('refuses a damaged table', () => {
  const view = new DataView(image.buffer, image.byteOffset);
  const faults: [string, (bytes: DataView) => void][] = [];
  const section = (id: number): number => view.getUint32(24 + id * 8, true);
  const table = section(SECTION_AGENTS);
  const literals = section(SECTION_LITERALS);
  assert.ok(table >= HEADER_BYTES && literals >= HEADER_BYTES);
  const tokens = table + 8 + agents.length * 28;
  faults.push(['agents', (v) => v.setUint32(table, 0x7fffffff, true)]);
  faults.push(['tokens', (v) => v.setUint32(table + 4, 0xffffffff, true)]);
  faults.push(['no tokens', (v) => v.setUint32(table + 4, 0, true)]);
  faults.push(['name', (v) => v.setUint32(table + 8, 0xfffffff0, true)]);
  faults.push(['agent of a token', (v) => v.setUint32(tokens, agents.length, true)]);
  faults.push(['token', (v) => v.setUint32(tokens + 12, 0xffffffff, true)]);
  faults.push(['regex', (v) => v.setUint32(tokens + 16, 999, true)]);
  faults.push(['states', (v) => v.setUint32(literals, 0x8001, true)]);
  faults.push(['dense', (v) => v.setUint32(literals + 4, 0, true)]);
  faults.push(['class', (v) => v.setUint8(literals + 24, 255)]);
  faults.push(['row', (v) => v.setUint16(literals + 24 + 256, 0x7fff, true)]);
  for (const [name, damage] of faults) {
    const bad = image.slice();
    damage(new DataView(bad.buffer));
    new Uint8Array(engine.memory.buffer).set(bad, at);
    assert.notEqual(engine.exports.checkAgents(at), -1, name);
  }
  new Uint8Array(engine.memory.buffer).set(image, at);
});
