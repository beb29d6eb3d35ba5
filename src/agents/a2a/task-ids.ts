/**
 * Finds the ids of task and context that an agent gave, in the beginning of its answer: a JSON document, or the first event
 * of a stream. Looks at what passes; holds at most MAX_LOOKED_AT of it.
 */
import { joinBytes } from '../../bytes.ts';
import { EventLines } from '../event-lines.ts';
import { memberOf } from '../json-text.ts';

export const MAX_LOOKED_AT = 65_536;
/** Events that are looked at: the task comes with the first, an answer without one never has any. */
const MAX_EVENTS = 4;

export class TaskIds {
  readonly #lines: EventLines | null;
  #parts: Uint8Array[] = [];
  #length = 0;
  #events = 0;
  readonly #found: (ids: ReadonlySet<string>) => void;
  #done = false;

  /** `found` is called at most once, with at least one id. */
  constructor(events: boolean, found: (ids: ReadonlySet<string>) => void) {
    this.#found = found;
    this.#lines = events
      ? new EventLines({ data: (bytes, from, to) => this.#keep(bytes.slice(from, to)), end: () => this.#read() })
      : null;
  }

  push(chunk: Uint8Array): void {
    if (this.#done) return;
    if (this.#lines === null) this.#keep(chunk.slice());
    else this.#lines.push(chunk);
  }

  /** The answer is over. */
  end(): void {
    this.#read();
  }

  #keep(bytes: Uint8Array): void {
    if (this.#done) return;
    this.#length += bytes.byteLength;
    if (this.#length > MAX_LOOKED_AT) {
      this.#done = true;
      this.#parts = [];
    } else this.#parts.push(bytes);
  }

  #read(): void {
    if (this.#done || this.#length === 0) return;
    const ids = idsIn(joinBytes(this.#parts));
    this.#parts = [];
    this.#length = 0;
    if (ids.size === 0 && ++this.#events < MAX_EVENTS) return;
    this.#done = true;
    if (ids.size > 0) this.#found(ids);
  }
}

function idsIn(bytes: Uint8Array): Set<string> {
  const ids = new Set<string>();
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return ids;
  }
  const root = memberOf(value, 'result') ?? value;
  const add = (one: unknown): void => {
    if (typeof one === 'string' && one !== '' && one.length <= 1024) ids.add(one);
  };
  // Version 1.0 wraps each kind in a member of its own, 0.3 says `kind`.
  for (const from of [
    root,
    ...['task', 'message', 'statusUpdate', 'artifactUpdate'].map((name) => memberOf(root, name)),
  ]) {
    add(memberOf(from, 'taskId'));
    add(memberOf(from, 'contextId'));
    if (from === memberOf(root, 'task') || memberOf(from, 'kind') === 'task' || memberOf(from, 'status') !== undefined)
      add(memberOf(from, 'id'));
  }
  return ids;
}
