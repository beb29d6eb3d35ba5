/** What is used of Durable Objects, on the inside and on the outside; the runtime's own types are wider. */

/** Of an object's storage; SQLite's. */
export interface ObjectStorage {
  readonly sql: {
    exec(
      query: string,
      ...values: (string | number)[]
    ): { readonly rowsWritten: number; toArray(): Record<string, unknown>[] };
  };
  getAlarm(): Promise<number | null>;
  setAlarm(time: number): Promise<void>;
  deleteAll(): Promise<void>;
}

/** Objects of one class, asked by `fetch`. */
export interface ObjectNamespace {
  idFromName(name: string): unknown;
  get(id: never): { fetch(url: string, init?: RequestInit): Promise<Response> };
}
