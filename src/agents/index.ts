/**
 * `sallyport/agents`: for agents that want to be known, and for whoever wants to know them. Web APIs only.
 *
 *   const key = await readAgentKey(jwk);
 *   const agent = agentSigner({ key, agent: 'https://agent.example' });
 *   await agent.fetch('https://shop.example/');
 */
export { type AgentKey, createAgentKey, keyDirectory, readAgentKey, serveDirectory } from './agent-key.ts';
export { agentSigner, type AgentSigner, type AgentSignerOptions, type UnsignedRequest } from './signer.ts';
export { type DirectoryFault, KeyDirectories, type KeyDirectoriesOptions } from './key-directory.ts';
export { requestMessage, type RequestMessage } from './message.ts';
export {
  type AgentResult,
  conclude,
  type InvalidReason,
  type UnverifiedReason,
  type VerifiedAgent,
  verifyWebBotAuth,
  type WebBotAuthOptions,
  type WebBotAuthSources,
} from './web-bot-auth.ts';
