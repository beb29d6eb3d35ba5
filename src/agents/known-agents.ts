/**
 * Whose keys are whose: hosts of directories that operators name in their documentation, with what `agent.*` then says.
 * The same facts as in the table of user agents (a test holds them together). A host that is not here is its own operator.
 */
import type { VerifiedAgent } from './web-bot-auth.ts';

export interface KnownAgent {
  readonly name: string;
  readonly operator: string;
  /** As in `agent.category`; '' when the host signs for agents of several kinds. */
  readonly category: string;
}

const KNOWN: Readonly<Record<string, KnownAgent>> = {
  'chatgpt.com': { name: 'ChatGPT agent (cloud browser)', operator: 'OpenAI', category: 'agent' },
  'agent.bot.goog': { name: 'Google-Agent', operator: 'Google', category: 'agent' },
  'www.meta.com': { name: 'Meta-ExternalTest', operator: 'Meta', category: 'ai' },
  'assistbot.duckduckgo.com': { name: 'DuckAssistBot', operator: 'DuckDuckGo', category: 'fetch' },
  'you.com': { name: 'YouBot', operator: 'You.com', category: 'search' },
  'api.manus.im': { name: 'Manus', operator: 'Butterfly Effect (Manus)', category: 'agent' },
  'www.browserbase.com': { name: 'Browserbase', operator: 'Browserbase', category: 'agent' },
  'api.anchorbrowser.io': { name: 'Anchor Browser', operator: 'Anchor', category: 'agent' },
  'www.kernel.sh': { name: 'Kernel browsers', operator: 'Kernel', category: 'agent' },
  'api.apify.com': { name: 'Apify Website Content Crawler', operator: 'Apify', category: 'data' },
  'crawler.exa.ai': { name: 'ExaSearchBot', operator: 'Exa', category: 'search' },
};

/** One for each customer and region. */
const BEDROCK = /^[a-z0-9-]+\.keydirectory\.signer\.[a-z0-9-]+\.on\.aws$/;
const BEDROCK_AGENT: KnownAgent = { name: 'Bedrock AgentCore Browser', operator: 'Amazon', category: 'agent' };

/**
 * Who an agent is that was verified. Its host stands for it only with keys of the well-known place: elsewhere hosts let
 * others publish, and then it is that URL and nobody else.
 */
export function knownAgent({
  agent,
  host,
  wellKnown,
}: Pick<VerifiedAgent, 'agent' | 'host' | 'wellKnown'>): KnownAgent {
  if (!wellKnown) return { name: agent, operator: agent, category: '' };
  if (Object.hasOwn(KNOWN, host)) return KNOWN[host] as KnownAgent;
  return BEDROCK.test(host) ? BEDROCK_AGENT : { name: host, operator: host, category: '' };
}

/** All that are listed by their host, for the test. */
export const KNOWN_AGENTS = KNOWN;
