/**
 * What an agent asks for, in the words of the protocol that it speaks: what the host tells the engine beside the head, for
 * rules (`mcp.tool eq "refund"`), and the access log (`"mcp":{"method":"tools/call","tool":"refund"}`).
 *
 * How the parts hang together. A route that speaks a protocol has an index into `Plan.mcps`, `a2as` or `llms`
 * (`RouteAction.mcp`, `.a2a`, `.llm`; -1: none). Phase `protocol` (src/router/protocol.ts) holds and reads the body of its
 * requests, refuses what the protocol or its policy does not allow, and leaves `exchange.protocol` behind: at most one of
 * the three groups, each with the fields that are there. It goes by `exchange.head` into every later engine call, whose
 * rules of stage body and response see it. A field that is not there is missing in rules: no comparison with it holds,
 * but `ne` and `not` do.
 *
 * To add a field: its id at the end of the run FIELD_MCP_METHOD … in the ABI, PROTOCOL_FIELDS, the name in NAMES here, and
 * in the two tables of names (src/router/fields.ts, src/compiler/expression/fields.ts).
 */
import { MAX_PROTOCOL_VALUE, PROTOCOL_AT, PROTOCOL_BYTES, PROTOCOL_WORDS } from '../../assembly/abi.ts';

export interface ProtocolFields {
  readonly mcp?: McpFields;
  readonly a2a?: A2aFields;
  readonly llm?: LlmFields;
}

export interface McpFields {
  /** JSON-RPC method; absent for a message that is only a response. */
  readonly method?: string;
  /** Of tools/call, resources/read (and its subscriptions) and prompts/get: what it names, as the client does: a joined endpoint's names have their server in front. */
  readonly tool?: string;
  readonly resource?: string;
  readonly prompt?: string;
  /** Which of several servers joined behind one endpoint; absent with one. */
  readonly server?: string;
  /** Protocol version of the request. */
  readonly version?: string;
}

export interface A2aFields {
  readonly method?: string;
  readonly version?: string;
  readonly skill?: string;
}

export interface LlmFields {
  readonly provider?: string;
  readonly model?: string;
  /** `true` or `false`. */
  readonly stream?: string;
}

/** In the order of their ids, from FIELD_MCP_METHOD on. */
const NAMES = {
  mcp: ['method', 'tool', 'resource', 'prompt', 'server', 'version'],
  a2a: ['method', 'version', 'skill'],
  llm: ['provider', 'model', 'stream'],
} as const;

const encoder = new TextEncoder();

/** True when no value is longer than MAX_PROTOCOL_VALUE bytes: ask before `exchange.protocol` is set, and refuse the request. */
export function fits(fields: ProtocolFields): boolean {
  for (const group of Object.values(fields) as Readonly<Record<string, string>>[]) {
    for (const value of Object.values(group)) {
      // PERF: a character is at most three bytes, so most need not be encoded to be counted.
      if (value.length * 3 <= MAX_PROTOCOL_VALUE) continue;
      if (value.length > MAX_PROTOCOL_VALUE || encoder.encode(value).length > MAX_PROTOCOL_VALUE) return false;
    }
  }
  return true;
}

/** Writes PROTOCOL (see the ABI). */
export class ProtocolWriter {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;

  constructor(buffer: ArrayBufferLike) {
    this.#words = new Uint32Array(buffer, PROTOCOL_AT, PROTOCOL_WORDS);
    this.#bytes = new Uint8Array(buffer, PROTOCOL_AT + PROTOCOL_WORDS * 4, PROTOCOL_BYTES - PROTOCOL_WORDS * 4);
  }

  /** Throws RangeError for what does not fit: cut short it would be another value, which a rule might let pass. */
  write(fields: ProtocolFields | undefined): void {
    this.#words[0] = 0;
    // PERF: one store for the requests of no protocol, which most are.
    if (fields === undefined) return;
    let [bits, index, at] = [0, 0, 0];
    for (const group of ['mcp', 'a2a', 'llm'] as const) {
      const values = fields[group] as Readonly<Record<string, string | undefined>> | undefined;
      for (const name of NAMES[group]) {
        const value = values?.[name];
        let length = 0;
        if (value !== undefined) {
          const { read, written } = encoder.encodeInto(value, this.#bytes.subarray(at));
          if (read < value.length) throw new RangeError(`${group}.${name} is too long for the engine`);
          bits |= 1 << index;
          length = written;
        }
        this.#words[++index] = length;
        at += length;
      }
    }
    this.#words[0] = bits;
  }
}
