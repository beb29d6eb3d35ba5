/**
 * What an agent does, as `agent.category` says it. One word each; the first three are the axes that policies mostly ask for.
 *
 *   training     collects text or images to train models
 *   search       builds an index that answers cite or link, classic search engines included
 *   agent        drives a browser for a user
 *   fetch        fetches a page because a user just asked for it
 *   data         collects for others: datasets, scraping services
 *   ai           AI of a purpose that its operator does not document
 *   preview      makes link previews
 *   archive      keeps copies
 *   advertising  checks ads and landing pages
 *   feed         reads feeds
 *   seo          measures sites for search ranking and marketing
 *   monitoring   checks that sites are up and valid
 *   scanner      looks for weaknesses
 *   academic     research
 *   library      HTTP libraries and command-line tools (curl, python-requests, Go-http-client)
 *   automation   headless and scripted browsers
 *   crawler      any other declared bot
 */
export const AGENT_CATEGORIES = [
  'training',
  'search',
  'agent',
  'fetch',
  'data',
  'ai',
  'preview',
  'archive',
  'advertising',
  'feed',
  'seo',
  'monitoring',
  'scanner',
  'academic',
  'library',
  'automation',
  'crawler',
] as const;

export type AgentCategory = (typeof AGENT_CATEGORIES)[number];
