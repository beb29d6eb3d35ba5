/** What a command says of itself in its help: citty's part, and command lines that work as they stand. */
import type { CommandMeta } from 'citty';

export interface Described extends CommandMeta {
  readonly examples?: readonly string[];
}

export const described = (meta: Described): Described => meta;
