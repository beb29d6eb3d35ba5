/**
 * Which operators publish the addresses of their agents, where, in which form, and whom each list proves. The lists
 * themselves are no part of the product: `sallyport agents update` fetches them.
 *
 * An agent that several lists are given for may come from any of them. Amazon publishes pages for people to read, and no list;
 * its crawler can be known by the name of its address.
 */
import { MAX_ADDRESS_LISTS } from '../../../assembly/agents/abi.ts';

/**
 *   json     `{ "prefixes": [{ "ipv4Prefix": "192.0.2.0/24" }, { "ipv6Prefix": "2001:db8::/32" }] }`, or as Ahrefs has it,
 *            `{ "ips": [{ "ip_address": "192.0.2.1" }] }`
 *   geofeed  RFC 8805: CSV whose first column is a prefix
 *   lines    one address or block a line
 */
export type ListFormat = 'json' | 'geofeed' | 'lines';

export interface AddressList {
  /** What files call it; for good. */
  readonly id: string;
  readonly operator: string;
  readonly url: string;
  readonly format: ListFormat;
  /** Names of the table of user agents. */
  readonly agents: readonly string[];
}

const google = (file: string): string => `https://developers.google.com/static/crawling/ipranges/${file}.json`;
/** Fetchers of which the documentation leaves open from which of two lists they come. */
const GOOGLE_EITHER = [
  ...['GoogleAgent-Mariner (legacy)', 'GoogleAgent-URLContext', 'GoogleAgent-Search', 'Google-Firebase'],
  ...['Feedfetcher-Google', 'GoogleProducer', 'Google-Read-Aloud', 'Google-Site-Verification'],
];
const GOOGLE_OWN = ['Google-NotebookLM (legacy token)', 'Google-GeminiNotebook', 'Google-Pinpoint'];

/** In this order they are bits of AGENT_LISTS. */
// prettier-ignore
export const ADDRESS_LISTS: readonly AddressList[] = [
  { id: 'openai-gptbot', operator: 'OpenAI', url: 'https://openai.com/gptbot.json', format: 'json', agents: ['GPTBot'] },
  { id: 'openai-searchbot', operator: 'OpenAI', url: 'https://openai.com/searchbot.json', format: 'json', agents: ['OAI-SearchBot'] },
  { id: 'openai-chatgpt-user', operator: 'OpenAI', url: 'https://openai.com/chatgpt-user.json', format: 'json', agents: ['ChatGPT-User'] },
  { id: 'openai-adsbot', operator: 'OpenAI', url: 'https://openai.com/adsbot.json', format: 'json', agents: ['OAI-AdsBot'] },
  { id: 'anthropic', operator: 'Anthropic', url: 'https://claude.com/crawling/bots.json', format: 'json', agents: ['ClaudeBot', 'Claude-User', 'Claude-SearchBot'] },
  { id: 'perplexity-bot', operator: 'Perplexity', url: 'https://www.perplexity.ai/perplexitybot.json', format: 'json', agents: ['PerplexityBot'] },
  { id: 'perplexity-user', operator: 'Perplexity', url: 'https://www.perplexity.ai/perplexity-user.json', format: 'json', agents: ['Perplexity-User'] },
  { id: 'google-common', operator: 'Google', url: google('common-crawlers'), format: 'json', agents: ['Googlebot', 'GoogleOther', 'GoogleOther-Image', 'GoogleOther-Video', 'Google-CloudVertexBot', 'Google-InspectionTool', 'Storebot-Google'] },
  { id: 'google-special', operator: 'Google', url: google('special-crawlers'), format: 'json', agents: ['AdsBot-Google', 'AdsBot-Google-Mobile', 'Mediapartners-Google', 'APIs-Google', 'Google-Safety'] },
  { id: 'google-user', operator: 'Google', url: google('user-triggered-fetchers'), format: 'json', agents: GOOGLE_EITHER },
  { id: 'google-user-google', operator: 'Google', url: google('user-triggered-fetchers-google'), format: 'json', agents: [...GOOGLE_OWN, ...GOOGLE_EITHER] },
  { id: 'google-agents', operator: 'Google', url: google('user-triggered-agents'), format: 'json', agents: ['Google-Agent'] },
  { id: 'apple', operator: 'Apple', url: 'https://search.developer.apple.com/applebot.json', format: 'json', agents: ['Applebot'] },
  { id: 'microsoft-bingbot', operator: 'Microsoft', url: 'https://www.bing.com/toolbox/bingbot.json', format: 'json', agents: ['bingbot'] },
  { id: 'duckduckgo-assist', operator: 'DuckDuckGo', url: 'https://duckduckgo.com/duckassistbot.json', format: 'json', agents: ['DuckAssistBot'] },
  { id: 'duckduckgo-bot', operator: 'DuckDuckGo', url: 'https://duckduckgo.com/duckduckbot.json', format: 'json', agents: ['DuckDuckBot'] },
  { id: 'common-crawl', operator: 'Common Crawl', url: 'https://index.commoncrawl.org/ccbot.json', format: 'json', agents: ['CCBot'] },
  { id: 'mistral-user', operator: 'Mistral AI', url: 'https://mistral.ai/mistralai-user-ips.json', format: 'json', agents: ['MistralAI-User'] },
  { id: 'mistral-index', operator: 'Mistral AI', url: 'https://mistral.ai/mistralai-index-ips.json', format: 'json', agents: ['MistralAI-Index'] },
  { id: 'meta', operator: 'Meta', url: 'https://www.facebook.com/peering/geofeed', format: 'geofeed', agents: ['Meta-ExternalAgent', 'Meta-ExternalFetcher', 'Meta-WebIndexer', 'FacebookBot', 'facebookexternalhit', 'meta-externalads', 'facebookcatalog'] },
  { id: 'ahrefs', operator: 'Ahrefs', url: 'https://api.ahrefs.com/v3/public/crawler-ips', format: 'json', agents: ['AhrefsBot'] },
  { id: 'uptimerobot', operator: 'UptimeRobot', url: 'https://uptimerobot.com/inc/files/ips/IPv4andIPv6.txt', format: 'lines', agents: ['UptimeRobot'] },
  { id: 'pingdom-v4', operator: 'Pingdom', url: 'https://my.pingdom.com/probes/ipv4', format: 'lines', agents: ['pingdom'] },
  { id: 'pingdom-v6', operator: 'Pingdom', url: 'https://my.pingdom.com/probes/ipv6', format: 'lines', agents: ['pingdom'] },
];

if (ADDRESS_LISTS.length > MAX_ADDRESS_LISTS) throw new RangeError('an agent has a bit for each list');

/** Bits of the lists that can prove the agent of this name. */
export function listsOf(name: string): number {
  let bits = 0;
  for (const [index, { agents }] of ADDRESS_LISTS.entries()) if (agents.includes(name)) bits |= 1 << index;
  return bits >>> 0;
}
