/** Streams of servers on their way to a client: of one server, each message rewritten; of several, woven into one. */
import type { McpServerPlan } from '../../plan.ts';
import { EventReader, type ServerEvent, writeEvent } from './event-reader.ts';
import { MAX_JOINED_MESSAGE } from './join-limits.ts';
import { joinedPlaces } from './join-names.ts';
import type { Message } from './join-rewrite.ts';
import { accept } from './join-server.ts';

/** What becomes of a message; null: it goes no further. */
export type Rewrite = (message: Message) => string | null;

/** Which of the two kinds of streams of a session one is: the answer to a request, or the one that GET opens. */
export type StreamKind = 'answer' | 'session';

interface Source {
  readonly server: McpServerPlan;
  readonly body: ReadableStream<Uint8Array>;
  readonly rewrite: Rewrite;
}

export interface Weaving {
  /** Places that the ids of events go on from. */
  readonly places?: ReadonlyMap<McpServerPlan, string>;
  /** True: when one stream ends, all do; else the last one's end is the end. */
  readonly together?: boolean;
  /** Once it is over; what it returns is the last message, if its reader is still there. */
  readonly done?: (gone: boolean) => string | null;
}

/**
 * Streams of events as one, whatever order they come in. Event ids name the places in all of them. It ends all of them when
 * its reader goes. A stream that breaks, or has too long an event, ends; what is no message is left out.
 */
export function weave(kind: StreamKind, sources: readonly Source[], options: Weaving = {}): ReadableStream<Uint8Array> {
  const { places = new Map<McpServerPlan, string>(), together = false, done = () => null } = options;
  const at = new Map(places);
  const readers = sources.map(({ body }) => body.getReader());
  let open = sources.length;
  const state = { over: false };
  let waiting: (() => void)[] = [];
  const wake = (): void => {
    const all = waiting;
    waiting = [];
    for (const resume of all) resume();
  };
  const end = (reason?: unknown): void => {
    state.over = true;
    wake();
    for (const reader of readers) reader.cancel(reason).catch(() => {});
  };
  const close = (out: Controller): void => {
    end();
    const last = done(false);
    if (last !== null) out.enqueue(writeEvent(messageEvent(last)));
    out.close();
  };
  const pass = async ({ server, rewrite }: Source, index: number, out: Controller): Promise<void> => {
    const events = new EventReader(MAX_JOINED_MESSAGE);
    try {
      for (;;) {
        const { done: ended, value } = await readers[index]!.read();
        if (ended || state.over) break;
        for (const event of events.push(value)) {
          const shown = joinedEvent(kind, server, event, at, rewrite);
          if (shown !== null) out.enqueue(writeEvent(shown));
        }
        // Nobody is read faster than the client reads: what a server has ready waits there.
        while (!state.over && (out.desiredSize ?? 0) <= 0) await new Promise<void>((resolve) => waiting.push(resolve));
      }
    } catch {
      // It ends here as well.
    }
    open--;
    if (!state.over && (open === 0 || together)) close(out);
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        if (sources.length === 0) close(controller);
        sources.forEach((source, index) => void pass(source, index, controller));
      },
      pull: wake,
      cancel(reason) {
        if (state.over) return;
        end(reason);
        done(true);
      },
    },
    { highWaterMark: 16 },
  );
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

function joinedEvent(
  kind: StreamKind,
  server: McpServerPlan,
  event: ServerEvent,
  at: Map<McpServerPlan, string>,
  rewrite: Rewrite,
): ServerEvent | null {
  if (event.comment) return event;
  let id: string | null = null;
  if (event.id !== null) {
    at.set(server, event.id);
    id = joinedPlaces(kind, at) || null;
  }
  if (event.data === null || event.data === '') return { ...event, id };
  const read = accept(event.data);
  const data = read === null ? null : rewrite(read);
  return data === null ? null : { ...event, id, data };
}

export function messageEvent(data: string): ServerEvent {
  return { id: null, event: 'message', data, retry: null, comment: false };
}
