/** Part of the plan (plan.ts): what is answered for a whole app, and what is said of the content of its answers. */

export interface SitePlan {
  readonly robots: RobotsPlan | null;
  /** Texts by path, such as /llms.txt. */
  readonly documents: readonly DocumentPlan[];
}

export interface DocumentPlan {
  readonly path: string;
  readonly type: string; // Content-Type
  readonly body: string;
}

/** The managed part of robots.txt is compiled; what an origin adds is read when it is there. */
export interface RobotsPlan {
  /** The managed part as it is served; '': there is none, and the origin's own is what counts. */
  readonly text: string;
  /** The same as data; tokens in lower case. */
  readonly groups: readonly {
    readonly agents: readonly string[];
    readonly rules: readonly { readonly allow: boolean; readonly path: string }[];
  }[];
  /** Tokens that have nothing allowed: what the origin's file says of them is left out. */
  readonly refused: readonly string[];
  /** Where the origin's file is asked for, index into Plan.backends; -1: nowhere. */
  readonly backend: number;
  /** Product tokens of agents that are named otherwise; '': none. */
  readonly tokens: Readonly<Record<string, string>>;
}

/** What is said of the content of answers, and done to it. */
export interface ContentPlan {
  /** Content-Signal. */
  readonly signal: readonly (readonly [name: string, value: 'yes' | 'no'])[];
  /** Content-Usage (AIPREF). */
  readonly usage: readonly (readonly [label: string, value: 'y' | 'n'])[];
  /** Lines that are added to answers: licences, reservations. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Pages are given as Markdown to who asks for that. */
  readonly markdown: boolean;
}
