/** Who sent a request, as far as it was proven: what the host tells the engine beside the head. */
import {
  PROOF_AT,
  PROOF_BYTES,
  PROOF_CLAIMED,
  PROOF_CONFIRMED,
  PROOF_REFUTED,
  PROOF_SPOOFED,
  PROOF_VERIFIED,
  PROOF_WORDS,
} from '../../assembly/abi.ts';

export interface Proof {
  /** `confirmed` and `refuted`: by the names of the client's address, who its user agent says, or not. */
  readonly identity: 'claimed' | 'spoofed' | 'verified' | 'confirmed' | 'refuted';
  /** Of one that is verified, else ''. */
  readonly name: string;
  readonly operator: string;
  readonly category: string;
  readonly domain: string;
}

const CODES = {
  claimed: PROOF_CLAIMED,
  spoofed: PROOF_SPOOFED,
  verified: PROOF_VERIFIED,
  confirmed: PROOF_CONFIRMED,
  refuted: PROOF_REFUTED,
} as const;
const encoder = new TextEncoder();

/** Writes PROOF (see the ABI). Texts that are too long for it are cut at the end of a character. */
export class ProofWriter {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;

  constructor(buffer: ArrayBufferLike) {
    this.#words = new Uint32Array(buffer, PROOF_AT, PROOF_WORDS);
    this.#bytes = new Uint8Array(buffer, PROOF_AT + PROOF_WORDS * 4, PROOF_BYTES - PROOF_WORDS * 4);
  }

  write(proof: Proof | undefined): void {
    // PERF: one store for the requests that prove nothing, which most are.
    if (proof === undefined) {
      this.#words[0] = 0;
      return;
    }
    this.#words[0] = CODES[proof.identity];
    let at = 0;
    [proof.name, proof.operator, proof.category, proof.domain].forEach((text, index) => {
      const { written } = encoder.encodeInto(text, this.#bytes.subarray(at));
      this.#words[index + 1] = written;
      at += written;
    });
  }
}
