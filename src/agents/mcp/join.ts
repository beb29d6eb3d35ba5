/**
 * One endpoint in front of several MCP servers (docs/agent-protocols.md). Which era a request is of, the phase `protocol` has
 * decided, and that its headers and its body say the same.
 */
import { readJsonText } from '../json-text.ts';
import { EventTooLong } from './event-reader.ts';
import { INTERNAL_ERROR, json } from './join-answer.ts';
import { failure } from './join-list.ts';
import { type Message, readMessage } from './join-rewrite.ts';
import { type JoinContext, ServerFailure } from './join-server.ts';
import { answerInSession, type Sessions } from './join-session.ts';
import { answerStateless } from './join-stateless.ts';

export interface JoinedRequest {
  readonly method: string;
  /** Text of the body; null without. */
  readonly body: string | null;
  /** Whether it is of a version without sessions. */
  readonly stateless: boolean;
  readonly session: string | null;
  readonly lastEvent: string | null;
  /** Versions that clients may speak here. */
  readonly versions: readonly string[];
}

/** Answers a request to a joined endpoint. Rejects when sessions can't be asked for, or no answer of a server begins. */
export async function answerJoined(
  context: JoinContext,
  sessions: Sessions | null,
  request: JoinedRequest,
): Promise<Response> {
  const { method, body, stateless } = request;
  if (method !== 'POST' && (stateless || (method !== 'GET' && method !== 'DELETE')))
    return new Response(null, { status: 405, headers: { allow: stateless ? 'POST' : 'GET, POST, DELETE' } });
  let message: Message | null = null;
  if (method === 'POST') {
    const read = readJsonText(body ?? '');
    if (typeof read === 'string') {
      // SPEC: 2025-03-26 has batches, of which each message might go to another server, and all answers on one stream.
      const code = read === 'malformed' ? -32700 : -32600;
      const reason =
        read === 'not-an-object' ? 'a joined endpoint takes no batches' : `the message can not be read: ${read}`;
      return json(400, failure({ id: undefined }, code, reason));
    }
    message = readMessage(read.text);
  }
  try {
    if (stateless && message !== null) return await answerStateless(context, message, request.versions);
    if (sessions === null) throw new Error('there is nobody to remember sessions of MCP clients');
    return await answerInSession(context, sessions, request, message);
  } catch (error) {
    if (!(error instanceof ServerFailure || error instanceof EventTooLong)) throw error;
    return json(
      502,
      failure(message ?? { id: undefined }, INTERNAL_ERROR, `the server gave no answer: ${error.message}`),
    );
  }
}
