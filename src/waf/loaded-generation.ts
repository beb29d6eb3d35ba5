/** A set of images that the engine has open. */
import type { Plan } from '../plan.ts';
import type { AgentName, OpenImage } from './images.ts';
import type { ProgramInfo } from './verdict.ts';

/** What can be asked of a loaded set of images. Built beside the old one, then swapped by one assignment. */
export interface Generation {
  readonly id: string;
  /** Address of the generation words in the engine's memory. */
  readonly at: number;
  readonly apps: readonly Plan[];
  readonly agents: readonly AgentName[];
}

export class LoadedGeneration implements Generation {
  readonly id: string;
  readonly at: number;
  readonly apps: readonly Plan[];
  readonly images: readonly OpenImage[];
  readonly policies: readonly OpenImage[];
  /** By app, as far as they were asked for. */
  readonly infos: (readonly ProgramInfo[] | undefined)[] = [];
  released = false;
  readonly #readAgents: () => readonly AgentName[];

  constructor(
    id: string,
    at: number,
    apps: readonly Plan[],
    readAgents: () => readonly AgentName[],
    images: readonly OpenImage[],
    policies: readonly OpenImage[],
  ) {
    this.id = id;
    this.at = at;
    this.apps = apps;
    this.#readAgents = readAgents;
    this.images = images;
    this.policies = policies;
  }

  get agents(): readonly AgentName[] {
    return this.#readAgents();
  }
}
