/** HTML as Markdown, for who asks for that: what changes on the way to the origin, and of its answer. */
import { prefersMarkdown } from '../agents/media-range.ts';
import { estimatedTokens, markdownOf, MAX_MARKDOWN_BYTES } from '../agents/markdown.ts';
import { responseInit } from '../platform/runtime.ts';
import { HeldAnswer } from './answer.ts';
import { declaredLength, inflate } from './body.ts';
import { type Exchange, ownHeaders, watch } from './exchange.ts';
import { refuse } from './problem.ts';

/** Milliseconds that a page may take to come; after that it is sent as it is. */
export const MARKDOWN_HOLD_MS = 10_000;

/** Whether the pages of this route come as Markdown too. PERF: a comparison for most. */
function isNegotiable({ action, plan, request: { method } }: Exchange): boolean {
  const content = action === null || action.content < 0 ? undefined : plan?.contents[action.content];
  return content?.markdown === true && (method === 'GET' || method === 'HEAD');
}

/** Whether this request is to be answered with Markdown. */
export function asksForMarkdown(exchange: Exchange): boolean {
  return isNegotiable(exchange) && prefersMarkdown(exchange.seen.accept);
}

/** Entity tags of pages as Markdown: those of the pages, marked. Weak: the next version may write it otherwise. */
const MARKED = /^(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)-markdown"$/;

function markedTag(tag: string): string {
  const [, opaque] = /^(?:W\/)?"(.*)"$/.exec(tag) ?? [];
  return opaque === undefined ? '' : `W/"${opaque}-markdown"`;
}

/** What the origin is asked: for the whole page, and whether it is still the one that the client has as Markdown. */
export function askForPage(headers: Headers): void {
  headers.delete('range');
  headers.delete('if-range');
  const condition = headers.get('if-none-match');
  if (condition === null) return;
  // Of others, the client has the page itself: that it is the same says nothing of what is asked for now.
  const tags = condition.split(',', 64).flatMap((tag) => {
    const opaque = MARKED.exec(tag.trim())?.[1];
    return opaque === undefined ? [] : [`"${opaque}"`, `W/"${opaque}"`];
  });
  if (tags.length > 0) headers.set('if-none-match', tags.join(', '));
  else {
    headers.delete('if-none-match');
    // Without the first, an origin would judge by this.
    headers.delete('if-modified-since');
  }
}

const isHtml = (type: string): boolean => /^\s*(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i.test(type);

/** Puts Markdown in the place of a page. Every answer that may be one or the other says so. */
export async function giveMarkdown(exchange: Exchange, answer: Response): Promise<void> {
  const { status } = answer;
  const type = answer.headers.get('content-type') ?? '';
  const page = status === 200 && isHtml(type);
  if (!isNegotiable(exchange) || !(page || status === 304 || /^\s*text\/markdown\s*(?:;|$)/i.test(type))) return;
  const headers = ownHeaders(exchange);
  vary(headers);
  if (!asksForMarkdown(exchange)) return;
  if (status === 304) return retag(headers);
  if (!page) return;
  const own = exchange.response as Response;
  if (exchange.request.method === 'HEAD') {
    const length = declaredLength(headers.get('content-length') ?? '');
    if (length <= MAX_MARKDOWN_BYTES) describe(headers);
    return;
  }
  if (own.body === null) return;
  const text = await convert(exchange, own, type);
  if (text === null) return;
  describe(headers);
  headers.set('x-markdown-tokens', String(estimatedTokens(text)));
  const bytes = new TextEncoder().encode(text);
  headers.set('content-length', String(bytes.byteLength));
  exchange.response = new Response(bytes, { status, headers });
  exchange.owned = true;
}

/** The page as Markdown; null: it stays what it is, and `exchange.response` has its body again. */
async function convert(exchange: Exchange, page: Response, type: string): Promise<string | null> {
  const { headers, status, statusText } = page;
  if (declaredLength(headers.get('content-length') ?? '') > MAX_MARKDOWN_BYTES) return null;
  const held = new HeldAnswer(page.body as ReadableStream<Uint8Array>);
  const before = exchange.answer;
  exchange.answer = {
    release() {
      before?.release();
      held.release();
    },
  };
  watch(exchange);
  try {
    await held.read(MAX_MARKDOWN_BYTES, MARKDOWN_HOLD_MS);
  } catch {
    held.discard();
    const reason = 'the origin broke off its answer';
    const verdict = { action: 'respond', phase: 'content', rule: '', status: 502, reason, mode: 'enforce' } as const;
    refuse(exchange, verdict, 'http_response_incomplete');
    return null;
  }
  const encoding = (headers.get('content-encoding') ?? '').trim().toLowerCase();
  let bytes: Uint8Array | null = held.complete && held.bytes.byteLength <= MAX_MARKDOWN_BYTES ? held.bytes : null;
  if (bytes !== null && encoding !== '' && encoding !== 'identity') {
    const plain = await inflate(bytes, encoding, MAX_MARKDOWN_BYTES, true);
    bytes = typeof plain === 'string' || plain.truncated ? null : plain.bytes;
  }
  const text = bytes === null ? null : await markdownOf(bytes, type);
  if (text === null) {
    const rest = held.send(headers.get('content-length') ?? '');
    const init = { status, statusText, headers, encodeBody: 'manual' } as const;
    exchange.response = new Response(rest as Uint8Array<ArrayBuffer>, responseInit(init));
    exchange.owned = true;
  }
  return text;
}

/** The fields of an answer that is Markdown now. */
function describe(headers: Headers): void {
  headers.set('content-type', 'text/markdown; charset=utf-8');
  for (const name of [
    'content-length',
    'content-encoding',
    'content-md5',
    'digest',
    'content-digest',
    'repr-digest',
    'accept-ranges',
  ])
    headers.delete(name);
  retag(headers);
}

function retag(headers: Headers): void {
  const tag = headers.get('etag');
  if (tag === null) return;
  const marked = markedTag(tag);
  if (marked === '') headers.delete('etag');
  else headers.set('etag', marked);
}

function vary(headers: Headers): void {
  if (!/(?:^|,)\s*(?:\*|accept)\s*(?:,|$)/i.test(headers.get('vary') ?? '')) headers.append('vary', 'Accept');
}
