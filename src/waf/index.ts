/** `sallyport/waf`: the middleware, and the engine beneath it for those who call it themselves. */
export { waf, type WafOptions, type WafReport } from './middleware.ts';
export { readBundle, type Bundle } from './bundle.ts';
export { createEngine, ImageError, type Engine, type Generation, type Head } from './engine.ts';
export type { HeadResult, StageResult } from './result.ts';
export { evidenceOf, isSecret, type EvidenceOptions, type WafEvidence } from './evidence.ts';
export type { Octets, RawResponse, RawTransaction, Waf, WafEvent, WafVerdict } from './transaction.ts';
