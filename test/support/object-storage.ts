/** Storage of a Durable Object, by the SQLite of Node, for units of objects that keep tables. */
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { ObjectStorage } from '../../src/durable-object.ts';

export interface TestStorage extends ObjectStorage {
  alarm: number | null;
  /** Rows of a table. */
  rows(table: string): number;
}

export function objectStorage(): TestStorage {
  let database = new DatabaseSync(':memory:');
  const kept: TestStorage = {
    alarm: null,
    rows: (table) => Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']),
    sql: {
      exec(query, ...values) {
        const rows = database.prepare(query).all(...(values as SQLInputValue[]));
        return { rowsWritten: 0, toArray: () => rows };
      },
    },
    getAlarm: () => Promise.resolve(kept.alarm),
    setAlarm: (time) => Promise.resolve(void (kept.alarm = time)),
    deleteAll: () => Promise.resolve(void (database = new DatabaseSync(':memory:'))),
  };
  return kept;
}
