/** Every limit on what agents send and on what is fetched on their account; tested at its edge. */

/** Characters of Signature-Input, Signature and Signature-Agent each. Signers of today need about 500. */
export const MAX_SIGNATURE_FIELD = 8192;
/** Signatures of one message that are looked at; with more, none is. */
export const MAX_SIGNATURES = 8;
/** Components that one signature covers. */
export const MAX_COMPONENTS = 32;
/** Characters of a signature base: components repeat header fields, each of them as often as its parameters differ. */
export const MAX_SIGNATURE_BASE = 65_536;
/** Characters of `keyid` and of `nonce`. */
export const MAX_SIGNATURE_PARAMETER = 256;
/** Bits of an RSA modulus. Below, signatures can be forged; above, one verification costs too much. */
export const MIN_RSA_BITS = 2048;
export const MAX_RSA_BITS = 4096;
