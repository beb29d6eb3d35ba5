/**
 * Operators who document that the addresses of their agents have names in certain domains, and that those names have these
 * addresses: by the name of the agent in the table of user agents (a test holds the two together).
 */

const GOOGLE = ['googlebot.com', 'google.com'];
const GOOGLE_USER = ['google.com'];
const YANDEX = ['yandex.ru', 'yandex.net', 'yandex.com'];
const MICROSOFT = ['search.msn.com'];

const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  Googlebot: GOOGLE,
  GoogleOther: GOOGLE,
  'GoogleOther-Image': GOOGLE,
  'GoogleOther-Video': GOOGLE,
  'Google-CloudVertexBot': GOOGLE,
  'Google-InspectionTool': GOOGLE,
  'Storebot-Google': GOOGLE,
  'AdsBot-Google': GOOGLE,
  'AdsBot-Google-Mobile': GOOGLE,
  'Mediapartners-Google': GOOGLE,
  'APIs-Google': GOOGLE,
  'Google-Agent': GOOGLE_USER,
  'Feedfetcher-Google': GOOGLE_USER,
  'Google-Read-Aloud': GOOGLE_USER,
  bingbot: MICROSOFT,
  msnbot: MICROSOFT,
  BingPreview: MICROSOFT,
  Adidxbot: MICROSOFT,
  Applebot: ['applebot.apple.com'],
  'yandex.com/bots': YANDEX,
  YandexAdditional: YANDEX,
  YandexAdditionalBot: YANDEX,
  YandexRenderResourcesBot: YANDEX,
  Baiduspider: ['baidu.com', 'baidu.jp'],
  CCBot: ['crawl.commoncrawl.org'],
  Amazonbot: ['crawl.amazonbot.amazon'],
  YouBot: ['search.you.com'],
  AhrefsBot: ['ahrefs.com', 'ahrefs.net'],
  SeznamBot: ['seznam.cz'],
  PetalBot: ['petalsearch.com'],
  MojeekBot: ['mojeek.com'],
};

/** Domains that the names of an agent's addresses are in; null: its operator documents none. */
export function reverseSuffixes(agent: string): readonly string[] | null {
  return Object.hasOwn(SUFFIXES, agent) ? (SUFFIXES[agent] as readonly string[]) : null;
}

/** Whether a name, lower case and without a dot at its end, is one of the domains or below it, label by label. */
export function isBelow(name: string, suffixes: readonly string[]): boolean {
  return suffixes.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
}

/** All agents that are listed, for the test. */
export const REVERSE_AGENTS = Object.keys(SUFFIXES);
