/** HTTP clients and automation that crawler-user-agents does not list. `first`: only as the very first word. */
import type { AgentCategory } from './category.ts';

export const CLIENT_TOKENS: readonly (readonly [token: string, category: AgentCategory, match: 'word' | 'first'])[] = [
  ['akka-http', 'library', 'word'],
  ['ApacheBench', 'library', 'word'],
  ['Apache-JMeter', 'library', 'word'],
  ['Bun', 'library', 'first'],
  ['Cypress', 'automation', 'word'],
  ['Dart', 'library', 'first'],
  ['Deno', 'library', 'first'],
  ['ELB-HealthChecker', 'monitoring', 'word'],
  ['Faraday', 'library', 'first'],
  ['fasthttp', 'library', 'word'],
  ['go-resty', 'library', 'word'],
  ['GoogleHC', 'monitoring', 'word'],
  ['GuzzleHttp', 'library', 'word'],
  ['hackney', 'library', 'first'],
  ['http.rb', 'library', 'word'],
  ['insomnia', 'library', 'first'],
  ['Jakarta Commons-HttpClient', 'library', 'word'],
  ['Java', 'library', 'first'],
  ['k6', 'library', 'first'],
  ['ktor-client', 'library', 'word'],
  ['Ktor client', 'library', 'word'],
  ['kube-probe', 'monitoring', 'word'],
  ['PHP', 'library', 'first'],
  ['PostmanRuntime', 'library', 'word'],
  ['PowerShell', 'library', 'first'],
  ['puppeteer', 'automation', 'word'],
  ['PycURL', 'library', 'word'],
  ['reqwest', 'library', 'word'],
  ['rest-client', 'library', 'word'],
  ['RestSharp', 'library', 'word'],
  ['Ruby', 'library', 'first'],
  ['superagent', 'library', 'word'],
  ['Symfony HttpClient', 'library', 'word'],
  ['Typhoeus', 'library', 'word'],
  ['undici', 'library', 'word'],
  ['vegeta', 'library', 'word'],
  ['Vert.x-WebClient', 'library', 'word'],
  ['WindowsPowerShell', 'library', 'word'],
];

/**
 * How those describe themselves whom nobody lists: an address to read more at, which no browser has, or a name that ends in what
 * they are. `CUBOT/1` would be a phone.
 */
export const UNLISTED: readonly (readonly [pattern: string, literal: string])[] = [
  ['[+(;,] ?https?://', 'http'],
  ['(?:^|[^uU])[bB][oO][tT](?:[-/;,.)]| [(0-9]|$)', 'bot'],
  ['[cC]rawl(?:er|ing)?(?:[-/;, )]|$)', 'crawl'],
  ['[sS]pider(?:[-/;,)]|$)', 'spider'],
];
export const UNLISTED_NAME = 'unlisted bot';
