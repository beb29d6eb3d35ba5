/**
 * The WAF on its own, in this process: one transaction in, one verdict out, byte for byte, with no HTTP layer between.
 * Conformance, differential tests, benchmarks, fuzzing and `sallyport/waf` use it; the gateway itself goes through
 * `Engine`, which judges the same programs.
 */

/** Bytes, or text of which each character is one byte (Latin-1). */
export type Octets = Uint8Array | string;

/** A request as it came over the wire, and the answer to it where that is to be judged too. */
export interface RawTransaction {
  readonly method: Octets;
  /** Request target as written: `/a?b=c`, or absolute, or `*`. */
  readonly uri: Octets;
  /** `HTTP/1.1` */
  readonly protocol: Octets;
  /** In order, names as written; a name may occur several times. */
  readonly headers: readonly (readonly [name: Octets, value: Octets])[];
  readonly body: Octets;
  /** Address of the client, text; a port may follow. */
  readonly peer: string;
  /** Left out: phases 3 and 4 do not run. */
  readonly response?: RawResponse;
  /** 32 random bits: unique id, sampling. Default 0. */
  readonly seed?: number;
  /** Seconds since the epoch. Default 0. */
  readonly now?: number;
}

export interface RawResponse {
  readonly status: number;
  readonly protocol: Octets;
  readonly headers: readonly (readonly [name: Octets, value: Octets])[];
  readonly body: Octets;
}

export interface WafVerdict {
  /** What a rule in blocking mode decided; `limit`: the engine ran out of a limit, and `reason` says of which. */
  readonly action: 'pass' | 'deny' | 'drop' | 'redirect' | 'allow' | 'limit';
  /** Of deny and redirect; 0 otherwise. */
  readonly status: number;
  /** Of redirect: where to. */
  readonly location: string;
  /** Id of the rule that decided, 0 for none, and its phase. */
  readonly rule: number;
  readonly phase: number;
  /** REASON_* of a limit, else 0. */
  readonly reason: number;
  /** TX variables by name as the transaction left them, those with a number as value: the anomaly scores are among them. */
  readonly scores: Readonly<Record<string, number>>;
  /** In the order in which rules matched; one for each value that matched. */
  readonly events: readonly WafEvent[];
  /** More events than MAX_WAF_EVENTS, or more evidence than EVIDENCE_BYTES: the rest only counts. */
  readonly truncated: boolean;
  /** Events in all. */
  readonly matches: number;
  readonly steps: number;
}

/** A rule, with all its chain, that matched a value. */
export interface WafEvent {
  readonly rule: number; // id
  readonly phase: number; // 1 to 5
  readonly message: string; // macros expanded
  readonly severity: number; // 0 EMERGENCY to 7 DEBUG, -1 unset
  readonly tags: readonly string[];
  /** Name of the value: `ARGS:q`, `REQUEST_HEADERS:user-agent`, `&ARGS`. */
  readonly target: string;
  /** The bytes that matched, at most MAX_EVIDENCE_VALUE. */
  readonly matched: Uint8Array;
  /** Names of the transformations that the value went through. */
  readonly transformations: readonly string[];
  readonly logdata: string; // macros expanded
  /** False for `nolog`. */
  readonly log: boolean;
  /** What the rule asked for: `deny`, `pass` ... */
  readonly action: string;
}

/** A WAF program with its rule sets, loaded. One call at a time; nothing is kept between calls. */
export interface Waf {
  inspect(transaction: RawTransaction): WafVerdict;
  /** Bytes of linear memory. */
  readonly memory: number;
  /** How often the engine trapped; it has been replaced each time, and the verdict was `limit`. */
  readonly traps: number;
}
